package bot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// The lock of the spool makes one process at a time record spooled results, in their order, or pause a project because of them. It
// is held for no request.
const (
	spoolLock = "spool"
	spoolWait = 5 * time.Second
)

// RecordSpooled records the spooled results, and returns how many.
func (b *Bot) RecordSpooled(ctx context.Context) (int, error) {
	n, _, err := b.recordSpooled(ctx, everyProject)
	return n, err
}

func everyProject(string) bool { return true }

// recordWaiting records the spooled results of a project: what is recorded after them must not overtake them, or failures from
// before a success would count after it. The error is [store.ErrUnusable] if some have to wait longer.
func (b *Bot) recordWaiting(ctx context.Context, project string) error {
	if b.spool.IsEmpty(b.local.Spool()) {
		return nil
	}
	_, left, err := b.recordSpooled(ctx, func(id string) bool { return id == project })
	if left[project] && ctx.Err() == nil {
		return &waitingError{project, err}
	}
	return nil
}

// waitingError means that earlier results of a project have to wait. It is [store.ErrUnusable].
type waitingError struct {
	project string
	err     error
}

func (e *waitingError) Error() string {
	return fmt.Sprintf("earlier results of %s wait in the spool: %v", e.project, e.err)
}
func (e *waitingError) Unwrap() error        { return e.err }
func (e *waitingError) Is(target error) bool { return target == store.ErrUnusable }

func (b *Bot) recordSpooled(ctx context.Context, wanted func(project string) bool) (n int, left map[string]bool, err error) {
	n, left, tripped, err := b.countSpooled(ctx, wanted)
	for _, out := range tripped {
		b.Follow(ctx, &out)
	}
	return n, left, err
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

// countSpooled stores the spooled results of the wanted projects, but for those whose settings are not known. It returns how many, the projects of which some are left since
// they cannot be stored now, and the results that opened an incident.
func (b *Bot) countSpooled(ctx context.Context, wanted func(project string) bool) (n int, left map[string]bool, tripped []Recorded, err error) {
	left = map[string]bool{}
	list := func() ([]hostlocal.Spooled, error) {
		return b.spooled(func(project string) bool { return wanted(project) && !b.cfg.Hidden(project) })
	}
	spooled, err := list()
	if err != nil || len(spooled) == 0 {
		return 0, left, nil, err
	}
	unlock, err := b.local.LockHere(ctx, spoolLock, spoolWait)
	if late, ok := errors.AsType[*hostlocal.LockTimeoutError](err); ok {
		for _, e := range spooled {
			left[e.Result.Project] = true
		}
		return 0, left, nil, fmt.Errorf("cannot record the spooled results: %w", late)
	}
	if err == nil { // else results count without locks
		defer unlock()
	}
	spooled, err = list()
	for n := range spooled {
		b.byStateClock(&spooled[n])
	}
	look, lookErr := b.flagsOfSpooled(ctx, spooled)
	if lookErr != nil {
		for _, e := range spooled {
			left[e.Result.Project] = true
		}
		return 0, left, nil, fmt.Errorf("cannot record the spooled results: %w", lookErr)
	}
	errs := []error{err}
	var waiting waitingResults
	seen := map[string]bool{}
	for place, e := range spooled {
		if project := e.Result.Project; e.Err == nil && !seen[project] {
			seen[project] = true
			errs = append(errs, b.endReplaced(ctx, project, spooled[place:], look))
		}
		switch {
		case e.Err != nil:
			errs = append(errs, e.Unreadable())
			continue
		case left[e.Result.Project]: // it must not overtake an earlier one
			continue
		case ctx.Err() != nil:
			left[e.Result.Project] = true
			waiting.add(e.Result.Project, fmt.Errorf("the next sweep does the rest: %w", ctx.Err()))
			continue
		}
		failures := 0
		if !e.PausedAt.IsZero() && !e.Held {
			failures = spooledFailures(b.cfg, spooled[:place+1], b.now())
		}
		out, err := b.countOneSpooled(ctx, e, failures, look, pausesOf(e.Result.Project, spooled[place:], b.now()))
		switch {
		case errors.Is(err, store.ErrConflict):
			b.log.Warn("dropping a spooled result that contradicts the recorded one", "file", e.File, "err", err)
		case err != nil:
			if errors.Is(err, store.ErrUnusable) || ctx.Err() != nil {
				left[e.Result.Project] = true
				waiting.add(e.Result.Project, err)
				continue
			}
			errs = append(errs, fmt.Errorf("cannot record the spooled result %s: %w", e.File, err))
			continue
		default:
			b.log.Info("spooled result recorded", "project", e.Result.Project, "run_id", e.Result.RunID)
		}
		if out.Opened != nil {
			tripped = append(tripped, out)
		}
		n++
		errs = append(errs, e.Remove())
	}
	errs = append(errs, waiting.errors()...)
	return n, left, tripped, errors.Join(errs...)
}

// waitingResults are the projects whose spooled results cannot be stored now, by the reason: a full disk is said once, not for each project.
type waitingResults struct {
	reasons  []error
	projects map[string][]string // by the text of the reason
}

func (w *waitingResults) add(project string, reason error) {
	text := reason.Error()
	if w.projects == nil {
		w.projects = map[string][]string{}
	}
	if w.projects[text] == nil {
		w.reasons = append(w.reasons, reason)
	}
	w.projects[text] = append(w.projects[text], project)
}

func (w *waitingResults) errors() (errs []error) {
	for _, reason := range w.reasons {
		errs = append(errs, fmt.Errorf("cannot record the spooled results of %s: %w", listed(w.projects[reason.Error()]), reason))
	}
	return errs
}

// byStateClock gives a spooled result of a fleet's host times by the clock of the state. That of the host may have been wrong when the result
// was spooled, and have been set right since; the clock of its boot tells.
func (b *Bot) byStateClock(e *hostlocal.Spooled) {
	if b.store.fleet == nil {
		return
	}
	now := store.Moment{Time: b.env.Now()}
	if b.env.Uptime != nil {
		now.Uptime = b.env.Uptime()
	}
	by := b.offset()
	if e.Result.Kept != nil {
		by += e.Result.Kept.ClockSet(now)
	}
	e.Result = e.Result.Shifted(by)
	if !e.PausedAt.IsZero() {
		e.PausedAt = e.PausedAt.Add(by)
	}
}

type lookFunc func(ctx context.Context, project string) incident.FlagView

// flagsOfSpooled returns how to look at the flags of projects that spooled results have paused. In a fleet, the mark of the pause directory
// is raised before. If the directory is older than such a pause, or its mark cannot be raised, flagsOfSpooled forgets the pauses: a flag that
// is missing there, or in an older copy that is put in its place, was not removed by anybody.
func (b *Bot) flagsOfSpooled(ctx context.Context, spooled []hostlocal.Spooled) (lookFunc, error) {
	first := slices.IndexFunc(spooled, func(e hostlocal.Spooled) bool { return !e.PausedAt.IsZero() })
	if b.store.fleet == nil || first < 0 {
		return b.rec.Look, nil
	}
	mark, back, err := b.rec.RaiseMark(ctx, spooled[first].Result.Project)
	if errors.Is(err, pause.ErrOtherMark) {
		return nil, err
	}
	if back || mark == (pause.Mark{}) || b.local.OlderThanLastPause(b.cfg.PauseDir) { // a directory that cannot be written keeps no result waiting
		for n := range spooled {
			spooled[n].PausedAt, spooled[n].Held = time.Time{}, false
		}
	}
	return func(ctx context.Context, project string) incident.FlagView {
		return b.rec.LookSince(ctx, project, mark)
	}, nil
}

// spooled returns the results of the wanted projects in the spool beside the state and in this user's own.
func (b *Bot) spooled(wanted func(project string) bool) ([]hostlocal.Spooled, error) {
	list, err := b.local.Spool().List()
	for _, e := range b.env.Own.List() {
		if _, ours := b.cfg.Project(e.Result.Project); ours { // others may belong to another installation
			list = append(list, e)
		}
	}
	return slices.DeleteFunc(list, func(e hostlocal.Spooled) bool { return !wanted(e.Result.Project) }), err
}

// unstored reports whether results of a project wait in the spool.
func (b *Bot) unstored(project string) bool {
	list, _ := b.spooled(func(id string) bool { return id == project })
	return hostlocal.Waiting(list) > 0
}

// endReplaced ends the incident of a project that was paused by its spooled failures since: somebody had removed its flag before they
// began. They would be taken for failures of that incident.
func (b *Bot) endReplaced(ctx context.Context, project string, spooled []hostlocal.Spooled, look lookFunc) error {
	paused := slices.IndexFunc(spooled, func(e hostlocal.Spooled) bool {
		return e.Err == nil && e.Result.Project == project && !e.PausedAt.IsZero() && !e.Held
	})
	if paused < 0 {
		return nil
	}
	unlock, err := b.rec.LockFlags(ctx, project) // a pass that has read the state before this would write the flag of what this ends
	if err != nil {
		return err
	}
	defer unlock()
	state, err := b.store.ProjectState(ctx, project)
	open := state.Open()
	if err != nil || open == nil || !state.Confirmed.Stands() || state.Confirmed.Pause != open.ID {
		return err
	}
	end := spooled[paused].PausedAt
	if !open.FlagWritten.Before(end.Truncate(time.Millisecond)) {
		return nil // the first of these results have opened it, and were stored before this
	}
	if flag := look(ctx, project); flag.State == incident.FlagUnknown || flag.Info.Incident == open.ID {
		return nil
	}
	for _, e := range spooled[:paused+1] {
		if begun := e.Result.Started; e.Result.Project == project && begun.After(open.FlagWritten) && begun.Before(end) {
			end = begun
		}
	}
	fault.Point(ctx, "removed before the spool")
	_, err = b.store.Resume(ctx, incident.Resumption{
		Project: project, Pause: open.ID, How: flagRemoved, At: end.Add(-time.Millisecond), FlagRemoved: true,
	})
	return err
}

// pausesOf returns when spooled results have paused a project. The time of a file may be any; the pause followed the result.
func pausesOf(project string, spooled []hostlocal.Spooled, now time.Time) (at []time.Time) {
	for n, e := range spooled {
		if e.Result.Project != project || e.PausedAt.IsZero() {
			continue
		}
		paused := cmp.Or(tracker.PossibleTime(e.PausedAt), tracker.PossibleTime(e.Result.Finished), time.Unix(0, 0))
		if paused.After(now) { // the clock was set back since: what began later by it is not from before
			paused = firstStart(project, spooled[n+1:], now).Add(-time.Second)
		}
		at = append(at, paused)
	}
	return at
}

// firstStart returns when the first of the project's runs began, by the time now if none has.
func firstStart(project string, spooled []hostlocal.Spooled, now time.Time) time.Time {
	first := now
	for _, e := range spooled {
		if r := e.Result; r.Project == project && !r.Started.IsZero() && r.Started.Before(first) {
			first = r.Started
		}
	}
	return first
}

const flagRemoved = "the pause flag was removed while nothing could be stored"

// countOneSpooled stores a result from the spool. If that has paused its project, failures is how many in a row were there with it.
// pauses are those that came with it or after it: the state, which also has earlier failures, may trip at an earlier result than the
// spool did. The incident then has its flag already. If that is gone, or the project was paused again, somebody resumed the project in
// between, and the incident has ended.
func (b *Bot) countOneSpooled(ctx context.Context, e hostlocal.Spooled, failures int, look lookFunc, pauses []time.Time) (Recorded, error) {
	now := b.now()
	r := Decided(b.cfg, e.Result)
	var err error
	if r.Output, err = e.Output(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Recorded{}, err
	}
	if tracker.PossibleTime(r.Finished).IsZero() { // a file of another program: it had ended when it was spooled
		if r.Finished = now; r.Kept != nil {
			r.Finished = cmp.Or(tracker.PossibleTime(r.Kept.Time), now)
		}
	}
	if b.store.fleet != nil && !r.Finished.IsZero() {
		r.Age = max(now.Sub(r.Finished), 0)
	}
	r = r.Bounded(now) // checked before it was spooled; the clock may have been set since
	// When the result came, the state may not have been there to tell when the run began.
	if r.Generation == nil && store.IsReported(r.Run) {
		if r, err = b.withBeginning(ctx, r, 0); err != nil {
			return Recorded{}, err
		}
	}
	// Whoever may write the spool can put any text there.
	r.RunID, r.Output = MaskRunID(b.redact, r.RunID), redact.Clean(r.Output)
	r.Host, r.Signal, r.Detail = b.redact.Line(r.Host, 200), b.redact.Line(r.Signal, 40), b.redact.Line(r.Detail, 200)
	l := b.limits(r.Project, r.Settings)
	l.Paused = !e.PausedAt.IsZero() && !e.Held // the threshold may have been raised since
	l.Spooled = failures
	if len(pauses) > 0 {
		l.FlagWritten = pauses[0].Add(time.Millisecond) // the state keeps no smaller part of a second
		if l.FlagWritten.After(now) {
			l.FlagWritten = now
		}
	}
	var flag incident.FlagView
	if len(pauses) == 1 {
		flag = look(ctx, r.Project) // if the flag is removed after this, the next sweep resumes, as after any trip
		l.Incident = flag.Info.Incident
		l.Spooled = max(l.Spooled, flag.Info.Failures) // some may have been stored before
	}
	out, err := b.countResult(ctx, r, l)
	stored := err == nil || errors.Is(err, store.ErrConflict)
	switch flagAlone := stored && l.Paused && out.Opened == nil && flag.State == incident.FlagThere; {
	case flagAlone && b.store.fleet != nil:
		out.addProblem(b.rec.EndLocalPause(ctx, r.Project, l.Incident)) // the other hosts know better
	case flagAlone:
		opened, openErr := b.openForFlag(ctx, r, l)
		if openErr != nil {
			return out, openErr
		}
		if out.Opened = opened; opened != nil {
			return out, err
		}
	}
	gone := len(pauses) > 1 || flag.State == incident.FlagGone
	// The failure that made the flag may count for nothing in the state, for example because its run began before a resume. The flag's removal
	// resumes the project all the same.
	if err == nil && l.Paused && gone && !out.Tripped {
		_, err = b.store.BeginCount(ctx, r.Project, l.FlagWritten)
	}
	// A person has made the flag. The state does not know this pause. In a fleet it may well know it, if another host has ended that pause.
	if err == nil && e.Held && flag.State != incident.FlagThere && out.Answer.Incident == "" && b.store.fleet == nil {
		at := l.FlagWritten
		h := incident.Hold{ID: pause.NewRandomID(), Project: r.Project, Since: at}
		// A crash after this leaves a flag that was confirmed and is gone: a resume, too.
		_, err = b.store.AddHold(ctx, h, incident.FlagIdentity{Kind: incident.PersonFlag}, 0)
		if err == nil && gone {
			_, err = b.store.Resume(ctx, incident.Resumption{Project: r.Project, Pause: h.ID, How: flagRemoved, At: at})
		}
	}
	if err != nil || !out.Tripped {
		return out, err
	}
	fault.Point(ctx, "spooled trip")
	if len(pauses) == 0 {
		_, _, err := b.rec.Local(context.WithoutCancel(ctx), r.Project) // the flag waits neither for the other results nor for Gitea
		out.addProblem(err)
		return out, nil
	}
	if gone {
		out.Opened = nil
		_, err = b.store.Resume(ctx, incident.Resumption{Project: r.Project, Pause: out.Answer.Incident, How: flagRemoved, At: l.FlagWritten})
	}
	return out, err
}

// openForFlag opens an incident for the flag that a spooled result made, if it has none: who cannot read the state does not know that
// the run began before a resume, or that it is recorded already. It returns nil if an incident is open.
func (b *Bot) openForFlag(ctx context.Context, r store.Result, l store.Limits) (*incident.Incident, error) {
	history, _ := b.store.Runs(ctx, r.Project, 3*store.EvidenceRuns) // what cannot be read is missing from the evidence
	history = slices.DeleteFunc(history, func(h store.HistoryRun) bool { return h.Agent == r.Agent && h.RunID == r.RunID })
	i := store.NewIncident(r, l, store.Answer{}, history, b.now())
	i.ID = cmp.Or(l.Incident, pause.NewRandomID())
	i, err := b.store.Insert(ctx, i)
	if errors.Is(err, incident.ErrOpenIncident) || err == nil && !i.IsOpen() {
		return nil, nil
	}
	return &i, err
}
