package gitea

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	sdk "code.gitea.io/sdk/gitea"

	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/redact"
)

// labelColors are those of Gitea's default label sets.
var labelColors = map[string]string{
	"adf": "#ee0701", "adf/repeat": "#e11d21", "circuit-breaker": "#fbca04",
	"priority/critical": "#b60205", "priority/high": "#d93f0b", "priority/medium": "#e99695", "priority/low": "#d4c5f9",
}

func (g *Client) Labels(ctx context.Context, repo tracker.Repo) (map[string]int64, error) {
	return g.labels(ctx, request{op: "list labels", where: repo.String()},
		func(c *sdk.Client, page sdk.ListOptions) ([]*sdk.Label, *sdk.Response, error) {
			return c.ListRepoLabels(repo.Owner, repo.Name, sdk.ListLabelsOptions{ListOptions: page})
		})
}

// OwnerLabels needs the scope read:organization, without which Gitea answers 403. For a user it answers 404.
func (g *Client) OwnerLabels(ctx context.Context, repo tracker.Repo) (map[string]int64, error) {
	ids, err := g.labels(ctx, request{op: "list labels of the organisation", where: repo.Owner},
		func(c *sdk.Client, page sdk.ListOptions) ([]*sdk.Label, *sdk.Response, error) {
			return c.ListOrgLabels(repo.Owner, sdk.ListOrgLabelsOptions{ListOptions: page})
		})
	if tracker.IsStatus(err, http.StatusForbidden) || tracker.IsStatus(err, http.StatusNotFound) {
		return map[string]int64{}, nil
	}
	return ids, err
}

func (g *Client) labels(ctx context.Context, r request, f pageCall[sdk.Label]) (map[string]int64, error) {
	ids := map[string]int64{}
	_, _, err := list(ctx, g, r, f, func(l *sdk.Label) {
		n := name(l.Name)
		if id, ok := ids[n]; !ok || l.ID < id {
			ids[n] = l.ID
		}
	})
	if err != nil {
		return nil, err
	}
	return ids, nil
}

// AddLabel creates a label. A label with a scope, like priority/high, is exclusive in that scope.
func (g *Client) AddLabel(ctx context.Context, repo tracker.Repo, name string) (int64, error) {
	opt := sdk.CreateLabelOption{Name: name, Color: cmp.Or(labelColors[strings.ToLower(name)], "#ededed"), Exclusive: strings.Contains(name, "/")}
	if name == "adf" {
		opt.Description = "AI dark factory escalation"
	}
	valid := func(l *sdk.Label) bool { return l != nil && l.ID != 0 }
	r := request{"make label", name, repo.String()}
	l, err := do(ctx, g, r, valid, func(c *sdk.Client) (*sdk.Label, *sdk.Response, error) {
		return c.CreateLabel(repo.Owner, repo.Name, opt)
	})
	if err != nil {
		return 0, err
	}
	return l.ID, nil
}

func (g *Client) DeleteLabel(ctx context.Context, repo tracker.Repo, id int64) error {
	r := request{"delete label", strconv.FormatInt(id, 10), repo.String()}
	valid := func(resp *sdk.Response) bool { return resp.StatusCode == http.StatusNoContent }
	_, err := do(ctx, g, r, valid, func(c *sdk.Client) (*sdk.Response, *sdk.Response, error) {
		resp, err := c.DeleteLabel(repo.Owner, repo.Name, id)
		return resp, resp, err
	})
	return err
}

func (g *Client) LabelIssue(ctx context.Context, ref tracker.IssueRef, ids []int64) ([]string, error) {
	r := request{"label", number(ref.Number), ref.Repo.String()}
	labels, err := do(ctx, g, r, notNull, func(c *sdk.Client) ([]*sdk.Label, *sdk.Response, error) {
		return c.AddIssueLabels(ref.Repo.Owner, ref.Repo.Name, ref.Number, sdk.IssueLabelsOption{Labels: ids})
	})
	return labelNames(labels), err
}

func labelNames(labels []*sdk.Label) (names []string) {
	for _, l := range labels {
		if l != nil {
			names = append(names, name(l.Name))
		}
	}
	return names
}

func (g *Client) Me(ctx context.Context) (tracker.Account, error) {
	u, err := g.user(ctx, request{op: "read the token's account", where: g.opt.URL}, (*sdk.Client).GetMyUserInfo)
	return account(u), err
}

func (g *Client) User(ctx context.Context, login string) (a tracker.Account, made time.Time, err error) {
	u, err := g.lookUp(ctx, login)
	if err != nil {
		return tracker.Account{}, made, err
	}
	return account(u), tracker.PossibleTime(u.Created), nil
}

// IsPerson reports whether a login is a person's. Gitea answers for an organisation, too, which usually has no e-mail address. One
// that was given an address is taken for a person.
func (g *Client) IsPerson(ctx context.Context, login string) (person bool, err error) {
	u, err := g.lookUp(ctx, login)
	return err == nil && u.Email != "", err
}

const opUser = "look up user"

func (g *Client) lookUp(ctx context.Context, login string) (*sdk.User, error) {
	r := request{opUser, redact.Line(login, 60), g.opt.URL}
	return g.user(ctx, r, func(c *sdk.Client) (*sdk.User, *sdk.Response, error) {
		return c.GetUserInfo(login)
	})
}

func (g *Client) user(ctx context.Context, r request, f call[*sdk.User]) (*sdk.User, error) {
	return do(ctx, g, r, func(u *sdk.User) bool { return u != nil && u.ID != 0 }, f)
}

// account converts a user. That of nil is zero.
func account(u *sdk.User) tracker.Account {
	if u == nil {
		return tracker.Account{}
	}
	return tracker.Account{ID: u.ID, Login: name(u.UserName)}
}

// MayOpenIssues reports whether the token may open issues in a repository. It leaves no trace: it sends a title that is
// empty, and Gitea refuses that only after it has looked at the token, the account and whether the repository is archived.
// Whether issues are enabled it does not check; a list does.
func (g *Client) MayOpenIssues(ctx context.Context, repo tracker.Repo) error {
	return g.probe(ctx, request{op: "try to open an issue", where: repo.String()}, repo, "issues", `{"title":""}`)
}

// MayWriteIssues reports whether the token's account may write a repository's issues: label and assign them, and reopen those
// of others. It leaves no trace: it sends a label without a name. Who may write pull requests only passes, too.
func (g *Client) MayWriteIssues(ctx context.Context, repo tracker.Repo) error {
	return g.probe(ctx, request{op: "try to make a label", where: repo.String()}, repo, "labels", `{"name":""}`)
}

var errAccepted = errors.New("what Gitea refuses was accepted")

// probe sends what Gitea refuses with 422 if it would take a valid one. Any other answer is an error.
func (g *Client) probe(ctx context.Context, r request, repo tracker.Repo, what, body string) error {
	path := "repos/" + url.PathEscape(repo.Owner) + "/" + url.PathEscape(repo.Name) + "/" + what
	return g.send(ctx, r, func(ctx context.Context) (*http.Response, error) {
		resp, err := g.request(ctx, http.MethodPost, path, strings.NewReader(body))
		if err != nil {
			return nil, err
		}
		defer func() { _ = resp.Body.Close() }()
		var answer struct{ Message string }
		err = json.NewDecoder(resp.Body).Decode(&answer)
		switch {
		case resp.StatusCode/100 == 2:
			return resp, errAccepted
		case err == nil && resp.StatusCode == http.StatusUnprocessableEntity:
			return resp, nil
		}
		return resp, errors.New(cmp.Or(answer.Message, http.StatusText(resp.StatusCode)))
	})
}

// Version returns the server's version. It needs no permission.
func (g *Client) Version(ctx context.Context) (string, error) {
	valid := func(v string) bool { return v != "" }
	v, err := do(ctx, g, request{op: "read version", where: g.opt.URL}, valid, (*sdk.Client).ServerVersion)
	return redact.Line(v, 40), err
}
