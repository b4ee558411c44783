package hostlocal_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/testhost"
)

func TestLockRun(t *testing.T) {
	d, path := newDir(t)
	release, err := d.LockRun("1", store.Settings{})
	require.NoError(t, err)
	require.False(t, d.Gone(store.Run{ID: "1"}), "its process is here")
	_, err = d.LockRun("1", store.Settings{})
	require.Error(t, err)
	release()
	require.Empty(t, names(t, filepath.Join(path, "runs")))
	require.True(t, d.Gone(store.Run{ID: "1"}))
}

func TestRunSettings(t *testing.T) {
	d, path := newDir(t)
	want := store.Settings{Threshold: 2, Resume: 1, Repo: tracker.Repo{Server: "https://git.example.org", Owner: "terraphim", Name: "twins"}}
	_, err := d.LockRun("1", want)
	require.NoError(t, err)
	require.Equal(t, want, d.RunSettings("1"))
	file := func(id string) string { return filepath.Join(path, "runs", id+".lock") }
	for id, doc := range map[string]string{"cut": `{"threshold": 2, "res`, "none": `{"threshold": 0, "resume_threshold": 0}`, "earlier": ""} {
		require.NoError(t, os.WriteFile(file(id), []byte(doc), 0o600))
		require.Zero(t, d.RunSettings(id), id)
	}
	require.NoError(t, syscall.Mkfifo(file("fifo"), 0o600))
	held, err := os.OpenFile(file("fifo"), os.O_RDWR, 0)
	require.NoError(t, err)
	defer func() { _ = held.Close() }()
	require.Zero(t, d.RunSettings("fifo"))
	require.Zero(t, d.RunSettings("of another host"))
}

func TestGoneWhenKilled(t *testing.T) {
	d, path := newDir(t)
	holder := start(t, "run", stateOf(path), "1")
	require.False(t, d.Gone(store.Run{ID: "1"}))
	_ = holder.Kill()
	require.True(t, d.Gone(store.Run{ID: "1"}))
	d.RemoveRun("1")
	require.Empty(t, names(t, filepath.Join(path, "runs")))
}

// stateOf is the state beside which a directory is.
func stateOf(path string) string { return path[:len(path)-len(".d")] }

func TestNotGoneWhileTheCommandLives(t *testing.T) {
	d, _ := newDir(t)
	cmd := exec.Command("sleep", "60")
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	start, err := hostlocal.ProcessStart(cmd.Process.Pid)
	require.NoError(t, err)
	r := store.Run{ID: "1", ChildPID: cmd.Process.Pid, ChildStart: start}
	require.False(t, d.Gone(r), "adfbot alone was killed; the command goes on")
	reused := r
	reused.ChildStart = "another-boot/12345"
	require.True(t, d.Gone(reused), "a later process with the same pid is not the command")
	require.NoError(t, cmd.Process.Kill())
	require.NoError(t, testhost.WaitGone(cmd.Process.Pid))
	require.True(t, d.Gone(r), "a zombie does not live")
}

func TestProcessStart(t *testing.T) {
	one, err := hostlocal.ProcessStart(os.Getpid())
	require.NoError(t, err)
	again, err := hostlocal.ProcessStart(os.Getpid())
	require.NoError(t, err)
	require.Equal(t, one, again)
	for _, pid := range []int{0, -1, 0x3fffffff} {
		_, err := hostlocal.ProcessStart(pid)
		require.ErrorIs(t, err, os.ErrNotExist, pid)
	}
}

// oldFile writes a file of a certain age.
func oldFile(t *testing.T, path string, age time.Duration) string {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte("1\n"), 0o600))
	makeOld(t, path, age)
	return path
}

func makeOld(t *testing.T, path string, age time.Duration) {
	t.Helper()
	at := time.Now().Add(-age)
	require.NoError(t, os.Chtimes(path, at, at))
}

func TestTidy(t *testing.T) {
	d, path := newDir(t)
	file := func(name string, age time.Duration) string { return oldFile(t, filepath.Join(path, name), age) }
	release, err := d.LockRun("alive", store.Settings{})
	require.NoError(t, err)
	alive := filepath.Join(path, "runs", "alive.lock")
	makeOld(t, alive, 2*time.Hour)
	gone := []string{file("runs/0a.lock", 2*time.Hour), file("spool/0b.tmp", 2*time.Hour), file("spool/.tmp-0f", 2*time.Hour),
		file(".tmp-0f", 2*time.Hour)}
	stay := []string{alive, file("runs/known.lock", 2*time.Hour), file("runs/0c.lock", time.Minute), file("spool/0d.tmp", time.Minute),
		file("spool/.tmp-0e", time.Minute), file("spool/0e.json", 2*time.Hour)}
	require.NoError(t, d.Tidy(ctx, running(store.Run{ID: "known"})))
	for _, path := range gone {
		require.NoFileExists(t, path)
	}
	for _, path := range stay {
		require.FileExists(t, path)
	}
	release()
	require.NoFileExists(t, alive)
}

func TestTidyAsksOnlyIfNeeded(t *testing.T) {
	d, path := newDir(t)
	refuse := func(context.Context) ([]store.Run, error) { return nil, os.ErrClosed }
	require.NoError(t, d.Tidy(ctx, refuse))
	left := oldFile(t, filepath.Join(path, "runs", "1.lock"), 2*time.Hour)
	require.ErrorIs(t, d.Tidy(ctx, refuse), os.ErrClosed)
	require.FileExists(t, left)
}

// Whoever is in the group may put a link in the place of a directory.
func TestTidyFollowsNoLink(t *testing.T) {
	d, path := newDir(t)
	elsewhere := t.TempDir()
	for folder, name := range map[string]string{"runs": "index.lock", "spool": "draft.tmp"} {
		mine := oldFile(t, filepath.Join(elsewhere, name), 2*time.Hour)
		ours := filepath.Join(path, folder)
		require.NoError(t, os.Rename(ours, ours+".away"))
		require.NoError(t, os.Symlink(elsewhere, ours))
		require.ErrorContains(t, d.Tidy(ctx, running()), folder)
		require.FileExists(t, mine)
		require.NoError(t, os.Remove(ours))
		require.NoError(t, os.Rename(ours+".away", ours))
	}
	require.NoError(t, d.Tidy(ctx, running()))
}

func running(runs ...store.Run) func(context.Context) ([]store.Run, error) {
	return func(context.Context) ([]store.Run, error) { return runs, nil }
}

// Nothing tells whether the run whose file cannot be opened goes on. Without a word it would be shown as running for ever.
func TestCheckRun(t *testing.T) {
	testhost.NeedRoot(t, "to become another user")
	path := filepath.Join(testhost.PublicDir(t), "adfbot.db.d")
	runs := filepath.Join(path, "runs")
	require.NoError(t, os.MkdirAll(runs, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(runs, "1.lock"), nil, 0o600))
	check := func(id string) string {
		cmd := testhost.Command(t, "check run", stateOf(path), id)
		cmd.Env = append(cmd.Env, fmt.Sprint(testhost.UIDVar, "=", testhost.Nobody))
		out, _ := cmd.Output()
		return strings.TrimSpace(string(out))
	}
	require.Empty(t, check("2"))
	const taken = "cannot tell whether a run of odilo goes on, so it is taken for one that does: open "
	require.Equal(t, taken+runs+"/1.lock: permission denied: run chown -R --reference="+runs+" "+runs+" as root", check("1"))
	require.NoError(t, os.Chmod(runs, 0o700))
	require.Equal(t, taken+runs+"/1.lock: permission denied: see `adfbot check`", check("1"))
	require.NoError(t, hostlocal.At(path).CheckRun(store.Run{ID: "1", Project: "odilo"}))
}
