package postgres

import (
	"database/sql"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// encode returns a parameter in PostgreSQL's text format, which the server converts to the type that the statement needs.
func encode(v any) []byte {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return []byte(storable(v))
	case bool:
		return strconv.AppendBool(nil, v)
	case int:
		return strconv.AppendInt(nil, int64(v), 10)
	case int64:
		return strconv.AppendInt(nil, v, 10)
	case time.Time:
		return v.UTC().AppendFormat(nil, "2006-01-02T15:04:05.999999Z")
	}
	panic(fmt.Sprintf("a parameter is a %T", v)) // no statement has one
}

// storable returns a text without what PostgreSQL refuses: invalid UTF-8 and the character NUL.
func storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
}

// Types of columns, by their number in PostgreSQL.
const (
	typeBool        = 16
	typeInt8        = 20
	typeInt4        = 23
	typeText        = 25
	typeTimestamptz = 1184
)

// epoch is where PostgreSQL counts the microseconds of a time from.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// decode returns a value in PostgreSQL's binary format, which does not depend on settings of the session.
func decode(kind uint32, b []byte) (any, error) {
	switch {
	case b == nil:
		return nil, nil
	case kind == typeBool && len(b) == 1:
		return b[0] != 0, nil
	case kind == typeInt8 && len(b) == 8:
		return int64(binary.BigEndian.Uint64(b)), nil
	case kind == typeInt4 && len(b) == 4:
		return int64(int32(binary.BigEndian.Uint32(b))), nil
	case kind == typeText:
		return string(b), nil
	case kind == typeTimestamptz && len(b) == 8:
		us := int64(binary.BigEndian.Uint64(b))
		return time.UnixMicro(epoch.UnixMicro() + us).UTC(), nil
	}
	return nil, fmt.Errorf("a column has type %d and %d bytes", kind, len(b))
}

// rows are those that a statement has returned.
type rows struct {
	*pgconn.Result
	next int
}

func (r *rows) Next() bool {
	r.next++
	return r.next <= len(r.Rows)
}

func (r *rows) Err() error   { return nil }
func (r *rows) Close() error { return nil }

func (r *rows) Scan(to ...any) error {
	row := r.Rows[r.next-1]
	if len(row) != len(to) {
		return fmt.Errorf("%d columns, and not %d", len(row), len(to))
	}
	for n, value := range row {
		v, err := decode(r.FieldDescriptions[n].DataTypeOID, value)
		if err == nil {
			err = assign(to[n], v)
		}
		if err != nil {
			return fmt.Errorf("column %s: %w", r.FieldDescriptions[n].Name, err)
		}
	}
	return nil
}

func assign(to, v any) error {
	ok := false
	switch to := to.(type) {
	case sql.Scanner:
		return to.Scan(v)
	case *string:
		*to, ok = v.(string)
	case *bool:
		*to, ok = v.(bool)
	case *int64:
		*to, ok = v.(int64)
	case *int:
		var n int64
		n, ok = v.(int64)
		*to = int(n)
	}
	if !ok {
		return fmt.Errorf("a %T cannot be read into a %T", v, to)
	}
	return nil
}
