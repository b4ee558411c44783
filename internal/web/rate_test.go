package web

import (
	"crypto/sha256"
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

// Many jobs that report at once are told different times to come again: a client that tries again only a few times gets its turn.
func TestResultsTakeTurns(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	now := time.Now()
	s.srv.now = func() time.Time { return now }
	report := func() (accepted bool, after int) {
		a := s.post("/api/v1/results", `{"project":"odilo"}`, as(odiloToken)) // refused, but only once it was looked at
		if a.StatusCode == 422 {
			return true, 0
		}
		after, err := strconv.Atoi(a.Header.Get("Retry-After"))
		require.NoError(t, err)
		return false, after
	}
	at := map[int]int{} // how many come again after so many seconds
	for n := range 250 {
		if accepted, after := report(); !accepted {
			require.GreaterOrEqual(t, n, 100)
			at[after]++
		}
	}
	for second := 1; second <= 15; second++ {
		now = now.Add(time.Second)
		require.Equal(t, 10, at[second])
		for range at[second] {
			accepted, _ := report()
			require.True(t, accepted, "after %d s", second)
		}
	}
	for range 2000 { // of a client that does not wait
		_, after := report()
		require.LessOrEqual(t, after, 60)
	}
	now = now.Add(-time.Hour) // the clock is set back
	_, after := report()
	require.Equal(t, 1, after)
}

// A report that comes again when it was told to is taken, however many others have come by then: curl gives up after a few tries.
func TestReportsKeepTheirTurns(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	start := time.Now().Add(-time.Minute)
	now := start
	s.srv.now = func() time.Time { return now }
	for name, send := range map[string]func(id string) answered{
		"ping": func(id string) answered { return s.do(http.MethodGet, odiloPing+"?rid="+id, "") },
		"result": func(id string) answered {
			return s.post("/api/v1/results", `{"project":"odilo","exit_code":0,"run_id":"of a result `+id+`"}`, as(odiloToken))
		},
	} {
		s.srv.resultRates = resultRates{of: map[string]*callerRate{}}
		now = start
		others := func() { // take what there is
			for s.srv.resultRates.wait("the token of odilo", now) == 0 {
			}
		}
		others()
		refused := send(rid)
		require.Equal(t, 429, refused.StatusCode, name)
		require.Equal(t, "1", refused.Header.Get("Retry-After"), name)
		now = now.Add(time.Second)
		others()
		other := strings.Replace(rid, "3", "4", 1)
		require.Equal(t, 429, send(other).StatusCode, "%s: another one", name)
		require.Equal(t, 200, send(rid).StatusCode, name)
		require.Equal(t, 429, send(rid).StatusCode, "%s: a turn is for once", name)
	}
}

// A minute has 600 turns. Whoever does not wait for theirs gets nobody else's, also among reports that are alike.
func TestKeptTurns(t *testing.T) {
	t.Parallel()
	start := time.Now()
	for name, of := range map[string]func(n int) string{"different": strconv.Itoa, "alike": func(int) string { return "ping" }} {
		r := resultRates{of: map[string]*callerRate{}}
		send := func(text string, now time.Time) time.Duration {
			return r.waitTurn("odilo", sha256.Sum256([]byte(text)), now)
		}
		at := map[int][]int{} // who comes again after so many seconds
		for n := range 700 {
			d := send(of(n), start)
			require.Equal(t, max(0, time.Duration(n-99)*100*time.Millisecond), d.Round(time.Millisecond), name)
			if second := int((d + time.Second - 1) / time.Second); second > 0 {
				at[second] = append(at[second], n)
			}
		}
		for second := 1; second <= 60; second++ {
			now := start.Add(time.Duration(second) * time.Second)
			for n := range 5 {
				send(strconv.Itoa(10*second+n)+" comes new", now)
			}
			require.Len(t, at[second], 10)
			for _, n := range at[second] {
				require.Zero(t, send(of(n), now), "%s: %d after %d s", name, n, second)
			}
		}
		now := start.Add(time.Hour)
		for n := range 5000 {
			require.LessOrEqual(t, send(of(n), now), time.Minute)
		}
		now = now.Add(5 * time.Minute)
		for n := range 5000 {
			require.LessOrEqual(t, send(of(n), now.Add(time.Duration(n)*time.Second/4)), time.Minute)
		}
		require.LessOrEqual(t, r.of["odilo"].kept.n, maxKeptTurns)
		require.LessOrEqual(t, send("late", start.Add(-time.Hour)), 2*time.Second, "the clock is set back")
	}
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
