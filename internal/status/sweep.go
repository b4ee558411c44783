package status

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/terraphim/adfbot/escalate"
)

// SweepReport is what one sweep did, or would do: `adfbot sweep --json`. The last one is kept in the state under [SweepKey].
type SweepReport struct {
	escalate.Report
	DryRun   bool          `json:"dry_run"`
	At       time.Time     `json:"at"` // when it began
	Took     time.Duration `json:"took_ns"`
	TakenIn  int           `json:"taken_in"`  // spooled results
	LostRuns int           `json:"lost_runs"` // runs that were gone without a result
	Pruned   int           `json:"pruned"`    // old results

	PruneFrom time.Time `json:"prune_from,omitzero"` // when old results may be deleted again, after the clock has jumped
}

// SweepKey is the key of the state's meta table under which the last [SweepReport] is kept, in JSON.
const SweepKey = "last_sweep"

// LastSweep returns the report of the last sweep of any process, and whether there was one.
func (r *Reader) LastSweep(ctx context.Context) (rep SweepReport, ok bool, err error) {
	doc, err := r.from.State.Meta(ctx, SweepKey)
	if err != nil || doc == "" {
		return rep, false, err
	}
	return rep, true, json.Unmarshal([]byte(doc), &rep)
}

// sweepGrace is how late a sweep may be before that is a problem: a slow Gitea alone can make one take minutes.
const sweepGrace = 5 * time.Minute

// UntilNextSweep returns how long after from the schedule wants the next sweep, 0 where the schedule can't be read.
func (r *Reader) UntilNextSweep(from time.Time) time.Duration {
	schedule, err := r.from.Config.Sweep.Cron()
	if err != nil {
		return 0
	}
	return max(schedule.Next(from).Sub(from), 0)
}

// overdue returns an error once two sweeps in a row have not come.
func (r *Reader) overdue(last, now time.Time) error {
	schedule, err := r.from.Config.Sweep.Cron()
	if err != nil {
		return err
	}
	if due := schedule.Next(schedule.Next(last)); due.IsZero() || now.Before(due.Add(sweepGrace)) {
		return nil
	}
	return fmt.Errorf("the last sweep was %s ago, and sweep.schedule is %q: nothing is resumed, opened or closed meanwhile; look whether `adfbot serve` is running and what it logs",
		now.Sub(last).Round(time.Second), r.from.Config.Sweep.Schedule)
}
