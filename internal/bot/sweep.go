package bot

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
)

// Sweep records what was left behind, then brings flags, incidents and issues in line. Only the last waits for Gitea.
func (b *Bot) Sweep(ctx context.Context, opt escalate.SweepOptions) (status.SweepReport, error) {
	rep := status.SweepReport{DryRun: opt.DryRun, At: b.now().UTC()}
	if opt.DryRun {
		var err error
		rep.Report, err = b.plan(ctx, "", opt)
		rep.Took = b.now().Sub(rep.At)
		return rep, err
	}
	if b.store.fleet != nil {
		rep.Host = b.host
	}
	if err := b.beginSweep(ctx); err != nil {
		return rep, err
	}
	defer b.endSweep()
	b.env.observe(Observer.Sweeping)
	// The directory may have been mounted since the daemon was started.
	own := append([]error{b.prepareDir(ctx, Operate)}, b.recordLeft(ctx, &rep)...)
	own = append(own, b.tidy(ctx), b.keepKnown(ctx))
	held, release, err := b.claimSweep(ctx, opt)
	if err != nil {
		return b.sweepOwn(ctx, rep, own, err)
	}
	defer release()
	own = append(own, b.prune(ctx, &rep), b.RetireForgotten(held))
	moveErr := b.followMove(held)
	if opt.Project == "" {
		own = append(own, b.lookForSilence(ctx))
	}
	runs, errs := b.readRuns(held, opt.Project)
	rep.Runs, own = runs, append(own, errs...)
	var sweepErr error
	rep.Report, sweepErr = b.sweepGitea(held, opt, moveErr)
	own = append(own, b.followKnown(ctx)) // of flags that people have made
	own = append(own, b.keepWorkflows(held, opt.Project, opt.Force)...)
	b.turns.swept(sweepErr, b.token)
	for _, err := range own {
		if err != nil && !slices.Contains(rep.Errors, err.Error()) {
			rep.Errors = append(rep.Errors, err.Error())
		}
	}
	rep.Took = b.now().Sub(rep.At)
	if ctx.Err() != nil { // its requests failed for that
		rep.Errors = []string{"the sweep was interrupted, the next one does the rest"}
	}
	// The report is for status. If it cannot be stored, the sweep is reported all the same.
	doc, err := json.Marshal(rep)
	own = append(own, err, b.store.SetMeta(context.WithoutCancel(ctx), status.SweepKey, string(doc)))
	err = errors.Join(b.AdviseRestore(ctx, sweepErr), errors.Join(own...))
	b.env.observe(func(o Observer) { o.Swept(rep, err, b.UntilNextSweep(b.now())) })
	logSweep(ctx, b.log, "sweep", rep, err)
	return rep, err
}

// sweepOwn is what is left of a sweep on a host of a fleet where another one works with Gitea, or this one cannot: its own flags. The report
// of the sweep stays in the state.
func (b *Bot) sweepOwn(ctx context.Context, rep status.SweepReport, own []error, notClaimed error) (status.SweepReport, error) {
	var err error
	rep.Report, err = b.rec.SweepLocal(ctx)
	own = append(own, b.followKnown(ctx), b.forgetRuns(ctx))
	rep.Took = b.now().Sub(rep.At)
	err = errors.Join(append(own, b.notSwept(notClaimed), b.AdviseRestore(ctx, err))...)
	b.env.observe(func(o Observer) { o.Swept(rep, err, b.UntilNextSweep(b.now())) })
	logSweep(ctx, b.log, "sweep of this host's flags", rep, err)
	return rep, err
}

// recordLeft records what was left behind. It returns all errors but those of the reconciler, which are in its report.
func (b *Bot) recordLeft(ctx context.Context, rep *status.SweepReport) []error {
	spooled, err := b.RecordSpooled(ctx)
	lost, err2 := b.RecordLost(ctx)
	rep.TakenIn, rep.LostRuns = spooled, lost
	return []error{err, err2}
}

// sweepLocal does what a sweep does without Gitea: it records what was left behind, and brings flags and incidents in line.
// It may run beside a sweep. The report of the last sweep stays in the state.
func (b *Bot) sweepLocal(ctx context.Context) {
	rep := status.SweepReport{At: b.now().UTC()}
	errs := b.recordLeft(ctx, &rep)
	var err error
	rep.Report, err = b.rec.SweepLocal(ctx)
	errs = append(errs, b.keepKnown(ctx))
	rep.Took = b.now().Sub(rep.At)
	logSweep(ctx, b.log, "local sweep", rep, b.AdviseRestore(ctx, errors.Join(append(errs, err)...)))
}

// plan returns what a sweep of a project would do; of all projects if it is "". It asks Gitea, and changes nothing there or here.
func (b *Bot) plan(ctx context.Context, project string, opt escalate.SweepOptions) (escalate.Report, error) {
	opt.Project = project
	if err := b.planMove(ctx); err != nil {
		b.rec.SetTrackerError(err)
	}
	rep, err := b.rec.Sweep(ctx, opt)
	return rep, b.AdviseRestore(ctx, err)
}

// SweepProject sweeps one project, because something has happened to its issue. The report of the last sweep of all
// projects stays in the state.
func (b *Bot) SweepProject(ctx context.Context, project string) (escalate.Report, error) {
	if err := b.beginSweep(ctx); err != nil {
		return escalate.Report{}, err
	}
	defer b.endSweep()
	return b.sweepProject(ctx, project, escalate.SweepOptions{})
}

func (b *Bot) sweepProject(ctx context.Context, project string, opt escalate.SweepOptions) (escalate.Report, error) {
	begun := b.now()
	opt.Project = project
	moveErr := b.followMove(ctx)
	runs, own := b.readRuns(ctx, project)
	rep, err := b.sweepGitea(ctx, opt, moveErr)
	own = append(own, b.keepWorkflows(ctx, project, opt.Force)...)
	err = errors.Join(b.AdviseRestore(ctx, err), errors.Join(own...))
	logSweep(ctx, b.log.With("project", project), "sweep of one project", status.SweepReport{Report: rep, Runs: runs, Took: b.now().Sub(begun)}, err)
	return rep, err
}

// sweepProjects sweeps some projects, one after the other. The report of the last sweep of all projects stays in the state.
func (b *Bot) sweepProjects(ctx context.Context, projects []string, opt escalate.SweepOptions) (status.SweepReport, error) {
	rep := status.SweepReport{DryRun: opt.DryRun, At: b.now().UTC()}
	sweep := b.plan
	if !opt.DryRun {
		sweep = b.sweepProject
		b.takeIn(ctx)
		if err := b.beginSweep(ctx); err != nil {
			return rep, err
		}
		defer b.endSweep()
	}
	progress := opt.Progress
	var errs []error
	for n, project := range projects {
		opt.Progress = nil
		one, err := sweep(ctx, project, opt)
		rep.Projects += one.Projects
		rep.Actions, rep.Waiting = append(rep.Actions, one.Actions...), append(rep.Waiting, one.Waiting...)
		rep.Errors, rep.Foreign = appendNew(rep.Errors, one.Errors), appendNew(rep.Foreign, one.Foreign)
		if errs = append(errs, err); ctx.Err() != nil {
			break
		}
		if progress != nil {
			progress(n+1, len(projects))
		}
	}
	rep.Took = b.now().Sub(rep.At)
	return rep, distinctErrors(errs)
}

// appendNew appends what is not there yet: several projects may say the same of one repository.
func appendNew(list, more []string) []string {
	for _, s := range more {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// distinctErrors joins errors, each message once.
func distinctErrors(errs []error) error {
	seen := map[string]bool{}
	return errors.Join(slices.DeleteFunc(errs, func(err error) bool {
		if err == nil || seen[err.Error()] {
			return true
		}
		seen[err.Error()] = true
		return false
	})...)
}

// namedToSweep returns the projects that names stand for. One that has left the configuration is among them as long as something of it is
// unfinished. A dry run writes nothing, not even which projects are known.
func (b *Bot) namedToSweep(ctx context.Context, names []string, dry bool) ([]string, error) {
	find := b.selected
	if dry {
		find = func(ctx context.Context, names []string) (config.Selected, error) {
			known, err := b.store.KnownProjects(ctx)
			if err != nil {
				return config.Selected{}, err
			}
			return b.cfg.Select(names, known)
		}
	}
	s, err := find(ctx, names)
	for _, id := range s.IDs {
		err = errors.Join(err, b.CheckKnown(ctx, id))
	}
	ids := slices.Concat(s.IDs, s.Matched)
	slices.Sort(ids)
	return slices.Compact(ids), err
}

// beginSweep waits for the end of the sweep that is running.
func (b *Bot) beginSweep(ctx context.Context) error {
	select {
	case b.sweeping <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *Bot) endSweep() { <-b.sweeping }

func logSweep(ctx context.Context, log *slog.Logger, what string, rep status.SweepReport, err error) {
	log = log.With("projects", rep.Projects, "done", len(rep.Actions), "took", rep.Took)
	switch {
	case ctx.Err() != nil:
		log.Info(what + " was interrupted, the next one does the rest")
	case err != nil:
		log.Error(what, "err", text.Once(err.Error()))
	case len(rep.Actions) > 0 || rep.TakenIn > 0 || rep.LostRuns > 0 || rep.Runs > 0:
		log.Info(what, "taken_in", rep.TakenIn, "lost_runs", rep.LostRuns, "runs", rep.Runs)
	default:
		log.Debug(what)
	}
}

// tidy removes what killed processes have left behind, and creates what a full disk will need unless the state was
// moved away.
func (b *Bot) tidy(ctx context.Context) error {
	if b.rec.CheckPause(ctx) == nil {
		b.rec.Dir().RemoveOldTemps()
	}
	err := b.store.Moved()
	if err == nil {
		err = b.local.KeepReady(ctx)
	}
	return errors.Join(err, b.local.Tidy(ctx, b.store.Running))
}

const (
	// pruneLimit is how many results are deleted at once: others have to wait for that.
	pruneLimit = 1000
	// pruneTime is when a sweep leaves the rest to the next one. Where sweeps are rare, each has much to delete.
	pruneTime = time.Second
	// pruneDelay is how long no results are deleted after the clock has jumped.
	pruneDelay = 24 * time.Hour
)

// pruneFrom returns from when on old results may be deleted; the zero time means now. If the last sweep was due more
// than a day ago, the machine was off or the clock is wrong, and a clock that is a year ahead would delete everything
// within minutes. So there is a day to set it right.
func pruneFrom(last status.SweepReport, due, now time.Time) time.Time {
	switch from := last.PruneFrom; {
	case from.IsZero() && now.Sub(due) > pruneDelay:
		return now.Add(pruneDelay)
	case from.Sub(now) > pruneDelay:
		return time.Time{} // the clock was set right
	default:
		return from
	}
}

// prune deletes old results, unless the clock has jumped.
func (b *Bot) prune(ctx context.Context, rep *status.SweepReport) error {
	now := rep.At
	last, ok, err := b.LastSweep(ctx)
	if err != nil {
		return err
	}
	if ok {
		rep.PruneFrom = pruneFrom(last, last.At.Add(b.UntilNextSweep(last.At)), now)
	}
	if now.Before(rep.PruneFrom) {
		if last.PruneFrom.IsZero() {
			b.log.Warn("the last sweep was long ago, or the clock jumped: deleting no old results for a day", "last", last.At, "now", now)
		}
		return nil
	}
	rep.PruneFrom = time.Time{}
	before := now.Add(-b.cfg.History.Keep)
	expected, err := b.notDueSince(ctx, before, now)
	if err != nil {
		return err
	}
	rep.Pruned, err = pruneAll(func() (int, error) { return b.store.Prune(ctx, before, pruneLimit, expected...) }, pruneTime)
	return err
}

// notDueSince returns the projects whose last result may be as old as that before the next one is overdue. Without it they would be taken
// for silent.
func (b *Bot) notDueSince(ctx context.Context, since, now time.Time) (projects []string, err error) {
	expected, err := b.expectations(ctx)
	for id, e := range expected {
		if deadline, err := e.Deadline(since); err == nil && deadline.After(now) { // lookForSilence reports the error
			projects = append(projects, id)
		}
	}
	return projects, err
}

// pruneAll calls prune, which deletes up to [pruneLimit] results, until nothing is left or the time is over.
func pruneAll(prune func() (int, error), limit time.Duration) (pruned int, err error) {
	for begun, n := time.Now(), pruneLimit; n >= pruneLimit && err == nil && (pruned == 0 || time.Since(begun) < limit); pruned += n {
		n, err = prune()
	}
	return pruned, err
}

// DryRun returns what a sweep would do, of all projects or of those that are named, and writes nothing. Without a state it plans with a new
// one that it throws away.
func DryRun(ctx context.Context, cfg *config.Config, env Env, names ...string) (status.SweepReport, error) {
	b, err := Open(ctx, cfg, ReadOnly, env)
	if store.NoState(err) {
		return dryRunWithoutState(ctx, cfg, env, names)
	}
	if err != nil {
		return status.SweepReport{}, err
	}
	rep, err := b.SweepNamed(ctx, names, escalate.SweepOptions{DryRun: true, Force: true})
	return rep, errors.Join(err, b.Close())
}

// SweepNamed sweeps the projects that names, ids and patterns, stand for; all if there are none.
func (b *Bot) SweepNamed(ctx context.Context, names []string, opt escalate.SweepOptions) (status.SweepReport, error) {
	if len(names) == 0 {
		return b.Sweep(ctx, opt)
	}
	ids, err := b.namedToSweep(ctx, names, opt.DryRun)
	if err != nil {
		return status.SweepReport{}, err
	}
	return b.sweepProjects(ctx, ids, opt)
}

func dryRunWithoutState(ctx context.Context, cfg *config.Config, env Env, names []string) (rep status.SweepReport, err error) {
	dir, err := os.MkdirTemp("", "adfbot-plan-")
	if err != nil {
		return rep, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	temp := *cfg
	temp.State, temp.LocalDir = filepath.Join(dir, "adfbot.db"), filepath.Join(dir, "local")
	opened, err := openState(ctx, &temp, Results, env)
	if err != nil {
		return rep, err
	}
	if err := opened.Close(); err != nil {
		return rep, err
	}
	return DryRun(ctx, &temp, env, names...)
}
