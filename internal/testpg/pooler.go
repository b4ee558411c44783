package testpg

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Pooler starts pgbouncer in transaction mode before the server, with few connections to it, and returns the URL of its superuser.
// Settings are lines of its configuration. It skips the test where there is no pgbouncer.
func (s *Server) Pooler(t testing.TB, settings ...string) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer"
	}
	if _, err := os.Stat(program); err != nil {
		skip(t, "needs pgbouncer: install it")
	}
	dir, err := os.MkdirTemp("", "bouncer")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
		return path
	}
	users := write("users", `"postgres" ""`)
	config := write("pgbouncer.ini", fmt.Sprintf(`[databases]
postgres = host=%s dbname=postgres user=postgres
[pgbouncer]
listen_addr =
listen_port = 5432
unix_socket_dir = %s
auth_type = trust
auth_file = %s
pool_mode = transaction
default_pool_size = 3
%s
`, s.dir, dir, users, strings.Join(settings, "\n")))
	if s.as != nil {
		require.NoError(t, os.Chown(dir, int(s.as.Uid), int(s.as.Gid)))
	}
	var p process
	require.NoError(t, p.start("process up", s.as, dir, program, config))
	t.Cleanup(func() { p.signal(syscall.SIGQUIT) })
	return patient(socketURL(dir))
}
