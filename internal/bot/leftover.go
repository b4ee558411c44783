package bot

import (
	"context"
	"errors"

	"github.com/terraphim/adfbot/internal/store"
)

// RecordLost records a failure for every run whose process is gone without a result, because it was killed together
// with adfbot. It returns how many.
func (b *Bot) RecordLost(ctx context.Context) (int, error) {
	runs, err := b.store.Running(ctx)
	if err != nil {
		return 0, err
	}
	n := 0
	var errs []error
	for _, run := range runs {
		if !b.local.Gone(run) {
			continue
		}
		recorded, err := b.recordLost(ctx, run)
		errs = append(errs, err)
		if recorded {
			n++
		}
	}
	return n, errors.Join(errs...)
}

func (b *Bot) recordLost(ctx context.Context, run store.Run) (recorded bool, err error) {
	// A process spools its result before it releases its run, so the result may be newer than the last RecordSpooled.
	if spooled, err := b.isSpooled(run); spooled || err != nil {
		return false, err
	}
	now := b.now()
	res := store.Result{
		Project: run.Project, Agent: run.Agent, RunID: run.RunID, Outcome: store.Failure, ExitCode: 137, Signal: "SIGKILL",
		Detail: "killed together with adfbot, no result was left", Host: run.Host, Started: run.Started, Finished: now,
		Generation: &run.Generation, Run: run.ID,
	}.Bounded(now)
	Classify(b.cfg, &res)
	a, recorded, err := b.store.Lost(ctx, run, res, b.limits(run.Project))
	if err != nil {
		return false, err
	}
	b.local.RemoveRun(run.ID)
	if recorded {
		b.log.Warn("run is gone without a result, counting a failure", "project", run.Project, "agent", run.Agent, "run_id", run.RunID)
		b.logResult(res, a)
	}
	return recorded, nil
}

func (b *Bot) isSpooled(run store.Run) (bool, error) {
	list, err := b.local.Spool().List()
	for _, e := range list {
		if r := e.Result; e.Err == nil && r.Project == run.Project && r.Agent == run.Agent && r.RunID == run.RunID {
			return true, nil
		}
	}
	return false, err
}
