package escalate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/pause"
)

// flagWait is how long the flag's lock is waited for. It is held for milliseconds, never across a request.
const flagWait = 15 * time.Second

// pauseState is what pauses a project, and its flag.
type pauseState struct {
	incident.ProjectState
	Flag incident.FlagView
}

// endsHold returns what to say where the end of an incident ends a person's pause too.
func endsHold(open *incident.Incident, h *incident.Hold) string {
	if open == nil || h == nil {
		return ""
	}
	why, _, _ := strings.Cut(h.Note, issuetext.ResumeLine)
	return fmt.Sprintf("; this also ended the pause by hand since %s: %s", h.Since.UTC().Format(time.RFC3339), cmp.Or(redact.Line(why, 300), "no reason was given"))
}

// readOne reads what pauses a project. It returns a [*FlagUnknownError] if the directory is not to be believed, which in a fleet keeps
// nobody from resuming or pausing the project on the other hosts.
func (p *pass) readOne(ctx context.Context, project string) (pauseState, error) {
	seen, err := p.read(ctx, []string{project})
	s := seen[project]
	if err == nil && s.Flag.State == incident.FlagUnknown && p.r.opt.Fleet == nil {
		err = &FlagUnknownError{s.Flag.Err}
	}
	return s, err
}

// settle brings a project's state up to date with its flag before a person's command: a flag that was removed is a resume by
// itself. A flag that cannot be written is no obstacle.
func (r *Reconciler) settle(ctx context.Context, project string) error {
	flag, _, err := r.Local(ctx, project)
	var notWritten *FlagWriteError
	if err != nil && !errors.As(err, &notWritten) {
		return err
	}
	if flag.State == incident.FlagUnknown && r.opt.Fleet == nil {
		return &FlagUnknownError{flag.Err}
	}
	return nil
}

// Resumed is what a resume did.
type Resumed struct {
	Removed bool // there was a flag, and it was removed
	Ended   bool // an incident or a hold was ended
}

// Resume ends a project's pause: it removes the flag and ends the open incident or the hold. how is a sentence for people,
// e.g. "resumed by kim with adfbot resume on bigbox". The issue is commented on and closed by [Reconciler.Escalate] or the
// next sweep. A crash after the removal leaves a resume that the next sweep notices.
func (r *Reconciler) Resume(ctx context.Context, project, how string) (Resumed, error) {
	return r.ResumeIf(ctx, project, how, func(incident.ProjectState) bool { return true })
}

// ResumeIf is [Reconciler.Resume] for somebody who does not mean whatever pauses the project: may reports whether they mean what does by now.
func (r *Reconciler) ResumeIf(ctx context.Context, project, how string, may func(incident.ProjectState) bool) (Resumed, error) {
	if err := r.settle(ctx, project); err != nil {
		return Resumed{}, err
	}
	return r.resume(ctx, project, how, func(ctx context.Context, p pauseState) (bool, error) {
		if !may(p.ProjectState) {
			return false, nil
		}
		err := r.saveResumed(ctx, slices.Concat(p.Unsettled, p.Silent), r.opt.Now())
		return err == nil, err
	})
}

// saveResumed saves with incidents that the project is resumed after a time: in their issues, people may have ordered a pause before that
// which is not read yet.
func (r *Reconciler) saveResumed(ctx context.Context, unsettled []incident.Incident, after time.Time) error {
	for _, i := range unsettled {
		if _, err := r.opt.State.Change(ctx, i.ID, func(i *incident.Incident) { i.ResumedHere = after.UTC() }); err != nil {
			return err
		}
	}
	return nil
}

// resume is the one way to end a pause whose flag is still there. approve is called under the flag's lock with what pauses
// the project: it may refuse, and saves what has to be on disk before the flag is removed.
func (r *Reconciler) resume(ctx context.Context, project, how string, approve func(context.Context, pauseState) (bool, error)) (Resumed, error) {
	p, end, err := r.beginPass(ctx, project, r.visitCache())
	if err != nil {
		return Resumed{}, err
	}
	defer end()
	s, err := p.readOne(ctx, project)
	if err != nil {
		return Resumed{}, err
	}
	if ok, err := approve(ctx, s); !ok || err != nil {
		return Resumed{}, err
	}
	var done Resumed
	if s.Flag.State != incident.FlagUnknown {
		if done.Removed, err = p.folder.Remove(project); err != nil {
			return done, &FlagRemoveError{Project: project, Err: err}
		}
	}
	fault.Point(ctx, "flag-removed")
	done.Ended, err = r.endPause(ctx, incident.Resumption{Project: project, Pause: s.Pause().ID, How: how + endsHold(s.Open(), s.Hold)})
	return done, err
}

// endPause ends a pause whose flag is gone.
func (r *Reconciler) endPause(ctx context.Context, end incident.Resumption) (ended bool, err error) {
	end.At = r.opt.Now()
	ended, err = r.opt.State.Resume(ctx, end)
	if err == nil && ended {
		r.opt.Log.Info("project resumed", "project", end.Project, "pause", end.Pause, "how", end.How)
	}
	fault.Point(ctx, "resume-noted")
	return ended, err
}

// Pause pauses a project by a person's wish; the note is what their flag says. It returns false where something
// pauses it already. The wish is on disk before the flag, so a crash in between does not undo it. Where the flag cannot be
// written the project is not paused, in a fleet not on this host, and the error is a [*FlagWriteError].
func (r *Reconciler) Pause(ctx context.Context, project, note string) (bool, error) {
	held, err := r.Hold(ctx, incident.Hold{Project: project, Note: note})
	return held.Paused, err
}

// Held is what a pause by hand did.
type Held struct {
	Paused   bool // nothing else paused the project
	TookOver bool // a hold did that would have ended before this one, which has taken its place
}

// Hold is Pause with a hold that may end by itself. If the project has a hold that would end before that one, the new one takes its place.
func (r *Reconciler) Hold(ctx context.Context, h incident.Hold) (Held, error) {
	if flag, _, err := r.Local(ctx, h.Project); err != nil || flag.State == incident.FlagUnknown && r.opt.Fleet == nil {
		return Held{}, errors.Join(err, flag.Err)
	}
	already, err := r.pause(ctx, h, r.opt.State.SetHold)
	var notWritten *FlagWriteError
	if errors.As(err, &notWritten) && !notWritten.Paused && r.opt.Fleet == nil { // other hosts of a fleet may have written theirs
		err = errors.Join(err, r.opt.State.DropHold(ctx, h.Project))
	}
	if already == nil || err != nil {
		return Held{Paused: err == nil}, err
	}
	return Held{TookOver: already.tookOver()}, nil
}

// alreadyPaused is what pauses a project already when somebody pauses it by hand.
type alreadyPaused struct {
	pauseState
	gaveWay bool // its hold, to the new one
}

// tookOver reports whether the new hold is what pauses the project: not an incident, which no time ends.
func (a alreadyPaused) tookOver() bool { return a.gaveWay && a.Open() == nil }

// pause is the one way to hold a project. save stores the hold; the flag is written after that. It returns what pauses the
// project already, and then writes no flag. That is stored all the same, see [incident.HoldStore]: a resume that is older is not about it.
func (r *Reconciler) pause(ctx context.Context, h incident.Hold, save func(context.Context, incident.Hold) error) (already *alreadyPaused, err error) {
	p, end, err := r.beginPass(ctx, h.Project, r.visitCache())
	if err != nil {
		return nil, err
	}
	defer end()
	s, err := p.readOne(ctx, h.Project)
	if err != nil {
		return nil, err
	}
	if s.Pause().ID == "" && s.Flag.State == incident.FlagThere {
		return &alreadyPaused{pauseState: s}, nil
	}
	if h.ID = pause.NewRandomID(); h.Since.IsZero() {
		h.Since = r.opt.Now()
	}
	if err := save(ctx, h); err != nil {
		return nil, err
	}
	fault.Point(ctx, "hold-noted")
	if s.Pause().ID != "" {
		already = &alreadyPaused{pauseState: s}
		if already.gaveWay, err = r.gaveWay(ctx, s, h); err == nil && already.gaveWay {
			err = p.renewFlag(ctx, h)
		}
		return already, err
	}
	if s.Flag.State == incident.FlagUnknown {
		return nil, &FlagWriteError{Project: h.Project, Elsewhere: true, Err: s.Flag.Err}
	}
	v := localVisit{pass: p, Observation: plan.Observation{Project: h.Project, Hold: &h, Flag: s.Flag, Generation: s.Generation}}
	err = r.writeFlag(ctx, &v, plan.Action{Project: h.Project})
	return nil, errors.Join(err, p.confirmPending(ctx))
}

// gaveWay reports whether a hold that is stored has taken the place of the one that the project had.
func (r *Reconciler) gaveWay(ctx context.Context, was pauseState, h incident.Hold) (bool, error) {
	if was.Hold == nil {
		return false, nil
	}
	now, err := r.opt.State.Hold(ctx, h.Project)
	return now != nil && now.ID == h.ID, err
}

// renewFlag writes the flag of a hold that has taken the place of another one.
func (p *pass) renewFlag(ctx context.Context, h incident.Hold) error {
	visits, err := p.run(ctx, []string{h.Project})
	if v := visits[h.Project]; v != nil {
		err = errors.Join(v.notWritten, v.err, err)
	}
	return err
}

// FlagUnknownError means that it is not known whether the project is paused.
type FlagUnknownError struct{ err error }

func (e *FlagUnknownError) Error() string { return e.err.Error() }
func (e *FlagUnknownError) Unwrap() error { return e.err }

// FlagRemoveError means that a pause flag could not be removed: the project is still paused.
type FlagRemoveError struct {
	Project string
	Err     error
}

func (e *FlagRemoveError) Error() string {
	return fmt.Sprintf("project %s is still paused: %v", e.Project, e.Err)
}
func (e *FlagRemoveError) Unwrap() error { return e.Err }

// HowToResume returns how people on this machine resume a project.
func (r *Reconciler) HowToResume(project string) issuetext.Resume {
	return issuetext.Resume{Command: issuetext.ResumeCommand(r.runAs(), project, r.opt.ConfigFlag), Flag: r.opt.Dir.FlagPath(project), InGitea: r.operable()}
}

// HowToEnd returns the command with which people on this machine end a stop.
func (r *Reconciler) HowToEnd(s incident.Stop) string {
	return issuetext.EndCommand(r.runAs(), s, r.opt.ConfigFlag)
}

func (r *Reconciler) runAs() string { return optional(r.opt.RunAs) }

func (r *Reconciler) removeAs() string { return optional(r.opt.RemoveAs) }

func optional(prefix func() string) string {
	if prefix == nil {
		return ""
	}
	return prefix()
}
