package testpg

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/testhost"
)

// Server is a server of PostgreSQL in a temporary directory, which listens on a socket there.
type Server struct {
	bin, dir string
	options  []string
	as       *syscall.Credential

	process
}

// New starts a server that is the test's own, with settings such as "fsync=on".
func New(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := start(findPrograms(t), settings...)
	require.NoError(t, err)
	t.Cleanup(s.stop)
	return s
}

// findPrograms returns the directory of initdb and postgres.
func findPrograms(t testing.TB) string {
	t.Helper()
	candidates, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	slices.SortFunc(candidates, func(a, b string) int { return majorOf(b) - majorOf(a) })
	if path, err := exec.LookPath("initdb"); err == nil {
		candidates = append([]string{path}, candidates...)
	}
	for _, path := range candidates {
		if path, err := filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path)
		}
	}
	skip(t, "needs PostgreSQL: there is no initdb in PATH or /usr/lib/postgresql; install it, or set "+URLVar+" to the URL of a server")
	return ""
}

// majorOf returns the version in a path such as /usr/lib/postgresql/15/bin/initdb.
func majorOf(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}

func start(bin string, settings ...string) (*Server, error) {
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir}
	if err := s.prepare(settings); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	return s, nil
}

// prepare makes the cluster and starts the server. PostgreSQL refuses to run as root.
func (s *Server) prepare(settings []string) error {
	if err := s.becomeUser(); err != nil {
		return err
	}
	made, err := newCluster(s.bin)
	if err != nil {
		return err
	}
	if err := s.program("cp", "-a", made, s.dir+"/data"); err != nil {
		return err
	}
	s.options = []string{"-D", s.dir + "/data", "-k", s.dir, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "full_page_writes=off"}
	for _, setting := range settings {
		s.options = append(s.options, "-c", setting)
	}
	return s.run()
}

// cluster is a new one, of which each server of this process gets a copy: initdb takes ten times as long as that.
var cluster struct {
	once sync.Once
	dir  string
	err  error
}

// newCluster returns the path of the cluster that is copied.
func newCluster(bin string) (string, error) {
	cluster.once.Do(func() {
		if cluster.dir, cluster.err = os.MkdirTemp("", "pg"); cluster.err != nil {
			return
		}
		s := &Server{bin: bin, dir: cluster.dir}
		if cluster.err = s.becomeUser(); cluster.err == nil {
			cluster.err = s.program(filepath.Join(bin, "initdb"),
				"-D", s.dir+"/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
		}
	})
	return cluster.dir + "/data", cluster.err
}

// program runs a program as the server's user.
func (s *Server) program(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr, cmd.Dir = &syscall.SysProcAttr{Credential: s.as}, s.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// becomeUser has what root starts run as another user.
func (s *Server) becomeUser() (err error) {
	if os.Geteuid() != 0 {
		return nil
	}
	if s.as, err = serverUser(); err == nil {
		err = os.Chown(s.dir, int(s.as.Uid), int(s.as.Gid))
	}
	return err
}

// serverUser returns the user that runs servers in place of root.
func serverUser() (*syscall.Credential, error) {
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

// Start starts the server again. The last processes of one that was killed may have to end first.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	var err error
	for begin := time.Now(); time.Since(begin) < testhost.Patience; time.Sleep(10 * time.Millisecond) {
		if err = s.run(); err == nil {
			return
		}
	}
	require.NoError(t, err)
}

func (s *Server) run() error {
	return s.start("ready to accept connections", s.as, s.dir, filepath.Join(s.bin, "postgres"), s.options...)
}

// URL is that of the superuser.
func (s *Server) URL() string { return patient(socketURL(s.dir)) }

// Socket is the path of the server's socket.
func (s *Server) Socket() string { return filepath.Join(s.dir, ".s.PGSQL.5432") }

// Log returns what the server has logged.
func (s *Server) Log() string { return s.log.String() }

// Kill ends all processes of the server as kill -9 does, and waits for their end.
func (s *Server) Kill() {
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", s.cmd.Process.Pid))
	_ = s.cmd.Process.Kill()
	for _, child := range strings.Fields(string(children)) {
		if pid, err := strconv.Atoi(child); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	<-s.ended // their log is closed
}

// Stop stops the server, breaking off what it does.
func (s *Server) Stop() { s.signal(syscall.SIGINT) }

func (s *Server) stop() {
	s.signal(syscall.SIGQUIT)
	_ = os.RemoveAll(s.dir)
}

// SetAccess replaces the rules of pg_hba.conf, which say who may log in, and how.
func (s *Server) SetAccess(t testing.TB, rules ...string) {
	t.Helper()
	require.NoError(t, os.WriteFile(s.dir+"/data/pg_hba.conf", []byte(strings.Join(rules, "\n")+"\n"), 0o600))
	Exec(t, s.URL(), `SELECT pg_reload_conf()`)
}

// Exec executes statements.
func Exec(t testing.TB, database, statements string) {
	t.Helper()
	withConnection(t, database, func(ctx context.Context, c *pgconn.PgConn) {
		_, err := c.Exec(ctx, statements).ReadAll()
		require.NoError(t, err)
	})
}

// Text returns the first column of the first row of a query.
func Text(t testing.TB, database, query string) (text string) {
	t.Helper()
	withConnection(t, database, func(ctx context.Context, c *pgconn.PgConn) {
		results, err := c.Exec(ctx, query).ReadAll()
		require.NoError(t, err)
		require.NotEmpty(t, results[0].Rows, query)
		text = string(results[0].Rows[0][0])
	})
	return text
}

func withConnection(t testing.TB, database string, f func(ctx context.Context, c *pgconn.PgConn)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testhost.Patience)
	defer cancel()
	c, err := pgconn.Connect(ctx, database)
	require.NoError(t, err)
	defer func() { _ = c.Close(ctx) }()
	f(ctx, c)
}
