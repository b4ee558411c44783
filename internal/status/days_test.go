package status

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
)

func TestTally(t *testing.T) {
	first := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	at := func(hours int, outcome string, results int, last int64) store.HourCount {
		return store.HourCount{Hour: first.Add(time.Duration(hours) * time.Hour), Outcome: outcome, Counted: true, Results: results, Last: last}
	}
	uncounted := at(47, store.Success, 7, 19)
	uncounted.Counted = false
	settled := first.Add(48 * time.Hour)
	kept, all := tally{}.add([]store.HourCount{
		at(3, store.Failure, 1, 9), at(3, store.Success, 5, 11), at(5, store.Success, 4, 15), uncounted, at(48, store.Failure, 2, 21), at(48, store.Success, 1, 20),
	}, first, settled, 100)
	one, three := DayCount{Day: first, OK: 9, Failed: 1}, DayCount{Day: first.Add(2 * day), OK: 1, Failed: 2}
	require.Equal(t, map[time.Time]DayCount{first: one, three.Day: three}, all.days)
	require.Equal(t, tally{upTo: 19, from: first, days: map[time.Time]DayCount{first: one}}, kept, "the last hour may go on")

	// An hour later, the rest is settled, too.
	next, all := kept.add([]store.HourCount{at(48, store.Failure, 2, 21), at(48, store.Success, 3, 24), at(50, store.Success, 1, 25)}, first, settled.Add(2*time.Hour), 100)
	require.Equal(t, DayCount{Day: three.Day, OK: 4, Failed: 2}, all.days[three.Day])
	require.Equal(t, DayCount{Day: three.Day, OK: 3, Failed: 2}, next.days[three.Day])
	require.Equal(t, int64(24), next.upTo)
	require.Equal(t, one, kept.days[first], "what is kept is not changed")

	// A day later, the first day is over.
	next, all = next.add(nil, first.Add(day), settled.Add(day), 100)
	require.NotContains(t, next.days, first)
	require.Equal(t, first.Add(day), all.from)
	require.Equal(t, int64(24), next.upTo)

	// There are so many new ones that some were not looked at.
	next, all = next.add([]store.HourCount{at(70, store.Success, 60, 90), at(90, store.Success, 40, 130)}, first.Add(day), first.Add(99*time.Hour), 100)
	require.Equal(t, first.Add(3*day), all.from, "of the oldest day there may be more")
	require.Equal(t, map[time.Time]DayCount{first.Add(3 * day): {Day: first.Add(3 * day), OK: 40}}, all.days)
	require.Equal(t, tally{upTo: 130, from: all.from, days: all.days}, next)
	again, all := next.add(nil, first.Add(day), first.Add(99*time.Hour), 100)
	require.Equal(t, next, again)
	require.Equal(t, first.Add(3*day), all.from, "that is not forgotten")
}

func TestTalliesAreBounded(t *testing.T) {
	var all tallies
	for n := range 3 * maxTallies {
		all.put(string(rune(n)), tally{upTo: int64(n)})
	}
	require.LessOrEqual(t, len(all.of), maxTallies)
	require.Equal(t, int64(3*maxTallies-1), all.get(string(rune(3*maxTallies-1))).upTo)
	require.Zero(t, all.get("nobody"))
}
