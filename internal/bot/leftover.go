package bot

import (
	"context"
	"errors"
	"fmt"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
)

// RecordLost records a failure for every run whose process is gone without a result, because adfbot was killed
// meanwhile, and for every one that was reported to begin and hung. One that only an old copy of the state knows is ignored. It
// returns how many. A run of which it cannot tell whether it goes on is an error.
func (b *Bot) RecordLost(ctx context.Context) (int, error) {
	runs, err := b.store.Running(ctx)
	errs := []error{err}
	n := 0
	var unknown []error
	for _, run := range runs {
		if !b.local.Gone(run) {
			if err := b.local.CheckRun(run); err != nil {
				unknown = append(unknown, err)
			}
			continue
		}
		recorded, err := b.recordLost(ctx, run)
		errs = append(errs, err)
		if recorded {
			n++
		}
	}
	if more := len(unknown) - 1; more > 0 {
		errs = append(errs, fmt.Errorf("%w; so it is with %s", unknown[0], text.Plural(more, "other run")))
	} else {
		errs = append(errs, unknown...)
	}
	hung, err := b.recordHung(ctx)
	return n + hung, errors.Join(append(errs, err)...)
}

func (b *Bot) recordLost(ctx context.Context, run store.Run) (recorded bool, err error) {
	res := store.Result{Outcome: store.Failure, ExitCode: 137, Signal: "SIGKILL", Detail: store.DetailKilled}
	if !b.local.HasRun(run.ID) { // it ended after the state was copied, and may have succeeded
		res = store.Result{Outcome: store.Ignored, Detail: store.DetailUnknown}
	}
	recorded, left, err := b.recordGone(ctx, run, res)
	if err == nil && !left {
		b.local.RemoveRun(run.ID)
	}
	return recorded, err
}

// recordGone records that a run will have no result any more. Res says how it ended. left is true if the run has a result
// in the spool, which is to be recorded.
func (b *Bot) recordGone(ctx context.Context, run store.Run, res store.Result) (recorded, left bool, err error) {
	// A process spools its result before it releases its run, so the result may be newer than the last RecordSpooled.
	if left, err = b.isSpooled(run); left || err != nil {
		return false, left, err
	}
	if b.rec.Look(ctx, run.Project).State == incident.FlagGone { // somebody may have resumed the project since the run began
		if _, _, err := b.rec.Local(ctx, run.Project); err != nil {
			b.log.Debug("a run without a result is recorded although its project's flag is not in line", "project", run.Project, "err", err)
		}
	}
	now := b.now()
	res.Project, res.Agent, res.RunID, res.Host = run.Project, run.Agent, run.RunID, run.Host
	res.Started, res.Finished, res.Generation, res.Run = run.Started, now, &run.Generation, run.ID
	res = res.Bounded(now)
	Classify(b.cfg, &res)
	a, recorded, err := b.store.Lost(ctx, run, res, b.limits(run.Project, b.local.RunSettings(run.ID)))
	if recorded {
		b.log.Warn("run has no result", "outcome", res.Outcome, "project", run.Project, "agent", run.Agent, "run_id", run.RunID, "why", res.Detail)
		b.logResult(res, a)
	}
	return recorded, false, err
}

// isSpooled reports whether the spool of this host has the result of a run.
func (b *Bot) isSpooled(run store.Run) (bool, error) {
	list, err := b.local.Spool().List()
	for _, e := range list {
		if r := e.Result; e.Err == nil && r.Project == run.Project && r.Agent == run.Agent && (r.RunID == run.RunID || r.Ends(run)) {
			return true, nil
		}
	}
	return false, err
}
