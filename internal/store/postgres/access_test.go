package postgres_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/postgres"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testpg"
)

// Whatever keeps the state from being used is told with its cure, and the caller spools.
func TestUnusable(t *testing.T) {
	t.Parallel()
	server := testpg.New(t)
	admin := server.URL()
	testpg.Exec(t, admin, `CREATE ROLE bot LOGIN; CREATE ROLE secret LOGIN PASSWORD 'right'`)
	testpg.Exec(t, admin, `CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0`)
	server.SetAccess(t, "local all secret scram-sha-256", "local all nobody reject", "local all all trust")
	unusable := func(p place, o postgres.Options, advice string) {
		t.Helper()
		err := p.try(t, o)
		require.ErrorIs(t, err, store.ErrUnusable)
		require.ErrorContains(t, err, advice)
		require.NotErrorIs(t, err, store.ErrDenied, "another user of this machine can do no more")
	}

	secret := place{testpg.AsRole(t, admin, "secret"), "secret"}
	testpg.Exec(t, admin, `CREATE SCHEMA secret AUTHORIZATION secret`)
	var password string
	o := postgres.Options{Password: func() (string, error) { return password, nil }}
	password = "wrong"
	unusable(secret, o, "correct the file that `state_password_file` names")
	password = "right"
	require.NoError(t, secret.try(t, o))
	no := errors.New("cannot be read")
	require.ErrorIs(t, secret.try(t, postgres.Options{Password: func() (string, error) { return "", no }}), no)

	unusable(place{testpg.AsRole(t, admin, "nobody"), "s"}, postgres.Options{}, "pg_hba.conf")
	unusable(place{testpg.InDatabase(t, admin, "none"), "s"}, postgres.Options{}, `CREATE DATABASE "none" OWNER "postgres"`)
	unusable(place{testpg.InDatabase(t, admin, "latin"), "s"}, postgres.Options{}, "ENCODING 'UTF8'")

	testpg.Exec(t, admin, `CREATE DATABASE closed`)
	testpg.Exec(t, admin, `REVOKE CONNECT ON DATABASE closed FROM PUBLIC`)
	closed := testpg.InDatabase(t, testpg.AsRole(t, admin, "bot"), "closed")
	unusable(place{closed, "s"}, postgres.Options{}, `GRANT CONNECT ON DATABASE "closed" TO "bot"`)
	testpg.Exec(t, admin, `CREATE ROLE few LOGIN CONNECTION LIMIT 0`)
	unusable(place{testpg.AsRole(t, admin, "few"), "s"}, postgres.Options{}, `raise CONNECTION LIMIT of the role "few" or of the database "postgres"; `+
		"each host's daemon takes up to 5, and each command that does not go through it up to 4")

	bot := place{testpg.AsRole(t, admin, "bot"), "theirs"}
	unusable(bot, postgres.Options{}, `CREATE SCHEMA theirs AUTHORIZATION "bot"`)
	testpg.Exec(t, admin, `CREATE SCHEMA theirs AUTHORIZATION bot`)
	s := bot.open(t)
	record(t, s, result(store.Failure))
	testpg.Exec(t, admin, `REVOKE ALL ON ALL TABLES IN SCHEMA theirs FROM bot; REVOKE ALL ON SCHEMA theirs FROM bot; ALTER SCHEMA theirs OWNER TO postgres`)
	_, err := s.Record(ctx, result(store.Failure), limits)
	require.ErrorIs(t, err, store.ErrUnusable)
	require.ErrorContains(t, err, "bot lacks rights on the schema theirs")
	unusable(bot, postgres.Options{}, "lacks rights")

	testpg.Exec(t, admin, `GRANT ALL ON SCHEMA theirs TO bot; DROP TABLE theirs.meta`)
	_, err = s.Record(ctx, result(store.Failure), limits)
	require.ErrorIs(t, err, store.ErrUnusable)
	require.ErrorContains(t, err, "the schema theirs is not as adfbot made it: restore a backup; to begin anew, drop what is left in it, and run `adfbot restore` on one host")

	for _, made := range []string{`DROP SCHEMA theirs CASCADE`, `CREATE SCHEMA theirs AUTHORIZATION bot`} { // while the daemon runs
		testpg.Exec(t, admin, made)
		_, err = s.Record(ctx, result(store.Failure), limits)
		require.ErrorIs(t, err, store.ErrUnusable)
		require.ErrorContains(t, err, store.LostShared)
	}

	testpg.Exec(t, admin, `CREATE SCHEMA other; CREATE TABLE other.meta (key TEXT, value TEXT)`)
	unusable(place{admin, "other"}, postgres.Options{}, "use another database")

	url := server.URL()
	server.Stop()
	unusable(place{url, "s"}, postgres.Options{}, "see whether PostgreSQL runs there")
}

func TestAdviceOnPooler(t *testing.T) {
	t.Parallel()
	server := testpg.New(t)
	place{server.URL(), "adfbot"}.open(t)
	statements := place{server.Pooler(t, "pool_mode = statement"), "adfbot"}.open(t)
	_, err := statements.Record(ctx, result(store.Failure), limits)
	require.ErrorIs(t, err, store.ErrUnusable)
	require.ErrorContains(t, err, "set pool_mode = transaction there")
	require.ErrorContains(t, statements.Writable(ctx), "set pool_mode = transaction there")

	few := place{server.Pooler(t, "max_client_conn = 1"), "adfbot"}
	few.open(t)
	require.ErrorContains(t, few.try(t, postgres.Options{}), "raise max_client_conn there")

	busy := server.Pooler(t, "default_pool_size = 1", "query_wait_timeout = 0.1")
	require.ErrorContains(t, place{testpg.InDatabase(t, busy, "none"), "adfbot"}.try(t, postgres.Options{}), "does not pass postgres on to the database none")
	require.Eventually(t, func() bool { // where the pooler is slow, it keeps this waiting for too long, too
		holder, err := pgconn.Connect(ctx, busy)
		if err != nil {
			return false
		}
		t.Cleanup(func() { _ = holder.Close(ctx) })
		_, err = holder.Exec(ctx, `BEGIN`).ReadAll()
		return err == nil
	}, testhost.Patience, time.Millisecond)
	require.ErrorContains(t, place{busy, "adfbot"}.try(t, postgres.Options{}), "raise default_pool_size there")
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	require.ErrorIs(t, p.try(t, postgres.Options{ReadOnly: true}), fs.ErrNotExist)
	s := p.open(t)
	reading, err := postgres.Open(ctx, p.url, postgres.Options{Schema: p.schema, Host: hostA, ReadOnly: true})
	require.NoError(t, err)
	_, err = reading.Record(ctx, result(store.Failure), limits)
	require.ErrorContains(t, err, "opened for reading")
	require.ErrorContains(t, reading.SetMeta(ctx, "x", "y"), "opened for reading")
	require.NoError(t, reading.Close())
	testpg.Exec(t, p.url, `UPDATE `+p.schema+`.meta SET value = '0' WHERE key = 'schema_version'`)
	err = p.try(t, postgres.Options{ReadOnly: true})
	require.ErrorIs(t, err, store.ErrUnusable)
	require.ErrorContains(t, err, "an earlier version of adfbot made it")
	_, err = s.Record(ctx, result(store.Failure), limits)
	require.ErrorIs(t, err, store.ErrUnusable)
}

// After a failover, a connection to the old server must not be used again.
func TestReadOnlyServer(t *testing.T) {
	t.Parallel()
	server := testpg.New(t)
	p := place{server.URL(), "adfbot"}
	s := p.open(t)
	record(t, s, result(store.Failure))
	setReadOnly := func(on string) {
		testpg.Exec(t, p.url, `ALTER SYSTEM SET default_transaction_read_only = `+on)
		testpg.Exec(t, p.url, `SELECT pg_reload_conf()`)
		require.Eventually(t, func() bool { return testpg.Text(t, p.url, `SHOW default_transaction_read_only`) == on }, testhost.Patience, time.Millisecond)
	}
	setReadOnly("on")
	_, err := s.Record(ctx, result(store.Failure), limits)
	require.ErrorIs(t, err, store.ErrUnusable)
	require.ErrorContains(t, err, "primary")
	require.ErrorIs(t, s.Writable(ctx), store.ErrUnusable)
	require.ErrorIs(t, p.try(t, postgres.Options{}), store.ErrUnusable)
	testpg.Exec(t, testpg.WithParameter(t, p.url, "default_transaction_read_only", "off"), `ALTER SYSTEM RESET default_transaction_read_only; `)
	testpg.Exec(t, p.url, `SELECT pg_reload_conf()`)
	require.Eventually(t, func() bool { return s.Writable(ctx) == nil }, testhost.Patience, time.Millisecond)
	require.Equal(t, 2, record(t, s, result(store.Failure)).Failures)
}

// A URL may name several servers. The one that takes changes is used.
func TestSeveralServers(t *testing.T) {
	t.Parallel()
	standby, primary := testpg.New(t, "default_transaction_read_only=on"), testpg.New(t)
	host := func(s *testpg.Server) string { return filepath.Dir(s.Socket()) }
	p := place{testpg.WithParameter(t, primary.URL(), "host", "/nonexistent,"+host(standby)+","+host(primary)), "adfbot"}
	s := p.open(t)
	require.Equal(t, 1, record(t, s, result(store.Failure)).Failures)
	require.Equal(t, "1", testpg.Text(t, primary.URL(), `SELECT count(*) FROM adfbot.result`))
}

func TestServerTooOld(t *testing.T) {
	t.Parallel()
	server := testpg.New(t)
	proxy := server.Proxy(t)
	proxy.SetFilters(nil, func(data []byte) ([]byte, bool) {
		return []byte(strings.Replace(string(data), "server_version\x001", "server_version\x000", 1)), false
	})
	err := place{proxy.URL(), "adfbot"}.try(t, postgres.Options{})
	require.ErrorIs(t, err, store.ErrUnusable)
	require.ErrorContains(t, err, "too old: upgrade it to 14 or later")
}

// A server that accepts connections and says nothing keeps nobody for long.
func TestServerHangs(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	begin := time.Now()
	err = place{"postgres://bot@" + l.Addr().String() + "/adfbot?connect_timeout=1&sslmode=disable", "s"}.try(t, postgres.Options{})
	require.ErrorIs(t, err, store.ErrUnusable)
	require.Less(t, time.Since(begin), testhost.Patience)

	canceled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = postgres.Open(canceled, "postgres://bot@"+l.Addr().String()+"/adfbot", postgres.Options{Host: hostA})
	require.ErrorIs(t, err, context.Canceled)
}

func TestNewerVersion(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.open(t)
	trip(t, s, "odilo")
	testpg.Exec(t, p.url, `UPDATE `+p.schema+`.meta SET value = '999' WHERE key = 'schema_version'`)
	before := testpg.Text(t, p.url, `SELECT count(*) FROM `+p.schema+`.result`)
	_, err := s.Record(ctx, result(store.Failure), limits)
	newer := func(err error) {
		t.Helper()
		require.ErrorIs(t, err, store.ErrNewer)
		require.ErrorIs(t, err, store.ErrUnusable)
		require.ErrorContains(t, err, "its version is 999, this adfbot knows up to 5")
	}
	newer(err)
	newer(s.SetMeta(ctx, "k", "v")) // a method that only writes
	newer(s.Writable(ctx))
	newer(p.try(t, postgres.Options{}))
	newer(p.try(t, postgres.Options{ReadOnly: true}))
	require.Equal(t, before, testpg.Text(t, p.url, `SELECT count(*) FROM `+p.schema+`.result`))
	require.Equal(t, "0", testpg.Text(t, p.url, `SELECT count(*) FROM `+p.schema+`.meta WHERE key = 'k'`))
}

func TestOpenedByManyAtOnce(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	const n = 8
	ids, errs := make(chan string, n), make(chan error, n)
	for range n {
		go func() {
			s, err := postgres.Open(ctx, p.url, postgres.Options{Schema: p.schema, Host: hostA})
			errs <- err
			if err == nil {
				ids <- s.Installation()
				_ = s.Close()
			}
		}()
	}
	var first string
	for k := range n {
		require.NoError(t, <-errs)
		id := <-ids
		if k == 0 {
			first = id
		}
		require.Equal(t, first, id)
	}
}

func TestSentinel(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	no := errors.New("the pause directory can't be read")
	require.ErrorIs(t, p.try(t, postgres.Options{Sentinel: func() (string, error) { return "", no }}), no)
	known := strings.Repeat("c", 32)
	require.NoError(t, p.try(t, postgres.Options{Sentinel: func() (string, error) { return known, nil }}))
	require.Equal(t, known, p.open(t).Installation())
}

// The primary has become a standby of another server. The next result goes there, and nobody notices.
func TestFailover(t *testing.T) {
	t.Parallel()
	old, next := testpg.New(t), testpg.New(t)
	id := func() (string, error) { return strings.Repeat("c", 32), nil }
	for _, server := range []*testpg.Server{old, next} {
		require.NoError(t, place{server.URL(), "adfbot"}.try(t, postgres.Options{Sentinel: id}))
	}
	record(t, place{next.URL(), "adfbot"}.open(t), result(store.Failure))
	host := func(s *testpg.Server) string { return filepath.Dir(s.Socket()) }
	s := place{testpg.WithParameter(t, old.URL(), "host", host(old)+","+host(next)), "adfbot"}.open(t)
	require.Equal(t, 1, record(t, s, result(store.Failure)).Failures)
	testpg.Exec(t, old.URL(), `ALTER SYSTEM SET default_transaction_read_only = on`)
	testpg.Exec(t, old.URL(), `SELECT pg_reload_conf()`)
	require.Eventually(t, func() bool { // once the session has noticed
		record(t, s, result(store.Success))
		return testpg.Text(t, next.URL(), `SELECT count(*) FROM adfbot.result`) == "2"
	}, testhost.Patience, time.Millisecond)
}

// The name leads to the database of another fleet. What is open neither reads nor changes it, until its own one is back.
func TestOtherInstallation(t *testing.T) {
	t.Parallel()
	p, other := place{testpg.Database(t), "adfbot"}, place{testpg.Database(t), "adfbot"}
	record(t, other.open(t), result(store.Success))
	s := p.open(t)
	id := trip(t, s, "odilo")
	results := func() string { return testpg.Text(t, p.url, `SELECT count(*) FROM adfbot.result`) }
	for what, do := range map[string]func() error{
		"record": func() error { _, err := s.Record(ctx, result(store.Failure), limits); return err },
		"set":    func() error { return s.SetMeta(ctx, "k", "v") },
		"beat":   func() error { return s.Beat(ctx, store.Host{Name: "edge-1"}) },
		"claim":  func() error { _, _, err := s.Claim(ctx, "sweep", 0); return err },
		"read":   func() error { _, err := s.Project(ctx, "odilo"); return err },
		"list":   func() error { _, err := s.Hosts(ctx); return err },
		"flags":  func() error { _, err := s.HostFlags(ctx); return err },
		"states": func() error { _, err := s.Overview(ctx, "", 3); return err },
	} {
		testpg.Exchange(t, p.url, other.url)
		err := do()
		require.ErrorIs(t, err, store.ErrUnusable, what)
		require.ErrorContains(t, err, "another installation", what)
		require.ErrorContains(t, err, s.Installation(), what)
		require.Equal(t, "1", results(), what)
		testpg.Exchange(t, p.url, other.url)
	}
	require.Equal(t, "0", testpg.Text(t, other.url, `SELECT (SELECT count(*) FROM adfbot.claim) + (SELECT count(*) FROM adfbot.host)`))
	require.True(t, resume(t, s, "odilo", id))
}

// A pooler may keep a connection, and have it lead to another database.
func TestOtherInstallationOnTheSameConnection(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.open(t)
	record(t, s, result(store.Success))
	set := func(id string) {
		testpg.Exec(t, p.url, `UPDATE `+p.schema+`.meta SET value = '`+id+`' WHERE key = 'installation'`)
	}
	set(strings.Repeat("c", 32))
	_, err := s.Project(ctx, "odilo")
	require.ErrorContains(t, err, "another installation")
	_, err = s.HostFlags(ctx)
	require.ErrorContains(t, err, "another installation")
	set(s.Installation())
	record(t, s, result(store.Success))
}
