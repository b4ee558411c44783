package hostlocal_test

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
)

// The spool in ../store/testdata/old was written by adfbot as of November 2026 and is never written again.
func TestOldSpoolLoads(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS("../store/testdata/old/spool")))
	var results []store.Result
	for _, e := range spooled(t, hostlocal.Spool(dir)) {
		require.NoError(t, e.Err, e.File)
		old, err := os.ReadFile(e.File)
		require.NoError(t, err)
		e.Result.Output = output(t, e)
		now, err := json.Marshal(e.Result)
		require.NoError(t, err)
		require.JSONEq(t, string(old), string(now), "it is stored as it was")
		results = append(results, e.Result)
	}
	require.Len(t, results, 4)
	at := func(s string) time.Time {
		at, err := time.Parse(time.RFC3339, s)
		require.NoError(t, err)
		return at
	}
	result := func(project, id, outcome, started, finished string) store.Result {
		return store.Result{
			Project: project, Agent: "project-meta", RunID: id, Outcome: outcome, Host: "builder-1", Started: at(started), Finished: at(finished),
		}
	}
	generation := func(n int64) *int64 { return &n }
	failure := result("cedar", "run-038", store.Failure, "2026-11-22T10:55:40Z", "2026-11-22T10:56:59Z")
	failure.ExitCode, failure.Signal, failure.Detail, failure.Output = 143, "SIGTERM", "timed out after 30m0s", "still waiting for the lock\n"
	failure.Generation = generation(1)
	success := result("juniper", "run-039", store.Success, "2026-11-22T10:57:10Z", "2026-11-22T10:58:29Z")
	success.Generation = generation(0)
	ignored := store.Result{
		Project: "ivy", Agent: "project-meta", RunID: "run-040", Outcome: store.Ignored, ExitCode: 75, Host: "builder-1", Finished: at("2026-11-22T10:59:59Z"),
	}
	require.Equal(t, []store.Result{failure, success, ignored}, results[:3])
	// Of an output for which the disk had no room the end was kept.
	require.Equal(t, "birch", results[3].Project)
	require.Regexp(t, `a line of output\nthe last line\n$`, results[3].Output)
	require.Less(t, len(results[3].Output), 4096)
}
