package web

import (
	"database/sql"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/testhost"
)

// A stop is about projects that nothing is known of yet, too: who asks for one must not run it. A caller that may report for the project makes it
// known, as its result would.
func TestGateOfNewProjectUnderStop(t *testing.T) {
	t.Parallel()
	for _, names := range []string{`{"all":true,"reason":"the provider is down"}`, `{"projects":["twins-*"],"reason":"the provider is down"}`} {
		s := newStation(t, twins...).described()
		s.many("/api/v1/pause", names)
		require.Contains(t, s.problem(s.get("/api/v1/projects/twins-z/gate"), 423), "the provider is down")
		s.problem(s.get("/api/v1/projects/twins-z", as(twinsToken)), 404) // nobody who might report for it has asked

		c, _ := clientOf(t, s.socket(4712))
		why, err := c.Paused(t.Context(), "twins-a")
		require.NoError(t, err)
		require.Contains(t, why, "the provider is down")
		require.Contains(t, s.problem(s.get("/api/v1/projects/twins-b/gate", as(twinsToken)), 423), "the provider is down")
		for _, id := range []string{"twins-a", "twins-b"} {
			held := func() bool { // it is made known first, and then held, after the answer
				return s.get("/api/v1/projects/"+id, as(twinsToken)).StatusCode == http.StatusOK && s.project(id).Stop != ""
			}
			require.Eventually(t, held, testhost.Patience, time.Millisecond)
		}
		require.Equal(t, http.StatusOK, s.post("/api/v1/projects/twins-b/resume", "", as(adminToken)).StatusCode)
		require.Equal(t, http.StatusOK, s.get("/api/v1/projects/twins-b/gate", as(twinsToken)).StatusCode)
		why, err = c.Paused(t.Context(), "twins-a")
		require.NoError(t, err)
		require.NotEmpty(t, why)
	}
	// A stop of other projects, and one that is over.
	s := newStation(t, twins...).described()
	s.many("/api/v1/pause", `{"projects":["od*"]}`)
	s.many("/api/v1/pause", `{"projects":["twins-*"]}`)
	s.many("/api/v1/resume", `{"projects":["twins-*"]}`)
	s.problem(s.get("/api/v1/projects/twins-a/gate", as(twinsToken)), 404)
}

// Whoever asks for many new projects of a stop makes them known, which waits for the state. No other question waits for that, and it is limited as
// results are.
func TestManyNewProjectsUnderStop(t *testing.T) {
	t.Parallel()
	s := newStation(t, twins...).described()
	now := time.Now()
	s.srv.now = func() time.Time { return now }
	s.many("/api/v1/pause", `{"projects":["twins-*"],"reason":"the provider is down"}`)
	db, err := sql.Open("sqlite", s.cfg.State)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	writer, err := db.Conn(t.Context())
	require.NoError(t, err)
	_, err = writer.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	require.NoError(t, err)
	for n := range maxFlagReads + 1 {
		require.Contains(t, s.problem(s.get(fmt.Sprintf("/api/v1/projects/twins-%d/gate", n), as(twinsToken)), 423), "the provider is down", n)
	}
	require.Equal(t, http.StatusOK, s.get("/api/v1/projects/odilo/gate").StatusCode)
	_, err = writer.ExecContext(t.Context(), "ROLLBACK")
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	s.srv.current.uses.Wait()
	require.Len(t, s.srv.holdRates.of, 1)

	known := func() int {
		s.Helper()
		require.Contains(t, s.problem(s.get("/api/v1/projects/twins-z/gate", as(twinsToken)), 423), "the provider is down")
		s.srv.current.uses.Wait()
		return s.get("/api/v1/projects/twins-z", as(twinsToken)).StatusCode
	}
	for caller := range s.srv.holdRates.of {
		for s.srv.holdRates.wait(caller, now) == 0 {
		}
	}
	require.Equal(t, http.StatusNotFound, known(), "this caller has made too many known")
	now = now.Add(time.Second)
	for range maxHolding {
		s.srv.holding <- struct{}{}
	}
	require.Equal(t, http.StatusNotFound, known(), "too many are on their way")
	for range maxHolding {
		<-s.srv.holding
	}
	require.Equal(t, http.StatusOK, known())
}

// The daemon says itself that it cannot tell: that is no leave to run what a stop may be about.
func TestClientOfGateThatCannotTell(t *testing.T) {
	t.Parallel()
	s := newStation(t, twins...)
	c, _ := clientOf(t, s.socket(4712))
	for range maxFlagReads {
		s.srv.flagReads <- struct{}{}
	}
	why, err := c.Paused(t.Context(), "twins-a")
	require.Empty(t, why)
	require.ErrorContains(t, err, "has not answered earlier reads yet")
}
