package bot

import (
	"fmt"
	"time"
)

// sweepGrace is how long a sweep may be late before that is said: a slow Gitea alone can make one take minutes.
const sweepGrace = 5 * time.Minute

// untilNext is how long the schedule waits from the given time for the next sweep, 0 where that can't be told.
func (b *Bot) untilNext(from time.Time) time.Duration {
	schedule, err := b.cfg.Sweep.Cron()
	if err != nil {
		return 0
	}
	return max(schedule.Next(from).Sub(from), 0)
}

// overdue says that the sweeps stay away: two of them in a row, and some minutes of grace. "" where all is well.
func (b *Bot) overdue(last, now time.Time) string {
	schedule, err := b.cfg.Sweep.Cron()
	if err != nil {
		return err.Error()
	}
	if due := schedule.Next(schedule.Next(last)); due.IsZero() || now.Before(due.Add(sweepGrace)) {
		return ""
	}
	return fmt.Sprintf("the last sweep was %s ago, and sweep.schedule is %q: nothing is resumed, opened or closed meanwhile; look whether `adfbot serve` is running and what it logs",
		now.Sub(last).Round(time.Second), b.cfg.Sweep.Schedule)
}
