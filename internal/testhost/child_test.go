package testhost_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/testhost"
)

func TestMain(m *testing.M) {
	testhost.Main(m, testhost.Funcs{
		"args": func(testhost.Self) int { fmt.Println(strings.Join(os.Args, " ")); return 3 },
		"env":  func(testhost.Self) int { fmt.Println(strings.Join(os.Environ(), "\n")); return 0 },
		"uid":  func(testhost.Self) int { fmt.Println(os.Getuid(), os.Getgid()); return 0 },
		"die":  func(testhost.Self) int { fmt.Println("last words"); testhost.KillSelf(); return 0 },
		"stop": func(testhost.Self) int { testhost.StopSelf(); fmt.Println("continued"); return 0 },
		"ready": func(s testhost.Self) int {
			fmt.Println(time.Now().UnixNano())
			s.Ready()
			fmt.Println(time.Now().UnixNano())
			return 0
		},
		"orphan": func(s testhost.Self) int { // leaves a process behind, which ends when its standard input does
			cmd := exec.Command("cat")
			cmd.Stdin = os.Stdin
			if err := cmd.Start(); err != nil {
				panic(err)
			}
			fmt.Println(cmd.Process.Pid)
			return 0
		},
	})
}

func TestChildRunsAFunction(t *testing.T) {
	out, err := testhost.Command(t, "args", "a", "b c").Output()
	require.Equal(t, 3, testhost.ExitCode(err))
	require.Equal(t, "args a b c\n", string(out))
}

func TestChildHasACleanEnvironment(t *testing.T) {
	t.Setenv("HOME", "/nonexistent")
	t.Setenv("ADFBOT_CONFIG", "/nonexistent")
	c := testhost.Command(t, "env")
	c.Env = append(c.Env, "MORE=yes")
	out, err := c.Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "MORE=yes\n")
	require.Contains(t, string(out), "PATH=")
	require.NotContains(t, string(out), "nonexistent")
}

func TestChildIsAnotherUser(t *testing.T) {
	testhost.NeedRoot(t, "to become another user")
	c := testhost.Command(t, "uid")
	c.Env = append(c.Env, fmt.Sprint(testhost.UIDVar, "=", testhost.Nobody))
	out, err := c.Output()
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintln(testhost.Nobody, testhost.Nobody), string(out))
}

func TestChildrenStartTogether(t *testing.T) {
	var children []*testhost.Child
	var outs []*bytes.Buffer
	for range 3 {
		c, out := testhost.Command(t, "ready"), &bytes.Buffer{}
		c.Stdout = out
		children, outs = append(children, c), append(outs, out)
	}
	testhost.StartTogether(children...)
	var ready, released []int64
	for n, c := range children {
		require.NoError(t, c.Wait())
		var begun, ended int64
		_, err := fmt.Sscan(outs[n].String(), &begun, &ended)
		require.NoError(t, err)
		ready, released = append(ready, begun), append(released, ended)
	}
	require.Less(t, slices.Max(ready), slices.Min(released), "none goes on before all are ready")

	require.NoError(t, testhost.Command(t, "ready").Run(), "nobody waits for it, so it waits for nobody")
}

func TestChildIsKilled(t *testing.T) {
	require.Equal(t, "last words\n", testhost.Command(t, "die").Dies())

	var pid int
	t.Run("at the end of its test", func(t *testing.T) {
		c := testhost.Command(t, "ready")
		c.StartReady()
		pid = c.Process.Pid
	})
	require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
}

func TestChildIsStopped(t *testing.T) {
	c := testhost.Command(t, "stop")
	require.NoError(t, c.Start())
	require.NoError(t, testhost.WaitStopped(c.Process))
	require.NoError(t, c.Process.Signal(syscall.SIGCONT))
	require.NoError(t, c.Wait())

	c = testhost.Command(t, "args")
	require.NoError(t, c.Start())
	require.ErrorContains(t, testhost.WaitStopped(c.Process), "ended")
}

func TestWaitGone(t *testing.T) {
	in, hold, err := os.Pipe()
	require.NoError(t, err)
	c := testhost.Command(t, "orphan")
	c.Stdin = in
	out, err := c.Output()
	require.NoError(t, err)
	var pid int
	_, err = fmt.Sscan(string(out), &pid)
	require.NoError(t, err)
	require.NoError(t, hold.Close())
	require.NoError(t, testhost.WaitGone(pid))
	require.NoError(t, testhost.WaitGone(pid), "also where it has been gone for long")
}

func TestChanges(t *testing.T) {
	dir := t.TempDir()
	changes := testhost.NewChanges()
	stop, err := changes.Watch(dir)
	require.NoError(t, err)
	defer stop()
	asked := make(chan struct{})
	go func() {
		<-asked
		_ = os.WriteFile(filepath.Join(dir, "x"), []byte("x"), 0o600)
	}()
	begun, times := time.Now(), 0
	require.NoError(t, changes.Await(func() string {
		if times++; times == 1 {
			close(asked)
			return "not yet"
		}
		if b, _ := os.ReadFile(filepath.Join(dir, "x")); string(b) == "x" {
			return ""
		}
		return "not written"
	}))
	require.Less(t, time.Since(begun), testhost.Patience)
	_, err = changes.Watch(filepath.Join(dir, "nowhere"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
