package escalate

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/markdown"
	"github.com/terraphim/adfbot/internal/redact"
)

// readClosing asks who closed an incident's issue, and keeps the answer in the cache. known is false while it is too early
// to tell; an error means that Gitea cannot be reached or gave no timeline. If Gitea never tells who closed the issue, the
// closing does not resume. A closing by somebody else than an operator is stored, so it stays ignored even if they become
// an operator later.
func (r *Reconciler) readClosing(ctx context.Context, c *sweepCache, i incident.Incident) (known bool, err error) {
	if !r.opt.Commands.CloseResumes {
		return true, nil
	}
	if c.operators == nil {
		return false, nil // why they are not known is reported already
	}
	entries, err := r.opt.Tracker.Timeline(ctx, i.Issue)
	if tracker.IsPermanent(err) {
		r.opt.Log.Warn("Gitea does not tell who closed the issue, so nobody is resumed by that", "issue", i.Issue.String(), "err", err)
		return true, nil
	}
	if err != nil {
		return false, err
	}
	closing, ok := plan.LastClosing(entries)
	if !ok {
		// Without a closing it was opened again meanwhile; or it was imported, or closed by other means than Gitea's.
		reopened := slices.ContainsFunc(entries, func(e tracker.TimelineEntry) bool { return e.Type == "reopen" })
		return !reopened, nil
	}
	ignored := closing.Entry != 0 && closing.Entry == i.IgnoredClosing && (i.IgnoredClosed.IsZero() || i.IgnoredClosed.Equal(closing.At))
	if !ignored {
		if closing.Operator, err = r.isOperator(ctx, c.operators, closing.By); err != nil {
			return false, err
		}
		if !c.dry {
			if err := r.saveOperators(ctx, c.operators); err != nil {
				return false, err
			}
		}
	}
	closing.Machine = closing.Machine || plan.ClosedByCommit(i, closing.At)
	closing.Early = !i.Leads() && plan.ClosedEarly(i, closing.At) // else each of those that it leads is looked at
	if !closing.Operator && !ignored && !c.dry {
		if _, err := r.opt.State.Change(ctx, i.ID, func(i *incident.Incident) {
			i.IgnoredClosing, i.IgnoredClosed = closing.Entry, closing.At
		}); err != nil {
			return false, err
		}
	}
	if closing.Resumes() {
		if closing.Done, err = r.resumedSince(ctx, c, i, i.Issue, closing.At); err != nil {
			return false, err
		}
	}
	c.closings.set(keyOf(i), closing)
	return true, nil
}

// ClosedByCommit saves that, according to the tracker, a commit closed the issue of an incident. Such a closing does not resume the
// project.
func (r *Reconciler) ClosedByCommit(ctx context.Context, i incident.Incident, at time.Time) error {
	_, err := r.opt.State.Change(ctx, i.ID, func(i *incident.Incident) { i.ClosedByCommit = at })
	return err
}

// resumeClosed ends an incident whose issue an operator closed. Everything is read again before the flag is removed.
func (r *Reconciler) resumeClosed(ctx context.Context, s *step) (progress, error) {
	i := s.incident
	closed, err := r.confirmState(ctx, plan.IssueClosed, s)
	if !closed {
		return replan, err
	}
	closing, ok := s.cache.closings.get(keyOf(i))
	if !ok {
		return later, nil
	}
	if i.Leads() {
		return r.resumeMembers(ctx, s, closing)
	}
	if err := r.endClosed(ctx, i, i, closing); err != nil {
		return later, err
	}
	if i, err = r.opt.State.Change(ctx, i.ID, func(*incident.Incident) {}); err != nil || i.IsOpen() {
		return later, err
	}
	// The issue is closed already, so no later step would write the comment: after a crash here the one in doubt is settled.
	key := incident.ResumedKey(i)
	s.incident = i
	if p, err := r.commentOnce(ctx, s, i.Issue, key, issuetext.ResumedComment(key, i)); p != complete || err != nil {
		return p, err
	}
	return changed, nil
}

// endClosed removes the flag and ends an incident that the issue of another one carries, or its own.
func (r *Reconciler) endClosed(ctx context.Context, of, i incident.Incident, closing incident.Closing) error {
	how := "resumed by @" + strings.TrimPrefix(redact.Line(closing.By.Login, 60), "@") + ", who closed the issue"
	_, err := r.resume(ctx, i.Project, how, func(ctx context.Context, p pauseState) (bool, error) {
		if p.Flag.State != incident.FlagThere || p.Pause().ID != i.ID || plan.ClosedBeforeHold(i, closing.At, p.Hold) {
			return false, nil
		}
		err := r.saveComment(ctx, of.ID, incident.ResumedKey(of), r.unwritten())
		return err == nil, err
	})
	return err
}

// stillPaused is the comment on a reopening. It names an operator's way to resume, and why the closing was none.
func (r *Reconciler) stillPaused(ctx context.Context, s *step, key string) string {
	i := s.incident
	var hint string
	if closing, ok := s.cache.closings.get(keyOf(i)); ok {
		if h, err := r.opt.State.Hold(ctx, i.Project); err == nil && h != nil && h.After(closing.At) {
			closing.Early = true
		}
		whom := "the project"
		if i.Leads() {
			whom = "what is still paused"
		}
		hint = "It was " + markdown.Text(closing.String()) + ": that does not resume " + whom + "."
	}
	if r.operable() {
		command := markdown.CodeSpan("/adf resume " + i.Project)
		if i.Leads() {
			command = "`/adf resume` for all, or `/adf resume PROJECT` for one,"
		}
		hint = strings.TrimSpace(hint + " An operator can also comment " + command + " here.")
	}
	if i.Leads() {
		return issuetext.SomeStillPausedComment(key, slices.DeleteFunc(slices.Clone(s.carried), func(m incident.Incident) bool { return !m.IsOpen() }), hint)
	}
	return issuetext.StillPausedComment(key, i, r.HowToResume(i.Project), hint)
}
