package bot_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/testpg"
	"github.com/terraphim/adfbot/internal/testworld"
	"github.com/terraphim/adfbot/internal/yardstick"
)

// How long it takes until all hosts of a fleet have the same flags. Twenty daemons run in this process, each with a pause directory and
// connections of its own, on one server that syncs to the disk. Everything shares this machine: hosts of their own are faster.

const (
	hosts      = 20
	oneByOne   = 100 // trips, and removals, of which the slowest but one in a hundred counts
	storms     = 3
	flagSize   = 1000 // bytes, about
	agreeEvery = 5 * time.Millisecond
	countEvery = 50 * time.Millisecond // to list 20 directories of 1,000 flags costs CPU, too
	settleTime = time.Minute           // for what should take two seconds
)

// cluster is a fleet on one server.
type cluster struct {
	*testing.B
	server *testpg.Server
	proxy  *testpg.Proxy // before the server, for the second half of the hosts
	cut    atomic.Bool   // the proxy cuts its connections
	gitea  *testworld.World
	bots   []*bot.Bot
	dirs   []string
}

// newCluster starts a cluster with its pause directories in a directory.
func newCluster(b *testing.B, pauses string) *cluster {
	b.Helper()
	dir := b.TempDir()
	yardstick.OnDisk(b, dir)
	c := &cluster{B: b, server: testpg.New(b, "fsync=on", "full_page_writes=on", "max_connections=200"), gitea: testworld.New(b, dir, time.Now)}
	c.proxy = c.server.Proxy(b)
	cuts := func(data []byte) ([]byte, bool) { return data, c.cut.Load() }
	c.proxy.SetFilters(cuts, cuts)
	server := httptest.NewServer(c.gitea.Gitea)
	b.Cleanup(server.Close)
	c.gitea.Gitea.SetBaseURL(server.URL)
	ctx, stop := context.WithCancel(ctx)
	var serving sync.WaitGroup
	b.Cleanup(func() {
		stop()
		serving.Wait()
		for _, m := range c.bots {
			require.NoError(b, m.Close())
		}
	})
	for n := range hosts {
		cfg := c.configure(n, server.URL, pauses)
		open := func(ctx context.Context) (*bot.Bot, error) {
			return bot.Open(ctx, cfg, bot.Daemon, bot.Env{Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
				Getenv: func(k string) string { return map[string]string{"BOT_TOKEN": token}[k] }})
		}
		m, err := open(ctx)
		require.NoError(b, err)
		c.bots, c.dirs = append(c.bots, m), append(c.dirs, cfg.PauseDir)
		serving.Go(func() {
			_ = bot.Serve(ctx, m, nil, func(ctx context.Context, _ *config.Config) (*bot.Bot, error) { return open(ctx) })
		})
	}
	require.NoError(b, c.trip(0, earlier)) // the labels and the account are known
	c.awaitFlags(1)
	c.awaitConfirmed(hosts)
	c.remove(0, earlier)
	c.awaitFlags(0)
	return c
}

// configure writes and loads the configuration of a host.
func (c *cluster) configure(n int, gitea, pauses string) *config.Config {
	c.Helper()
	dir, state := filepath.Join(c.gitea.Dir, fmt.Sprint("host-", n)), c.server.URL()
	if n >= hosts/2 {
		state = c.proxy.URL()
	}
	require.NoError(c, os.Mkdir(dir, 0o755))
	head, _, _ := strings.Cut(plainConfig, "projects:")
	head = strings.NewReplacer("state: DIR/state/adfbot.db", fmt.Sprintf("state: %s\nlocal_dir: DIR/local\nfleet:\n  host: edge-%d", state, n),
		"http://gitea.example", gitea, "pause_dir: DIR/pause", fmt.Sprintf("pause_dir: %s/pause-%d", pauses, n)).Replace(head)
	projects := []string{earlier}
	for n := range many {
		projects = append(projects, projectName(n))
	}
	file := filepath.Join(dir, "config.yaml")
	c.gitea.Write(file, strings.ReplaceAll(head, "DIR", dir)+"breaker:\n  threshold: 1\nprojects:\n  - id: "+strings.Join(projects, "\n  - id: ")+"\n")
	cfg, err := config.Load(file)
	require.NoError(c, err)
	return cfg
}

func projectName(n int) string { return fmt.Sprintf(perFleet, n) }

// trip trips a project on a host, which returns when there is an issue.
func (c *cluster) trip(host int, project string) error {
	result := trip(project)
	result.Started = result.Finished // it began after the last resume
	r, err := c.bots[host].Record(ctx, result)
	if err == nil && !r.Tripped {
		err = fmt.Errorf("%s: no trip", project)
	}
	return err
}

// await waits until something holds of the pause directories of all hosts, and returns when it did.
func (c *cluster) await(what string, every time.Duration, holds func(dir string) bool) time.Time {
	c.Helper()
	left := slices.Clone(c.dirs)
	for deadline := time.Now().Add(settleTime); ; time.Sleep(every) {
		left = slices.DeleteFunc(left, holds)
		switch now := time.Now(); {
		case len(left) == 0:
			return now
		case now.After(deadline):
			require.Fail(c, "hosts do not agree", "%s: not in %s", what, left)
		}
	}
}

func (c *cluster) awaitFlag(project string) time.Time {
	return c.await("flag of "+project, agreeEvery, func(dir string) bool { return isThere(dir, project) })
}

func (c *cluster) awaitNoFlag(project string) time.Time {
	return c.await("no flag of "+project, agreeEvery, func(dir string) bool { return !isThere(dir, project) })
}

func isThere(dir, project string) bool {
	_, err := os.Lstat(filepath.Join(dir, project))
	return err == nil
}

// awaitFlags waits until each host has that many flags.
func (c *cluster) awaitFlags(want int) time.Time {
	return c.await(fmt.Sprint(want, " flags"), countEvery, func(dir string) bool { return len(flagsIn(c.B, dir)) == want })
}

func flagsIn(b *testing.B, dir string) (flags []string) {
	entries, err := os.ReadDir(dir)
	require.NoError(b, err)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			flags = append(flags, e.Name())
		}
	}
	return flags
}

func (c *cluster) query(query string) string { return testpg.Text(c, c.server.URL(), query) }

// paused returns the projects that are paused in the state.
func (c *cluster) paused() []string {
	return strings.Fields(c.query(`SELECT coalesce(string_agg(id, ' ' ORDER BY id COLLATE "C"), '') FROM adfbot.project WHERE pause IS NOT NULL`))
}

// awaitConfirmed waits until hosts have confirmed that many flags. One that is removed before that is written again.
func (c *cluster) awaitConfirmed(want int) {
	c.Helper()
	require.Eventually(c, func() bool {
		return c.query(`SELECT count(*) FROM adfbot.host_flag WHERE kind NOT IN ('removed', 'failed')`) == strconv.Itoa(want)
	}, settleTime, 20*time.Millisecond)
}

// awaitAgreement waits until all hosts have the flags of the projects that are paused, as many as given, unless that is 0.
func (c *cluster) awaitAgreement(want int) time.Time {
	c.Helper()
	for deadline := time.Now().Add(settleTime); ; time.Sleep(20 * time.Millisecond) {
		now, paused := time.Now(), c.paused()
		other := slices.IndexFunc(c.dirs, func(dir string) bool { return !slices.Equal(flagsIn(c.B, dir), paused) })
		if other == -1 && (want == 0 || len(paused) == want) {
			return now
		}
		require.False(c, now.After(deadline), "%d projects are paused; hosts with other flags: %d", len(paused), other)
	}
}

// remove removes a flag as a person does.
func (c *cluster) remove(host int, project string) {
	require.NoError(c, os.Remove(filepath.Join(c.dirs[host], project)))
}

// resumeAll removes all flags of one host, and returns how long it takes until they are gone on all.
func (c *cluster) resumeAll(host int) time.Duration {
	c.Helper()
	begun := time.Now()
	for _, project := range flagsIn(c.B, c.dirs[host]) {
		c.remove(host, project)
	}
	return c.awaitFlags(0).Sub(begun)
}

// p99 is the slowest but one in a hundred.
func p99(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[(len(took)-1)*99/100]
}

func report(b *testing.B, what string, took time.Duration, goal float64) {
	b.Helper()
	yardstick.Row{What: what, Measured: yardstick.Took(took), Yardstick: "–", Value: took.Seconds(), Unit: "s", Goal: goal, NoGoal: goal == 0}.Report(b)
}

func BenchmarkCostOfAFleet(b *testing.B) {
	dir := b.TempDir()
	c := newCluster(b, dir)
	for name, measure := range map[string]func(*testing.B){"one": c.oneAtATime, "many": c.manyOnOneDisk, "cut": c.cutOff, "kill": c.serverDies} {
		b.Run(name, func(b *testing.B) {
			c.B = b
			measure(b)
		})
	}
	c.B = b
}

// What a disk for each host would allow: with all pause directories in memory, nothing waits for the disk that they would share.
func BenchmarkCostOfAFleetInMemory(b *testing.B) {
	memory, err := os.MkdirTemp("/dev/shm", "adfbot")
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, os.RemoveAll(memory)) })
	c := newCluster(b, memory)
	tripped, resumed := c.manyAtOnce(b)
	report(b, "1,000 trips at once on 20 hosts with flags in memory: from the last trip until the last flag", tripped, 2)
	report(b, "1,000 flags removed at once on one of 20 hosts: until the last one is gone", resumed, 0)
}

func (c *cluster) oneAtATime(b *testing.B) {
	var tripped, resumed []time.Duration
	for b.Loop() {
		tripped, resumed = nil, nil
		for n := range oneByOne {
			time.Sleep(rand.N(500 * time.Millisecond)) // hosts poll meanwhile
			project := projectName(n)
			begun := time.Now()
			done := make(chan error, 1)
			go func() { done <- c.trip(n%hosts, project) }()
			tripped = append(tripped, c.awaitFlag(project).Sub(begun))
			require.NoError(b, <-done)
			time.Sleep(rand.N(500 * time.Millisecond))
			c.awaitConfirmed(hosts)
			begun = time.Now()
			c.remove((n+7)%hosts, project)
			resumed = append(resumed, c.awaitNoFlag(project).Sub(begun))
		}
	}
	report(b, "a trip: until the flag is on all of 20 hosts, p99", p99(tripped), 2)
	report(b, "`rm` of a flag on one of 20 hosts: until it is gone on all, p99", p99(resumed), 2)
}

// tripAll trips all projects, on all hosts at once. It returns when the last trip was stored, and when the last flag was there.
func (c *cluster) tripAll() (last, there time.Time) {
	c.Helper()
	var g errgroup.Group
	for n := range many {
		g.Go(func() error { return c.trip(n%hosts, projectName(n)) })
	}
	there = c.awaitFlags(many)
	require.NoError(c, g.Wait())
	ms, err := strconv.ParseInt(c.query(`SELECT (extract(epoch FROM max(opened_at)) * 1000)::BIGINT FROM adfbot.incident`), 10, 64)
	require.NoError(c, err)
	return time.UnixMilli(ms), there
}

// manyAtOnce returns the longest times from the last trip until the last flag, and from the first removed flag until all are gone.
func (c *cluster) manyAtOnce(b *testing.B) (tripped, resumed time.Duration) {
	var trips, removals []time.Duration
	for b.Loop() {
		for n := range storms {
			last, there := c.tripAll()
			trips = append(trips, there.Sub(last))
			c.awaitConfirmed(many * hosts)
			removals = append(removals, c.resumeAll(n))
			c.awaitConfirmed(0)
		}
	}
	b.Log("trips", trips, "removals", removals)
	return slices.Max(trips), slices.Max(removals)
}

func (c *cluster) manyOnOneDisk(b *testing.B) {
	tripped, _ := c.manyAtOnce(b)
	bare := publishAll(b)
	yardstick.Row{
		What: "1,000 trips at once on 20 hosts with their flags on one disk: from the last trip until the last flag", Measured: yardstick.Took(tripped),
		Yardstick: "20 × 1,000 flags published durably: " + yardstick.Took(bare), Value: tripped.Seconds() / bare.Seconds(), Unit: "×", Goal: 2,
	}.Report(b)
}

// publishAll is how long it takes to write the flags of all hosts alone: they share the disk here.
func publishAll(b *testing.B) time.Duration {
	b.Helper()
	begun := time.Now()
	var g errgroup.Group
	for range hosts {
		publish := yardstick.Publish(b, b.TempDir(), make([]byte, flagSize))
		var next atomic.Int64
		for range atOnce {
			g.Go(func() error {
				for n := next.Add(1); n <= many; n = next.Add(1) {
					publish(projectName(int(n)))
				}
				return nil
			})
		}
	}
	require.NoError(b, g.Wait())
	return time.Since(begun)
}

const cutFor = 10 * time.Second

// cutOff cuts half of the hosts off. On both sides, somebody removes flags, and on the other one there are trips.
func (c *cluster) cutOff(b *testing.B) {
	var took []time.Duration
	for b.Loop() {
		for range 3 {
			for n := range 40 {
				require.NoError(b, c.trip(n%hosts, projectName(n)))
			}
			c.awaitConfirmed(40 * hosts)
			c.cut.Store(true)
			time.Sleep(cutFor / 2)
			for n := range 10 {
				c.remove(n%2*(hosts-1), projectName(n))
				require.NoError(b, c.trip(n, projectName(40+n)))
			}
			time.Sleep(cutFor / 2)
			c.cut.Store(false)
			begun := time.Now()
			took = append(took, c.awaitAgreement(40).Sub(begun))
			c.resumeAll(1)
			c.awaitConfirmed(0)
		}
	}
	b.Log(took)
	report(b, "half of 20 hosts cut off from the server for 10 s: until all agree again", slices.Max(took), 3)
}

// serverDies kills the server while projects trip and flags are removed.
func (c *cluster) serverDies(b *testing.B) {
	var took []time.Duration
	for b.Loop() {
		for range turns {
			for n := range 40 {
				require.NoError(b, c.trip(n%hosts, projectName(n)))
			}
			c.awaitConfirmed(40 * hosts)
			var trips sync.WaitGroup
			for n := range 40 {
				trips.Go(func() { _ = c.trip(n%hosts, projectName(40+n)) }) // the caller would spool one that is not stored
				if n%4 == 0 {
					c.remove(n%hosts, projectName(n))
				}
			}
			time.Sleep(rand.N(100 * time.Millisecond))
			c.server.Kill()
			trips.Wait()
			c.server.Start(b)
			begun := time.Now()
			took = append(took, c.awaitAgreement(0).Sub(begun))
			c.resumeAll(1)
			c.awaitConfirmed(0)
		}
	}
	b.Log(took)
	report(b, "kill -9 of the server among trips and removals: from its start until all of 20 hosts agree", slices.Max(took), 3)
}
