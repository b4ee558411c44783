package bot_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/postgres"
	"github.com/terraphim/adfbot/internal/testpg"
	"github.com/terraphim/adfbot/pause"
)

func TestCheckOfSharedState(t *testing.T) {
	t.Parallel()
	w := newHost(t, testpg.Database(t))
	require.Empty(t, w.fails())
	require.Regexp(t, `^PostgreSQL \d+\S*, database adfbot_test_\w+, role postgres; there is no state yet, the first result creates it$`, w.finding("state", bot.OK))
	require.Contains(t, w.finding("local_dir", bot.OK), "is missing; serve or the first result creates it")
	require.Len(t, w.files(), 2, "the directory and the configuration")
	require.Equal(t, "f", testpg.Text(t, w.cfg.State, `SELECT to_regnamespace('adfbot') IS NOT NULL`))

	w.fail("odilo", 1)
	require.Empty(t, w.fails())
	require.Regexp(t, `^PostgreSQL \d+\S*, database adfbot_test_\w+, role postgres, installation [0-9a-f]{32}$`, w.finding("state", bot.OK))
	require.Regexp(t, w.cfg.LocalDir+`, this host \S+ has the id [0-9a-f]{32}`, w.finding("local_dir", bot.OK))

	_, err := hostlocal.At(w.cfg.LocalDir).Spool().Add(store.Result{Project: "odilo", Agent: "project-meta", RunID: "r", Outcome: store.Success, Finished: noon})
	require.NoError(t, err)
	require.Contains(t, w.finding("spool", bot.Warn), "1 result not recorded yet")
}

// A database without the state of an installation that has flags is most likely the wrong one.
func TestCheckOfAnotherDatabase(t *testing.T) {
	t.Parallel()
	w := newFirstHost(t)
	w.fail("odilo", 1)
	w.change(w.cfg.State, testpg.Database(t))
	require.Contains(t, w.finding("state", bot.Fail), "this host belongs to a fleet, and the database has no state")
}

func TestCheckThroughPooler(t *testing.T) {
	t.Parallel()
	w := newHost(t, testpg.Pooler(t))
	w.fail("odilo", 1)
	require.Contains(t, w.finding("listen", bot.Warn), "only after fleet.poll (1s)")
	w.change("local_dir:", "state_listen: \"off\"\nlocal_dir:")
	require.Contains(t, w.finding("listen", bot.OK), "off: ")
	w.change(w.cfg.State, testpg.Pooler(t, "pool_mode = statement"))
	require.Contains(t, w.finding("state", bot.Fail), "set pool_mode = transaction there")
}

func TestCheckOfServer(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		report postgres.Report
		want   string // "": nothing
	}{
		"all is well":      {postgres.Report{Offset: 1900 * time.Millisecond}, ""},
		"a fast clock":     {postgres.Report{Offset: 2 * time.Second}, "the clock of this host is 2s ahead of that of the server"},
		"a slow clock":     {postgres.Report{Offset: -65 * time.Second}, "the clock of this host is 1m5s behind that of the server"},
		"no fsync":         {postgres.Report{NotDurable: []string{"fsync"}}, "fsync is off on the server"},
		"no synchronous":   {postgres.Report{Async: []string{"a", "b"}}, "no standby is synchronous (a, b): a failover can lose the last results, trips and resumes"},
		"no standby left":  {postgres.Report{Waits: true}, "the server waits for a synchronous standby, so what is stored hangs: start the standby, or"},
		"standbys unknown": {postgres.Report{Hidden: 1, Role: "fleet-bot"}, `GRANT pg_read_all_stats TO "fleet-bot"`},
		"no certificate":   {postgres.Report{Unverified: true}, "nothing verifies that this is the server"},
		"others' tables": {postgres.Report{Strange: []string{"adfbot.run"}, Role: "fleet-bot"},
			`adfbot.run does not belong to the role fleet-bot, so a later version of adfbot cannot upgrade the state: have an administrator run ALTER TABLE … OWNER TO "fleet-bot"`},
		"some rights less": {postgres.Report{Lacking: []string{"a", "b"}, Role: "fleet-bot", Schema: "adfbot"},
			`the role fleet-bot lacks a, b: have an administrator run ALTER SCHEMA "adfbot" OWNER TO "fleet-bot" and`},
		"many rights fewer": {postgres.Report{Lacking: []string{"a", "b", "c", "d", "e"}, Role: "bot", Schema: "adfbot"}, "the role bot lacks a, b, c and 2 rights more: "},
	} {
		t.Run(name, func(t *testing.T) {
			found := bot.CheckReport(tt.report)
			if tt.want == "" {
				require.Empty(t, found)
				return
			}
			require.Len(t, found, 1)
			require.Contains(t, found[0].Text, tt.want)
		})
	}
}

// Results that wait beside a file are not forgotten when local_dir is set.
func TestLocalDirOfFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 1)
	_, err := hostlocal.Beside(w.cfg.State).Spool().Add(store.Result{Project: "odilo", Agent: "project-meta", RunID: "r", Outcome: store.Failure, Finished: noon})
	require.NoError(t, err)
	w.change("gitea:", "local_dir: DIR/local\ngitea:")
	_, err = bot.Open(ctx, w.cfg, bot.Results, w.env())
	require.ErrorIs(t, err, store.ErrUnusable)
	require.ErrorContains(t, err, "stop every adfbot, and move "+w.cfg.State+".d/spool/*.json to "+w.cfg.LocalDir+"/spool, or remove them")
	require.Contains(t, w.fails()[0], "results that were never recorded wait in")

	files, err := filepath.Glob(w.cfg.State + ".d/spool/*.json")
	require.NoError(t, err)
	require.Len(t, files, 1)
	require.NoError(t, os.Rename(files[0], filepath.Join(w.cfg.LocalDir, "spool", filepath.Base(files[0]))))
	require.Equal(t, 3, w.fail("odilo", 1).Failures, "the one that waited counts")
	require.FileExists(t, w.cfg.LocalDir+"/locks")
	require.NoFileExists(t, w.cfg.LocalDir+"/host", "the only one")
}

// Two installations that have one local_dir replace each other's copy of the sentinel, and record each other's results.
func TestLocalDirOfTwoInstallations(t *testing.T) {
	t.Parallel()
	w, other := newWorld(t), newWorld(t)
	for _, w := range []*world{w, other} {
		w.change("gitea:", "local_dir: "+other.Dir+"/local\ngitea:")
		w.fail("odilo", 1)
	}
	require.Len(t, w.fails(), 1)
	require.Contains(t, w.finding("local_dir", bot.Fail), "if that one has the same local_dir, give each one of its own")
	require.Empty(t, other.fails(), "it was the last one")
	err := bot.Gate(ctx, w.cfg, "odilo").Err
	require.ErrorIs(t, err, pause.ErrOtherInstallation)
	require.ErrorContains(t, err, "if two installations have the local_dir "+other.Dir+"/local, give each one of its own")

	w.change("local_dir: "+other.Dir+"/local", "local_dir: "+w.Dir+"/local")
	w.fail("odilo", 1)
	require.Empty(t, w.fails())
	require.NoError(t, bot.Gate(ctx, w.cfg, "odilo").Err)
}

// A host of a fleet whose local_dir is another one would join as a second host, and leave behind what waits in the first.
func TestLocalDirOfHostWasChanged(t *testing.T) {
	for name, tt := range map[string]struct {
		was, is string
		started bool // with the right local_dir
		want    string
	}{
		"the one around it": {"DIR/local/adfbot.db.d", "DIR/local", true, "set local_dir to DIR/local/adfbot.db.d"},
		"as migrated":       {"DIR/local/adfbot.db.d", "DIR/local", false, "set local_dir to DIR/local/adfbot.db.d"},
		"with a result":     {"DIR/local/adfbot.db.d", "DIR/local", false, "set local_dir to DIR/local/adfbot.db.d"},
		"elsewhere":         {"DIR/local", "DIR/other", true, "if its disk is not mounted, mount it; else set local_dir to the directory whose file `host` holds that id; if that is lost, remove DIR/pause/.adfbot.host"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newHost(t, testpg.Database(t))
			w.configure(strings.Replace(w.yaml, "DIR/local\n", tt.was+"\n", 1))
			if tt.started {
				w.with(bot.Daemon, func(*bot.Bot) {})
				w.fail("odilo", 3) // marks the pause directory
			} else {
				local := hostlocal.At(w.cfg.LocalDir)
				require.NoError(t, local.Create(ctx))
				_, err := local.HostID(ctx)
				require.NoError(t, err)
				if name == "with a result" {
					_, err := local.Spool().Add(store.Result{Project: "odilo", Agent: "project-meta", RunID: "r", Outcome: store.Failure, Finished: noon})
					require.NoError(t, err)
				}
			}
			w.change("local_dir: "+tt.was+"\n", "local_dir: "+tt.is+"\n")
			want := strings.ReplaceAll(tt.want, "DIR", w.Dir)
			for _, mode := range []bot.Mode{bot.Daemon, bot.Results, bot.Operate} {
				_, err := bot.Open(ctx, w.cfg, mode, w.env())
				require.ErrorIs(t, err, store.ErrUnusable)
				require.ErrorContains(t, err, want)
			}
			require.Len(t, w.fails(), 1)
			require.Contains(t, w.finding("local_dir", bot.Fail), want)
			require.NoFileExists(t, w.cfg.LocalDir+"/host", "it did not join")

			if name == "elsewhere" {
				require.NoError(t, os.Remove(w.cfg.PauseDir+"/.adfbot.host"))
				w.with(bot.Daemon, func(*bot.Bot) {})
				require.Empty(t, w.fails())
			}
		})
	}
}

// What is in the place of local_dir while its disk is not mounted is out of sight afterwards.
func TestResultsWhileLocalDirIsNotMounted(t *testing.T) {
	w := newHost(t, testpg.Database(t))
	w.own = hostlocal.OwnSpools{w.cfg.LocalDir + "/.local/own", w.Dir + "/own"} // as of the bot's user, who lives in local_dir
	w.with(bot.Daemon, func(*bot.Bot) {})
	w.fail("odilo", 3) // marks the pause directory
	run := bot.ExecRequest{Project: "atlas", Agent: "project-meta", Command: []string{"false"}}
	local := w.cfg.LocalDir
	require.NoError(t, os.Rename(local, local+".mounted"))
	require.NoError(t, os.Mkdir(local, 0o700))
	kept := w.execAs(run)
	require.Contains(t, kept.stderr, "if its disk is not mounted, mount it; else set local_dir to the directory whose file `host` holds that id")
	require.Contains(t, kept.stderr, "the result is kept in "+w.own[1])

	require.NoError(t, os.RemoveAll(local))
	require.NoError(t, os.Rename(local+".mounted", local))
	require.Equal(t, 1, w.execAs(run).code)
	require.Equal(t, 2, w.project("atlas").Failures)
}

// A host that could not bring its state along has the id that it was given for that attempt.
func TestStateLeftBehind(t *testing.T) {
	w := newWorld(t)
	w.configure(strings.Replace(w.yaml, "DIR/state/adfbot.db", "DIR/local/adfbot.db", 1))
	w.fail("odilo", 1)
	_, err := hostlocal.Beside(w.cfg.State).HostID(ctx)
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(w.cfg.PauseDir))
	w.change("state: DIR/local/adfbot.db", "state: "+testpg.Database(t)+"\nlocal_dir: DIR/local")
	w.with(bot.Daemon, func(*bot.Bot) {})
	require.Empty(t, w.fails())
}

// A new state in a file would have the id of the fleet, and open and close the issues of the fleet for itself.
func TestFileOfHost(t *testing.T) {
	w := newHost(t, testpg.Database(t))
	w.fail("odilo", 3)
	w.configure(strings.Replace(w.yaml, "state: "+w.cfg.State+"\nlocal_dir: DIR/local", "state: DIR/state/adfbot.db", 1))
	for _, mode := range []bot.Mode{bot.Daemon, bot.Results, bot.Operate, bot.ReadOnly} {
		_, err := bot.Open(ctx, w.cfg, mode, w.env())
		require.ErrorIs(t, err, store.ErrUnusable)
		require.ErrorContains(t, err, "this host belongs to a fleet, and the file is missing")
		require.NoFileExists(t, w.cfg.State)
	}
	require.Contains(t, w.finding("state", bot.Fail), "set `state` to the database of the fleet; if this host is to leave it, give it an empty pause_dir")
	require.Contains(t, w.finding("state", bot.Fail), "if it has gone back to a file (`adfbot help migrate`), mount the disk of that; if the file is lost, or")
	require.True(t, bot.Gate(ctx, w.cfg, "odilo").Paused)
	d, err := w.restore()
	require.NoError(t, err)
	require.Contains(t, d.Text, "the state is new; "+w.cfg.PauseDir+" has its sentinel, and stays as it is")
	w.sweepWell()
	require.Equal(t, "odilo#1", w.project("odilo").Incident.Name)
}

// Results that wait in a directory beside or below that of this host are not forgotten.
func TestSpoolOfAnotherLocalDir(t *testing.T) {
	for right, wrong := range map[string]string{"local/adfbot.db.d": "local", "local": "local/adfbot.db.d"} {
		t.Run(wrong, func(t *testing.T) {
			w := newFirstHost(t)
			w.configure(strings.Replace(w.yaml, "DIR/local\n", "DIR/"+right+"\n", 1))
			w.fail("odilo", 1)
			other := hostlocal.At(filepath.Join(w.Dir, wrong))
			_, err := other.Spool().Add(store.Result{Project: "odilo", Agent: "project-meta", RunID: "r", Outcome: store.Failure, Finished: noon})
			require.NoError(t, err)
			_, err = bot.Open(ctx, w.cfg, bot.Daemon, w.env())
			require.ErrorContains(t, err, "stop every adfbot, and move "+other.Path()+"/spool/*.json to "+w.cfg.LocalDir+"/spool, or remove them")
			require.Contains(t, w.fails()[0], "results that were never recorded wait in "+other.Path()+"/spool")

			require.NoError(t, os.RemoveAll(w.cfg.LocalDir+"/spool")) // mv would give a single file its name
			require.Contains(t, w.fails()[0], "move "+other.Path()+"/spool to "+w.cfg.LocalDir+"/spool, or remove them")
		})
	}
}

// Two machines with one id, as after a copy of the whole disk, undo what the other one does.
func TestCheckOfSharedID(t *testing.T) {
	a := newFirstHost(t)
	b := a.newHostBeside(t)
	for _, w := range []*world{a, b} {
		w.pass(time.Since(w.now())) // to the clock of the database
		w.with(bot.Results, func(*bot.Bot) {})
	}
	a.inFleet(func(original store.Fleet) {
		a.inFleet(func(copied store.Fleet) {
			for _, f := range []store.Fleet{original, copied, original} {
				boot := "1"
				if f == copied {
					boot = "2"
				}
				require.NoError(t, f.Beat(ctx, store.Host{Name: "edge-1", Boot: boot}))
			}
		})
	})
	require.Contains(t, a.finding("hosts", bot.Fail), "edge-1: another machine uses the same id")
	require.Contains(t, a.finding("hosts", bot.Fail), "remove /etc/machine-id and /var/lib/dbus/machine-id, from which systemd would take the same id")
	require.Contains(t, b.finding("hosts", bot.Warn), "edge-1: another machine uses the same id")
	require.Contains(t, strings.Join(b.status().Problems, "\n"), "edge-1: another machine uses the same id")
}
