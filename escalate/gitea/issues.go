package gitea

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	sdk "code.gitea.io/sdk/gitea"

	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/redact"
)

func (g *Client) List(ctx context.Context, repo tracker.Repo, login string, all bool) ([]tracker.Issue, error) {
	r := request{op: "list issues", where: repo.String()}
	opt := sdk.ListIssueOption{State: sdk.StateOpen, Type: sdk.IssueTypeIssue, CreatedBy: login}
	if all {
		opt.State = sdk.StateAll
	}
	var changed *tracker.Error
	for range 3 {
		var issues []tracker.Issue
		seen := map[int64]bool{}
		first, last, err := list(ctx, g, r, func(c *sdk.Client, page sdk.ListOptions) ([]*sdk.Issue, *sdk.Response, error) {
			opt.ListOptions = page
			return c.ListRepoIssues(repo.Owner, repo.Name, opt)
		}, func(i *sdk.Issue) {
			if !seen[i.ID] {
				seen[i.ID] = true
				issues = append(issues, issue(repo, i))
			}
		})
		if err != nil {
			var te *tracker.Error
			if login != "" && errors.As(err, &te) && tracker.IsStatus(err, http.StatusNotFound) {
				te.Detail += fmt.Sprintf(", or nobody has the login %q", login)
			}
			return nil, err
		}
		// When an issue is closed or deleted between two pages, the rest moves up and one is missed. The counts show it.
		if last < 0 || last == first && len(issues) >= last {
			return issues, nil
		}
		changed = r.lost("the list changed while it was read, three times; the next sweep reads it again")
		if last == first {
			changed = g.repeated(r, fmt.Sprintf("Gitea counts %d issues, and its pages hold %d", last, len(issues)))
		}
	}
	return nil, changed
}

// Readable lists one issue. It asks for issues only: if they are disabled, Gitea would list pull requests.
func (g *Client) Readable(ctx context.Context, repo tracker.Repo) error {
	r := request{op: "list issues", where: repo.String()}
	_, err := do(ctx, g, r, notNull, func(c *sdk.Client) ([]*sdk.Issue, *sdk.Response, error) {
		return c.ListRepoIssues(repo.Owner, repo.Name, sdk.ListIssueOption{
			ListOptions: sdk.ListOptions{Page: 1, PageSize: 1}, State: sdk.StateAll, Type: sdk.IssueTypeIssue,
		})
	})
	return err
}

func (g *Client) Get(ctx context.Context, repo tracker.Repo, n int64) (tracker.Issue, error) {
	r := request{"read issue", number(n), repo.String()}
	i, err := do(ctx, g, r, isIssue(n), func(c *sdk.Client) (*sdk.Issue, *sdk.Response, error) {
		return c.GetIssue(repo.Owner, repo.Name, n)
	})
	return issue(repo, i), err
}

func (g *Client) Create(ctx context.Context, repo tracker.Repo, n tracker.NewIssue) (tracker.Issue, error) {
	opt := sdk.CreateIssueOption{Title: n.Title, Body: n.Body, Labels: n.Labels, Assignees: n.Assignees}
	if !n.Due.IsZero() {
		opt.Deadline = &n.Due
	}
	valid := func(i *sdk.Issue) bool { return i != nil && i.Index != 0 }
	r := request{op: "create issue", where: repo.String()}
	i, err := do(ctx, g, r, valid, func(c *sdk.Client) (*sdk.Issue, *sdk.Response, error) {
		return c.CreateIssue(repo.Owner, repo.Name, opt)
	})
	return issue(repo, i), err
}

func (g *Client) SetOpen(ctx context.Context, ref tracker.IssueRef, open bool) (tracker.Issue, error) {
	op, state := "close issue", sdk.StateClosed
	if open {
		op, state = "reopen issue", sdk.StateOpen
	}
	valid := func(i *sdk.Issue) bool { return isIssue(ref.Number)(i) && i.State == state }
	i, err := g.edit(ctx, op, ref, valid, sdk.EditIssueOption{State: &state})
	return issue(ref.Repo, i), err
}

// Assign takes Gitea's 500 for a refusal: that is its answer for a login that cannot be assigned (recording
// issue-assign-unknown.json), and that of a database which fails, too. Without the right to write, Gitea answers 201 and assigns nobody.
func (g *Client) Assign(ctx context.Context, ref tracker.IssueRef, logins []string) error {
	edited, err := g.edit(ctx, "assign", ref, isIssue(ref.Number), sdk.EditIssueOption{Assignees: logins})
	var te *tracker.Error
	if errors.As(err, &te) && te.Status == http.StatusInternalServerError && te.Detail != webPage {
		te.Outcome, te.Advice = tracker.Refused, ""
		te.Detail = "a login is unknown, an organisation, or without access to the repository"
	}
	if err != nil {
		return err
	}
	has := issue(ref.Repo, edited).Assignees
	for _, login := range logins {
		if !slices.ContainsFunc(has, func(a tracker.Account) bool { return strings.EqualFold(a.Login, login) }) {
			return &tracker.Error{Op: "assign " + number(ref.Number), Where: ref.Repo.String(), Outcome: tracker.Refused,
				Detail: "Gitea assigned nobody: give the token's account write access to the repository"}
		}
	}
	return nil
}

// maxEdits bounds how often an edit is tried anew because somebody else was faster.
const maxEdits = 5

// EditText reads the text, and writes what edit changes of it. From version 1.26 on, Gitea refuses to replace a body that somebody has
// changed since it was read. With an earlier one, the text is read again after it was written.
func (g *Client) EditText(ctx context.Context, ref tracker.IssueRef, edit func(tracker.Text) tracker.Text) (err error) {
	path := fmt.Sprintf("repos/%s/%s/issues/%d", url.PathEscape(ref.Repo.Owner), url.PathEscape(ref.Repo.Name), ref.Number)
	r := request{"edit the text of", number(ref.Number), ref.Repo.String()}
	for range maxEdits {
		var was struct {
			Number         int64  `json:"number"`
			Title          string `json:"title"`
			Body           string `json:"body"`
			ContentVersion *int   `json:"content_version,omitempty"`
		}
		if err := g.send(ctx, r, func(ctx context.Context) (*http.Response, error) {
			resp, err := g.json(ctx, http.MethodGet, path, nil, &was)
			if err == nil && was.Number != ref.Number {
				err = errAnswer
			}
			return resp, err
		}); err != nil {
			return err
		}
		text := edit(tracker.Text{Title: was.Title, Body: was.Body})
		change := map[string]any{}
		if text.Title != was.Title {
			change["title"] = text.Title
		}
		if text.Body != was.Body {
			change["body"] = text.Body
			if was.ContentVersion != nil {
				change["content_version"] = *was.ContentVersion
			}
		}
		if len(change) == 0 {
			return nil
		}
		err = g.send(ctx, r, func(ctx context.Context) (*http.Response, error) {
			return g.json(ctx, http.MethodPatch, path, change, &struct{}{})
		})
		if !tracker.IsStatus(err, http.StatusConflict) && (err != nil || was.ContentVersion != nil) {
			return err
		}
	}
	return err
}

func (g *Client) edit(ctx context.Context, op string, ref tracker.IssueRef, valid func(*sdk.Issue) bool,
	change sdk.EditIssueOption) (*sdk.Issue, error) {
	r := request{op, number(ref.Number), ref.Repo.String()}
	return do(ctx, g, r, valid, func(c *sdk.Client) (*sdk.Issue, *sdk.Response, error) {
		return c.EditIssue(ref.Repo.Owner, ref.Repo.Name, ref.Number, change)
	})
}

func isIssue(n int64) func(*sdk.Issue) bool {
	return func(i *sdk.Issue) bool { return i != nil && i.Index == n }
}

// issue converts an issue. That of nil is zero.
func issue(repo tracker.Repo, i *sdk.Issue) tracker.Issue {
	if i == nil {
		return tracker.Issue{}
	}
	by := account(i.Poster)
	out := tracker.Issue{
		IssueRef: tracker.IssueRef{Repo: repo, ID: i.ID, Number: i.Index, URL: issueURL(i.HTMLURL, repo, i.Index)},
		Title:    redact.Line(i.Title, maxLine),
		AuthorID: by.ID, Author: by.Login, Open: i.State == sdk.StateOpen,
		Created: tracker.PossibleTime(i.Created), Updated: tracker.PossibleTime(i.Updated),
	}
	out.Marker, out.Members = tracker.ParseMarkers(i.Body)
	out.Ticked, out.Unticked = tracker.CountBoxes(i.Body)
	out.Test = tracker.ParseTestMarker(i.Body)
	if i.Deadline != nil {
		out.Due = *i.Deadline
	}
	out.Labels = labelNames(i.Labels)
	for _, u := range i.Assignees {
		if u != nil {
			out.Assignees = append(out.Assignees, account(u))
		}
	}
	return out
}
