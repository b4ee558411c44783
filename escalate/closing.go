package escalate

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/markdown"
	"github.com/terraphim/adfbot/internal/redact"
)

// closing asks who closed the issue of an incident. Where Gitea does not tell at all, nobody did who may; while it can't
// be reached, or gives no timeline for an answer, or the operators are not known, that is an error and nothing is concluded.
// Who closed it and was no operator then has given no order, whatever becomes of them: that is noted.
func (r *Reconciler) closing(ctx context.Context, p *pass, i incident.Incident) (*incident.Closing, error) {
	if !r.Settings.CloseResumes {
		return nil, nil
	}
	if p.ops == nil {
		return nil, errLater // why they are not known is reported already
	}
	entries, err := r.Gitea.Timeline(ctx, i.Issue)
	if tracker.OutcomeOf(err) == tracker.Refused && !tracker.IsStatus(err, http.StatusTooManyRequests) && !tracker.IsStatus(err, http.StatusUnauthorized) {
		r.Log.Warn("Gitea does not tell who closed the issue, so nobody is resumed by that", "issue", i.Issue.String(), "err", err)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c, ok := plan.LastClosing(entries)
	if !ok && slices.ContainsFunc(entries, func(e tracker.TimelineEntry) bool { return e.Type == "reopen" }) {
		return nil, errLater // it was opened again meanwhile
	}
	if !ok {
		return nil, nil // an issue that was imported, or closed by other means than Gitea's
	}
	judged := c.Entry != 0 && c.Entry == i.IgnoredClosing
	c.Operator, c.Early = !judged && p.ops.may(c.By), plan.ClosedEarly(i, c.At)
	if !c.Operator && !judged && !p.dry {
		if _, err := r.State.Change(ctx, i.ID, func(i *incident.Incident) { i.IgnoredClosing = c.Entry }); err != nil {
			return nil, err
		}
	}
	if c.Resumes() {
		if c.Done, err = r.resumedSince(ctx, i, i.Issue, c.At, p); err != nil {
			return nil, err
		}
	}
	p.setClosing(i, c)
	return &c, nil
}

func (p *pass) setClosing(i incident.Incident, c incident.Closing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closings == nil {
		p.closings = map[sight]incident.Closing{}
	}
	p.closings[sightOf(i)] = c
}

// closedBy is who closed an incident's issue, as far as this pass has asked.
func (p *pass) closedBy(i incident.Incident) (incident.Closing, bool) {
	if p == nil {
		return incident.Closing{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.closings[sightOf(i)]
	return c, ok
}

// resumeClosed ends an incident whose issue an operator closed. Everything is read again before the flag is removed.
func (r *Reconciler) resumeClosed(ctx context.Context, i incident.Incident, p *pass) error {
	closed, err := r.still(ctx, plan.IssueClosed, i, p)
	if !closed {
		return err
	}
	c, ok := p.closedBy(i)
	if !ok {
		return errLater
	}
	if err := r.endClosed(ctx, i, c); err != nil {
		return err
	}
	if i, err = r.State.Change(ctx, i.ID, func(*incident.Incident) {}); err != nil || i.IsOpen() {
		return err
	}
	key := incident.ResumedKey(i)
	// The issue is closed already, so no later step would make the comment: after a crash here the one in doubt is settled.
	return r.say(ctx, i, i.Issue, key, issuetext.ResumedComment(key, i), p)
}

// endClosed removes the flag and ends the incident, under the lock of the flag.
func (r *Reconciler) endClosed(ctx context.Context, i incident.Incident, c incident.Closing) error {
	unlock, err := r.State.LockHere(ctx, "flag/"+i.Project, orderWait)
	if err != nil {
		return err
	}
	defer unlock()
	if flag := r.Look(i.Project); flag.State != incident.FlagThere {
		return errLater
	}
	open, err := r.openIncident(ctx, i.Project)
	if err != nil || open == nil || open.ID != i.ID {
		return err
	}
	// Begun so long ago that it is looked for before it is made.
	if err := r.noteComment(ctx, i.ID, incident.ResumedKey(i), incident.Comment{Attempted: r.Now().Add(-2 * r.Settings.Timeout)}); err != nil {
		return err
	}
	if _, err := r.Pause.Remove(i.Project); err != nil {
		return fmt.Errorf("%s is still paused: %w", i.Project, err)
	}
	r.step("closed-flag-removed")
	how := "resumed by @" + strings.TrimPrefix(redact.Line(c.By.Login, 60), "@") + ", who closed the issue"
	if _, err := r.State.Resume(ctx, i.Project, i.ID, how, r.Now()); err != nil {
		return err
	}
	r.step("closed-resumed")
	r.Log.Info("project resumed", "project", i.Project, "incident", i.Name(), "how", how)
	return nil
}

// stillPaused is the comment on a reopening. It tells an operator's way out, and why a closing was none.
func (r *Reconciler) stillPaused(key string, i incident.Incident, p *pass) string {
	var hint string
	if c, ok := p.closedBy(i); ok {
		hint = "It was " + markdown.Text(c.String()) + ": that does not resume the project."
	}
	if r.Settings.Operable {
		hint = strings.TrimSpace(hint + " An operator can also comment `/adf resume` here.")
	}
	s := issuetext.StillPausedComment(key, i, r.Pause.FlagPath(i.Project))
	if hint == "" {
		return s
	}
	marker := tracker.CommentMarker(key)
	return strings.TrimSuffix(s, marker) + hint + "\n\n" + marker
}
