package escalate

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/redact"
)

// commentOnce writes a comment exactly once, whatever happens. The attempt is on disk before the request; if its answer was
// lost, the issue's comments are read before it is written again, and not before the server can no longer be at it. A
// comment that the server refuses (a locked issue, an archived repository) is given up: it never prevents a closing. What the token
// or something in front of the server refuses is written once that is mended. Of an incident that was rebuilt only the issue knows
// what was said, so its comments are always read first.
//
// It returns complete where nothing is left to do, later where it is too early to know, and an error where the comment is
// in doubt.
func (r *Reconciler) commentOnce(ctx context.Context, s *step, ref tracker.IssueRef, key, body string) (progress, error) {
	i := s.incident
	saved := i.Comments[key]
	if saved.Done {
		return complete, nil
	}
	attempt := incident.Attempt{At: saved.Attempted, Up: saved.Up}
	if !attempt.At.IsZero() && !r.expired(attempt) {
		if r.age(attempt) < 0 { // saved by a clock that was wrong: the wait begins anew
			return later, r.saveComment(ctx, i.ID, key, r.newComment(false))
		}
		return later, nil
	}
	if err := s.cache.refusal(ref); err != nil {
		return later, err
	}
	if !attempt.At.IsZero() || i.Rebuilt {
		_, found, err := r.findOwnComment(ctx, s.cache, ref, key, time.Time{})
		if err != nil {
			return later, err
		}
		if found {
			return complete, r.saveComment(ctx, i.ID, key, r.newComment(true))
		}
	}
	sent, err := r.sendComment(ctx, s, ref, key, body)
	ctx = context.WithoutCancel(ctx)
	switch {
	case !sent:
		return later, err
	case err == nil:
	case tracker.IsPermanent(err):
		r.opt.Log.Warn("comment refused, going on without it", "issue", ref.String(), "err", err)
		refused := r.newComment(true)
		refused.Refused = redact.Line(err.Error(), 500)
		return complete, r.saveComment(ctx, i.ID, key, refused)
	case tracker.OutcomeOf(err) == tracker.Lost:
		// A process that was stopped may have sent it long after the attempt was saved.
		return later, errors.Join(err, r.saveComment(ctx, i.ID, key, r.newComment(false)))
	default:
		s.cache.noteRefusal(ref.Repo, err)
		return later, errors.Join(err, r.saveComment(ctx, i.ID, key, r.unwritten()))
	}
	return complete, r.saveComment(ctx, i.ID, key, r.newComment(true))
}

// unwritten is a comment that may be written at any time, also in an issue that somebody has closed meanwhile. It is dated back, so that
// it is looked for before that: a proxy may have refused the answer, and not the request.
func (r *Reconciler) unwritten() incident.Comment {
	return incident.Comment{Attempted: r.refusedAttempt().At}
}

// sendComment saves the attempt and makes the request once. Where sent is false no request was made.
func (r *Reconciler) sendComment(ctx context.Context, s *step, ref tracker.IssueRef, key, body string) (sent bool, err error) {
	ctx, release, err := r.announce(ctx, func() error { return r.saveComment(ctx, s.incident.ID, key, r.newComment(false)) })
	if err != nil {
		return false, err
	}
	defer release()
	fault.Point(ctx, "comment-begun")
	by, err := r.opt.Tracker.AddComment(ctx, ref, body)
	fault.Point(ctx, "commented")
	if err == nil {
		if err := r.saveAccount(context.WithoutCancel(ctx), s.cache, by); err != nil {
			r.opt.Log.Warn("the bot's account is not saved", "account", by.Login, "err", err)
		}
	}
	return true, err
}

// newComment is a comment that is written now.
func (r *Reconciler) newComment(done bool) incident.Comment {
	a := r.newAttempt()
	return incident.Comment{Attempted: a.At, Up: a.Up, Done: done}
}

func (r *Reconciler) saveComment(ctx context.Context, id, key string, c incident.Comment) error {
	_, err := r.opt.State.Change(ctx, id, func(i *incident.Incident) {
		if i.Comments == nil {
			i.Comments = map[string]incident.Comment{}
		}
		i.Comments[key] = c
	})
	if err != nil {
		return notSavedError{err}
	}
	return nil
}

// notSavedError means that the state of a comment could not be saved.
type notSavedError struct{ error }

func (e notSavedError) Unwrap() error { return e.error }

// goesOn reports whether a step goes on after an error of its comment: an issue is closed or reopened even if the server refuses
// the comment, or a firewall in front of it takes its text for an attack.
func goesOn(err error) bool {
	var notSaved notSavedError
	return (!tracker.IsRetryable(err) || tracker.RefusalOf(err) == tracker.OfWay) && !errors.As(err, &notSaved)
}

// deferOrFail counts a comment in doubt as a failed try. With one that is complete nothing is wrong any more.
func (r *Reconciler) deferOrFail(ctx context.Context, i incident.Incident, p progress, err error) (progress, error) {
	switch {
	case err != nil:
		return later, r.failed(ctx, i, err)
	case p == complete && i.LastErr != "":
		return p, r.saveDone(ctx, i, func(*incident.Incident) {})
	}
	return p, nil
}

// findOwnComment looks for the bot's own comment with the key. It was not written before the given time by the server's clock.
func (r *Reconciler) findOwnComment(ctx context.Context, c *sweepCache, ref tracker.IssueRef, key string, since time.Time) (found tracker.Comment, ok bool, err error) {
	found, of, err := r.findOwnOf(ctx, c, ref, []string{key}, since)
	return found, of != "", err
}

// findOwnOf is [Reconciler.findOwnComment] for a comment with one of some keys. It also returns that key, "" if there is no such comment.
func (r *Reconciler) findOwnOf(ctx context.Context, c *sweepCache, ref tracker.IssueRef, keys []string, since time.Time) (found tracker.Comment, key string, err error) {
	ours, err := r.identity(ctx, c)
	if err != nil {
		return tracker.Comment{}, "", err
	}
	list, err := r.opt.Tracker.Comments(ctx, ref, since)
	if err != nil {
		return tracker.Comment{}, "", err
	}
	for _, m := range list {
		if n := slices.IndexFunc(keys, func(key string) bool { return tracker.HasCommentMarker(m.Body, key) }); n >= 0 && ours.has(m.By) {
			return m, keys[n], nil
		}
	}
	return tracker.Comment{}, "", nil
}

// resumedSince reports whether the incident was resumed at the given time or later and the state does not know it, because
// it is a copy from before: what was ordered then has been done.
func (r *Reconciler) resumedSince(ctx context.Context, c *sweepCache, i incident.Incident, ref tracker.IssueRef, at time.Time) (bool, error) {
	key := incident.ResumedKey(i)
	if !i.Comments[key].Attempted.IsZero() {
		return false, nil
	}
	m, ok, err := r.findOwnComment(ctx, c, ref, key, at.Add(-pollOverlap))
	return ok && !m.Created.Before(at), err
}
