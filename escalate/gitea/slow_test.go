package gitea

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/tracker"
)

// A list has an end in time, however many pages a server has and however long it takes for each.
func TestSlowList(t *testing.T) {
	for name, read := range map[string]func(*Client) error{
		"issues": func(g *Client) error {
			_, err := g.List(context.Background(), recordedIssue.Repo, "adf-bot", true)
			return err
		},
		"labels":   func(g *Client) error { _, err := g.Labels(context.Background(), recordedIssue.Repo); return err },
		"timeline": func(g *Client) error { _, err := g.Timeline(context.Background(), recordedIssue); return err },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				id := 0
				g := New(Options{URL: "https://git.example.org", Tokens: StaticToken("t"), Timeout: 10 * time.Second, Transport: fixed(func(r *http.Request) *http.Response {
					time.Sleep(9 * time.Second)
					id++
					body := strings.ReplaceAll(`[{"id":N,"number":N,"name":"N"}]`, "N", strconv.Itoa(id))
					return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}, "X-Total-Count": {"100000"}},
						Body: io.NopCloser(strings.NewReader(body))}
				})})
				began := time.Now()
				err := read(g)
				require.Equal(t, tracker.Lost, tracker.OutcomeOf(err))
				require.ErrorContains(t, err, "Gitea is slow: after 2m0s the list has not ended, with 14 pages read")
				require.LessOrEqual(t, time.Since(began), 2*time.Minute+10*time.Second)
			})
		})
	}
}

// Anybody who may comment can make a page larger than what is read. It is read in shorter ones.
func TestListOfLargeItems(t *testing.T) {
	t.Parallel()
	const items = 53
	large := strings.Repeat("x", maxAnswer/2+1000)
	g := New(Options{URL: "https://git.example.org", Tokens: StaticToken("t"), Timeout: time.Minute, Transport: fixed(func(r *http.Request) *http.Response {
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		var parts []string
		for n := (page - 1) * limit; n < min(page*limit, items); n++ {
			body := ""
			if n == 21 || n == 26 {
				body = large
			}
			parts = append(parts, `{"id":`+strconv.Itoa(n+1)+`,"user":{"id":3},"body":"/adf status\n`+body+`"}`)
		}
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}, "X-Total-Count": {strconv.Itoa(items)}},
			Body: io.NopCloser(strings.NewReader("[" + strings.Join(parts, ",") + "]"))}
	})})
	all, err := g.CommentsSince(t.Context(), recordedIssue.Repo, time.Time{})
	require.NoError(t, err)
	require.Len(t, all, items)
	for n, m := range all {
		require.EqualValues(t, n+1, m.ID)
		require.True(t, strings.HasPrefix(m.Body, "/adf status"))
		require.LessOrEqual(t, len(m.Body), 16<<10, "no more than commands need is kept")
	}
}

// An answer that begins and does not end in time has advice of its own.
func TestAnswerThatTrickles(t *testing.T) {
	g := New(Options{URL: "https://git.example.org", Tokens: StaticToken("t"), Timeout: time.Second, Transport: fixed(func(*http.Request) *http.Response {
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(iotest.ErrReader(context.DeadlineExceeded))}
	})})
	_, err := g.List(t.Context(), recordedIssue.Repo, "adf-bot", true)
	require.ErrorContains(t, err, "the answer did not end in time): see whether Gitea, or the way to it, is slow, or raise gitea.timeout")
}

// A server that asks to wait is asked for no list until then, but for some minutes at most: it may answer long before what it said.
func TestListsWaitAsAsked(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		after  string
		wait   time.Duration
	}{
		"a minute":     {429, "60", time.Minute},
		"an hour":      {503, "3600", 5 * time.Minute},
		"not at all":   {503, "", 0},
		"not to lists": {404, "60", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked, busy := 0, true
				g := New(Options{URL: "https://git.example.org", Tokens: StaticToken("t"), Timeout: 10 * time.Second, Transport: fixed(func(r *http.Request) *http.Response {
					asked++
					if busy {
						return &http.Response{StatusCode: c.status, Header: http.Header{"Retry-After": {c.after}, "Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(`{}`))}
					}
					return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(`[]`))}
				})})
				_, err := g.List(t.Context(), recordedIssue.Repo, "adf-bot", false)
				require.True(t, tracker.IsStatus(err, c.status))
				busy = false
				if c.wait > 0 {
					time.Sleep(c.wait - time.Second)
					_, err = g.Labels(t.Context(), tracker.Repo{Server: "https://git.example.org", Owner: "other", Name: "repo"})
					require.True(t, tracker.IsStatus(err, c.status))
					require.ErrorContains(t, err, "other/repo")
					var te *tracker.Error
					require.ErrorAs(t, err, &te)
					require.Equal(t, time.Second, te.RetryAfter)
					time.Sleep(time.Second)
				}
				require.Equal(t, 1, asked)
				_, err = g.List(t.Context(), recordedIssue.Repo, "adf-bot", false)
				require.NoError(t, err)
			})
		})
	}
}
