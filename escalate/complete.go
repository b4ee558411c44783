package escalate

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// Labels, assignees and due date are optional parts of an issue. Its creation goes on without those that the server refuses
// or drops, and marks the incident; the step here adds them one by one, and says in the issue what remains left out.

// completeTries is how often a server that fails on optional parts is asked for them.
const completeTries = 5

// lacksParts reports whether an issue has fewer parts than were asked for. It counts: a label may have got another name.
func (r *Reconciler) lacksParts(i incident.Incident, issue tracker.Issue) bool {
	t := r.opt.Target(i.Project)
	return len(issue.Labels) < len(r.labelsOf(i)) || len(issue.Assignees) < len(t.Assignees) || r.opt.DueIn > 0 && issue.Due.IsZero()
}

// completeIssue adds to an issue what its creation left out, each part by itself, so that one which is refused costs only
// itself.
func (r *Reconciler) completeIssue(ctx context.Context, s *step) (progress, error) {
	i := s.incident
	issue, is, err := r.readIssue(ctx, s.cache, i)
	if err != nil {
		return later, r.failed(ctx, i, err)
	}
	if is != plan.IssueOpen {
		s.cache.setState(i, is)
		return replan, nil
	}
	if err := r.begin(ctx, i); err != nil {
		return later, err
	}
	leftOut, err := r.addParts(ctx, s, issue)
	if err == nil && len(leftOut) > 0 {
		r.opt.Log.Warn("the issue lacks parts", "incident", i.Name(), "issue", issue.String(), "left_out", leftOut)
		err = r.opt.Tracker.EditText(ctx, i.Issue, func(t tracker.Text) tracker.Text {
			t.Body = issuetext.AddLeftOut(t.Body, leftOut)
			return t
		})
	}
	if worthAnotherTry(i, err) {
		return later, r.failed(ctx, i, err)
	}
	if err != nil {
		r.opt.Log.Warn("the issue does not say what it lacks", "issue", issue.String(), "err", err)
	}
	return complete, r.saveDone(ctx, i, func(i *incident.Incident) { i.Incomplete = false })
}

// worthAnotherTry reports whether a part may still be added later: after what passes by itself or is mended always, after a failure of
// the server a few times.
func worthAnotherTry(i incident.Incident, err error) bool {
	return tracker.IsRetryable(err) || err != nil && !tracker.IsPermanent(err) && i.Tries < completeTries
}

// addParts adds the missing parts, and returns a sentence for each that remains left out. An error means that it is worth
// another try.
func (r *Reconciler) addParts(ctx context.Context, s *step, issue tracker.Issue) (leftOut []string, err error) {
	missing, err := r.addLabels(ctx, s, issue, withoutScopesOf(r.labelsOf(s.incident), issue.Labels, nil))
	if worthAnotherTry(s.incident, err) {
		return nil, err
	}
	if len(missing) > 0 {
		leftOut = append(leftOut, issuetext.LabelsLeftOut(missing, causeOf(err)))
	}
	assign := r.opt.Target(s.incident.Project).Assignees
	if err := r.noteAssigned(ctx, s.incident, issue, assign); err != nil {
		return nil, err
	}
	notAssigned, err := r.addAssignees(ctx, s, issue, assign)
	if err != nil {
		return nil, err
	}
	leftOut = append(leftOut, notAssigned...)
	if r.opt.DueIn > 0 && issue.Due.IsZero() {
		leftOut = append(leftOut, issuetext.DueDateLeftOut())
	}
	return leftOut, nil
}

// noteAssigned notes whom the bot is about to assign: the configuration may be another one when somebody asks who has.
func (r *Reconciler) noteAssigned(ctx context.Context, i incident.Incident, issue tracker.Issue, logins []string) error {
	add := slices.DeleteFunc(slices.Clone(logins), func(login string) bool { return isAssigned(issue.Assignees, login) })
	if len(add) == 0 {
		return nil
	}
	_, err := r.opt.State.Change(ctx, cmp.Or(i.Lead, i.ID), func(lead *incident.Incident) { lead.Escalation.AddAssigned(add...) })
	return err
}

func isAssigned(has []tracker.Account, login string) bool {
	return slices.ContainsFunc(has, func(a tracker.Account) bool { return strings.EqualFold(a.Login, login) })
}

// addAssignees assigns people beside those who are, one by one, and returns a sentence for each who is not. An error means that it is
// worth another try.
func (r *Reconciler) addAssignees(ctx context.Context, s *step, issue tracker.Issue, add []string) (notAssigned []string, err error) {
	has := issue.Assignees
	for _, login := range add {
		if isAssigned(has, login) {
			continue
		}
		logins := []string{login}
		for _, a := range has {
			logins = append(logins, a.Login)
		}
		err := r.opt.Tracker.Assign(ctx, issue.IssueRef, logins)
		switch {
		case err == nil:
			has = append(has, tracker.Account{Login: login})
		case worthAnotherTry(s.incident, err):
			return nil, err
		default:
			notAssigned = append(notAssigned, issuetext.AssigneeLeftOut(login, causeOf(err)))
		}
	}
	return notAssigned, nil
}

// addLabels adds the labels that an issue lacks, and returns those that it lacks still. Ids that do not work are asked for
// again: labels and repositories are deleted and made anew.
func (r *Reconciler) addLabels(ctx context.Context, s *step, issue tracker.Issue, names []string) (missing []string, err error) {
	missing = without(names, issue.Labels)
	for try := 0; len(missing) > 0 && try < 2; try++ {
		ids, listErr := r.labelIDs(ctx, s.cache, issue.Repo, missing)
		if len(ids) == 0 {
			return missing, listErr
		}
		names, err := r.opt.Tracker.LabelIssue(ctx, issue.IssueRef, ids)
		if err != nil {
			return missing, err
		}
		if missing = without(missing, names); listErr != nil || len(missing) == 0 {
			return missing, listErr
		}
		if err := r.forgetLabels(ctx, s.cache, issue.Repo); err != nil {
			return missing, err
		}
	}
	return missing, nil
}

// without returns the names that are not among the others.
func without(names, others []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(others, n) })
}

// withoutScopesOf leaves out the labels that would replace another one of an issue: it has at most one of each scope. Those of the bot may
// be replaced.
func withoutScopesOf(names, has, bots []string) []string {
	scope := func(label string) string { return label[:max(strings.LastIndexByte(label, '/'), 0)] }
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return scope(name) != "" && slices.ContainsFunc(has, func(h string) bool {
			return h != name && scope(h) == scope(name) && !slices.Contains(bots, h)
		})
	})
}

// causeOf returns why a part could not be added.
func causeOf(err error) issuetext.Cause {
	var te *tracker.Error
	switch {
	case err == nil:
		return issuetext.Ignored
	case !errors.As(err, &te) || te.Outcome != tracker.Refused:
		return issuetext.ServerFailed
	case te.Status == http.StatusForbidden:
		return issuetext.Forbidden
	case te.Status == 0:
		return issuetext.Ignored
	}
	return issuetext.Refused
}
