package hostlocal_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/testhost"
)

var ctx = context.Background()

func TestMain(m *testing.M) {
	funcs := testhost.Funcs{}
	for name, do := range tasks {
		funcs[name] = func(self testhost.Self) int {
			if err := do(self, os.Args[1], os.Args[2]); err != nil {
				fmt.Println(err)
				return 1
			}
			return 0
		}
	}
	testhost.Main(m, funcs)
}

// tasks are what this test binary does in a process of its own, with a directory and an argument.
var tasks = map[string]func(self testhost.Self, dir, arg string) error{
	"joined since": func(_ testhost.Self, dir, groups string) error {
		gid := 0
		if groups == "all" {
			gid = testhost.Nobody
		}
		if err := errors.Join(syscall.Setgroups(nil), syscall.Setresgid(gid, gid, gid), syscall.Setresuid(testhost.Nobody, testhost.Nobody, testhost.Nobody)); err != nil {
			return err
		}
		fmt.Println(hostlocal.JoinedSince(dir))
		return nil
	},
	"use as a member": func(_ testhost.Self, state, _ string) error {
		if err := errors.Join(syscall.Setgroups([]int{groupOfMember}), syscall.Setresgid(4711, 4711, 4711), syscall.Setresuid(4711, 4711, 4711)); err != nil {
			return err
		}
		syscall.Umask(0o077)
		d := hostlocal.Beside(state)
		err := errors.Join(d.Create(ctx), d.KeepReady(ctx), hostlocal.CreateFile(state))
		_, err2 := d.LockRun("1", store.Settings{})
		_, err3 := d.Spool().Add(spooledResult("r", noon))
		return errors.Join(err, err2, err3)
	},
	"hold": func(self testhost.Self, dir, name string) error {
		_, err := hostlocal.NewLocks(dir).LockHere(ctx, name, 0)
		return hold(self, err)
	},
	"hold beside a child": func(self testhost.Self, dir, name string) error {
		_, err := hostlocal.NewLocks(dir).LockHere(ctx, name, 0)
		if err == nil {
			child := exec.Command("cat")
			child.Stdin = os.Stdin
			err = child.Start()
		}
		return hold(self, err)
	},
	"hold as an earlier version": func(self testhost.Self, dir, name string) error {
		_, err := earlierLock(dir, name)
		return hold(self, err)
	},
	"owner": func(_ testhost.Self, dir, _ string) error {
		owner := hostlocal.Owner(dir)
		fmt.Printf("%s: %s\n", owner.Name, owner.Advice(os.Getenv("PATH"), "true"))
		return nil
	},
	"lock": func(_ testhost.Self, dir, name string) error {
		_, err := hostlocal.NewLocks(dir).LockHere(ctx, name, 0)
		return err
	},
	"count": func(self testhost.Self, dir, file string) error {
		self.Ready()
		for range counts {
			if err := count(hostlocal.NewLocks(dir), file); err != nil {
				return err
			}
		}
		return nil
	},
	"upgrade": func(self testhost.Self, dir, _ string) error {
		self.Ready()
		return hostlocal.NewLocks(dir).Upgrade(ctx, time.Minute)
	},
	"check run": func(_ testhost.Self, state, id string) error {
		return hostlocal.Beside(state).CheckRun(store.Run{ID: id, Project: "odilo"})
	},
	"run": func(self testhost.Self, dir, id string) error {
		_, err := hostlocal.Beside(dir).LockRun(id, store.Settings{})
		return hold(self, err)
	},
	"keep ready": func(self testhost.Self, dir, times string) error {
		n, _ := strconv.Atoi(times)
		self.Ready()
		for range n {
			if err := useUpReserves(dir); err != nil {
				return err
			}
			if err := hostlocal.Beside(dir).KeepReady(ctx); err != nil {
				return err
			}
		}
		return nil
	},
	"replace reserves": func(_ testhost.Self, dir, _ string) error { return hostlocal.Beside(dir).KeepReady(ctx) },
	"spool": func(_ testhost.Self, dir, id string) error {
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
}

// useUpReserves removes the reserves, as those do who spool on a full disk.
func useUpReserves(dir string) error {
	ready, err := filepath.Glob(filepath.Join(dir+".d", "spool", "*.ready"))
	for _, file := range ready {
		if e := os.Remove(file); !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// hold tells the test that the process has its lock, and waits to be killed.
func hold(self testhost.Self, err error) error {
	if err == nil {
		self.Ready()
	}
	return err
}

// start starts a task that holds a lock. Its own child ends with the test.
func start(t *testing.T, task, dir, arg string) *testhost.Child {
	t.Helper()
	stdin, gate, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { _ = gate.Close() })
	cmd := testhost.Command(t, task, dir, arg)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, os.Stderr, os.Stderr
	cmd.StartReady()
	require.NoError(t, stdin.Close())
	return cmd
}

// together runs processes that begin their task at the same moment.
func together(t *testing.T, task, dir, arg string) {
	t.Helper()
	var children []*testhost.Child
	var texts []*strings.Builder
	for range processes {
		cmd, text := testhost.Command(t, task, dir, arg), &strings.Builder{}
		cmd.Stdout, cmd.Stderr = text, os.Stderr
		children, texts = append(children, cmd), append(texts, text)
	}
	testhost.StartTogether(children...)
	for i, cmd := range children {
		require.NoError(t, cmd.Wait(), texts[i])
	}
}

const (
	processes = 8
	counts    = 25
)

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
