package status

import (
	"fmt"
	"time"
)

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
