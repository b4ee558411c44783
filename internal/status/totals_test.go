package status

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
)

func TestRanks(t *testing.T) {
	at := func(hour int) *time.Time {
		at := time.Date(2026, 11, 23, hour, 0, 0, 0, time.UTC)
		return &at
	}
	s := Status{Projects: []Project{
		{ID: "fine", Paused: No},
		{ID: "ignored", Paused: No, LastRuns: []Run{{Outcome: store.Ignored}}},
		{ID: "failing", Paused: No, Failures: 1},
		{ID: "held", Paused: Yes, Held: true, Since: at(3)},
		{ID: "early", Paused: Yes, Since: at(1)},
		{ID: "late", Paused: Yes, Since: at(2)},
		{ID: "unknown", Paused: Unknown},
		{ID: "warned", Paused: No, Warnings: []string{"x"}},
		{ID: "pending", Paused: No, Pending: []string{"x"}},
		{ID: "silent", Paused: No, Silence: &Silence{}},
		{ID: "resumed", Paused: No, HalfOpen: true},
		{ID: "other agent", Paused: No, LastRuns: []Run{{Outcome: store.Failure}}},
		{ID: "running", Paused: No, Running: 2, LastRuns: []Run{{Outcome: store.Success}, {Outcome: store.Failure}}},
	}}
	var ids []string
	for _, p := range s.Ranked() {
		ids = append(ids, p.ID)
	}
	require.Equal(t, []string{"unknown", "late", "early", "held", "failing", "warned", "pending", "silent", "resumed", "other agent", "fine", "ignored", "running"}, ids)
	require.Equal(t, "fine", s.Projects[0].ID, "the order of the status stays")

	s = s.Keep(func(Project) bool { return true })
	require.Equal(t, Totals{Projects: 13, Unknown: 1, Paused: 2, Held: 1, Look: 6, Fine: 3, Running: 1}, s.Totals)
	require.Equal(t, "13 projects: 1 UNKNOWN, 2 paused, 1 held, 6 need a look, 3 fine; running now: 1", s.Totals.String())
	require.Equal(t, "0 projects", Totals{}.String())
	require.Equal(t, "1 project: 1 needs a look", s.Keep(func(p Project) bool { return p.ID == "resumed" }).Totals.String())
	require.Equal(t, "1 project: 1 fine", s.Keep(func(p Project) bool { return p.ID == "fine" }).Totals.String())
}

// Earlier versions recorded results from a spool that did not say when they ended.
func TestRunWithoutAnEnd(t *testing.T) {
	recorded := time.Date(2026, 11, 23, 7, 4, 5, 0, time.UTC)
	require.Equal(t, recorded, NewRun(store.HistoryRun{Recorded: recorded}).Finished)
	ended := recorded.Add(-time.Hour)
	require.Equal(t, ended, NewRun(store.HistoryRun{Run: incident.Run{Finished: ended}, Recorded: recorded}).Finished)
}
