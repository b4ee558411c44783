package escalate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/markdown"
)

// orderWait is how long an order waits for who else is at the project's issue or flag.
const orderWait = 5 * time.Second

// obeyAll carries out the orders that are outstanding. A crash leaves them so, and each step knows whether it was begun
// and what it was about; so an order is carried out once, whatever happens in between.
func (r *Reconciler) obeyAll(ctx context.Context, p *pass) ([]plan.Action, error) {
	all, err := r.State.PendingCommands(ctx, r.Settings.URL, "")
	if err == nil {
		all, err = r.follow(ctx, all)
	}
	if err != nil {
		return nil, err
	}
	var projects []string
	for _, o := range all {
		if l, ok := p.list(o.Issue.Repo); ok && l.err == nil && !slices.Contains(projects, o.Project) {
			projects = append(projects, o.Project)
		}
	}
	var done []plan.Action
	var errs []error
	for _, project := range projects {
		some, err := r.obeyIn(ctx, project, p)
		done = append(done, some...)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", project, err))
		}
	}
	return done, errors.Join(errs...)
}

// follow gives orders the place of their issues that the incidents know: the repository has another name since, see
// relocate. The issue's id tells that it is the same.
func (r *Reconciler) follow(ctx context.Context, orders []incident.Command) ([]incident.Command, error) {
	for n, o := range orders {
		found, err := r.State.Incidents(ctx, o.Incident)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 || found[0].Issue.ID != o.Issue.ID || found[0].Issue.Repo == o.Issue.Repo {
			continue
		}
		if orders[n], err = r.State.ChangeCommand(ctx, o, nil, func(o *incident.Command) { o.Issue.Repo = found[0].Issue.Repo }); err != nil {
			return nil, err
		}
	}
	return orders, nil
}

// obeyIn carries out a project's orders, in their order, under the lock of its issue.
func (r *Reconciler) obeyIn(ctx context.Context, project string, p *pass) ([]plan.Action, error) {
	ctx, release, err := r.State.Claim(ctx, "issue/"+project, orderWait)
	if err != nil {
		return nil, err
	}
	defer release()
	orders, err := r.State.PendingCommands(ctx, r.Settings.URL, project) // again: another process may have been at them
	if err != nil {
		return nil, err
	}
	var done []plan.Action
	var errs []error
	for _, o := range orders {
		switch err := r.obey(ctx, o, p); {
		case err == nil:
			done = append(done, obeyAction(o)...)
		case !errors.Is(err, errLater):
			errs = append(errs, err)
		}
	}
	return done, errors.Join(errs...)
}

func (r *Reconciler) obey(ctx context.Context, o incident.Command, p *pass) error {
	found, err := r.State.Incidents(ctx, o.Incident)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return r.orderDone(ctx, o)
	}
	i := found[0]
	// The issue is read before anything is done or said: it must still be ours.
	other := i
	other.Issue = o.Issue
	issue, s, err := r.read(ctx, p, other)
	if err != nil {
		return err
	}
	if s == plan.IssueLost {
		r.Log.Warn("order in an issue that is gone or no longer the bot's, it is left alone", "issue", o.Issue.String(), "by", o.By.Login)
		return r.orderDone(ctx, o)
	}
	switch o.Refused {
	case incident.RefusedNotOperator:
		key := incident.NotOperatorKey(i, o.By)
		err = r.say(ctx, i, o.Issue, key, issuetext.NotOperator(key, o.By, p.ops.logins()), p)
	case incident.RefusedEdited:
		key := incident.CommandKey(o)
		err = r.say(ctx, i, o.Issue, key, issuetext.Edited(key, o.By), p)
	default:
		if o, err = r.carryAll(ctx, o, i, issue); err == nil {
			err = r.answer(ctx, o, p)
		}
	}
	if err != nil {
		return err
	}
	return r.orderDone(ctx, o)
}

func (r *Reconciler) orderDone(ctx context.Context, o incident.Command) error {
	_, err := r.State.ChangeCommand(context.WithoutCancel(ctx), o, nil, func(o *incident.Command) { o.Done = true })
	return err
}

// carryAll carries out the steps that have no answer yet.
func (r *Reconciler) carryAll(ctx context.Context, o incident.Command, i incident.Incident, issue tracker.Issue) (incident.Command, error) {
	for n := range o.Steps {
		if o.Steps[n].Answer != "" {
			continue
		}
		var answer string
		var ended bool
		var err error
		switch c := o.Steps[n].Line; c.Verb {
		case incident.ResumeVerb:
			answer, ended, err = r.resumeOrder(ctx, &o, n, i)
		case incident.PauseVerb:
			answer, err = r.pauseOrder(ctx, &o, n, i)
		case incident.StatusVerb:
			answer = r.statusAnswer(ctx, o.Project)
		case incident.AckVerb:
			answer, err = r.ackOrder(ctx, &o, n, i, issue)
		default:
			answer = issuetext.UnknownCommand(c)
		}
		if err != nil {
			return o, err
		}
		r.step("order-carried")
		if o, err = r.State.ChangeCommand(context.WithoutCancel(ctx), o, nil, func(o *incident.Command) {
			o.Steps[n].Answer, o.Steps[n].Ended = answer, ended && o.Issue.Number == i.Issue.Number && o.Issue.Repo == i.Issue.Repo
		}); err != nil {
			return o, err
		}
		r.Log.Info("order carried out", "project", o.Project, "command", string(o.Steps[n].Line.Verb), "by", o.By.Login,
			"user_id", o.By.ID, "issue", o.Issue.String(), "comment", o.Comment)
	}
	return o, nil
}

// answer tells what was done. A resume is answered by the comment that ends the incident.
func (r *Reconciler) answer(ctx context.Context, o incident.Command, p *pass) error {
	r.step("order-answered-next")
	found, err := r.State.Incidents(ctx, o.Incident)
	if err != nil || len(found) == 0 {
		return err
	}
	i := found[0]
	if body := issuetext.CommandAnswer(incident.CommandKey(o), o); body != "" {
		if err := r.say(ctx, i, o.Issue, incident.CommandKey(o), body, p); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(o.Steps, func(s incident.Step) bool { return s.Ended }) {
		return r.say(ctx, i, o.Issue, incident.ResumedKey(i), issuetext.ResumedComment(incident.ResumedKey(i), i), p)
	}
	return nil
}

// begin notes that a step may have its effect from now on, and what it is about.
func (r *Reconciler) begin(ctx context.Context, o *incident.Command, n int, target string, hold *incident.Hold) error {
	changed, err := r.State.ChangeCommand(ctx, *o, hold, func(o *incident.Command) { o.Steps[n].Begun, o.Steps[n].Target = true, target })
	if err == nil {
		*o = changed
	}
	r.step("order-begun")
	return err
}

// openIncident is the project's open incident, nil where it has none.
func (r *Reconciler) openIncident(ctx context.Context, project string) (*incident.Incident, error) {
	list, err := r.State.Unsettled(ctx, project)
	for _, i := range list {
		if i.IsOpen() {
			return &i, err
		}
	}
	return nil, err
}

func holdTarget(h incident.Hold) string { return "hold/" + strconv.FormatInt(h.Since.UnixMilli(), 10) }

// resumeOrder removes the pause flag and ends the incident of the issue, or a person's hold. What it was begun on is kept,
// so that a repetition after a crash can't end a later pause.
func (r *Reconciler) resumeOrder(ctx context.Context, o *incident.Command, n int, i incident.Incident) (answer string, ended bool, err error) {
	project := markdown.CodeSpan(o.Project)
	if o.Steps[n].Target == "" { // what is there is noted first; a removed flag is a resume by itself
		if err := r.settleLocal(ctx, o.Project); err != nil {
			return issuetext.Failed(incident.ResumeVerb, project+" is paused as before", err), false, nil
		}
	}
	unlock, err := r.State.LockHere(ctx, "flag/"+o.Project, orderWait)
	if err != nil {
		return "", false, err
	}
	defer unlock()
	flag := r.Look(o.Project)
	if flag.State == incident.FlagUnknown {
		return issuetext.Failed(incident.ResumeVerb, "whether "+project+" is paused can't be told", flag.Err), false, nil
	}
	open, err := r.openIncident(ctx, o.Project)
	if err != nil {
		return "", false, err
	}
	hold, err := r.State.Hold(ctx, o.Project)
	if err != nil {
		return "", false, err
	}
	target := ""
	switch {
	case open != nil && open.ID == i.ID:
		target = i.ID
	case open == nil && hold != nil:
		target = holdTarget(*hold)
	}
	if begun := o.Steps[n].Target; begun != "" && begun != target {
		return project + " is resumed.", begun == i.ID, nil // it ended in the meantime, by this very step or without it
	}
	switch {
	case target != "":
	case open != nil:
		return issuetext.LaterIncident(o.Project, i, *open), false, nil
	case flag.State == incident.FlagThere:
		return "", false, errLater // its flag tells of an incident that is to be rebuilt first
	default:
		return project + " was not paused.", false, nil
	}
	if err := r.begin(ctx, o, n, target, nil); err != nil {
		return "", false, err
	}
	if _, err := r.Pause.Remove(o.Project); err != nil {
		return issuetext.Failed(incident.ResumeVerb, project+" is still paused", err), false, nil
	}
	r.step("order-flag-removed")
	how := fmt.Sprintf("resumed by @%s's /adf resume in the issue", o.By.Login)
	if why := o.Steps[n].Line.Reason; why != "" {
		how += ": " + why
	}
	id := target
	if target != i.ID {
		id = ""
	}
	if _, err := r.State.Resume(ctx, o.Project, id, how, r.Now()); err != nil {
		return "", false, err
	}
	r.step("order-resumed")
	r.Log.Info("project resumed", "project", o.Project, "by", o.By.Login, "how", how)
	return project + " is resumed.", target == i.ID, nil
}

// settleLocal brings the state up to date with the flag, except that a flag which can't be written is no obstacle.
func (r *Reconciler) settleLocal(ctx context.Context, project string) error {
	flag, _, err := r.local(ctx, project, nil)
	var noFlag *FlagWriteError
	if err != nil && !errors.As(err, &noFlag) {
		return err
	}
	return flag.Err
}

// pauseOrder holds the project. The hold and the mark that this step made it are one transaction; a flag that is missing
// after that is written by the sweep.
func (r *Reconciler) pauseOrder(ctx context.Context, o *incident.Command, n int, i incident.Incident) (string, error) {
	project := markdown.CodeSpan(o.Project)
	if o.Steps[n].Begun {
		return issuetext.Paused(o.Project, ""), nil
	}
	if err := r.settleLocal(ctx, o.Project); err != nil {
		return issuetext.Failed(incident.PauseVerb, project+" is not paused by this", err), nil
	}
	unlock, err := r.State.LockHere(ctx, "flag/"+o.Project, orderWait)
	if err != nil {
		return "", err
	}
	defer unlock()
	flag := r.Look(o.Project)
	open, err := r.openIncident(ctx, o.Project)
	if err != nil {
		return "", err
	}
	hold, err := r.State.Hold(ctx, o.Project)
	if err != nil {
		return "", err
	}
	switch {
	case flag.State == incident.FlagUnknown:
		return issuetext.Failed(incident.PauseVerb, project+" is not paused by this", flag.Err), nil
	case open != nil:
		return project + " is paused already, by " + markdown.CodeSpan(open.Name()) + ".", nil
	case flag.State == incident.FlagThere || hold != nil:
		return project + " is paused already.", nil
	}
	h := incident.Hold{Project: o.Project, Since: r.Now()}
	h.Note = issuetext.CommandNote(*o, o.Steps[n].Line, h.Since)
	if err := r.begin(ctx, o, n, holdTarget(h), &h); err != nil {
		return "", err
	}
	if _, err := r.Pause.Write(o.Project, h.Note); err != nil {
		return issuetext.Paused(o.Project, err.Error()), nil
	}
	r.step("order-flag-written")
	h.FlagWritten = r.Now()
	r.Log.Info("project paused by a person", "project", o.Project, "by", o.By.Login, "reason", o.Steps[n].Line.Reason)
	return issuetext.Paused(o.Project, ""), r.State.SetHold(ctx, h)
}

// ackOrder notes who takes the incident, and assigns them. Assigning twice does no harm, so it needs no mark of its own.
func (r *Reconciler) ackOrder(ctx context.Context, o *incident.Command, n int, i incident.Incident, issue tracker.Issue) (string, error) {
	if !i.IsOpen() {
		return "Incident " + markdown.CodeSpan(i.Name()) + " is over: there is nothing to take.", nil
	}
	if !o.Steps[n].Begun {
		if _, err := r.State.Change(ctx, i.ID, func(i *incident.Incident) { i.Ack = &incident.Ack{By: o.By, At: r.Now()} }); err != nil {
			return "", err
		}
		if err := r.begin(ctx, o, n, i.ID, nil); err != nil {
			return "", err
		}
	}
	answer := markdown.CodeSpan(o.By.Login) + " takes incident " + markdown.CodeSpan(i.Name()) + "."
	if slices.ContainsFunc(issue.Assignees, func(a tracker.Account) bool { return a.ID == o.By.ID }) {
		return answer, nil
	}
	logins := []string{o.By.Login}
	for _, a := range issue.Assignees {
		logins = append(logins, a.Login)
	}
	switch err := r.Gitea.Assign(ctx, o.Issue, logins); {
	case err == nil:
		return answer, nil
	case tracker.OutcomeOf(err) == tracker.Refused && !tracker.IsStatus(err, 429) && !tracker.IsStatus(err, 401):
		return answer + " Gitea did not assign them: " + issuetext.ErrorText(err.Error()), nil
	default:
		return "", err
	}
}

// statusAnswer is what status tells of the project.
func (r *Reconciler) statusAnswer(ctx context.Context, project string) string {
	if r.Describe == nil {
		return markdown.CodeSpan(project) + ": see `adfbot status` on the bot's machine."
	}
	s, err := r.Describe(ctx, project)
	if err != nil {
		return issuetext.Failed(incident.StatusVerb, "the state can't be read", err)
	}
	return s
}
