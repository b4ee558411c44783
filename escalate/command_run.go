package escalate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/markdown"
)

// commandWait is how long a command waits for who else works on the project's issue.
const commandWait = 5 * time.Second

// runCommands runs the pending commands. A crash leaves them pending, and each step knows whether it was begun and what it
// was about; so a command is run once, whatever happens in between.
func (r *Reconciler) runCommands(ctx context.Context, c *sweepCache) ([]plan.Action, error) {
	pending, err := r.opt.Commands.State.PendingCommands(ctx, r.opt.Server, "")
	if err == nil {
		pending, err = r.followIssues(ctx, pending)
	}
	if err != nil {
		return nil, err
	}
	var projects []string
	for _, cmd := range pending {
		if l, ok := c.open.get(cmd.Issue.Repo); ok && l.err == nil && !slices.Contains(projects, cmd.Project) {
			projects = append(projects, cmd.Project)
		}
	}
	var done []plan.Action
	var errs []error
	for _, project := range projects {
		some, err := r.runProjectCommands(ctx, c, project)
		done = append(done, some...)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", project, err))
		}
	}
	return done, errors.Join(errs...)
}

// begunResumes returns the projects with a resume command that was begun and not finished, because its process died: whoever
// finishes it also says who gave it, which a removed flag alone does not.
func (r *Reconciler) begunResumes(ctx context.Context) (map[string]bool, error) {
	projects := map[string]bool{}
	if r.opt.Commands.State == nil || len(r.opt.Commands.Operators) == 0 {
		return projects, nil
	}
	pending, err := r.opt.Commands.State.PendingCommands(ctx, r.opt.Server, "")
	for _, cmd := range pending {
		if !slices.ContainsFunc(cmd.Steps, func(s incident.Step) bool {
			return s.Line.Verb == incident.ResumeVerb && s.Begun && s.Answer == ""
		}) {
			continue
		}
		projects[cmd.Project] = true
		carried, err := r.carriedBy(ctx, cmd.Incident)
		if err != nil {
			return nil, err
		}
		for _, m := range carried {
			projects[m.Project] = true
		}
	}
	return projects, err
}

// followIssues gives commands the place of their issues that the incidents know, where the repository was renamed, see
// relocate. The issue's id tells that it is the same. A command in the repository that is configured is where it was read; its incident
// may have ended before the renaming.
func (r *Reconciler) followIssues(ctx context.Context, commands []incident.Command) ([]incident.Command, error) {
	for n, cmd := range commands {
		if cmd.Issue.Repo == r.opt.Target(cmd.Project).Repo {
			continue
		}
		found, err := r.opt.State.Incidents(ctx, cmd.Incident)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 || found[0].Issue.ID != cmd.Issue.ID || found[0].Issue.Repo == cmd.Issue.Repo {
			continue
		}
		if commands[n], err = r.opt.Commands.State.ChangeCommand(ctx, cmd, nil, func(cmd *incident.Command) error {
			cmd.Issue.Repo = found[0].Issue.Repo
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return commands, nil
}

// runProjectCommands runs a project's commands, in their order, under the claim on its issue.
func (r *Reconciler) runProjectCommands(ctx context.Context, c *sweepCache, project string) ([]plan.Action, error) {
	ctx, release, err := r.opt.State.Claim(ctx, "issue/"+project, commandWait)
	if err != nil {
		return nil, err
	}
	defer release()
	commands, err := r.opt.Commands.State.PendingCommands(ctx, r.opt.Server, project) // again: another process may have run some
	if err != nil {
		return nil, err
	}
	var done []plan.Action
	var errs []error
	for _, cmd := range commands {
		switch p, err := r.runCommand(ctx, c, cmd); {
		case err != nil:
			errs = append(errs, err)
		case p == complete:
			done = append(done, commandAction(cmd)...)
		}
	}
	return done, errors.Join(errs...)
}

// commandRun is one command while it is run.
type commandRun struct {
	*Reconciler
	cache    *sweepCache
	cmd      incident.Command
	incident incident.Incident // of the issue in which the command was given, or one of the others that it carries
	project  string            // of the incident
	issue    tracker.Issue
	known    []string // see toldBefore
}

// runCommand carries out a command's steps and answers it. The issue is read before anything is done or said: it must still
// be ours.
func (r *Reconciler) runCommand(ctx context.Context, c *sweepCache, cmd incident.Command) (progress, error) {
	found, err := r.opt.State.Incidents(ctx, cmd.Incident)
	if err != nil {
		return later, err
	}
	if len(found) == 0 {
		return r.endCommand(ctx, cmd)
	}
	run := &commandRun{Reconciler: r, cache: c, cmd: cmd, incident: found[0], project: cmd.Project}
	there := run.incident
	there.Issue = cmd.Issue
	var is plan.IssueState
	if run.issue, is, err = r.readIssue(ctx, c, there); err != nil {
		return later, err
	}
	if is == plan.IssueLost {
		r.opt.Log.Warn("command in an issue that is gone or no longer the bot's, it is left alone", "issue", cmd.Issue.String(), "by", cmd.By.Login)
		return r.endCommand(ctx, cmd)
	}
	p, err := run.answer(ctx)
	if p != complete || err != nil {
		return p, err
	}
	return r.endCommand(ctx, cmd)
}

func (r *Reconciler) endCommand(ctx context.Context, cmd incident.Command) (progress, error) {
	_, err := r.opt.Commands.State.ChangeCommand(context.WithoutCancel(ctx), cmd, nil, func(cmd *incident.Command) error {
		cmd.Done = true
		return nil
	})
	return complete, err
}

// answer does what the command says, or refuses it, and writes the answer.
func (run *commandRun) answer(ctx context.Context) (progress, error) {
	by := run.cmd.By
	switch run.cmd.Refused {
	case incident.RefusedNotOperator:
		key := incident.NotOperatorKey(run.incident, by)
		return run.comment(ctx, key, issuetext.NotOperator(key, by, run.cache.operators.logins()))
	case incident.RefusedEdited:
		if may, err := run.isOperator(ctx, run.cache.operators, by); err != nil {
			return later, err
		} else if !may { // an event told of the edit, and not whose comment it is
			key := incident.NotOperatorKey(run.incident, by)
			return run.comment(ctx, key, issuetext.NotOperator(key, by, run.cache.operators.logins()))
		}
		key := incident.CommandKey(run.cmd)
		return run.comment(ctx, key, issuetext.Edited(key, by))
	case incident.RefusedLate:
		key := incident.CommandKey(run.cmd)
		return run.comment(ctx, key, issuetext.ReadLate(key, by))
	}
	if p, err := run.steps(ctx); p != complete || err != nil {
		return p, err
	}
	fault.Point(ctx, "order-answered-next")
	found, err := run.opt.State.Incidents(ctx, run.cmd.Incident)
	if err != nil || len(found) == 0 {
		return complete, err
	}
	run.incident = found[0]
	key := incident.CommandKey(run.cmd)
	if body := issuetext.CommandAnswer(key, run.cmd, run.opt.Now()); body != "" {
		if p, err := run.comment(ctx, key, body); p != complete || err != nil {
			return p, err
		}
	}
	if !slices.ContainsFunc(run.cmd.Steps, func(s incident.Step) bool { return s.Ended }) {
		return complete, nil
	}
	// A resume is answered by the comment that ends the incident.
	key = incident.ResumedKey(run.incident)
	return run.comment(ctx, key, issuetext.ResumedComment(key, run.incident))
}

func (run *commandRun) comment(ctx context.Context, key, body string) (progress, error) {
	return run.commentOnce(ctx, &step{incident: run.incident, cache: run.cache}, run.cmd.Issue, key, body)
}

// result is what a step of a command did.
type result struct {
	answer string // Markdown
	ended  bool   // it ended the incident of the issue
	later  bool   // it is too early; then there is no answer
}

// verbs carries out the steps of commands. An error leaves the step pending.
var verbs = map[incident.Verb]func(*commandRun, context.Context, int) (result, error){
	incident.ResumeVerb: (*commandRun).resumeStep,
	incident.PauseVerb:  (*commandRun).pauseStep,
	incident.StatusVerb: (*commandRun).statusStep,
	incident.AckVerb:    (*commandRun).ackStep,
	incident.SnoozeVerb: (*commandRun).snoozeStep,
	incident.NoVerb:     (*commandRun).unknownStep,
}

// steps carries out the steps that have no answer yet.
func (run *commandRun) steps(ctx context.Context) (progress, error) {
	for n, s := range run.cmd.Steps {
		if s.Answer != "" {
			continue
		}
		res, err := run.carryOut(ctx, n)
		if errors.Is(err, errEdited) {
			return later, nil // the next sweep says so
		}
		if err != nil || res.later {
			return later, err
		}
		fault.Point(ctx, "order-carried")
		at := run.cmd.Issue
		ended := res.ended && at.Number == run.incident.Issue.Number && at.Repo == run.incident.Issue.Repo
		err = run.saveStep(context.WithoutCancel(ctx), n, nil, func(s *incident.Step) {
			s.Answer, s.Ended, s.Answered = res.answer, ended, run.opt.Now().UTC()
		})
		if errors.Is(err, errEdited) {
			return later, nil
		}
		if err != nil {
			return later, err
		}
		what := "command carried out"
		if s.Line.Verb == "" { // there is no such command
			what = "command answered"
		}
		run.opt.Log.Info(what, "project", run.cmd.Project, "command", string(s.Line.Verb), "by", run.cmd.By.Login,
			"user_id", run.cmd.By.ID, "issue", at.String(), "comment", run.cmd.Comment)
	}
	return complete, nil
}

// errEdited means that the comment was edited since its command was read, and this step is not to be run any more.
var errEdited = errors.New("the comment was edited")

// saveStep changes a step, and stores a hold in the same transaction where it is not nil.
func (run *commandRun) saveStep(ctx context.Context, n int, hold *incident.Hold, change func(*incident.Step)) error {
	cmd, err := run.opt.Commands.State.ChangeCommand(ctx, run.cmd, hold, func(cmd *incident.Command) error {
		if n >= len(cmd.Steps) || cmd.Steps[n].Answer != "" {
			return errEdited
		}
		change(&cmd.Steps[n])
		return nil
	})
	if err == nil {
		run.cmd = cmd
	}
	return err
}

// begin saves that a step may have its effect from now on, and what it is about, so that a repetition after a crash cannot
// hit anything later.
func (run *commandRun) begin(ctx context.Context, n int, target string, hold *incident.Hold) error {
	err := run.saveStep(ctx, n, hold, func(s *incident.Step) { s.Begun, s.Target = true, target })
	fault.Point(ctx, "order-begun")
	return err
}

// holdTarget identifies a hold as the target of a step.
func holdTarget(h incident.Hold) string {
	return "hold/" + strconv.FormatInt(h.Since.UnixMilli(), 10)
}

// target is what a resume given in this issue may end: the issue's incident, or a hold; "" for none.
func (run *commandRun) target(p pauseState) string {
	switch {
	case run.isBefore(p.Hold): // the command cannot mean it
		return ""
	case p.Pause().ID == run.incident.ID:
		return run.incident.ID
	case p.Open() == nil && p.Hold != nil:
		return holdTarget(*p.Hold)
	}
	return ""
}

// isBefore reports whether the command was written before a hold was made, as far as the clocks of two machines tell. One that was written
// after the answer that says so is not.
func (run *commandRun) isBefore(h *incident.Hold) bool {
	return h != nil && h.After(run.cmd.At) && !slices.Contains(run.known, h.ID)
}

// isBeforeResume reports likewise whether it was written before somebody resumed the project on the machine.
func (run *commandRun) isBeforeResume() bool {
	return incident.IsAfter(run.incident.ResumedHere, run.cmd.At) && !slices.Contains(run.known, incident.ResumeName(run.incident))
}

// refuse saves that the command is refused, because it is from before something.
func (run *commandRun) refuse(ctx context.Context, what string) error {
	return run.saveComment(ctx, run.incident.ID, incident.LateKey(run.cmd, what), incident.Comment{Attempted: run.opt.Now(), Done: true})
}

// toldBefore returns the holds and resumes of which an answer told before the command was written. The ids of comments have the order in
// which these were written.
func (run *commandRun) toldBefore(ctx context.Context) (told []string, err error) {
	for key := range run.incident.Comments {
		refused, what, ok := incident.ParseLateKey(incident.Incident{ID: run.cmd.Incident}, key)
		if !ok || refused >= run.cmd.Comment {
			continue
		}
		answer := incident.CommandKey(incident.Command{Incident: run.cmd.Incident, Comment: refused})
		m, found, err := run.findOwnComment(ctx, run.cache, run.cmd.Issue, answer, time.Time{})
		if err != nil {
			return nil, err
		}
		if found && m.ID < run.cmd.Comment {
			told = append(told, what)
		}
	}
	return told, nil
}

// resumeStep removes the pause flag and ends the incident of the issue, or a person's hold.
func (run *commandRun) resumeStep(ctx context.Context, n int) (result, error) {
	s, project := run.cmd.Steps[n], markdown.CodeSpan(run.project)
	if s.Target == "" { // what is there is noticed first; a removed flag is a resume by itself
		if err := run.settle(ctx, run.project); err != nil {
			return result{answer: issuetext.Failed(incident.ResumeVerb, project+" is paused as before", err)}, nil
		}
	}
	var err error
	if run.known, err = run.toldBefore(ctx); err != nil {
		return result{}, err
	}
	how := fmt.Sprintf("resumed by @%s's /adf resume in the issue", run.cmd.By.Login)
	if s.Line.Reason != "" {
		how += ": " + s.Line.Reason
	}
	res := result{answer: project + " is resumed."}
	_, err = run.resume(ctx, run.project, how, func(ctx context.Context, p pauseState) (bool, error) {
		target := run.target(p)
		switch {
		case s.Target != "" && s.Target != target: // it ended meanwhile, by this very step or without it
			res.ended = s.Target == run.incident.ID
			return false, nil
		case target != "":
			res.ended = target == run.incident.ID
			err := run.begin(ctx, n, target, nil)
			return err == nil, err
		case run.isBefore(p.Hold):
			res.answer = issuetext.LaterHold(run.project, *p.Hold)
			return false, run.refuse(ctx, p.Hold.ID)
		case p.Open() != nil:
			open, err := run.withIssue(ctx, *p.Open())
			res.answer = issuetext.LaterIncident(run.project, run.incident, open)
			return false, err
		case p.Flag.State == incident.FlagThere:
			res.later = true // its flag names an incident that is to be rebuilt first
		default:
			res.answer = project + " was not paused."
		}
		return false, nil
	})
	var unknown *FlagUnknownError
	var notRemoved *FlagRemoveError
	switch {
	case errors.As(err, &unknown):
		return result{answer: issuetext.Failed(incident.ResumeVerb, "whether "+project+" is paused can't be told", err)}, nil
	case errors.As(err, &notRemoved):
		return result{answer: issuetext.Failed(incident.ResumeVerb, project+" is still paused", notRemoved.Err)}, nil
	}
	return res, err
}

// withIssue returns an incident with the issue of the one that carries it.
func (run *commandRun) withIssue(ctx context.Context, i incident.Incident) (incident.Incident, error) {
	if i.Lead == "" {
		return i, nil
	}
	found, err := run.opt.State.Incidents(ctx, i.Lead)
	if len(found) > 0 {
		i.Issue = found[0].Issue
	}
	return i, err
}

// errLaterResume means that the project was resumed after the command was written.
var errLaterResume = errors.New("the project was resumed meanwhile")

// pauseStep holds the project. The hold and the mark that this step made it are one transaction; a flag that is missing
// after that is written by the sweep.
func (run *commandRun) pauseStep(ctx context.Context, n int) (result, error) {
	project := markdown.CodeSpan(run.project)
	if run.cmd.Steps[n].Begun {
		return result{answer: issuetext.Paused(run.project, "", run.HowToResume(run.project))}, nil
	}
	failed := func(err error) (result, error) {
		return result{answer: issuetext.Failed(incident.PauseVerb, project+" is not paused by this", err)}, nil
	}
	if err := run.settle(ctx, run.project); err != nil {
		return failed(err)
	}
	var err error
	if run.known, err = run.toldBefore(ctx); err != nil {
		return result{}, err
	}
	of := run.cmd
	of.Project = run.project
	note := issuetext.CommandNote(of, run.cmd.Steps[n].Line, run.HowToResume(run.project), run.opt.Now())
	h := incident.Hold{Project: run.project, Note: note, Since: run.cmd.At} // a resume that was written before it is not about it
	already, err := run.pause(ctx, h, func(ctx context.Context, h incident.Hold) error {
		if run.isBeforeResume() {
			return cmp.Or(run.refuse(ctx, incident.ResumeName(run.incident)), errLaterResume)
		}
		return run.begin(ctx, n, holdTarget(h), &h)
	})
	var unknown *FlagUnknownError
	var notWritten *FlagWriteError
	switch {
	case errors.As(err, &unknown):
		return failed(err)
	case errors.Is(err, errLaterResume):
		return result{answer: issuetext.LaterResume(run.project)}, nil
	case errors.As(err, &notWritten) && notWritten.Stands():
		return result{answer: issuetext.PausedWithoutFlag(run.project, notWritten.Error(), run.HowToResume(run.project))}, nil
	case errors.As(err, &notWritten):
		return result{answer: issuetext.Paused(run.project, notWritten.Err.Error(), run.HowToResume(run.project))}, nil
	case err != nil:
		return result{}, err
	case already == nil:
		run.opt.Log.Info("project paused by a person", "project", run.project, "by", run.cmd.By.Login, "reason", run.cmd.Steps[n].Line.Reason)
		return result{answer: issuetext.Paused(run.project, "", run.HowToResume(run.project))}, nil
	case already.Open() != nil:
		return result{answer: project + " is already paused, by " + markdown.CodeSpan(already.Open().Name()) + "."}, nil
	case already.tookOver():
		return result{answer: issuetext.PausedFromNowOn(run.project, run.HowToResume(run.project))}, nil
	}
	return result{answer: project + " is already paused."}, nil
}

// ackStep saves who takes the incident, and assigns them. Doing either twice does no harm.
func (run *commandRun) ackStep(ctx context.Context, n int) (result, error) {
	by, name := run.cmd.By, markdown.CodeSpan(run.incident.Name())
	if !run.incident.IsOpen() {
		return result{answer: "Incident " + name + " is over: there is nothing to take."}, nil
	}
	if !run.cmd.Steps[n].Begun {
		if err := run.begin(ctx, n, run.incident.ID, nil); err != nil {
			return result{}, err
		}
	}
	ack := &incident.Ack{By: by, At: run.opt.Now()}
	if _, err := run.opt.State.Change(ctx, run.incident.ID, func(i *incident.Incident) { i.Ack = ack }); err != nil {
		return result{}, err
	}
	answer := markdown.CodeSpan(by.Login) + " takes incident " + name + "."
	if slices.ContainsFunc(run.issue.Assignees, func(a tracker.Account) bool { return a.ID == by.ID }) {
		return result{answer: answer}, nil
	}
	// An assignee whom people have set answers for all that the issue carries, also for what joins it later. This one answers by the ack alone.
	_, err := run.opt.State.Change(ctx, run.cmd.Incident, func(i *incident.Incident) {
		i.Escalation.AddAssigned(by.Login)
		i.Escalation.AddAccounts(by)
	})
	if err != nil {
		return result{}, err
	}
	logins := []string{by.Login}
	for _, a := range run.issue.Assignees {
		logins = append(logins, a.Login)
	}
	switch err := run.opt.Tracker.Assign(ctx, run.cmd.Issue, logins); {
	case err == nil:
		return result{answer: answer}, nil
	case tracker.IsPermanent(err) && tracker.IsStatus(err, http.StatusInternalServerError):
		return result{answer: answer + " Gitea did not assign them: it failed, or their account may not be assigned in this repository."}, nil
	case tracker.IsPermanent(err):
		return result{answer: answer + " Gitea did not assign them: " + issuetext.ErrorText(err.Error())}, nil
	case tracker.RefusalOf(err) != tracker.OfRequest: // the steps after this one need not wait; when people read this, it is mended
		return result{answer: answer + " Gitea did not assign them: adfbot could not write to it then."}, nil
	default:
		return result{}, err
	}
}

// statusStep answers with what status says of the project.
func (run *commandRun) statusStep(ctx context.Context, _ int) (result, error) {
	if run.opt.Commands.Describe == nil {
		return result{answer: markdown.CodeSpan(run.project) + ": see `adfbot status` on the bot's machine."}, nil
	}
	s, err := run.opt.Commands.Describe(ctx, run.project)
	if err != nil {
		s = issuetext.Failed(incident.StatusVerb, "the state can't be read", err)
	}
	return result{answer: s}, nil
}

// unknownStep answers a command that does not exist, or stands where commands are not run.
func (run *commandRun) unknownStep(_ context.Context, n int) (result, error) {
	line := run.cmd.Steps[n].Line
	if line.Misplaced {
		return result{answer: issuetext.MisplacedCommand()}, nil
	}
	return result{answer: issuetext.UnknownCommand(line)}, nil
}
