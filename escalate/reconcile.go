package escalate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/pause"
)

// Target is where a project's issues go, and with what.
type Target struct {
	Repo      tracker.Repo
	Labels    []string
	Assignees []string
}

// Settings are what the operator chose.
type Settings struct {
	Installation string // id
	URL          string // of Gitea; Repo.Server of everything new
	Login        string // the token's account; "": learnt from Gitea
	Timeout      time.Duration
	Target       func(project string) Target
	Projects     []string // all that are configured
	Mentions     []string
	DueIn        time.Duration
	Operable     bool // operators may act from Gitea: the issue says how
	CloseResumes bool // an operator's closing of a paused project's issue resumes it
	Operators    []string
}

// Reconciler brings flags, incidents and issues together. It holds no state of its own and is safe for concurrent use, in
// one process and in several: see the package comment for the locks.
type Reconciler struct {
	Settings Settings
	State    incident.State
	Gitea    tracker.Client // nil: no request is made, what is pending stays so
	Off      error          // why no request may be made; noted with what is pending
	Pause    pause.Dir
	PauseOff error // why the pause directory must not be believed; every flag is unknown then
	Composer *issuetext.Composer
	Log      *slog.Logger
	Now      func() time.Time
	Uptime   func() incident.Uptime // of the machine; nil: not known, and whoever sets the clock ends or lengthens a wait
	Step     func(name string)      // a fault point of the crash tests; nil in production

	// Describe gives a project's status in Markdown, for `/adf status`; nil: the answer says where to look.
	Describe func(ctx context.Context, project string) (string, error)
}

// Waits for a project's locks. The flag lock is held for milliseconds, the issue lock across requests.
const (
	flagWait  = 15 * time.Second
	issueWait = 250 * time.Millisecond
)

func (r *Reconciler) step(name string) {
	if r.Step != nil {
		r.Step(name)
	}
}

// Look looks at a project's flag. A missing flag counts as gone only while the sentinel is there and is ours.
func (r *Reconciler) Look(project string) incident.FlagView {
	if r.PauseOff != nil {
		return incident.FlagView{Err: r.PauseOff}
	}
	flag, sentinel, err := r.Pause.Check(project)
	if err == nil {
		err = r.ours(sentinel)
	}
	switch {
	case err != nil:
		return incident.FlagView{Err: err}
	case !flag.Present:
		return incident.FlagView{State: incident.FlagGone}
	}
	v := incident.FlagView{State: incident.FlagThere, Since: flag.Since, Note: flag.Note, Dangling: flag.Dangling}
	v.Info, _ = issuetext.ParseFlagNote(flag.Note)
	if v.Info.Project != project {
		v.Info = incident.FlagInfo{} // a copied flag says nothing about this project
	}
	return v
}

// ours compares a sentinel with this installation. An empty one is a person's touch, and counts as ours.
func (r *Reconciler) ours(s pause.Sentinel) error {
	if s.Installation != "" && s.Installation != r.Settings.Installation {
		return fmt.Errorf("pause directory %s: %w: its sentinel names installation %s, this state is %s: set pause_dir to this "+
			"installation's own directory; if this state was made while the right one was away, move it away and the id comes back "+
			"from the sentinel", r.Pause.Path(), pause.ErrOtherInstallation, s.Installation, r.Settings.Installation)
	}
	return nil
}

// CheckPause tells why the pause directory can't be trusted, nil where it can.
func (r *Reconciler) CheckPause() error {
	if r.PauseOff != nil {
		return r.PauseOff
	}
	s, err := r.Pause.Sentinel()
	if err != nil {
		return err
	}
	return r.ours(s)
}

// Local does what follows from state and flag alone: it writes the flags that are missing and ends the pauses whose flags
// are gone. It makes no request, and takes the project's flag lock only if something is to be done. It returns the flag as
// it was seen last.
func (r *Reconciler) Local(ctx context.Context, project string) (incident.FlagView, []plan.Action, error) {
	return r.local(ctx, project, nil)
}

func (r *Reconciler) local(ctx context.Context, project string, p *pass) (incident.FlagView, []plan.Action, error) {
	o, err := r.observe(ctx, project, p)
	if err != nil {
		return incident.FlagView{}, nil, err
	}
	if !plan.AnyLocal(plan.Next(o)) {
		return o.Flag, nil, nil
	}
	return r.localNow(ctx, project, p, o)
}

// localNow is local where an observation has shown that there is something to do.
func (r *Reconciler) localNow(ctx context.Context, project string, p *pass, o plan.Observation) (incident.FlagView, []plan.Action, error) {
	unlock, err := r.State.LockHere(ctx, "flag/"+project, flagWait)
	if err != nil {
		return o.Flag, nil, fmt.Errorf("%s: %w", project, err)
	}
	defer unlock()
	var done []plan.Action
	var stuck error
	// Each round may uncover the next: a lost incident is rebuilt only after the old one was ended.
	for range 5 {
		if o, err = r.observe(ctx, project, p); err != nil {
			return o.Flag, done, errors.Join(stuck, err)
		}
		before := len(done)
		for _, a := range plan.Next(o) {
			if !a.Kind.Local() || (a.Kind == plan.WriteFlag && stuck != nil) {
				continue
			}
			err := r.doLocal(ctx, o, a)
			var noFlag *FlagWriteError
			if errors.As(err, &noFlag) {
				stuck = err // the rest does not depend on it
				continue
			}
			if err != nil {
				return o.Flag, done, errors.Join(stuck, err)
			}
			done = append(done, a)
		}
		if len(done) == before {
			break
		}
	}
	return o.Flag, done, stuck
}

func (r *Reconciler) doLocal(ctx context.Context, o plan.Observation, a plan.Action) error {
	now := r.Now()
	switch a.Kind {
	case plan.WriteFlag:
		return r.writeFlag(ctx, o, a)
	case plan.ConfirmFlag:
		if a.Incident == "" {
			h := *o.Hold
			h.FlagWritten = now
			return r.State.SetHold(ctx, h)
		}
		_, err := r.State.Change(ctx, a.Incident, func(i *incident.Incident) { i.FlagWritten, i.FlagError = now, "" })
		return err
	case plan.Resume:
		how := a.Why + "; noticed " + now.UTC().Format(time.RFC3339)
		ended, err := r.State.Resume(ctx, a.Project, a.Incident, how, now)
		if err == nil && ended {
			r.Log.Info("project resumed", "project", a.Project, "incident", a.Name, "how", a.Why)
		}
		r.step("resume-noted")
		return err
	case plan.Supersede:
		_, err := r.State.Change(ctx, a.Incident, func(i *incident.Incident) {
			if i.IsOpen() {
				i.Replaced, i.Ended, i.EndedHow, i.NextTry = true, now.UTC(), a.Why, time.Time{}
			}
		})
		if err == nil {
			r.Log.Warn("incident superseded", "project", a.Project, "incident", a.Name, "why", a.Why)
		}
		return err
	case plan.ReleaseHold:
		ended, err := r.State.Resume(ctx, a.Project, "", a.Why, now)
		if err == nil && ended {
			r.Log.Info("project resumed", "project", a.Project, "how", a.Why)
		}
		return err
	case plan.RecordHold:
		r.Log.Info("project is held by a person's pause flag", "project", a.Project)
		return r.State.SetHold(ctx, incident.Hold{Project: a.Project, Since: now, FlagWritten: now})
	case plan.Rebuild, plan.RebuildDone:
		i, err := r.State.Insert(ctx, plan.Rebuilt(a, now))
		if err == nil {
			r.Log.Warn("incident rebuilt", "project", a.Project, "incident", i.Name(), "issue", i.Issue.String(), "why", a.Why)
		}
		return err
	case plan.Settle:
		_, err := r.State.Change(ctx, a.Incident, func(i *incident.Incident) {
			if i.Issue.IsZero() && i.Create.At.IsZero() { // else another process has just found its issue, or begun to make it
				i.Settled, i.LastErr = true, ""
			}
		})
		return err
	}
	return fmt.Errorf("no such local step: %s", a.Kind)
}

func (r *Reconciler) writeFlag(ctx context.Context, o plan.Observation, a plan.Action) error {
	note := ""
	if a.Incident == "" {
		note = o.Hold.Note
	}
	for _, i := range o.Incidents {
		if i.ID == a.Incident {
			note = issuetext.FlagNote(i)
		}
	}
	if _, err := r.Pause.Write(a.Project, note); err != nil {
		err = fmt.Errorf("project %s is NOT paused by a flag: %w", a.Project, err)
		if a.Incident != "" {
			if _, err2 := r.State.Change(ctx, a.Incident, func(i *incident.Incident) { i.FlagError = redact.Line(err.Error(), 500) }); err2 != nil {
				err = errors.Join(err, err2)
			}
		}
		return &FlagWriteError{err}
	}
	r.step("flag-written")
	now := r.Now()
	var err error
	if a.Incident == "" {
		h := *o.Hold
		h.FlagWritten = now
		err = r.State.SetHold(ctx, h)
	} else {
		_, err = r.State.Change(ctx, a.Incident, func(i *incident.Incident) { i.FlagWritten, i.FlagError = now, "" })
	}
	r.Log.Info("pause flag written", "project", a.Project, "incident", a.Name, "flag", r.Pause.FlagPath(a.Project))
	r.step("flag-noted")
	return err
}

// FlagWriteError: a pause flag could not be written. The incident is open all the same: its issue says so, and exec
// refuses on it.
type FlagWriteError struct{ err error }

func (e *FlagWriteError) Error() string { return e.err.Error() }
func (e *FlagWriteError) Unwrap() error { return e.err }
