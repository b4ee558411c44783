package bot_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/pause"
)

// damage makes the state unusable, and returns what makes it usable again.
var damage = map[string]func(t testing.TB, w *world) (repair func()){
	"corrupt": func(t testing.TB, w *world) func() {
		good := w.Read(w.cfg.State)
		require.NoError(t, os.WriteFile(w.cfg.State, bytes.Repeat([]byte("x"), 5000), 0o600))
		return func() { require.NoError(t, os.WriteFile(w.cfg.State, []byte(good), 0o600)) }
	},
	"damaged further in": func(t testing.TB, w *world) func() {
		good := w.Read(w.cfg.State)
		bad := []byte(good)
		for n := 3 * 4096; n < len(bad); n++ { // it can be opened
			bad[n] = 0xa5
		}
		require.NoError(t, os.WriteFile(w.cfg.State, bad, 0o600))
		return func() { require.NoError(t, os.WriteFile(w.cfg.State, []byte(good), 0o600)) }
	},
	"of a newer version": func(t testing.TB, w *world) func() {
		good := w.Read(w.cfg.State)
		bad := []byte(good)
		bad[63] = 200 // user_version
		require.NoError(t, os.WriteFile(w.cfg.State, bad, 0o600))
		return func() { require.NoError(t, os.WriteFile(w.cfg.State, []byte(good), 0o600)) }
	},
	"without a column":                 damagedBy(`ALTER TABLE project RENAME COLUMN half_open TO half_opem`),
	"with text where a number must be": damagedBy(`UPDATE project SET generation = 'x'`),
	"with an invalid id":               damagedBy(`UPDATE meta SET value = 'x' WHERE key = 'installation'`),
	"read-only, with a spool that is not": func(t testing.TB, w *world) func() {
		testhost.NeedRoot(t, "to mount something over the state")
		return testhost.ReadOnly(t, w.cfg.State)
	},
}

// damagedBy returns a damage that SQLite itself does not notice.
func damagedBy(statement string) func(testing.TB, *world) func() {
	return func(t testing.TB, w *world) func() {
		good := w.Read(w.cfg.State)
		db, err := sql.Open("sqlite", w.cfg.State)
		require.NoError(t, err)
		_, err = db.ExecContext(ctx, statement)
		require.NoError(t, err)
		require.NoError(t, db.Close())
		return func() { require.NoError(t, os.WriteFile(w.cfg.State, []byte(good), 0o600)) }
	}
}

// The command runs, its exit code stands, and its result is stored later.
func TestUnusableState(t *testing.T) {
	t.Parallel()
	for what, break_ := range damage {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.fail("odilo", 2)
			repair := break_(t, w)
			r := w.sh("odilo", "echo ran; exit 7")
			require.Equal(t, 7, r.code, r.stderr)
			require.Equal(t, "ran\n", r.stdout)
			require.Contains(t, r.stderr, "adfbot: state not usable: ")
			require.Contains(t, r.stderr, w.cfg.State)
			require.Contains(t, r.stderr, "adfbot: the result is kept in ")
			require.Contains(t, r.stderr, "is recorded by the next adfbot command that can; do not record it again")
			require.False(t, bot.Gate(ctx, w.cfg, "odilo").Paused, "the gate needs no state")

			repair()
			require.Equal(t, 2, w.project("odilo").Failures)
			r = w.must(bot.ExitPaused, "odilo", "true")
			require.Contains(t, r.stderr, "failed 3 times in a row", "it was the third, and the command that took it in minds it")
			require.Len(t, w.issues("open"), 1)
			require.Empty(t, w.spool())
			require.Contains(t, w.issues("open")[0].Body, "ran")
		})
	}
}

// spool are the results that wait.
func (w *world) spool() []string {
	files, err := filepath.Glob(filepath.Join(w.cfg.LocalDir, "spool", "*.json"))
	require.NoError(w, err)
	return files
}

// A command waits once for a state that a stopped process has locked, however many results wait in the spool.
func TestLockedStateIsAwaitedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(0, "odilo", "true")
	for range 2 {
		r := failure("odilo")
		r.Started, r.Finished = noon, noon
		require.Contains(t, bot.Spool(ctx, w.cfg, nil, r, w.now), "is kept in")
	}
	synctest.Test(t, func(t *testing.T) {
		db, err := sql.Open("sqlite", w.cfg.State)
		require.NoError(t, err)
		defer func() { require.NoError(t, db.Close()) }()
		stopped, err := db.Conn(ctx)
		require.NoError(t, err)
		_, err = stopped.ExecContext(ctx, "BEGIN IMMEDIATE")
		require.NoError(t, err)
		begun := time.Now()
		r := w.sh("odilo", "exit 7")
		require.InDelta(t, 10, time.Since(begun).Seconds(), 0.5)
		require.Equal(t, 7, r.code)
		require.Contains(t, r.stderr, "another process has held it for over 10 s")
		require.Len(t, w.spool(), 3)
		require.NoError(t, stopped.Close())
	})
	require.Equal(t, bot.ExitPaused, w.sh("odilo", "true").code)
	require.Empty(t, w.spool())
}

// The same holds for the lock of another project's flag, and for whatever else keeps the spool from being taken in.
func TestIntakeOfTheSpoolIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(0, "odilo", "true")
	w.fail("atlas", 2)
	for range 3 {
		r := failure("atlas")
		r.Started, r.Finished = noon, noon
		require.Contains(t, bot.Spool(ctx, w.cfg, nil, r, w.now), "is kept in")
	}
	w.Remove(w.flag("atlas"))
	synctest.Test(t, func(t *testing.T) {
		unlock, err := hostlocal.Beside(w.cfg.State).LockHere(ctx, "flag/atlas", 0)
		require.NoError(t, err)
		defer unlock()
		begun := time.Now()
		w.must(0, "odilo", "true")
		require.InDelta(t, 11, time.Since(begun).Seconds(), 0.5)
	})
	w.sweepWell()
	require.Empty(t, w.spool())
}

// The flag still refuses.
func TestUnusableStateWithFlag(t *testing.T) {
	t.Parallel()
	for what, break_ := range damage {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.fail("odilo", 3)
			defer break_(t, w)()
			r := w.must(bot.ExitPaused, "odilo", "touch", w.Dir+"/ran")
			require.Contains(t, r.stderr, "odilo is paused: ")
			require.NoFileExists(t, w.Dir+"/ran")
		})
	}
}

// The gate still refuses.
func TestUnusableStateWithUnknownGate(t *testing.T) {
	t.Parallel()
	for what, break_ := range damage {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.fail("odilo", 3)
			defer break_(t, w)()
			w.Remove(w.cfg.PauseDir)
			require.NoError(t, os.Mkdir(w.cfg.PauseDir, 0o755)) // as a tmpfs is after a reboot
			r := w.must(bot.ExitNotStarted, "odilo", "touch", w.Dir+"/ran")
			require.Contains(t, r.stderr, "it is not known whether odilo is paused, so nothing is run")
			require.Contains(t, r.stderr, "adfbot restore")
		})
	}
}

// A result that cannot be stored on a full disk is spooled in the space that is reserved for it.
func TestFullDisk(t *testing.T) { // alone, see inStateFails
	w := newWorld(t)
	testhost.Disk(t, filepath.Join(w.Dir, "state"), "size=2m")
	w.fail("odilo", 2) // the first one creates the reserves
	empty := testhost.Fill(t, filepath.Join(w.Dir, "state"))
	for w.inStateFails() == nil { // the log's last page may have room
	}
	r := w.sh("odilo", "echo ran; exit 7")
	require.Equal(t, 7, r.code)
	require.Regexp(t, "the disk is full: make room|the disk fails or is full", r.stderr)
	require.Contains(t, r.stderr, "the result is kept in ")
	require.Len(t, w.spool(), 1)
	empty()
	w.must(bot.ExitPaused, "odilo", "true")
	require.Empty(t, w.spool())
}

// Whoever may write the spool can put any text there. None of it reaches a terminal as it is.
func TestHostileTextInSpool(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 1)
	const hostile = `\u001b]0;x\u0007\u001b[2J\n`
	w.Write(filepath.Join(w.cfg.LocalDir, "spool/000001-by-hand.json"), fmt.Sprintf(`{"Project": "odilo", "Agent": "project-meta", "Outcome": "failure",
		"RunID": "r%[1]s", "Host": "h%[1]s", "Signal": "S%[1]s", "Detail": "d%[1]s", "Output": "o%[1]s"}`, hostile))
	w.sweepWell()
	w.with(bot.ReadOnly, func(b *bot.Bot) {
		d, err := b.Detail(ctx, "odilo", status.Pages{})
		require.NoError(t, err)
		require.Len(t, d.Runs, 2)
		require.True(t, d.Runs[0].Finished.Equal(w.now()), "it does not say when it ended: %s", d.Runs[0].Finished)
		for _, text := range []string{d.Runs[0].RunID, d.Runs[0].Host, d.Runs[0].Signal, d.Runs[0].Detail, d.Runs[0].Output} {
			require.Regexp(t, `^[[:print:]]+\n?$`, text)
		}
	})
}

// daemonAway keeps what is reported, as the client does while the daemon does not answer.
type daemonAway struct{ hostlocal.OwnSpools }

func (daemonAway) Paused(context.Context, string) (string, error) { return "", nil }

func (daemonAway) SendKept(context.Context) []string { return nil }

func (d daemonAway) Report(_ context.Context, r store.Result) status.Reported {
	file, err := d.Add(r)
	return status.Reported{Messages: []string{fmt.Sprintf("the result is kept in %s (%v)", file, err)}}
}

// daemonCannotTell answers that it does not know whether a project is paused.
type daemonCannotTell struct{ daemonAway }

func (daemonCannotTell) Paused(context.Context, string) (string, error) {
	return "", errors.New("the daemon cannot tell: its state does not answer")
}

// daemonHangs does not answer to a result until somebody tells this process to end, and leaves it.
type daemonHangs struct{ daemonAway }

func (d daemonHangs) Report(ctx context.Context, r store.Result) status.Reported {
	_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
	select {
	case <-ctx.Done():
		return d.daemonAway.Report(ctx, r)
	case <-time.After(testhost.Patience):
		return status.Reported{Messages: []string{"still waiting"}}
	}
}

// A signal after the command's end ends the wait for the daemon. What the result does without it is done.
func TestExecEndedWhileTheDaemonHangs(t *testing.T) {
	w := newWorld(t)
	state := filepath.Join(w.Dir, "state")
	testhost.Disk(t, state, "size=2m")
	w.own = hostlocal.OwnSpools{w.Dir + "/own"}
	w.fail("atlas", 1)
	testhost.RemountReadOnly(t, state)
	var last ran
	for range 3 {
		last = w.execAs(bot.ExecRequest{Project: "odilo", Agent: "project-meta", Command: []string{"sh", "-c", "exit 7"}, Reporter: daemonHangs{daemonAway{w.own}}})
		require.Equal(t, 7, last.code)
		require.Contains(t, last.stderr, "the result is kept in "+w.own[0])
	}
	require.Contains(t, last.stderr, "the project is paused")
	require.FileExists(t, w.flag("odilo"))
}

// A stop may be about a project that is not known here. One that is has its flag; a daemon that cannot tell does not keep it from its work.
func TestDaemonCannotTell(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withPattern()
	state := filepath.Join(w.Dir, "state")
	testhost.Disk(t, state, "size=2m")
	w.own = hostlocal.OwnSpools{w.Dir + "/own"}
	w.fail("odilo", 1)
	w.fail("twins-known", 1)
	testhost.RemountReadOnly(t, state)
	exec := func(project string, r bot.Reporter) ran {
		return w.execAs(bot.ExecRequest{Project: project, Agent: "project-meta", Command: []string{"sh", "-c", "echo ran; exit 7"}, Reporter: r})
	}
	cannot := daemonCannotTell{daemonAway{w.own}}
	for _, id := range []string{"odilo", "twins-known"} {
		require.Equal(t, 7, exec(id, cannot).code, id)
	}
	r := exec("twins-new", cannot)
	require.Equal(t, bot.ExitNotStarted, r.code, r.stderr)
	require.NotContains(t, r.stdout, "ran")
	require.Contains(t, r.stderr, "it is not known whether twins-new is paused, so nothing is run: the daemon cannot tell: its state does not answer")
	require.Equal(t, 7, exec("twins-new", daemonAway{w.own}).code, "a daemon that does not answer stops nobody")
}

// On a read-only disk, results go to the user's own spool instead of the one beside the state. Failures there pause the project, too.
func TestOwnSpool(t *testing.T) {
	t.Parallel()
	for what, away := range map[string]bool{"without a daemon": false, "while the daemon is away": true} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			state := filepath.Join(w.Dir, "state")
			testhost.Disk(t, state, "size=2m")
			w.own = hostlocal.OwnSpools{w.Dir + "/own"}
			q := bot.ExecRequest{Project: "odilo", Agent: "project-meta", Command: []string{"sh", "-c", "echo ran; exit 7"}}
			if away {
				q.Reporter = daemonAway{w.own}
			}
			w.fail("atlas", 1)
			testhost.RemountReadOnly(t, state)
			var last ran
			for range 3 {
				last = w.execAs(q)
				require.Equal(t, 7, last.code)
				require.Contains(t, last.stderr, "the result is kept in "+w.own[0])
			}
			require.Contains(t, last.stderr, "the project is paused")
			require.Equal(t, bot.ExitPaused, w.execAs(q).code)

			elsewhere := failure("another-installation")
			elsewhere.RunID = "r"
			_, err := w.own.Add(elsewhere)
			require.NoError(t, err)
			require.NoError(t, syscall.Mount("", state, "", syscall.MS_REMOUNT, ""))
			for _, own := range []hostlocal.OwnSpools{w.own, nil} { // of this user, and of another one
				mine := w.own
				w.own = own
				p := w.project("odilo")
				require.Equal(t, status.Yes, p.Paused)
				require.False(t, p.Held, "no person has paused it")
				require.Len(t, p.Warnings, 1)
				require.Contains(t, p.Warnings[0], "its issue is opened once they can be stored")
				w.own = mine
			}
			require.Equal(t, bot.ExitPaused, w.execAs(q).code)
			require.Len(t, w.issues("open"), 1)
			require.Contains(t, w.issues("open")[0].Body, "ran")
			require.Equal(t, 3, w.project("odilo").Failures)
			left := w.own.List()
			require.Len(t, left, 1)
			require.Equal(t, "another-installation", left[0].Result.Project)
		})
	}
}

// A run that ends once the disk is writable again is kept behind the results of its project that the user has kept before.
func TestKeptBehindAnOwnSpool(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 1)
	w.own = hostlocal.OwnSpools{w.Dir + "/own"}
	for _, outcome := range []string{store.Failure, store.Success} {
		w.pass(time.Minute)
		_, err := w.own.Add(store.Result{Project: "odilo", Agent: "project-meta", RunID: outcome, Outcome: outcome, Finished: w.now()})
		require.NoError(t, err)
	}
	for _, project := range []string{"odilo", "atlas"} {
		w.pass(time.Minute)
		k, err := bot.Keep(ctx, w.cfg, w.own, store.Result{Project: project, Agent: "project-meta", Outcome: store.Failure, Finished: w.now()}, w.now)
		require.NoError(t, err)
		require.Equal(t, project == "odilo", strings.HasPrefix(k.File, w.own[0]))
	}
	mine := w.own
	w.own = nil // the daemon
	w.sweepWell()
	require.Equal(t, 1, w.project("odilo").Failures)
	require.Equal(t, 1, w.project("atlas").Failures)
	w.own = mine
	w.sweepWell()
	require.Equal(t, 1, w.project("odilo").Failures, "one since the success")
	require.Empty(t, w.own.List())
}

// The daemon sweeps before the user in whose own spool the failures are, and who has paused the project for them, sends them: nothing was lost.
func TestSweepBeforeAnOwnSpool(t *testing.T) {
	t.Parallel()
	for what, newWorld := range map[string]func(testing.TB) *world{"one host": newWorld, "a fleet": newFirstHost} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			if what == "a fleet" {
				w.change("local_dir: DIR/local", "local_dir: DIR/local\nfleet: {host: edge-1}\n")
			}
			w.join()
			host := bot.HostName(w.cfg)
			own := hostlocal.OwnSpools{w.Dir + "/own"}
			for range 3 {
				w.pass(time.Minute)
				r := failure("odilo")
				r.RunID, r.Host, r.Started, r.Finished, r.Output = pause.NewRandomID(), host, w.now(), w.now(), "out of disk\n"
				_, err := own.Add(r)
				require.NoError(t, err)
				bot.PauseKept(ctx, w.cfg, own, r, w.now)
			}
			require.FileExists(t, w.flag("odilo"))
			w.pass(time.Minute)
			w.sweepWell()
			require.Len(t, w.issues("open"), 1)
			body := w.issues("open")[0].Body
			require.NotContains(t, body, "lost its state")
			require.Contains(t, body, "failed 3 times in a row on `"+host+"`. That host could not store its results then, and counted no others.")
			require.Contains(t, body, "The bot made this issue from the pause flag alone")
			require.Contains(t, body, "`adfbot runs odilo --output 20 --config "+w.cfg.Path+"`")

			w.pass(time.Minute)
			w.own = own
			require.Equal(t, bot.ExitPaused, w.exec("odilo", "true").code)
			require.Empty(t, own.List())
			w.sweepWell()
			require.Len(t, w.issues(""), 1)
			p := w.project("odilo")
			require.Equal(t, 3, p.Failures)
			require.Equal(t, status.Yes, p.Paused)
			require.Len(t, p.LastRuns, 3)
			w.Remove(w.flag("odilo"))
			w.sweepWell()
			require.Equal(t, status.No, w.project("odilo").Paused)
			require.Len(t, w.issues("closed"), 1)
		})
	}
}

// inStateFails stores something for as long as it can be. A test that needs a disk which stays full is not parallel: SQLite removes files, and a
// process that another test starts at that moment has them open until it runs its program. Then there is room again.
func (w *world) inStateFails() (err error) {
	s, err := sqlite.Open(ctx, w.cfg.State, sqlite.Options{Now: w.now})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	_, err = s.Record(ctx, store.Result{Project: "filler", Agent: "filler", Outcome: store.Failure, Output: strings.Repeat("x", 3000)}, store.Limits{})
	return err
}

// The message has the command that records it.
func TestLostResult(t *testing.T) { // alone, see inStateFails
	w := newWorld(t)
	testhost.Disk(t, filepath.Join(w.Dir, "state"), "size=1m")
	w.fail("odilo", 1)
	w.Remove(w.cfg.State + ".d/spool")
	w.Touch(w.cfg.State + ".d/spool")
	testhost.Fill(t, filepath.Join(w.Dir, "state"))
	for w.inStateFails() == nil {
	}
	r := w.sh("odilo", "exit 7")
	require.Equal(t, 7, r.code)
	require.Regexp(t, regexp.MustCompile(`the result \(failure of project-meta in odilo\) is LOST unless you record it: adfbot record --project odilo --agent project-meta --run-id [0-9a-f]{32} --exit-code 7 --started \S+Z --finished \S+Z --config `+
		regexp.QuoteMeta(w.cfg.Path)+`\n`), r.stderr)
}

// The command that records a lost result can be pasted into a shell.
func TestLostResultCommand(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"2026-11-23T07:00", "night run", `it's "$(touch x)"; #`, "-x"} {
		r := failure("odilo")
		r.RunID = id
		_, command, _ := strings.Cut(status.LostText(r, os.ErrInvalid, "--failure", "", ""), "record it: adfbot ")
		out, err := exec.Command("sh", "-c", `printf '%s\n' `+command).Output()
		require.NoError(t, err)
		require.Equal(t, "record\n--project\nodilo\n--agent\nproject-meta\n--run-id\n"+id+"\n--failure\n", string(out))
	}
}

// A person may record a lost result after the project was resumed: it then counts no more than if it had been stored in time.
func TestLostResultTimes(t *testing.T) {
	t.Parallel()
	r := failure("odilo")
	r.RunID = "one"
	r.Started = time.Date(2026, 11, 23, 8, 4, 5, 600, time.FixedZone("", 3600))
	r.Finished = r.Started.Add(time.Minute)
	require.Contains(t, status.LostText(r, os.ErrInvalid, "--failure", "", " --config /x"), " --run-id one --failure --started 2026-11-23T07:04:05.0000006Z "+
		"--finished 2026-11-23T07:05:05.0000006Z --config /x")
	r.Finished = r.Started.Add(-time.Minute) // the clock was set back
	require.Contains(t, status.LostText(r, os.ErrInvalid, "--failure", "", ""), " --failure --finished 2026-11-23T07:03:05.0000006Z")
	require.NotContains(t, status.LostText(r, os.ErrInvalid, "--failure", "", ""), "--started")
}

// The result is not lost.
func TestStateFailsAfterRun(t *testing.T) {
	w := newWorld(t)
	testhost.Disk(t, filepath.Join(w.Dir, "state"), "size=2m")
	w.fail("odilo", 2)
	w.sweepWell() // which keeps room for the spool
	var repair func()
	atPoint = func(s string) {
		if s == "ran" {
			atPoint = nil
			repair = testhost.Fill(t, filepath.Join(w.Dir, "state"))
			for w.inStateFails() == nil {
			}
		}
	}
	r := w.sh("odilo", "exit 7")
	require.Equal(t, 7, r.code)
	require.Contains(t, r.stderr, "the result is kept in ")
	repair()
	require.Equal(t, 1, w.project("odilo").Running, "its start is noted, and its end is not yet")
	rep := w.sweepWell()
	require.Equal(t, 1, rep.TakenIn)
	require.Zero(t, rep.LostRuns, "it is not taken for one that was killed")
	p := w.project("odilo")
	require.Zero(t, p.Running)
	require.Equal(t, 3, p.Failures)
	require.Equal(t, 7, p.LastRuns[0].ExitCode)
}

// The run is not taken for a lost one.
// A successful run must never become a failure because a sweep looked at the wrong moment.
func TestSpooledDuringSweep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("atlas", 1)
	w.inState(func(s store.State) {
		_, err := s.BeginRun(ctx, store.Run{ID: "1", Project: "odilo", Agent: "project-meta", RunID: "r", Host: "h", Started: noon})
		require.NoError(t, err)
		// Its sweep has looked at the spool already. Now the run ends, and its result can only be spooled.
		_, err = hostlocal.Beside(w.cfg.State).Spool().Add(store.Result{Project: "odilo", Agent: "project-meta", RunID: "r", Outcome: store.Success, Finished: noon})
		require.NoError(t, err)
	})
	w.with(bot.Operate, func(b *bot.Bot) {
		n, err := b.RecordLost(ctx)
		require.NoError(t, err)
		require.Zero(t, n)
	})
	rep := w.sweepWell()
	require.Equal(t, 1, rep.TakenIn)
	require.Zero(t, rep.LostRuns)
	p := w.project("odilo")
	require.Equal(t, store.Success, p.LastRuns[0].Outcome)
	require.Zero(t, p.Failures)
	require.Zero(t, p.Running)
}

// Spooled results are stored in their order; garbage is left there and reported.
func TestSpool(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 2)
	for n, outcome := range []string{store.Success, store.Failure} {
		_, err := hostlocal.Beside(w.cfg.State).Spool().Add(store.Result{Project: "odilo", Agent: "project-meta", RunID: outcome, Outcome: outcome,
			Finished: noon.Add(time.Duration(n) * time.Second)})
		require.NoError(t, err)
	}
	garbage := w.cfg.State + ".d/spool/garbage.json"
	require.NoError(t, os.WriteFile(garbage, []byte("{"), 0o600))
	rep, err := w.sweep()
	require.ErrorContains(t, err, garbage)
	require.ErrorContains(t, err, "it stays there")
	require.Equal(t, 2, rep.TakenIn)
	require.FileExists(t, garbage)
	require.Equal(t, 1, w.project("odilo").Failures, "the success came first")
	s := w.status()
	require.Zero(t, s.Spooled, "it is no result that will be recorded")
	require.Contains(t, strings.Join(s.Problems, "\n"), garbage)
	require.Contains(t, strings.Join(s.Problems, "\n"), "look at the file, then move it away: it is never recorded")
	w.with(bot.ReadOnly, func(b *bot.Bot) {
		require.NotContains(t, strings.Join(b.Ready(ctx).Warnings, "\n"), "still in the spool")
	})
	require.Contains(t, w.must(0, "odilo", "true").stderr, "")
}

// A spooled result that contradicts the recorded one is dropped.
func TestSpooledContradiction(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := failure("odilo")
	r.RunID = "r"
	w.record(r)
	r.Outcome = store.Success
	_, err := hostlocal.Beside(w.cfg.State).Spool().Add(r)
	require.NoError(t, err)
	require.Equal(t, 1, w.sweepWell().TakenIn)
	require.Empty(t, w.spool())
	require.Equal(t, 1, w.project("odilo").Failures)
	require.Contains(t, w.Logged.String(), "a spooled result that contradicts the recorded one")
}

// A spooled result of the old generation does not count.
func TestSpooledResultOfOldGeneration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("atlas", 1)
	generation := int64(0)
	r := failure("odilo")
	r.RunID, r.Generation = "r", &generation
	_, err := hostlocal.Beside(w.cfg.State).Spool().Add(r)
	require.NoError(t, err)
	w.inState(func(s store.State) {
		h := incident.Hold{ID: pause.NewRandomID(), Project: "odilo", Since: noon}
		require.NoError(t, s.SetHold(ctx, h))
		_, err := s.Resume(ctx, incident.Resumption{Project: "odilo", Pause: h.ID, At: noon})
		require.NoError(t, err)
	})
	w.sweepWell()
	require.False(t, w.project("odilo").LastRuns[0].Counted)
}

// A run that began on an unusable state counts by its start.
func TestSpooledResultBeforeResume(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 1)
	repair := damage["corrupt"](t, w)
	w.sh("odilo", "exit 7")
	repair()
	w.inState(func(s store.State) {
		h := incident.Hold{ID: pause.NewRandomID(), Project: "odilo", Since: noon}
		require.NoError(t, s.SetHold(ctx, h))
		_, err := s.Resume(ctx, incident.Resumption{Project: "odilo", Pause: h.ID, At: noon.Add(time.Second)})
		require.NoError(t, err)
	})
	w.pass(time.Minute)
	w.sweepWell()
	require.False(t, w.project("odilo").LastRuns[0].Counted, "it began before the resume")
}

// An earlier version spooled any time. Such a result still counts, and the issue of the trip shows it.
func TestSpooledImpossibleTimes(t *testing.T) {
	t.Parallel()
	for what, at := range map[string]time.Time{
		"before the year 0": time.Date(0, 1, 1, 0, 0, 0, 0, time.FixedZone("", 14*60*60)), "years ahead": noon.AddDate(7000, 0, 0),
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.fail("odilo", 2)
			r := failure("odilo")
			r.RunID, r.Started, r.Finished = "r", at, at
			_, err := hostlocal.Beside(w.cfg.State).Spool().Add(r)
			require.NoError(t, err)
			require.Equal(t, 1, w.sweepWell().TakenIn)
			require.FileExists(t, w.flag("odilo"))
			require.Len(t, w.issues("open"), 1)
			last := w.project("odilo").LastRuns[0]
			require.False(t, last.Started.After(w.now()))
			require.False(t, last.Finished.After(w.now()))
		})
	}
}

// A person may give a flag any file time, and write any time into its note.
func TestImpossibleTimesOfAFlag(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 3)
	note := w.Read(w.flag("odilo"))
	w.Remove(w.cfg.State) // it is rebuilt from the flag
	w.Write(w.flag("odilo"), regexp.MustCompile(`(?m)^opened: .*$`).ReplaceAllString(note, "opened: 0000-01-01T00:00:00+14:00"))
	w.setFileTime(w.flag("odilo"), 1<<40)
	w.sweepWell()
	p := w.project("odilo")
	require.Equal(t, "yes", p.Paused)
	require.NotNil(t, p.Incident, "it was rebuilt")
	_, err := json.Marshal(w.status())
	require.NoError(t, err)
}
