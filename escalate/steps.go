package escalate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/redact"
)

// progress is how far a step got where nothing went wrong.
type progress int

const (
	later      progress = iota // too early: the step is left to the next sweep
	replan                     // not done: something else was seen, so plan again
	changed                    // done, and it may have made another step due
	complete                   // done, and nothing follows from it
	unfinished                 // what an earlier process had begun is done, and the step may be due for more
)

// step is one step in Gitea.
type step struct {
	action   plan.Action
	incident incident.Incident
	carried  []incident.Incident // those that its issue carries, itself first
	flag     incident.FlagView   // as observed with the incident
	cache    *sweepCache
	fresh    *incident.Incident // the incident, if this process has just stored it: its issue cannot be there yet
}

// trackerSteps carries out the kinds of a plan that talk to Gitea, under the claim on the project's issue.
var trackerSteps = map[plan.Kind]func(*Reconciler, context.Context, *step) (progress, error){
	plan.Join:                (*Reconciler).join,
	plan.ShowMembers:         (*Reconciler).showMembers,
	plan.TellJoined:          (*Reconciler).tellJoined,
	plan.NoteAssignee:        (*Reconciler).noteAssignee,
	plan.Escalate:            (*Reconciler).escalate,
	plan.Remind:              (*Reconciler).remind,
	plan.Create:              (*Reconciler).create,
	plan.Adopt:               (*Reconciler).adopt,
	plan.FindLost:            (*Reconciler).findLost,
	plan.Replace:             (*Reconciler).replace,
	plan.ConfirmReopened:     (*Reconciler).confirmReopened,
	plan.Reopen:              (*Reconciler).reopen,
	plan.ResumeClosed:        (*Reconciler).resumeClosed,
	plan.Complete:            (*Reconciler).completeIssue,
	plan.AnnouncePaused:      (*Reconciler).announcePaused,
	plan.AnnounceUnpaused:    (*Reconciler).announceUnpaused,
	plan.AnnouncePausedThere: (*Reconciler).announcePausedThere,
	plan.NameFlag:            (*Reconciler).nameFlag,
	plan.Close:               (*Reconciler).close,
	plan.LeaveOpen:           (*Reconciler).leaveOpen,
	plan.CloseDuplicate:      (*Reconciler).closeDuplicate,
}

// claimWait is how long a sweep waits for who else works on a project's issue; it comes again soon. A trip waits for one
// request: a sweep may be at the same project this very moment.
const claimWait = 900 * time.Millisecond

// claimWait returns how long a sweep waits. One that a person or cron started, and which fails if it leaves something undone, waits for a slow
// request of another process.
func (r *Reconciler) claimWait(c *sweepCache) time.Duration {
	if c.force {
		return max(claimWait, r.opt.Timeout)
	}
	return claimWait
}

// visit is the work in Gitea for one project. What it leaves behind is the incident and the flag as they were seen last.
type visit struct {
	project string
	cache   *sweepCache
	wait    time.Duration      // for the claim
	fresh   *incident.Incident // that this process has just stored, or nil; kept up to date
	refused map[string]bool    // ids of incidents of which a step was refused
	follow  bool               // visit the projects, too, of those whose issues carry this one's incidents

	done  []plan.Action
	flag  incident.FlagView
	leads map[string]bool // projects of the incidents whose issues carry this one's
}

// track does what has to be done in Gitea for one project. The claims on two issues are never held at the same time.
func (r *Reconciler) track(ctx context.Context, v *visit) error {
	if r.opt.Tracker == nil && r.trackerErr == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.tracking, cancel)()
	err := r.trackProject(ctx, v)
	for project := range v.leads {
		if v.follow && project != v.project {
			err = errors.Join(err, r.trackLead(ctx, v, project))
		}
	}
	if err != nil && r.tracking.Err() != nil {
		return errTrackerLeft // its requests failed for that
	}
	return err
}

var errTrackerLeft = errors.New("the work in Gitea, which had not ended when adfbot was told to end")

// trackProject works under the claim on the project's issue and with everything read again.
func (r *Reconciler) trackProject(ctx context.Context, v *visit) error {
	ctx, release, err := r.opt.State.Claim(ctx, "issue/"+v.project, v.wait)
	if err != nil {
		return claimError{err}
	}
	defer release()
	var errs []error
	tried := map[string]bool{}
	v.refused = map[string]bool{}
	for {
		o, err := r.observeIssue(ctx, v)
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		due := untried(r.next(ctx, o), tried)
		if len(due) == 0 {
			return errors.Join(errs...)
		}
		a := due[0]
		tried[actionKey(a)] = true
		p, err := r.take(ctx, v, o, a)
		switch {
		case err != nil:
			errs = append(errs, err)
			v.refused[a.Incident] = v.refused[a.Incident] || tracker.IsPermanent(err) || tracker.RefusalOf(err) != tracker.OfRequest
		case p == changed || p == complete:
			v.done = append(v.done, a)
		case p == unfinished:
			v.done = append(v.done, a)
			delete(tried, actionKey(a))
		}
		if last := len(due) == 1; last && err == nil && (p == later || p == complete) {
			return errors.Join(errs...) // another look would show nothing new
		}
	}
}

// observeIssue observes a project for the steps in the tracker.
func (r *Reconciler) observeIssue(ctx context.Context, v *visit) (o plan.Observation, err error) {
	defer func() {
		for _, i := range o.Incidents {
			if lead := o.Others[i.Lead]; lead.Project != "" && !i.Settled {
				if v.leads == nil {
					v.leads = map[string]bool{}
				}
				v.leads[lead.Project] = true
			}
		}
	}()
	if r.opt.Fleet != nil {
		o, err := r.observe(ctx, v.project, v.cache, func(context.Context, string) incident.FlagView { return incident.FlagView{} })
		o.Refused = v.refused
		return o.ByState(), err
	}
	o, err = r.observe(ctx, v.project, v.cache, r.Look)
	if o.Refused = v.refused; err == nil {
		v.flag = o.Flag
	}
	return o, err
}

// removedMeanwhile reports whether somebody has resumed the project of an open incident. In a fleet, the state knows.
func (r *Reconciler) removedMeanwhile(ctx context.Context, i incident.Incident, flag incident.FlagView) (bool, error) {
	if i.IsSilent() {
		return false, nil
	}
	if r.opt.Fleet == nil {
		return flag.State == incident.FlagGone && !i.FlagWritten.IsZero(), nil
	}
	state, err := r.opt.State.ProjectState(ctx, i.Project)
	return state.Pause().ID != i.ID, err
}

// untried returns the steps in Gitea that were not tried yet.
func untried(actions []plan.Action, tried map[string]bool) []plan.Action {
	var out []plan.Action
	for _, a := range actions {
		if !a.Kind.Local() && !tried[actionKey(a)] {
			out = append(out, a)
		}
	}
	return out
}

func actionKey(a plan.Action) string {
	return fmt.Sprint(a.Kind, a.Incident, a.Issue.Number, a.Host.ID)
}

// take takes one step.
func (r *Reconciler) take(ctx context.Context, v *visit, o plan.Observation, a plan.Action) (progress, error) {
	s := &step{action: a, flag: o.Flag, cache: v.cache}
	fresh := v.fresh != nil && v.fresh.ID == a.Incident
	s.incident = o.Others[a.Incident] // one that another incident's issue carries
	s.incident.Issue = a.Issue
	for i := range inAll(o.Incidents, o.Silent) {
		if i.ID == a.Incident {
			s.incident = *i
		}
	}
	if lead, ok := o.Others[s.incident.Lead]; ok && lead.Issue == a.Issue { // it may be the project's own, of a pause before
		s.incident.Issue = a.Issue
	}
	s.carried = o.Carried(&s.incident)
	if fresh {
		s.incident.Evidence = v.fresh.Evidence
		*v.fresh = s.incident
		s.fresh = v.fresh
	}
	if err := r.blocked(s); err != nil {
		saved := r.saveReason(ctx, s.incident, redact.Line(err.Error(), 500))
		if s.cache.isReported(err) { // once for all projects that wait for it
			return later, saved
		}
		return later, fmt.Errorf("%s: %w", s.incident.Name(), errors.Join(err, saved))
	}
	p, err := trackerSteps[a.Kind](r, ctx, s)
	if err != nil {
		err = fmt.Errorf("%s: %w", s.incident.Name(), err)
	}
	return p, err
}

// blocked returns why no request may be made for the incident now: the bot may not, or its repository cannot be listed.
func (r *Reconciler) blocked(s *step) error {
	if r.trackerErr != nil {
		return r.trackerErr
	}
	repo := s.action.Issue.Repo
	if repo == (tracker.Repo{}) {
		repo = r.targetRepo(s.incident)
	}
	if repo.Owner == "" || repo.Name == "" {
		return fmt.Errorf("it is not known which repository the issues of %s go to: set owner and repo for the project, or gitea.owner "+
			"and gitea.repo for all", s.incident.Project)
	}
	l, _ := s.cache.open.get(repo)
	return l.err
}

// targetRepo is where an incident's issue is, or goes.
func (r *Reconciler) targetRepo(i incident.Incident) tracker.Repo {
	switch {
	case !i.Issue.IsZero():
		return i.Issue.Repo
	case i.Target != tracker.Repo{}:
		return i.Target
	}
	return r.configuredRepo(i)
}

// configuredRepo is where an incident's issue is to go.
func (r *Reconciler) configuredRepo(i incident.Incident) tracker.Repo {
	t := r.opt.Target(i.Project)
	if t.Default && i.Repo.Server == r.opt.Server && i.Repo.Owner != "" && i.Repo.Name != "" {
		return i.Repo
	}
	return t.Repo
}

// saveReason saves why something is pending, if that is news; "" means that nothing is wrong any more.
func (r *Reconciler) saveReason(ctx context.Context, i incident.Incident, why string) error {
	if why == i.LastErr {
		return nil
	}
	_, err := r.opt.State.Change(ctx, i.ID, func(i *incident.Incident) {
		if why != "" || i.Tries == 0 { // a step that failed meanwhile has its own reason
			i.LastErr = why
		}
	})
	return err
}

// saveListError saves with an open incident that the server refuses to list the repository of its issue, for as long as it
// does: somebody may close or delete the issue, and the bot could not see it. What passes by itself is not saved.
func (r *Reconciler) saveListError(ctx context.Context, c *sweepCache, i incident.Incident, err error) error {
	switch {
	case c.dry:
		return nil
	case tracker.IsPermanent(err), tracker.RefusalOf(err) != tracker.OfRequest:
		return r.saveReason(ctx, i, redact.Line(err.Error(), 500))
	case err == nil && i.Tries == 0:
		return r.saveReason(ctx, i, "")
	}
	return nil
}

// failed counts a failed try and sets the wait before the next. It returns err.
func (r *Reconciler) failed(ctx context.Context, i incident.Incident, err error) error {
	_, err2 := r.opt.State.Change(ctx, i.ID, func(i *incident.Incident) { r.countFailure(i, err) })
	return errors.Join(err, err2)
}

func (r *Reconciler) countFailure(i *incident.Incident, err error) {
	wait := plan.RetryWait(i.Tries+1, rand.Float64())
	var te *tracker.Error
	if errors.As(err, &te) {
		wait = max(wait, te.RetryAfter)
	}
	i.Tries++
	i.WaitFrom(r.opt.Now(), wait)
	i.LastErr = redact.Line(err.Error(), 500)
}

// forgetFailures takes the last failure from the incidents of a project that wait for nothing any more: what had failed need not be done
// now, because somebody has answered, say, or has put it off. While the issue that carries an incident is not seen open, it may wait for that.
func (r *Reconciler) forgetFailures(ctx context.Context, project string, c *sweepCache) error {
	o, err := r.observeIssue(ctx, &visit{project: project, cache: c})
	if err != nil {
		return err
	}
	o.Force = true
	due := r.next(ctx, o)
	if o.Flag.State == incident.FlagUnknown || slices.ContainsFunc(due, func(a plan.Action) bool { return a.Kind.Local() && a.Kind != plan.WriteFlag }) {
		return nil // then not all of them are planned
	}
	var errs []error
	for i := range inAll(o.Incidents, o.Silent) {
		if i.Lead != "" || i.Settled || o.Issues[i.ID] != plan.IssueOpen {
			continue
		}
		for _, m := range o.Carried(i) {
			if hasFailed(m) && !slices.ContainsFunc(due, func(a plan.Action) bool { return a.Incident == m.ID }) {
				_, err := r.opt.State.Change(ctx, m.ID, func(now *incident.Incident) {
					if now.Tries == m.Tries && now.LastErr == m.LastErr { // else another process has met a new one
						clearRetry(now)
					}
				})
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

func hasFailed(i incident.Incident) bool { return i.Tries > 0 || i.LastErr != "" }

func clearRetry(i *incident.Incident) { i.Tries, i.NextTry, i.LastErr = 0, time.Time{}, "" }

// confirmState reads an incident's issue before a step that needs it in one state. Where it is in another, the step is off,
// and what was seen is planned anew.
func (r *Reconciler) confirmState(ctx context.Context, want plan.IssueState, s *step) (bool, error) {
	_, is, err := r.readIssue(ctx, s.cache, s.incident)
	if err != nil {
		return false, r.failed(ctx, s.incident, err)
	}
	if is != want {
		s.cache.setState(s.incident, is)
	}
	return is == want, nil
}
