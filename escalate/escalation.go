package escalate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/fault"
)

// The escalation: steps until somebody answers, and reminders of a pause. What is due follows from the state. A step and a reminder are
// stored before anybody is told, and each part of a step is stored when it is done.

// observeAssignees adds whom people have assigned to the issues that were listed.
func (r *Reconciler) observeAssignees(o *plan.Observation, c *sweepCache) {
	if o.Escalation = r.opt.Escalation; len(o.Escalation.Steps) == 0 {
		return
	}
	o.Assignees, o.Unnoted = map[string]tracker.Account{}, map[string]bool{}
	for i := range inAll(o.Incidents) {
		for _, issue := range o.Open {
			if issue.ID == i.Issue.ID && issue.Number == i.Issue.Number {
				others, bots := r.assignees(c, issue, o.Carried(i))
				o.Assignees[i.ID], o.Unnoted[i.ID] = first(others), len(unnoted(*i, bots)) > 0
			}
		}
	}
}

// assigned returns the logins that the bot has assigned to the issue of incidents, or will.
func (r *Reconciler) assigned(carried []incident.Incident) []string {
	bots := carried[0].Escalation.Assigned
	for _, i := range carried {
		bots = slices.Concat(bots, r.opt.Target(i.Project).Assignees)
	}
	for _, s := range r.opt.Escalation.Steps {
		if carried[0].Rebuilt { // then it is not known which of them have been taken
			bots = slices.Concat(bots, s.Assign)
		}
	}
	return bots
}

// assignees returns who is assigned to an issue and not by the bot, and who by it. These are known by their accounts once they were seen there.
func (r *Reconciler) assignees(c *sweepCache, issue tracker.Issue, carried []incident.Incident) (others, bots []tracker.Account) {
	logins := r.assigned(carried)
	isBots := func(a tracker.Account) bool {
		return slices.Contains(carried[0].Escalation.AssignedIDs, a.ID) ||
			slices.ContainsFunc(logins, func(login string) bool { return strings.EqualFold(login, a.Login) })
	}
	ours, _ := c.identity()
	for _, a := range issue.Assignees {
		switch {
		case ours.has(a):
		case isBots(a):
			bots = append(bots, a)
		default:
			others = append(others, a)
		}
	}
	return others, bots
}

// first returns the first of the accounts, zero if there is none.
func first(accounts []tracker.Account) tracker.Account {
	if len(accounts) == 0 {
		return tracker.Account{}
	}
	return accounts[0]
}

// unnoted returns those of the accounts that the incident does not know yet.
func unnoted(i incident.Incident, accounts []tracker.Account) []tracker.Account {
	return slices.DeleteFunc(slices.Clone(accounts), func(a tracker.Account) bool { return slices.Contains(i.Escalation.AssignedIDs, a.ID) })
}

// noteAssignee stores whom people have assigned, as the issue is now.
func (r *Reconciler) noteAssignee(ctx context.Context, s *step) (progress, error) {
	issue, is, err := r.readIssue(ctx, s.cache, s.incident)
	switch {
	case err != nil:
		return later, r.failed(ctx, s.incident, err)
	case is != plan.IssueOpen:
		return later, nil
	}
	_, err = r.saveAssignee(ctx, s, issue)
	return changed, err
}

// saveAssignee reports whether somebody is assigned, if that was not known.
func (r *Reconciler) saveAssignee(ctx context.Context, s *step, issue tracker.Issue) (isNew bool, err error) {
	others, bots := r.assignees(s.cache, issue, s.carried)
	if add := unnoted(s.incident, bots); len(add) > 0 {
		if s.incident, err = r.opt.State.Change(ctx, s.incident.ID, func(i *incident.Incident) { i.Escalation.AddAccounts(add...) }); err != nil {
			return false, err
		}
	}
	by := first(others)
	was := s.incident.Escalation.Assignee
	if was == nil && by.ID == 0 || was != nil && was.By.ID == by.ID {
		return false, nil
	}
	if by.ID != 0 {
		if key, err := r.assignedBefore(ctx, s, by); key != "" || err != nil {
			return key != "", err
		}
	}
	_, err = r.opt.State.Change(ctx, s.incident.ID, func(i *incident.Incident) {
		if i.Escalation.Assignee = nil; by.ID != 0 {
			i.Escalation.Assignee = &incident.Ack{By: by, At: r.opt.Now().UTC()}
		}
	})
	fault.Point(ctx, "assignee-noted")
	return by.ID != 0, err
}

// assignedBefore returns the key of a step that has assigned somebody and that the state does not know, because it is a copy from before.
// The issue has its comment. From then on the state knows that it is the bot that has assigned them.
func (r *Reconciler) assignedBefore(ctx context.Context, s *step, by tracker.Account) (key string, err error) {
	var keys []string
	for _, of := range r.opt.Escalation.Steps {
		if !slices.ContainsFunc(of.Assign, func(login string) bool { return strings.EqualFold(login, by.Login) }) {
			continue
		}
		for _, i := range s.carried {
			if last := s.incident.Escalation.Step; last == nil || last.Of != i.ID || last.After < of.After {
				keys = append(keys, incident.StepKey(i.ID, of.After))
			}
		}
	}
	if len(keys) == 0 {
		return "", nil
	}
	if _, key, err = r.findOwnOf(ctx, s.cache, s.incident.Issue, keys, time.Time{}); key == "" || err != nil {
		return "", err
	}
	_, err = r.opt.State.Change(ctx, s.incident.ID, func(i *incident.Incident) {
		i.Escalation.AddAssigned(by.Login)
		i.Escalation.AddAccounts(by)
	})
	if err == nil {
		err = r.saveComment(ctx, s.incident.ID, key, r.newComment(true))
	}
	return key, err
}

// escalate begins the step that is due, or goes on with the last one. The issue is read first: somebody may be assigned by now.
func (r *Reconciler) escalate(ctx context.Context, s *step) (progress, error) {
	issue, is, err := r.readIssue(ctx, s.cache, s.incident)
	switch {
	case err != nil:
		return later, r.failed(ctx, s.incident, err)
	case is != plan.IssueOpen:
		return later, nil // a sweep looks who has closed it
	}
	if answered, err := r.saveAssignee(ctx, s, issue); answered || err != nil {
		return later, err
	}
	waits := false
	s.incident, err = r.opt.State.Change(ctx, s.incident.ID, func(i *incident.Incident) {
		now := r.opt.Now()
		if waits = plan.AwaitsAnswer(asNow(s.carried, *i), now); !waits {
			return // somebody has answered meanwhile
		}
		if due, ok := r.opt.Escalation.Due(asNow(s.carried, *i), now); ok {
			i.Escalation.Begin(incident.StepBegun{
				Of: due.Of.ID, After: due.After, Number: due.Number, Begun: now.UTC(), Mention: due.Mention, Assign: due.Assign, Labels: due.Labels,
			}, due.Webhook)
		}
		i.WaitFrom(now, 2*r.opt.Timeout)
	})
	if err != nil || !waits || s.incident.Escalation.Step == nil {
		return later, err
	}
	fault.Point(ctx, "step-begun")
	return r.finishStep(ctx, s, issue)
}

// asNow returns the incidents that an issue carries, with the one that leads as it is now.
func asNow(carried []incident.Incident, lead incident.Incident) []incident.Incident {
	return append([]incident.Incident{lead}, carried[1:]...)
}

// stepParts carries out the parts of a step. What could not be done and is not worth another try is said in problems.
var stepParts = map[incident.StepPart]func(*Reconciler, context.Context, *step, tracker.Issue) (problems []string, p progress, err error){
	incident.CommentPart: (*Reconciler).stepComment,
	incident.LabelsPart:  (*Reconciler).stepLabels,
	incident.AssignPart:  (*Reconciler).stepAssign,
}

// finishStep does what is left of a step. A part that has to wait keeps no other one waiting.
func (r *Reconciler) finishStep(ctx context.Context, s *step, issue tracker.Issue) (progress, error) {
	var errs []error
	begun := *s.incident.Escalation.Step
	failing := false
	for _, part := range begun.Left {
		problems, p, err := stepParts[part](r, ctx, s, issue)
		fault.Point(ctx, "step-part")
		if err != nil || p != complete {
			failing = failing || err != nil && tracker.OutcomeOf(err) != tracker.Refused
			errs = append(errs, err)
			continue
		}
		if failing && len(problems) > 0 { // what made the part before fail may have looked like a refusal of this one
			continue
		}
		for _, why := range problems {
			r.opt.Log.Warn("a step of the escalation is not complete", "incident", s.incident.Name(), "issue", issue.String(), "step", begun.Number, "why", why)
		}
		if s.incident, err = r.opt.State.Change(context.WithoutCancel(ctx), s.incident.ID, func(i *incident.Incident) {
			i.Escalation.EndPart(part, problems)
		}); err != nil {
			return later, err
		}
	}
	if len(errs) > 0 { // the ones that wait for no failure are nil
		return r.deferOrFail(ctx, s.incident, later, errors.Join(errs...))
	}
	r.opt.Log.Info("step of the escalation taken", "project", s.incident.Project, "incident", s.incident.Name(), "issue", issue.String(), "step", begun.Number)
	return complete, r.saveDone(ctx, s.incident, func(*incident.Incident) {})
}

// stepData collects what a comment says about those of the incidents in its issue that are meant. It names the one that the comment was begun
// for, or the one that has been open for the longest if that one is no longer meant.
func (r *Reconciler) stepData(s *step, of string, mention []string, isMeant func(incident.Incident) bool) issuetext.StepData {
	named, others := plan.Named(s.carried, of, isMeant)
	d := issuetext.StepData{Of: named, Others: others, Resume: r.HowToResume(named.Project), Mention: mention, Ack: named.Ack}
	if by := s.incident.Escalation.Assignee; d.Ack == nil {
		d.Ack = by
	}
	return d
}

func (r *Reconciler) stepComment(ctx context.Context, s *step, _ tracker.Issue) ([]string, progress, error) {
	begun := *s.incident.Escalation.Step
	d := r.stepData(s, begun.Of, begun.Mention, plan.IsUnanswered)
	d.Assigned = len(begun.Assign) > 0 || len(r.assigned(s.carried)) > 0
	body := issuetext.StepComment(begun.Key(), d, begun)
	p, err := r.commentOnce(ctx, s, s.incident.Issue, begun.Key(), body)
	if p != complete || err != nil {
		return nil, p, err
	}
	return r.refusal(ctx, s, begun.Key())
}

// refusal returns why the server has refused a comment, if it has.
func (r *Reconciler) refusal(ctx context.Context, s *step, key string) ([]string, progress, error) {
	found, err := r.opt.State.Incidents(ctx, s.incident.ID)
	if err != nil || len(found) == 0 || found[0].Comments[key].Refused == "" {
		return nil, complete, err
	}
	return []string{"Gitea refused the comment, which is given up: " + found[0].Comments[key].Refused}, complete, nil
}

func (r *Reconciler) stepLabels(ctx context.Context, s *step, issue tracker.Issue) ([]string, progress, error) {
	var bots []string
	for _, i := range s.carried {
		bots = append(bots, r.opt.Target(i.Project).Labels...)
	}
	for _, other := range r.opt.Escalation.Steps {
		bots = append(bots, other.Labels...)
	}
	missing, err := r.addLabels(ctx, s, issue, withoutScopesOf(s.incident.Escalation.Step.Labels, issue.Labels, bots))
	if worthAnotherTry(s.incident, err) {
		return nil, later, err
	}
	if len(missing) > 0 {
		return []string{issuetext.LabelsLeftOut(missing, causeOf(err))}, complete, nil
	}
	return nil, complete, nil
}

func (r *Reconciler) stepAssign(ctx context.Context, s *step, issue tracker.Issue) ([]string, progress, error) {
	notAssigned, err := r.addAssignees(ctx, s, issue, s.incident.Escalation.Step.Assign)
	if err != nil {
		return nil, later, err
	}
	return notAssigned, complete, nil
}

// remind comments that the project is still paused.
func (r *Reconciler) remind(ctx context.Context, s *step) (progress, error) {
	_, is, err := r.readIssue(ctx, s.cache, s.incident)
	switch {
	case err != nil:
		return later, r.failed(ctx, s.incident, err)
	case is != plan.IssueOpen:
		return later, nil
	}
	snoozed := false
	s.incident, err = r.opt.State.Change(ctx, s.incident.ID, func(i *incident.Incident) {
		if snoozed = !i.Escalation.SnoozedUntil(r.opt.Now()).IsZero(); snoozed {
			return // meanwhile
		}
		m, ok := r.opt.Escalation.DueReminder(asNow(s.carried, *i), r.opt.Now().UTC())
		if !ok {
			return
		}
		i.Escalation.Reminder = &m
		if _, known := i.Comments[m.Key()]; !known {
			if i.Comments == nil {
				i.Comments = map[string]incident.Comment{}
			}
			i.Comments[m.Key()] = incident.Comment{}
		}
	})
	if err != nil || snoozed || s.incident.Escalation.Reminder == nil {
		return later, err
	}
	fault.Point(ctx, "reminder-begun")
	m := *s.incident.Escalation.Reminder
	body := issuetext.ReminderComment(m.Key(), r.stepData(s, m.Of, r.opt.Mentions, incident.Incident.IsOpen), m)
	p, err := r.commentOnce(ctx, s, s.incident.Issue, m.Key(), body)
	return r.deferOrFail(ctx, s.incident, p, err)
}

// NextStep returns the number of the step that comes next for the incidents that an issue carries, the one that leads first, and when; 0
// if none does.
func (r *Reconciler) NextStep(carried []incident.Incident) (number int, at time.Time) {
	next, at, ok := r.opt.Escalation.Next(carried)
	if !ok {
		return 0, time.Time{}
	}
	return next.Number, at
}

// Unanswered reports whether nobody has answered for one of them.
func (r *Reconciler) Unanswered(carried []incident.Incident) bool {
	_, waits := plan.Unanswered(carried)
	return waits
}
