package escalate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/pause"
)

// Local does what follows from state and flag alone: it writes the flags that are missing and ends the pauses whose flags
// are gone. It makes no request, and takes the flag's lock only if there is something to do. It returns the flag as it was
// seen last.
func (r *Reconciler) Local(ctx context.Context, project string) (incident.FlagView, []plan.Action, error) {
	c := r.visitCache()
	o, err := r.observe(ctx, project, c, r.Look)
	if err != nil {
		return incident.FlagView{}, nil, err
	}
	if !plan.AnyLocal(r.next(ctx, o)) {
		return o.Flag, nil, nil
	}
	return r.applyLocal(ctx, o, c)
}

// applyLocal observes the project again, under its flag's lock, and takes the local steps that are due.
func (r *Reconciler) applyLocal(ctx context.Context, o plan.Observation, c *sweepCache) (incident.FlagView, []plan.Action, error) {
	p, end, err := r.beginPass(ctx, o.Project, c)
	if err != nil {
		return o.Flag, nil, err
	}
	defer end()
	visits, err := p.run(ctx, []string{o.Project})
	v := visits[o.Project]
	if v == nil {
		return o.Flag, nil, err
	}
	return v.Flag, v.done, errors.Join(v.notWritten, v.err, err)
}

// localSteps carries out the local kinds of a plan, under the flag's lock. A step that changes the flag updates the visit's view of it.
var localSteps = map[plan.Kind]func(*Reconciler, context.Context, *localVisit, plan.Action) error{
	plan.WriteFlag:     (*Reconciler).writeFlag,
	plan.ConfirmFlag:   (*Reconciler).confirmFlag,
	plan.RemoveFlag:    (*Reconciler).removeFlag,
	plan.ForgetFlag:    (*Reconciler).noticeRemoval,
	plan.Resume:        (*Reconciler).noticeRemoval,
	plan.ReleaseHold:   (*Reconciler).noticeRemoval,
	plan.Supersede:     (*Reconciler).supersede,
	plan.RecordHold:    (*Reconciler).recordHold,
	plan.Rebuild:       (*Reconciler).rebuild,
	plan.RebuildDone:   (*Reconciler).rebuild,
	plan.RebuildSilent: (*Reconciler).rebuildSilent,
	plan.EndSilent:     (*Reconciler).endOverSilent,
	plan.Settle:        (*Reconciler).settleWithoutIssue,
	plan.LeaveLead:     (*Reconciler).leaveLead,
	plan.EndHold:       (*Reconciler).endHold,
}

// writeFlag writes the flag of an incident or, where the action names none, of a hold. It replaces the flag of another pause.
func (r *Reconciler) writeFlag(ctx context.Context, v *localVisit, a plan.Action) error {
	mark := issuetext.Mark{Pause: incident.Pause{ID: a.Incident, Generation: v.Generation}, Written: r.opt.Now().UTC().Truncate(time.Second)}
	if a.Incident == "" {
		mark.Pause.ID = v.Hold.ID
		return r.putFlag(ctx, v, mark, issuetext.HoldFlag(*v.Hold, r.HowToResume(a.Project), mark))
	}
	note := ""
	for _, i := range v.Incidents {
		if i.ID == a.Incident {
			note = issuetext.FlagNote(i, r.HowToResume(a.Project), mark)
		}
	}
	return r.putFlag(ctx, v, mark, note)
}

// putFlag puts a flag on disk, and confirms it or saves why it is not there.
func (r *Reconciler) putFlag(ctx context.Context, v *localVisit, mark issuetext.Mark, note string) error {
	err := v.beforeWrite()
	noRoom := pause.IsFull(err) && v.Flag.State == incident.FlagGone
	if errors.Is(err, pause.ErrOtherMark) {
		return err
	} else if err != nil && !noRoom {
		err = fmt.Errorf("the pause directory on %s is not writable: %w", cmp.Or(r.opt.HostName, "this host"), err)
		return r.saveFlagError(ctx, &FlagWriteError{Project: v.Project, Paused: v.Flag.State == incident.FlagThere, Elsewhere: true, Err: err}, mark.Pause.ID)
	}
	if v.Flag.State == incident.FlagThere {
		if ok, err := v.unchanged(); !ok { // the next visit sees what it is then
			return err
		}
		if err := v.folder.Replace(v.Project, note, mark.Written); err != nil {
			return &FlagWriteError{Project: v.Project, Paused: true, Err: err}
		}
	} else if _, err := v.folder.Write(v.Project, note, mark.Written); err != nil {
		return r.saveFlagError(ctx, &FlagWriteError{Project: v.Project, Elsewhere: r.opt.Fleet != nil, Err: err}, mark.Pause.ID)
	}
	fault.Point(ctx, "flag-written")
	r.opt.Log.Info("pause flag written", "project", v.Project, "flag", r.opt.Dir.FlagPath(v.Project))
	v.Flag = viewOf(v.Project, pause.Flag{Present: true, Note: note, Since: mark.Written, Size: int64(len(note))})
	if noRoom { // the flag pauses the project, and nothing is concluded from its removal until it can be confirmed
		_, lookErr := v.unchanged()
		return errors.Join(fmt.Errorf("project %s is paused by a flag that cannot be confirmed: the other hosts do not know of it: %w", v.Project, err), lookErr)
	}
	ok, err := v.unchanged()
	if err == nil && !ok { // somebody was first, or there was no room for the note
		ok, err = v.sync()
	}
	if ok {
		v.confirmLater(mark.Pause.ID)
	}
	return err
}

// unchanged looks at the flag again, and reports whether it is there as it was seen before.
func (v *localVisit) unchanged() (bool, error) {
	flag, err := v.folder.Look(v.Project)
	if err != nil || !flag.Present {
		return false, err
	}
	was := v.Flag.Identity
	v.Flag = viewOf(v.Project, flag)
	return v.Flag.Identity == was, nil
}

// sync makes sure that the flag is on disk as it was seen. It reports false if somebody has changed it since: the next visit confirms
// what it is then. What was not on disk when it was confirmed could come back as something else after a power failure.
func (v *localVisit) sync() (bool, error) {
	if err := v.folder.Sync(v.Project); err != nil {
		return false, err
	}
	return v.unchanged()
}

// syncMarked is sync before a step that confirms the flag at once.
func (v *localVisit) syncMarked(ctx context.Context) (bool, error) {
	if ok, err := v.sync(); !ok {
		return false, err
	}
	if err := v.remark(ctx); err != nil {
		return false, err
	}
	return v.unchanged()
}

// saveFlagError saves why the flag of an incident is missing. A hold has nowhere to keep it.
func (r *Reconciler) saveFlagError(ctx context.Context, failed *FlagWriteError, pause string) error {
	why := redact.Line(failed.Error(), 500)
	var err error
	if r.opt.Fleet != nil { // people see it beside the names of project and host
		why = redact.Line(failed.Err.Error(), 500)
		err = r.opt.Fleet.FlagFailed(ctx, failed.Project, pause, why)
	}
	list, err2 := r.opt.State.Incidents(ctx, pause)
	err = errors.Join(err, err2)
	if len(list) > 0 && list[0].FlagWritten.IsZero() && list[0].FlagError != why {
		_, err = r.opt.State.Change(ctx, pause, func(i *incident.Incident) { i.FlagError = why })
	}
	failed.Err = errors.Join(failed.Err, err)
	return failed
}

// FlagWriteError means that a pause flag could not be written. An incident is open all the same: its issue says so, and
// exec refuses on it.
type FlagWriteError struct {
	Project string
	Paused  bool // by the flag of another pause, which was to be replaced
	// Elsewhere: the other hosts of a fleet write their own flags.
	Elsewhere bool
	Err       error
}

func (e *FlagWriteError) Error() string {
	if e.Paused {
		return fmt.Sprintf("project %s is paused by the flag of another pause: %v", e.Project, e.Err)
	}
	if e.Elsewhere {
		return fmt.Sprintf("project %s is paused on the other hosts, and NOT by a flag on this one: %v", e.Project, e.Err)
	}
	return fmt.Sprintf("project %s is NOT paused by a flag: %v", e.Project, e.Err)
}
func (e *FlagWriteError) Unwrap() error { return e.Err }

// Stands reports whether the project is paused all the same.
func (e *FlagWriteError) Stands() bool { return e.Paused || e.Elsewhere }

// confirmFlag makes sure that a flag is on disk, and confirms it.
func (r *Reconciler) confirmFlag(ctx context.Context, v *localVisit, a plan.Action) error {
	ok, err := v.sync()
	if !ok {
		return err
	}
	pause := a.Incident
	if pause == "" {
		pause = v.Hold.ID
	}
	v.confirm(pause)
	return nil
}

// removeFlag removes the flag of a pause that is over, unless somebody has just touched it.
func (r *Reconciler) removeFlag(ctx context.Context, v *localVisit, a plan.Action) error {
	if ok, err := v.unchanged(); !ok {
		return err
	}
	if _, err := v.folder.Remove(v.Project); err != nil {
		return &FlagRemoveError{Project: v.Project, Err: err}
	}
	v.Flag = incident.FlagView{State: incident.FlagGone}
	r.opt.Log.Info("pause flag removed", "project", v.Project, "why", a.Why)
	if r.opt.Fleet != nil {
		v.unconfirmLater()
		return nil
	}
	return r.opt.State.Unconfirm(ctx, v.Project, v.Confirmed.Pause)
}

// noticeRemoval ends the pause whose flag somebody removed, unless it is over.
func (r *Reconciler) noticeRemoval(ctx context.Context, v *localVisit, a plan.Action) error {
	// Else a power failure could bring back a flag whose removal has taken effect.
	if err := v.folder.Sync(v.Project); err != nil {
		return err
	}
	if err := v.unmoved(); err != nil {
		return err
	}
	how := a.Why
	if r.opt.HostName != "" {
		how += " on " + r.opt.HostName
	}
	if _, open := v.Pause(); open.ID != "" {
		how += "; noticed " + r.opt.Now().UTC().Format(time.RFC3339) + endsHold(open, v.Hold)
	}
	end := incident.Resumption{Project: v.Project, Pause: cmp.Or(a.Incident, v.Confirmed.Pause), How: how, FlagRemoved: true}
	if a.Kind == plan.ReleaseHold {
		end.Pause = v.Hold.ID
	}
	if seen, ok := r.seen.get(v.Project); ok {
		if err := r.saveResumed(ctx, v.Incidents, seen); err != nil {
			return err
		}
	}
	_, err := r.endPause(ctx, end)
	return err
}

// EndLocalPause removes the flag with which this host of a fleet has paused a project while it could not reach the state, because of
// results that do not pause the project in the order in which all hosts' runs finished. id is the one that the flag names. A flag that
// somebody has touched stays: it is a pause by itself. So does one whose pause the state knows.
func (r *Reconciler) EndLocalPause(ctx context.Context, project, id string) error {
	p, end, err := r.beginPass(ctx, project, r.visitCache())
	if err != nil {
		return err
	}
	defer end()
	s, err := p.readOne(ctx, project)
	if err != nil || s.Pause().ID != "" || s.Flag.Identity.Kind != incident.BotFlag || id == "" || s.Flag.Info.Incident != id {
		return err
	}
	known, err := r.opt.State.Incidents(ctx, id)
	if err != nil || len(known) > 0 {
		return err
	}
	v := localVisit{pass: p, Observation: plan.Observation{Project: project, Flag: s.Flag, Confirmed: s.Confirmed}}
	err = r.removeFlag(ctx, &v, plan.Action{Project: project, Why: "the failures that paused the project on this host do not pause it in the order of all hosts' runs"})
	return errors.Join(err, p.unconfirmRemoved(ctx))
}

// supersede ends an incident in favor of an earlier one, whose flag is there.
func (r *Reconciler) supersede(ctx context.Context, _ *localVisit, a plan.Action) error {
	_, err := r.opt.State.Change(ctx, a.Incident, func(i *incident.Incident) {
		if i.IsOpen() {
			i.Replaced, i.Ended, i.EndedHow, i.NextTry = true, r.opt.Now().UTC(), a.Why, time.Time{}
		}
	})
	if err == nil {
		r.opt.Log.Warn("incident superseded", "project", a.Project, "incident", a.Name, "why", a.Why)
	}
	return err
}

// recordHold stores the pause of a flag that a person made, or that a lost state had as theirs. Beside an incident, the flag is confirmed as
// the incident's, like that of a hold which the state knew before the trip.
func (r *Reconciler) recordHold(ctx context.Context, v *localVisit, a plan.Action) error {
	_, open := v.Pause()
	sync := func() (bool, error) { return v.syncMarked(ctx) }
	if open.ID != "" {
		sync = v.sync
	}
	if ok, err := sync(); !ok {
		return err
	}
	h, generation := plan.HoldOf(a, pause.NewRandomID(), r.opt.Now())
	if made := v.Flag.Changed; !made.IsZero() && made.Before(h.Since) {
		h.Since = made
	}
	h.Note = issuetext.PersonsNote(v.Project, v.Flag.Note) // the flag may have to be written again
	if h.Until.IsZero() {
		h.Note = issuetext.WithoutEnd(h.Note)
	}
	r.opt.Log.Info("project is paused by hand", "project", v.Project)
	if open.ID != "" {
		err := r.opt.State.SetHold(ctx, h)
		if v.Hold = &h; err == nil {
			v.confirmLater(open.ID)
		}
		return err
	}
	_, err := r.opt.State.AddHold(ctx, h, v.Flag.Identity, generation)
	return err
}

// rebuild stores an incident that the state lost.
func (r *Reconciler) rebuild(ctx context.Context, v *localVisit, a plan.Action) error {
	flagged := a.Kind == plan.Rebuild && v.Flag.State == incident.FlagThere
	if flagged {
		if ok, err := v.syncMarked(ctx); !ok {
			return err
		}
	}
	i := plan.Rebuilt(a, r.opt.Now())
	if i.Lead != "" { // a lead that the state lost, too, is rebuilt with all that its issue carries
		if err := r.addMember(ctx, i.Lead, i); err != nil {
			return err
		}
	}
	i, err := r.opt.State.Insert(ctx, i)
	if err != nil {
		return err
	}
	r.opt.Log.Warn("incident rebuilt", "project", a.Project, "incident", i.Name(), "issue", i.Issue.String(), "why", a.Why)
	if flagged {
		v.confirmLater(i.ID)
	}
	return nil
}

// settleWithoutIssue settles an incident that ended before it had an issue.
func (r *Reconciler) settleWithoutIssue(ctx context.Context, _ *localVisit, a plan.Action) error {
	_, err := r.opt.State.Change(ctx, a.Incident, func(i *incident.Incident) {
		if i.Issue.IsZero() && i.Create.At.IsZero() { // else another process has just found its issue, or begun to create it
			i.Settled, i.LastErr = true, ""
		}
	})
	return err
}
