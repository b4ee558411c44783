package hostlocal_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store/storetest"
	"github.com/terraphim/adfbot/internal/testhost"
)

// newLocks returns locks in a directory of the test's own, and the path of their file.
func newLocks(t testing.TB) (locks *hostlocal.Locks, file string) {
	t.Helper()
	dir := t.TempDir()
	return hostlocal.NewLocks(dir), filepath.Join(dir, "locks")
}

func lock(t testing.TB, locks *hostlocal.Locks, name string) (unlock func()) {
	t.Helper()
	unlock, err := locks.LockHere(ctx, name, 0)
	require.NoError(t, err)
	t.Cleanup(unlock)
	return unlock
}

func requireHeld(t testing.TB, locks *hostlocal.Locks, name string) {
	t.Helper()
	_, err := locks.LockHere(ctx, name, 0)
	var late *hostlocal.LockTimeoutError
	require.ErrorAs(t, err, &late)
}

func TestOneHolderAtATime(t *testing.T) {
	file := filepath.Join(t.TempDir(), "number")
	for what, add := range map[string]func(t *testing.T, dir string) (added int){
		"goroutines": func(t *testing.T, dir string) int {
			locks := hostlocal.NewLocks(dir)
			errs := make([]error, processes)
			var wg sync.WaitGroup
			for g := range errs {
				wg.Go(func() {
					for range counts {
						errs[g] = errors.Join(errs[g], count(locks, file))
					}
				})
			}
			wg.Wait()
			require.NoError(t, errors.Join(errs...))
			return len(errs) * counts
		},
		"processes": func(t *testing.T, dir string) int {
			together(t, "count", dir, file)
			return processes * counts
		},
	} {
		t.Run(what, func(t *testing.T) {
			require.NoError(t, os.WriteFile(file, []byte("0"), 0o600))
			added := add(t, t.TempDir())
			number, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, strconv.Itoa(added), string(number))
		})
	}
}

// Locks of different names do not interfere.
func TestLocksOfDifferentNames(t *testing.T) {
	locks, file := newLocks(t)
	for n := range 100 {
		lock(t, locks, fmt.Sprint("flag/p", n))
		lock(t, locks, fmt.Sprint("issue/p", n))
	}
	requireHeld(t, locks, "flag/p50")
	entries, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

// Ten thousand locks need one empty file.
func TestTenThousandLocks(t *testing.T) {
	locks, file := newLocks(t)
	for n := range 10_000 {
		unlock, err := locks.LockHere(ctx, fmt.Sprint("flag/p", n), 0)
		require.NoError(t, err)
		unlock()
	}
	entries, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	require.Len(t, entries, 1)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Zero(t, info.Size())
}

func TestOffsets(t *testing.T) {
	// Another version of the program must find the same bytes.
	require.Equal(t, int64(3884738895130734754), hostlocal.Offset("flag/odilo"))
	require.Equal(t, int64(3129874413217567622), hostlocal.Offset("labels/acme/fleet"))
	seen := map[int64]string{}
	for n := range 10_000 {
		for _, kind := range []string{"flag/", "issue/", "labels/acme/"} {
			name := fmt.Sprint(kind, "p", n)
			at := hostlocal.Offset(name)
			require.True(t, at >= 0 && at < 1<<62, name)
			require.Empty(t, seen[at], name)
			seen[at] = name
		}
	}
}

func TestLockEndsWithItsHolder(t *testing.T) {
	for _, task := range []string{"hold", "hold beside a child"} {
		t.Run(task, func(t *testing.T) {
			locks, file := newLocks(t)
			holder := start(t, task, filepath.Dir(file), "flag/odilo")
			requireHeld(t, locks, "flag/odilo")
			lock(t, locks, "flag/atlas")
			_ = holder.Kill()
			lock(t, locks, "flag/odilo")
		})
	}
}

// Between fork and exec a child has a copy of every descriptor, and a lock ends only with its last copy.
func TestUnlockBesideForkedChild(t *testing.T) {
	locks, file := newLocks(t)
	unlock := lock(t, locks, "flag/odilo")
	child, err := syscall.Dup(descriptorOf(t, file))
	require.NoError(t, err)
	defer func() { require.NoError(t, syscall.Close(child)) }()
	requireHeld(t, locks, "flag/odilo")
	unlock()
	lock(t, locks, "flag/odilo")
}

// descriptorOf finds the descriptor of this process for a file.
func descriptorOf(t *testing.T, file string) int {
	t.Helper()
	descriptors, err := filepath.Glob("/proc/self/fd/*")
	require.NoError(t, err)
	for _, path := range descriptors {
		if to, _ := os.Readlink(path); to == file {
			fd, err := strconv.Atoi(filepath.Base(path))
			require.NoError(t, err)
			return fd
		}
	}
	require.Fail(t, "the file is not open", file)
	return -1
}

// The second unlock releases no other lock.
func TestUnlockTwice(t *testing.T) {
	locks, _ := newLocks(t)
	first := lock(t, locks, "flag/odilo")
	first()
	lock(t, locks, "flag/odilo") // with the same descriptor
	first()
	requireHeld(t, locks, "flag/odilo")
}

func TestLockWaits(t *testing.T) {
	locks, _ := newLocks(t)
	synctest.Test(t, func(t *testing.T) {
		unlock := lock(t, locks, "flag/odilo")
		got := make(chan error, 1)
		go func() {
			second, err := locks.LockHere(ctx, "flag/odilo", time.Hour)
			if err == nil {
				second()
			}
			got <- err
		}()
		synctest.Wait()
		require.Empty(t, got)
		unlock()
		require.NoError(t, <-got)
	})
}

func TestWaitingEnds(t *testing.T) {
	locks, file := newLocks(t)
	start(t, "hold", t.TempDir(), "flag/odilo")
	start(t, "hold", filepath.Dir(file), "flag/atlas")
	pid := start(t, "hold", filepath.Dir(file), "flag/odilo").Process.Pid
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	require.NoError(t, err)
	held := fmt.Sprintf("by process %d (%q): if it is stopped, continue or end it", pid, strings.TrimSpace(string(comm)))
	for what, c := range map[string]struct {
		wait, deadline, after time.Duration
		cancel                bool
		is                    error
		text                  string
	}{
		"at once without a wait":     {text: "lock flag/odilo: still held after 0s " + held},
		"when the wait is over":      {wait: time.Minute, after: time.Minute, text: "lock flag/odilo: still held after 1m0s " + held},
		"at the context's deadline":  {wait: time.Hour, deadline: time.Second, after: time.Second, is: context.DeadlineExceeded, text: "lock flag/odilo: still held after 1s " + held},
		"when a context is canceled": {wait: time.Hour, cancel: true, is: context.Canceled, text: "lock flag/odilo: " + file + ": context canceled"},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				if c.deadline > 0 {
					ctx, cancel = context.WithTimeout(ctx, c.deadline)
					defer cancel()
				}
				if c.cancel {
					cancel()
				}
				begin := time.Now()
				_, err := locks.LockHere(ctx, "flag/odilo", c.wait)
				require.EqualError(t, err, c.text)
				require.Equal(t, c.after, time.Since(begin))
				var late *hostlocal.LockTimeoutError
				require.Equal(t, !c.cancel, errors.As(err, &late))
				for _, is := range []error{context.Canceled, context.DeadlineExceeded} {
					require.Equal(t, is == c.is, errors.Is(err, is), is)
				}
			})
		})
	}
}

func TestTimeoutNamesThisProcess(t *testing.T) {
	locks, _ := newLocks(t)
	lock(t, locks, "flag/odilo")
	_, err := locks.LockHere(ctx, "flag/odilo", 0)
	require.EqualError(t, err, fmt.Sprintf("lock flag/odilo: still held after 0s by this process (%d)", os.Getpid()))
}

// The message says how to find the process.
func TestTimeoutOfAnotherUsersProcess(t *testing.T) {
	testhost.NeedRoot(t, "to become another user")
	dir := filepath.Join(testhost.PublicDir(t), "state.d")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Chown(dir, testhost.Nobody, testhost.Nobody))
	lock(t, hostlocal.NewLocks(dir), "flag/odilo")
	cmd := testhost.Command(t, "lock", dir, "flag/odilo")
	cmd.Env = append(cmd.Env, fmt.Sprint(testhost.UIDVar, "=", testhost.Nobody))
	out, err := cmd.Output()
	require.Error(t, err)
	require.Equal(t, "lock flag/odilo: still held after 0s by another process: it is among those that `sudo lsof "+
		filepath.Join(dir, "locks")+"` lists; if it is stopped, continue or end it\n", string(out))
}

// A free lock is taken although the context has ended.
func TestFreeLockWithEndedContext(t *testing.T) {
	locks, _ := newLocks(t)
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	unlock, err := locks.LockHere(ctx, "flag/odilo", time.Hour)
	require.NoError(t, err)
	unlock()
}

func TestClaim(t *testing.T) {
	locks, _ := newLocks(t)
	type key struct{}
	ctx, cancel := context.WithCancel(context.WithValue(ctx, key{}, "value"))
	defer cancel()
	held, release, err := locks.Claim(ctx, "issue/odilo", 0)
	require.NoError(t, err)
	require.NoError(t, held.Err())
	require.Equal(t, "value", held.Value(key{}))
	_, _, err = locks.Claim(ctx, "issue/odilo", 0)
	var late *hostlocal.LockTimeoutError
	require.ErrorAs(t, err, &late)
	release()
	require.ErrorIs(t, held.Err(), context.Canceled)

	held, release, err = locks.Claim(ctx, "issue/odilo", 0)
	require.NoError(t, err)
	defer release()
	cancel()
	require.ErrorIs(t, held.Err(), context.Canceled)
}

// A symbolic link is not followed.
func TestSymbolicLink(t *testing.T) {
	target := filepath.Join(t.TempDir(), "token")
	for what, content := range map[string]string{"to a file": "secret", "to nothing": ""} {
		t.Run(what, func(t *testing.T) {
			if content != "" {
				require.NoError(t, os.WriteFile(target, []byte(content), 0o640))
				defer func() { require.NoError(t, os.Remove(target)) }()
			}
			locks, file := newLocks(t)
			require.NoError(t, os.Symlink(target, file))
			_, err := locks.LockHere(ctx, "flag/odilo", time.Second)
			for _, err := range []error{err, locks.Upgrade(ctx, time.Second)} {
				require.ErrorContains(t, err, file+": this is a symbolic link, which adfbot does not follow: remove it")
				require.ErrorIs(t, err, syscall.ELOOP)
			}
			require.NoError(t, locks.Create())
			if content == "" {
				require.NoFileExists(t, target)
			} else {
				info, err := os.Stat(target)
				require.NoError(t, err)
				require.Equal(t, fs.FileMode(0o640), info.Mode())
			}
			require.NoError(t, os.Remove(file))
			lock(t, locks, "flag/odilo")
		})
	}
}

func TestLockErrors(t *testing.T) {
	_, err := hostlocal.NewLocks(filepath.Join(t.TempDir(), "nowhere")).LockHere(ctx, "flag/odilo", time.Second)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "lock flag/odilo: ")
	for _, errno := range []error{syscall.EINVAL, syscall.ENOLCK, syscall.ENOSYS, syscall.EOPNOTSUPP} {
		err := hostlocal.Explain(errno)
		require.ErrorContains(t, err, "open file description locks need Linux 3.15 or later and a local file system")
		require.ErrorIs(t, err, errno)
	}
	require.Equal(t, syscall.EIO, hostlocal.Explain(syscall.EIO))
}

// A lock is taken on a full disk.
func TestLockOnFullDisk(t *testing.T) {
	dir := testhost.NewDisk(t, "size=1m,nr_inodes=20")
	locks := hostlocal.NewLocks(dir)
	require.NoError(t, locks.Create())
	n := 0
	for ; os.WriteFile(filepath.Join(dir, fmt.Sprint(n)), nil, 0o600) == nil; n++ {
	}
	require.Positive(t, n)
	require.NoError(t, locks.Create())
	lock(t, locks, "flag/odilo")()
	require.NoError(t, os.Remove(filepath.Join(dir, "locks")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "last"), nil, 0o600))
	_, err := locks.LockHere(ctx, "flag/odilo", 0)
	require.ErrorIs(t, err, syscall.ENOSPC)
}

// The file takes owner, group and permissions of its directory.
func TestLockFilePermissions(t *testing.T) {
	testhost.NeedRoot(t, "to give files to another user")
	const uid, gid = 31234, 31235
	for what, mode := range map[string]struct{ dir, file uint32 }{
		"shared with a group": {0o2770, 0o660},
		"for one user":        {0o700, 0o600},
		"readable by a group": {0o750, 0o600},
	} {
		t.Run(what, func(t *testing.T) {
			locks, file := newLocks(t)
			require.NoError(t, os.Chown(filepath.Dir(file), uid, gid))
			require.NoError(t, syscall.Chmod(filepath.Dir(file), mode.dir))
			lock(t, locks, "flag/odilo")
			var st syscall.Stat_t
			require.NoError(t, syscall.Lstat(file, &st))
			require.Equal(t, [3]uint32{uid, gid, syscall.S_IFREG | mode.file}, [3]uint32{st.Uid, st.Gid, st.Mode})
		})
	}
}

func BenchmarkLock(b *testing.B) {
	locks, _ := newLocks(b)
	for b.Loop() {
		unlock, err := locks.LockHere(ctx, "flag/odilo", time.Second)
		if err != nil {
			b.Fatal(err)
		}
		unlock()
	}
}

// The processes of one host claim by a lock.
func TestClaims(t *testing.T) {
	storetest.RunClaims(t, func(t testing.TB) [2]incident.Claimer {
		path := filepath.Join(t.TempDir(), "adfbot.db")
		d := hostlocal.Beside(path)
		require.NoError(t, d.Create(t.Context()))
		return [2]incident.Claimer{d, hostlocal.Beside(path)}
	})
}
