package escalate_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
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

// machine is an installation whose one project has its issues on the side's server.
func (s *side) machine() (m *machine, project string) {
	s.Helper()
	project = "contract-" + pause.NewRandomID()[:8]
	w := &testworld.World{TB: s.T, Dir: s.TempDir(), Gitea: s.fake, Logged: &testworld.Log{}}
	m = openMachine(w, w.Path("adfbot.db"), w.Path("pause"))
	require.NoError(s, m.dir.Init(m.store.Installation()))
	o := m.rec.Options()
	o.Tracker, o.Server, o.Projects = s.gitea, s.url, []string{project}
	o.Target = func(string) escalate.Target { return escalate.Target{Repo: s.repo, Labels: threeLabels} }
	return m, project
}

func TestContractTripToClosedIssue(t *testing.T) {
	contract(t, func(s *side) {
		m, project := s.machine()
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
		said, err := s.gitea.Comments(s.Context(), ref, time.Time{})
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

// Of what is asked for, everything comes that can, and the issue says what could not.
func TestContractOptionalParts(t *testing.T) {
	contract(t, func(s *side) {
		me, err := s.gitea.Me(s.Context())
		require.NoError(s, err)
		m, project := s.machine()
		m.assigned("nobody-has-this-login", s.repo.Owner, me.Login)
		high := s.label("priority/high")
		stale := map[string]int64{"adf": 1 << 40, "circuit-breaker": 1<<40 + 1, "priority/high": high}
		require.NoError(s, m.store.SetLabels(s.Context(), s.repo, stale))
		ahead := time.Duration(0)
		m.rec.Options().Now = func() time.Time { return time.Now().Add(ahead) }
		m.rec.Options().Login = me.Login

		id, err := m.tripAnd(project)
		require.NoError(s, err)
		ref := m.incident(id).Issue
		s.Cleanup(func() { _, _ = s.gitea.SetOpen(context.Background(), ref, false) })
		i, err := s.gitea.Get(s.Context(), s.repo, ref.Number)
		require.NoError(s, err)
		require.ElementsMatch(s, threeLabels, i.Labels)
		require.Equal(s, []tracker.Account{me}, i.Assignees)
		require.Equal(s, id, i.Marker.Incident)
		var got struct{ Body string }
		s.raw("GET", fmt.Sprint("/issues/", i.Number), &got)
		const says = " is not assigned: Gitea cannot assign this login. It may be unknown, an organisation, or without access to the repository."
		require.Equal(s, "- nobody-has-this-login"+says+"\n- "+s.repo.Owner+says, leftOut(s, got.Body))
		ahead = time.Hour
		require.Empty(s, m.sweep().Actions)
	})
}

// An organisation as the only bad assignee makes Gitea fail: the issue comes without, at the second try.
func TestContractOrganisationAsAssignee(t *testing.T) {
	contract(t, func(s *side) {
		m, project := s.machine()
		m.assigned(s.repo.Owner)
		ahead := time.Duration(0)
		m.rec.Options().Now = func() time.Time { return time.Now().Add(ahead) }
		id, err := m.tripAnd(project)
		require.True(s, tracker.IsStatus(err, http.StatusInternalServerError), err)
		ahead = time.Minute
		m.sweep()
		ref := m.incident(id).Issue
		require.False(s, ref.IsZero())
		s.Cleanup(func() { _, _ = s.gitea.SetOpen(context.Background(), ref, false) })
		i, err := s.gitea.Get(s.Context(), s.repo, ref.Number)
		require.NoError(s, err)
		require.ElementsMatch(s, threeLabels, i.Labels)
		require.Empty(s, i.Assignees)
	})
}

// Three incidents share an issue, from the first join to the closing.
func TestContractStorm(t *testing.T) {
	contract(t, func(s *side) {
		m, first := s.machine()
		m.rec.Options().StormWindow = time.Hour
		ahead := time.Duration(0)
		m.rec.Options().Now = func() time.Time { return time.Now().Add(ahead) }
		projects := []string{first, first + "-b", first + "-c"}
		ids := m.hits(projects[:2]...)
		ref := m.incident(ids[0]).Issue
		s.Cleanup(func() { _, _ = s.gitea.SetOpen(context.Background(), ref, false) })
		ahead = time.Minute
		ids = append(ids, m.hits(projects[2])...)
		read := func() (i tracker.Issue, body string) {
			i, err := s.gitea.Get(s.Context(), s.repo, ref.Number)
			require.NoError(s, err)
			var got struct{ Body string }
			s.raw("GET", fmt.Sprint("/issues/", ref.Number), &got)
			return i, got.Body
		}
		i, body := read()
		require.Equal(s, "[ADF] project-meta on "+first+" and 2 others failed 1 consecutively: quota", i.Title)
		require.Equal(s, []string{ids[0], ids[1], ids[2]}, []string{i.Marker.Incident, i.Members[0].Incident, i.Members[1].Incident})
		require.Equal(s, 3, strings.Count(body, "\n- [ ] "))
		ahead = 12 * time.Minute
		m.sweep()
		for _, p := range projects {
			m.rm(p)
			ahead += time.Minute
			m.sweep()
		}
		i, body = read()
		require.False(s, i.Open)
		require.Equal(s, 3, strings.Count(body, "\n- [x] "))
		said, err := s.gitea.Comments(s.Context(), ref, time.Time{})
		require.NoError(s, err)
		require.Len(s, said, 3)
		require.Contains(s, said[2].Body, "have been resumed")
		m.sweep()
		require.Empty(s, m.sweep().Actions)
	})
}

// A step of the escalation comments, assigns and labels, once; a label takes the place of the bot's own of its scope.
func TestContractSteps(t *testing.T) {
	contract(t, func(s *side) {
		m, project := s.machine()
		me, err := s.gitea.Me(s.Context())
		require.NoError(s, err)
		ahead := time.Duration(0)
		o := m.rec.Options()
		o.Now = func() time.Time { return time.Now().Add(ahead) }
		o.Escalation.Steps = []plan.Step{{After: time.Hour, Mention: []string{me.Login}, Assign: []string{"nobody-" + project, me.Login}, Labels: []string{"priority/critical"}}}
		id := m.trip(project)
		ref := m.incident(id).Issue
		s.Cleanup(func() { _, _ = s.gitea.SetOpen(context.Background(), ref, false) })
		ahead = 2 * time.Hour
		for range 2 {
			m.sweep()
		}
		i, err := s.gitea.Get(s.Context(), s.repo, ref.Number)
		require.NoError(s, err)
		require.Equal(s, []string{"adf", "circuit-breaker", "priority/critical"}, i.Labels)
		require.Len(s, i.Assignees, 1)
		require.Equal(s, me.ID, i.Assignees[0].ID)
		said, err := s.gitea.Comments(s.Context(), ref, time.Time{})
		require.NoError(s, err)
		require.Len(s, said, 1)
		require.Contains(s, said[0].Body, "@"+me.Login+" `"+project+"` has been paused for 2h")
		require.True(s, tracker.HasCommentMarker(said[0].Body, incident.StepKey(id, time.Hour)))
		step := m.incident(id).Escalation.Step
		require.Empty(s, step.Left)
		require.Len(s, step.Problems, 1)
		require.Contains(s, step.Problems[0], "is not assigned: Gitea cannot assign this login")
	})
}
