package postgres_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store/postgres"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testpg"
)

func TestInspect(t *testing.T) {
	t.Parallel()
	url := testpg.Database(t)
	o := postgres.Options{Schema: "adfbot", Host: hostA}
	r, err := postgres.Inspect(ctx, url, o)
	require.NoError(t, err)
	require.False(t, r.HasSchema)
	require.True(t, r.MayMake)
	require.Less(t, r.Offset.Abs(), testhost.Patience, "both have the clock of this machine")
	require.False(t, r.Pooler)
	require.Empty(t, r.Lacking)
	require.Empty(t, r.Strange)
	require.Equal(t, []string{"fsync", "full_page_writes"}, r.NotDurable, "of a server for tests")
	require.NotEmpty(t, r.Version)
	require.NotContains(t, r.Version, " ")

	role := "reader_" + r.Database
	testpg.Exec(t, url, `CREATE ROLE `+role+` LOGIN; CREATE SCHEMA adfbot; GRANT USAGE ON SCHEMA adfbot TO `+role)
	r, err = postgres.Inspect(ctx, testpg.AsRole(t, url, role), o)
	require.NoError(t, err)
	require.Equal(t, []string{"CREATE ON SCHEMA adfbot"}, r.Lacking)

	place{url, "adfbot"}.open(t)
	testpg.Exec(t, url, `GRANT USAGE ON SCHEMA adfbot TO `+role+`; GRANT SELECT ON ALL TABLES IN SCHEMA adfbot TO `+role)
	r, err = postgres.Inspect(ctx, testpg.AsRole(t, url, role), o)
	require.NoError(t, err)
	require.True(t, r.HasSchema)
	require.False(t, r.MayMake)
	require.Contains(t, r.Lacking, "INSERT ON adfbot.result")
	require.NotContains(t, r.Lacking, "SELECT ON adfbot.result")
	require.Contains(t, r.Strange, "adfbot.result")
	testpg.Exec(t, url, `DROP OWNED BY `+role+`; DROP ROLE `+role)
}

// What is printed for the administrator works, and works again.
func TestGrants(t *testing.T) {
	t.Parallel()
	psql := psqlProgram(t)
	server := testpg.New(t, "wal_level=replica", "max_wal_senders=4")
	for _, names := range [][2]string{{"adfbot", "adfbot"}, {`o'k"x`, "A b'c"}} {
		for range 2 {
			cmd := exec.Command(psql, "-X", "-v", "ON_ERROR_STOP=1", "-q", "-f", "-", server.URL())
			file, err := os.Open(written(t, postgres.Grants(names[0], names[1])))
			require.NoError(t, err)
			cmd.Stdin = file
			out, err := cmd.CombinedOutput()
			require.NoError(t, errors.Join(err, file.Close()), string(out))
		}
		url := testpg.AsRole(t, testpg.InDatabase(t, server.URL(), names[1]), names[0])
		s := place{url, "adfbot"}.open(t)
		record(t, s, result("failure"))
		r, err := postgres.Inspect(ctx, url, postgres.Options{})
		require.NoError(t, err)
		require.Empty(t, r.Lacking)
	}
	testStandbys(t, server)
}

func written(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func psqlProgram(t *testing.T) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/psql")
	if path, err := exec.LookPath("psql"); err == nil {
		found = append(found, path)
	}
	if len(found) == 0 {
		t.Skip("needs psql")
	}
	return found[0]
}

// Standbys that are not synchronous may lack the last transactions.
func testStandbys(t *testing.T, server *testpg.Server) {
	standby := server.Standby(t, "edge-2")
	look := func() postgres.Report {
		r, err := postgres.Inspect(ctx, server.URL(), postgres.Options{})
		require.NoError(t, err)
		return r
	}
	require.Eventually(t, func() bool { return len(look().Async) > 0 }, testhost.Patience, 10*time.Millisecond)
	require.Equal(t, []string{"edge-2"}, look().Async)
	r, err := postgres.Inspect(ctx, testpg.AsRole(t, server.URL(), "adfbot"), postgres.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"edge-2"}, r.Async, "the role may see it")
	testpg.Exec(t, server.URL(), `REVOKE pg_read_all_stats FROM adfbot`)
	r, err = postgres.Inspect(ctx, testpg.AsRole(t, server.URL(), "adfbot"), postgres.Options{})
	require.NoError(t, err)
	require.Equal(t, 1, r.Hidden)
	require.Empty(t, r.Async)
	testpg.Exec(t, server.URL(), `ALTER SYSTEM SET synchronous_standby_names = '*'`)
	testpg.Exec(t, server.URL(), `SELECT pg_reload_conf()`)
	require.Eventually(t, func() bool { return len(look().Async) == 0 }, testhost.Patience, 10*time.Millisecond)
	require.False(t, look().Waits)

	standby.Stop()
	committed := make(chan struct{})
	go func() {
		defer close(committed)
		testpg.Exec(t, server.URL(), `CREATE TABLE without_standby ()`)
	}()
	require.Eventually(t, func() bool { return look().Waits }, testhost.Patience, 10*time.Millisecond)
	testpg.Exec(t, server.URL(), `ALTER SYSTEM RESET synchronous_standby_names`)
	testpg.Exec(t, server.URL(), `SELECT pg_reload_conf()`)
	<-committed
	require.False(t, look().Waits)
}
