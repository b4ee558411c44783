package gitea

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/redact"
)

// timelineJSON holds the fields of Gitea's answer that are used. The SDK's type lacks the pull requests that refer to
// the issue, and fails to decode the timeline of an issue with a label.
type timelineJSON struct {
	ID   int64  `json:"id"`
	Type string `json:"type"`
	User struct {
		ID    int64  `json:"id"`
		Login string `json:"login"`
	} `json:"user"`
	Body      string    `json:"body"`
	Created   time.Time `json:"created_at"`
	RefAction string    `json:"ref_action"`
	RefIssue  struct {
		PullRequest struct {
			MergedAt *time.Time `json:"merged_at"`
		} `json:"pull_request"`
	} `json:"ref_issue"`
}

// Timeline reads all pages. Gitea before 1.26 answers a request without a page with everything, later versions with the
// first page. X-Total-Count counts the entries of the page, and entries that the account may not see are missing from it,
// so only a page with nothing new is the end.
func (g *Client) Timeline(ctx context.Context, ref tracker.IssueRef) ([]tracker.TimelineEntry, error) {
	var out []tracker.TimelineEntry
	seen := map[int64]bool{}
	r, began := request{"read the timeline of", number(ref.Number), ref.Repo.String()}, time.Now()
	for page := 1; page <= maxPages; page++ {
		if time.Since(began) > maxListTime {
			return nil, r.slow(page - 1)
		}
		entries, err := g.timelinePage(ctx, r, ref, page)
		if err != nil {
			return nil, err
		}
		before := len(out)
		for _, e := range entries {
			if !seen[e.ID] {
				seen[e.ID] = true
				out = append(out, e.entry())
			}
		}
		if len(out) == before {
			return out, nil
		}
	}
	return nil, r.lost(fmt.Sprintf("more than %d pages", maxPages))
}

func (g *Client) timelinePage(ctx context.Context, r request, ref tracker.IssueRef, page int) (entries []timelineJSON, err error) {
	repo := url.PathEscape(ref.Repo.Owner) + "/" + url.PathEscape(ref.Repo.Name)
	path := fmt.Sprintf("repos/%s/issues/%d/timeline?page=%d&limit=%d", repo, ref.Number, page, pageSize)
	err = g.send(ctx, r, func(ctx context.Context) (*http.Response, error) {
		resp, err := g.json(ctx, http.MethodGet, path, nil, &entries)
		if err == nil && entries == nil && page == 1 { // after the last page it is null
			err = errAnswer
		}
		return resp, err
	})
	return entries, err
}

func (e timelineJSON) entry() tracker.TimelineEntry {
	by := tracker.Account{ID: e.User.ID, Login: name(e.User.Login)}
	t := tracker.TimelineEntry{ID: e.ID, Type: name(e.Type), By: by, Text: redact.Line(linkText(e.Body), maxLine), At: tracker.PossibleTime(e.Created),
		Closes: strings.EqualFold(e.RefAction, "closes")}
	if t.Closes {
		t.Merged = e.RefIssue.PullRequest.MergedAt
	}
	return t
}

// json makes a request without the SDK: it sends a value, unless that is nil, and decodes the answer.
func (g *Client) json(ctx context.Context, method, path string, value, answer any) (*http.Response, error) {
	var body io.Reader
	if value != nil {
		b, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	resp, err := g.request(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode/100 != 2 {
		var said struct{ Message string } // in JSON, if it is Gitea's answer
		_ = json.NewDecoder(resp.Body).Decode(&said)
		return resp, errors.New(cmp.Or(said.Message, http.StatusText(resp.StatusCode)))
	}
	return resp, json.NewDecoder(resp.Body).Decode(answer)
}

// request sends a request without the SDK.
func (g *Client) request(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, g.opt.URL+"/api/v1/"+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return g.http.Do(req)
}

var tags = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`<[^>]*>`) })

// linkText returns the text of an HTML link, as in the body of a commit_ref.
func linkText(s string) string { return html.UnescapeString(tags().ReplaceAllString(s, "")) }

// issueNumber returns the number at the end of an issue's URL, or 0 for any other URL, e.g. of a pull request.
func issueNumber(link string) int64 {
	i := strings.LastIndex(link, "/issues/")
	if i < 0 {
		return 0
	}
	n, err := strconv.ParseInt(link[i+len("/issues/"):], 10, 64)
	if err != nil {
		return 0
	}
	return max(n, 0)
}
