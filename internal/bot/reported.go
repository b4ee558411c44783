package bot

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
	"github.com/terraphim/adfbot/pause"
)

// A run of exec has a process whose end this host sees. Of a run that somebody reports to begin there are only the reports: if the one
// about its end does not come, the run hung, or was killed together with whoever would have reported it. Who can tell is any host of a fleet.

// BeginReported stores a run that somebody reports to have begun. RunID, which may be empty, is what the report of its result will have.
func (b *Bot) BeginReported(ctx context.Context, r store.Run) error {
	if r.ID = store.ReportedRunID(r.Project, r.Agent, r.RunID); r.RunID == "" {
		r.ID += pause.NewRandomID()
	}
	r.Started = b.now()
	if err := b.store.BeginReported(ctx, r); err != nil {
		return err
	}
	if err := b.markKnown(ctx, r.Project); err != nil {
		b.log.Warn("left to the next sweep", "project", r.Project, "err", err)
	}
	return nil
}

// Begun completes a result with what was reported when its run began: it counts only if the project has not been resumed since. Of
// several runs without a run id it is the last one. The result ends the run even if that cannot be read now.
func (b *Bot) Begun(ctx context.Context, r store.Result) (store.Result, error) {
	r.Run = store.ReportedRunID(r.Project, r.Agent, r.RunID)
	return b.withBeginning(ctx, r, b.offset())
}

// withBeginning is Begun for a result that says which run it ends. The clock of the state is ahead of that of the result's times by offset,
// which is 0 for one from the spool.
func (b *Bot) withBeginning(ctx context.Context, r store.Result, offset time.Duration) (store.Result, error) {
	runs, err := b.store.ReportedRuns(ctx, r.Project)
	for _, run := range runs {
		if r.Ends(run) {
			r.Generation, r.Started = &run.Generation, run.Started.Add(-offset)
		}
	}
	if r.Started.After(r.Finished) { // the clock was set back
		r.Started = r.Finished
	}
	return r, err
}

// recordHung records a failure for every run that was reported to begin and of which no result was reported within hung_after. Without
// hung_after it forgets the run when its result would be too old for the history.
func (b *Bot) recordHung(ctx context.Context) (n int, err error) {
	runs, err := b.store.ReportedRuns(ctx, "")
	errs := []error{err}
	for _, run := range runs {
		limit := b.cfg.ProjectOrDefault(run.Project).HungAfter
		age := b.now().Sub(run.Started)
		switch {
		case limit > 0 && age >= limit:
			recorded, _, err := b.recordGone(ctx, run, hung(limit))
			errs = append(errs, err)
			if recorded {
				n++
			}
		case limit == 0 && age >= b.cfg.History.Keep:
			errs = append(errs, b.store.EndRun(ctx, run))
		}
	}
	return n, errors.Join(errs...)
}

// hung is the result of a run that hung.
func hung(limit time.Duration) store.Result {
	return store.Result{
		Outcome: store.Failure, ExitCode: exitTimeout, Detail: fmt.Sprintf("no result was reported within hung_after: %s", text.Duration(limit)), Ended: true,
	}
}
