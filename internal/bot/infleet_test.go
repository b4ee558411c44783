package bot_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testpg"
	"github.com/terraphim/adfbot/pause"
)

// serving runs the daemon of a host until the test ends.
func (w *world) serving() {
	w.Helper()
	var ended <-chan error
	w.Cleanup(func() { require.NoError(w, <-ended) }) // after it was stopped
	ended = w.served()
}

// served runs the daemon of a host. It ends with the test, or before; ended gets its error, which is nil for each end of the test.
func (w *world) served() (ended <-chan error) {
	w.Helper()
	served, stop := context.WithCancel(ctx)
	b, err := bot.Open(ctx, w.cfg, bot.Daemon, w.env())
	require.NoError(w, err)
	out := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		out <- bot.Serve(served, b, nil, func(ctx context.Context, cfg *config.Config) (*bot.Bot, error) {
			return bot.Open(ctx, cfg, bot.Daemon, w.env())
		})
	}()
	w.Cleanup(func() {
		stop()
		<-done
		require.NoError(w, b.Close())
	})
	return out
}

// hostID is the id of this host, "" if it has none.
func (w *world) hostID() string {
	w.Helper()
	id, err := hostlocal.At(w.cfg.LocalDir).KnownHostID()
	require.NoError(w, err)
	return id
}

// awaitIssue waits until one issue is open. A sweep of a daemon may be at it while a command that has tripped returns.
func (w *world) awaitIssue() {
	w.Helper()
	require.Eventually(w, func() bool { return len(w.issues("open")) == 1 }, testhost.Patience, time.Millisecond)
}

// A trip, a removal, a touch and a person's command are soon in force on all hosts that are served, also where nobody listens.
func TestFleetFollows(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{"", "state_listen: \"off\"\n"} {
		a := newFirstHost(t)
		hosts := []*world{a, a.newHostBeside(t), a.newHostBeside(t)}
		for _, w := range hosts {
			w.change("local_dir: DIR/local", "local_dir: DIR/local\nfleet: {poll: 100ms}\n"+listen)
			w.serving()
		}
		everywhere := func(paused bool, why string) {
			t.Helper()
			for _, w := range hosts {
				w.watch(w.cfg.PauseDir)(why, func() bool {
					_, err := os.Lstat(w.flag("odilo"))
					return paused == (err == nil)
				})
			}
		}
		b, c := hosts[1], hosts[2]
		a.fail("odilo", 2)
		b.fail("odilo", 1)
		everywhere(true, "a trip")
		a.awaitIssue()
		require.NoError(t, os.Remove(b.flag("odilo"))) // whose flag was confirmed when b had answered
		everywhere(false, "a removal")
		a.Touch(b.flag("odilo"))
		everywhere(true, "a touch")
		_, err := c.resume("odilo")
		require.NoError(t, err)
		everywhere(false, "a command")
		_, err = b.pause("odilo", "for a while")
		require.NoError(t, err)
		everywhere(true, "a pause by hand")
	}
}

// A host that is retired while its daemon runs is a new one at its next pass, and does not wait for its next heartbeat, which is held up here.
func TestRetiredHostJoinsAtOnce(t *testing.T) {
	a := newFirstHost(t)
	a.change("local_dir: DIR/local", "local_dir: DIR/local\nfleet: {poll: 20s}\n") // it is told at once, too
	other := a.newHostBeside(t)
	a.serving()
	id, err := hostlocal.At(a.cfg.LocalDir).HostID(ctx)
	require.NoError(t, err)
	await := a.watch(a.cfg.LocalDir)
	c, err := pgconn.Connect(ctx, a.cfg.State)
	require.NoError(t, err)
	defer func() { _ = c.Close(ctx) }()
	other.inFleet(func(f store.Fleet) {
		require.Eventually(t, func() bool { // its first heartbeat
			hosts, err := f.Hosts(ctx)
			return err == nil && len(hosts) == 1 && !hosts[0].Seen.IsZero()
		}, testhost.Patience, time.Millisecond)
		was, err := f.Retire(ctx, id)
		require.NoError(t, err)
		require.True(t, was)
	})
	_, err = c.Exec(ctx, `BEGIN; SELECT id FROM adfbot.host WHERE id = '`+id+`' FOR NO KEY UPDATE`).ReadAll()
	require.NoError(t, err)
	await("it is the old host", func() bool {
		now, err := hostlocal.At(a.cfg.LocalDir).KnownHostID()
		return err == nil && now != id
	})
}

// A daemon does not go on under an id that this host has lost: it is the new host that a command has made meanwhile, or, where a daemon that
// starts would refuse local_dir, it ends.
func TestHostIsLostUnderItsDaemon(t *testing.T) {
	t.Parallel()
	emptied := func(w *world) {
		for _, name := range []string{"host", pause.SentinelName, "locks", "runs", "spool"} {
			w.Remove(filepath.Join(w.cfg.LocalDir, name))
		}
	}
	unmarked := func(w *world) { w.Remove(filepath.Join(w.cfg.PauseDir, pause.MarkName)) }
	for what, c := range map[string]struct {
		lose func(w *world)
		ends bool
		back func(w *world)
	}{
		"the file":      {lose: func(w *world) { w.Remove(filepath.Join(w.cfg.LocalDir, "host")) }, ends: true},
		"the content":   {lose: emptied, ends: true},
		"the directory": {lose: func(w *world) { w.Remove(w.cfg.LocalDir) }, ends: true},
		"the mount": {
			lose: func(w *world) { require.NoError(w, os.Rename(w.cfg.LocalDir, w.Path("aside"))) }, ends: true,
			back: func(w *world) {
				w.Remove(w.cfg.LocalDir) // what is below it
				require.NoError(w, os.Rename(w.Path("aside"), w.cfg.LocalDir))
			},
		},
		"no mark":          {lose: func(w *world) { unmarked(w); emptied(w) }},
		"both directories": {lose: func(w *world) { w.Remove(w.cfg.PauseDir); w.Remove(w.cfg.LocalDir) }},
		"the machine has got its own id": {lose: func(w *world) {
			w.Write(filepath.Join(w.cfg.LocalDir, "host"), w.hostID()+" "+pause.NewRandomID()+"\n")
		}},
		"a command was faster": {lose: func(w *world) {
			unmarked(w)
			other := hostlocal.At(w.Path("other"))
			require.NoError(w, other.Create(ctx))
			_, err := other.HostID(ctx)
			require.NoError(w, err)
			require.NoError(w, os.Rename(w.Path("other/host"), filepath.Join(w.cfg.LocalDir, "host")))
		}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newFirstHost(t)
			w.change("local_dir: DIR/local", "local_dir: DIR/local\nfleet: {poll: 1s}\n")
			ended := w.served()
			w.fail("odilo", 3)
			require.True(t, w.paused("odilo"))
			was := w.hostID()
			c.lose(w)
			if c.ends {
				err := <-ended
				require.ErrorContains(t, err, "local_dir no longer has the id of this host, "+was)
				require.ErrorContains(t, err, "if its disk is not mounted, mount it; else set local_dir to the directory whose file `host` holds that id; "+
					"if that is lost, remove "+filepath.Join(w.cfg.PauseDir, pause.MarkName)+", and this host joins as a new one")
				require.True(t, w.paused("odilo"))
				_, err = bot.Open(ctx, w.cfg, bot.Daemon, w.env())
				require.ErrorContains(t, err, "local_dir has no id of this host")
				if c.back != nil {
					c.back(w)
					w.served()
					require.Equal(t, was, w.hostID())
					w.must(bot.ExitPaused, "odilo", "true")
					return
				}
				unmarked(w) // as told
				ended = w.served()
			}
			joined := func() bool { // as a new host
				id, err := hostlocal.At(w.cfg.LocalDir).KnownHostID()
				if err != nil || id == "" || id == was {
					return false
				}
				dir, err := pause.New(w.cfg.PauseDir).Open()
				if err != nil {
					return false
				}
				defer func() { _ = dir.Close() }()
				mark, err := dir.Mark()
				return err == nil && mark.Host == id && w.paused("odilo")
			}
			for begun := time.Now(); !joined(); time.Sleep(10 * time.Millisecond) {
				require.Less(t, time.Since(begun), testhost.Patience)
				select {
				case err := <-ended: // a pass that was under way has written the mark again
					require.ErrorContains(t, err, "local_dir no longer has the id of this host")
					unmarked(w)
					ended = w.served()
				default:
				}
			}
			select {
			case err := <-ended:
				require.Fail(t, "the daemon has ended", err)
			default:
			}
			w.must(bot.ExitPaused, "odilo", "true")
			_, err := w.resume("odilo")
			require.NoError(t, err)
			w.must(0, "odilo", "true")
			w.fail("odilo", 3)
			w.must(bot.ExitPaused, "odilo", "true")
			w.inFleet(func(f store.Fleet) {
				require.Eventually(t, func() bool {
					hosts, err := f.Hosts(ctx)
					return err == nil && len(hosts) == 2 && !hosts[0].Seen.IsZero() && !hosts[1].Seen.IsZero()
				}, testhost.Patience, time.Millisecond)
			})
		})
	}
}

// The issue says once on which host of the fleet the project is not paused, and once that it is at last. That host runs nothing meanwhile.
func TestIssueOfAFleetNamesTheHost(t *testing.T) {
	t.Parallel()
	a := newFirstHost(t)
	b := a.newHostBeside(t)
	for w, name := range map[*world]string{a: "edge-1", b: "edge-2"} {
		w.change("local_dir: DIR/local", "local_dir: DIR/local\nfleet: {poll: 100ms, host: "+name+"}\n")
		w.serving()
	}
	a.fail("odilo", 3)
	a.awaitIssue()
	require.Contains(t, a.issues("open")[0].Body, "remove the pause flag on any host: ")
	a.watch(b.cfg.PauseDir)("the trip", func() bool {
		_, err := os.Lstat(b.flag("odilo"))
		return err == nil
	})
	require.NoError(t, os.Remove(a.flag("odilo")))
	a.watch(b.cfg.PauseDir)("the removal", func() bool {
		_, err := os.Lstat(b.flag("odilo"))
		return err != nil
	})
	b.sweepWell()
	require.Contains(t, a.issues("closed")[0].Comments[0].Body, "the pause flag was removed on edge-1; noticed ")
}

func TestUnpausedHost(t *testing.T) {
	t.Parallel()
	a := newFirstHost(t)
	b := a.newHostBeside(t)
	b.with(bot.Results, func(*bot.Bot) {})
	b.inFleet(func(f store.Fleet) { require.NoError(t, f.Beat(ctx, store.Host{Name: "edge-7"})) })
	a.fail("odilo", 3)
	state := func(f store.Fleet) store.MissingFlag {
		missing, err := f.MissingFlags(ctx)
		require.NoError(t, err)
		require.Len(t, missing, 1)
		return missing[0]
	}
	comments := func() (out []string) {
		for _, c := range a.issues("open")[0].Comments {
			out = append(out, c.Body)
		}
		return out
	}
	a.sweepWell()
	require.Empty(t, comments(), "it has not tried yet")
	b.inFleet(func(f store.Fleet) {
		require.NoError(t, f.FlagFailed(ctx, "odilo", state(f).Pause, "the disk is read-only"))
	})
	b.with(bot.Daemon, func(b *bot.Bot) {
		v := b.MayRun(ctx, "odilo")
		require.NoError(t, v.Err)
		require.True(t, v.Paused, "the state says so")
	})
	a.sweepWell()
	a.sweepWell()
	require.Len(t, comments(), 1)
	require.Contains(t, comments()[0], "# NOT PAUSED on edge-7")
	require.Contains(t, comments()[0], "the disk is read-only")
	b.with(bot.Daemon, func(b *bot.Bot) { require.NoError(t, b.FollowFlags(ctx)) })
	require.FileExists(t, b.flag("odilo"))
	a.sweepWell()
	a.sweepWell()
	require.Len(t, comments(), 2)
	require.Contains(t, comments()[1], "is paused on the host edge-7, too, now")
}

// Failures that a host could not store have paused the project there. In the order of all hosts' runs they do not pause it: another host
// has succeeded after them.
func TestLocalPauseIsOutweighed(t *testing.T) {
	t.Parallel()
	for _, touched := range []bool{false, true} {
		a := newFirstHost(t)
		b := a.newHostBeside(t)
		b.with(bot.Results, func(*bot.Bot) {})
		url := b.cfg.State
		b.change(url, strings.Replace(url, "host=", "host=/nowhere", 1))
		if b.cfg.State == url {
			b.change(url, "postgres://adfbot@127.0.0.1:1/adfbot")
		}
		for range 3 {
			require.Equal(t, 1, b.sh("odilo", "exit 1").code)
		}
		require.FileExists(t, b.flag("odilo"))
		b.pass(time.Minute)
		a.pass(time.Minute)
		a.record(store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Success, Finished: a.now()})
		if touched {
			b.Write(b.flag("odilo"), "leave it\n"+b.Read(b.flag("odilo"))+"\nI am on it")
			b.Remove(b.flag("odilo"))
			b.Touch(b.flag("odilo"))
		}
		b.change(b.cfg.State, url)
		b.with(bot.Daemon, func(b *bot.Bot) {
			_, err := b.RecordSpooled(ctx)
			require.NoError(t, err)
			require.NoError(t, b.FollowFlags(ctx))
		})
		if touched {
			require.FileExists(t, b.flag("odilo"), "somebody made it")
		} else {
			require.NoFileExists(t, b.flag("odilo"))
		}
		require.Empty(t, a.issues(""))
		left, err := filepath.Glob(hostlocal.At(b.cfg.LocalDir).Path() + "/spool/*.json")
		require.NoError(t, err)
		require.Empty(t, left)
	}
}

// One host of a fleet sweeps the repositories. Another one leaves Gitea to it and brings its own flags in line; a person is told.
func TestOneHostSweeps(t *testing.T) {
	t.Parallel()
	a := newFirstHost(t)
	b := a.newHostBeside(t)
	b.with(bot.Results, func(*bot.Bot) {})
	a.inFleet(func(f store.Fleet) {
		_, release, err := f.Claim(ctx, "sweep", 0)
		require.NoError(t, err)
		defer release()
		a.fail("odilo", 3)
		requests := len(a.Gitea.Requests())
		b.with(bot.Daemon, func(b *bot.Bot) {
			_, err := b.Sweep(ctx, escalate.SweepOptions{})
			require.NoError(t, err)
		})
		require.FileExists(t, b.flag("odilo"))
		require.Len(t, a.Gitea.Requests(), requests, "nothing is asked")
	})
	b.sweepWell()
}

// The state has stored a trip and cannot be read after that. The host that was told of it pauses the project.
func TestTripOfAStateThatCannotBeReadAfterIt(t *testing.T) {
	for name, sql := range map[string]string{
		"a table": `ALTER TABLE adfbot.host_flag RENAME TO away`,
		"nothing": `ALTER SCHEMA adfbot RENAME TO away`,
	} {
		t.Run("without "+name, func(t *testing.T) {
			f := newHosts(t, 2)
			a, b := f[0], f[1]
			url := a.cfg.State
			a.fail("odilo", 3)
			_, err := a.resume("odilo")
			require.NoError(t, err)
			follow(b)
			b.fail("odilo", 2)
			atPoint = func(point string) {
				if point == "tripped" {
					testpg.Exec(t, url, sql)
				}
			}
			out := b.fail("odilo", 1)
			atPoint = nil
			require.True(t, out.Tripped)
			require.NotEmpty(t, out.Problems)
			require.Equal(t, incident.FlagThere, out.Flag.State)
			require.True(t, bot.Gate(ctx, b.cfg, "odilo").Paused)
			b.must(bot.ExitPaused, "odilo", "true")
			if name == "nothing" {
				testpg.Exec(t, url, `DROP SCHEMA IF EXISTS adfbot CASCADE; ALTER SCHEMA away RENAME TO adfbot`)
			} else {
				testpg.Exec(t, url, `ALTER TABLE adfbot.away RENAME TO host_flag`)
			}
			was := b.Read(b.flag("odilo"))
			follow(b, a)
			require.Equal(t, was, b.Read(b.flag("odilo")))
			require.True(t, a.paused("odilo"))
			require.Len(t, a.issues("open"), 1)
			b.Remove(b.flag("odilo"))
			follow(b, a)
			require.False(t, a.paused("odilo"), "it was confirmed")
		})
	}
}

// The same, and the project is resumed elsewhere before the host comes back: that flag is no hold of anybody's.
func TestTripThatIsOverBeforeTheStateCanBeRead(t *testing.T) {
	f := newHosts(t, 2)
	a, b := f[0], f[1]
	url := a.cfg.State
	b.fail("odilo", 2)
	atPoint = func(point string) {
		if point == "tripped" {
			testpg.Exec(t, url, `ALTER TABLE adfbot.host_flag RENAME TO away`)
		}
	}
	require.True(t, b.fail("odilo", 1).Tripped)
	atPoint = nil
	require.True(t, b.paused("odilo"))
	testpg.Exec(t, url, `ALTER TABLE adfbot.away RENAME TO host_flag`)
	_, err := a.resume("odilo")
	require.NoError(t, err)
	follow(b, a)
	require.False(t, b.paused("odilo"))
	require.False(t, a.paused("odilo"))
}
