package bot_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/testhost"
)

// daemon is a running serve, in a synctest bubble: minutes pass at once, and only when everybody waits.
type daemon struct {
	*world
	stop   context.CancelFunc
	reload chan struct{}
	done   chan error
	broken error    // of the next reload
	bot    *bot.Bot // that HTTP works with
}

// serving runs f beside serve, and then ends serve.
func serving(t *testing.T, prepare func(w *world), f func(t *testing.T, d *daemon)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := worldIn(t, dir)
		w.runs = true
		if prepare != nil {
			prepare(w)
		}
		ctx, cancel := context.WithCancel(ctx)
		d := &daemon{world: w, stop: cancel, reload: make(chan struct{}), done: make(chan error, 1)}
		first, err := bot.Open(ctx, w.cfg, bot.Daemon, w.env())
		require.NoError(t, err)
		d.bot = first
		defer func() { require.NoError(t, first.Close()) }()
		go func() {
			d.done <- bot.Serve(ctx, first, d.reload, func(ctx context.Context, cfg *config.Config) (*bot.Bot, error) {
				if d.broken != nil {
					return nil, d.broken
				}
				if cfg == nil {
					cfg = w.cfg
				}
				b, err := bot.Open(ctx, cfg, bot.Daemon, w.env())
				if err == nil {
					d.bot = b
				}
				return b, err
			})
		}()
		synctest.Wait()
		defer func() {
			cancel()
			require.NoError(t, <-d.done)
			if t.Failed() {
				t.Log(w.Logged.String())
			}
		}()
		f(t, d)
	})
}

// after lets time pass.
func (d *daemon) after(t time.Duration) {
	time.Sleep(t)
	synctest.Wait()
}

// sweeps counts the sweeps by their one request, and forgets them.
func (d *daemon) sweeps() (n int) {
	for _, r := range d.Gitea.Requests() {
		if r.Method == "GET" && strings.Contains(r.Path, "state=open") {
			n++
		}
	}
	d.Gitea.ResetRequests()
	return n
}

// Serve sweeps at its start and by its schedule.
func TestServeSchedule(t *testing.T) {
	t.Parallel()
	serving(t, nil, func(t *testing.T, d *daemon) {
		require.Equal(t, 1, d.sweeps())
		d.after(59 * time.Second)
		require.Zero(t, d.sweeps())
		d.after(time.Second)
		require.Equal(t, 1, d.sweeps())
		d.after(10 * time.Minute)
		require.Equal(t, 10, d.sweeps())
		require.FileExists(t, d.sentinel(), "it makes the pause directory ready")
	})
}

func TestServeClosesIssue(t *testing.T) {
	t.Parallel()
	serving(t, nil, func(t *testing.T, d *daemon) {
		d.fail("odilo", 3)
		d.after(5 * time.Minute)
		require.Len(t, d.issues("open"), 1)
		d.Remove(d.flag("odilo"))
		d.after(time.Minute)
		require.Len(t, d.issues("closed"), 1)
	})
}

func TestServeSweepsDoNotOverlap(t *testing.T) {
	t.Parallel()
	slow := func(w *world) {
		w.change("projects:", "sweep:\n  schedule: \"@every 1s\"\nprojects:")
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.ListIssues(), Do: giteatest.Latency(5 * time.Second)})
	}
	serving(t, slow, func(t *testing.T, d *daemon) {
		d.after(time.Minute)
		var last time.Time
		for _, r := range d.Gitea.Requests() {
			if strings.Contains(r.Path, "/issues?") {
				require.False(t, r.At.Before(last.Add(5*time.Second)), "%s after %s", r.At, last)
				last = r.At
			}
		}
		n := d.sweeps()
		require.GreaterOrEqual(t, n, 9)
		require.LessOrEqual(t, n, 12)
	})
}

// A sweep that waits for Gitea keeps no flag, resume or spooled result waiting.
func TestServeLocalStepsWhileGiteaIsSlow(t *testing.T) {
	t.Parallel()
	slow := func(w *world) {
		w.fail("odilo", 3)
		w.change("projects:", "sweep:\n  schedule: \"@every 1s\"\nprojects:")
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.ListIssues(), Do: giteatest.Latency(9 * time.Second)})
	}
	serving(t, slow, func(t *testing.T, d *daemon) {
		d.after(100 * time.Millisecond)
		d.Remove(d.flag("odilo"))
		spooled := failure("atlas")
		spooled.RunID = "r"
		_, err := hostlocal.Beside(d.cfg.State).Spool().Add(spooled)
		require.NoError(t, err)
		d.Gitea.ResetRequests()
		d.after(time.Second)
		require.Equal(t, "no", d.project("odilo").Paused)
		require.Equal(t, 1, d.project("atlas").Failures)
		require.Zero(t, d.sweeps(), "one sweep at a time asks Gitea")
		d.after(30 * time.Second)
		require.Len(t, d.issues("closed"), 1)
	})
}

func TestServeWithGiteaDown(t *testing.T) {
	t.Parallel()
	var up func()
	down := func(w *world) {
		up = w.Gitea.Inject(giteatest.Fault{Do: giteatest.Reset()})
		w.fail("odilo", 3)
		w.change("projects:", "sweep:\n  schedule: \"@every 10m\"\nprojects:") // a day of minutes takes long
	}
	serving(t, down, func(t *testing.T, d *daemon) {
		d.after(26 * time.Hour)
		require.Empty(t, d.issues(""))
		d.fail("atlas", 2)
		require.FileExists(t, d.flag("atlas"))
		d.Remove(d.flag("atlas"))
		d.after(11 * time.Minute)
		require.Equal(t, "no", d.project("atlas").Paused, "resumes need no Gitea")
		require.NotEmpty(t, d.project("odilo").Pending)
		up()
		d.after(26 * time.Minute) // the longest wait between tries, and a sweep
		require.Len(t, d.issues("open"), 1)
		require.Empty(t, d.project("odilo").Pending)
	})
}

// A reload takes the new configuration; a bad one changes nothing.
func TestServeReload(t *testing.T) {
	t.Parallel()
	serving(t, nil, func(t *testing.T, d *daemon) {
		d.sweeps()
		d.broken = errors.New("config.yaml:7: no")
		d.reload <- struct{}{}
		synctest.Wait()
		require.Contains(t, d.Logged.String(), "cannot reload, the old configuration stays in force\" err=\"config.yaml:7: no\"")
		require.Zero(t, d.sweeps())
		d.after(2 * time.Minute)
		require.Equal(t, 2, d.sweeps())

		d.broken = nil
		d.change("projects:", "sweep:\n  schedule: \"@every 1h\"\nprojects:")
		d.reload <- struct{}{}
		synctest.Wait()
		require.Equal(t, 1, d.sweeps(), "it sweeps at once")
		d.after(59 * time.Minute)
		require.Zero(t, d.sweeps())
		d.after(2 * time.Minute)
		require.Equal(t, 1, d.sweeps())

		d.change("\"@every 1h\"", "\"@every 1m\"")
		d.reload <- struct{}{}
		d.after(3*time.Minute + time.Second)
		require.Equal(t, 4, d.sweeps(), "and again")
	})
}

// A daemon that went on with a state opened for reading alone would store nothing even after the repair.
func TestServeStateReadOnly(t *testing.T) {
	t.Parallel()
	testhost.NeedRoot(t, "to mount something over the state")
	serving(t, nil, func(t *testing.T, d *daemon) {
		writable := testhost.ReadOnly(t, d.cfg.State)
		_, err := bot.Open(ctx, d.cfg, bot.Daemon, d.env())
		require.ErrorIs(t, err, store.ErrUnusable, "systemd starts it again")
		d.with(bot.Results, func(b *bot.Bot) { require.NoError(t, b.MayRun(ctx, "odilo").Err, "a run asks it all the same") })
		d.reload <- struct{}{}
		synctest.Wait()
		require.Contains(t, d.Logged.String(), "cannot reload, the old configuration stays in force\" err=\"state not usable")
		writable()
		d.fail("odilo", 3)
		d.after(2 * time.Minute)
		require.Len(t, d.issues("open"), 1)
		_, err = d.bot.Record(ctx, failure("odilo"))
		require.NoError(t, err)
	})
}

func TestServeFinishesSweep(t *testing.T) {
	t.Parallel()
	pending := func(w *world) {
		up := w.Gitea.Inject(giteatest.Fault{Do: giteatest.Reset()})
		w.fail("odilo", 3)
		up()
		time.Sleep(time.Hour)
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Do: giteatest.Latency(5 * time.Second)})
	}
	serving(t, pending, func(t *testing.T, d *daemon) {
		require.Empty(t, d.issues(""), "it is at it")
		begun := time.Now()
		d.stop()
		require.NoError(t, <-d.done)
		d.done <- nil
		require.Equal(t, 5*time.Second, time.Since(begun))
		require.Len(t, d.issues("open"), 1)
		require.Contains(t, d.Logged.String(), "issue opened")
	})
}

// A hint that waits for a sweep ends without waiting for it.
func TestHintCanceledWhileWaiting(t *testing.T) {
	t.Parallel()
	slow := func(w *world) {
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.ListIssues(), Do: giteatest.Latency(5 * time.Second)})
	}
	serving(t, slow, func(t *testing.T, d *daemon) {
		ctx, end := context.WithCancel(t.Context())
		hinted := make(chan error, 1)
		go func() {
			_, err := d.bot.SweepProject(ctx, "odilo")
			hinted <- err
		}()
		synctest.Wait()
		require.Empty(t, hinted, "two sweeps are never made at once")
		begun := time.Now()
		end()
		require.ErrorIs(t, <-hinted, context.Canceled)
		require.Zero(t, time.Since(begun))
		require.NotContains(t, d.Logged.String(), "level=ERROR")
	})
}

// A sweep for a hint that is told to end is no error.
func TestHintCanceledDuringSweep(t *testing.T) {
	t.Parallel()
	serving(t, nil, func(t *testing.T, d *daemon) {
		defer d.Gitea.Inject(giteatest.Fault{Match: giteatest.ListIssues(), Do: giteatest.Latency(5 * time.Second)})()
		ctx, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		_, err := d.bot.SweepProject(ctx, "odilo")
		require.Error(t, err)
		require.NotContains(t, d.Logged.String(), "level=ERROR")
		require.Contains(t, d.Logged.String(), "sweep of one project was interrupted")
	})
}

// The schedule goes on.
func TestServePanicInSweep(t *testing.T) {
	var bad bool
	spool := func(w *world) {
		w.fail("odilo", 2)
		r := failure("odilo")
		r.RunID = "r"
		_, err := hostlocal.Beside(w.cfg.State).Spool().Add(r)
		require.NoError(t, err)
		atPoint = func(s string) {
			if s == "tripped" && !bad {
				bad = true
				panic("for the test")
			}
		}
	}
	serving(t, spool, func(t *testing.T, d *daemon) {
		require.True(t, bad)
		require.Contains(t, d.Logged.String(), "for the test")
		d.after(3 * time.Minute)
		require.Equal(t, 3, d.sweeps())
		require.Len(t, d.issues("open"), 1, "what it left undone is done")
	})
}

// A clock that was set does not put the sweep off.
// The cron library waits for a wall clock time. The bubble's clock can't be set back, so it is the bot's own view of it
// that jumps here; the sweep that follows comes from the comparison with the monotonic clock alone.
func TestServeClockSet(t *testing.T) {
	t.Parallel()
	for what, jump := range map[string]time.Duration{"back": -24 * time.Hour, "forward": time.Hour} {
		t.Run(what, func(t *testing.T) {
			daily := func(w *world) { w.change("projects:", "sweep:\n  schedule: \"@every 24h\"\nprojects:") }
			serving(t, daily, func(t *testing.T, d *daemon) {
				require.Equal(t, 1, d.sweeps())
				d.after(10 * time.Minute)
				require.Zero(t, d.sweeps())
				d.mu.Lock()
				d.set = jump
				d.mu.Unlock()
				d.after(time.Minute + time.Second)
				require.Equal(t, 1, d.sweeps())
				require.Contains(t, d.Logged.String(), "the clock was set, starting the schedule again")
				d.mu.Lock()
				d.set += 5 * time.Second // as an NTP daemon does
				d.mu.Unlock()
				d.after(10 * time.Minute)
				require.Zero(t, d.sweeps())
			})
		})
	}
}

func TestServeTokenReadableAgain(t *testing.T) {
	t.Parallel()
	without := func(w *world) {
		w.fail("odilo", 2)
		delete(w.vars, "BOT_TOKEN")
		w.fail("odilo", 1)
	}
	serving(t, without, func(t *testing.T, d *daemon) {
		d.reload <- struct{}{} // so that the bot which is replaced then is one that Serve closes
		d.after(10 * time.Minute)
		require.Contains(t, d.Logged.String(), "$BOT_TOKEN is empty")
		require.Contains(t, d.project("odilo").Pending[0], "$BOT_TOKEN is empty")
		d.mu.Lock()
		d.vars["BOT_TOKEN"] = token
		d.mu.Unlock()
		d.after(2 * time.Minute)
		require.Len(t, d.issues("open"), 1)
		d.sweeps()
		d.after(5 * time.Minute)
		require.Equal(t, 5, d.sweeps())
		_, err := d.bot.Record(ctx, failure("odilo"))
		require.NoError(t, err, "HTTP has the new bot too, and not one that was closed")
	})
}

// A daemon that refuses a place which was changed goes on with it once another process has done what the refusal says.
func TestServeChangedPlaceAccepted(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		was, now, refuse string
		mode             bot.Mode
		accept           func(b *bot.Bot) error
	}{
		"the address is confirmed": {"http://gitea.example", "http://new.example", "gitea.url was changed", bot.Operate,
			func(b *bot.Bot) error { return b.ConfirmURL(ctx) }},
		"the directory is restored": {"DIR/pause", "DIR/elsewhere", "pause_dir was changed", bot.Restore,
			func(b *bot.Bot) error { _, err := b.Restore(ctx); return err }},
	} {
		t.Run(what, func(t *testing.T) {
			changed := func(w *world) {
				w.fail("odilo", 3)
				w.change(c.was, c.now)
				w.Gitea.SetBaseURL(w.cfg.Gitea.URL)
			}
			serving(t, changed, func(t *testing.T, d *daemon) {
				d.after(5 * time.Minute)
				require.Contains(t, strings.Join(d.status().Problems, "\n"), c.refuse)
				require.NotContains(t, d.Logged.String(), "state and Gitea opened again")
				d.with(c.mode, func(b *bot.Bot) { require.NoError(t, c.accept(b)) })
				d.after(2 * time.Minute)
				require.Empty(t, d.status().Problems)
				d.Remove(d.flag("odilo"))
				d.after(2 * time.Minute)
				require.Len(t, d.issues("closed"), 1)
				d.after(5 * time.Minute)
				require.Equal(t, 1, strings.Count(d.Logged.String(), "state and Gitea opened again"))
			})
		})
	}
}

// Once the last incident at the old address is settled, as by another host of a fleet, nobody has to confirm the new one.
func TestServeChangedURLWithoutDependents(t *testing.T) {
	t.Parallel()
	var old config.Config
	changed := func(w *world) {
		w.fail("odilo", 3)
		old = *w.cfg
		w.change("http://gitea.example", "http://new.example")
	}
	serving(t, changed, func(t *testing.T, d *daemon) {
		require.Contains(t, strings.Join(d.status().Problems, "\n"), "gitea.url was changed")
		d.Remove(d.flag("odilo"))
		b, err := bot.Open(ctx, &old, bot.Operate, d.env())
		require.NoError(t, err)
		_, err = b.Sweep(ctx, escalate.SweepOptions{})
		require.NoError(t, err)
		require.NoError(t, b.Close())
		require.Len(t, d.issues("closed"), 1)
		d.Gitea.SetBaseURL(d.cfg.Gitea.URL)
		d.after(2 * time.Minute)
		require.Empty(t, d.status().Problems)
		d.fail("odilo", 3)
		require.Len(t, d.issues("open"), 1)
	})
}

// root returns the certificate of a new authority, in PEM.
func root(t *testing.T) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, public, private)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// A new certificate in gitea.ca_file is used without a restart of the daemon.
func TestServeReplacedCertificate(t *testing.T) {
	t.Parallel()
	const why = "gitea.ca_file was changed"
	file := ""
	withRoot := func(w *world) {
		file = w.Dir + "/ca.pem"
		w.Write(file, root(t))
		w.change("  repo:", "  ca_file: DIR/ca.pem\n  repo:")
	}
	serving(t, withRoot, func(t *testing.T, d *daemon) {
		d.after(5 * time.Minute)
		require.NotContains(t, d.Logged.String(), why)
		d.Write(file, "half a certif")
		d.after(5 * time.Minute)
		require.NotContains(t, d.Logged.String(), why, "it is being written")
		d.Write(file, root(t))
		d.after(2 * time.Minute)
		require.Contains(t, d.Logged.String(), why)
		d.after(5 * time.Minute)
		require.Equal(t, 1, strings.Count(d.Logged.String(), why))
	})
}

// Only closing the state saves what is in a log that was removed, so the daemon ends, and systemd starts it again.
func TestServeRemovedLog(t *testing.T) {
	t.Parallel()
	for what, end := range map[string]func(d *daemon){
		"within a minute": func(d *daemon) { d.after(time.Minute) },
		"at a reload":     func(d *daemon) { d.reload <- struct{}{} },
	} {
		t.Run(what, func(t *testing.T) {
			serving(t, nil, func(t *testing.T, d *daemon) {
				d.Remove(d.cfg.State + "-wal")
				end(d)
				require.ErrorIs(t, <-d.done, store.ErrLogGone)
				d.done <- nil
			})
		})
	}
}

// Serve goes on with the state that is there.
// A daemon that went on with a file that nobody will ever open again would count, pause and forget.
func TestServeReplacedState(t *testing.T) {
	t.Parallel()
	for what, take := range map[string]func(d *daemon){
		"the state was deleted": func(d *daemon) { d.Remove(filepath.Dir(d.cfg.State)) },
		"an older copy was put there": func(d *daemon) {
			d.Remove(filepath.Dir(d.cfg.State))
			require.NoError(d, os.CopyFS(filepath.Dir(d.cfg.State), os.DirFS(d.Dir+"/copy")))
		},
	} {
		t.Run(what, func(t *testing.T) {
			serving(t, nil, func(t *testing.T, d *daemon) {
				d.fail("atlas", 1)
				require.NoError(t, os.CopyFS(d.Dir+"/copy", os.DirFS(filepath.Dir(d.cfg.State))))
				d.fail("odilo", 3)
				d.after(time.Second)
				take(d)
				r := store.Result{Project: "atlas", Agent: "project-meta", Outcome: store.Success, RunID: "r"}
				_, err := d.bot.Record(ctx, r)
				require.ErrorIs(t, err, store.ErrUnusable, "not stored where it would be lost")
				require.False(t, d.bot.Ready(ctx).Ready)
				_, err = hostlocal.Beside(d.cfg.State).Spool().Add(r) // as HTTP does then
				require.NoError(t, err)

				d.after(2 * time.Minute)
				require.Contains(t, d.Logged.String(), "state and Gitea opened again")
				require.True(t, d.bot.Ready(ctx).Ready)
				require.Equal(t, store.Success, d.project("atlas").LastRuns[0].Outcome, "what was spooled is taken in")
				require.Empty(t, d.spool())
				require.Equal(t, "yes", d.project("odilo").Paused)
				require.Len(t, d.issues("open"), 1)
				_, err = d.bot.Record(ctx, failure("atlas"))
				require.NoError(t, err)
				require.Equal(t, 1, d.project("atlas").Failures, "every process sees it")
			})
		})
	}
}
