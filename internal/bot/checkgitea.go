package bot

import (
	"context"
	"net/http"
	"strings"

	"github.com/terraphim/adfbot/escalate/gitea"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/text"
)

// gitea checks Gitea, the token's account and every repository. It needs no state.
func (c *checker) gitea(ctx context.Context) {
	client, err := newClient(c.cfg, c.env, RedactorFor(c.cfg, c.env.Getenv))
	if c.failed("gitea", err) || client == nil {
		return
	}
	if _, err := c.cfg.Gitea.TokenSource(c.env.Getenv).Token(); err != nil {
		return // reported by token
	}
	if c.bot != nil && c.failed("gitea", c.bot.rec.TrackerError()) { // gitea.url was changed
		return
	}
	version, err := client.Version(ctx)
	if c.failed("gitea", err) {
		return
	}
	c.add(OK, "gitea", "%s answers, version %s", c.cfg.Gitea.URL, version)
	login := c.account(ctx, client)
	if login == "" {
		return
	}
	seen := map[tracker.Repo]bool{}
	for _, p := range c.cfg.Projects {
		repo := tracker.Repo{Server: c.cfg.Gitea.URL, Owner: p.Owner, Name: p.Repo}
		if !seen[repo] {
			seen[repo] = true
			c.repo(ctx, client, repo, login)
		}
	}
}

// account returns the login of the token's account, or "" after a finding that says why it is unknown.
func (c *checker) account(ctx context.Context, client *gitea.Client) string {
	want := c.cfg.Gitea.Login
	me, err := client.Me(ctx)
	switch {
	case tracker.IsStatus(err, http.StatusForbidden) && want != "":
		c.add(OK, "account", "%s, from gitea.login; not checked, because the token lacks the scope read:user", want)
		return want
	case tracker.IsStatus(err, http.StatusForbidden):
		c.add(Fail, "account", "the token may not read its own account: give it the scope read:user, or set gitea.login")
	case c.failed("account", err):
	case want != "" && !strings.EqualFold(me.Login, want):
		c.add(Fail, "account", "the token belongs to %s, and gitea.login is %s: correct one of them", me.Login, want)
	default:
		c.add(OK, "account", "%s (user id %d)", me.Login, me.ID)
		return me.Login
	}
	return ""
}

func (c *checker) repo(ctx context.Context, client *gitea.Client, repo tracker.Repo, login string) {
	issues, err := client.List(ctx, repo, login, false)
	if c.failed("repository", err) {
		return
	}
	open := text.Plural(len(issues), "open issue")
	archived, hasIssues, mayWrite, err := client.Repository(ctx, repo)
	switch {
	case tracker.IsStatus(err, http.StatusForbidden):
		c.add(OK, "repository", "%s, %s of %s; permissions are not checked, because the token lacks the scope read:repository", repo, open, login)
	case c.failed("repository", err):
	case archived:
		c.add(Fail, "repository", "%s is archived: unarchive it, or set gitea.owner and gitea.repo to another one", repo)
	case !hasIssues:
		c.add(Fail, "repository", "%s has its issues disabled: enable them in its settings", repo)
	case !mayWrite:
		c.add(Warn, "repository", "%s may not write to %s: issues are opened without labels and assignees, and cannot be reopened; give it write access", login, repo)
	default:
		c.add(OK, "repository", "%s, %s of %s", repo, open, login)
	}
	foreign := 0
	for _, i := range issues {
		if c.bot != nil && !i.Marker.IsZero() && i.Marker.Installation != c.bot.store.Installation() {
			foreign++
		}
	}
	if foreign > 0 {
		c.add(Warn, "repository", "%s has %s of another installation by %s: those of another bot, or of a state that was lost together with its pause directory; adfbot never touches them",
			repo, text.Plural(foreign, "open issue"), login)
	}
}
