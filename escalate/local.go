package escalate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/redact"
)

// Local does what follows from state and flag alone: it writes the flags that are missing and ends the pauses whose flags
// are gone. It makes no request, and takes the flag's lock only if there is something to do. It returns the flag as it was
// seen last.
func (r *Reconciler) Local(ctx context.Context, project string) (incident.FlagView, []plan.Action, error) {
	c := r.visitCache()
	o, err := r.observe(ctx, project, c)
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
	project := o.Project
	unlock, err := r.lockFlag(ctx, project)
	if err != nil {
		return o.Flag, nil, err
	}
	defer unlock()
	var done []plan.Action
	var notWritten error // a flag that cannot be written keeps no other step waiting
	for range plan.MaxRounds {
		if o, err = r.observe(ctx, project, c); err != nil {
			return o.Flag, done, errors.Join(notWritten, err)
		}
		again := false
		for _, a := range r.next(ctx, o) {
			if !a.Kind.Local() || (a.Kind == plan.WriteFlag && notWritten != nil) {
				continue
			}
			err := localSteps[a.Kind](r, ctx, o, a)
			var failed *FlagWriteError
			switch {
			case errors.As(err, &failed):
				notWritten = err
				continue
			case err != nil:
				return o.Flag, done, errors.Join(notWritten, err)
			case a.Kind == plan.WriteFlag:
				o.Flag.State = incident.FlagThere
			}
			done = append(done, a)
			again = again || a.Kind.Uncovers()
		}
		if !again {
			return o.Flag, done, notWritten
		}
	}
	return r.Look(ctx, project), done, notWritten
}

// localSteps carries out the local kinds of a plan, under the flag's lock.
var localSteps = map[plan.Kind]func(*Reconciler, context.Context, plan.Observation, plan.Action) error{
	plan.WriteFlag:   (*Reconciler).writeFlag,
	plan.ConfirmFlag: (*Reconciler).confirmFlag,
	plan.Resume:      (*Reconciler).noticeResume,
	plan.ReleaseHold: (*Reconciler).noticeResume,
	plan.Supersede:   (*Reconciler).supersede,
	plan.RecordHold:  (*Reconciler).recordHold,
	plan.Rebuild:     (*Reconciler).rebuild,
	plan.RebuildDone: (*Reconciler).rebuild,
	plan.Settle:      (*Reconciler).settleWithoutIssue,
}

// writeFlag writes the flag of an incident or, where the action names none, of a hold.
func (r *Reconciler) writeFlag(ctx context.Context, o plan.Observation, a plan.Action) error {
	if a.Incident == "" {
		return r.writeHoldFlag(ctx, *o.Hold)
	}
	note := ""
	for _, i := range o.Incidents {
		if i.ID == a.Incident {
			note = issuetext.FlagNote(i, r.HowToResume(a.Project))
		}
	}
	return r.putFlag(ctx, a.Project, note, func(now time.Time, failure string) error {
		_, err := r.opt.State.Change(ctx, a.Incident, func(i *incident.Incident) {
			i.FlagError = failure
			if failure == "" {
				i.FlagWritten = now
			}
		})
		return err
	})
}

func (r *Reconciler) writeHoldFlag(ctx context.Context, h incident.Hold) error {
	return r.putFlag(ctx, h.Project, h.Note, func(now time.Time, failure string) error {
		if failure != "" {
			return nil // a hold has nowhere to keep it
		}
		h.FlagWritten = now
		return r.opt.State.SetHold(ctx, h)
	})
}

// putFlag puts a flag on disk, and saves that it is there or why it is not.
func (r *Reconciler) putFlag(ctx context.Context, project, note string, save func(now time.Time, failure string) error) error {
	if _, err := r.opt.Dir.Write(project, note); err != nil {
		failed := &FlagWriteError{Project: project, Err: err}
		if err := save(r.opt.Now(), redact.Line(failed.Error(), 500)); err != nil {
			failed.Err = errors.Join(failed.Err, err)
		}
		return failed
	}
	fault.Point(ctx, "flag-written")
	err := save(r.opt.Now(), "")
	r.opt.Log.Info("pause flag written", "project", project, "flag", r.opt.Dir.FlagPath(project))
	fault.Point(ctx, "flag-noted")
	return err
}

// FlagWriteError means that a pause flag could not be written. An incident is open all the same: its issue says so, and
// exec refuses on it.
type FlagWriteError struct {
	Project string
	Err     error
}

func (e *FlagWriteError) Error() string {
	return fmt.Sprintf("project %s is NOT paused by a flag: %v", e.Project, e.Err)
}
func (e *FlagWriteError) Unwrap() error { return e.Err }

// confirmFlag saves that a flag is on disk.
func (r *Reconciler) confirmFlag(ctx context.Context, o plan.Observation, a plan.Action) error {
	now := r.opt.Now()
	if a.Incident == "" {
		h := *o.Hold
		h.FlagWritten = now
		return r.opt.State.SetHold(ctx, h)
	}
	_, err := r.opt.State.Change(ctx, a.Incident, func(i *incident.Incident) { i.FlagWritten, i.FlagError = now, "" })
	return err
}

// noticeResume ends a pause whose flag somebody removed.
func (r *Reconciler) noticeResume(ctx context.Context, _ plan.Observation, a plan.Action) error {
	how := a.Why
	if a.Incident != "" {
		how += "; noticed " + r.opt.Now().UTC().Format(time.RFC3339)
	}
	_, err := r.endPause(ctx, a.Project, a.Incident, how)
	return err
}

// supersede ends an incident in favor of an earlier one, whose flag is there.
func (r *Reconciler) supersede(ctx context.Context, _ plan.Observation, a plan.Action) error {
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

// recordHold takes note of a person's flag.
func (r *Reconciler) recordHold(ctx context.Context, _ plan.Observation, a plan.Action) error {
	now := r.opt.Now()
	r.opt.Log.Info("project is paused by hand", "project", a.Project)
	return r.opt.State.SetHold(ctx, incident.Hold{Project: a.Project, Since: now, FlagWritten: now})
}

// rebuild stores an incident that the state lost.
func (r *Reconciler) rebuild(ctx context.Context, _ plan.Observation, a plan.Action) error {
	i, err := r.opt.State.Insert(ctx, plan.Rebuilt(a, r.opt.Now()))
	if err == nil {
		r.opt.Log.Warn("incident rebuilt", "project", a.Project, "incident", i.Name(), "issue", i.Issue.String(), "why", a.Why)
	}
	return err
}

// settleWithoutIssue settles an incident that ended before it had an issue.
func (r *Reconciler) settleWithoutIssue(ctx context.Context, _ plan.Observation, a plan.Action) error {
	_, err := r.opt.State.Change(ctx, a.Incident, func(i *incident.Incident) {
		if i.Issue.IsZero() && i.Create.At.IsZero() { // else another process has just found its issue, or begun to create it
			i.Settled, i.LastErr = true, ""
		}
	})
	return err
}
