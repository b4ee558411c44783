package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/testhost"
)

// Sweeps of many processes that start together work on one new state, one spool and one lost set of reserves: cron and an
// operator at once, or a fleet whose jobs all sweep on the hour. None of them fails, and nothing is done twice.
func TestSweepsThatStartTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	state := w.path("state/adfbot.db")
	w.ok("record", "--project", "odilo", "--success") // the pause directory is created by the first result
	rounds := 3
	if testhost.Exhaustive() {
		rounds = 40
	}
	for round := range rounds {
		ready, err := filepath.Glob(state + ".d/spool/*.ready")
		require.NoError(t, err)
		for _, file := range ready {
			require.NoError(t, os.Remove(file))
		}
		for range 2 {
			r := store.Result{Project: "odilo", Agent: "project-meta", RunID: fmt.Sprint(t.Name(), round), Outcome: store.Failure}
			_, err := hostlocal.Beside(state).Spool().Add(r)
			require.NoError(t, err)
		}
		w.sweepsTogether()
		left, err := os.ReadDir(state + ".d/spool")
		require.NoError(t, err)
		require.Len(t, left, 64, "the reserves and nothing else")
	}
	require.Equal(t, 1, w.count(theRepo, "all"), "each run counts once")
	require.Equal(t, rounds, w.failures("odilo"))
}

// sweepsTogether runs sweeps in processes of their own. None of them may say anything.
func (w *world) sweepsTogether() {
	w.t.Helper()
	var sweeps [8]*testhost.Child
	var stderr [len(sweeps)]bytes.Buffer
	for n := range sweeps {
		sweeps[n] = w.child([]string{"sweep"})
		sweeps[n].Stderr = &stderr[n]
		require.NoError(w.t, sweeps[n].Start())
	}
	for n, sweep := range sweeps {
		require.NoError(w.t, sweep.Wait(), stderr[n].String())
		require.Empty(w.t, stderr[n].String())
	}
}

// Runs that go on together fail while nothing can be stored, and sweeps that start together take their results in.
func TestSpooledRunsTogether(t *testing.T) {
	t.Parallel()
	for _, resumed := range []bool{false, true} {
		w := newWorld(t)
		w.ok("record", "--project", "odilo", "--success")
		state := w.path("state/adfbot.db")
		good, err := os.ReadFile(state)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(state, bytes.Repeat([]byte("x"), 5000), 0o600))
		var runs [12]*testhost.Child
		for n := range runs {
			runs[n] = w.child([]string{"exec", "--project", "odilo", "--", "sh", "-c", "exit 3"})
			require.NoError(t, runs[n].Start())
		}
		for _, run := range runs {
			require.Contains(t, []int{3, 75}, testhost.ExitCode(run.Wait()))
		}
		require.FileExists(t, w.path("pause/odilo"))
		if resumed {
			require.NoError(t, os.Remove(w.path("pause/odilo")))
			_, code := w.run("exec", "--project", "odilo", "--", "sh", "-c", "exit 3")
			require.Equal(t, 3, code)
			require.NoFileExists(t, w.path("pause/odilo"))
		}
		require.NoError(t, os.WriteFile(state, good, 0o600))
		w.sweepsTogether()
		if resumed {
			require.Equal(t, 1, w.failures("odilo"))
			require.Zero(t, w.count(theRepo, "all"), "it runs again")
		} else {
			require.GreaterOrEqual(t, w.failures("odilo"), 3)
			require.Equal(t, 1, w.count(theRepo, "open"))
		}
	}
}
