package escalate_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/gitea"
	"github.com/terraphim/adfbot/internal/redact"
)

func TestSweepProgress(t *testing.T) {
	play(t, func(w *world) {
		w.rec.Options().Projects = []string{"a", "b", "c"}
		var told [][2]int
		_, err := w.rec.Sweep(w.Context(), escalate.SweepOptions{Progress: func(done, total int) { told = append(told, [2]int{done, total}) }})
		require.NoError(t, err)
		require.Equal(t, [][2]int{{1, 3}, {2, 3}, {3, 3}}, told)
	})
}

// sameStatus is a transport that gives the same status to everything; 0: none.
type sameStatus int

func (a sameStatus) RoundTrip(r *http.Request) (*http.Response, error) {
	if a == 0 {
		return nil, http.ErrHandlerTimeout
	}
	return &http.Response{StatusCode: int(a), Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

// Requests are observed without what differs from one to the next.
func TestObservedRequests(t *testing.T) {
	type request struct {
		op     string
		status int
	}
	var mu sync.Mutex
	var seen []request
	for _, status := range []int{0, 401, 500} {
		g := gitea.New(gitea.Options{
			URL: server, Tokens: &tokens{now: "t"}, Timeout: time.Second, Transport: sameStatus(status), Redact: redact.New(),
			Observe: func(op string, status int, took time.Duration) {
				mu.Lock()
				defer mu.Unlock()
				require.GreaterOrEqual(t, took, time.Duration(0))
				seen = append(seen, request{op: op, status: status})
			},
		})
		_, err := g.Get(t.Context(), repoOf(fleet), 17)
		require.Error(t, err)
		_, err = g.AddLabel(t.Context(), repoOf(fleet), "priority/high")
		require.Error(t, err)
	}
	require.Equal(t, []request{{op: "read issue", status: 0}, {op: "make label", status: 0}, {op: "read issue", status: 401}, {op: "make label", status: 401}, {op: "read issue", status: 500}, {op: "make label", status: 500}}, seen)
}
