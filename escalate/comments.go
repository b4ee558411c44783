package escalate

import (
	"context"
	"errors"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// say makes a comment once, whatever happens. The attempt is on disk before the request; if its answer was lost, the
// issue's comments are read before it is made again, and not before the server can no longer be at it. A comment that the
// server refuses (a locked issue, an archived repository) is given up: it never prevents a closing. What was said about an
// incident that was rebuilt, only the issue knows: it is always read before.
//
// It returns errLater where it is too early to know, an error where the comment is in doubt, and nil where nothing is
// left to do.
func (r *Reconciler) say(ctx context.Context, i incident.Incident, ref tracker.IssueRef, key, body string, p *pass) error {
	c := i.Comments[key]
	if c.Done {
		return nil
	}
	if begun := (incident.Attempt{At: c.Attempted, Up: c.Up}); !begun.At.IsZero() && !r.over(begun) {
		if r.since(begun) < 0 {
			return errors.Join(errLater, r.noteComment(ctx, i.ID, key, r.comment(false)))
		}
		return errLater
	}
	if !c.Attempted.IsZero() || i.Rebuilt {
		_, there, err := r.said(ctx, ref, key, p)
		if err != nil {
			return err
		}
		if there {
			return r.noteComment(ctx, i.ID, key, r.comment(true))
		}
	}
	err := r.attemptComment(ctx, i, ref, key, body)
	var untried *notTried
	if errors.As(err, &untried) {
		return untried.error
	}
	switch {
	case err == nil:
	case tracker.OutcomeOf(err) == tracker.Refused && !tracker.IsRetryable(err):
		r.Log.Warn("comment refused, going on without it", "issue", ref.String(), "err", err)
	case tracker.OutcomeOf(err) == tracker.Lost:
		// A process that was stopped may have sent it long after it was noted.
		return errors.Join(err, r.noteComment(context.WithoutCancel(ctx), i.ID, key, r.comment(false)))
	default:
		return errors.Join(err, r.noteComment(context.WithoutCancel(ctx), i.ID, key, incident.Comment{}))
	}
	return r.noteComment(context.WithoutCancel(ctx), i.ID, key, r.comment(true))
}

// attemptComment asks once for the comment. That it was asked for is on disk before.
func (r *Reconciler) attemptComment(ctx context.Context, i incident.Incident, ref tracker.IssueRef, key, body string) error {
	ctx, release, err := r.announce(ctx, func() error { return r.noteComment(ctx, i.ID, key, r.comment(false)) })
	if err != nil {
		return &notTried{err}
	}
	defer release()
	r.step("comment-begun")
	err = r.Gitea.AddComment(ctx, ref, body)
	r.step("commented")
	return err
}

// comment is one that is made now.
func (r *Reconciler) comment(done bool) incident.Comment {
	a := r.begun()
	return incident.Comment{Attempted: a.At, Up: a.Up, Done: done}
}

func (r *Reconciler) noteComment(ctx context.Context, id, key string, c incident.Comment) error {
	_, err := r.State.Change(ctx, id, func(i *incident.Incident) {
		if i.Comments == nil {
			i.Comments = map[string]incident.Comment{}
		}
		i.Comments[key] = c
	})
	return err
}

// said looks for the bot's own comment with the key.
func (r *Reconciler) said(ctx context.Context, ref tracker.IssueRef, key string, p *pass) (c tracker.Comment, there bool, err error) {
	accounts, err := r.accountIDs(ctx, p)
	if err != nil {
		return c, false, err
	}
	for id := range accounts {
		list, err := r.Gitea.Comments(ctx, ref, id)
		if err != nil {
			return c, false, err
		}
		for _, c := range list {
			if tracker.HasCommentMarker(c.Body, key) {
				return c, true, nil
			}
		}
	}
	return c, false, nil
}

// resumedSince tells whether the incident was resumed at the given time or later and the state does not know it, because it
// is a copy from before: what was ordered then has been done.
func (r *Reconciler) resumedSince(ctx context.Context, i incident.Incident, ref tracker.IssueRef, at time.Time, p *pass) (bool, error) {
	if !i.Comments[incident.ResumedKey(i)].Attempted.IsZero() {
		return false, nil
	}
	c, there, err := r.said(ctx, ref, incident.ResumedKey(i), p)
	return there && !c.Created.Before(at), err
}

// still reads an incident's issue before a step that needs it in one state. Where it is in another, the step is off, and
// what was seen is planned anew.
func (r *Reconciler) still(ctx context.Context, want plan.IssueState, i incident.Incident, p *pass) (bool, error) {
	_, s, err := r.read(ctx, p, i)
	if err != nil {
		return false, r.failed(ctx, i, err)
	}
	if s != want {
		p.set(i, s)
	}
	return s == want, nil
}

// close comments on the issue of an incident that has ended, and closes it. At most three requests: the issue is read
// first, because a person may have closed it or taken it over.
func (r *Reconciler) close(ctx context.Context, i incident.Incident, p *pass) error {
	issue, s, err := r.read(ctx, p, i)
	if err != nil {
		return r.failed(ctx, i, err)
	}
	key := incident.ResumedKey(i)
	switch s {
	case plan.IssueLost:
		r.Log.Warn("issue is gone or no longer the bot's, it is left alone", "incident", i.Name(), "issue", i.Issue.String())
		return r.settle(ctx, i, p, s)
	case plan.IssueClosed:
		// A person closed it, or an earlier try of ours did. Then only a comment in doubt is still to be settled.
		if c := i.Comments[key]; !c.Attempted.IsZero() && !c.Done {
			if err := r.say(ctx, i, i.Issue, key, issuetext.ResumedComment(key, i), p); err != nil {
				return r.doubt(ctx, i, err)
			}
		}
		return r.settle(ctx, i, p, s)
	}
	said := r.say(ctx, i, i.Issue, key, issuetext.ResumedComment(key, i), p)
	if tracker.IsRetryable(said) {
		return r.failed(ctx, i, said)
	}
	closed, err := r.Gitea.SetOpen(ctx, i.Issue, false)
	r.step("closed")
	if err != nil {
		return r.failed(ctx, i, errors.Join(said, err))
	}
	p.set(i, plan.IssueClosed)
	r.Log.Info("issue closed", "project", i.Project, "incident", i.Name(), "issue", closed.String(), "url", issue.URL)
	if said != nil {
		return r.doubt(ctx, i, said)
	}
	return r.settle(ctx, i, p, plan.IssueClosed)
}

// doubt counts a comment in doubt as a failed try; one that is only too early is left for later.
func (r *Reconciler) doubt(ctx context.Context, i incident.Incident, err error) error {
	if errors.Is(err, errLater) {
		return err
	}
	return r.failed(ctx, i, err)
}

func (r *Reconciler) settle(ctx context.Context, i incident.Incident, p *pass, s plan.IssueState) error {
	_, err := r.State.Change(context.WithoutCancel(ctx), i.ID, func(i *incident.Incident) { i.Settled = true; worked(i) })
	if err == nil {
		p.set(i, s)
	}
	r.step("settled")
	return err
}

// reopen opens the issue of a project that is still paused, and says why. What is begun is on disk first, so that a crash
// neither repeats the comment nor forgets one of the three times.
func (r *Reconciler) reopen(ctx context.Context, a plan.Action, i incident.Incident, p *pass) error {
	closed, err := r.still(ctx, plan.IssueClosed, i, p)
	if !closed {
		return err
	}
	if flag := r.Look(i.Project); flag.State == incident.FlagUnknown || (flag.State == incident.FlagGone && !i.FlagWritten.IsZero()) {
		return errLater
	}
	if !i.ReopenPending {
		i, err = r.State.Change(ctx, i.ID, func(i *incident.Incident) {
			i.ReopenPending = true
			i.ReopenQuiet = a.Quiet
			i.Reopens = append(i.Reopens, r.Now())
			if n := len(i.Reopens); n > plan.ReopenMost+1 {
				i.Reopens = i.Reopens[n-plan.ReopenMost-1:]
			}
		})
		if err != nil {
			return err
		}
	}
	r.step("reopen-begun")
	var said error
	if !a.Quiet {
		key := incident.ReopenedKey(i)
		said = r.say(ctx, i, i.Issue, key, r.stillPaused(key, i, p), p)
	}
	if tracker.IsRetryable(said) {
		return r.failed(ctx, i, said)
	}
	if _, err := r.Gitea.SetOpen(ctx, i.Issue, true); err != nil {
		return r.failed(ctx, i, errors.Join(said, err))
	}
	r.step("reopened")
	p.set(i, plan.IssueOpen)
	r.Log.Info("issue reopened, the project is still paused", "project", i.Project, "incident", i.Name(), "issue", i.Issue.String())
	if said != nil {
		return r.doubt(ctx, i, said) // noteReopened settles it
	}
	return r.reopeningDone(ctx, i)
}

func (r *Reconciler) reopeningDone(ctx context.Context, i incident.Incident) error {
	_, err := r.State.Change(context.WithoutCancel(ctx), i.ID, func(i *incident.Incident) { i.ReopenPending = false; worked(i) })
	return err
}

// noteReopened ends a reopening that has happened. A comment whose answer was lost is settled first.
func (r *Reconciler) noteReopened(ctx context.Context, i incident.Incident, p *pass) error {
	key := incident.ReopenedKey(i)
	if c := i.Comments[key]; !c.Attempted.IsZero() && !c.Done {
		if open, err := r.still(ctx, plan.IssueOpen, i, p); !open {
			return err
		}
		if err := r.say(ctx, i, i.Issue, key, r.stillPaused(key, i, p), p); err != nil {
			return r.doubt(ctx, i, err)
		}
	}
	return r.reopeningDone(ctx, i)
}

// tellPaused corrects an issue that says NOT PAUSED.
func (r *Reconciler) tellPaused(ctx context.Context, i incident.Incident, p *pass) error {
	open, err := r.still(ctx, plan.IssueOpen, i, p)
	if !open {
		return err
	}
	key := incident.PausedKey(i)
	if err := r.say(ctx, i, i.Issue, key, issuetext.NowPausedComment(key, i, r.Pause.FlagPath(i.Project)), p); err != nil {
		return r.doubt(ctx, i, err)
	}
	_, err = r.State.Change(ctx, i.ID, func(i *incident.Incident) { i.HeadedNotPaused = false; worked(i) })
	return err
}

// leaveOpen says once that the bot leaves an issue open which a person reopened after the end.
func (r *Reconciler) leaveOpen(ctx context.Context, i incident.Incident, p *pass) error {
	open, err := r.still(ctx, plan.IssueOpen, i, p)
	if !open {
		return err
	}
	key := incident.LeftOpenKey(i)
	if err := r.say(ctx, i, i.Issue, key, issuetext.LeftOpenComment(key, i), p); err != nil {
		return r.doubt(ctx, i, err)
	}
	_, err = r.State.Change(ctx, i.ID, func(i *incident.Incident) { i.LeftOpen = true; worked(i) })
	return err
}

// closeDuplicate closes a second issue of an incident. Both are read first: the one that stays must be open while the
// project is paused.
func (r *Reconciler) closeDuplicate(ctx context.Context, d tracker.IssueRef, i incident.Incident, p *pass) error {
	other := i
	other.Issue = d
	_, s, err := r.read(ctx, p, other)
	if err != nil {
		return r.failed(ctx, i, err)
	}
	if s != plan.IssueOpen {
		return errLater
	}
	if i.IsOpen() {
		_, kept, err := r.read(ctx, p, i)
		if err != nil {
			return r.failed(ctx, i, err)
		}
		if kept != plan.IssueOpen {
			p.set(i, kept)
			return errLater
		}
	}
	key := incident.DuplicateKey(i, d)
	// Once it is closed nobody looks at it again, so a comment whose answer was lost is settled before. A refused one is not
	// waited for.
	if err := r.say(ctx, i, d, key, issuetext.DuplicateComment(key, i.Issue), p); err != nil {
		return r.doubt(ctx, i, err)
	}
	if _, err := r.Gitea.SetOpen(ctx, d, false); err != nil {
		return r.failed(ctx, i, err)
	}
	r.Log.Info("duplicate issue closed", "project", i.Project, "incident", i.Name(), "issue", d.String(), "kept", i.Issue.String())
	return r.noteComment(context.WithoutCancel(ctx), i.ID, incident.DuplicateClosedKey(i, d), r.comment(true))
}
