package status

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/terraphim/adfbot/internal/store"
)

// DayCount is how the counted results of one day ended.
type DayCount struct {
	Day    time.Time // its beginning, in UTC
	OK     int
	Failed int
}

// DaysShown is how many days [Detail.Days] is about, today included.
const DaysShown = 30

const (
	day = 24 * time.Hour

	// maxCounted bounds what the first count of a project costs: a run a minute for 30 days.
	maxCounted = 45_000

	// settledAfter is how long after an hour's end another process may still be storing a result of it.
	settledAfter = 10 * time.Minute

	maxTallies = 1000 // projects whose counts are kept
)

// tally is what was counted of a project. It is never changed.
type tally struct {
	upTo int64 // position of the last result in it
	from time.Time
	days map[time.Time]DayCount
}

// tallies are kept so that a page that is shown again and again counts only what is new.
type tallies struct {
	mu sync.Mutex
	of map[string]tally
}

func (t *tallies) get(project string) tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.of[project]
}

func (t *tallies) put(project string, v tally) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil || len(t.of) >= maxTallies {
		t.of = map[string]tally{}
	}
	t.of[project] = v
}

// lastDays counts a project's results of the last days, and returns the first day that is counted whole.
func (r *Reader) lastDays(ctx context.Context, project string, now time.Time) ([]DayCount, time.Time, error) {
	first := now.UTC().Truncate(day).Add(-(DaysShown - 1) * day)
	was := r.counted.get(project)
	hours, err := r.from.State.Hourly(ctx, project, first, was.upTo, maxCounted)
	if err != nil {
		return nil, first, err
	}
	kept, all := was.add(hours, first, now.Add(-settledAfter).Truncate(time.Hour), maxCounted)
	r.counted.put(project, kept)
	return slices.SortedFunc(maps.Values(all.days), func(a, b DayCount) int { return a.Day.Compare(b.Day) }), all.from, nil
}

// add adds hours. It returns what may be kept, which is all that was recorded before the time settled, and everything since the day
// first. If limit results were looked at, there may be others between the tally and them.
func (t tally) add(hours []store.HourCount, first, settled time.Time, limit int) (kept, all tally) {
	results := 0
	for _, h := range hours {
		results += h.Results
	}
	from := first
	if results >= limit {
		from = hours[0].Hour.Truncate(day).Add(day) // there may be more of the oldest day
		t = tally{upTo: t.upTo}
	} else if t.from.After(from) {
		from = t.from
	}
	kept = tally{upTo: t.upTo, from: from, days: map[time.Time]DayCount{}}
	for at, c := range t.days {
		if !at.Before(from) {
			kept.days[at] = c
		}
	}
	all = tally{from: from, days: maps.Clone(kept.days)}
	for _, h := range hours {
		at := h.Hour.Truncate(day)
		if h.Hour.Before(settled) {
			kept.upTo = max(kept.upTo, h.Last)
		}
		if !h.Counted || at.Before(from) {
			continue
		}
		count(all.days, at, h)
		if h.Hour.Before(settled) {
			count(kept.days, at, h)
		}
	}
	return kept, all
}

func count(days map[time.Time]DayCount, at time.Time, h store.HourCount) {
	c := days[at]
	c.Day = at
	if h.Outcome == store.Failure {
		c.Failed += h.Results
	} else {
		c.OK += h.Results
	}
	days[at] = c
}
