package bot_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testpg"
)

// fleetEvents is an observer that remembers what concerns a fleet.
type fleetEvents struct {
	*bot.Pulse
	mu        sync.Mutex
	confirmed []time.Duration
}

func (e *fleetEvents) FlagConfirmed(after time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.confirmed = append(e.confirmed, after)
}

// beatAs reports as another host, which was last heard of so long ago.
func (w *world) beatAs(name string, ago time.Duration) (id string) {
	w.Helper()
	other := w.newHostBeside(w)
	other.inFleet(func(f store.Fleet) { require.NoError(w, f.Beat(ctx, store.Host{Name: name})) })
	id, err := hostlocal.At(other.cfg.LocalDir).HostID(ctx)
	require.NoError(w, err)
	testpg.Exec(w, w.cfg.State, fmt.Sprintf(`UPDATE adfbot.host SET seen_at = now() - interval '1 s' * %d WHERE id = '%s'`, ago/time.Second, id))
	return id
}

// A sweep retires a host that is forgotten, but only if the next one finds it so too.
func TestForgottenHostIsRetired(t *testing.T) {
	t.Parallel()
	a := newFirstHost(t)
	a.change("gitea:", "fleet: {poll: 100ms, away_after: 1s, forget_after: 1h}\ngitea:")
	a.fail("odilo", 3)
	long, short := a.beatAs("edge-7", 2*time.Hour), a.beatAs("edge-8", 30*time.Minute)
	env := a.env()
	env.Now = nil
	b, err := bot.Open(ctx, a.cfg, bot.Daemon, env)
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close()) }()
	states := func() map[string]string {
		f, err := b.Fleet(ctx)
		require.NoError(t, err)
		out := map[string]string{}
		for _, h := range f.Hosts {
			out[h.ID] = h.State
		}
		return out
	}
	_, err = b.Sweep(ctx, escalate.SweepOptions{})
	require.NoError(t, err)
	require.Equal(t, status.HostAway, states()[long])
	require.Eventually(t, func() bool {
		_, err = b.Sweep(ctx, escalate.SweepOptions{})
		require.NoError(t, err)
		return states()[long] == status.HostRetired
	}, 2*testhost.Patience, 100*time.Millisecond)
	require.Equal(t, status.HostAway, states()[short])
	require.Contains(t, a.Logged.String(), "a host is retired: it was not heard of for fleet.forget_after")
}

func TestRetireHost(t *testing.T) {
	t.Parallel()
	a := newFirstHost(t)
	a.fail("odilo", 1)
	here, away := a.beatAs("edge-9", 0), a.beatAs("edge-7", time.Hour)
	env := a.env()
	env.Now = nil
	b, err := bot.Open(ctx, a.cfg, bot.Operate, env)
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close()) }()
	_, err = b.RetireHost(ctx, "edge-8", false)
	require.ErrorContains(t, err, `unknown host "edge-8"`)
	_, err = b.RetireHost(ctx, "edge-9", false)
	require.Error(t, err)
	require.Regexp(t, `would come back as a new host: stop adfbot there and try again in (1m( 1s)?|\d+s),`, err.Error(), "less than the minute, as some has passed")
	done, err := b.RetireHost(ctx, away[:8], false)
	require.NoError(t, err)
	require.Contains(t, done.Text, "edge-7 is retired")
	_, err = b.RetireHost(ctx, here, true)
	require.NoError(t, err)
	done, err = b.RetireHost(ctx, "edge-9", false)
	require.NoError(t, err)
	require.Equal(t, "edge-9 is retired already", done.Text)
}

// How long a flag took is told of those that this host has written, and not of those that a new host finds.
func TestFlagConfirmedIsObserved(t *testing.T) {
	t.Parallel()
	a := newFirstHost(t)
	b := a.newHostBeside(t)
	events := func(w *world, do func(b *bot.Bot)) *fleetEvents {
		e := &fleetEvents{Pulse: bot.NewPulse()}
		env := w.env()
		env.Now, env.Observe = nil, []bot.Observer{e}
		opened, err := bot.Open(ctx, w.cfg, bot.Daemon, env)
		require.NoError(t, err)
		do(opened)
		require.NoError(t, opened.Close())
		return e
	}
	sweep := func(b *bot.Bot) { _, _ = b.Sweep(ctx, escalate.SweepOptions{}) }
	events(b, sweep) // it joins
	trip := func(b *bot.Bot) {
		for range 3 {
			_, err := b.Record(ctx, store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Failure, Finished: time.Now()})
			require.NoError(t, err)
		}
	}
	require.Len(t, events(a, trip).confirmed, 1)
	e := events(b, sweep)
	require.Len(t, e.confirmed, 1)
	require.Positive(t, e.confirmed[0])
	require.Less(t, e.confirmed[0], time.Minute)
	require.Empty(t, events(b, sweep).confirmed, "it is there")
	require.Empty(t, events(a.newHostBeside(t), sweep).confirmed, "a new host was not late")
}

// claimer gives claims that end when the test says so.
type claimer struct{ lose context.CancelFunc }

func (c *claimer) Claim(ctx context.Context, _ string, _ time.Duration) (held context.Context, release func(), err error) {
	held, c.lose = context.WithCancel(ctx)
	return held, c.lose, nil
}

func TestClaimLostIsObserved(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		end  func(c *claimer, release, giveUp func())
		want []string
	}{
		"lost":                    {func(c *claimer, _, _ func()) { c.lose() }, []string{"sweep"}},
		"released":                {func(_ *claimer, release, _ func()) { release() }, nil},
		"the holder has given up": {func(_ *claimer, _, giveUp func()) { giveUp() }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c, told := &claimer{}, make(chan string, 1)
			observed := bot.ObservedClaims(c, observer{Pulse: bot.NewPulse(), lost: told})
			ctx, giveUp := context.WithCancel(t.Context())
			held, release, err := observed.Claim(ctx, "sweep", 0)
			require.NoError(t, err)
			tt.end(c, release, giveUp)
			<-held.Done()
			if tt.want != nil {
				require.Equal(t, tt.want[0], <-told)
			}
			release()
			giveUp()
			require.Empty(t, told)
		})
	}
}

type observer struct {
	*bot.Pulse
	lost chan string
}

func (o observer) ClaimLost(name string) { o.lost <- name }

var _ incident.Claimer = (*claimer)(nil)
