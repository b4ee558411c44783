package main

import (
	"bytes"
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
	for round := range 3 {
		ready, err := filepath.Glob(state + ".d/spool/*.ready")
		require.NoError(t, err)
		for _, file := range ready {
			require.NoError(t, os.Remove(file))
		}
		for range 2 {
			r := store.Result{Project: "odilo", Agent: "project-meta", RunID: t.Name() + string(rune('a'+round)), Outcome: store.Failure}
			_, err := hostlocal.Beside(state).Spool().Add(r)
			require.NoError(t, err)
		}
		var sweeps [8]*testhost.Child
		var stderr [len(sweeps)]bytes.Buffer
		for n := range sweeps {
			sweeps[n] = w.child([]string{"sweep"})
			sweeps[n].Stderr = &stderr[n]
			require.NoError(t, sweeps[n].Start())
		}
		for n, sweep := range sweeps {
			require.NoError(t, sweep.Wait(), stderr[n].String())
			require.Empty(t, stderr[n].String())
		}
		left, err := os.ReadDir(state + ".d/spool")
		require.NoError(t, err)
		require.Len(t, left, 64, "the reserves and nothing else")
	}
	require.Equal(t, 1, w.count(theRepo, "all"), "each run counts once")
}
