package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store/postgres"
	"github.com/terraphim/adfbot/internal/testhost"
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
	const agents = "set http.socket and projects[].users"
	require.NotContains(t, out, agents) // there is no password
	require.NoError(t, os.WriteFile(w.path("password"), []byte("hunter2\n"), 0o600))
	again := w.ok("migrate", "--password-file", w.path("password"), url)
	require.Contains(t, again, "nothing to do: ")
	require.Contains(t, again, agents)

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

// A member of the bot's group who has recorded the first result owns what lies beside the state. Nobody should be told to act as them.
func TestMigrateFilesOfAMember(t *testing.T) {
	t.Parallel()
	testhost.NeedRoot(t, "to give files to another user")
	url := testpg.Database(t)
	w := newWorld(t)
	w.ok("record", "--project", "odilo", "--failure")
	local := w.path("state/adfbot.db.d")
	require.NoError(t, os.Chown(local, 4711, 4711))
	require.Contains(t, w.ok("migrate", url), "\n\n"+local+" belongs to #4711, who has recorded the first result: run chown -R root "+local+" as root\n\nOther hosts")
	require.NoError(t, os.Chown(local, 0, 0))
	require.NotContains(t, w.ok("migrate", url), "chown")
}

// A flag that somebody removes after the move, and before this host has used the new state, resumes its project. All others stay paused.
func TestMigrateThenRemoveFlag(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		first func(w *world)
	}{
		{"sweep", func(w *world) { w.ok("sweep") }},
		{"serve", func(w *world) {
			s := serve(w.t, w)
			s.await("the daemon closes the issue", func() bool { return w.count(theRepo, "closed") == 1 })
		}},
		{"record", func(w *world) {
			w.ok("record", "--project", "odilo", "--success")
			w.ok("sweep")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.t = t
			url := testpg.Database(t)
			w.trip()
			w.ok("pause", "quick")
			w.ok("migrate", url)
			w.useDatabase(url)
			require.NoError(t, os.Remove(w.path("pause/odilo")))

			c.first(w)
			_, code := w.run("gate", "odilo")
			require.Zero(t, code)
			require.NoFileExists(t, w.path("pause/odilo"))
			_, code = w.run("gate", "quick")
			require.Equal(t, 75, code)
			w.settle()
			require.Equal(t, []string{
				theRepo + "#1 closed, 1 comments", "file .adfbot", "file .adfbot.host", "file quick", "quick: paused yes, held true, 0 failures",
			}, w.state())
		})
	}
}

// useDatabase changes the configuration as migrate prints it.
func (w *world) useDatabase(url string) {
	w.t.Helper()
	doc, err := os.ReadFile(w.path("config.yaml"))
	require.NoError(w.t, err)
	file := "state: " + w.path("state/adfbot.db")
	require.Contains(w.t, string(doc), file)
	changed := strings.Replace(string(doc), file, "state: \""+url+"\"\nlocal_dir: "+w.path("state/adfbot.db.d"), 1)
	require.NoError(w.t, os.WriteFile(w.path("config.yaml"), []byte(changed), 0o644))
}
