package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// inherit gives a new file or folder the owner and group of its directory, and the group the rights that it has on the
// directory. What this user may not change stays as it is: `adfbot check` finds it. All of it is done to what was opened: in
// the shared set-up another member of the group may put a link in its place meanwhile.
func inherit(path string) {
	parent, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return
	}
	st, ok := parent.Sys().(*syscall.Stat_t)
	if !ok {
		return
	}
	f, err := os.OpenFile(path, os.O_RDONLY|noLink, 0)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	if os.Geteuid() == 0 {
		_ = f.Chown(int(st.Uid), int(st.Gid))
	}
	info, err := f.Stat()
	if err != nil {
		return
	}
	mode := info.Mode().Perm() & 0o700
	if parent.Mode().Perm()&0o020 != 0 {
		mode |= mode >> 3 // the group may do what the owner may
	}
	set := mode
	if info.IsDir() && parent.Mode()&fs.ModeSetgid != 0 {
		set |= fs.ModeSetgid
	}
	_ = f.Chmod(set)
}

// noLink keeps an open from following a link, and from waiting where a FIFO lies. Whoever is in the group may put either
// into the folders beside the state, and the link could lead to a file that is only the bot's or root's.
const noLink = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// openThere opens what has to be a regular file, and no link to one.
func openThere(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, flag|noLink, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file", path)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// openFolder opens one of the folders beside the state, and not what lies behind a link that was put in its place.
func (s *Store) openFolder(name string) (*os.Root, error) {
	around, err := os.OpenRoot(filepath.Dir(s.path))
	if err != nil {
		return nil, err
	}
	defer func() { _ = around.Close() }()
	folder, err := around.OpenRoot(filepath.Join(filepath.Base(s.path)+".d", name))
	if err != nil {
		return nil, fmt.Errorf("open %s, which has to be a folder and no link: %w", s.dir(name), err)
	}
	return folder, nil
}

// makeDirs makes a directory and its missing parents, each with the owner of the one above.
func makeDirs(dir string) error {
	if _, err := os.Stat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeDirs(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	inherit(dir)
	return nil
}

func isDiskError(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EDQUOT) ||
		errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENOTDIR)
}

// Claim is [incident.Claimer.Claim]. The state is one machine's file, so a claim is a lock of the machine.
func (s *Store) Claim(ctx context.Context, name string, wait time.Duration) (held context.Context, release func(), err error) {
	release, err = s.LockHere(ctx, name, wait)
	return ctx, release, err
}

// LockHere is [incident.HostLocker.LockHere].
func (s *Store) LockHere(ctx context.Context, name string, wait time.Duration) (unlock func(), err error) {
	unlock, err = lockFile(ctx, filepath.Join(s.dir("locks"), lockName(name)), name, wait)
	return unlock, s.wrap(err)
}

func lockName(name string) string { return strings.NewReplacer("/", "-", ":", "_").Replace(name) }

// keepLocks makes the files of locks that nobody has taken yet: a disk that has run out of inodes must not keep a flag from
// being written.
func (s *Store) keepLocks(names []string) error {
	entries, err := os.ReadDir(s.dir("locks"))
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, e := range entries {
		there[e.Name()] = true
	}
	for _, name := range names {
		name = lockName(name)
		if there[name] {
			continue
		}
		path := filepath.Join(s.dir("locks"), name)
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|noLink, 0o600)
		if err != nil {
			return err
		}
		_ = f.Close()
		inherit(path)
	}
	return nil
}

func lockFile(ctx context.Context, path, name string, wait time.Duration) (func(), error) {
	_, statErr := os.Lstat(path)
	l := flock.New(path, flock.SetPermissions(0o600), flock.SetFlag(os.O_CREATE|os.O_RDWR|noLink))
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	ok, err := l.TryLock()
	if err == nil && !ok && wait > 0 {
		ok, err = l.TryLockContext(ctx, 5*time.Millisecond)
	}
	if errors.Is(statErr, fs.ErrNotExist) {
		inherit(path)
	}
	if !ok {
		_ = l.Close()
		if errors.Is(err, syscall.ELOOP) {
			return nil, fmt.Errorf("lock %s: a symbolic link is there, which adfbot does not follow: remove it", path)
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		return nil, &LockedError{Name: name, Holder: holder(path), Waited: wait}
	}
	// For whoever waits and wants to know for whom. It is advice only, so a failure does not matter.
	if f, err := openThere(path, os.O_WRONLY|os.O_TRUNC); err == nil {
		_, _ = fmt.Fprintln(f, os.Getpid())
		_ = f.Close()
	}
	return func() { _ = l.Close() }, nil
}

func holder(path string) string {
	f, err := openThere(path, os.O_RDONLY)
	if err != nil {
		return "another process"
	}
	defer func() { _ = f.Close() }()
	var pid int
	if _, err := fmt.Fscan(f, &pid); err != nil {
		return "another process"
	}
	return fmt.Sprint("process ", pid)
}

// LockedError: the lock was not free in time.
type LockedError struct {
	Name   string
	Holder string
	Waited time.Duration
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("the lock %s is held by %s (waited %s): if that adfbot is stopped, continue or end it", e.Name, e.Holder, e.Waited)
}
