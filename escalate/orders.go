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

// Reading comments. What was read is remembered by the server's clock, the newest comment's, so that it does not matter
// how far the clocks of the two machines are apart; but never as later than now, so that a server's clock that was ahead
// can be set right. Each time a little is read again: a comment may become visible a moment after a later one.
const (
	scanOverlap = 2 * time.Minute
	// firstScan is how far back the first look goes: what was written before somebody became an operator is no order.
	firstScan = time.Hour
	// unknownFor is how long an order waits for an incident which the state does not know to be rebuilt.
	unknownFor = time.Hour
	// editedFor is how long after its making an edited comment is worth an answer.
	editedFor = 24 * time.Hour
)

// orders reads what people wrote in the bot's issues since the last look, one request a repository, and carries out what
// operators ordered. Without operators it asks nothing. It comes before the state is read for the plan, so that an order
// that resumes and a closing in one go are not taken for a closing alone.
func (r *Reconciler) orders(ctx context.Context, p *pass, repos []tracker.Repo, opt SweepOptions) ([]plan.Action, []error) {
	if r.Gitea == nil || r.Off != nil {
		return nil, nil
	}
	if len(r.Settings.Operators) == 0 {
		return nil, r.dismiss(ctx, opt.DryRun)
	}
	var errs []error
	ops, err := r.operators(ctx, p.ids(), opt.DryRun)
	if err != nil {
		errs = append(errs, err)
	}
	if ops == nil {
		return nil, errs
	}
	p.ops = ops
	var mu sync.Mutex
	var done []plan.Action
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(reposAtOnce)
	for _, repo := range repos {
		if l, ok := p.list(repo); !ok || l.err != nil {
			continue // its error is reported already
		}
		g.Go(func() error {
			heard, err := r.hear(gctx, repo, p, opt.DryRun)
			mu.Lock()
			defer mu.Unlock()
			done = append(done, heard...)
			if err != nil {
				errs = append(errs, err)
			}
			return nil
		})
	}
	_ = g.Wait()
	if opt.DryRun {
		return done, errs
	}
	if err := r.keep(ctx, ops); err != nil {
		errs = append(errs, err)
	}
	for _, problem := range ops.news {
		r.Log.Warn(problem)
		errs = append(errs, errors.New(problem))
	}
	done, err = r.obeyAll(ctx, p)
	if err != nil {
		errs = append(errs, err)
	}
	return done, errs
}

// dismiss forgets the operators when the configuration has none any more, and up to where comments were read: what is
// written while there are none is not made up for when there are some again.
func (r *Reconciler) dismiss(ctx context.Context, dry bool) []error {
	kept, err := r.State.Operators(ctx, r.Settings.URL)
	if err == nil && len(kept) > 0 && !dry {
		err = r.State.SetOperators(ctx, r.Settings.URL, nil)
	}
	if err != nil {
		return []error{err}
	}
	return nil
}

// hear reads the comments of a repository and accepts the orders among them. In a dry run it returns what they are.
func (r *Reconciler) hear(ctx context.Context, repo tracker.Repo, p *pass, dry bool) ([]plan.Action, error) {
	kept, err := r.State.CommentsRead(ctx, repo)
	if err != nil {
		return nil, err
	}
	upTo, now := kept, r.Now()
	if kept.IsZero() {
		upTo = now.Add(-firstScan)
	}
	since := upTo
	if since.After(now) { // a clock that was wrong must not make us deaf
		since = now
	}
	comments, err := r.Gitea.CommentsSince(ctx, repo, since.Add(-scanOverlap))
	if err != nil {
		return nil, err
	}
	written, said := map[int64]time.Time{}, map[int64][]incident.CommandLine{}
	for _, c := range comments {
		if c.Updated.After(upTo) {
			upTo = c.Updated
		}
		if c.Number == 0 || p.ids()[c.By.ID] {
			continue // the bot takes no orders from itself
		}
		if commands := ParseCommands(c.Body); len(commands) > 0 {
			written[c.ID], said[c.ID] = c.Created, commands
		}
	}
	var fresh []int64
	if len(written) > 0 {
		if fresh, err = r.State.NewComments(ctx, repo.Server, written); err != nil {
			return nil, err
		}
	}
	var done []plan.Action
	var errs []error
	for _, c := range comments {
		if !slices.Contains(fresh, c.ID) {
			continue
		}
		o, err := r.order(ctx, repo, c, said[c.ID], p)
		if err == nil && dry {
			done = append(done, obeyAction(o)...)
			continue
		}
		if err == nil {
			err = r.State.AcceptCommand(ctx, o)
		}
		if err != nil {
			if c.Updated.Before(upTo) {
				upTo = c.Updated // it is read again
			}
			if !errors.Is(err, errLater) {
				errs = append(errs, fmt.Errorf("comment %d in %s#%d: %w", c.ID, repo, c.Number, err))
			}
		}
	}
	if upTo.After(now) { // when the server's clock is set right, what comes next is older than that
		upTo = now
	}
	if !dry && !upTo.Equal(kept) {
		errs = append(errs, r.State.SetCommentsRead(ctx, repo, upTo))
	}
	return done, errors.Join(errs...)
}

func obeyAction(o incident.Command) []plan.Action {
	if o.Done {
		return nil
	}
	why := fmt.Sprintf("%s wrote /adf", redact.Line(o.By.Login, 60))
	for _, s := range o.Steps {
		why += " " + s.Line.Written
	}
	switch o.Refused {
	case incident.RefusedNotOperator:
		why += ", and is no operator"
	case incident.RefusedEdited:
		why += ", and the comment was edited"
	}
	return []plan.Action{{Kind: plan.RunCommand, Project: o.Project, Incident: o.Incident, Issue: o.Issue, Why: why}}
}

// order makes an order of a comment with commands. One in an issue that is not ours is done with.
func (r *Reconciler) order(ctx context.Context, repo tracker.Repo, c tracker.Comment, commands []incident.CommandLine, p *pass) (incident.Command, error) {
	o := incident.Command{Comment: c.ID, By: c.By, At: c.Created, Issue: tracker.IssueRef{Repo: repo, Number: c.Number}, Done: true}
	issue, gone, err := r.issueNumbered(ctx, p, repo, c.Number)
	if gone {
		return o, nil
	}
	if err != nil {
		return o, err
	}
	if !r.mine(p.ids(), issue) {
		return o, nil
	}
	o.Issue, o.Incident, o.Project = issue.IssueRef, issue.Marker.Incident, issue.Marker.Project
	found, err := r.State.Incidents(ctx, o.Incident)
	if err != nil {
		return o, err
	}
	if len(found) == 0 {
		if r.Now().Sub(c.Updated) < unknownFor {
			return o, errLater // this very sweep may rebuild it
		}
		return o, nil
	}
	if found[0].Project != o.Project {
		return o, nil
	}
	switch {
	case !p.ops.may(c.By):
		o.Refused = incident.RefusedNotOperator
	case !c.Updated.Equal(c.Created):
		o.Refused = incident.RefusedEdited
		if r.Now().Sub(c.Created) > editedFor {
			return o, nil
		}
	default:
		for _, cmd := range commands {
			o.Steps = append(o.Steps, incident.Step{Line: cmd})
		}
	}
	if obeyed, err := r.obeyed(ctx, o, found[0], p); obeyed || err != nil {
		return o, err
	}
	o.Done = false
	return o, nil
}

// obeyed tells whether an order was carried out, or answered, by a state that was lost or replaced by an older copy: the
// answer is in the issue then. A resume is answered by the comment on the incident's end.
func (r *Reconciler) obeyed(ctx context.Context, o incident.Command, i incident.Incident, p *pass) (bool, error) {
	key := incident.CommandKey(o)
	if o.Refused == incident.RefusedNotOperator {
		key = incident.NotOperatorKey(i, o.By)
	}
	if _, there, err := r.said(ctx, o.Issue, key, p); there || err != nil {
		return there, err
	}
	if !i.Rebuilt && !slices.ContainsFunc(o.Steps, func(s incident.Step) bool { return s.Line.Verb == incident.ResumeVerb }) {
		return false, nil
	}
	return r.resumedSince(ctx, i, o.Issue, o.At, p)
}

// issueNumbered is the issue as this pass has listed it, else as it is now.
func (r *Reconciler) issueNumbered(ctx context.Context, p *pass, repo tracker.Repo, number int64) (issue tracker.Issue, gone bool, err error) {
	if l, ok := p.list(repo); ok {
		for _, i := range l.issues {
			if i.Number == number {
				return i, false, nil
			}
		}
	}
	return r.get(ctx, repo, number)
}
