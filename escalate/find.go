package escalate

import (
	"context"
	"slices"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// An issue whose creation is in doubt is looked for by its marker before anybody creates another.

// awaitAttempt reports whether an outstanding creation can no longer be at work on the server.
func (r *Reconciler) awaitAttempt(ctx context.Context, i incident.Incident) (over bool, err error) {
	if i.Create.At.IsZero() || r.expired(i.Create) {
		return true, nil
	}
	if r.age(i.Create) < 0 { // saved by a clock that was wrong: the wait begins anew
		_, err = r.opt.State.Change(ctx, i.ID, func(i *incident.Incident) { i.Create = r.renewed(i.Create) })
	}
	return false, err
}

// findIssue looks for the incident's marker among the bot's issues of any state, whichever of its accounts wrote them. The
// list must have been begun after an outstanding attempt was over; one list serves a whole sweep.
func (r *Reconciler) findIssue(ctx context.Context, i incident.Incident, repo tracker.Repo, c *sweepCache) (found tracker.Issue, ok bool, err error) {
	after := r.opt.Now().Add(2*r.opt.Timeout - r.age(i.Create))
	if refused, ok := c.refused.get(i.ID); ok && !refused.Before(after) {
		after = refused.Add(1)
	}
	unlock, err := c.lockListing(ctx, repo)
	if err != nil {
		return found, false, err
	}
	l, listed := c.all.get(repo)
	if !listed || l.begun.Before(after) {
		l = r.listAll(ctx, repo, c)
		c.all.set(repo, l)
	}
	unlock()
	if l.err != nil {
		return found, false, l.err
	}
	ours, err := r.identity(ctx, c)
	if err != nil {
		return found, false, err
	}
	for _, d := range l.issues {
		own, best := d.Marker.Incident == i.ID, found.Marker.Incident == i.ID
		if !d.Carries(i.ID) || !own && i.Leads() || !r.isOurs(ours, d) || slices.Contains(i.Lost, d.IssueRef) {
			continue
		}
		// An open one before a closed one, its own before one that carries it, then the oldest.
		if !ok || d.Open && !found.Open || d.Open == found.Open && (own && !best || own == best && d.Number < found.Number) {
			found, ok = d, true
		}
	}
	return found, ok, nil
}

// noteIssue sets the issue of an incident. A server that was restored from a backup may give it the id and the number of one that was lost.
func noteIssue(i *incident.Incident, ref tracker.IssueRef) {
	i.Issue, i.Create, i.Target = ref, incident.Attempt{}, tracker.Repo{}
	i.Lost = slices.DeleteFunc(slices.Clone(i.Lost), func(lost tracker.IssueRef) bool { return lost == ref })
}

// listAll lists the bot's issues of any state.
func (r *Reconciler) listAll(ctx context.Context, repo tracker.Repo, c *sweepCache) issueList {
	l := issueList{begun: r.opt.Now()}
	login, err := r.listingLogin(ctx, c)
	if err != nil {
		l.err = err
		return l
	}
	l.issues, l.err = r.listIssues(ctx, repo, login, true, c)
	return l
}

// adopt takes over an issue of the incident that the state did not know.
func (r *Reconciler) adopt(ctx context.Context, s *step) (progress, error) {
	for _, issue := range r.projectIssues(s.cache, s.incident.Project) {
		if issue.IssueRef == s.action.Issue {
			return r.adoptIssue(ctx, s, issue)
		}
	}
	return replan, nil
}

func (r *Reconciler) adoptIssue(ctx context.Context, s *step, issue tracker.Issue) (progress, error) {
	if issue.Marker.Incident != s.incident.ID {
		return r.joinAgain(ctx, s, issue)
	}
	ref, is := issue.IssueRef, stateOf(issue)
	i, err := r.opt.State.Change(ctx, s.incident.ID, func(i *incident.Incident) {
		noteIssue(i, ref)
		i.Lead = ""
		i.Incomplete = !i.Rebuilt && r.lacksParts(*i, issue) // what a rebuilt one lacks, people may have taken away
		for _, m := range issue.Members {
			r.addTold(i, m.Incident)
		}
		i.Settled = i.Settled && is != plan.IssueOpen // the issue appeared after the incident was settled; it must still be closed
		clearRetry(i)
	})
	if err == nil {
		if s.fresh != nil {
			*s.fresh = i
		}
		s.cache.setState(i, is)
		r.opt.Log.Info("issue found again", "project", i.Project, "incident", i.Name(), "issue", ref.String(), "url", ref.URL)
	}
	return changed, err
}

// findLost looks whether the issue of an incident that has ended was created after all. The next step closes it then.
func (r *Reconciler) findLost(ctx context.Context, s *step) (progress, error) {
	i := s.incident
	if over, err := r.awaitAttempt(ctx, i); !over || err != nil {
		return later, err
	}
	issue, ok, err := r.findIssue(ctx, i, r.targetRepo(i), s.cache)
	switch {
	case err != nil:
		return later, r.failed(ctx, i, err)
	case ok:
		return r.adoptIssue(ctx, s, issue)
	}
	return changed, r.saveDone(ctx, i, func(i *incident.Incident) { i.Create, i.Settled = incident.Attempt{}, true })
}
