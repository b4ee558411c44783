package hostlocal

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/internal/store"
)

// locks are the locks of a directory. They exclude other processes and other goroutines alike.
type locks struct {
	path string // of the file
}

// create creates the file if it is missing. A lock can then be taken on a full disk too.
func (l *locks) create() error {
	dir, err := openDir(filepath.Dir(l.path))
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	if err := createIn(dir, filepath.Base(l.path), nil); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// LockHere takes the lock that guards files of this host. If the lock is not free within wait, the error is
// a [*LockTimeoutError]; a wait of 0 tries once. A lock that is free is taken even if ctx is done.
// unlock may be called more than once.
func (l *locks) LockHere(ctx context.Context, name string, wait time.Duration) (unlock func(), err error) {
	fd, err := l.open(ctx, wait)
	if err != nil {
		return nil, store.FileError(l.path, fmt.Errorf("lock %s: %w", name, err))
	}
	at := offset(name)
	begin := time.Now()
	free, err := poll(ctx, wait, func() (bool, error) { return setLock(fd, unix.F_WRLCK, at) })
	switch {
	case free:
		return sync.OnceFunc(func() {
			// Closing alone would leave the lock to a child that was forked but has not yet executed its program.
			_, _ = setLock(fd, unix.F_UNLCK, at)
			_ = unix.Close(fd)
		}), nil
	case err == nil, errors.Is(err, context.DeadlineExceeded):
		late := &LockTimeoutError{Name: name, File: l.path, Waited: min(wait, time.Since(begin)), cause: err}
		late.PID, late.Command = holder(fd, at)
		err = late
	default:
		err = store.FileError(l.path, fmt.Errorf("lock %s: %s: %w", name, l.path, explain(err)))
	}
	_ = unix.Close(fd)
	return nil, err
}

// Claim takes the lock that guards work of the whole installation; see [Dir.LockHere] for wait and the errors.
// The work must use held: it ends when the claim can no longer be trusted, at the latest when release is called.
func (l *locks) Claim(ctx context.Context, name string, wait time.Duration) (held context.Context, release func(), err error) {
	unlock, err := l.LockHere(ctx, name, wait)
	if err != nil {
		return nil, nil, err
	}
	held, cancel := context.WithCancel(ctx)
	return held, func() { cancel(); unlock() }, nil
}

// LockTimeoutError reports that a lock was not free in time.
type LockTimeoutError struct {
	Name    string
	File    string
	Waited  time.Duration
	PID     int    // the holder; 0 if it is unknown
	Command string // the holder's name, which it may have chosen itself
	cause   error
}

func (e *LockTimeoutError) Error() string {
	held := fmt.Sprintf("lock %s: still held after %s", e.Name, e.Waited.Round(time.Millisecond))
	switch e.PID {
	case 0:
		return fmt.Sprintf("%s by another process: it is among those that `sudo lsof %s` lists; if it is stopped, continue or end it", held, e.File)
	case os.Getpid():
		return fmt.Sprintf("%s by this process (%d)", held, e.PID)
	}
	return fmt.Sprintf("%s by process %d (%q): if it is stopped, continue or end it", held, e.PID, e.Command)
}

// Unwrap returns the context's error if its deadline came before the end of the wait.
func (e *LockTimeoutError) Unwrap() error { return e.cause }

// offset returns the byte that stands for a name, a hash of 62 bits. Processes of different versions must agree on it.
// Two names that share a byte exclude each other; with 10,000 projects the chance that any do is one in 20 billion.
func offset(name string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return int64(h.Sum64() >> 2)
}

// setLock takes or releases the lock of one byte.
func setLock(fd int, kind int16, at int64) (bool, error) {
	return try(func() error {
		return unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: kind, Start: at, Len: 1})
	})
}

// try makes a lock call that does not wait, and returns false if somebody else holds the lock.
func try(call func() error) (bool, error) {
	for {
		switch err := call(); err {
		case nil:
			return true, nil
		case unix.EAGAIN:
			return false, nil
		case unix.EINTR:
		default:
			return false, err
		}
	}
}

// open opens the file anew: locks belong to the open file description, so two goroutines that shared one would not exclude
// each other. It creates the file if it is missing, and upgrades what an earlier version left.
func (l *locks) open(ctx context.Context, wait time.Duration) (fd int, err error) {
	for {
		fd, err := l.openFile()
		switch err {
		case nil:
			return fd, nil
		case unix.EINTR:
			continue
		case unix.ENOENT:
			err = l.create()
		case unix.EISDIR:
			err = l.replaceOld(ctx, wait)
		default:
			if errors.Is(err, store.ErrUnusable) {
				return -1, err
			}
			err = &fs.PathError{Op: "open", Path: l.path, Err: explain(err)}
		}
		if err != nil {
			return -1, err
		}
	}
}

// openFile opens the file, unless a link is in its place or in that of its directory.
func (l *locks) openFile() (int, error) {
	path := filepath.Dir(l.path)
	dir, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err == unix.ENOTDIR {
		if info, e := os.Lstat(path); e == nil && info.Mode()&fs.ModeSymlink != 0 {
			return -1, store.Link(path, "remove it")
		}
	}
	if err != nil {
		return -1, err
	}
	defer func() { _ = unix.Close(dir) }()
	return unix.Openat(dir, filepath.Base(l.path), unix.O_RDWR|unix.O_CLOEXEC|noLink, 0)
}

// explain says what to do about an error of the system.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.ELOOP):
		return fmt.Errorf("this is a symbolic link, which adfbot does not follow: remove it: %w", err)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOLCK), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("open file description locks need Linux 3.15 or later and a local file system: %w", err)
	}
	return err
}

const (
	firstPause = time.Millisecond
	lastPause  = 20 * time.Millisecond
)

// poll calls try until it succeeds or fails, the wait is over, or ctx is done. At the end of the wait it returns false.
// The kernel can wait for a lock too, but no context ends that.
func poll(ctx context.Context, wait time.Duration, try func() (bool, error)) (bool, error) {
	ok, err := try()
	if ok || err != nil || wait <= 0 {
		return ok, err
	}
	over := time.NewTimer(wait)
	defer over.Stop()
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		select {
		case <-time.After(pause/2 + rand.N(pause/2)):
		case <-over.C:
			return try()
		case <-ctx.Done():
			return false, ctx.Err()
		}
		if ok, err := try(); ok || err != nil {
			return ok, err
		}
	}
}
