package main

import (
	"database/sql"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/terraphim/adfbot/internal/testhost"
)

// A daemon that was started before an upgrade spools what is reported to it and says why; the new version counts it.
func TestUpgradeUnderADaemon(t *testing.T) {
	t.Parallel()
	const why = "a newer version of adfbot has upgraded the state"
	w := newWorld(t)
	client, log := serveHere(t, w)
	state, err := sql.Open("sqlite", "file:"+w.path("state/adfbot.db")+"?_pragma=busy_timeout(20000)") // the daemon sweeps
	require.NoError(t, err)
	defer func() { require.NoError(t, state.Close()) }()
	var version string
	require.NoError(t, state.QueryRow(`PRAGMA user_version`).Scan(&version))

	_, err = state.Exec(`PRAGMA user_version = 999`)
	require.NoError(t, err)
	kept := fetch(t, client, http.StatusAccepted, "/api/v1/results", `{"project":"odilo","exit_code":1}`)
	require.Contains(t, kept, `"spooled":true`)
	require.Contains(t, kept, why)
	require.Contains(t, kept, "adfbot help upgrade")
	require.Contains(t, fetch(t, client, http.StatusServiceUnavailable, "/readyz", ""), why)
	require.Regexp(t, `level=ERROR msg="a result is spooled".*project=odilo.*`+why, log.String())

	_, err = state.Exec(`PRAGMA user_version = ` + version)
	require.NoError(t, err)
	w.ok("sweep")
	require.Equal(t, 1, w.failures("odilo"))
	require.Eventually(t, func() bool { // a sweep may have begun before
		resp, err := client.Get("http://adfbot/readyz")
		return err == nil && resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
	}, testhost.Patience, time.Millisecond)
	fetch(t, client, http.StatusOK, "/api/v1/results", `{"project":"odilo","exit_code":1}`)
	require.Equal(t, 2, w.failures("odilo"))
}
