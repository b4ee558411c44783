package gitea

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/terraphim/adfbot/escalate/tracker"
)

// timelineJSON is the part of Gitea's answer that matters here. The SDK's own type has no room for the pull requests that
// refer to the issue, and it fails on every issue that bears a label.
type timelineJSON struct {
	ID   int64  `json:"id"`
	Type string `json:"type"`
	User *struct {
		ID    int64  `json:"id"`
		Login string `json:"login"`
	} `json:"user"`
	Body      string    `json:"body"`
	Created   time.Time `json:"created_at"`
	RefAction string    `json:"ref_action"`
	RefIssue  *struct {
		PullRequest *struct {
			Merged   bool       `json:"merged"`
			MergedAt *time.Time `json:"merged_at"`
		} `json:"pull_request"`
	} `json:"ref_issue"`
}

// Timeline asks without a page: then Gitea answers with everything (recording issue-timeline.json).
func (g *Client) Timeline(ctx context.Context, ref tracker.IssueRef) ([]tracker.TimelineEntry, error) {
	c, ctx, cancel := g.call(ctx, fmt.Sprintf("read the timeline of #%d", ref.Number), ref.Repo.String())
	defer cancel()
	var list []timelineJSON
	resp, err := g.getJSON(ctx, fmt.Sprintf("repos/%s/%s/issues/%d/timeline", url.PathEscape(ref.Repo.Owner), url.PathEscape(ref.Repo.Name), ref.Number), &list)
	if err == nil && list == nil {
		err = errors.New(noList)
	}
	if err := c.end(resp, err); err != nil {
		return nil, err
	}
	var out []tracker.TimelineEntry
	for _, e := range list {
		t := tracker.TimelineEntry{ID: e.ID, Type: e.Type, Text: linkText(e.Body), At: e.Created}
		if e.User != nil {
			t.By = tracker.Account{ID: e.User.ID, Login: e.User.Login}
		}
		if t.Closes = strings.EqualFold(e.RefAction, "closes"); t.Closes && e.RefIssue != nil && e.RefIssue.PullRequest != nil {
			t.Merged = e.RefIssue.PullRequest.MergedAt
		}
		out = append(out, t)
	}
	return out, nil
}

// getJSON asks without the SDK.
func (g *Client) getJSON(ctx context.Context, path string, answer any) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url+"/api/v1/"+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := g.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return resp, errors.New(resp.Status)
	}
	return resp, json.NewDecoder(resp.Body).Decode(answer)
}

var tags = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`<[^>]*>`) })

// linkText is the text of the link that a commit_ref consists of.
func linkText(s string) string { return html.UnescapeString(tags().ReplaceAllString(s, "")) }

// issueNumber is the number at the end of an issue's URL; 0 for anything else, such as a pull request's comment.
func issueNumber(link string) int64 {
	base, number, ok := cutLast(link, "/")
	n, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil || n <= 0 || !strings.HasSuffix(base, "/issues") {
		return 0
	}
	return n
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
