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

// errLater: nothing is wrong, it is only too early.
var errLater = errors.New("too early")

// remote does what has to be done in Gitea for one project, under its issue lock, and with everything read again. fresh is
// an incident that this process has just stored: its issue can't be there yet, so the first attempt costs one request.
func (r *Reconciler) remote(ctx context.Context, project, fresh string, p *pass) ([]plan.Action, error) {
	if r.Gitea == nil && r.Off == nil {
		return nil, nil
	}
	wait := issueWait
	if fresh != "" {
		wait = r.Settings.Timeout // a sweep may be at the same project this very moment
	}
	ctx, release, err := r.State.Claim(ctx, "issue/"+project, wait)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", project, err)
	}
	defer release()
	var done []plan.Action
	var errs []error
	tried := map[string]bool{}
	for {
		o, err := r.observe(ctx, project, p)
		if err != nil {
			return done, errors.Join(append(errs, err)...)
		}
		next := -1
		actions := plan.Next(o)
		for n, a := range actions {
			if !a.Kind.Local() && !tried[actionKey(a)] {
				next = n
				break
			}
		}
		if next < 0 {
			return done, errors.Join(errs...)
		}
		a := actions[next]
		tried[actionKey(a)] = true
		i := incidentOf(o, a)
		if err := r.blocked(p, i, a); err != nil {
			errs = append(errs, r.note(ctx, i, err))
			continue
		}
		switch err := r.do(ctx, a, i, p, a.Incident == fresh); {
		case errors.Is(err, errLater):
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", i.Name(), err))
		default:
			done = append(done, a)
		}
	}
}

func actionKey(a plan.Action) string { return fmt.Sprint(a.Kind, a.Incident, a.Issue.Number) }

func incidentOf(o plan.Observation, a plan.Action) incident.Incident {
	for _, i := range o.Incidents {
		if i.ID == a.Incident {
			return i
		}
	}
	return incident.Incident{}
}

// blocked tells why no request may be made for the incident now: the bot may not, or its repository can't be listed.
func (r *Reconciler) blocked(p *pass, i incident.Incident, a plan.Action) error {
	if r.Off != nil {
		return r.Off
	}
	repo := a.Issue.Repo
	if repo == (tracker.Repo{}) {
		repo = r.targetRepo(i)
	}
	if repo.Owner == "" || repo.Name == "" {
		return fmt.Errorf("it is not known which repository the issues of %s go to: set owner and repo for the project, or gitea.owner "+
			"and gitea.repo for all", i.Project)
	}
	if l, ok := p.list(repo); ok {
		return l.err
	}
	return nil
}

func (r *Reconciler) targetRepo(i incident.Incident) tracker.Repo {
	switch {
	case !i.Issue.IsZero():
		return i.Issue.Repo
	case i.Target != tracker.Repo{}:
		return i.Target
	}
	return r.Settings.Target(i.Project).Repo
}

// note keeps the reason why something is pending, if it is news.
func (r *Reconciler) note(ctx context.Context, i incident.Incident, err error) error {
	if err2 := r.noteReason(ctx, i, redact.Line(err.Error(), 500)); err2 != nil {
		err = errors.Join(err, err2)
	}
	return fmt.Errorf("%s: %w", i.Name(), err)
}

func (r *Reconciler) noteReason(ctx context.Context, i incident.Incident, why string) error {
	if why == i.LastErr {
		return nil
	}
	_, err := r.State.Change(ctx, i.ID, func(i *incident.Incident) {
		if why != "" || i.Tries == 0 { // a step that failed meanwhile has its own reason
			i.LastErr = why
		}
	})
	return err
}

// noteListed keeps with an open incident that the server refuses to list the repository of its issue, until it does not
// any more: somebody may close or delete the issue, and the bot could not see it. What passes by itself is not kept.
func (r *Reconciler) noteListed(ctx context.Context, p *pass, i incident.Incident, err error) error {
	switch {
	case p.dry:
		return nil
	case err != nil && tracker.OutcomeOf(err) == tracker.Refused && !tracker.IsRetryable(err):
		return r.noteReason(ctx, i, redact.Line(err.Error(), 500))
	case err == nil && i.Tries == 0:
		return r.noteReason(ctx, i, "")
	}
	return nil
}

// failed counts a failed try and sets the wait before the next.
func (r *Reconciler) failed(ctx context.Context, i incident.Incident, err error) error {
	_, err2 := r.State.Change(ctx, i.ID, func(i *incident.Incident) { r.failInto(i, err) })
	return errors.Join(err, err2)
}

func (r *Reconciler) failInto(i *incident.Incident, err error) {
	wait := plan.RetryWait(i.Tries+1, rand.Float64())
	var te *tracker.Error
	if errors.As(err, &te) {
		wait = max(wait, te.RetryAfter)
	}
	i.Tries++
	i.NextTry = r.Now().Add(wait)
	i.LastErr = redact.Line(err.Error(), 500)
}

func worked(i *incident.Incident) { i.Tries, i.NextTry, i.LastErr = 0, time.Time{}, "" }

func (r *Reconciler) do(ctx context.Context, a plan.Action, i incident.Incident, p *pass, fresh bool) error {
	switch a.Kind {
	case plan.Create:
		return r.create(ctx, i, p, fresh)
	case plan.Adopt:
		return r.adopted(ctx, i, a.Issue, p, plan.IssueOpen)
	case plan.FindLost:
		return r.findLost(ctx, i, p)
	case plan.Replace:
		_, err := r.State.Change(ctx, i.ID, func(i *incident.Incident) {
			i.Lost, i.Issue = append(i.Lost, i.Issue), tracker.IssueRef{}
			if n := len(i.Lost); n > 1 { // somebody deletes them on purpose: do not race with them
				i.NextTry = r.Now().Add(plan.RetryWait(n, 0))
			}
		})
		return err
	case plan.ConfirmReopened:
		return r.noteReopened(ctx, i, p)
	case plan.Reopen:
		return r.reopen(ctx, a, i, p)
	case plan.ResumeClosed:
		return r.resumeClosed(ctx, i, p)
	case plan.AnnouncePaused:
		return r.tellPaused(ctx, i, p)
	case plan.Close:
		return r.close(ctx, i, p)
	case plan.LeaveOpen:
		return r.leaveOpen(ctx, i, p)
	case plan.CloseDuplicate:
		return r.closeDuplicate(ctx, a.Issue, i, p)
	}
	return fmt.Errorf("no such step: %s", a.Kind)
}

// find looks for the incident's marker among the bot's issues of any state, whichever of its accounts wrote them. The list
// must have been begun after an outstanding attempt was over; one list serves a whole pass.
func (r *Reconciler) find(ctx context.Context, i incident.Incident, repo tracker.Repo, p *pass) (tracker.Issue, bool, error) {
	after := r.Now().Add(2*r.Settings.Timeout - r.since(i.Create))
	l, err := r.everything(ctx, repo, p, after)
	if err != nil {
		return tracker.Issue{}, false, err
	}
	accounts, err := r.accountIDs(ctx, p)
	if err != nil {
		return tracker.Issue{}, false, err
	}
	var found *tracker.Issue
	for n := range l {
		d := &l[n]
		if d.Marker.Incident != i.ID || !r.mine(accounts, *d) || slices.Contains(i.Lost, d.IssueRef) {
			continue
		}
		// An open one before a closed one, then the oldest.
		if found == nil || (d.Open && !found.Open) || (d.Open == found.Open && d.Number < found.Number) {
			found = d
		}
	}
	if found == nil {
		return tracker.Issue{}, false, nil
	}
	return *found, true, nil
}

// everything lists the bot's issues of any state. In a pass it serves all projects, a failure too.
func (r *Reconciler) everything(ctx context.Context, repo tracker.Repo, p *pass, after time.Time) ([]tracker.Issue, error) {
	if p == nil {
		l := r.listAll(ctx, repo, nil)
		return l.issues, l.err
	}
	done, err := p.turn(ctx, repo)
	if err != nil {
		return nil, err
	}
	defer done()
	p.mu.Lock()
	l, ok := p.all[repo]
	p.mu.Unlock()
	if !ok || l.begun.Before(after) {
		l = r.listAll(ctx, repo, p)
		p.mu.Lock()
		p.all[repo] = l
		p.mu.Unlock()
	}
	return l.issues, l.err
}

func (r *Reconciler) listAll(ctx context.Context, repo tracker.Repo, p *pass) listed {
	l := listed{begun: r.Now()}
	login, err := r.maker(ctx, p)
	if err != nil {
		l.err = err
		return l
	}
	l.issues, l.err = r.list(ctx, repo, login, true, p)
	return l
}

func (r *Reconciler) adopted(ctx context.Context, i incident.Incident, ref tracker.IssueRef, p *pass, s plan.IssueState) error {
	i, err := r.State.Change(ctx, i.ID, func(i *incident.Incident) {
		i.Issue, i.Create, i.Target = ref, incident.Attempt{}, tracker.Repo{}
		i.Settled = i.Settled && s != plan.IssueOpen // it came after all were sure that it would not: it is to be closed
		worked(i)
	})
	if err == nil {
		p.set(i, s)
		r.Log.Info("issue found again", "project", i.Project, "incident", i.Name(), "issue", ref.String(), "url", ref.URL)
	}
	return err
}

// findLost looks whether the issue of an incident that has ended was made after all. It is closed then by the next step.
func (r *Reconciler) findLost(ctx context.Context, i incident.Incident, p *pass) error {
	if err := r.waitOver(ctx, i); err != nil {
		return err
	}
	issue, ok, err := r.find(ctx, i, r.targetRepo(i), p)
	if err != nil {
		return r.failed(ctx, i, err)
	}
	if !ok {
		_, err := r.State.Change(ctx, i.ID, func(i *incident.Incident) { i.Create, i.Settled = incident.Attempt{}, true; worked(i) })
		return err
	}
	return r.adopted(ctx, i, issue.IssueRef, p, stateOf(issue))
}

func stateOf(i tracker.Issue) plan.IssueState {
	if i.Open {
		return plan.IssueOpen
	}
	return plan.IssueClosed
}

// waitOver returns errLater while an attempt whose answer was lost may still be at work on the server.
func (r *Reconciler) waitOver(ctx context.Context, i incident.Incident) error {
	if i.Create.At.IsZero() || r.over(i.Create) {
		return nil
	}
	if r.since(i.Create) < 0 {
		if _, err := r.State.Change(ctx, i.ID, func(i *incident.Incident) { i.Create = r.begun() }); err != nil {
			return err
		}
	}
	return errLater
}
