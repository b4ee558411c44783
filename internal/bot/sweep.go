package bot

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/status"
)

// pruneAtOnce keeps a sweep's share of history small; the next sweep takes the next ones.
const pruneAtOnce = 1000

// clockTrust is how long a clock has to run on after a leap before old results are deleted by it.
const clockTrust = 24 * time.Hour

// pruneFrom decides from when on old results may be deleted; the zero time is at once. After a leap of over a day, as the
// schedule sees it, nobody can tell whether the machine was off or the clock is wrong; and a clock that is a year ahead
// would delete everything within minutes. So a person gets a day to set it right.
func pruneFrom(last status.SweepReport, due, now time.Time) time.Time {
	switch from := last.PruneFrom; {
	case from.IsZero() && now.Sub(due) > clockTrust:
		return now.Add(clockTrust)
	case from.Sub(now) > clockTrust:
		return time.Time{} // it was set right
	default:
		return from
	}
}

// prune deletes old results, if the clock is to be trusted that far.
func (b *Bot) prune(ctx context.Context, rep *status.SweepReport, now time.Time) error {
	last, ok, err := b.LastSweep(ctx)
	if err != nil {
		return err
	}
	if ok {
		rep.PruneFrom = pruneFrom(last, last.At.Add(b.UntilNextSweep(last.At)), now)
	}
	if now.Before(rep.PruneFrom) {
		if last.PruneFrom.IsZero() {
			b.log.Warn("the last sweep was long ago, or the clock leapt: no old results are deleted for a day", "last", last.At, "now", now.UTC())
		}
		return nil
	}
	rep.PruneFrom = time.Time{}
	rep.Pruned, err = b.store.Prune(ctx, now.Add(-b.cfg.History.Keep), pruneAtOnce)
	return err
}

// Sweep takes in what waits, and brings flags, incidents and issues together.
func (b *Bot) Sweep(ctx context.Context, opt escalate.SweepOptions) (status.SweepReport, error) {
	begun := b.now()
	rep := status.SweepReport{DryRun: opt.DryRun, At: begun.UTC()}
	var errs, own []error
	note := func(err error) {
		if err != nil {
			own = append(own, err)
		}
	}
	var err error
	if !opt.DryRun {
		if err := b.beginSweep(ctx); err != nil {
			return rep, err
		}
		defer b.endSweep()
		b.env.Observe.Sweeping()
		rep.TakenIn, err = b.RecordSpooled(ctx)
		note(err)
		rep.LostRuns, err = b.RecordLost(ctx)
		note(err)
	}
	rep.Report, err = b.rec.Sweep(ctx, opt)
	errs = append(errs, b.AdviseRestore(ctx, err))
	if !opt.DryRun {
		note(b.prune(ctx, &rep, begun))
		if b.rec.CheckPause() == nil {
			b.rec.Dir().RemoveOldTemps()
		}
		note(b.keepReady())
		note(b.local.Tidy(ctx, b.store.Running))
	}
	for _, err := range own { // those of the reconciler are in its report
		if s := err.Error(); !slices.Contains(rep.Errors, s) {
			rep.Errors = append(rep.Errors, s)
		}
	}
	errs = append(errs, own...)
	rep.Took = b.now().Sub(begun)
	if opt.DryRun {
		return rep, errors.Join(errs...)
	}
	// The report is for status; it must not keep the sweep from being reported.
	doc, err := json.Marshal(rep)
	err = errors.Join(append(errs, err, b.store.SetMeta(context.WithoutCancel(ctx), status.SweepKey, string(doc)))...)
	b.env.Observe.Swept(rep, err, b.UntilNextSweep(b.now()))
	if ctx.Err() != nil {
		b.log.Info("sweep was told to end, the next one goes on", "done", len(rep.Actions))
		return rep, err
	}
	b.logSweep(rep, err)
	return rep, err
}

// beginSweep waits for the sweep that is going on, as long as ctx lasts.
func (b *Bot) beginSweep(ctx context.Context) error {
	select {
	case b.sweeping <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *Bot) endSweep() { <-b.sweeping }

func (b *Bot) logSweep(rep status.SweepReport, err error) {
	switch {
	case err != nil:
		b.log.Error("sweep", "projects", rep.Projects, "done", len(rep.Actions), "took", rep.Took, "err", err)
	case len(rep.Actions) > 0 || rep.TakenIn > 0 || rep.LostRuns > 0:
		b.log.Info("sweep", "projects", rep.Projects, "done", len(rep.Actions), "taken_in", rep.TakenIn, "lost_runs", rep.LostRuns, "took", rep.Took)
	default:
		b.log.Debug("sweep", "projects", rep.Projects, "took", rep.Took)
	}
}

// DryRun tells what a sweep would do, and writes nothing. Where there is no state it plans with a new one, which takes its
// id from the sentinel and is thrown away.
func DryRun(ctx context.Context, cfg *config.Config, env Env) (status.SweepReport, error) {
	b, err := Open(ctx, cfg, ReadOnly, env)
	if errors.Is(err, fs.ErrNotExist) {
		return planWithoutState(ctx, cfg, env)
	}
	if err != nil {
		return status.SweepReport{}, err
	}
	rep, err := b.Sweep(ctx, escalate.SweepOptions{DryRun: true, Force: true})
	return rep, errors.Join(err, b.Close())
}

func planWithoutState(ctx context.Context, cfg *config.Config, env Env) (rep status.SweepReport, err error) {
	dir, err := os.MkdirTemp("", "adfbot-plan-")
	if err != nil {
		return rep, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	there := *cfg
	there.State = filepath.Join(dir, "adfbot.db")
	made, err := openState(ctx, &there, false, env.Now)
	if err != nil {
		return rep, err
	}
	if err := made.Close(); err != nil {
		return rep, err
	}
	return DryRun(ctx, &there, env)
}
