package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/yardstick"
)

// BenchmarkCostOfTheDaemonsMemory lets the real daemon trip a thousand projects, open their issues, take a hundred thousand
// results in, serve its page and metrics, and sweep, and reads then what it holds: the median from one sweep to the next. A
// megabyte is a million bytes.
func BenchmarkCostOfTheDaemonsMemory(b *testing.B) {
	program := goBuild(b, ".", "adfbot")
	var resident, anonymous, peak float64
	for b.Loop() { // once: it takes longer than a benchmark is given
		resident, anonymous, peak = daemonsMemory(b, program)
	}
	b.ReportMetric(peak, "peak-MB")
	for _, r := range []yardstick.Row{
		{What: "memory of the daemon after 1,000 trips and 100,000 results: resident", Value: resident, Goal: 40},
		{What: "the same: anonymous", Value: anonymous, Goal: 15},
	} {
		r.Measured, r.Yardstick, r.Unit = fmt.Sprintf("%.1f MB", r.Value), "–", "MB"
		r.Report(b)
	}
}

func daemonsMemory(b *testing.B, program string) (resident, anonymous, peak float64) {
	b.Helper()
	const projects, results, clients, period = 1000, 100_000, 64, 5 * time.Second
	g, err := newGitea()
	require.NoError(b, err)
	defer g.close()
	dir := b.TempDir()
	socket := filepath.Join(dir, "s")
	config := projectsOf(b, dir, g.url(), projects, "http:\n  socket: "+socket+"\nsweep:\n  schedule: \"@every "+period.String()+"\"\n")
	var log bytes.Buffer
	systemd := newManager(b, "")
	daemon := exec.Command(program, "serve")
	daemon.Env = []string{"ADFBOT_CONFIG=" + config, systemd.env()}
	daemon.Stderr = &log
	require.NoError(b, daemon.Start())
	defer func() {
		_ = daemon.Process.Signal(syscall.SIGTERM)
		require.NoError(b, daemon.Wait(), log.String())
	}()
	c := daemonAt(socket, clients)
	systemd.await("READY=1")

	id := func(n int) string { return "project-" + strconv.Itoa(n%projects) }
	require.NoError(b, c.report(3*projects, func(n int) (string, string) { return id(n), "failure" }))
	require.Eventually(b, func() bool { return g.count(theRepo, "open") == projects }, 2*time.Minute, 100*time.Millisecond, "not every trip has its issue")
	require.NoError(b, c.report(results-3*projects, func(n int) (string, string) { return id(n), "success" }))
	for _, page := range []string{"/", "/metrics", "/api/v1/projects"} {
		require.NoError(b, c.get(page))
	}
	c.http.CloseIdleConnections()
	// The next sweep may have begun before the last result, and what was pooled lives through two collections. The daemon is
	// not asked how many it has ended: that would cost memory again.
	g.ResetRequests()
	sweeps := func() int { return g.Operations() / (projects / 50) } // its pages of open issues
	require.Eventually(b, func() bool { return sweeps() >= 3 }, time.Minute, 100*time.Millisecond, "no sweep ends")
	pid := daemon.Process.Pid
	var all, own []float64
	for range time.Tick(period / 20) { // from one sweep to the next
		all, own = append(all, memoryOf(b, pid, "VmRSS")), append(own, memoryOf(b, pid, "RssAnon"))
		if len(all) == 20 {
			break
		}
	}
	slices.Sort(all)
	slices.Sort(own)
	return all[10], own[10], memoryOf(b, pid, "VmHWM")
}

// memoryOf reads a line of /proc/PID/status in megabytes.
func memoryOf(b *testing.B, pid int, line string) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(b, err)
	found := regexp.MustCompile(line + `:\s+(\d+) kB`).FindSubmatch(status)
	require.NotNil(b, found, line)
	kB, err := strconv.ParseFloat(string(found[1]), 64)
	require.NoError(b, err)
	return kB * 1024 / 1e6
}

// daemonClient asks a daemon over its socket.
type daemonClient struct {
	http    *http.Client
	clients int
}

func daemonAt(socket string, clients int) *daemonClient {
	return &daemonClient{clients: clients, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
		MaxIdleConnsPerHost: clients,
	}}}
}

func (c *daemonClient) do(req *http.Request, err error) (string, error) {
	if err != nil {
		return "", err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", req.Method, req.URL.Path, resp.Status, body)
	}
	return string(body), err
}

func (c *daemonClient) get(path string) error {
	_, err := c.do(http.NewRequest(http.MethodGet, "http://adfbot"+path, nil))
	return err
}

// report sends n results, from as many clients as there are; of tells project and outcome of each.
func (c *daemonClient) report(n int, of func(int) (string, string)) error {
	var next atomic.Int64
	failed := make(chan error, c.clients)
	var all sync.WaitGroup
	for range c.clients {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				id, outcome := of(i)
				body, err := json.Marshal(map[string]any{"project": id, "outcome": outcome, "host": "bigbox", "output": "what project-meta said\n"})
				if err == nil {
					req, err2 := http.NewRequest(http.MethodPost, "http://adfbot/api/v1/results", bytes.NewReader(body))
					if err2 == nil {
						req.Header.Set("Content-Type", "application/json")
					}
					_, err = c.do(req, err2)
				}
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(failed)
	return <-failed
}
