package bot

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/terraphim/adfbot/escalate/gitea"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/text"
)

// gitea checks Gitea, the token's account and every repository. It needs no state. A check that fails does not end the
// others, unless they would fail for the same reason.
func (c *checker) gitea(ctx context.Context) {
	client, _, err := newClient(c.cfg, c.env, RedactorFor(c.cfg, c.env.Getenv))
	if c.failed("gitea", err) || client == nil {
		return
	}
	if _, err := c.cfg.Gitea.TokenSource(c.env.Getenv).Token(); err != nil {
		return // reported by token
	}
	if c.bot != nil && c.failed("gitea", c.bot.rec.TrackerError()) { // gitea.url was changed
		return
	}
	if !c.version(ctx, client) {
		return
	}
	login, ok := c.account(ctx, client)
	if !ok {
		return
	}
	if slices.ContainsFunc(c.cfg.Operators, func(operator string) bool { return strings.EqualFold(operator, login) }) {
		c.add(Warn, "operators", "%s is the bot's own account, whose comments and closings never count: give the bot an account of its own", login)
	}
	c.operators(ctx, client)
	var repos []tracker.Repo
	for _, p := range c.cfg.Projects {
		repo := tracker.Repo{Server: c.cfg.Gitea.URL, Owner: p.Owner, Name: p.Repo}
		if !slices.Contains(repos, repo) {
			repos = append(repos, repo)
		}
	}
	c.people(ctx, client, repos)
	for _, repo := range repos {
		c.repo(ctx, client, repo, login)
	}
	c.workflows(ctx, client)
}

// workflows checks whether the runs of the projects' workflows can be read, and the workflows be disabled where that is wanted.
func (c *checker) workflows(ctx context.Context, client *gitea.Client) {
	var disabled map[string]status.Workflow
	known := false // by whom they are disabled
	if c.bot != nil {
		var err error
		disabled, err = c.bot.DisabledWorkflows(ctx)
		known = err == nil
	}
	for _, p := range c.cfg.Projects {
		a := p.Actions
		if a.IsZero() {
			continue
		}
		repo := tracker.Repo{Server: c.cfg.Gitea.URL, Owner: a.Owner, Name: a.Repo}
		_, _, err := client.WorkflowRuns(ctx, repo, 1)
		var te *tracker.Error
		if errors.As(err, &te) && te.Status == http.StatusNotFound { // an older Gitea's is no JSON
			c.add(Fail, "actions", "%s: there is no %s, its Actions are disabled or hidden from the token's account, or Gitea is older than 1.26: %v", p.ID, repo, err)
			continue
		}
		if c.failed("actions", err) {
			continue
		}
		active, err := client.WorkflowActive(ctx, repo, a.Workflow)
		disabledFor := status.DisabledFor(p.ID, status.Workflow{Repo: a.Path(), Workflow: a.Workflow}, disabled)
		switch {
		case tracker.IsStatus(err, http.StatusNotFound):
			c.add(Fail, "actions", "%s: there is no workflow %s on the default branch of %s: correct projects[%s].actions", p.ID, a.Workflow, repo, p.ID)
			continue
		case c.failed("actions", err):
			continue
		case !active && !known:
			c.add(Warn, "actions", "%s: the workflow %s of %s is disabled; whether adfbot did that, and will enable it, is in the state, which was not read",
				p.ID, a.Workflow, repo)
		case !active && disabledFor != "" && disabledFor != p.ID:
			c.add(Warn, "actions", "%s: adfbot disabled the workflow %s of %s when %s was paused, and enables it when no project that has it is paused any more",
				p.ID, a.Workflow, repo, disabledFor)
		case !active && disabledFor == "":
			c.add(Warn, "actions", "%s: the workflow %s of %s is disabled, and adfbot knows of no pause for which it did that: to let it run, enable it on its page in Gitea",
				p.ID, a.Workflow, repo)
		}
		if a.Disable && c.failed("actions", client.MayDisableWorkflows(ctx, repo)) {
			continue
		}
		c.add(OK, "actions", "%s: the runs of %s in %s can be read", p.ID, a.Workflow, repo)
	}
}

// version reports whether Gitea answers. A refusal in Gitea's own words, or a fault, may be one of this request alone.
func (c *checker) version(ctx context.Context, client *gitea.Client) bool {
	version, err := client.Version(ctx)
	var te *tracker.Error
	switch {
	case err == nil:
		c.add(OK, "gitea", "%s answers, version %s", c.cfg.Gitea.URL, version)
		return true
	case errors.As(err, &te) && te.Status == http.StatusForbidden:
		c.add(Warn, "gitea", "%s does not tell its version, which adfbot can do without: %v", c.cfg.Gitea.URL, err)
		return true
	}
	c.failed("gitea", err)
	return te != nil && te.Status >= http.StatusInternalServerError
}

// account returns the login of the token's account, or "" after a finding that says why it is unknown. It returns false if
// the token is good for nothing.
func (c *checker) account(ctx context.Context, client *gitea.Client) (login string, ok bool) {
	want := c.cfg.Gitea.Login
	me, err := client.Me(ctx)
	switch {
	case tracker.LacksScope(err) && want != "":
		c.add(OK, "account", "%s, from gitea.login; not checked, because the token lacks the scope read:user", want)
		return want, true
	case tracker.LacksScope(err):
		c.add(Fail, "account", "the token may not read its own account: make one with the scope read:user too, or set gitea.login")
		return "", true
	case c.failed("account", err):
		return "", !tracker.IsStatus(err, http.StatusUnauthorized)
	case want != "" && !strings.EqualFold(me.Login, want):
		c.add(Fail, "account", "the token belongs to %s, and gitea.login is %s: correct one of them", me.Login, want)
		return me.Login, true
	}
	c.add(OK, "account", "%s (user id %d)", me.Login, me.ID)
	return me.Login, true
}

// operators reports operators who will not be able to act. It reports nothing if the token lacks the scope read:user.
func (c *checker) operators(ctx context.Context, client *gitea.Client) {
	for _, login := range c.cfg.Operators {
		person, err := client.IsPerson(ctx, login)
		switch renamed, nobody := tracker.IsNobody(err, login); {
		case renamed != "":
			c.add(Warn, "operators", "%s: this login was changed to %s: name that one in operators", login, renamed)
		case nobody:
			c.add(Warn, "operators", "%s: nobody has this login, or the profile is private: correct operators if the login is wrong", login)
		case err == nil && !person:
			c.add(Warn, "operators", "%s seems to be an organisation, which never comments: list its members instead", login)
		}
	}
}

// people reports those whom Gitea will not tell of an issue, or not assign. It may refuse others, too: it tells and assigns those who may read
// the repository.
func (c *checker) people(ctx context.Context, client *gitea.Client, repos []tracker.Repo) {
	e := c.cfg.Escalation
	c.addressed(ctx, client, "escalation", "escalation.assignees", e.Assignees, cannotBeAssigned)
	c.mentions(ctx, client, "escalation", "escalation.mentions", e.Mentions, repos)
	for n, s := range e.Steps {
		c.addressed(ctx, client, "steps", fmt.Sprintf("escalation.steps[%d].assign", n), s.Assign, cannotBeAssigned)
		c.mentions(ctx, client, "steps", fmt.Sprintf("escalation.steps[%d].mention", n), s.Mention, repos)
	}
	var others []string
	for _, p := range c.cfg.Projects {
		for _, login := range p.Assignees {
			if !slices.Contains(e.Assignees, login) && !slices.Contains(others, login) {
				others = append(others, login)
				c.addressed(ctx, client, "escalation", "assignees of "+p.Name(), []string{login}, cannotBeAssigned)
			}
		}
	}
}

// What Gitea does not do with an organisation, and what to do.
const (
	cannotBeAssigned = "cannot be assigned: list its members instead"
	isNotTold        = "is told nothing: mention its teams or members instead"
)

// mentions reports those of a list who will not hear of it. Gitea tells a team only of issues in repositories of its organisation.
func (c *checker) mentions(ctx context.Context, client *gitea.Client, what, key string, names []string, repos []tracker.Repo) {
	var logins []string
	for _, name := range names {
		org, _, team := strings.Cut(name, "/")
		if !team {
			logins = append(logins, name)
			continue
		}
		for _, repo := range repos {
			if !strings.EqualFold(repo.Owner, org) {
				c.doubt(what, "%s: Gitea does not tell the team %s of issues in %s/%s, which does not belong to %s: mention people, or a team of %s",
					key, name, repo.Owner, repo.Name, org, repo.Owner)
			}
		}
	}
	c.addressed(ctx, client, what, key, logins, isNotTold)
}

// addressed reports logins that are nobody's, or an organisation's.
func (c *checker) addressed(ctx context.Context, client *gitea.Client, what, key string, logins []string, organisation string) {
	for _, login := range logins {
		person, err := client.IsPerson(ctx, login)
		switch renamed, nobody := tracker.IsNobody(err, login); {
		case renamed != "":
			c.doubt(what, "%s: the login %s was changed to %s: correct it", key, login, renamed)
		case nobody:
			c.doubt(what, "%s: nobody has the login %s, or the profile is private: correct it if it is wrong", key, login)
		case err == nil && !person:
			c.doubt(what, "%s: %s seems to be an organisation, which %s", key, login, organisation)
		}
	}
}

// doubt adds a warning about somebody who is named.
func (c *checker) doubt(what, format string, args ...any) {
	if what == "steps" {
		c.stepsOK = ""
	}
	c.add(Warn, what, format, args...)
}

// repo checks whether issues can be opened in a repository. Whether the account may write its code does not matter, so
// Gitea's description of the repository does not help.
func (c *checker) repo(ctx context.Context, client *gitea.Client, repo tracker.Repo, login string) {
	account := login
	if login == "" {
		account = "the token's account"
	}
	err := client.MayOpenIssues(ctx, repo)
	if c.failed("repository", err) {
		return
	}
	issues, err := client.List(ctx, repo, login, false)
	switch {
	case tracker.IsStatus(err, http.StatusNotFound) && client.Readable(ctx, repo) == nil:
		c.add(Fail, "repository", "the issues of %s can be listed, but nobody has the login %s: set gitea.login to the token's account", repo, login)
		return
	case tracker.IsStatus(err, http.StatusNotFound):
		c.add(Fail, "repository", "%s is there, but its issues are disabled or hidden from %s: enable the issues in its settings, or give the account access to them",
			repo, account)
		return
	case c.failed("repository", err):
		return
	}
	open := text.Plural(len(issues), "open issue")
	switch err := client.MayWriteIssues(ctx, repo); {
	case tracker.IsStatus(err, http.StatusForbidden):
		c.add(Warn, "repository", "%s may open issues in %s, but not write to others: issues are opened without labels, assignees and due date; "+
			"give it write access to issues", account, repo)
	case !c.failed("repository", err):
		c.add(OK, "repository", "%s, %s of %s", repo, open, account)
	}
	c.foreign(repo, login, issues)
}

// foreign reports issues of another installation among those of the bot's account.
func (c *checker) foreign(repo tracker.Repo, login string, issues []tracker.Issue) {
	foreign := 0
	for _, i := range issues {
		if c.bot != nil && login != "" && !i.Marker.IsZero() && i.Marker.Installation != c.bot.store.Installation() {
			foreign++
		}
	}
	if foreign > 0 {
		c.add(Warn, "repository", "%s has %s of another installation by %s: those of another bot, or of a state that was lost together with its pause directory; adfbot never touches them",
			repo, text.Plural(foreign, "open issue"), login)
	}
}
