package bot_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/testworld"
	"github.com/terraphim/adfbot/internal/yardstick"
)

// What adfbot costs a Gitea, and how fast it gets through when everything fails at once. State and flags are on the disk
// under $TMPDIR, Gitea is the fake at the other end of a real connection, and everything is told to a log.

const (
	many     = 1000
	latency  = 5 * time.Millisecond
	atOnce   = 8 // requests of the yardstick in flight: as many as a sweep has
	turns    = 5
	earlier  = "earlier" // a project whose incident made the labels and the account known
	later    = "later"   // one that has not failed yet
	perFleet = "fleet-%04d"
)

// fleet is a machine with many projects, and its Gitea.
type fleet struct {
	*world
	url string
	end func()
}

// newFleet makes a machine, and a Gitea whose labels and account it knows from an earlier incident.
func newFleet(b *testing.B) *fleet {
	b.Helper()
	dir, err := os.MkdirTemp(b.TempDir(), "fleet-")
	require.NoError(b, err)
	yardstick.OnDisk(b, dir)
	f := &fleet{world: worldIn(b, dir)}
	f.runs = true // a sweep's waits are real
	server := httptest.NewServer(f.Gitea)
	f.url = server.URL
	f.Gitea.SetBaseURL(server.URL)
	f.end = func() {
		f.Gitea.Close()
		server.Close()
		require.NoError(b, os.RemoveAll(dir))
	}
	projects := []string{earlier, later}
	for n := range many {
		projects = append(projects, fmt.Sprintf(perFleet, n))
	}
	yaml, _, _ := strings.Cut(plainConfig, "projects:")
	f.configure(strings.ReplaceAll(yaml, "http://gitea.example", server.URL) + "breaker:\n  threshold: 1\nprojects:\n  - id: " +
		strings.Join(projects, "\n  - id: ") + "\n")
	f.as(bot.Daemon, nil, func(m *bot.Bot) {
		r, err := m.Record(ctx, trip(earlier))
		require.NoError(b, err)
		require.Empty(b, r.Problems)
		f.Remove(f.flag(earlier))
		rep, err := m.Sweep(ctx, escalate.SweepOptions{})
		require.NoError(b, err)
		require.Equal(b, 2, len(rep.Actions))
	})
	return f
}

// as opens a bot as a process does, with a log; network nil: the real one.
func (f *fleet) as(mode bot.Mode, network http.RoundTripper, do func(m *bot.Bot)) {
	f.Helper()
	m, err := bot.Open(ctx, f.cfg, mode, bot.Env{Getenv: f.getenv, Transport: network, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(f, err)
	do(m)
	require.NoError(f, m.Close())
}

// trip is a failure with as much output as an issue shows where nothing else is configured.
func trip(project string) (r store.Result) {
	r = failure(project)
	r.Started, r.Finished, r.Host = time.Now().Add(-time.Minute), time.Now(), "bigbox"
	r.Output = strings.Repeat("2026-11-23T12:00:00Z ERROR planner: model quota used up, 4711 tokens over (attempt 3 of 3)\n", 89)
	return r
}

// pending trips every project while Gitea can't be reached: the flags are written, the issues are left to a sweep.
func (f *fleet) pending() {
	f.Helper()
	f.as(bot.Results, down{}, func(m *bot.Bot) {
		var g errgroup.Group
		g.SetLimit(atOnce)
		for n := range many {
			g.Go(func() error {
				r, err := m.Record(ctx, trip(fmt.Sprintf(perFleet, n)))
				if err == nil && !r.Tripped {
					err = errors.New("no trip")
				}
				return err
			})
		}
		require.NoError(f, g.Wait())
	})
}

// down is a network without a server.
type down struct{}

func (down) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}

// sweeps is a sweep, as a person has it done who does not wait for the next try, and how long it took.
func (f *fleet) sweeps(steps int) (took time.Duration) {
	f.Helper()
	f.as(bot.Operate, nil, func(m *bot.Bot) {
		begun := time.Now()
		rep, err := m.Sweep(ctx, escalate.SweepOptions{Force: true})
		took = time.Since(begun)
		require.NoError(f, err)
		require.Equal(f, steps, len(rep.Actions))
	})
	return took
}

// bare is a Gitea alone, and requests without a bot.
type bare struct {
	*fleet
	http *http.Client
}

func newBare(b *testing.B) bare {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = atOnce
	x := bare{fleet: newFleet(b), http: &http.Client{Transport: t}}
	end := x.end
	x.end = func() { t.CloseIdleConnections(); end() }
	return x
}

func (x bare) ask(method, path string, body any) error {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		in = bytes.NewReader(b)
	}
	q, err := http.NewRequestWithContext(ctx, method, x.url+"/api/v1/repos/"+repo+"/issues"+path, in)
	if err != nil {
		return err
	}
	q.Header.Set("Authorization", "token "+token)
	q.Header.Set("Content-Type", "application/json")
	r, err := x.http.Do(q)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if _, err = io.Copy(io.Discard, r.Body); err == nil && r.StatusCode/100 != 2 {
		err = errors.New(method + " " + path + ": " + r.Status)
	}
	return err
}

// asks makes requests for many issues, with a few in flight.
func (x bare) asks(do func(n int) error) {
	x.Helper()
	var g errgroup.Group
	g.SetLimit(atOnce)
	for n := range many {
		g.Go(func() error { return do(n) })
	}
	require.NoError(x, g.Wait())
}

// open counts the open issues.
func (f *fleet) open() int { return len(f.issues("open")) }

// slow lets every answer take a while.
func (f *fleet) slow() { f.Gitea.Inject(giteatest.Fault{Do: giteatest.Latency(latency)}) }

// requests are those that Gitea gets meanwhile.
func (f *fleet) requests(do func()) float64 {
	f.Gitea.ResetRequests()
	do()
	return float64(f.Gitea.Operations())
}

func BenchmarkCostInRequests(b *testing.B) {
	var perTrip, perFailure, perSweep, perClose float64
	for b.Loop() {
		f := newFleet(b)
		f.pending()
		f.sweeps(many)
		perSweep = f.requests(func() { f.sweeps(0) })
		const some = 100
		for n := range some {
			f.Remove(f.flag(fmt.Sprintf(perFleet, n)))
		}
		perClose = (f.requests(func() { f.sweeps(2 * some) }) - perSweep) / some
		f.as(bot.Results, nil, func(m *bot.Bot) {
			for n, requests := range []*float64{&perTrip, &perFailure} {
				*requests = f.requests(func() {
					r, err := m.Record(ctx, trip(later))
					require.NoError(b, err)
					require.Empty(b, r.Problems)
					require.Equal(b, n == 0, r.Tripped)
				})
			}
		})
		require.Equal(b, many-some+1, f.open())
		f.end()
	}
	for _, r := range []yardstick.Row{
		{What: "requests per trip", Value: perTrip, Goal: 1},
		{What: "requests per repeated failure", Value: perFailure, Goal: 0},
		{What: "requests per sweep without change, 1,000 open issues", Value: perSweep, Goal: 20},
		{What: "requests per close, besides the sweep's list", Value: perClose, Goal: 3},
	} {
		r.Measured, r.Yardstick, r.Unit = fmt.Sprintf("%g", r.Value), "–", "requests"
		r.Report(b)
	}
}

// BenchmarkCostOfAStorm counts what 100 projects that trip together write to Gitea until all of them are in the issue, which the first
// sweep after that sees to. More is not written in the first ten minutes.
func BenchmarkCostOfAStorm(b *testing.B) {
	const some = 100
	var created, edited, commented int
	for b.Loop() {
		f := newFleet(b)
		f.cfg.Escalation.StormWindow = 15 * time.Minute
		f.Gitea.ResetRequests()
		f.as(bot.Results, nil, func(m *bot.Bot) {
			var g errgroup.Group
			for n := range some {
				g.Go(func() error {
					_, err := m.Record(ctx, trip(fmt.Sprintf(perFleet, n)))
					return err
				})
			}
			require.NoError(b, g.Wait())
		})
		for range 3 {
			f.as(bot.Operate, nil, func(m *bot.Bot) {
				_, err := m.Sweep(ctx, escalate.SweepOptions{Force: true})
				require.NoError(b, err)
			})
		}
		created, edited, commented = 0, 0, 0
		for _, r := range f.Gitea.Requests() {
			switch {
			case r.Method == http.MethodPatch:
				edited++
			case r.Method == http.MethodPost && strings.HasSuffix(r.Path, "/issues"):
				created++
			case r.Method == http.MethodPost && strings.HasSuffix(r.Path, "/comments"):
				commented++
			}
		}
		require.Equal(b, 1, f.open())
		f.end()
	}
	for _, r := range []yardstick.Row{
		{What: "issues of 100 projects that trip together", Value: float64(created), Goal: 1, Unit: "issues"},
		{What: "edits of it in the first ten minutes", Value: float64(edited), Goal: 20, Unit: "edits"},
		{What: "comments in it in the first ten minutes", Value: float64(commented), Goal: 2, Unit: "comments"},
	} {
		r.Measured, r.Yardstick = fmt.Sprintf("%g", r.Value), "–"
		r.Report(b)
	}
}

func BenchmarkCostOfAThousandEscalations(b *testing.B) {
	var sample giteatest.Issue
	sweep := func() time.Duration {
		f := newFleet(b)
		defer f.end()
		f.pending()
		f.slow()
		took := f.sweeps(many)
		require.Equal(b, many, f.open())
		sample = f.issues("open")[0]
		return took
	}
	posts := func() time.Duration {
		x := newBare(b)
		defer x.end()
		x.slow()
		begun := time.Now()
		x.asks(func(n int) error {
			return x.ask("POST", "", map[string]any{"title": sample.Title, "body": sample.Body, "labels": []int64{1, 2, 3}})
		})
		took := time.Since(begun)
		require.Equal(b, many, x.open())
		return took
	}
	s, y := yardstick.CompareTimed(b, turns, sweep, posts)
	yardstick.Row{
		What: "1,000 pending incidents escalated, 5 ms latency, 8 in flight", Measured: yardstick.Took(s),
		Yardstick: "1,000 bare POSTs of the same size, 8 in flight: " + yardstick.Took(y), Value: s.Seconds() / y.Seconds(), Unit: "×", Goal: 1.3,
	}.Report(b)
}

func BenchmarkCostOfAThousandClosings(b *testing.B) {
	var sample giteatest.Issue
	sweep := func() time.Duration {
		f := newFleet(b)
		defer f.end()
		f.pending()
		f.sweeps(many)
		for n := range many {
			require.NoError(b, os.Remove(filepath.Join(f.cfg.PauseDir, fmt.Sprintf(perFleet, n))))
		}
		f.slow()
		took := f.sweeps(2 * many)
		require.Zero(b, f.open())
		sample = f.issues("")[many]
		return took
	}
	requests := func() time.Duration {
		x := newBare(b)
		defer x.end()
		for range many {
			x.Gitea.As(testworld.Bot).Open(repo, sample.Title, sample.Body)
		}
		x.slow()
		begun := time.Now()
		for page := range many / 50 {
			require.NoError(b, x.ask("GET", fmt.Sprintf("?state=open&type=issues&created_by=%s&limit=50&page=%d", testworld.Bot, page+1), nil))
		}
		x.asks(func(n int) error {
			issue := fmt.Sprintf("/%d", n+2) // the first is that of the earlier incident
			return errors.Join(x.ask("GET", issue, nil),
				x.ask("POST", issue+"/comments", map[string]string{"body": sample.Comments[0].Body}),
				x.ask("PATCH", issue, map[string]string{"state": "closed"}))
		})
		took := time.Since(begun)
		require.Zero(b, x.open())
		return took
	}
	s, y := yardstick.CompareTimed(b, turns, sweep, requests)
	yardstick.Row{
		What: "a sweep that closes 1,000 issues, 5 ms latency, 8 in flight", Measured: yardstick.Took(s),
		Yardstick: "its 20 pages, 1,000 reads, comments and closings bare, 8 in flight: " + yardstick.Took(y),
		Value:     s.Seconds() / y.Seconds(), Unit: "×", Goal: 1.3,
	}.Report(b)
}
