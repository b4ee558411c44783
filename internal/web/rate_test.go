package web

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
)

// A project's token and a Unix user may report a hundred results at once, and then ten a second. They do not slow down each other,
// and http.token_file has no limit.
func TestResultsPerSecond(t *testing.T) {
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

// The client keeps what comes too fast, and sends it later. Root may report as much as it likes.
func TestResultsPerSecondOfAUser(t *testing.T) {
	for uid, limited := range map[uint32]bool{4711: true, 0: false} {
		s := newStation(t)
		now := time.Now()
		s.srv.now = func() time.Time { return now }
		c, spool := clientOf(t, s.socket(uid))
		report := func(n int) status.Reported {
			return c.Report(t.Context(), store.Result{Project: "odilo", Agent: "developer", RunID: strconv.Itoa(n), Outcome: store.Success, Started: now, Finished: now})
		}
		for n := range 100 {
			require.NotNil(t, report(n).Result)
		}
		r := report(100)
		require.Equal(t, limited, r.Result == nil, uid)
		if !limited {
			continue
		}
		require.Contains(t, strings.Join(r.Messages, "\n"), "more than 10 results a second")
		require.Regexp(t, "the result is kept in "+spool+".*; adfbot itself sends it again, before the next one of this user", strings.Join(r.Messages, "\n"))
		now = now.Add(time.Second)
		r = report(101)
		require.NotNil(t, r.Result)
		require.Equal(t, []string{"sent 1 kept result"}, r.Messages)
	}
}
