package testpg

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Standby starts a standby of the server, which calls itself name there. It is asynchronous unless the server is told otherwise.
func (s *Server) Standby(t testing.TB, name string) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "pg")
	require.NoError(t, err)
	standby := &Server{bin: s.bin, dir: dir, as: s.as}
	if s.as != nil {
		require.NoError(t, os.Chown(dir, int(s.as.Uid), int(s.as.Gid)))
	}
	copied := exec.Command(filepath.Join(s.bin, "pg_basebackup"), "-D", dir+"/data", "-h", s.dir, "-U", "postgres", "-X", "stream", "-c", "fast", "--no-sync", "-R")
	copied.SysProcAttr, copied.Dir = &syscall.SysProcAttr{Credential: s.as}, dir
	out, err := copied.CombinedOutput()
	require.NoError(t, err, string(out))
	standby.options = []string{"-D", dir + "/data", "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off",
		"-c", fmt.Sprintf("primary_conninfo=host=%s user=postgres application_name=%s", s.dir, name)}
	require.NoError(t, standby.start("ready to accept read-only connections", s.as, dir, filepath.Join(s.bin, "postgres"), standby.options...))
	t.Cleanup(standby.stop)
	return standby
}
