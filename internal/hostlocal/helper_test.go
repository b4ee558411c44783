package hostlocal_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/hostlocal"
)

var ctx = context.Background()

// tasks are what this test binary does in a process of its own, with a directory and an argument.
var tasks = map[string]func(dir, arg string) error{
	"hold": func(dir, name string) error {
		_, err := hostlocal.NewLocks(dir).LockHere(ctx, name, 0)
		return hang(err)
	},
	"hold beside a child": func(dir, name string) error {
		_, err := hostlocal.NewLocks(dir).LockHere(ctx, name, 0)
		if err == nil {
			child := command("wait", dir, "")
			child.Stdin = os.Stdin
			err = child.Start()
		}
		return hang(err)
	},
	"hold as an earlier version": func(dir, name string) error {
		_, err := earlierLock(dir, name)
		return hang(err)
	},
	"lock": func(dir, name string) error {
		_, err := hostlocal.NewLocks(dir).LockHere(ctx, name, 0)
		return err
	},
	"count": func(dir, file string) error {
		waitForParent()
		for range counts {
			if err := count(hostlocal.NewLocks(dir), file); err != nil {
				return err
			}
		}
		return nil
	},
	"upgrade": func(dir, _ string) error {
		waitForParent()
		return hostlocal.NewLocks(dir).Upgrade(ctx, time.Minute)
	},
	"run": func(dir, id string) error {
		_, err := hostlocal.Beside(dir).LockRun(id)
		return hang(err)
	},
	"spool": func(dir, id string) error {
		syscall.Umask(0o077)
		spool := hostlocal.Beside(dir).Spool()
		_, err := spool.Add(spooledResult(id, noon))
		list, err2 := spool.List()
		err = errors.Join(err, err2)
		for _, e := range list {
			err = errors.Join(err, e.Err)
		}
		return err
	},
	"wait": func(string, string) error {
		waitForParent()
		return nil
	},
}

const taskEnv = "ADFBOT_HOSTLOCAL_TEST_TASK"

func TestMain(m *testing.M) {
	task, child := os.LookupEnv(taskEnv)
	if !child {
		os.Exit(m.Run())
	}
	f := strings.Split(task, "\n")
	if err := tasks[f[0]](f[1], f[2]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// hang tells the parent that the process is ready, and waits to be killed.
func hang(err error) error {
	if err == nil {
		fmt.Println("ready")
		select {}
	}
	return err
}

// waitForParent waits until the parent closes its end of stdin, or is gone.
func waitForParent() { _, _ = io.Copy(io.Discard, os.Stdin) }

func command(task, dir, arg string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), taskEnv+"="+task+"\n"+dir+"\n"+arg, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	return cmd
}

// start starts a task that hangs, waits until it is ready, and returns what kills it. Its children's stdin ends with the test.
func start(t *testing.T, task, dir, arg string) (pid int, kill func()) {
	t.Helper()
	cmd := command(task, dir, arg)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	stdin, gate, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stdin = stdin
	require.NoError(t, cmd.Start())
	require.NoError(t, stdin.Close())
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(func() { kill(); _ = gate.Close() })
	said := make([]byte, len("ready\n"))
	_, err = io.ReadFull(out, said)
	require.NoError(t, err)
	require.Equal(t, "ready\n", string(said))
	return cmd.Process.Pid, kill
}

// together runs n processes that begin their task at the same moment, and returns what they print.
func together(t *testing.T, n int, task, dir, arg string) (out []string) {
	t.Helper()
	begin, gate, err := os.Pipe()
	require.NoError(t, err)
	var cmds []*exec.Cmd
	var texts []*strings.Builder
	for range n {
		cmd, text := command(task, dir, arg), &strings.Builder{}
		cmd.Stdin, cmd.Stdout = begin, text
		require.NoError(t, cmd.Start())
		cmds, texts = append(cmds, cmd), append(texts, text)
	}
	require.NoError(t, begin.Close())
	require.NoError(t, gate.Close())
	for i, cmd := range cmds {
		require.NoError(t, cmd.Wait(), texts[i])
		out = append(out, texts[i].String())
	}
	return out
}

const counts = 25

// count adds 1 to the number in a file, which goes wrong where two do it at once.
func count(locks *hostlocal.Locks, file string) error {
	unlock, err := locks.LockHere(ctx, "flag/odilo", time.Minute)
	if err != nil {
		return err
	}
	defer unlock()
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(string(text))
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(strconv.Itoa(n+1)), 0o600)
}

// earlierLock takes a lock as earlier versions of adfbot did: they made the directory where it was missing, opened a file
// for each lock in it, and wrote their process id into the file.
func earlierLock(dir, name string) (unlock func(), err error) {
	locks := filepath.Join(dir, "locks")
	if err := os.Mkdir(locks, 0o700); err != nil && !os.IsExist(err) {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(locks, name), os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, err
	}
	_, err = fmt.Fprintln(f, os.Getpid())
	return func() { _ = f.Close() }, err
}
