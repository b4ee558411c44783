// Package testpg gives tests a PostgreSQL server: the one that ADFBOT_TEST_POSTGRES names by its URL, else one that is started once
// for each test process from what is installed. Where there is neither, tests are skipped.
//
//	func TestMain(m *testing.M) { testpg.Main(m, testhost.Funcs{}) }
package testpg

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/pause"
)

// URLVar names a server to use. Its role must be allowed to create schemas and databases.
const URLVar = "ADFBOT_TEST_POSTGRES"

// requireVar is set where no test may be skipped.
const requireVar = "ADFBOT_REQUIRE_POSTGRES"

// skip skips a test, or fails it where none may be skipped.
func skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv(requireVar) != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// Main is [testhost.MainOverlapping] for a package that uses a server.
func Main(m *testing.M, funcs testhost.Funcs) {
	testhost.RunChild(funcs)
	testhost.UseMemory()
	testhost.Overlap()
	code := m.Run()
	Stop()
	os.Exit(code)
}

// Stop stops the server of this process, if there is one, and removes the cluster that servers are copied from.
func Stop() {
	if shared.server != nil {
		shared.server.stop()
	}
	_ = os.RemoveAll(cluster.dir) // none, if no server was started
}

// shared is the server of this process.
var shared struct {
	once   sync.Once
	server *Server
	err    error
}

// Schema returns the URL of a database and the name of a schema that is not there yet. The schema is dropped when the test ends.
func Schema(t testing.TB) (database, schema string) {
	t.Helper()
	schema = "adfbot_test_" + pause.NewRandomID()[:12]
	if database = os.Getenv(URLVar); database == "" {
		return sharedServer(t).URL(), schema // which is thrown away
	}
	t.Cleanup(func() { Exec(t, database, `DROP SCHEMA IF EXISTS `+schema+` CASCADE`) })
	return database, schema
}

// Database returns the URL of a new, empty database. It is dropped when the test ends.
func Database(t testing.TB) string {
	t.Helper()
	return newDatabase(t, "template0")
}

// Copy returns the URL of a copy of a database of [Database], to which nobody is connected. It is dropped when the test ends.
func Copy(t testing.TB, database string) string {
	t.Helper()
	u, err := url.Parse(database)
	require.NoError(t, err)
	return newDatabase(t, strings.TrimPrefix(u.Path, "/"))
}

// Exchange has the URL of each of two databases of [Database] lead to the other one. Their connections are closed.
func Exchange(t testing.TB, one, other string) {
	t.Helper()
	name := func(database string) string {
		u, err := url.Parse(database)
		require.NoError(t, err)
		return strings.TrimPrefix(u.Path, "/")
	}
	a, b, server := name(one), name(other), serverURL(t)
	Exec(t, server, `ALTER DATABASE `+a+` ALLOW_CONNECTIONS false; ALTER DATABASE `+b+` ALLOW_CONNECTIONS false`)
	Exec(t, server, `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname IN ('`+a+`', '`+b+`')`)
	Exec(t, server, `ALTER DATABASE `+a+` RENAME TO `+a+`_aside; ALTER DATABASE `+b+` RENAME TO `+a+`; ALTER DATABASE `+a+`_aside RENAME TO `+b)
	Exec(t, server, `ALTER DATABASE `+a+` ALLOW_CONNECTIONS true; ALTER DATABASE `+b+` ALLOW_CONNECTIONS true`)
}

func serverURL(t testing.TB) string {
	t.Helper()
	if server := os.Getenv(URLVar); server != "" {
		return server
	}
	return sharedServer(t).URL()
}

func newDatabase(t testing.TB, template string) string {
	t.Helper()
	name := "adfbot_test_" + pause.NewRandomID()[:12]
	server := serverURL(t)
	if os.Getenv(URLVar) != "" {
		t.Cleanup(func() { Exec(t, server, `DROP DATABASE IF EXISTS `+name+` WITH (FORCE)`) })
	}
	withConnection(t, server, func(ctx context.Context, c *pgconn.PgConn) {
		statement := `CREATE DATABASE ` + name + ` TEMPLATE ` + template + ` ENCODING 'UTF8'`
		if v, _, _ := strings.Cut(c.ParameterStatus("server_version"), "."); v != "14" { // which has no other
			statement += ` STRATEGY file_copy` // a third of the work, as nothing is written to the log
		}
		_, err := c.Exec(ctx, statement).ReadAll()
		require.NoError(t, err)
	})
	return InDatabase(t, server, name)
}

// Template is a database of which tests get copies.
type Template struct {
	once sync.Once
	url  string
}

// Copy returns the URL of a copy of the database, which prepare has filled once for this process. It is dropped when the test ends.
// prepare must leave no connection open.
func (d *Template) Copy(t testing.TB, prepare func(database string)) string {
	t.Helper()
	if os.Getenv(URLVar) != "" { // a template would stay there
		database := Database(t)
		prepare(database)
		return database
	}
	serverURL(t) // skips each test where there is no server, not only the first
	d.once.Do(func() {
		database := Database(t)
		prepare(database)
		d.url = database
	})
	require.NotEmpty(t, d.url, "an earlier test could not prepare it")
	return Copy(t, d.url)
}

// Pooler is [Server.Pooler] before the server of this process.
func Pooler(t testing.TB, settings ...string) string {
	t.Helper()
	return sharedServer(t).Pooler(t, settings...)
}

// NewProxy is [Server.Proxy] before the server of this process. It skips the test if that is not one that the tests have started.
func NewProxy(t testing.TB) *Proxy {
	t.Helper()
	if os.Getenv(URLVar) != "" {
		t.Skip("needs a server of its own, and not the one that " + URLVar + " names")
	}
	return sharedServer(t).Proxy(t)
}

func sharedServer(t testing.TB) *Server {
	t.Helper()
	bin := findPrograms(t)
	shared.once.Do(func() { shared.server, shared.err = start(bin) })
	require.NoError(t, shared.err)
	return shared.server
}

// WithParameter returns a URL with a parameter set.
func WithParameter(t testing.TB, database, key, value string) string {
	t.Helper()
	u, err := url.Parse(database)
	require.NoError(t, err)
	q := u.Query()
	q.Set(key, value)
	u.RawQuery = q.Encode()
	return u.String()
}

// AsRole returns a URL for another role.
func AsRole(t testing.TB, database, role string) string {
	t.Helper()
	u, err := url.Parse(database)
	require.NoError(t, err)
	u.User = url.User(role)
	return u.String()
}

// InDatabase returns a URL of another database of the same server.
func InDatabase(t testing.TB, database, name string) string {
	t.Helper()
	u, err := url.Parse(database)
	require.NoError(t, err)
	u.Path = "/" + name
	return u.String()
}

func socketURL(dir string) string {
	return fmt.Sprintf("postgres://postgres@/postgres?%s", url.Values{"host": {dir}, "sslmode": {"disable"}}.Encode())
}

// patient has whoever connects wait for as long as adfbot waits for any answer. The two seconds that are its default are too short where a
// machine is busy.
func patient(database string) string { return database + "&connect_timeout=10" }
