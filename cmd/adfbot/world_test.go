package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/testhost"
)

// world is one installation and its Gitea.
type world struct {
	t   *testing.T
	dir string
	*gitea
	clock time.Duration // how far the clock of its commands is ahead
	calls *events       // of a webhook, or nil
	// several flags are written at once: who is killed then leaves half of another one, which goes an hour later with the next flag
	several bool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	g, err := newGitea()
	require.NoError(t, err)
	t.Cleanup(g.close)
	w := &world{t: t, dir: t.TempDir(), gitea: g}
	require.NoError(t, prepare(w.dir, g))
	return w
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) getenv(name string) string {
	switch name {
	case "ADFBOT_CONFIG":
		return w.path("config.yaml")
	case "HOME":
		return w.path("home")
	}
	return ""
}

// run runs a command in this process, and returns its output and exit code.
func (w *world) run(args ...string) (string, int) {
	var stdout, stderr bytes.Buffer
	code := run(context.Background(), args, process{
		stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, getenv: w.getenv,
		now: func() time.Time { return time.Now().Add(w.clock) }, uptime: uptimeAfter(w.clock),
	})
	w.t.Logf("adfbot %s: %d\n%s%s", strings.Join(args, " "), code, stdout.String(), stderr.String())
	return stdout.String(), code
}

func (w *world) ok(args ...string) string {
	w.t.Helper()
	out, code := w.run(args...)
	require.Zero(w.t, code, "adfbot %q", args)
	return out
}

// child prepares a command as a process of its own.
func (w *world) child(args []string, env ...string) *testhost.Child {
	w.t.Helper()
	c := testhost.Command(w.t, "adfbot", args...)
	c.Env = append(c.Env, "ADFBOT_CONFIG="+w.path("config.yaml"), "HOME="+w.path("home"), ahead+"="+w.clock.String(), passed+"="+w.clock.String())
	c.Env = append(c.Env, env...)
	return c
}

func (w *world) trip() {
	w.t.Helper()
	for range 3 {
		w.ok("record", "--project", "odilo", "--failure")
	}
	require.FileExists(w.t, w.path("pause/odilo"))
}

func (w *world) status() status.Status {
	w.t.Helper()
	var s status.Status
	require.NoError(w.t, json.Unmarshal([]byte(w.ok("status", "--json")), &s))
	return s
}

// state is everything that a person would see: issues, flags and projects, without times.
func (w *world) state() []string {
	w.t.Helper()
	var out []string
	for _, repo := range []string{theRepo, otherRepo} {
		for _, i := range w.Issues(repo) {
			said := map[string]bool{}
			for _, c := range i.Comments {
				first, _, _ := strings.Cut(c.Body, "\n")
				require.False(w.t, said[first], "said twice: %s", first)
				said[first] = true
			}
			out = append(out, fmt.Sprintf("%s#%d %s, %d comments", repo, i.Number, i.State, len(i.Comments)))
		}
	}
	entries, err := os.ReadDir(w.path("pause"))
	require.NoError(w.t, err)
	for _, e := range entries {
		if w.several && strings.HasPrefix(e.Name(), ".tmp-") {
			continue
		}
		require.NotContains(w.t, e.Name(), "tmp", "what a dead writer left is swept away or not seen")
		out = append(out, "file "+e.Name())
	}
	s := w.status()
	require.Empty(w.t, s.Problems)
	for _, p := range s.Projects {
		require.Empty(w.t, p.Pending)
		require.Zero(w.t, p.Running)
		line := fmt.Sprintf("%s: paused %s, held %t, %d failures", p.ID, p.Paused, p.Held, p.Failures)
		if i := p.Incident; i != nil {
			line += fmt.Sprintf(", %s flag %t %s", i.Name, i.FlagWritten, strings.TrimPrefix(i.Issue, w.url()))
		}
		if line != p.ID+": paused no, held false, 0 failures" {
			out = append(out, line)
		}
		if p.Workflow != nil {
			require.Equal(w.t, p.Workflow.Disabled, !w.WorkflowActive(p.Workflow.Repo, p.Workflow.Workflow))
			if p.Workflow.Disabled {
				out = append(out, p.ID+": its workflow is disabled")
			}
		}
	}
	return out
}

// settle sweeps until nothing is left to do, and lets the clock run on as it would while one waits.
func (w *world) settle() {
	w.t.Helper()
	require.NoError(w.t, settle(&w.clock, w.run))
}

// settle is shared with the scripts. A lost answer keeps the bot waiting for 20 s: twice the timeout of the settings.
func settle(clock *time.Duration, adfbot func(args ...string) (string, int)) error {
	quiet := 0
	for range 10 {
		_, swept := adfbot("sweep")
		out, code := adfbot("sweep", "--dry-run", "--json")
		var plan struct{ Actions []any }
		if err := json.Unmarshal([]byte(out), &plan); err != nil {
			return fmt.Errorf("sweep --dry-run --json: %w: %s", err, out)
		}
		if swept != 0 || code != 0 || len(plan.Actions) > 0 {
			quiet = 0
		} else if quiet++; quiet == 2 {
			return nil // also after the wait for an answer in doubt, which no plan shows
		}
		*clock += 21 * time.Second
	}
	return errors.New("ten sweeps did not bring it to an end")
}

// settledCommand is settle in a script. The script's later commands have the same clock.
func settledCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 0, "settled")
	var clock time.Duration
	if s := ts.Getenv(ahead); s != "" {
		var err error
		clock, err = time.ParseDuration(s)
		ts.Check(err)
	}
	ts.Check(settle(&clock, func(args ...string) (string, int) {
		ts.Setenv(ahead, clock.String())
		err := ts.Exec("adfbot", args...)
		return ts.ReadFile("stdout"), testhost.ExitCode(err)
	}))
}
