package web

import (
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
)

// A project's token and a Unix user may report a hundred results at once, and then ten a second. They do not slow down each other,
// and http.token_file has no limit.
func TestResultsPerSecond(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	now := time.Now()
	s.srv.now = func() time.Time { return now }
	report := func(token, project string) answered {
		return s.post("/api/v1/results", `{"project":"`+project+`"}`, as(token)) // refused, but only once it was looked at
	}
	for range 100 {
		require.Equal(t, 422, report(odiloToken, "odilo").StatusCode)
	}
	a := report(odiloToken, "odilo")
	require.Contains(t, s.problem(a, http.StatusTooManyRequests), "the token of odilo reports more than 10 results a second: send this one again later, with a run_id")
	require.Equal(t, "1", a.Header.Get("Retry-After"))
	require.Equal(t, 422, report(twinsToken, "digital-twins").StatusCode)
	require.Equal(t, 200, s.get("/api/v1/projects/odilo/gate", as(odiloToken)).StatusCode, "asking is no report")
	for range 150 {
		require.Equal(t, 422, report(adminToken, "odilo").StatusCode)
	}
	now = now.Add(time.Second)
	for range 10 {
		require.Equal(t, 422, report(odiloToken, "odilo").StatusCode)
	}
	require.Equal(t, 429, report(odiloToken, "odilo").StatusCode)
	require.NoError(t, s.srv.Replace(s.cfg, s.bot))
	require.Equal(t, 429, report(odiloToken, "odilo").StatusCode, "a reload does not begin anew")
	now = now.Add(-time.Hour) // the clock is set back
	require.Equal(t, 429, report(odiloToken, "odilo").StatusCode)
	now = now.Add(time.Second)
	require.Equal(t, 422, report(odiloToken, "odilo").StatusCode)
}

// The client sends again what comes too fast. Root may report as much as it likes.
func TestResultsPerSecondOfAUser(t *testing.T) {
	t.Parallel()
	for uid, limited := range map[uint32]bool{4711: true, 0: false} {
		s := newStation(t)
		now, refused := time.Now(), false
		s.srv.now = func() time.Time {
			if refused = refused || strings.Contains(s.log.String(), "status=429"); refused {
				return now.Add(time.Second)
			}
			return now
		}
		c, spool := clientOf(t, s.socket(uid))
		for n := range 101 {
			r := c.Report(t.Context(), store.Result{Project: "odilo", Agent: "developer", RunID: strconv.Itoa(n), Outcome: store.Success, Started: now, Finished: now})
			require.NotNil(t, r.Result)
			require.False(t, r.Result.Known)
			require.Empty(t, r.Messages)
		}
		require.Equal(t, limited, refused, uid)
		kept, err := filepath.Glob(spool + "/*")
		require.NoError(t, err)
		require.Empty(t, kept)
	}
}
