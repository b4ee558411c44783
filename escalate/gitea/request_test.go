package gitea

import (
	"context"
	"net/http"
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
		"look up user":         func(g *Client) error { _, err := g.User(ctx, "kim"); return err },
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
