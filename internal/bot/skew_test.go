package bot_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
)

// newSkewedHosts returns two hosts of which the second one's clock is wrong. Odilo was paused and resumed just now.
func newSkewedHosts(t *testing.T, skew time.Duration) (a, b *world) {
	t.Helper()
	f := newHosts(t, 2)
	a, b = f[0], f[1]
	b.skew = skew
	a.fail("odilo", 3)
	_, err := a.resume("odilo")
	require.NoError(t, err)
	follow(b)
	return a, b
}

// tick has time pass on all hosts.
func tick(d time.Duration, hosts ...*world) {
	for _, w := range hosts {
		w.pass(d)
	}
}

// The clock of a host decides nothing: what is reported with times by it counts by when it was.
func TestReportsOfAHostWithAWrongClock(t *testing.T) {
	t.Parallel()
	for _, skew := range []time.Duration{-time.Hour, -3 * time.Second, 10 * time.Minute, time.Hour} {
		t.Run(fmt.Sprint(skew), func(t *testing.T) {
			t.Parallel()
			a, b := newSkewedHosts(t, skew)
			report := func(begun, ended time.Duration) bot.Recorded {
				r := failure("odilo")
				r.Started, r.Finished = b.machineNow().Add(begun), b.machineNow().Add(ended)
				return b.record(r)
			}
			tick(time.Minute, a, b)
			require.False(t, report(-2*time.Minute, 0).Counted, "the run began before the resume")
			require.False(t, report(-3*time.Minute, -2*time.Minute).Counted, "it has ended before the resume")
			out := report(-30*time.Second, 0)
			require.True(t, out.Counted, out.Why)
			out = b.record(store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Failure, Finished: b.machineNow()})
			require.True(t, out.Counted, out.Why)
			out = b.record(failure("odilo"))
			require.True(t, out.Counted, "without times it is now")
			require.Equal(t, 3, out.Failures)
			for _, run := range a.project("odilo").LastRuns {
				require.False(t, run.Finished.After(a.now()), "the history has the clock of the state")
			}
			b.must(bot.ExitPaused, "odilo", "true")
		})
	}
}

// What a host has run by itself is recorded at once, whatever its clock says.
func TestExecOnAHostWithAWrongClock(t *testing.T) {
	t.Parallel()
	for _, skew := range []time.Duration{-time.Hour, time.Hour} {
		t.Run(fmt.Sprint(skew), func(t *testing.T) {
			t.Parallel()
			a, b := newSkewedHosts(t, skew)
			tick(time.Minute, a, b)
			require.Equal(t, 3, b.sh("odilo", "exit 3").code)
			require.Empty(t, b.spool())
			p := a.project("odilo")
			require.Equal(t, 1, p.Failures)
			require.Equal(t, a.now(), p.LastRuns[0].Started)
			require.Equal(t, a.now(), p.LastRuns[0].Finished)
		})
	}
}

// A host that could not reach the state has paused a project by itself. That its clock was wrong then, and was set right before it came
// back, changes nothing: its failures were after the success on another host.
func TestLocalPauseAndClockSetRight(t *testing.T) {
	t.Parallel()
	for _, skew := range []time.Duration{-time.Hour, time.Hour} {
		for _, up := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, failures last %v", skew, up), func(t *testing.T) {
				t.Parallel()
				f := newHosts(t, 2)
				a, b := f[0], f[1]
				b.boot = hostlocal.MachineUptime()().Boot
				success := store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Success}
				if up {
					a.record(success)
					tick(time.Minute, a, b)
				}
				b.skew = skew
				for range 3 {
					b.keepOne("odilo", store.Failure)
				}
				require.True(t, b.paused("odilo"))
				b.skew = 0
				tick(time.Minute, a, b)
				if !up {
					a.record(success)
				}
				tick(time.Minute, a, b)
				b.with(bot.Daemon, func(b *bot.Bot) { require.NoError(t, b.FollowFlags(ctx)) })
				require.Equal(t, up, b.paused("odilo"))
				follow(a)
				require.Equal(t, up, a.paused("odilo"))
			})
		}
	}
}
