package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
)

// RecordSpooled records the spooled results, and returns how many.
func (b *Bot) RecordSpooled(ctx context.Context) (int, error) {
	spooled, err := b.local.Spool().List()
	if err != nil {
		return 0, err
	}
	n := 0
	var errs []error
	for place, e := range spooled {
		if e.Err != nil {
			errs = append(errs, fmt.Errorf("cannot read the spooled result %s, it stays there: %w", e.File, e.Err))
			continue
		}
		pausedAgain := slices.ContainsFunc(spooled[place+1:], func(later hostlocal.Spooled) bool {
			return later.Paused && later.Result.Project == e.Result.Project
		})
		err := b.recordSpooled(ctx, e, pausedAgain)
		switch {
		case errors.Is(err, store.ErrConflict):
			b.log.Warn("dropping a spooled result that contradicts the recorded one", "file", e.File, "err", err)
		case err != nil:
			errs = append(errs, fmt.Errorf("cannot record the spooled result %s: %w", e.File, err))
			continue
		default:
			b.log.Info("spooled result recorded", "project", e.Result.Project, "run_id", e.Result.RunID)
		}
		n++
		errs = append(errs, e.Remove())
	}
	return n, errors.Join(errs...)
}

// intakeWait is how long the spool may keep a command from its own work. It is a little longer than the wait for a locked state.
const intakeWait = 11 * time.Second

// RecordSpooledBriefly is [Bot.RecordSpooled] for a command that has something else to do. What it does not come to is left to the
// next sweep.
func (b *Bot) RecordSpooledBriefly(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, intakeWait)
	defer cancel()
	_, err := b.RecordSpooled(ctx)
	return err
}

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
