package gitea

import (
	"context"
	"strings"
	"time"

	sdk "code.gitea.io/sdk/gitea"

	"github.com/terraphim/adfbot/escalate/tracker"
)

// Comments makes one request: the endpoint has no pages.
func (g *Client) Comments(ctx context.Context, ref tracker.IssueRef, since time.Time) ([]tracker.Comment, error) {
	r := request{"list comments of", number(ref.Number), ref.Repo.String()}
	all, err := do(ctx, g, r, notNull, func(c *sdk.Client) ([]*sdk.Comment, *sdk.Response, error) {
		return c.ListIssueComments(ref.Repo.Owner, ref.Repo.Name, ref.Number, sdk.ListIssueCommentOptions{Since: since.UTC()})
	})
	var out []tracker.Comment
	for _, m := range all {
		if m != nil {
			out = append(out, comment(m))
		}
	}
	return out, err
}

// CommentsSince misses no comment written meanwhile: the oldest come first, so new ones are on later pages.
func (g *Client) CommentsSince(ctx context.Context, repo tracker.Repo, since time.Time) ([]tracker.Comment, error) {
	var out []tracker.Comment
	r := request{op: "list new comments", where: repo.String()}
	_, _, err := list(ctx, g, r, func(c *sdk.Client, page sdk.ListOptions) ([]*sdk.Comment, *sdk.Response, error) {
		return c.ListRepoIssueComments(repo.Owner, repo.Name, sdk.ListIssueCommentOptions{ListOptions: page, Since: since.UTC()})
	}, func(m *sdk.Comment) {
		if m.Poster != nil {
			m.Body = beginning(m.Body)
			out = append(out, comment(m))
		}
	})
	return out, err
}

// beginning cuts a long text after a line, so that many such comments do not fill the memory.
func beginning(s string) string {
	if len(s) <= maxBeginning {
		return s
	}
	s = s[:maxBeginning]
	if end := strings.LastIndexByte(s, '\n'); end >= 0 {
		s = s[:end]
	}
	return strings.Clone(s)
}

func (g *Client) AddComment(ctx context.Context, ref tracker.IssueRef, body string) (tracker.Account, error) {
	r := request{"comment on", number(ref.Number), ref.Repo.String()}
	valid := func(m *sdk.Comment) bool { return m != nil && m.ID != 0 }
	m, err := do(ctx, g, r, valid, func(c *sdk.Client) (*sdk.Comment, *sdk.Response, error) {
		return c.CreateIssueComment(ref.Repo.Owner, ref.Repo.Name, ref.Number, sdk.CreateIssueCommentOption{Body: body})
	})
	if err != nil {
		return tracker.Account{}, err
	}
	return account(m.Poster), nil
}

func comment(m *sdk.Comment) tracker.Comment {
	return tracker.Comment{
		ID: m.ID, Number: issueNumber(m.IssueURL), By: account(m.Poster), Body: m.Body, Created: tracker.PossibleTime(m.Created), Updated: tracker.PossibleTime(m.Updated),
	}
}
