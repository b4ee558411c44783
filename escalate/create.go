package escalate

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/fault"
)

// create opens the incident's issue. The attempt is on disk before the request, so that whoever comes after a crash knows
// that there may be an issue already.
func (r *Reconciler) create(ctx context.Context, s *step) (progress, error) {
	i := s.incident
	if over, err := r.awaitAttempt(ctx, i); !over || err != nil {
		return later, err
	}
	repo := r.targetRepo(i)
	if s.fresh == nil || !i.Create.At.IsZero() {
		found, ok, err := r.findIssue(ctx, i, repo, s.cache)
		switch {
		case err != nil:
			return later, r.failed(ctx, i, err)
		case ok:
			return r.adoptIssue(ctx, s, found)
		}
		// It is not there. Only now may another repository be taken, where the configuration has changed and names one.
		if now := r.configuredRepo(i); now.Owner != "" && now.Name != "" {
			repo = now
		}
		if r.opt.Fleet == nil {
			s.flag = r.Look(ctx, i.Project) // the list took its time
		}
	}
	if removed, err := r.removedMeanwhile(ctx, i, s.flag); removed && !s.othersOpen() || err != nil {
		return later, err // no issue for a project that runs again
	}
	return r.createIssue(ctx, s, repo)
}

// shortEvery is how often an issue whose creation got no answer goes without the output: a firewall may swallow that.
const shortEvery = 3

// createIssue makes the request, once more without an optional part that the server refused, and saves what came of it.
func (r *Reconciler) createIssue(ctx context.Context, s *step, repo tracker.Repo) (progress, error) {
	i := s.incident
	data, err := r.issueData(ctx, s, repo)
	if err != nil {
		return later, err
	}
	target := r.opt.Target(i.Project)
	shared, err := r.sharedData(ctx, i, tracker.Issue{})
	if err != nil {
		return later, err
	}
	n := tracker.NewIssue{Title: r.opt.Composer.SharedTitle(i, shared.Others())}
	// Where the answer was lost, the server may have failed on an optional part: completeIssue adds those one by one.
	lost := !i.Create.At.IsZero() && !i.Create.Refused()
	if !lost {
		n.Assignees = target.Assignees
	}
	var labelErr error
	if !lost || i.Tries < 2 {
		n.Labels, labelErr = r.labelIDs(ctx, s.cache, repo, r.labelsOf(i))
	}
	if r.opt.DueIn > 0 && (!lost || i.Tries < 3) {
		n.Due = i.Opened.Add(r.opt.DueIn)
	}
	var problem string
	if n.Body, problem = r.opt.Composer.Body(data); problem != "" {
		r.opt.Log.Warn("issue text is not as wished", "incident", i.Name(), "err", problem)
	}
	if (i.Create.Lost+1)%shortEvery == 0 {
		n.Body = r.opt.Composer.Short(data)
	}
	issue, sent, err := r.sendCreate(ctx, s, repo, r.withMembers(n, shared))
	for sent && tracker.OutcomeOf(err) == tracker.Refused && tracker.RefusalOf(err) != tracker.OfToken && r.dropOptional(&n, &data, err) {
		if tracker.RefusalOf(err) == tracker.OfWay {
			s.cache.refused.set(i.ID, r.opt.Now())
			found, ok, findErr := r.findIssue(ctx, i, repo, s.cache)
			if ok {
				return r.adoptIssue(context.WithoutCancel(ctx), s, found)
			}
			if findErr != nil {
				break // the next try looks for it
			}
		}
		shared.Brief = true
		issue, sent, err = r.sendCreate(ctx, s, repo, r.withMembers(n, shared))
	}
	fault.Point(ctx, "created")
	switch {
	case !sent:
		return later, err
	case err != nil:
		if tracker.RefusalOf(err) == tracker.OfWay {
			s.cache.refused.set(i.ID, r.opt.Now())
		}
		return later, errors.Join(err, r.saveFailedCreate(context.WithoutCancel(ctx), i, err))
	}
	p, err := r.saveIssue(context.WithoutCancel(ctx), s, issue, data.FlagError, shared.Members)
	if p == changed && labelErr != nil && !tracker.IsPermanent(labelErr) {
		return complete, err // a job may wait for a trip: the next sweep asks for labels again
	}
	return p, err
}

// sendCreate saves the attempt and makes the request once. A resume does not take the claim on the issue, so the incident may
// have ended since it was observed, and be settled as one that never had an issue. Then nothing is sent.
func (r *Reconciler) sendCreate(ctx context.Context, s *step, repo tracker.Repo, n tracker.NewIssue) (issue tracker.Issue, sent bool, err error) {
	id, lost, open := s.incident.ID, s.incident.Create.Lost, true
	needed := func(i incident.Incident) bool { return i.IsOpen() || !i.Settled && s.othersOpen() }
	ctx, release, err := r.announce(ctx, func() error {
		attempt := r.newAttempt() // not in the transaction, which others wait for
		attempt.Lost = lost + 1
		now, err := r.opt.State.Change(ctx, id, func(i *incident.Incident) {
			if needed(*i) {
				i.Create, i.Target = attempt, repo
			}
		})
		open = open && needed(now)
		return err
	})
	if err != nil {
		return tracker.Issue{}, false, err
	}
	defer release()
	if !open {
		return tracker.Issue{}, false, nil
	}
	fault.Point(ctx, "create-begun")
	issue, err = r.opt.Tracker.Create(ctx, repo, n)
	return issue, true, err
}

func (r *Reconciler) saveFailedCreate(ctx context.Context, i incident.Incident, cause error) error {
	_, err := r.opt.State.Change(ctx, i.ID, func(i *incident.Incident) {
		switch {
		case tracker.OutcomeOf(cause) == tracker.Lost:
			i.Create = r.renewed(i.Create) // a process that was stopped may have sent it long after the attempt was saved
		case tracker.RefusalOf(cause) == tracker.OfWay:
			i.Create = r.refusedAttempt()
		default:
			i.Create, i.Target = incident.Attempt{}, tracker.Repo{}
		}
		r.countFailure(i, cause)
	})
	return err
}

// saveIssue saves a new issue, why its text says that the project is not paused, if it does, and whom it lists.
func (r *Reconciler) saveIssue(ctx context.Context, s *step, issue tracker.Issue, flagError string, listed []issuetext.SharedMember) (progress, error) {
	// The account comes first: an issue that is known and an account that is not would look like somebody else's issue.
	err := r.saveAccount(ctx, s.cache, tracker.Account{ID: issue.AuthorID, Login: issue.Author})
	i, err2 := r.opt.State.Change(ctx, s.incident.ID, func(i *incident.Incident) {
		noteIssue(i, issue.IssueRef)
		i.HeadedNotPaused, i.NamedFlag = flagError != "", ""
		i.Incomplete = r.lacksParts(*i, issue)
		i.Escalation.AddAssigned(r.opt.Target(i.Project).Assignees...)
		i.Escalation.AddAccounts(issue.Assignees...)
		r.setShown(i, listed)
		clearRetry(i)
	})
	if err := errors.Join(err, err2); err != nil {
		return later, err
	}
	fault.Point(ctx, "issue-noted")
	if s.fresh != nil {
		*s.fresh = i
	}
	s.cache.setState(i, plan.IssueOpen)
	r.opt.Log.Info("issue opened", "project", i.Project, "incident", i.Name(), "issue", issue.String(), "url", issue.URL)
	if i.Incomplete || i.Leads() {
		return changed, nil
	}
	return complete, nil
}

// dropOptional takes an optional part out of an issue that the server refused, and reports whether there was one. What it
// takes out is added again by completeIssue, or named in the issue.
func (r *Reconciler) dropOptional(n *tracker.NewIssue, data *issuetext.IssueData, err error) bool {
	var te *tracker.Error
	if !errors.As(err, &te) {
		return false
	}
	invalid := te.Status == http.StatusUnprocessableEntity || te.Status == http.StatusBadRequest
	// 403 is also for an assignee who has blocked the bot. A firewall may take the output for an attack.
	forbidden := te.Status == http.StatusForbidden || te.Status == http.StatusNotAcceptable || te.Status == http.StatusFound
	shorten := func() bool {
		short := r.opt.Composer.Short(*data)
		if len(short) >= len(n.Body) {
			return false
		}
		n.Body = short
		return true
	}
	switch {
	case tracker.RefusalOf(err) == tracker.OfWay: // only the output can matter
		return (invalid || forbidden) && shorten()
	case (invalid || forbidden) && len(n.Assignees) > 0:
		n.Assignees = nil
	case forbidden && shorten():
	case (invalid || forbidden) && len(n.Labels) > 0:
		n.Labels = nil
	case (invalid || forbidden) && !n.Due.IsZero():
		n.Due = time.Time{}
	default:
		return (invalid || te.Status == http.StatusRequestEntityTooLarge) && shorten()
	}
	return true
}

// issueData collects what the issue's body is made from.
func (r *Reconciler) issueData(ctx context.Context, s *step, repo tracker.Repo) (issuetext.IssueData, error) {
	i := s.incident
	data := issuetext.IssueData{
		Installation: r.opt.Installation, Repo: repo, PauseFlag: r.opt.Dir.FlagPath(i.Project), RunAs: r.runAs(), RemoveAs: r.removeAs(), ConfigFlag: r.opt.ConfigFlag,
		Mentions: r.opt.Mentions, ResumeInGitea: r.operable(), CloseResumes: r.opt.Commands.CloseResumes,
		AnyHost: r.opt.Fleet != nil, Workflow: r.opt.Target(i.Project).Workflow,
	}
	if s.fresh == nil {
		var err error
		if i.Evidence, err = r.opt.State.Evidence(ctx, i.ID); err != nil {
			return data, err
		}
	}
	data.Incident = i
	if i.FlagWritten.IsZero() && i.IsOpen() && !i.IsSilent() {
		data.FlagError = i.FlagError
		if s.flag.Err != nil {
			data.FlagError = s.flag.Err.Error()
		}
		data.FlagError = cmp.Or(data.FlagError, "the pause flag is not written yet")
	}
	if len(i.Lost) > 0 {
		data.Replaces = &i.Lost[len(i.Lost)-1]
	}
	return data, nil
}
