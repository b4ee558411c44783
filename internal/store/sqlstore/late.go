package sqlstore

import (
	"context"
	"database/sql"
	"math"
	"time"

	"github.com/terraphim/adfbot/internal/store"
)

// count applies a result to a locked project. Where several hosts share the state, one that was cut off brings its results late, and then
// their order says nothing.
func (s *State) count(ctx context.Context, tx Tx, p *Project, r store.Result, l store.Limits) (a store.Answer, trips bool, err error) {
	if r.Age < store.LateAge || !p.Counts(r, p.Now) {
		a, trips = p.Count(r, l, p.Open, p.Now)
		return a, trips, nil
	}
	failures, last, err := countAnew(ctx, tx, p, r)
	if err == nil {
		r.Trips, l.Paused = r.Trips && last, l.Paused && last
		a, trips = p.CountLate(r, l, p.Open, p.Now, failures)
	}
	return a, trips, err
}

// lateRows is how many results are read at once to make a count anew.
const lateRows = 100

// counted is a result that counted.
type counted struct {
	id         int64
	agent      string
	runID      string
	outcome    string
	recorded   time.Time
	age        time.Duration
	generation sql.NullInt64
}

// countAnew counts the failures of the project's generation since its last success, with a result that is not stored yet. It also returns
// whether no success is later than that result. A failure of a run that is known by now to have succeeded counts no more: the success of a run
// that was taken for lost, or for hung, may have finished before that was noticed. Without a success the breaker has the count: older rows may
// have been deleted, and those that came from another database have no generation.
func countAnew(ctx context.Context, tx Tx, p *Project, r store.Result) (failures int, last bool, err error) {
	now := stamp(p.Now)
	streak := store.NewStreak(now)
	age := r.Age.Truncate(time.Millisecond)
	type run struct{ agent, id string }
	succeeded := map[run]bool{}
	add := func(c counted) (more bool) {
		if c.outcome == store.Success {
			for _, id := range store.EarlierRunIDs(c.runID) {
				succeeded[run{c.agent, id}] = true
			}
		} else if succeeded[run{c.agent, c.runID}] {
			return streak.Pass(c.recorded)
		}
		return streak.Add(c.outcome == store.Success, c.recorded, c.age)
	}
	more := add(counted{agent: r.Agent, runID: r.RunID, outcome: r.Outcome, recorded: now, age: age})
	for before, rest := int64(math.MaxInt64), true; more && rest; {
		page, err := List(ctx, tx, scanCounted, `SELECT id, agent, coalesce(run_id, ''), outcome, recorded_at, age, generation FROM adfbot.result
			WHERE project = ? AND counted AND id < ? ORDER BY id DESC LIMIT ?`, r.Project, before, lateRows)
		if err != nil {
			return 0, false, err
		}
		for _, c := range page {
			before = c.id
			if more = c.in(p); more {
				more = add(c)
			}
			if !more {
				break
			}
		}
		rest = len(page) == lateRows
	}
	if streak.Unbroken() {
		return p.Breaker.Failures + 1, true, nil
	}
	return streak.Failures(), streak.Holds(now, age), nil
}

func scanCounted(row Row) (c counted, err error) {
	var recorded Time
	var age int64
	err = row.Scan(&c.id, &c.agent, &c.runID, &c.outcome, &recorded, &age, &c.generation)
	c.recorded, c.age = recorded.Time, time.Duration(age)*time.Millisecond
	return c, err
}

// in reports whether the result counted in the project's generation.
func (c counted) in(p *Project) bool {
	if c.generation.Valid {
		return c.generation.Int64 == p.Generation
	}
	return c.recorded.After(p.Resumed)
}
