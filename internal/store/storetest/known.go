package storetest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// RunKnown tests which projects are known.
func RunKnown(t *testing.T, open Open) {
	runOnStates(t, open, []test[*state]{
		{"known by what is stored", testKnown},
		{"made known", testMakeKnown},
		{"many made known", testMakeManyKnown},
	})
}

func (s *state) known() []string {
	s.t.Helper()
	ids := must(s.KnownProjects(s.t.Context()))(s.t)
	require.Len(s.t, ids, must(s.CountKnown(s.t.Context()))(s.t))
	return ids
}

func testKnown(t *testing.T, s *state) {
	require.Empty(t, s.known())
	must(s.ProjectState(t.Context(), "asked"))(t)
	must(s.Project(t.Context(), "asked"))(t)
	require.Empty(t, s.known(), "asking does not make a project known")

	ignored := result(store.Ignored)
	ignored.Project, ignored.Agent = "result", "developer"
	must(s.Record(t.Context(), ignored, store.Limits{Threshold: 3, Resume: 1}))(t)
	s.begin("run-1") // of odilo
	require.NoError(t, s.SetHold(t.Context(), incident.Hold{ID: pause.NewRandomID(), Project: "hold", Since: noon}))
	must(s.Insert(t.Context(), incident.Incident{ID: pause.NewRandomID(), Project: "incident", Agent: "project-meta", Opened: noon}))(t)
	require.Equal(t, []string{"hold", "incident", "odilo", "result"}, s.known())
}

func testMakeKnown(t *testing.T, s *state) {
	s.trip("odilo")
	was := must(s.Project(t.Context(), "odilo"))(t)
	require.Equal(t, 1, must(s.MakeKnown(t.Context(), "odilo", "new"))(t))
	require.Equal(t, 0, must(s.MakeKnown(t.Context(), "new"))(t))
	require.Equal(t, 0, must(s.MakeKnown(t.Context()))(t))
	require.Equal(t, []string{"new", "odilo"}, s.known())
	require.Equal(t, was, must(s.Project(t.Context(), "odilo"))(t), "what is stored of it stays")
	require.Equal(t, store.Project{ID: "new"}, must(s.Project(t.Context(), "new"))(t))
	require.Contains(t, must(s.Overview(t.Context(), "", 1))(t), "new")
}

func testMakeManyKnown(t *testing.T, s *state) {
	var ids []string
	for n := range 1200 {
		ids = append(ids, fmt.Sprintf("p%d", n))
	}
	require.Equal(t, 1200, must(s.MakeKnown(t.Context(), ids...))(t))
	require.Len(t, s.known(), 1200)
}
