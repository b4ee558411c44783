package migrate_test

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/store"
)

// answers are what all methods that read answer, by the call.
type answers map[string]any

// ask asks a state everything about the projects and repositories.
func ask(t *testing.T, s store.State, host string, projects []string, repos []tracker.Repo) answers {
	t.Helper()
	ctx := context.Background()
	a := answers{"Installation": s.Installation()}
	put := func(call string, v any, err error) {
		t.Helper()
		require.NoError(t, err, call)
		doc, err := json.Marshal(v)
		require.NoError(t, err)
		a[call] = string(doc)
	}
	states, err := s.ProjectStates(ctx)
	put("ProjectStates", states, err)
	holds, err := s.Holds(ctx)
	put("Holds", holds, err)
	stops, err := s.Stops(ctx)
	put("Stops", stops, err)
	for _, st := range stops {
		covered, err := s.Covered(ctx, st.ID)
		put("Covered "+st.ID, covered, err)
	}
	running, err := s.Running(ctx)
	put("Running", running, err)
	last, err := s.LastResult(ctx)
	put("LastResult", last, err)
	counts, upTo, err := s.CountSince(ctx, 1, 1_000_000)
	slices.SortFunc(counts, func(a, b store.OutcomeCount) int {
		return slices.Compare([]string{a.Project, a.Outcome, a.Class}, []string{b.Project, b.Outcome, b.Class})
	})
	put("CountSince", counts, err)
	put("CountSince up to", upTo, err)
	written, err := s.FlagsWritten(ctx)
	put("FlagsWritten", written, err)
	for _, key := range []string{"gitea_url", "last_sweep"} {
		v, err := s.Meta(ctx, key)
		put("Meta "+key, v, err)
	}
	for _, key := range []string{"pause_dir", "pause_dir_id", "pause_dir_next_id", "pause_dir_boot", "workflow_projects"} {
		v, err := s.Meta(ctx, store.HostKey(key, host))
		put("Meta "+key, v, err)
	}
	all, err := s.IncidentPage(ctx, store.IncidentFilter{Limit: 1000, Evidence: true})
	put("IncidentPage", all, err)
	for _, state := range []string{store.OpenIncidents, store.EndedIncidents, ""} {
		var after string
		for n := range 100 {
			page, err := s.IncidentPage(ctx, store.IncidentFilter{State: state, After: after, Limit: 3})
			put("IncidentPage "+state+string(rune('a'+n)), page, err)
			if len(page) == 0 {
				break
			}
			after = page[len(page)-1].ID
		}
	}
	runs, next, err := s.RunPage(ctx, store.RunFilter{Limit: 1000, Output: true}) // a page may have begun before the move
	put("RunPage", runs, err)
	put("RunPage next", next, err)
	unsettled, err := s.Unsettled(ctx, "")
	put("Unsettled", unsettled, err)
	for _, i := range all {
		e, err := s.Evidence(ctx, i.ID)
		put("Evidence "+i.ID, e, err)
		one, err := s.Incidents(ctx, i.ID)
		put("Incidents "+i.ID, one, err)
	}
	ends, err := s.LastOutputs(ctx, projects...)
	put("LastOutputs", ends, err)
	for _, p := range projects {
		state, err := s.ProjectState(ctx, p)
		put("ProjectState "+p, state, err)
		project, err := s.Project(ctx, p)
		put("Project "+p, project, err)
		history, err := s.History(ctx, p, 1000)
		put("History "+p, history, err)
		hold, err := s.Hold(ctx, p)
		put("Hold "+p, hold, err)
		of, err := s.IncidentPage(ctx, store.IncidentFilter{Projects: []string{p}, Limit: 1000, Evidence: true})
		put("IncidentPage "+p, of, err)
	}
	for _, r := range repos {
		labels, err := s.Labels(ctx, r)
		put("Labels "+r.Name, labels, err)
		read, err := s.CommentsRead(ctx, r)
		put("CommentsRead "+r.Name, read, err)
		accounts, err := s.Accounts(ctx, r.Server)
		put("Accounts", accounts, err)
		ops, err := s.Operators(ctx, r.Server)
		put("Operators", ops, err)
		pending, err := s.PendingCommands(ctx, r.Server, "")
		put("PendingCommands", pending, err)
		comments := map[int64]time.Time{}
		for n := range int64(1000) {
			comments[n] = time.Time{}
		}
		for _, c := range pending {
			comments[c.Comment] = c.At
		}
		news, err := s.NewComments(ctx, r.Server, comments)
		put("NewComments", news, err)
	}
	return a
}

// same requires that two states give the same answers.
func same(t *testing.T, want, got answers) {
	t.Helper()
	require.Equal(t, slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)))
	for call, v := range want {
		require.Equal(t, v, got[call], call)
	}
}

// goOn does the same to a state after the move as to the file before it, and returns what was answered.
func goOn(t *testing.T, s store.State, projects []string, now time.Time) answers {
	t.Helper()
	ctx := context.Background()
	a := answers{}
	states, err := s.ProjectStates(ctx)
	require.NoError(t, err)
	for n, p := range projects {
		pause := states[p].Confirmed.Pause
		ended, err := s.Resume(ctx, incident.Resumption{Project: p, Pause: pause, How: "for the test", At: now})
		require.NoError(t, err)
		a["Resume "+p] = ended
		for range n % 5 {
			answer, err := s.Record(ctx, store.Result{Project: p, Agent: "project-meta", Outcome: store.Failure, Finished: now},
				store.Limits{Threshold: 3, Resume: 3, Incident: "0ddba11000000000000000000000" + p[:1] + "000"})
			require.NoError(t, err)
			answer.Opened = nil
			a["Record "+p] = answer
		}
	}
	return a
}
