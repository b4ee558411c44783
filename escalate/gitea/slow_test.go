package gitea

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
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
