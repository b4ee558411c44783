package web

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/testhost"
)

// A stop is about projects that nothing is known of yet, too: who asks for one must not run it. A caller that may report for the project makes it
// known, as its result would.
func TestGateOfNewProjectUnderStop(t *testing.T) {
	for _, names := range []string{`{"all":true,"reason":"the provider is down"}`, `{"projects":["twins-*"],"reason":"the provider is down"}`} {
		s := newStation(t, twins...).described()
		s.many("/api/v1/pause", names)
		require.Contains(t, s.problem(s.get("/api/v1/projects/twins-z/gate"), 423), "the provider is down")
		s.problem(s.get("/api/v1/projects/twins-z", as(twinsToken)), 404) // nobody who might report for it has asked

		c, _ := clientOf(t, s.socket(4712))
		require.Contains(t, c.Paused(t.Context(), "twins-a"), "the provider is down")
		require.Contains(t, s.problem(s.get("/api/v1/projects/twins-b/gate", as(twinsToken)), 423), "the provider is down")
		for _, id := range []string{"twins-a", "twins-b"} {
			held := func() bool { // it is made known first, and then held, after the answer
				return s.get("/api/v1/projects/"+id, as(twinsToken)).StatusCode == http.StatusOK && s.project(id).Stop != ""
			}
			require.Eventually(t, held, testhost.Patience, time.Millisecond)
		}
		require.Equal(t, http.StatusOK, s.post("/api/v1/projects/twins-b/resume", "", as(adminToken)).StatusCode)
		require.Equal(t, http.StatusOK, s.get("/api/v1/projects/twins-b/gate", as(twinsToken)).StatusCode)
		require.NotEmpty(t, c.Paused(t.Context(), "twins-a"))
	}
	// A stop of other projects, and one that is over.
	s := newStation(t, twins...).described()
	s.many("/api/v1/pause", `{"projects":["od*"]}`)
	s.many("/api/v1/pause", `{"projects":["twins-*"]}`)
	s.many("/api/v1/resume", `{"projects":["twins-*"]}`)
	s.problem(s.get("/api/v1/projects/twins-a/gate", as(twinsToken)), 404)
}
