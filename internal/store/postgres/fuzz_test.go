package postgres_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/breaker"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/postgres"
	"github.com/terraphim/adfbot/internal/store/sqlite"
	"github.com/terraphim/adfbot/pause"
)

// FuzzSameAnswers gives one sequence of results, resumes and holds to SQLite, to PostgreSQL and to a counter in memory. All of
// them answer alike.
func FuzzSameAnswers(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 4, 0, 0, 0}, uint8(3))                       // failures, a resume, failures
	f.Add([]byte{0, 16, 0, 1, 16, 0, 16, 0, 0, 2, 3, 5, 0, 4, 0}, uint8(2))  // two projects
	f.Add([]byte{0, 6, 0, 6, 7, 0, 14, 0, 0, 0, 4, 1, 8, 9, 12}, uint8(0))   // run ids that come again
	f.Add([]byte{5, 0, 0, 0, 4, 0, 0, 4, 5, 13, 0, 0, 0, 4, 10}, uint8(1))   // holds
	f.Add([]byte{0, 0, 0, 15, 4, 15, 0, 0, 11, 0, 0, 31, 20, 16}, uint8(11)) // results from before the resume
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	now := func() time.Time { return at }
	p := newPlace(f)
	pg, err := postgres.Open(ctx, p.url, postgres.Options{Schema: p.schema, Host: hostA, Now: now})
	require.NoError(f, err)
	f.Cleanup(func() { _ = pg.Close() })
	file, err := sqlite.Open(ctx, filepath.Join(f.TempDir(), "adfbot.db"), sqlite.Options{Now: now})
	require.NoError(f, err)
	f.Cleanup(func() { _ = file.Close() })
	sequences := 0
	f.Fuzz(func(t *testing.T, steps []byte, threshold uint8) {
		sequences++
		same := &twins{t: t, stores: [2]store.State{file, pg}, counter: breaker.New(int(threshold % 5)), threshold: int(threshold % 5),
			suffix: fmt.Sprint("-", sequences)}
		for n, step := range steps[:min(len(steps), 60)] {
			at = at.Add(time.Second)
			same.step(n, step, at)
		}
	})
}

// twins are two states that are given the same.
type twins struct {
	t         *testing.T
	stores    [2]store.State // of which the first one is known to be right
	counter   *breaker.Counter
	threshold int
	suffix    string // of projects, so that each sequence has new ones
}

func (w *twins) step(n int, step byte, at time.Time) {
	project := []string{"odilo", "atlas"}[step>>4&1] + w.suffix
	r := store.Result{Project: project, Agent: "project-meta", Outcome: store.Failure, Output: fmt.Sprint(n), Finished: at}
	switch step & 15 {
	case 1:
		r.Outcome = store.Success
	case 2:
		r.Outcome = store.Ignored
	case 3:
		r.Agent = "developer"
	case 4:
		w.resume(project, at)
		return
	case 5:
		w.hold(incident.Hold{ID: pause.NewRandomID(), Project: project, Note: "n", Since: at})
		return
	case 6, 7, 8:
		r.RunID = fmt.Sprint("run-", step&15)
	case 9:
		r.RunID, r.Outcome = "run-6", store.Success
	case 15:
		r.Started = at.Add(-time.Minute)
	}
	w.record(r)
}

// record compares the answers. Only the ids of incidents differ.
func (w *twins) record(r store.Result) {
	var answers [2]store.Answer
	var errs [2]error
	for n, s := range w.stores {
		answers[n], errs[n] = s.Record(ctx, r, store.Limits{Threshold: w.threshold, Resume: w.threshold, Host: "h"})
		require.Equal(w.t, answers[n].Tripped && !answers[n].Known, answers[n].Opened != nil)
		if i := answers[n].Opened; i != nil {
			i.ID = ""
		}
		if answers[n].Incident != "" {
			answers[n].Incident = "some"
		}
	}
	require.Equal(w.t, answers[0], answers[1])
	require.Equal(w.t, errs[0], errs[1])
	if a := answers[0]; errs[0] == nil && a.Counted && !a.Known {
		w.counter.Record(r.Project, r.Outcome == store.Success)
		require.Equal(w.t, w.counter.Count(r.Project), a.Failures)
		require.Equal(w.t, w.counter.Threshold(), a.Threshold)
	}
	w.compare(r.Project)
}

func (w *twins) resume(project string, at time.Time) {
	var ended [2]bool
	for n, s := range w.stores {
		state, err := s.ProjectState(ctx, project)
		require.NoError(w.t, err)
		ended[n], err = s.Resume(ctx, incident.Resumption{Project: project, Pause: state.Pause().ID, How: "h", At: at})
		require.NoError(w.t, err)
	}
	require.Equal(w.t, ended[0], ended[1])
	if ended[0] {
		w.counter.Reset(project)
	}
	w.compare(project)
}

func (w *twins) hold(h incident.Hold) {
	var added [2]bool
	for n, s := range w.stores {
		var err error
		added[n], err = s.AddHold(ctx, h, incident.FlagIdentity{Kind: incident.PersonFlag, Mtime: 1, Size: 2}, 0)
		require.NoError(w.t, err)
	}
	require.Equal(w.t, added[0], added[1])
	w.compare(h.Project)
}

// compare compares all that is stored of a project.
func (w *twins) compare(project string) {
	type all struct {
		Project store.Project
		Paused  bool
		Hold    *incident.Hold
		Runs    []store.HistoryRun
	}
	var found [2]all
	for n, s := range w.stores {
		state, err := s.ProjectState(ctx, project)
		require.NoError(w.t, err)
		found[n].Paused, found[n].Hold = state.Pause().ID != "", state.Hold
		found[n].Project, err = s.Project(ctx, project)
		require.NoError(w.t, err)
		require.Equal(w.t, found[n].Project.Generation, state.Generation)
		found[n].Runs, err = s.History(ctx, project, 30)
		require.NoError(w.t, err)
	}
	require.Equal(w.t, found[0], found[1])
}
