package escalate_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/gitea"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/incident"
)

// gauge is a transport that counts the requests under way.
type gauge struct {
	next http.RoundTripper

	mu        sync.Mutex
	now, most int
}

func (g *gauge) add(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now += n
	g.most = max(g.most, g.now)
}

func (g *gauge) RoundTrip(r *http.Request) (*http.Response, error) {
	g.add(1)
	defer g.add(-1)
	return g.next.RoundTrip(r)
}

// failMany trips so many projects whose issues nobody has opened yet.
func (w *world) failMany(n int) {
	w.rec.Options().Projects = nil
	for k := range n {
		p := fmt.Sprintf("p%02d", k)
		w.rec.Options().Projects = append(w.rec.Options().Projects, p)
		w.fail(p)
	}
}

// A sweep has at most eight requests in flight.
func TestRequestsInFlight(t *testing.T) {
	play(t, func(w *world) {
		w.failMany(40)
		g := &gauge{next: w.Gitea.Transport()}
		w.rec.Options().Tracker = w.over(g)
		w.Gitea.Inject(giteatest.Fault{Do: giteatest.Latency(time.Second)})
		begun := time.Now()
		w.sweep()
		require.Equal(w, 8, g.most)
		require.Len(w, w.issues(fleet), 40)
		require.Less(w, time.Since(begun), 8*time.Second, "two lists, and five times eight issues")
	})
}

// Requests of timelines are among the eight, and are observed.
func TestTimelinesInFlight(t *testing.T) {
	playClosing(t, func(w *world, id string) {
		w.failMany(40)
		w.sweep()
		for _, i := range w.issues(fleet) {
			w.Gitea.As("kim").Close(fleet, i.Number)
		}
		g := &gauge{next: w.Gitea.Transport()}
		var mu sync.Mutex
		observed := map[string]int{}
		w.rec.Options().Tracker = gitea.New(gitea.Options{URL: server, Tokens: w.tokens, Timeout: timeout, Transport: g,
			Observe: func(op string, status int, _ time.Duration) {
				mu.Lock()
				defer mu.Unlock()
				observed[fmt.Sprint(op, " ", status)]++
			}})
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.ListTimeline(), Times: 1, Do: giteatest.Status(502, "")})
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.ListTimeline(), Do: giteatest.Latency(time.Second)})
		_, err := w.sweepAnd(escalate.SweepOptions{})
		require.Error(w, err)
		require.Equal(w, 8, g.most)
		require.Equal(w, 80, observed["read the timeline of 200"], "two pages each: the second is empty")
		require.Equal(w, 1, observed["read the timeline of 502"])
	})
}

// A request that waited for its turn is stored as a new attempt.
func TestAttemptAfterAWait(t *testing.T) {
	play(t, func(w *world) {
		w.failMany(24)
		var mu sync.Mutex
		var ages []time.Duration // of the notes of the requests that arrived
		// fresh looks how old the note of a request is on disk when the request arrives.
		fresh := func(match func(*http.Request) bool, which func(i incident.Incident, r *http.Request) bool, noted func(i incident.Incident) time.Time) giteatest.Fault {
			return giteatest.Fault{Match: func(r *http.Request) bool {
				if !match(r) {
					return false
				}
				all, _ := w.store.Unsettled(w.Context(), "")
				for _, i := range all {
					if which(i, r) {
						mu.Lock()
						ages = append(ages, time.Since(noted(i)))
						mu.Unlock()
					}
				}
				return false
			}}
		}
		w.Gitea.Inject(fresh(giteatest.CreateIssue(), func(i incident.Incident, r *http.Request) bool {
			return giteatest.BodyHas("on " + i.Project + " failed")(r)
		}, func(i incident.Incident) time.Time { return i.Create.At }))
		w.Gitea.Inject(fresh(giteatest.CommentIssue(), func(i incident.Incident, r *http.Request) bool {
			return strings.HasSuffix(r.URL.Path, fmt.Sprintf("/issues/%d/comments", i.Issue.Number))
		}, func(i incident.Incident) time.Time { return i.Comments[i.ID+"/resumed"].Attempted }))
		w.Gitea.Inject(giteatest.Fault{Do: giteatest.Latency(timeout - time.Second)})
		w.sweep()
		require.Len(w, ages, 24)
		for _, p := range w.rec.Options().Projects {
			w.rm(p)
		}
		w.sweep()
		require.Len(w, ages, 48)
		require.LessOrEqual(w, slices.Max(ages), timeout/10)
	})
}
