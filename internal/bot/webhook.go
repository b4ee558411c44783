package bot

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/pause"
)

// IssueEvent is what an event from Gitea says about itself. It only says where to look, with two exceptions: the bot believes that a
// comment was edited and that a commit closed the issue, because Gitea's API does not always show these.
type IssueEvent struct {
	Sender tracker.Account // whose action it was
	Author tracker.Account // of the issue
	Owner  string          // of the repository
	Repo   string
	Number int64  // of the issue
	Body   string // of the issue

	ClosedByCommit time.Time // when a commit closed the issue; zero: none did

	Edited  bool            // Comment was edited
	Comment tracker.Comment // zero for an event about something else
}

// AcceptEvent returns the project whose issue an event is about, or "" if there is none or the event is the bot's own. A
// forged event costs one sweep of a project that is swept every minute anyway. It marks an edited comment, whose commands
// are not run any more, and a closing by a commit, which resumes nothing.
func (b *Bot) AcceptEvent(ctx context.Context, e IssueEvent) (project string, err error) {
	accounts, err := b.store.Accounts(ctx, b.cfg.Gitea.URL)
	if err != nil {
		return "", err
	}
	own := func(accounts []tracker.Account, a tracker.Account) bool {
		return slices.ContainsFunc(accounts, func(o tracker.Account) bool { return o.ID == a.ID }) ||
			b.cfg.Gitea.Login != "" && strings.EqualFold(a.Login, b.cfg.Gitea.Login)
	}
	now := accounts[max(len(accounts)-1, 0):] // one that the bot has left may be an operator's
	if own(now, e.Sender) {
		return "", nil
	}
	i, err := b.incidentOfEvent(ctx, e, own(accounts, e.Author))
	if err == nil && i.ID != "" && e.Edited && !own(now, e.Comment.By) {
		err = b.rec.CommentEdited(ctx, i, e.Comment)
	}
	if err == nil && !e.ClosedByCommit.IsZero() && i.Issue.Number == e.Number {
		err = b.rec.ClosedByCommit(ctx, i, e.ClosedByCommit)
	}
	return i.Project, err
}

// incidentOfEvent returns the incident of an event's issue. It has only an id and a project if it is not in the state.
func (b *Bot) incidentOfEvent(ctx context.Context, e IssueEvent, ownIssue bool) (incident.Incident, error) {
	if m, ok := tracker.ParseMarker(e.Body); ok && m.Installation == b.store.Installation() && ownIssue && pause.CheckID(m.Project) == nil {
		if b.CheckKnown(ctx, m.Project) == nil {
			found, err := b.store.Incidents(ctx, m.Incident)
			if err != nil {
				return incident.Incident{}, err
			}
			if len(found) == 1 && found[0].Project == m.Project {
				return found[0], nil
			}
			return incident.Incident{ID: m.Incident, Project: m.Project}, nil
		}
	}
	unsettled, err := b.store.Unsettled(ctx, "")
	if err != nil {
		return incident.Incident{}, err
	}
	for _, i := range unsettled {
		if r := i.Issue; !r.IsZero() && r.Number == e.Number && strings.EqualFold(r.Repo.Owner, e.Owner) && strings.EqualFold(r.Repo.Name, e.Repo) {
			return i, nil
		}
	}
	return incident.Incident{}, nil
}
