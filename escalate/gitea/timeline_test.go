package gitea

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/redact"
)

// replay answers every request with one recorded answer.
type replay struct {
	t    *testing.T
	name string
	path string
}

func (r *replay) RoundTrip(q *http.Request) (*http.Response, error) {
	r.path = q.URL.RequestURI()
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "gitea-recordings", r.name+".json"))
	require.NoError(r.t, err)
	var rec struct {
		Response struct {
			Status  int
			Headers map[string]string
			Body    json.RawMessage
		}
	}
	require.NoError(r.t, json.Unmarshal(b, &rec))
	header := http.Header{}
	for name, value := range rec.Response.Headers {
		header.Set(name, value)
	}
	return &http.Response{StatusCode: rec.Response.Status, Header: header,
		Body: io.NopCloser(strings.NewReader(string(rec.Response.Body))), Request: q}, nil
}

type fixedToken struct{}

func (fixedToken) Token() (string, error) { return "t", nil }
func (fixedToken) Reload() (bool, error)  { return false, nil }

func recordedGitea(t *testing.T, name string) (*Client, *replay) {
	r := &replay{t: t, name: name}
	return New(Options{URL: "http://127.0.0.1:3000", Tokens: fixedToken{}, Timeout: time.Second, Transport: r, Redact: redact.New()}), r
}

var recordedIssue = tracker.IssueRef{Repo: tracker.Repo{Server: "http://127.0.0.1:3000", Owner: "terraphim", Name: "rec"}, Number: 11}

func TestTheRecordedTimelinesTellWhoClosed(t *testing.T) {
	for name, want := range map[string]incident.Closing{
		"issue-timeline":                  {Entry: 438, By: tracker.Account{ID: 1, Login: "root1"}},
		"issue-timeline-closed-by-commit": {Entry: 443, By: tracker.Account{ID: 1, Login: "root1"}, Machine: true},
	} {
		t.Run(name, func(t *testing.T) {
			g, r := recordedGitea(t, name)
			entries, err := g.Timeline(context.Background(), recordedIssue)
			require.NoError(t, err)
			require.Equal(t, "/api/v1/repos/terraphim/rec/issues/11/timeline", r.path, "without a page: all of it")
			c, ok := plan.LastClosing(entries)
			require.True(t, ok)
			require.False(t, c.At.IsZero())
			c.At = time.Time{}
			require.Equal(t, want, c)
		})
	}
}

func TestTheRecordedCommentsAreRead(t *testing.T) {
	g, r := recordedGitea(t, "repo-comments-since")
	list, err := g.CommentsSince(context.Background(), recordedIssue.Repo, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	require.Contains(t, r.path, "/api/v1/repos/terraphim/rec/issues/comments?")
	require.Contains(t, r.path, "since=2026-01-01T00%3A00%3A00Z")
	require.Len(t, list, 2)
	require.Equal(t, "/adf resume", list[1].Body)
	require.EqualValues(t, 1, list[1].Number)
	require.Equal(t, tracker.Account{ID: 1, Login: "root1"}, list[1].By)
	require.True(t, list[1].Updated.Equal(list[1].Created))
}

func TestLastClosing(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	alex, kim := tracker.Account{ID: 5, Login: "alex"}, tracker.Account{ID: 6, Login: "kim"}
	e := func(kind string, by tracker.Account, after time.Duration, text string) tracker.TimelineEntry {
		return tracker.TimelineEntry{Type: kind, By: by, At: at.Add(after), Text: text}
	}
	pull := func(after time.Duration, merged ...time.Duration) tracker.TimelineEntry {
		p := tracker.TimelineEntry{Type: "pull_ref", By: kim, At: at.Add(after), Closes: true}
		for _, m := range merged {
			when := at.Add(m)
			p.Merged = &when
		}
		return p
	}
	const h = time.Hour
	for name, tt := range map[string]struct {
		entries []tracker.TimelineEntry
		want    string // who; with a * where it was or may have been a machine; "" for none
	}{
		"nothing":                             {nil, ""},
		"never closed":                        {[]tracker.TimelineEntry{e("comment", alex, 0, "")}, ""},
		"closed":                              {[]tracker.TimelineEntry{e("close", alex, 0, "")}, "alex"},
		"the last one counts":                 {[]tracker.TimelineEntry{e("close", alex, 0, ""), e("reopen", kim, h, ""), e("close", kim, 2*h, "")}, "kim"},
		"open again":                          {[]tracker.TimelineEntry{e("close", alex, 0, ""), e("reopen", kim, h, "")}, ""},
		"words after it change nothing":       {[]tracker.TimelineEntry{e("close", alex, 0, ""), e("comment", kim, h, ""), e("commit_ref", alex, h, "closes #1")}, "alex"},
		"by a commit":                         {[]tracker.TimelineEntry{e("commit_ref", alex, 0, "x"), e("close", alex, time.Second, "")}, "alex*"},
		"somebody else's commit a moment ago": {[]tracker.TimelineEntry{e("commit_ref", kim, 0, "see #1"), e("close", alex, time.Second, "")}, "alex"},
		"a mention long ago":                  {[]tracker.TimelineEntry{e("commit_ref", alex, 0, "see #1"), e("close", alex, h, "")}, "alex"},
		"a closing word on a branch long ago": {[]tracker.TimelineEntry{e("commit_ref", kim, 0, "Resolves #1"), e("close", alex, h, "")}, "alex*"},
		"a word that only looks like it":      {[]tracker.TimelineEntry{e("commit_ref", kim, 0, "enclosed, prefix, unresolved #1"), e("close", alex, h, "")}, "alex"},
		"a commit that closed it before":      {[]tracker.TimelineEntry{e("commit_ref", kim, 0, "fixes #1"), e("close", kim, 0, ""), e("reopen", alex, h, ""), e("close", alex, 2*h, "")}, "alex"},
		"by a merge":                          {[]tracker.TimelineEntry{pull(0, h), e("close", alex, h, "")}, "alex*"},
		"merged long before":                  {[]tracker.TimelineEntry{pull(0, h), e("close", kim, h, ""), e("reopen", alex, 2*h, ""), e("close", alex, 3*h, "")}, "alex"},
		"not merged":                          {[]tracker.TimelineEntry{pull(0), e("close", alex, h, "")}, "alex"},
		"merged at once, and not told":        {[]tracker.TimelineEntry{pull(0), e("close", alex, time.Second, "")}, "alex*"},
	} {
		t.Run(name, func(t *testing.T) {
			c, ok := plan.LastClosing(tt.entries)
			got := c.By.Login
			if c.Machine {
				got += "*"
			}
			require.Equal(t, tt.want, got)
			require.Equal(t, tt.want != "", ok)
		})
	}
}

func TestIssueNumber(t *testing.T) {
	for link, want := range map[string]int64{
		"http://127.0.0.1:3000/terraphim/rec/issues/12": 12, "http://x/gitea/a/b/issues/1": 1,
		"": 0, "http://x/a/b/pulls/3": 0, "http://x/a/b/issues/": 0, "http://x/a/b/issues/-3": 0, "7": 0,
	} {
		require.Equal(t, want, issueNumber(link), link)
	}
}
