package escalate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/redact"
)

// Comments are read up to a time by the server's clock, the newest comment's, so that it does not matter how far the two
// machines' clocks are apart; but never up to later than now, so that a server's clock that was ahead can be set right.
const (
	// pollOverlap is how much is read again each time: a comment may become visible a moment after a later one.
	pollOverlap = 2 * time.Minute
	// firstPoll is how far back the first poll goes: as far as the two clocks may be apart, since its time is this machine's.
	firstPoll = time.Hour
	// awaitRebuild is how long a command waits for an unknown incident to be rebuilt.
	awaitRebuild = time.Hour
	// answerEdited is how long after it was written an edited comment is worth an answer.
	answerEdited = 24 * time.Hour
	// runLate is the age up to which a command is run when it is read for the first time. Gitea or the bot may be down for a week, and what was
	// ordered meanwhile still holds. The comments of a repository that no project uses may be read after months.
	runLate = 7 * 24 * time.Hour
)

// commands reads what people wrote in the bot's issues since the last poll, one request per repository, and runs what
// operators ordered. Without operators it asks nothing. It runs before the state is read for the plan, so that a comment
// with a command that also closes the issue is not taken for a mere closing.
func (r *Reconciler) commands(ctx context.Context, c *sweepCache, repos []tracker.Repo) ([]plan.Action, []error) {
	if r.opt.Tracker == nil || r.trackerErr != nil {
		return nil, nil
	}
	if r.opt.Commands.State == nil {
		return nil, nil
	}
	if len(r.opt.Commands.Operators) == 0 {
		if err := r.forgetOperators(ctx, c.dry); err != nil {
			return nil, []error{err}
		}
		return nil, nil
	}
	ops, err := r.operatorSet(ctx, c)
	errs := []error{err}
	if ops == nil {
		return nil, errs
	}
	c.operators = ops
	found, pollErrs := r.pollAll(ctx, c, repos)
	errs = append(errs, pollErrs...)
	if !c.dry {
		errs = append(errs, r.saveOperators(ctx, ops))
		for _, problem := range ops.problems {
			r.opt.Log.Warn(problem)
			errs = append(errs, errors.New(problem))
		}
		found, err = r.runCommands(ctx, c)
		errs = append(errs, err)
	}
	return found, slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

// forgetOperators forgets the operators when the configuration has none any more, and the position up to which comments
// were read. What they wrote more than [firstPoll] before somebody became an operator is never run.
func (r *Reconciler) forgetOperators(ctx context.Context, dry bool) error {
	stored, err := r.opt.Commands.State.Operators(ctx, r.opt.Server)
	if err == nil && len(stored) > 0 && !dry {
		err = r.opt.Commands.State.SetOperators(ctx, r.opt.Server, nil)
	}
	return err
}

// pollAll polls the repositories that were listed. In a dry run it returns what the new commands are.
func (r *Reconciler) pollAll(ctx context.Context, c *sweepCache, repos []tracker.Repo) (found []plan.Action, errs []error) {
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(reposAtOnce)
	for _, repo := range repos {
		if l, ok := c.open.get(repo); !ok || l.err != nil {
			continue // its error is reported already
		}
		g.Go(func() error {
			some, err := r.pollComments(gctx, c, repo)
			mu.Lock()
			defer mu.Unlock()
			found = append(found, some...)
			errs = append(errs, err)
			return nil
		})
	}
	_ = g.Wait()
	return found, errs
}

// pollComments reads a repository's new comments and accepts the commands among them. In a dry run it only returns them.
func (r *Reconciler) pollComments(ctx context.Context, c *sweepCache, repo tracker.Repo) ([]plan.Action, error) {
	stored, err := r.opt.Commands.State.CommentsRead(ctx, repo)
	if err != nil {
		return nil, err
	}
	now := r.opt.Now()
	readTo := stored
	if stored.IsZero() {
		readTo = now.Add(-firstPoll)
	}
	since := readTo
	if since.After(now) { // a clock that was wrong must not make us deaf
		since = now
	}
	comments, listErr := r.opt.Tracker.CommentsSince(ctx, repo, since.Add(-pollOverlap))
	if listErr != nil && !slices.IsSortedFunc(comments, func(a, b tracker.Comment) int { return a.Created.Compare(b.Created) }) {
		return nil, listErr
	}
	for _, m := range comments {
		to := m.Updated
		if listErr != nil { // what is not read yet was written after this, and perhaps changed before it was
			to = m.Created
		}
		if to.After(readTo) {
			readTo = to
		}
	}
	saving := context.WithoutCancel(ctx) // what was read in a sweep's time is kept
	fresh, err := r.newCommands(saving, c, repo, comments)
	if err != nil {
		return nil, err
	}
	var found []plan.Action
	errs := []error{listErr}
	for _, m := range fresh {
		cmd, wait, err := r.readCommand(ctx, c, repo, m)
		switch {
		case err == nil && c.dry:
			found = append(found, commandAction(cmd)...)
		case err == nil && !wait:
			err = r.acceptCommand(ctx, cmd)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("comment %d in %s#%d: %w", m.ID, repo, m.Number, err))
		}
		if (err != nil || wait) && m.Updated.Before(readTo) {
			readTo = m.Updated // it is read again
		}
	}
	if readTo.After(now) { // when the server's clock is set right, what comes next is older than that
		readTo = now
	}
	if !c.dry && !readTo.Equal(stored) {
		errs = append(errs, r.opt.Commands.State.SetCommentsRead(saving, repo, readTo))
	}
	return found, errors.Join(errs...)
}

// acceptCommand stores a new command. An earlier comment with its id may have been answered: a Gitea that was restored from a
// backup assigns ids again. A fresh attempt is another process's, which has just accepted the same command.
func (r *Reconciler) acceptCommand(ctx context.Context, cmd incident.Command) error {
	key := incident.CommandKey(cmd)
	found, err := r.opt.State.Incidents(ctx, cmd.Incident)
	if err != nil {
		return err
	}
	if len(found) > 0 && !cmd.Done {
		if m, ok := found[0].Comments[key]; ok && r.expired(incident.Attempt{At: m.Attempted, Up: m.Up}) {
			if err := r.saveComment(ctx, cmd.Incident, key, incident.Comment{}); err != nil {
				return err
			}
		}
	}
	return r.opt.Commands.State.AcceptCommand(ctx, cmd)
}

// newCommands returns the comments on issues that hold commands which are not known yet. The bot takes no commands from
// itself.
func (r *Reconciler) newCommands(ctx context.Context, c *sweepCache, repo tracker.Repo, comments []tracker.Comment) ([]tracker.Comment, error) {
	written := map[int64]time.Time{}
	for _, m := range comments {
		if m.Number != 0 && !c.operators.own.has(m.By) && len(parseCommands(m.Body)) > 0 {
			written[m.ID] = m.Created
		}
	}
	if len(written) == 0 {
		return nil, nil
	}
	fresh, err := r.opt.Commands.State.NewComments(ctx, repo.Server, written)
	return slices.DeleteFunc(slices.Clone(comments), func(m tracker.Comment) bool { return !slices.Contains(fresh, m.ID) }), err
}

// commandAction is what a sweep reports of a command.
func commandAction(cmd incident.Command) []plan.Action {
	if cmd.Done {
		return nil
	}
	why := fmt.Sprintf("%s wrote /adf", redact.Line(cmd.By.Login, 60))
	for _, s := range cmd.Steps {
		why += " " + s.Line.Written
		if s.Line.Misplaced {
			why += " (misplaced)"
		}
	}
	switch cmd.Refused {
	case incident.RefusedNotOperator:
		why += ", and is no operator"
	case incident.RefusedEdited:
		why += ", and the comment was edited"
	case incident.RefusedLate:
		why += ", and it was read too late"
	}
	return []plan.Action{{Kind: plan.RunCommand, Project: cmd.Project, Incident: cmd.Incident, Issue: cmd.Issue, Why: why}}
}

// readCommand makes a command of a comment. It is done already where the comment is in an issue that is not ours, or where
// it was carried out before. wait is true while its incident may still be rebuilt.
func (r *Reconciler) readCommand(ctx context.Context, c *sweepCache, repo tracker.Repo, m tracker.Comment) (cmd incident.Command, wait bool, err error) {
	cmd = incident.Command{Comment: m.ID, By: m.By, At: m.Created, Issue: tracker.IssueRef{Repo: repo, Number: m.Number}, Done: true}
	issue, deleted, err := r.numberedIssue(ctx, c, repo, m.Number)
	if ours, _ := c.identity(); deleted || err != nil || !r.isOurs(ours, issue) {
		return cmd, false, err
	}
	cmd.Issue, cmd.Incident, cmd.Project = issue.IssueRef, issue.Marker.Incident, issue.Marker.Project
	found, err := r.opt.State.Incidents(ctx, cmd.Incident)
	if err != nil {
		return cmd, false, err
	}
	if len(found) == 0 {
		return cmd, r.opt.Now().Sub(m.Updated) < awaitRebuild, nil
	}
	if found[0].Project != cmd.Project {
		return cmd, false, nil
	}
	may, err := r.isOperator(ctx, c.operators, m.By)
	if err != nil {
		return cmd, false, err
	}
	switch {
	case !may:
		cmd.Refused = incident.RefusedNotOperator
	case !m.Updated.Equal(m.Created):
		cmd.Refused = incident.RefusedEdited
		if r.opt.Now().Sub(m.Created) > answerEdited {
			return cmd, false, nil
		}
	default:
		for _, line := range parseCommands(m.Body) {
			cmd.Steps = append(cmd.Steps, incident.Step{Line: line})
		}
	}
	cmd.Done, err = r.carriedOut(ctx, c, cmd, found[0])
	if cmd.Refused == "" && r.opt.Now().Sub(m.Created) > runLate {
		cmd.Refused, cmd.Steps = incident.RefusedLate, nil
	}
	return cmd, false, err
}

// carriedOut reports whether a command was carried out, or answered, by a state that was lost or replaced by an older copy:
// the answer is in the issue then. A resume is answered by the comment on the incident's end.
func (r *Reconciler) carriedOut(ctx context.Context, c *sweepCache, cmd incident.Command, i incident.Incident) (bool, error) {
	key, since := incident.CommandKey(cmd), cmd.At.Add(-pollOverlap)
	if cmd.Refused == incident.RefusedNotOperator {
		key, since = incident.NotOperatorKey(i, cmd.By), time.Time{}
		if i.Comments[key].Done { // somebody may write thousands
			return true, nil
		}
	}
	if _, found, err := r.findOwnComment(ctx, c, cmd.Issue, key, since); found || err != nil {
		return found, err
	}
	if !i.Rebuilt && !slices.ContainsFunc(cmd.Steps, func(s incident.Step) bool { return s.Line.Verb == incident.ResumeVerb }) {
		return false, nil
	}
	return r.resumedSince(ctx, c, i, cmd.Issue, cmd.At)
}

// numberedIssue returns the issue as this sweep has listed it, else as it is now.
func (r *Reconciler) numberedIssue(ctx context.Context, c *sweepCache, repo tracker.Repo, number int64) (issue tracker.Issue, deleted bool, err error) {
	l, _ := c.open.get(repo)
	if n, listed := l.ofNumber[number]; listed {
		return l.issues[n], false, nil
	}
	return r.getIssue(ctx, repo, number)
}
