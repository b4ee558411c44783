package bot

import (
	"context"
	"strings"

	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/pause"
)

// IssueEvent is what an event from Gitea says about itself. Nothing of it is believed: it only says where to look.
type IssueEvent struct {
	Sender tracker.Account // whose action it was
	Author int64           // of the issue
	Owner  string          // of the repository
	Repo   string
	Number int64  // of the issue
	Body   string // of the issue
}

// ProjectOfEvent returns the project whose issue an event is about, or "" if there is none or the event is the bot's
// own. A forged event costs one sweep of a project that is swept every minute anyway.
func (b *Bot) ProjectOfEvent(ctx context.Context, e IssueEvent) (string, error) {
	accounts, err := b.store.Accounts(ctx, b.cfg.Gitea.URL)
	if err != nil {
		return "", err
	}
	own := map[int64]bool{}
	for _, a := range accounts {
		own[a.ID] = true
	}
	if own[e.Sender.ID] || b.cfg.Gitea.Login != "" && strings.EqualFold(e.Sender.Login, b.cfg.Gitea.Login) {
		return "", nil
	}
	if m, ok := tracker.ParseMarker(e.Body); ok && m.Installation == b.store.Installation() && own[e.Author] && pause.CheckID(m.Project) == nil {
		if b.CheckKnown(ctx, m.Project) == nil {
			return m.Project, nil
		}
	}
	unsettled, err := b.store.Unsettled(ctx, "")
	if err != nil {
		return "", err
	}
	for _, i := range unsettled {
		if r := i.Issue; !r.IsZero() && r.Number == e.Number && strings.EqualFold(r.Repo.Owner, e.Owner) && strings.EqualFold(r.Repo.Name, e.Repo) {
			return i.Project, nil
		}
	}
	return "", nil
}
