package web

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/yardstick"
)

const (
	tripping     = 1000
	tripsAtOnce  = 8
	tripsTurns   = 5
	tripsLatency = 5 * time.Millisecond
	tripsRepo    = "terraphim/adf-fleet"
)

// slowGitea is the station's Gitea at the other end of a real connection. It takes 5 ms for each answer.
func slowGitea(s *station) (url string, end func()) {
	server := httptest.NewServer(s.gitea)
	s.gitea.SetBaseURL(server.URL)
	s.gitea.Inject(giteatest.Fault{Do: giteatest.Latency(tripsLatency)})
	return server.URL, server.Close
}

// tripsAt has each client call do for its share of the projects, all clients at once, and returns how long that took.
func tripsAt(b *testing.B, do func(client, project int) error) time.Duration {
	b.Helper()
	var wg sync.WaitGroup
	begun := time.Now()
	for c := range tripsAtOnce {
		wg.Go(func() {
			for n := c; n < tripping; n += tripsAtOnce {
				if err := do(c, n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(begun)
	require.False(b, b.Failed())
	return took
}

// tripSample is what a trip left: the yardstick writes and sends as much.
type tripSample struct {
	issue giteatest.Issue
	flag  []byte
}

// reportTrips has every project fail three times over HTTP and returns how long the third failures took. Nothing sweeps,
// so every flag and issue it finds was made before the last answer. An earlier trip made the labels and the account known.
func reportTrips(b *testing.B) (time.Duration, tripSample) {
	b.Helper()
	var projects strings.Builder
	for n := range tripping {
		fmt.Fprintf(&projects, "  - id: p%d\n", n)
	}
	edits := []string{"  - id: quiet\n", "  - id: quiet\n" + projects.String()}
	s := newStation(b, edits...)
	url, end := slowGitea(s)
	defer end()
	s.cfg = s.config(append(edits, stationGitea, url)...)
	s.reopenOver(nil)
	v := s.serve()
	defer func() {
		require.NoError(b, v.stopped(b))
		require.NoError(b, s.bot.Close())
	}()
	var clients []*reporter
	for range tripsAtOnce {
		conn, err := net.Dial("tcp", s.addr())
		require.NoError(b, err)
		defer conn.Close()
		clients = append(clients, &reporter{conn: conn, in: bufio.NewReader(conn)})
	}
	_, err := clients[0].post(`{"project":"digital-twins","outcome":"failure"}`) // its threshold is 1
	require.NoError(b, err)
	require.Len(b, s.gitea.Issues(tripsRepo), 1)

	var took time.Duration
	for failure := range 3 {
		took = tripsAt(b, func(client, project int) error {
			r, err := clients[client].post(fmt.Sprintf(`{"project":"p%d","outcome":"failure","output":"boom"}`, project))
			if err == nil && (r.Tripped != (failure == 2) || len(r.Problems) > 0) {
				err = fmt.Errorf("failure %d of p%d: tripped %t, problems %q", failure+1, project, r.Tripped, r.Problems)
			}
			return err
		})
	}
	issues := s.gitea.Issues(tripsRepo)
	require.Len(b, issues, tripping+1)
	titles := map[string]bool{}
	for _, i := range issues {
		require.Equal(b, "open", i.State)
		titles[i.Title] = true
	}
	require.Len(b, titles, tripping+1, "an issue for each project")
	for n := range tripping {
		require.FileExists(b, filepath.Join(s.cfg.PauseDir, fmt.Sprint("p", n)))
	}
	flag, err := os.ReadFile(filepath.Join(s.cfg.PauseDir, "p0"))
	require.NoError(b, err)
	return took, tripSample{issues[tripping], flag}
}

// bareTrips does the least that a trip needs for each project: a record and a flag on disk, and one request.
func bareTrips(b *testing.B, sample tripSample) time.Duration {
	b.Helper()
	s := newStation(b)
	var labels []int64
	for _, name := range sample.issue.Labels {
		labels = append(labels, s.gitea.AddLabel(tripsRepo, name))
	}
	url, end := slowGitea(s)
	defer end()
	body, err := json.Marshal(map[string]any{"title": sample.issue.Title, "body": sample.issue.Body, "labels": labels})
	require.NoError(b, err)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = tripsAtOnce
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	post := func() error {
		q, err := http.NewRequest(http.MethodPost, url+"/api/v1/repos/"+tripsRepo+"/issues", bytes.NewReader(body))
		if err != nil {
			return err
		}
		q.Header.Set("Authorization", "token "+giteaToken)
		q.Header.Set("Content-Type", "application/json")
		r, err := client.Do(q)
		if err != nil {
			return err
		}
		defer r.Body.Close()
		if _, err = io.Copy(io.Discard, r.Body); err == nil && r.StatusCode != http.StatusCreated {
			err = errors.New(r.Status)
		}
		return err
	}
	flags := s.path("flags")
	require.NoError(b, os.Mkdir(flags, 0o750))
	record, publish := yardstick.Append(b, s.dir, 256), yardstick.Publish(b, flags, sample.flag)
	took := tripsAt(b, func(_, project int) error {
		record()
		publish(fmt.Sprint("p", project))
		return post()
	})
	require.Len(b, s.gitea.Issues(tripsRepo), tripping)
	return took
}

func BenchmarkCostOfAThousandTripsOverHTTP(b *testing.B) {
	var sample tripSample
	trips := func() (took time.Duration) {
		took, sample = reportTrips(b)
		return took
	}
	s, y := yardstick.CompareTimed(b, tripsTurns, trips, func() time.Duration { return bareTrips(b, sample) })
	yardstick.Row{
		What: "1,000 trips reported over HTTP by 8 clients, Gitea of 5 ms", Measured: yardstick.Took(s),
		Yardstick: "1,000 bare POSTs of the same size by 8 clients, each with a synced append and a flag published durably: " +
			yardstick.Took(y),
		Value: s.Seconds() / y.Seconds(), Unit: "×", Goal: 1.5,
	}.Report(b)
}
