package bot_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/testpg"
)

// stormFleet are hosts of a fleet where projects that fail by one cause share an issue.
func stormFleet(t *testing.T, n int) (hosts []*world) {
	t.Helper()
	a := newHost(t, testpg.Database(t))
	for hosts = []*world{a}; len(hosts) < n; {
		hosts = append(hosts, a.newHostBeside(t))
	}
	for _, w := range hosts {
		w.change("projects:", "escalation:\n  storm_window: 15m\nbreaker:\n  threshold: 1\nprojects:\n  - match: \"twins-*\"")
	}
	return hosts
}

// quota is a failure of a class.
func quota(project string) store.Result {
	r := failure(project)
	r.Output, r.Class = "You've hit your usage limit.\n", "quota"
	return r
}

// Projects that trip at once on several hosts share one issue, which has each of them once.
func TestStormOfAFleet(t *testing.T) {
	t.Parallel()
	hosts := stormFleet(t, 3)
	const each = 4
	var all sync.WaitGroup
	for n, w := range hosts {
		all.Go(func() {
			w.with(bot.Results, func(b *bot.Bot) {
				for k := range each {
					_, err := b.Record(ctx, quota(fmt.Sprintf("twins-%d-%d", n, k)))
					require.NoError(t, err)
				}
			})
		})
	}
	all.Wait()
	hosts[1].sweepWell()
	hosts[2].sweepWell()
	open := hosts[0].issues("open")
	require.Len(t, open, 1)
	for n := range hosts {
		for k := range each {
			project := fmt.Sprintf("twins-%d-%d", n, k)
			require.Equal(t, 1, strings.Count(open[0].Body, "\n- [ ] `"+project+"`, "), project)
			require.Contains(t, open[0].Body, " project="+project+" ")
		}
	}
	require.Contains(t, open[0].Title, " and 11 others ")
}

// The issue says of each project that it is about on which host it is not paused.
func TestUnpausedHostOfASharedIssue(t *testing.T) {
	t.Parallel()
	hosts := stormFleet(t, 2)
	a, b := hosts[0], hosts[1]
	b.with(bot.Results, func(*bot.Bot) {})
	b.inFleet(func(f store.Fleet) { require.NoError(t, f.Beat(ctx, store.Host{Name: "edge-7"})) })
	a.record(quota("odilo"))
	a.record(quota("twins-1"))
	a.sweepWell()
	b.inFleet(func(f store.Fleet) {
		missing, err := f.MissingFlags(ctx)
		require.NoError(t, err)
		require.Len(t, missing, 2)
		for _, m := range missing {
			if m.Project == "twins-1" {
				require.NoError(t, f.FlagFailed(ctx, m.Project, m.Pause, "the disk is read-only"))
			}
		}
	})
	said := func() (out []string) {
		for _, c := range a.issues("open")[0].Comments {
			if strings.Contains(c.Body, "edge-7") {
				out = append(out, c.Body)
			}
		}
		return out
	}
	a.sweepWell()
	a.sweepWell()
	require.Len(t, said(), 1)
	require.Contains(t, said()[0], "# NOT PAUSED on edge-7")
	require.Contains(t, said()[0], "`twins-1`")
	b.with(bot.Daemon, func(b *bot.Bot) { require.NoError(t, b.FollowFlags(ctx)) })
	a.sweepWell()
	a.sweepWell()
	require.Len(t, said(), 2)
	require.Contains(t, said()[1], "`twins-1` is paused on the host edge-7, too, now")
}
