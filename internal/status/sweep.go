package status

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate"
)

// SweepReport is what a sweep did or would do: `adfbot sweep --json`.
type SweepReport struct {
	escalate.Report
	DryRun   bool          `json:"dry_run"`
	Host     string        `json:"host,omitempty"` // of the process, where hosts share the state
	At       time.Time     `json:"at"`             // start
	Took     time.Duration `json:"took_ns"`
	TakenIn  int           `json:"taken_in"`       // spooled results
	LostRuns int           `json:"lost_runs"`      // runs whose process was gone, or that hung, without a result
	Runs     int           `json:"runs,omitempty"` // results that were read from workflows of Gitea Actions
	Pruned   int           `json:"pruned"`         // old results

	PruneFrom time.Time `json:"prune_from,omitzero"` // when old results may be deleted again after a jump of the clock
}

// MarshalJSON adds how long it took in seconds, as other durations are. Took is what is read again; nanoseconds are its old name.
// Actions and Errors are never null.
func (rep SweepReport) MarshalJSON() ([]byte, error) {
	type plain SweepReport
	rep.Actions, rep.Errors = notNil(rep.Actions), notNil(rep.Errors)
	return json.Marshal(struct {
		plain
		TookSeconds float64 `json:"took_seconds"`
	}{plain(rep), seconds(rep.Took)})
}

const sweepProblem = "last sweep"

// problem returns what status says of an error of the last sweep. It may be that of another host: its token, its disk, its network.
func (rep SweepReport) problem(e string) string {
	if rep.Host != "" {
		return sweepProblem + " on " + rep.Host + ": " + e
	}
	return sweepProblem + ": " + e
}

// withoutSweep returns the error in a problem of the last sweep, and any other problem as it is.
func withoutSweep(problem string) string {
	if _, e, ok := strings.Cut(problem, ": "); ok && strings.HasPrefix(problem, sweepProblem) {
		return e
	}
	return problem
}

func notNil[T any](s []T) []T { return append([]T{}, s...) }

// SweepKey is the key of the last [SweepReport] in the state's meta table, as JSON.
const SweepKey = "last_sweep"

// LastSweep returns the report of the last sweep of any process, and whether there was one.
func (r *Reader) LastSweep(ctx context.Context) (rep SweepReport, ok bool, err error) {
	doc, err := r.from.State.Meta(ctx, SweepKey)
	if err != nil || doc == "" {
		return rep, false, err
	}
	return rep, true, json.Unmarshal([]byte(doc), &rep)
}

// sweepGrace is how late a sweep may be: with a slow Gitea one can take minutes.
const sweepGrace = 5 * time.Minute

// UntilNextSweep returns the time from a moment to the next scheduled sweep, 0 if there is no schedule.
func (r *Reader) UntilNextSweep(from time.Time) time.Duration {
	schedule, err := r.from.Config.Sweep.Cron()
	if err != nil {
		return 0
	}
	return max(schedule.Next(from).Sub(from), 0)
}

// overdue returns an error if two sweeps in a row are missing.
func (r *Reader) overdue(last, now time.Time) error {
	schedule, err := r.from.Config.Sweep.Cron()
	if err != nil {
		return err
	}
	if due := schedule.Next(schedule.Next(last)); due.IsZero() || now.Before(due.Add(sweepGrace)) {
		return nil
	}
	return fmt.Errorf("there was no sweep since %s, and sweep.schedule is %q: nothing is resumed, opened or closed meanwhile; check that `adfbot serve` runs, and read its log",
		last.UTC().Format(describeFormat), r.from.Config.Sweep.Schedule)
}
