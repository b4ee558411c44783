package bot_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/pause"
)

// The gate is open only where a directory with its sentinel has no flag.
func TestGate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 1)
	w.Remove(w.cfg.State) // it needs none
	require.Equal(t, bot.Verdict{}, bot.Gate(ctx, w.cfg, "odilo"))
	w.Touch(w.flag("odilo"))
	v := bot.Gate(ctx, w.cfg, "odilo")
	require.True(t, v.Paused)
	require.NoError(t, v.Err)
	require.Equal(t, "its pause flag "+w.flag("odilo")+" exists", v.Reason)
	require.NoError(t, os.WriteFile(w.flag("odilo"), []byte("release \x1b[31mday\n"), 0o644))
	require.Equal(t, "release day\n", bot.Gate(ctx, w.cfg, "odilo").Reason, "a note is anybody's: no terminal codes")
	w.Remove(w.flag("odilo"))
	require.NoError(t, os.Symlink("/no/where", w.flag("odilo")))
	v = bot.Gate(ctx, w.cfg, "odilo")
	require.True(t, v.Paused)
	require.Contains(t, v.Reason, "is a dangling link")
}

func TestGateOnErrors(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		break_ func(t *testing.T, w *world)
		err    error
	}{
		"no directory": {func(t *testing.T, w *world) { w.Remove(w.cfg.PauseDir) }, pause.ErrNoDir},
		"no sentinel":  {func(t *testing.T, w *world) { w.Remove(w.sentinel()) }, pause.ErrNoSentinel},
		"a file":       {func(t *testing.T, w *world) { w.Remove(w.cfg.PauseDir); w.Touch(w.cfg.PauseDir) }, pause.ErrNotDir},
		"a FIFO":       {func(t *testing.T, w *world) { w.Remove(w.cfg.PauseDir); fifo(t, w.cfg.PauseDir) }, pause.ErrNotDir},
		"a FIFO above it": {func(t *testing.T, w *world) {
			w.Remove(w.cfg.PauseDir)
			fifo(t, w.cfg.PauseDir)
			w.cfg.PauseDir += "/x"
		}, pause.ErrNotDir},
		"a sentinel that is a FIFO": {func(t *testing.T, w *world) { w.Remove(w.sentinel()); fifo(t, w.sentinel()) }, pause.ErrBadSentinel},
		"a damaged sentinel": {func(t *testing.T, w *world) {
			w.Write(w.sentinel(), "x")
		}, pause.ErrBadSentinel},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.fail("odilo", 1)
			c.break_(t, w)
			v := bot.Gate(ctx, w.cfg, "odilo")
			require.ErrorIs(t, v.Err, c.err)
			require.False(t, v.Paused)
		})
	}
	w := newWorld(t)
	require.ErrorIs(t, bot.Gate(ctx, w.cfg, "../x").Err, pause.ErrID)
}

func fifo(t testing.TB, path string) {
	t.Helper()
	require.NoError(t, syscall.Mkfifo(path, 0o644))
}

// A directory that does not answer in five seconds is unknown.
func TestGateTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		hang := func(pause.Dir, string) (pause.Flag, pause.Sentinel, error) {
			<-release
			return pause.Flag{}, pause.Sentinel{}, nil
		}
		begun := time.Now()
		v := bot.GateWith(context.Background(), &config.Config{PauseDir: "/mnt/dead"}, "odilo", hang)
		require.Equal(t, 5*time.Second, time.Since(begun))
		require.EqualError(t, v.Err, "pause directory /mnt/dead did not answer in 5s: check whether its file system hangs")
		close(release)
	})
}

// A configuration that does not answer takes no longer, and leaves the directory what is left of the time.
func TestGateTimeoutOfConfiguration(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), bot.GateWait)
		defer cancel()
		release := make(chan struct{})
		begun := time.Now()
		_, _, err := bot.LoadForGateWith(ctx, "/mnt/dead/config.yaml", func(string, ...string) (*config.Config, []config.Problem, error) {
			<-release
			return nil, nil, nil
		})
		require.Equal(t, 5*time.Second, time.Since(begun))
		require.EqualError(t, err, "configuration /mnt/dead/config.yaml did not answer in 5s: check whether its file system hangs")
		close(release)
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), bot.GateWait)
		defer cancel()
		time.Sleep(4 * time.Second) // a slow configuration
		release := make(chan struct{})
		begun := time.Now()
		v := bot.GateWith(ctx, &config.Config{PauseDir: "/mnt/dead"}, "odilo", func(pause.Dir, string) (pause.Flag, pause.Sentinel, error) {
			<-release
			return pause.Flag{}, pause.Sentinel{}, nil
		})
		require.Equal(t, time.Second, time.Since(begun))
		require.ErrorContains(t, v.Err, "pause directory /mnt/dead did not answer in 5s")
		close(release)
	})
}

// What the advice would need may hang too: the verdict does not wait for it.
func TestGateAdviceTimeout(t *testing.T) {
	t.Parallel()
	w := wiped(t)
	v := bot.Gate(ctx, w.cfg, "odilo")
	ended, cancel := context.WithCancel(ctx)
	cancel()
	err := bot.AdviseRestore(ended, w.cfg, w.env(), v.Err, time.Minute)
	require.ErrorIs(t, err, pause.ErrNoSentinel)
	require.ErrorContains(t, err, "cannot tell which projects were paused: ")
}

// Where the state can be read, the error names what a touch would resume.
func TestGateErrorExplained(t *testing.T) {
	t.Parallel()
	w := wiped(t)
	err := bot.Gate(ctx, w.cfg, "odilo").Err
	explained := bot.AdviseRestore(ctx, w.cfg, w.env(), err, time.Minute)
	require.ErrorIs(t, explained, pause.ErrNoSentinel)
	require.ErrorContains(t, explained, "adfbot restore pauses these again: atlas, odilo")
	w.Remove(w.cfg.State)
	explained = bot.AdviseRestore(ctx, w.cfg, w.env(), err, time.Minute)
	require.ErrorIs(t, explained, pause.ErrNoSentinel)
	require.ErrorContains(t, explained, "the state, which knows what was paused, is missing, too: "+w.cfg.State)
	w.Remove(w.cfg.LocalDir)
	explained = bot.AdviseRestore(ctx, w.cfg, w.env(), err, time.Minute)
	require.ErrorIs(t, explained, pause.ErrNoSentinel)
	require.ErrorContains(t, explained, "there is no state at")
	require.NoFileExists(t, w.cfg.State)
	other := bot.Gate(ctx, w.cfg, "../x").Err
	require.Equal(t, other, bot.AdviseRestore(ctx, w.cfg, w.env(), other, time.Minute))
}

// Nothing that adfbot does makes what a link leads to: the disk is not mounted.
func TestLinkToNoPauseDir(t *testing.T) {
	t.Parallel()
	link := func(w *world) {
		w.Remove(w.cfg.PauseDir)
		require.NoError(t, os.Symlink("/no/where", w.cfg.PauseDir))
	}
	says := "/pause is a link to /no/where, which does not exist: mount the file system that it leads to, or correct the link"
	for name, c := range map[string]struct {
		failures int
		end      string
	}{"never paused": {1, says}, "paused": {3, says + "\npaused: odilo"}} {
		w := newWorld(t)
		w.fail("odilo", c.failures)
		link(w)
		err := bot.Gate(ctx, w.cfg, "odilo").Err
		explained := bot.AdviseRestore(ctx, w.cfg, w.env(), err, time.Minute)
		require.ErrorIs(t, explained, pause.ErrNoDir)
		require.True(t, strings.HasSuffix(explained.Error(), c.end), "%s: %v", name, explained)
		w.Remove(w.cfg.State)
		require.NotContains(t, bot.AdviseRestore(ctx, w.cfg, w.env(), err, time.Minute).Error(), "adfbot restore")
	}
}

// A mistake in the configuration may leave open where the state is. The sentinel of some other installation proves nothing then, and its
// state knows nothing of these projects.
func TestGateWithoutLocalDir(t *testing.T) {
	w := wiped(t)
	cfg := *w.cfg
	cfg.LocalDir = ""
	err := bot.Gate(ctx, &cfg, "odilo").Err
	require.ErrorIs(t, err, pause.ErrNoSentinel)
	explained := bot.AdviseRestore(ctx, &cfg, w.env(), err, time.Minute)
	require.ErrorIs(t, explained, pause.ErrNoSentinel)
	require.ErrorContains(t, explained, "cannot tell which projects were paused: a mistake in the configuration leaves open where the state is")
	require.NotContains(t, explained.Error(), "pauses these again")

	w.Write(w.sentinel(), pause.NewRandomID()+" "+pause.NewRandomID()+"\n")
	other := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(other, pause.SentinelName), []byte(pause.NewRandomID()+"\n"), 0o600))
	t.Chdir(other)
	require.Equal(t, bot.Verdict{}, bot.Gate(ctx, &cfg, "odilo"))
}

// Only while no flag was ever written.
// A state that is lost must not make a second installation of one whose flags and issues are still there.
func TestFirstCommandMakesDirectory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(0, "odilo", "true")
	require.FileExists(t, w.sentinel())
	w.Remove(w.cfg.PauseDir)
	w.must(0, "odilo", "true")
	require.FileExists(t, w.sentinel(), "no flag can be lost yet")
	_, err := w.pause("odilo", "")
	require.NoError(t, err)
	w.Remove(w.cfg.PauseDir)
	for _, id := range []string{"odilo", "atlas"} {
		w.must(bot.ExitNotStarted, id, "true")
	}
	for _, mode := range []bot.Mode{bot.Results, bot.Operate, bot.Daemon, bot.ReadOnly, bot.Restore} {
		w.with(mode, func(*bot.Bot) {})
		require.NoDirExists(t, w.cfg.PauseDir)
	}
}

// No new state is made.
func TestNewStateWithUnreadableDirectory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 3)
	w.Remove(filepath.Dir(w.cfg.State))
	w.Write(w.sentinel(), "damaged")
	_, err := bot.Open(ctx, w.cfg, bot.Results, w.env())
	require.ErrorContains(t, err, "a new state can't be made")
	require.ErrorIs(t, err, pause.ErrBadSentinel)
	w.must(bot.ExitNotStarted, "odilo", "true")
}

// Between a trip and its flag, the reason does not claim that writing the flag has failed.
func TestGateBeforeTheFlag(t *testing.T) {
	t.Parallel()
	w := newWorld(t).silent()
	w.fail("odilo", 2)
	w.dies(child{Do: "record", Project: "odilo", KillAt: "tripped"})
	w.with(bot.ReadOnly, func(b *bot.Bot) {
		require.Equal(t, bot.Verdict{Paused: true, Reason: "incident odilo#1 is open, and its pause flag is not written yet"}, b.MayRun(ctx, "odilo"))
	})
}
