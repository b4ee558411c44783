package postgres

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/store/sqlstore"
)

// copiedTable says how the rows of a table are found in the file. Columns have the same names there.
type copiedTable struct {
	name  string
	key   string            // the columns that the rows are sorted by, the same way in both databases
	other map[string]string // columns that the file has not, or has other values in, with what they are computed from; ? is the host's id
	from  string            // "": the table of that name
}

// ownKeys are the facts in the table meta that each database has of its own, and hostKeys those about the host; see [store.HostKey].
const (
	ownKeys  = `'schema_version', '` + copyKey + `', 'path'`
	hostKeys = `'pause_dir', 'pause_dir_id', 'pause_dir_next_id', 'pause_dir_boot', 'flags_written', 'workflow_projects'`
)

// copiedTables returns the tables that are copied. In the file, runs of processes and confirmations are those of its only host, and what
// pauses a project is in the tables of holds and incidents.
func copiedTables() []copiedTable {
	return []copiedTable{
		{
			name: "meta", key: `key`, other: map[string]string{"key": `CASE WHEN key IN (` + hostKeys + `) THEN key || '/' || ? ELSE key END`},
			from: `adfbot.meta WHERE key NOT IN (` + ownKeys + `)`,
		},
		{
			name: "project", key: `id`, other: map[string]string{
				"id": `known.id`, "generation": `coalesce(generation, 0)`, "failures": `coalesce(failures, 0)`, "tripped": `coalesce(tripped, 0)`,
				"half_open": `coalesce(half_open, 0)`, "ignored": `coalesce(ignored, 0)`,
				"incident": `incident.id`, "hold": `hold.id`, "note": `coalesce(hold.note, '')`, "paused_at": `coalesce(hold.since, incident.opened_at)`,
				"hold_until": `hold.until`, "hold_stop": `coalesce(hold.stop, '')`,
			},
			from: `(SELECT id FROM adfbot.project UNION SELECT project FROM adfbot.hold UNION SELECT project FROM adfbot.incident WHERE ended_at IS NULL) AS known
			LEFT JOIN adfbot.project ON project.id = known.id
			LEFT JOIN adfbot.hold ON hold.project = known.id
			LEFT JOIN adfbot.incident ON incident.project = known.id AND ended_at IS NULL`,
		},
		{name: "result", key: `id`},
		{name: "run", key: `id`, other: map[string]string{"host_id": `CASE host_id WHEN '' THEN ? ELSE host_id END`}},
		{name: "incident", key: `id`},
		{name: "silence", key: `id`},
		{name: "evidence", key: `incident`},
		{name: "host_flag", key: `host, project`, other: map[string]string{"host": `?`}},
		{name: "label", key: `server, owner, repo, name`},
		{name: "account", key: `server, user_id`},
		{name: "operator", key: `server, login`},
		{name: "scan", key: `server, owner, repo`},
		{name: "command", key: `server, comment`},
		{name: "stop", key: `id`},
		{name: "stop_project", key: `stop, project`},
	}
}

// tableCopy is a table with the columns that are copied.
type tableCopy struct {
	copiedTable
	columns []string
	types   []uint32 // in the database
	args    []any    // of inFile
	inFile  string   // the queries for them
	here    string
}

// plan finds the columns that both databases have.
func (i *importer) plan(ctx context.Context) error {
	for _, table := range copiedTables() {
		t := tableCopy{copiedTable: table}
		known, err := sqlstore.List(ctx, i.from.Rows, func(row sqlstore.Row) (name string, err error) { return name, row.Scan(&name) },
			`SELECT name FROM pragma_table_info('`+t.name+`')`)
		if err != nil {
			return &originError{err}
		}
		all, err := i.c.pg.Prepare(ctx, "", i.s.inSchema(`SELECT * FROM adfbot.`+t.name), nil)
		if err != nil {
			i.c.bad = true
			return &databaseError{err}
		}
		var values []string
		for _, f := range all.Fields {
			value, other := t.other[f.Name]
			in := slices.Index(known, f.Name)
			switch {
			case in >= 0:
				known = slices.Delete(known, in, in+1)
				if !other {
					value = f.Name
				}
			case !other:
				continue // it has a default
			}
			if strings.Contains(value, "?") {
				t.args = append(t.args, i.s.host)
			}
			t.columns, t.types, values = append(t.columns, f.Name), append(t.types, f.DataTypeOID), append(values, value+" AS "+f.Name)
		}
		if len(known) > 0 {
			return fmt.Errorf("the table %s has no column for %s of the file", t.name, strings.Join(known, ", ")) // a mistake in a migration
		}
		t.inFile = `SELECT ` + strings.Join(values, ", ") + ` FROM ` + cmp.Or(t.from, `adfbot.`+t.name) + ` ORDER BY ` + t.key
		t.here = `SELECT ` + strings.Join(t.columns, ", ") + ` FROM adfbot.` + t.name + ` WHERE ` + t.filter() + ` ORDER BY ` + t.key
		i.tables = append(i.tables, t)
	}
	return nil
}

// filter is the condition for the rows in the database.
func (t copiedTable) filter() string {
	if t.name == "meta" {
		return `key NOT IN (` + ownKeys + `)`
	}
	return `TRUE`
}

func (i *importer) inFile(ctx context.Context, t tableCopy, f func([]any) error) error {
	rows, err := i.from.Rows.Query(ctx, t.inFile, slices.Clone(t.args)...)
	if err != nil {
		return &originError{err}
	}
	defer func() { _ = rows.Close() }()
	values, into := newValues(len(t.columns))
	for rows.Next() {
		if err = rows.Scan(into...); err == nil {
			err = f(values)
		}
		if err != nil {
			return &originError{err}
		}
	}
	if err := rows.Err(); err != nil {
		return &originError{err}
	}
	return nil
}

// newValues returns room for the values of a row, and pointers to them.
func newValues(n int) (values, into []any) {
	values, into = make([]any, n), make([]any, n)
	for n := range values {
		into[n] = &values[n]
	}
	return values, into
}

func (i *importer) inDatabase(ctx context.Context, t tableCopy, f func([]any) error) error {
	ctx, cancel := context.WithTimeout(ctx, readAllWithin)
	defer cancel()
	r := i.c.pg.ExecParams(ctx, i.s.inSchema(t.here), nil, nil, nil, inBinary)
	err := eachRow(r, f)
	if _, closeErr := r.Close(); closeErr != nil {
		i.c.bad = true
		return &databaseError{closeErr}
	}
	return err
}

func eachRow(r *pgconn.ResultReader, f func([]any) error) (err error) {
	var values []any
	for r.NextRow() {
		values = values[:0]
		for n, b := range r.Values() {
			v, err := decode(r.FieldDescriptions()[n].DataTypeOID, b)
			if err != nil {
				return err
			}
			values = append(values, v)
		}
		if err := f(values); err != nil {
			return err
		}
	}
	return nil
}

// lineReader reads rows of the file as COPY expects them.
type lineReader struct {
	table tableCopy
	sum   io.Writer
	step  func() // a row was read

	mu     sync.Mutex // CopyFrom may return while it still reads
	rows   sqlstore.Rows
	values []any
	into   []any
	line   []byte
	rest   []byte // of the line
	err    error
}

func (l *lineReader) Read(p []byte) (n int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for n < len(p) && l.err == nil {
		if len(l.rest) == 0 {
			l.next()
		}
		copied := copy(p[n:], l.rest)
		n, l.rest = n+copied, l.rest[copied:]
	}
	if n > 0 {
		return n, nil
	}
	return 0, l.err
}

func (l *lineReader) next() {
	if l.values == nil {
		l.values, l.into = newValues(len(l.table.columns))
	}
	if !l.rows.Next() {
		if l.err = l.rows.Err(); l.err == nil {
			l.err = io.EOF
		}
		return
	}
	if l.err = l.rows.Scan(l.into...); l.err == nil {
		l.line, l.err = l.table.appendLine(l.line[:0], l.values)
	}
	if l.err == nil {
		_, l.err = l.sum.Write(l.line)
		l.rest = l.line
		l.step()
	}
}

// close ends the reading, and returns why it failed.
func (l *lineReader) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	failed := l.err
	l.err = errClosed
	if err := l.rows.Close(); failed == nil || failed == io.EOF {
		failed = err
	}
	return failed
}

// appendLine appends a row in the text format of COPY. The values are those of either database.
func (t tableCopy) appendLine(line []byte, values []any) ([]byte, error) {
	for n, v := range values {
		if n > 0 {
			line = append(line, '\t')
		}
		var ok bool
		if line, ok = appendValue(line, v, t.types[n]); !ok {
			return line, fmt.Errorf("%w: a %T in the column %s", sqlstore.ErrContent, v, t.columns[n])
		}
	}
	return append(line, '\n'), nil
}

var copyEscapes = strings.NewReplacer("\\", `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`)

// appendValue appends a value for a column of a type, unless the column cannot hold it. A file has numbers for times and flags.
func appendValue(line []byte, v any, kind uint32) (_ []byte, ok bool) {
	switch v := v.(type) {
	case nil:
		return append(line, `\N`...), true
	case string:
		return append(line, copyEscapes.Replace(storable(v))...), kind == typeText
	case bool:
		return strconv.AppendBool(line, v), kind == typeBool
	case time.Time:
		return appendTime(line, v), kind == typeTimestamptz
	case int64:
		switch kind {
		case typeBool:
			return strconv.AppendBool(line, v != 0), true
		case typeTimestamptz:
			return appendTime(line, time.UnixMilli(v)), true
		case typeInt4:
			return strconv.AppendInt(line, v, 10), v == int64(int32(v))
		case typeInt8:
			return strconv.AppendInt(line, v, 10), true
		}
	}
	return line, false
}

// appendTime appends a time. One that cannot be true becomes one that PostgreSQL can hold.
func appendTime(line []byte, t time.Time) []byte {
	return tracker.PossibleTime(t).UTC().AppendFormat(line, "2006-01-02T15:04:05.999999Z")
}
