package escalate

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/markdown"
	"github.com/terraphim/adfbot/internal/redact"
)

// refWindow is how far a commit's reference and the closing that it causes may be apart. Gitea makes both in one go.
const refWindow = 10 * time.Second

// closingWord are the words with which Gitea lets a commit close an issue. As tags it is compiled when it is first used:
// most processes never look at a timeline.
var closingWord = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)\b(close[sd]?|fix(e[sd])?|resolve[sd]?)\b`)
})

// LastClosing reads from a timeline who closed the issue; false where it does not end in a closing.
//
// Gitea does not say why an issue was closed: a commit "closes #7" leaves a commit_ref and then a close by the pusher, in
// one go; a commit that was pushed to a branch first left its commit_ref then, and only the close comes with the merge; a
// pull request leaves a pull_ref when it is written, and a close when it is merged. So a closing counts as a person's own
// only if none of these can have caused it.
func LastClosing(entries []tracker.TimelineEntry) (incident.Closing, bool) {
	last := -1
	for n, e := range entries {
		switch e.Type {
		case "close":
			last = n
		case "reopen":
			last = -1
		}
	}
	if last < 0 {
		return incident.Closing{}, false
	}
	c := incident.Closing{Entry: entries[last].ID, By: entries[last].By, At: entries[last].At}
	for n, e := range entries[:last] {
		switch {
		case e.Type == "commit_ref":
			caused := causedBy(e, entries[n+1:last+1])
			c.Machine = c.Machine || caused == last-n-1 || caused < 0 && closingWord().MatchString(e.Text)
		case e.Closes && (e.Merged == nil && near(c.At, e.At) || e.Merged != nil && near(c.At, *e.Merged)):
			c.Machine = true
		}
	}
	return c, true
}

func near(a, b time.Time) bool { return a.Sub(b).Abs() <= refWindow }

// causedBy finds the closing that a commit caused when it was pushed, among the entries after its reference; -1: none. A
// commit closes once.
func causedBy(ref tracker.TimelineEntry, after []tracker.TimelineEntry) int {
	return slices.IndexFunc(after, func(e tracker.TimelineEntry) bool {
		return e.Type == "close" && e.By.ID == ref.By.ID && near(e.At, ref.At)
	})
}

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
	c, ok := LastClosing(entries)
	if !ok && slices.ContainsFunc(entries, func(e tracker.TimelineEntry) bool { return e.Type == "reopen" }) {
		return nil, errLater // it was opened again meanwhile
	}
	if !ok {
		return nil, nil // an issue that was imported, or closed by other means than Gitea's
	}
	judged := c.Entry != 0 && c.Entry == i.IgnoredClosing
	c.Operator, c.Early = !judged && p.ops.may(c.By), early(i, c.At)
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

// early tells whether the issue was closed before the flag was there. That can be only where the issue said NOT PAUSED at
// first; otherwise the flag came before the issue, and the clocks of two machines need not be compared.
func early(i incident.Incident, at time.Time) bool {
	_, told := i.Comments[incident.PausedKey(i)]
	return i.FlagWritten.IsZero() || (told || i.HeadedNotPaused) && at.Before(i.FlagWritten.Truncate(time.Second))
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

// byOperator plans to resume a project whose issue an operator closed. Nothing waits for that: it is an order.
func (p *planner) byOperator(i incident.Incident) bool {
	c, ok := p.o.Closings[i.ID]
	if !ok || !c.Resumes() || p.o.Flag.State != incident.FlagThere {
		return false
	}
	p.add(ResumeClosed, i, "the issue was "+c.String())
	return true
}

// resumeClosed ends an incident whose issue an operator closed. Everything is read again before the flag is removed.
func (r *Reconciler) resumeClosed(ctx context.Context, i incident.Incident, p *pass) error {
	closed, err := r.still(ctx, IssueClosed, i, p)
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
	return r.say(ctx, i, i.Issue, key, ResumedComment(key, i), p)
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
	s := StillPausedComment(key, i, r.Pause.FlagPath(i.Project))
	if hint == "" {
		return s
	}
	marker := tracker.CommentMarker(key)
	return strings.TrimSuffix(s, marker) + hint + "\n\n" + marker
}
