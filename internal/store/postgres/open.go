package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlstore"
	"github.com/terraphim/adfbot/pause"
)

var _ store.State = (*Store)(nil)

// Store is an open state; [store.State] documents its methods. It is safe for concurrent use.
type Store struct {
	sqlstore.State
	path        string
	schema      string
	now         func() time.Time // nil: the server's clock
	pool        *pool
	host        string
	passwordKey string // [Options].PasswordKey
	readOnly    bool
	beaten      atomic.Bool // with the boot of this machine
	lease       lease
	listenTo    *pgconn.Config
	pings       pings
	claims      sync.WaitGroup
	texts       sync.Map // statements of package sqlstore to PostgreSQL's

	installation string
}

// Options for [Open].
type Options struct {
	// Host is the id of this host. Runs, and which flags were on disk, belong to a host.
	Host string
	// Password returns the password of the role for a new connection; nil means that it needs none.
	Password func() (string, error)
	// PasswordKey is where people name the file with the password; "": `state_password_file`.
	PasswordKey string
	// ListenURL is where [Store.Listen] connects to if the URL of the state leads to a pooler; "": the URL of the state.
	ListenURL string
	// ReadOnly opens an existing state without writing to it: each change of it is an error. A missing state is fs.ErrNotExist.
	ReadOnly bool
	// Sentinel returns the installation id in the sentinel of the pause directory, "" if there is none. Open calls it only to
	// create a state. If it fails, no state is created, and nothing in the database is changed.
	Sentinel func() (string, error)
	Now      func() time.Time // nil: the server's clock
	Schema   string           // "": adfbot
}

// Open opens the state in the database that a URL names. It creates the schema and its tables if they are missing. For a host that was
// retired, the state can only be read: Open fails with [store.ErrRetired].
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	s, err := newStore(url, o)
	if err != nil {
		return nil, err
	}
	if err := s.start(ctx, o); err != nil {
		s.pool.close()
		return nil, s.Wrap(err)
	}
	return s, nil
}

// newStore returns a state that is not connected yet.
func newStore(url string, o Options) (*Store, error) {
	s := &Store{path: url, schema: o.Schema, host: o.Host, now: o.Now, lease: claimLease, pings: listenPings, passwordKey: o.PasswordKey, readOnly: o.ReadOnly}
	if s.schema == "" {
		s.schema = "adfbot"
	}
	if !pause.IsRandomID(o.Host) {
		return nil, fmt.Errorf("a host has an id of 32 hexadecimal digits, and not %q", o.Host)
	}
	config, err := parseURL(url)
	if err != nil {
		return nil, store.Unusable("the database", "correct `state`, or the file that it names", err)
	}
	s.listenTo = config
	if o.ListenURL != "" {
		if s.listenTo, err = parseURL(o.ListenURL); err != nil {
			return nil, store.Unusable("the database", "correct `state_listen`, or the file that it names", err)
		}
	}
	s.pool = newPool(config, o.Password)
	s.State = sqlstore.New(s.database(), o.Host)
	return s, nil
}

func (s *Store) start(ctx context.Context, o Options) error {
	sentinel := sync.OnceValues(func() (string, error) { return readSentinel(o.Sentinel) })
	version, err := s.version(ctx)
	if err == nil && version == "" && !o.ReadOnly {
		_, err = sentinel()
	}
	switch {
	case err != nil:
		return err
	case version == "" && o.ReadOnly:
		return fmt.Errorf("%w: the database has no schema %s, the first result makes it", fs.ErrNotExist, s.schema)
	case !o.ReadOnly && isOlder(version):
		err = s.migrate(ctx)
	default:
		err = s.checkVersion(version)
	}
	if err == nil && !o.ReadOnly {
		err = s.checkHost(ctx)
	}
	if err != nil {
		return err
	}
	id, err := s.Meta(ctx, "installation")
	switch {
	case err != nil:
		return err
	case id == "" && !o.ReadOnly:
		id, err = s.install(ctx, sentinel)
	case !pause.IsRandomID(id):
		err = store.Unusable(s.path, "it is damaged: restore a backup", fmt.Errorf("its installation id is %.60q", id))
	}
	s.installation = id
	return err
}

// readSentinel returns the id that a new state takes over, "" if there is none.
func readSentinel(sentinel func() (string, error)) (id string, err error) {
	if sentinel == nil {
		return "", nil
	}
	id, err = sentinel()
	if err != nil && !errors.Is(err, store.ErrUnusable) {
		err = fmt.Errorf("a new state can't be made, because it is not known whether the pause directory belongs to an "+
			"earlier one whose id it has to take over: %w", err)
	}
	return id, err
}

// install gives a new state its id. Several processes may create the state at once: the first id stays.
func (s *Store) install(ctx context.Context, sentinel func() (string, error)) (id string, err error) {
	if id, err = sentinel(); err != nil {
		return "", err
	}
	if id == "" {
		id = pause.NewRandomID()
	}
	err = s.tx(ctx, func(ctx context.Context, tx sqlstore.Tx) error {
		if err := tx.Exec(ctx, `INSERT INTO adfbot.meta (key, value) VALUES ('installation', ?) ON CONFLICT DO NOTHING`, id); err != nil {
			return err
		}
		return sqlstore.First(ctx, tx, `SELECT value FROM adfbot.meta WHERE key = 'installation'`).Scan(&id)
	})
	return id, err
}

// Close waits for the transactions that are under way.
func (s *Store) Close() error {
	s.claims.Wait() // its callers have released them
	s.pool.close()
	return nil
}

func (s *Store) Path() string { return s.path }

func (s *Store) Installation() string { return s.installation }

// Moved returns nil: every transaction finds out by itself whether its tables are there.
func (s *Store) Moved() error { return nil }

// File returns nil: the state is no file.
func (s *Store) File() os.FileInfo { return nil }

// tables are those with content.
var tables = []string{"meta", "project", "result", "run", "incident", "silence", "evidence", "host_flag", "label", "account", "operator", "scan", "command", "claim", "host"}

// readAllWithin is how long what reads or changes whole tables may take.
const readAllWithin = 10 * time.Minute

// Check reads all rows. Where the server's disk has lost some, or the cluster has checksums and they differ, that fails.
func (s *Store) Check(ctx context.Context) error {
	for _, table := range tables {
		err := s.retryStale(ctx, func(c *connection) (bool, error) {
			_, err := c.runWithin(ctx, readAllWithin, s.statement(`SELECT sum(length(t::text)) IS NULL FROM adfbot.`+table+` AS t`))
			return false, err
		})
		if err != nil {
			return s.Wrap(err)
		}
	}
	return nil
}

var errTakeBack = errors.New("nothing is to be stored")

// Writable locks a row as for a change, and changes nothing.
func (s *Store) Writable(ctx context.Context) error {
	err := s.transact(ctx, func(ctx context.Context, tx sqlstore.Tx) error {
		var id string
		if err := sqlstore.First(ctx, tx, `SELECT value FROM adfbot.meta WHERE key = 'installation' FOR UPDATE`).Scan(&id); err != nil {
			return err
		}
		return errTakeBack
	})
	if errors.Is(err, errTakeBack) {
		return nil
	}
	return err
}

// statement translates a statement of package sqlstore.
func (s *Store) statement(query string, args ...any) statement {
	text, ok := s.texts.Load(query)
	if !ok {
		text = s.translate(query)
		s.texts.Store(query, text)
	}
	st := statement{text: text.(string)}
	for _, a := range args {
		st.args = append(st.args, encode(a))
	}
	return st
}

func (s *Store) translate(query string) string {
	query = strings.ReplaceAll(query, "json_each(?)", "json_array_elements_text(?::json)")
	var b strings.Builder
	for n, part := range strings.Split(s.inSchema(query), "?") {
		if n > 0 {
			fmt.Fprintf(&b, "$%d", n)
		}
		b.WriteString(part)
	}
	return b.String()
}

// inSchema names the schema of the state.
func (s *Store) inSchema(query string) string {
	return strings.ReplaceAll(query, "adfbot.", s.schema+".")
}

// Quote quotes a name, such as fleet-bot, for a statement.
func Quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
