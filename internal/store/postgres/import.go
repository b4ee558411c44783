package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlstore"
)

// Origin is a state in a file that is moved into the database.
type Origin struct {
	Place        string // for people
	Installation string
	Rows         sqlstore.Querier      // of the file, which nobody changes meanwhile
	Progress     func(done, total int) // is told how many rows are copied and compared; nil: nobody is
}

// Imported is what [Import] did.
type Imported struct {
	Already   bool // an earlier call had copied all of it
	Projects  int
	Results   int
	Incidents int
}

// copyOf is the row of the table meta that says what was copied into the state.
type copyOf struct {
	From string    `json:"from"`
	Host string    `json:"host"` // its name
	At   time.Time `json:"at"`
	Sum  string    `json:"sum"` // of all rows, see [importer.sum]
}

const copyKey = "copied_from"

// CheckURL returns why [Open] would refuse a URL or the password, without connecting.
func CheckURL(url string, o Options) error {
	_, err := parseURL(url)
	if err == nil && o.Password != nil {
		_, err = o.Password()
	}
	return err
}

// Import copies all rows of a state in a file into a schema that is empty, as those of the host o.Host, in one transaction, and compares
// what is there then with the file. If an earlier call had copied them and nothing was stored in the file since, Import changes nothing;
// if nothing was stored in the database since, it copies them again.
func Import(ctx context.Context, url string, o Options, from Origin) (done Imported, err error) {
	s, err := newStore(url, o)
	if err != nil {
		return done, err
	}
	defer s.pool.close()
	_, err = s.withConnection(ctx, func(c *connection) (bool, error) {
		done, err = (&importer{s: s, c: c, from: from}).run(ctx)
		return true, err
	})
	var origin *originError
	switch {
	case errors.Is(ctx.Err(), context.Canceled) && err != nil:
		return done, ctx.Err()
	case errors.As(err, &origin):
		return done, err // its caller knows the file
	}
	return done, s.Wrap(err)
}

// originError is an error of the file.
type originError struct{ error }

func (e *originError) Unwrap() error { return e.error }

// importer is one call of [Import]. If it fails, its connection is closed in the middle of the transaction.
type importer struct {
	s      *Store
	c      *connection
	from   Origin
	tables []tableCopy
	steps  int // half the rows' work: a row is copied, and then compared
	total  int // rows
}

// beginImport returns statements that have the transaction last as long as it needs, and be on disk when it is committed. While the file is
// read, it is idle.
func beginImport() []statement {
	return []statement{
		{text: `BEGIN`},
		{text: `SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '10min', true),
		CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', true) END`},
		{text: fmt.Sprintf(`SELECT pg_advisory_xact_lock(%d)`, migrationLock)},
	}
}

func (i *importer) run(ctx context.Context) (done Imported, err error) {
	if _, err = i.c.run(ctx, beginImport()...); err == nil {
		err = i.s.migrateLocked(ctx, i.c)
	}
	if err != nil {
		return done, err
	}
	if err := i.plan(ctx); err != nil {
		return done, err
	}
	copied, err := i.earlierCopy(ctx)
	if err != nil {
		return done, err
	}
	if copied != nil {
		if done.Already, err = i.isDone(ctx, *copied); err != nil {
			return done, err
		}
	}
	if !done.Already {
		if err := i.copyAll(ctx); err != nil {
			return done, err
		}
		fault.Point(ctx, "state-copied")
	}
	counts, err := i.text(ctx, `SELECT format('%s %s %s', (SELECT count(*) FROM adfbot.project), (SELECT count(*) FROM adfbot.result),
		(SELECT count(*) FROM adfbot.incident))`)
	if err == nil {
		_, err = fmt.Sscan(counts, &done.Projects, &done.Results, &done.Incidents)
	}
	if err == nil {
		_, err = i.c.runWithin(context.WithoutCancel(ctx), readAllWithin, statement{text: `COMMIT`})
	}
	if err == nil {
		fault.Point(ctx, "state-copy-committed")
	}
	return done, err
}

// earlierCopy returns what was copied into the state earlier, or nil if nothing is in it. It fails if there is something else.
func (i *importer) earlierCopy(ctx context.Context) (*copyOf, error) {
	get := func(key string) (string, error) {
		return i.text(ctx, `SELECT coalesce((SELECT value FROM adfbot.meta WHERE key = ?), '')`, key)
	}
	installation, err := get("installation")
	if err != nil {
		return nil, err
	}
	copied, err := get(copyKey)
	if err != nil {
		return nil, err
	}
	inUse, err := i.isUsed(ctx)
	if err != nil {
		return nil, err
	}
	switch ours := installation == i.from.Installation; {
	case installation != "" && !ours:
		return nil, i.refuse("the database holds the state of another installation. To join that, this host leaves its own state behind: see "+
			"`adfbot help fleet`, \"A host that ran alone\". Else name another database", "its installation id is "+installation)
	case copied == "" && inUse:
		return nil, i.refuse(fmt.Sprintf("something was stored there before the file was moved: stop every adfbot that uses the database; if what is "+
			"there is not needed, drop it, `DROP SCHEMA %s CASCADE`, run this again, and `adfbot restore` with the new configuration: the pause "+
			"directory has become that of what is there", i.s.schema), "it is not empty")
	case copied == "":
		return nil, nil
	}
	c := new(copyOf)
	if err := json.Unmarshal([]byte(copied), c); err != nil {
		return nil, fmt.Errorf("%w: %w", sqlstore.ErrContent, err)
	}
	return c, nil
}

// isUsed reports whether any results or pauses are in the database. The first host that opens it stores where it is.
func (i *importer) isUsed(ctx context.Context) (bool, error) {
	var used []string
	for _, t := range copiedTables() {
		if t.name != "meta" {
			used = append(used, `EXISTS (SELECT 1 FROM adfbot.`+t.name+`)`)
		}
	}
	answer, err := i.text(ctx, `SELECT (`+strings.Join(used, " OR ")+`)::text`)
	return answer == "true", err
}

func (i *importer) refuse(advice, why string) error {
	return store.Unusable(i.s.path, advice, errors.New(why))
}

// isDone reports whether an earlier copy is still the same as the file. If not, it has to be made again; that must not undo anything.
func (i *importer) isDone(ctx context.Context, copied copyOf) (bool, error) {
	inFile, err := i.sum(ctx, i.inFile)
	if err != nil || inFile == copied.Sum {
		return err == nil, err
	}
	here, err := i.sum(ctx, i.inDatabase)
	if err != nil {
		return false, err
	}
	if here != copied.Sum {
		return false, i.refuse(fmt.Sprintf("the file was copied there at %s, and since then results were stored in both: stop every adfbot and choose. "+
			"To keep the database, move the file away and set `state` to the database; to keep the file, drop what is in the database, "+
			"`DROP SCHEMA %s CASCADE`, and run this again", copied.At.Format("2006-01-02 15:04:05 UTC"), i.s.schema), "it differs from "+i.from.Place)
	}
	return false, nil
}

// copyAll replaces what is in the database by what is in the file.
func (i *importer) copyAll(ctx context.Context) error {
	if err := i.countRows(ctx); err != nil {
		return err
	}
	all := sha256.New()
	for _, t := range i.tables {
		if err := i.copyTable(ctx, t, all); err != nil {
			return fmt.Errorf("copying the table %s: %w", t.name, err)
		}
	}
	sum := hex.EncodeToString(all.Sum(nil))
	here, err := i.sum(ctx, func(ctx context.Context, t tableCopy, f func([]any) error) error {
		return i.inDatabase(ctx, t, func(values []any) error {
			i.step()
			return f(values)
		})
	})
	if err == nil && here != sum {
		err = i.refuse("the copy is not the same as the file: run this again, and if that does not help, report it", "it differs from "+i.from.Place)
	}
	if err != nil {
		return err
	}
	host, _ := os.Hostname()
	doc, err := json.Marshal(copyOf{From: i.from.Place, Host: host, At: time.Now().UTC().Truncate(time.Second), Sum: sum})
	if err != nil {
		return err
	}
	_, err = i.c.run(ctx,
		i.s.statement(`INSERT INTO adfbot.meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, copyKey, string(doc)),
		// What is recorded next comes after what was copied.
		i.s.statement(`SELECT setval(pg_get_serial_sequence('adfbot.result', 'id'), greatest(1, (SELECT max(id) FROM adfbot.result)),
			EXISTS (SELECT 1 FROM adfbot.result))`))
	if err == nil {
		err = i.c.script(ctx, i.s.inSchema(`ANALYZE adfbot.project, adfbot.result, adfbot.incident`)) // else the first queries are slow
	}
	return err
}

// copyTable replaces the rows of a table. What is sent goes into sum, too.
func (i *importer) copyTable(ctx context.Context, t tableCopy, sum io.Writer) error {
	if _, err := i.c.runWithin(ctx, readAllWithin, i.s.statement(`DELETE FROM adfbot.`+t.name+` WHERE `+t.filter())); err != nil {
		return err
	}
	lines := &lineReader{table: t, sum: sum, step: i.step}
	ctx, cancel := context.WithTimeout(ctx, readAllWithin)
	defer cancel()
	var err error
	if lines.rows, err = i.from.Rows.Query(ctx, t.inFile, slices.Clone(t.args)...); err != nil {
		return &originError{err}
	}
	_, err = i.c.pg.CopyFrom(ctx, lines, i.s.inSchema(fmt.Sprintf(`COPY adfbot.%s (%s) FROM STDIN`, t.name, strings.Join(t.columns, ", "))))
	if failed := lines.close(); failed != nil {
		return &originError{failed}
	}
	if err != nil {
		i.c.bad = true
		return &databaseError{err}
	}
	return nil
}

// countRows counts the rows to copy, for the progress.
func (i *importer) countRows(ctx context.Context) error {
	for _, t := range i.tables {
		var n int
		if err := sqlstore.First(ctx, i.from.Rows, `SELECT count(*) FROM (`+t.inFile+`)`, slices.Clone(t.args)...).Scan(&n); err != nil {
			return &originError{err}
		}
		i.total += n
	}
	return nil
}

// step notes that a row was copied or compared.
func (i *importer) step() {
	i.steps++
	if i.from.Progress != nil {
		i.from.Progress(i.steps/2, i.total)
	}
}

// text returns a text that a query returns.
func (i *importer) text(ctx context.Context, query string, args ...any) (string, error) {
	results, err := i.c.runWithin(ctx, readAllWithin, i.s.statement(query, args...))
	if err != nil {
		return "", err
	}
	return string(results[0].Rows[0][0]), nil
}

// sum returns the checksum of all rows that read returns.
func (i *importer) sum(ctx context.Context, read func(context.Context, tableCopy, func([]any) error) error) (string, error) {
	all := sha256.New()
	for _, t := range i.tables {
		var line []byte
		err := read(ctx, t, func(values []any) (err error) {
			line, err = t.appendLine(line[:0], values)
			_, _ = all.Write(line)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("reading the table %s: %w", t.name, err)
		}
	}
	return hex.EncodeToString(all.Sum(nil)), nil
}
