package bot_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/postgres"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testpg"
	"github.com/terraphim/adfbot/pause"
)

// newHost returns a machine whose state is in a database.
func newHost(t testing.TB, url string) *world {
	t.Helper()
	w := newWorld(t)
	w.change("state: DIR/state/adfbot.db", "state: "+url+"\nlocal_dir: DIR/local")
	return w
}

var emptyState testpg.Template

// newFirstHost returns the first host of a fleet. The tables of the state are there, and nothing is in them.
func newFirstHost(t testing.TB) *world {
	t.Helper()
	return newHost(t, emptyState.Copy(t, func(database string) {
		s, err := postgres.Open(ctx, database, postgres.Options{Host: pause.NewRandomID()})
		require.NoError(t, err)
		require.NoError(t, s.Close())
		testpg.Exec(t, database, `DELETE FROM adfbot.meta WHERE key = 'installation'`)
	}))
}

// newHostBeside returns another machine with the same state and the same Gitea.
func (w *world) newHostBeside(t testing.TB) *world {
	t.Helper()
	other := newHost(t, w.cfg.State)
	other.Gitea = w.Gitea
	return other
}

func TestSharedState(t *testing.T) {
	t.Parallel()
	a := newHost(t, testpg.Database(t))
	b := a.newHostBeside(t)
	require.False(t, a.fail("odilo", 2).Tripped)
	out := b.fail("odilo", 1)
	require.True(t, out.Tripped, "results of both hosts count together")
	require.FileExists(t, b.flag("odilo"))
	require.Len(t, a.issues("open"), 1)
	require.NoFileExists(t, filepath.Join(a.Dir, "state"), "everything of this host is in local_dir")
	for _, name := range []string{"host", "locks", "runs", "spool", pause.SentinelName} {
		_, err := os.Stat(filepath.Join(a.cfg.LocalDir, name))
		require.NoError(t, err, name)
	}
	require.NotEqual(t, a.Read(a.cfg.LocalDir+"/host"), b.Read(b.cfg.LocalDir+"/host"))
}

// Who only reads a state that is not there yet makes neither a schema nor an id of this host.
func TestSharedStateReadOnly(t *testing.T) {
	t.Parallel()
	a := newHost(t, testpg.Database(t))
	_, err := bot.Open(ctx, a.cfg, bot.ReadOnly, a.env())
	require.True(t, store.NoState(err))
	require.NoDirExists(t, a.cfg.LocalDir)
	require.Equal(t, "f", testpg.Text(t, a.cfg.State, `SELECT to_regnamespace('adfbot') IS NOT NULL`))
}

// While something else is missing on the way to the state, such as the socket of a server that is stopped, nobody is told that there is none.
func TestSharedStateOutOfReachIsNotMissing(t *testing.T) {
	t.Parallel()
	for what, state := range map[string]string{
		"PostgreSQL runs there": "postgres://bot@/adfbot?host=/nonexistent",
		"/nonexistent/ca":       "postgres://bot@127.0.0.1:1/adfbot?sslmode=verify-full&sslrootcert=/nonexistent/ca",
		"state_password_file":   "postgres://bot@127.0.0.1:1/adfbot\nstate_password_file: /nonexistent/password",
	} {
		w := newHost(t, state)
		for _, joined := range []bool{false, true} {
			if joined {
				require.NoError(t, os.MkdirAll(w.cfg.PauseDir, 0o755))
				w.Write(filepath.Join(w.cfg.PauseDir, pause.MarkName), pause.Mark{Host: pause.NewRandomID(), Epoch: pause.NewRandomID()}.String())
			}
			_, err := bot.Open(ctx, w.cfg, bot.ReadOnly, w.env())
			require.False(t, store.NoState(err), state)
			require.ErrorContains(t, err, what)
			require.NotContains(t, err.Error(), "the database has no state")
			_, err = bot.DryRun(ctx, w.cfg, w.env())
			require.ErrorContains(t, err, what, "there is nothing to plan with")
		}
	}
}

// A new host has the flags of all paused projects before its gate lets anything run.
func TestNewHostIsFilled(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(b *world){
		"no directory":       func(*world) {},
		"an empty directory": func(b *world) { require.NoError(b, os.Mkdir(b.cfg.PauseDir, 0o755)) },
		"an empty sentinel": func(b *world) {
			require.NoError(b, os.Mkdir(b.cfg.PauseDir, 0o755))
			b.Touch(b.sentinel())
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newFirstHost(t)
			a.fail("odilo", 3)
			a.with(bot.Operate, func(b *bot.Bot) {
				_, err := b.Pause(ctx, "atlas", "for a while")
				require.NoError(t, err)
			})
			b := a.newHostBeside(t)
			prepare(b)
			if name != "an empty sentinel" { // which says that somebody vouches for the directory
				require.Error(t, bot.Gate(ctx, b.cfg, "odilo").Err, "unknown")
			}
			b.with(bot.Results, func(*bot.Bot) {})
			require.FileExists(t, b.flag("odilo"))
			require.FileExists(t, b.flag("atlas"))
			require.FileExists(t, b.sentinel())
			require.True(t, bot.Gate(ctx, b.cfg, "odilo").Paused)
		})
	}
}

// What a host knew of its pause directory says nothing about that of another one, and one that is gone is not made again.
func TestPauseDirIsPerHost(t *testing.T) {
	t.Parallel()
	a := newFirstHost(t)
	a.fail("odilo", 3)
	b := a.newHostBeside(t)
	b.with(bot.Results, func(*bot.Bot) {})
	require.NoError(t, os.RemoveAll(a.cfg.PauseDir))
	a.with(bot.Results, func(b *bot.Bot) {
		err := b.MayRun(ctx, "odilo").Err
		require.ErrorContains(t, err, "adfbot restore pauses these again: odilo")
		require.NotContains(t, err.Error(), "would resume", "without a mark, flags are written again")
	})
	require.NoDirExists(t, a.cfg.PauseDir)
	require.True(t, bot.Gate(ctx, b.cfg, "odilo").Paused)
	a.with(bot.Restore, func(b *bot.Bot) {
		_, err := b.Restore(ctx)
		require.NoError(t, err)
	})
	require.True(t, bot.Gate(ctx, a.cfg, "odilo").Paused)
}

// Who reads that a pause directory is lost must not take for running what other hosts have paused since.
func TestPauseDirIsLostBeforeAPause(t *testing.T) {
	t.Parallel()
	f := newHosts(t, 2)
	a, b := f[0], f[1]
	a.fail("odilo", 3)
	follow(b)
	a.Remove(a.flag("odilo"))
	follow(a, b)
	require.NoError(t, os.RemoveAll(b.cfg.PauseDir))
	b.with(bot.Results, func(b *bot.Bot) {
		require.ErrorContains(t, b.MayRun(ctx, "odilo").Err, "no project was paused; adfbot restore creates the directory again")
	})
	a.fail("odilo", 3)
	b.with(bot.Results, func(b *bot.Bot) {
		require.ErrorContains(t, b.MayRun(ctx, "odilo").Err, "\nadfbot restore creates the directory again, and writes the flags of paused projects that have none here: odilo")
		require.NoError(t, b.Beat(ctx))
	})
	a.inFleet(func(f store.Fleet) {
		hosts, err := f.Hosts(ctx)
		require.NoError(t, err)
		require.Contains(t, hosts[0].DirError+hosts[1].DirError, "create it again with its flags; adfbot restore", "on one line, the advice must not run together")
	})

	// The same if it has paused others itself.
	b.with(bot.Restore, func(b *bot.Bot) {
		_, err := b.Restore(ctx)
		require.NoError(t, err)
	})
	require.NoError(t, os.RemoveAll(b.cfg.PauseDir))
	a.fail("atlas", 2)
	b.with(bot.Results, func(b *bot.Bot) {
		require.ErrorContains(t, b.MayRun(ctx, "atlas").Err, "adfbot restore pauses these again: odilo; it also pauses those that have no flag here yet: atlas")
	})
}

// Two hosts must not have one pause directory. The other one is named, and nothing is said of disks.
func TestPauseDirOfAnotherHost(t *testing.T) {
	a := newFirstHost(t)
	a.fail("odilo", 3)
	b := a.newHostBeside(t)
	b.with(bot.Results, func(*bot.Bot) {})
	b.cfg.PauseDir = a.cfg.PauseDir
	b.with(bot.Restore, func(m *bot.Bot) {
		require.NoError(t, os.Remove(a.sentinel()))
		_, err := m.Restore(ctx)
		require.NoError(t, err)
	})
	id, err := hostlocal.At(b.cfg.LocalDir).HostID(ctx)
	require.NoError(t, err)
	says := func(err error) {
		t.Helper()
		require.ErrorIs(t, err, pause.ErrOtherDirectory)
		require.ErrorContains(t, err, ".adfbot.host names another host of the fleet, "+id)
		require.ErrorContains(t, err, "if that host uses it, too, give each of them a pause_dir of its own")
		require.NotContains(t, err.Error(), "mounted")
	}
	a.with(bot.Results, func(b *bot.Bot) { says(b.MayRun(ctx, "atlas").Err) })
	says(bot.Gate(ctx, a.cfg, "atlas").Err)
}

// A host that was retired comes back as a new one, and its old sentinel is not to be trusted.
func TestHostWithANewID(t *testing.T) {
	t.Parallel()
	a := newFirstHost(t)
	a.fail("odilo", 3)
	was := a.Read(a.sentinel())
	local := hostlocal.At(a.cfg.LocalDir)
	id, err := local.HostID(ctx)
	require.NoError(t, err)
	next, err := local.NewHostID(ctx, id)
	require.NoError(t, err)
	require.NotEqual(t, id, next)
	a.with(bot.Results, func(*bot.Bot) {})
	require.NotEqual(t, was, a.Read(a.sentinel()))
	require.True(t, bot.Gate(ctx, a.cfg, "odilo").Paused)
}

// The clock of the state decides, not that of this machine.
func TestSharedStateClock(t *testing.T) {
	t.Parallel()
	a := newFirstHost(t)
	env := a.env()
	env.Now = nil
	b, err := bot.Open(ctx, a.cfg, bot.Results, env)
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close()) }()
	out, err := b.Record(ctx, store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Failure, Finished: time.Now()})
	require.NoError(t, err)
	require.Equal(t, 1, out.Failures)
}

// A new host that dies while it fills its directory goes on with that.
func TestNewHostDiesWhileFilling(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"flags-restored", "sentinel-renewed"} {
		t.Run(at, func(t *testing.T) {
			a := newFirstHost(t)
			a.fail("odilo", 3)
			b := a.newHostBeside(t)
			b.dies(child{Do: "record", Project: "atlas", KillAt: at})
			a.with(bot.Operate, func(b *bot.Bot) {
				_, err := b.Pause(ctx, "atlas", "meanwhile")
				require.NoError(t, err)
			})
			b.with(bot.Results, func(*bot.Bot) {})
			require.True(t, bot.Gate(ctx, b.cfg, "odilo").Paused)
			require.True(t, bot.Gate(ctx, b.cfg, "atlas").Paused)
		})
	}
}

// A host that somebody has retired comes back as a new one.
func TestRetiredHost(t *testing.T) {
	t.Parallel()
	a := newFirstHost(t)
	a.fail("odilo", 3)
	id, err := hostlocal.At(a.cfg.LocalDir).HostID(ctx)
	require.NoError(t, err)
	b := a.newHostBeside(t)
	a.inFleet(func(f store.Fleet) { require.NoError(t, f.Beat(ctx, store.Host{Name: "a"})) })
	b.inFleet(func(f store.Fleet) {
		was, err := f.Retire(ctx, id)
		require.NoError(t, err)
		require.True(t, was)
	})
	a.fail("atlas", 1)
	next, err := hostlocal.At(a.cfg.LocalDir).HostID(ctx)
	require.NoError(t, err)
	require.NotEqual(t, id, next)
	require.Contains(t, a.Logged.String(), "was retired from the fleet")
	require.True(t, bot.Gate(ctx, a.cfg, "odilo").Paused)
	require.FileExists(t, a.flag("odilo"))
}

// What another host's sweep could not do is that host's: its token, its disk, its way to Gitea.
func TestStatusNamesHostOfLastSweep(t *testing.T) {
	t.Parallel()
	a := newFirstHost(t)
	b := a.newHostBeside(t)
	b.change("local_dir:", "fleet: {host: edge-2}\nlocal_dir:")
	a.fail("odilo", 3)
	b.vars["BOT_TOKEN"] = "revoked"
	_, err := b.sweep()
	require.ErrorContains(t, err, "status 401")
	require.Contains(t, strings.Join(a.status().Problems, "\n"), "last sweep on edge-2: gitea: ")
	a.sweepWell()
	require.NotContains(t, strings.Join(a.status().Problems, "\n"), "last sweep")
}

func TestCheckOfHosts(t *testing.T) {
	t.Parallel()
	a := newFirstHost(t)
	a.fail("odilo", 1)
	b := a.newHostBeside(t)
	beat := func(config string) {
		b.inFleet(func(f store.Fleet) { require.NoError(t, f.Beat(ctx, store.Host{Name: "edge-7", Config: config})) })
	}
	beat(b.cfg.SharedHash())
	a.pass(time.Since(a.now())) // the server's clock is right
	for _, f := range bot.Check(ctx, a.cfg, true, a.env()) {
		require.NotEqual(t, "hosts", f.What, f.Text)
	}
	require.Contains(t, a.finding("listen", bot.OK), "changes are heard of at once")
	require.NotContains(t, fmt.Sprint(bot.Check(ctx, a.cfg, true, a.env())), status.NameSharedText)
	a.inFleet(func(f store.Fleet) {
		require.NoError(t, f.Beat(ctx, store.Host{Name: "edge-7", Config: a.cfg.SharedHash()}))
	})
	require.Contains(t, a.finding("hosts", bot.Warn), "edge-7: "+status.NameSharedText)
	a.inFleet(func(f store.Fleet) {
		require.NoError(t, f.Beat(ctx, store.Host{Name: "edge-8", Config: a.cfg.SharedHash()}))
	})
	beat(regexp.MustCompile(`(fleet/\w+)=\w+`).ReplaceAllString(b.cfg.SharedHash(), "$1=00000000"))
	require.Contains(t, a.finding("hosts", bot.Warn), "the configuration of edge-7 (fleet) differs from that of this host")
	beat(b.cfg.SharedHash())
	a.beatAs("edge-9", time.Hour)
	require.Regexp(t, `^3 hosts, 2 here; edge-9 away since .*: see there whether the daemon runs and reaches the state, or run `+"`adfbot hosts retire NAME`", a.finding("hosts", bot.Warn))
}

// inFleet opens the state itself.
func (w *world) inFleet(f func(store.Fleet)) {
	w.Helper()
	id, err := hostlocal.At(w.cfg.LocalDir).HostID(ctx)
	if err != nil {
		require.NoError(w, hostlocal.At(w.cfg.LocalDir).Create(ctx))
		id, err = hostlocal.At(w.cfg.LocalDir).HostID(ctx)
	}
	require.NoError(w, err)
	s, err := postgres.Open(ctx, w.cfg.State, postgres.Options{Host: id})
	require.NoError(w, err)
	defer func() { require.NoError(w, s.Close()) }()
	f(s)
}

// Trips that wait for the lock of the host's flags share a pass, and with it what is synced and stored.
func TestTripsShareAPass(t *testing.T) {
	t.Parallel()
	a := newFirstHost(t)
	a.change("  - id: odilo", "  - id: odilo\n    threshold: 1")
	a.fail("odilo", 1)
	seq := func() (n int) {
		_, err := fmt.Sscan(testpg.Text(t, a.cfg.State, `SELECT max(seq) FROM adfbot.host`), &n)
		require.NoError(t, err)
		return n
	}
	unlock, err := hostlocal.At(a.cfg.LocalDir).LockHere(ctx, "flags", 0)
	require.NoError(t, err)
	const many = 20
	projects := ""
	for n := range many {
		projects += fmt.Sprintf("\n  - id: p%d\n    threshold: 1", n)
	}
	a.configure(a.yaml + projects[1:] + "\n")
	was := seq()
	a.with(bot.Daemon, func(b *bot.Bot) {
		var g errgroup.Group
		for n := range many {
			g.Go(func() error {
				r, err := b.Record(ctx, failure(fmt.Sprint("p", n)))
				if err == nil && (!r.Tripped || len(r.Problems) > 0) {
					err = fmt.Errorf("no trip, or problems: %v", r.Problems)
				}
				return err
			})
		}
		require.Eventually(t, func() bool {
			return testpg.Text(t, a.cfg.State, `SELECT count(*) FROM adfbot.project WHERE pause IS NOT NULL`) == fmt.Sprint(many+1)
		}, testhost.Patience, time.Millisecond)
		unlock()
		require.NoError(t, g.Wait())
	})
	require.LessOrEqual(t, seq()-was, many, "a pass raises it twice")
	for n := range many {
		require.FileExists(t, a.flag(fmt.Sprint("p", n)))
	}
}

// The success of a run waits on a host that cannot reach the state, so another host counts the run as hung. The success takes that back.
func TestSuccessOfARunThatAnotherHostTookForHung(t *testing.T) {
	t.Parallel()
	f := newHosts(t, 2)
	a, b := f[0], f[1]
	const hung = "  - id: odilo\n    hung_after: 15s\n"
	a.change("  - id: odilo\n", hung)
	b.change("  - id: odilo\n", hung)
	pass := func(d time.Duration) {
		a.pass(d)
		b.pass(d)
	}
	run := store.Run{Project: "odilo", Agent: "project-meta", RunID: "x", Host: "edge-1"}
	a.with(bot.Results, func(a *bot.Bot) { require.NoError(t, a.BeginReported(ctx, run)) })
	pass(10 * time.Second)
	success := store.Result{Project: "odilo", Agent: "project-meta", RunID: "x", Outcome: store.Success, Finished: a.now()}
	success.Run = store.ReportedRunID("odilo", "project-meta", "x")
	_, err := bot.Keep(ctx, a.cfg, nil, success, a.now)
	require.NoError(t, err)
	pass(time.Minute)
	require.Equal(t, 1, b.sweepWell().LostRuns)
	b.fail("odilo", 1)
	require.Equal(t, 2, b.project("odilo").Failures)
	pass(time.Minute)
	follow(a)
	p := b.project("odilo")
	require.Equal(t, 1, p.Failures, "the run of the other failure ended after the success")
	require.Equal(t, "no", p.Paused)
	require.Zero(t, p.Running)
	require.Len(t, p.LastRuns, 3)
}

// So does the success of a run of exec that was kept where nobody could see it when the run was counted as killed.
func TestFoundSuccess(t *testing.T) {
	t.Parallel()
	for what, newWorld := range map[string]func(testing.TB) *world{"one host": newWorld, "a fleet": newFirstHost} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.fail("odilo", 1)
			w.pass(time.Minute)
			own := hostlocal.OwnSpools{w.Dir + "/own"}
			found := store.Result{Project: "odilo", Agent: "project-meta", RunID: "x", Outcome: store.Success, Started: w.now(), Finished: w.now()}
			_, err := own.Add(found)
			require.NoError(t, err)
			w.pass(time.Minute)
			killed := failure("odilo")
			killed.RunID, killed.Detail, killed.Finished = "x", store.DetailKilled, w.now()
			require.Equal(t, 2, w.record(killed).Failures)
			w.pass(time.Minute)
			w.own = own
			w.sweepWell()
			p := w.project("odilo")
			require.Zero(t, p.Failures)
			require.Len(t, p.LastRuns, 3)
		})
	}
}
