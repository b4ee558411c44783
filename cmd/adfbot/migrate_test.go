package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store/postgres"
	"github.com/terraphim/adfbot/internal/testpg"
)

func TestMigrate(t *testing.T) {
	t.Parallel()
	url := testpg.Database(t)
	w := newWorld(t)
	w.trip()
	w.ok("pause", "quick")
	w.ok("record", "--project", "digital-twins", "--failure")

	out := w.ok("migrate", url)
	require.Contains(t, out, w.path("state/adfbot.db")+" is moved to "+url+": 3 projects, 4 results, 1 incident")
	require.Contains(t, out, "\nstate: \""+url+"\"\nlocal_dir: \""+w.path("state/adfbot.db.d")+"\"\n")
	require.Contains(t, w.ok("migrate", url), "nothing to do: ")

	// Until the configuration is changed, nothing is lost.
	old := w.child([]string{"record", "--project", "digital-twins", "--failure"})
	said, err := old.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(said), "the state was moved to "+url)
	require.Contains(t, string(said), "the result is kept in ")
	spooled, err := filepath.Glob(w.path("state/adfbot.db.d/spool/*.json"))
	require.NoError(t, err)
	require.Len(t, spooled, 1)
	_, code := w.run("gate", "odilo")
	require.Equal(t, 75, code)

	// This host's flags are known in the new state.
	host, err := hostlocal.Beside(w.path("state/adfbot.db")).HostID(t.Context())
	require.NoError(t, err)
	s, err := postgres.Open(t.Context(), url, postgres.Options{Host: host})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	states, err := s.ProjectStates(t.Context())
	require.NoError(t, err)
	require.True(t, states["odilo"].Confirmed.Stands())
	require.True(t, states["quick"].Confirmed.Stands())
	sentinel, err := os.ReadFile(w.path("pause/.adfbot"))
	require.NoError(t, err)
	require.Contains(t, string(sentinel), s.Installation())
}
