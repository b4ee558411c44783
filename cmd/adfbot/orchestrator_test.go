package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/status"
)

// blockWith returns the one block of a topic that contains a text.
func blockWith(t *testing.T, name, text string) string {
	t.Helper()
	var found []string
	for _, b := range blocksIn(topic(t, name)) {
		if strings.Contains(b.text, text) {
			found = append(found, b.text)
		}
	}
	require.Len(t, found, 1, text)
	return found[0]
}

// projectNamed is the status of a project.
func projectNamed(w *world, id string) status.Project {
	w.t.Helper()
	for _, p := range w.status().Projects {
		if p.ID == id {
			return p
		}
	}
	w.t.Fatalf("no project %s", id)
	return status.Project{}
}

// The orchestrator's fleet-meta takes the sentinel for a paused project, and with the condition of the topic it does not.
func TestFleetMetaSeesNoSentinel(t *testing.T) {
	w := newWorld(t)
	w.ok("record", "--project", "odilo", "--success")
	breach := func(condition string) string {
		cmd := exec.Command("bash", "-c", strings.TrimSpace(condition)+" echo breach; fi")
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PAUSE_DIR=" + w.path("pause")}
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	mended := blockWith(t, "orchestrator", `ls "${PAUSE_DIR}"`)
	original := strings.Replace(mended, "(ls ", "(ls -A ", 1)
	require.Equal(t, "breach\n", breach(original), "else the topic need not say anything")
	require.Empty(t, breach(mended))
	w.ok("pause", "odilo")
	require.Equal(t, "breach\n", breach(mended))
}

// The script that stands in for an agent's program reports under the name and for the project of the topic, and passes all on.
func TestOrchestratorScript(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, os.Mkdir(w.path("agent"), 0o755))
	script := strings.NewReplacer("/usr/local/bin/claude", w.path("claude"), "exec adfbot", "exec "+filepath.Join(w.path("agent"), "adfbot")).
		Replace(blockWith(t, "orchestrator", "#!/bin/sh"))
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(self, filepath.Join(w.path("agent"), "adfbot"))) // see TestMain
	require.NoError(t, os.WriteFile(w.path("agent/claude"), []byte(script), 0o755))
	require.NoError(t, os.WriteFile(w.path("claude"), []byte("#!/bin/sh\necho \"claude $*\"; exit 3\n"), 0o755))
	cmd := exec.Command(w.path("agent/claude"), "-p", "a task of two words")
	cmd.Env = append(os.Environ(), "ADFBOT_CONFIG="+w.path("config.yaml"), "ADF_PROJECT_ID=odilo", "HOME="+w.dir)
	out, err := cmd.CombinedOutput()
	require.ErrorContains(t, err, "exit status 3", string(out))
	require.Contains(t, string(out), "claude -p a task of two words\n")
	run := projectNamed(w, "odilo").LastRuns[0]
	require.Equal(t, "project-meta", run.Agent)
	require.Equal(t, 3, run.ExitCode)
	require.True(t, run.Counted)
}

// With the rules of the topic, failures of a retry do not count, and its success does.
func TestOrchestratorRetries(t *testing.T) {
	w := newWorld(t)
	config := document(t, w.path("config.yaml")) + blockWith(t, "orchestrator", "project-meta-retry-*")
	require.NoError(t, os.WriteFile(w.path("config.yaml"), []byte(config), 0o644))
	record := func(agent, code string) int {
		w.ok("record", "--project", "odilo", "--agent", agent, "--exit-code", code)
		return projectNamed(w, "odilo").Failures
	}
	require.Equal(t, 1, record("project-meta", "1"))
	require.Equal(t, 1, record("project-meta-retry-1", "1"))
	require.Equal(t, 1, record("project-meta-retry-1-retry-1", "1"))
	require.Equal(t, 0, record("project-meta-retry-1", "0"))
}
