package gitea

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/tracker"
)

// unavailable is a server that answers every request with 503.
type unavailable struct{}

func (unavailable) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusServiceUnavailable, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

// An operation that is observed becomes a label of a metric, so it contains no number and no name.
func TestObserve(t *testing.T) {
	ctx, repo := context.Background(), recordedIssue.Repo
	for want, do := range map[string]func(g *Client) error{
		"read issue":           func(g *Client) error { _, err := g.Get(ctx, repo, 7); return err },
		"make label":           func(g *Client) error { _, err := g.AddLabel(ctx, repo, "priority/high"); return err },
		"look up user":         func(g *Client) error { _, _, err := g.User(ctx, "kim"); return err },
		"comment on":           func(g *Client) error { _, err := g.AddComment(ctx, recordedIssue, "x"); return err },
		"read the timeline of": func(g *Client) error { _, err := g.Timeline(ctx, recordedIssue); return err },
	} {
		var got string
		g := New(Options{URL: repo.Server, Tokens: StaticToken("t"), Timeout: time.Second, Transport: unavailable{},
			Observe: func(op string, status int, took time.Duration) {
				require.Equal(t, http.StatusServiceUnavailable, status)
				got = op
			}})
		require.Equal(t, tracker.Lost, tracker.OutcomeOf(do(g)))
		require.Equal(t, want, got)
	}
}

// A label that adfbot makes has the colour that people know from Gitea's own sets, also one of a step.
func TestLabelColour(t *testing.T) {
	var sent string
	g := New(Options{URL: "https://git.example.org", Tokens: StaticToken("t"), Timeout: time.Second, Transport: fixed(func(r *http.Request) *http.Response {
		body, _ := io.ReadAll(r.Body)
		sent = string(body)
		return &http.Response{StatusCode: http.StatusCreated, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(`{"id":5}`))}
	})})
	for name, colour := range map[string]string{
		"adf": "#ee0701", "adf/repeat": "#e11d21", "priority/critical": "#b60205", "Priority/Critical": "#b60205", "priority/high": "#d93f0b", "something else": "#ededed",
	} {
		_, err := g.AddLabel(t.Context(), recordedIssue.Repo, name)
		require.NoError(t, err)
		require.Contains(t, sent, `"color":"`+colour+`"`, name)
	}
}

// An edit sends the version of the text that it has read, so that Gitea refuses it where somebody was faster.
func TestEditText(t *testing.T) {
	var sent []string
	status := 201
	g := New(Options{URL: "https://git.example.org", Tokens: StaticToken("t"), Timeout: time.Second, Transport: fixed(func(r *http.Request) *http.Response {
		answer := &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(`{"id":5,"number":11,"body":"one","content_version":7}`))}
		if r.Method == http.MethodPatch {
			body, _ := io.ReadAll(r.Body)
			sent = append(sent, r.URL.Path+" "+string(body))
			answer.StatusCode = status
		}
		return answer
	})})
	same := func(t tracker.Text) tracker.Text { return t }
	upper := func(t tracker.Text) tracker.Text { return tracker.Text{Title: t.Title, Body: strings.ToUpper(t.Body)} }
	require.NoError(t, g.EditText(t.Context(), recordedIssue, same))
	require.Empty(t, sent)
	require.NoError(t, g.EditText(t.Context(), recordedIssue, upper))
	require.Equal(t, []string{`/api/v1/repos/terraphim/rec/issues/11 {"body":"ONE","content_version":7}`}, sent)
	status = 409
	require.True(t, tracker.IsStatus(g.EditText(t.Context(), recordedIssue, upper), 409))
	require.Len(t, sent, 1+maxEdits, "it is tried again, and not for ever")
	other := recordedIssue
	other.Number = 12
	require.Error(t, g.EditText(t.Context(), other, upper), "the answer is about another issue")
}
