package bot_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/testpg"
)

// While the address leads to an empty database, such as one that is being restored, a host of the fleet makes no new state in it. Once the
// right one is back, all goes on as before.
func TestEmptyDatabaseInPlaceOfTheState(t *testing.T) {
	t.Parallel()
	f := newHosts(t, 2)
	a, b := f[0], f[1]
	a.fail("odilo", 3)
	follow(b)
	url, empty := a.cfg.State, testpg.Database(t)
	for _, w := range f {
		w.change(url, empty)
		for _, mode := range []bot.Mode{bot.Results, bot.Operate, bot.Daemon, bot.ReadOnly} {
			_, err := bot.Open(ctx, w.cfg, mode, w.env())
			require.ErrorContains(t, err, "this host belongs to a fleet, and the database has no state", fmt.Sprint(mode))
			require.ErrorContains(t, err, "`adfbot restore` on one host makes a new one")
		}
		out := w.must(bot.ExitPaused, "odilo", "true")
		require.Contains(t, out.stderr, "odilo")
		require.Equal(t, 3, w.sh("atlas", "exit 3").code, "what is not paused here runs on, and its result waits")
		require.Len(t, w.spool(), 1)
	}
	require.Equal(t, "f", testpg.Text(t, empty, `SELECT to_regclass('adfbot.meta') IS NOT NULL`), "nothing is in the way of a restore")
	for _, w := range f {
		w.change(empty, url)
		follow(w)
		require.Empty(t, w.spool())
		require.True(t, bot.Gate(ctx, w.cfg, "odilo").Paused)
	}
	require.Len(t, a.issues("open"), 2, "odilo's, and that of atlas")
	a.Remove(a.flag("odilo"))
	follow(a, b)
	require.False(t, b.paused("odilo"), "a removal counts as before")
	a.fail("odilo", 3)
	follow(b)
	require.True(t, b.paused("odilo"))
}

// A person says that the state is lost, and is wrong. What that changes in the pause directory does not matter once the right state is back.
func TestRestoreInTheWrongDatabase(t *testing.T) {
	t.Parallel()
	f := newHosts(t, 2)
	a, b := f[0], f[1]
	a.fail("odilo", 3)
	follow(b)
	url, empty := a.cfg.State, testpg.Database(t)
	for _, w := range f {
		w.change(url, empty)
	}
	a.with(bot.Restore, func(m *bot.Bot) {
		require.Contains(t, m.Warning(), "a new state was created")
		_, err := m.Restore(ctx)
		require.NoError(t, err)
	})
	follow(a, b)
	for _, w := range f {
		require.True(t, bot.Gate(ctx, w.cfg, "odilo").Paused, "it is rebuilt from its flag")
	}
	require.Len(t, a.issues("open"), 1)
	for _, w := range f {
		w.change(empty, url)
	}
	follow(a, b)
	a.fail("atlas", 2)
	follow(b)
	for _, w := range f {
		require.True(t, bot.Gate(ctx, w.cfg, "atlas").Paused)
		w.must(bot.ExitPaused, "odilo", "true")
	}
	b.Remove(b.flag("odilo"))
	follow(b, a)
	require.False(t, a.paused("odilo"))
}

// The same while daemons run: they find the right state again by themselves.
func TestDaemonAfterTheWrongDatabase(t *testing.T) {
	t.Parallel()
	f := newHosts(t, 2)
	a, b := f[0], f[1]
	a.fail("odilo", 3)
	url, empty := a.cfg.State, testpg.Database(t)
	a.with(bot.Daemon, func(d *bot.Bot) {
		require.NoError(t, d.Pass(ctx))
		a.change(url, empty)
		a.with(bot.Restore, func(m *bot.Bot) {
			_, err := m.Restore(ctx)
			require.NoError(t, err)
		})
		follow(a)
		a.change(empty, url)
		require.NoError(t, d.Beat(ctx))
		require.NoError(t, d.Pass(ctx))
		b.fail("atlas", 2)
		require.NoError(t, d.Pass(ctx))
		require.True(t, bot.Gate(ctx, a.cfg, "atlas").Paused)
	})
}

// The database is lost, and an empty one made in its place while daemons run. They say what to do, and go on with the state that a restore
// makes.
func TestDaemonsAfterAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	f := newHosts(t, 2)
	a, b := f[0], f[1]
	a.fail("odilo", 3)
	follow(b)
	a.with(bot.Daemon, func(d *bot.Bot) {
		b.with(bot.Daemon, func(e *bot.Bot) {
			require.NoError(t, d.Pass(ctx))
			require.NoError(t, e.Pass(ctx))
			testpg.Exec(t, a.cfg.State, `DROP SCHEMA adfbot CASCADE; CREATE SCHEMA adfbot`)
			require.ErrorContains(t, d.Pass(ctx), store.LostShared)
			_, err := d.Record(ctx, failure("atlas"))
			require.ErrorContains(t, err, store.LostShared)
			a.with(bot.Restore, func(m *bot.Bot) {
				_, err := m.Restore(ctx)
				require.NoError(t, err)
			})
			for range 2 {
				for _, host := range []*bot.Bot{e, d} {
					require.NoError(t, host.Beat(ctx))
					require.NoError(t, host.Pass(ctx))
				}
			}
			for _, w := range f {
				w.sweepWell()
				require.True(t, bot.Gate(ctx, w.cfg, "odilo").Paused)
			}
			require.Len(t, a.issues("open"), 1)
			a.fail("atlas", 3)
			require.NoError(t, e.Pass(ctx))
			require.True(t, bot.Gate(ctx, b.cfg, "atlas").Paused)
			b.Remove(b.flag("odilo"))
			require.NoError(t, e.Pass(ctx))
			require.NoError(t, d.Pass(ctx))
			require.False(t, bot.Gate(ctx, a.cfg, "odilo").Paused)
		})
	})
}
