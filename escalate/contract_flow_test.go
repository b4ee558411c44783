package escalate_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/internal/testworld"
	"github.com/terraphim/adfbot/pause"
)

// losing is a way to the server that drops the answers to the requests it is told to, after the server did the work.
type losing struct {
	next http.RoundTripper
	when func(*http.Request) bool
}

func (l *losing) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.next.RoundTrip(r)
	if err == nil && l.when(r) {
		_ = resp.Body.Close()
		return nil, errors.New("the answer was lost")
	}
	return resp, err
}

func TestContractTripToClosedIssue(t *testing.T) {
	contract(t, func(s *side) {
		project := "contract-" + pause.NewRandomID()[:8]
		w := &testworld.World{TB: s.T, Dir: s.TempDir(), Gitea: s.fake, Logged: &testworld.Log{}}
		m := openMachine(w, w.Path("adfbot.db"), w.Path("pause"))
		require.NoError(s, m.dir.Init(m.store.Installation()))
		way := s.way
		if way == nil {
			t := http.DefaultTransport.(*http.Transport).Clone()
			defer t.CloseIdleConnections()
			way = t
		}
		lose := true
		way = &losing{next: way, when: func(r *http.Request) bool {
			return lose && r.Method == "POST" && strings.HasSuffix(r.URL.Path, "/issues")
		}}
		ahead := time.Duration(0)
		m.rec.Options().Now = func() time.Time { return time.Now().Add(ahead) }
		m.rec.Options().Tracker = s.with(s.token, way)
		m.rec.Options().Server, m.rec.Options().Projects = s.url, []string{project}
		m.rec.Options().Target = func(string) escalate.Target {
			return escalate.Target{Repo: s.repo, Labels: []string{"adf", "circuit-breaker", "priority/high"}}
		}

		id, err := m.tripAnd(project)
		require.Error(s, err, "the answer to the creation was lost")
		lose, ahead = false, time.Minute
		m.sweep()
		ref := m.incident(id).Issue
		require.False(s, ref.IsZero(), "it is found by its marker")
		s.Cleanup(func() { _, _ = s.gitea.SetOpen(context.Background(), ref, false) })
		i, err := s.gitea.Get(s.Context(), s.repo, ref.Number)
		require.NoError(s, err)
		require.True(s, i.Open)
		require.Equal(s, "[ADF] project-meta on "+project+" failed 1 consecutively", i.Title)
		require.ElementsMatch(s, []string{"adf", "circuit-breaker", "priority/high"}, i.Labels)
		require.Empty(s, m.sweep().Actions)

		_, err = s.gitea.SetOpen(s.Context(), ref, false)
		require.NoError(s, err)
		m.sweep()
		i, err = s.gitea.Get(s.Context(), s.repo, ref.Number)
		require.NoError(s, err)
		require.True(s, i.Open, "the project is still paused")

		m.rm(project)
		m.sweep()
		i, err = s.gitea.Get(s.Context(), s.repo, ref.Number)
		require.NoError(s, err)
		require.False(s, i.Open)
		said, err := s.gitea.Comments(s.Context(), ref)
		require.NoError(s, err)
		require.Len(s, said, 2)
		require.Contains(s, said[0].Body, "still paused")
		require.Contains(s, said[1].Body, "was resumed")
		require.Empty(s, m.sweep().Actions)

		all, err := s.gitea.List(s.Context(), s.repo, i.Author, true)
		require.NoError(s, err)
		ours := 0
		for _, d := range all {
			if d.Marker.Incident == id {
				ours++
			}
		}
		require.Equal(s, 1, ours)
	})
}
