package hostlocal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// upgrade replaces the directory of lock files that an earlier version made by the file. It waits until no process of
// the earlier version holds a lock, and fails, with the directory still in place, if one does after wait. Any number of
// processes may upgrade at once. If there is nothing to replace, it opens and closes the file, or creates it.
func (l *locks) upgrade(ctx context.Context, wait time.Duration) error {
	fd, err := l.open(ctx, wait)
	if err != nil {
		return fmt.Errorf("open the locks: %w", err)
	}
	return unix.Close(fd)
}

func (l *locks) replaceOld(ctx context.Context, wait time.Duration) error {
	end := time.Now().Add(wait)
	dir, err := os.OpenFile(l.path, os.O_RDONLY|unix.O_DIRECTORY|noLink, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil // another process has just replaced it
	}
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	// One process at a time. The earlier version locks files only.
	free, err := poll(ctx, wait, tryFlock(dir))
	if err == nil && !free {
		err = errors.New("another adfbot has not finished the upgrade: if it is stopped, continue or end it")
	}
	if err != nil {
		return fmt.Errorf("upgrade %s: %w", l.path, err)
	}
	var held []*os.File
	defer func() {
		for _, f := range held {
			_ = f.Close()
		}
	}()
	for {
		if same, err := l.is(dir); err != nil || !same {
			return err // replaced while this process waited
		}
		busy, err := removeLocks(ctx, end, dir)
		held = append(held, busy...)
		if err != nil {
			return fmt.Errorf("upgrade %s: %w", l.path, err)
		}
		// The directory is not empty if the earlier version has created a lock file meanwhile.
		switch err := unix.Rmdir(l.path); err {
		case nil:
			return l.create()
		case unix.ENOTEMPTY:
		default:
			return &fs.PathError{Op: "rmdir", Path: l.path, Err: err}
		}
	}
}

// is reports whether an open directory is the one at the path, which must be no link to it.
func (l *locks) is(dir *os.File) (bool, error) {
	open, err := dir.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Lstat(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(open, there), err
}

// removeLocks waits until each old lock is free and removes its file. It returns those that it had to wait for, still locked:
// a process of the earlier version that waits for the same lock must not get it while the upgrade goes on. One that waits
// longer gets it afterwards, and its last piece of work excludes no process of this version.
func removeLocks(ctx context.Context, end time.Time, dir *os.File) (busy []*os.File, err error) {
	if _, err := dir.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	if err := checkEntries(entries); err != nil {
		return nil, err
	}
	for _, e := range entries {
		f, err := removeIfFree(dir, e)
		if f != nil {
			busy = append(busy, f)
		}
		if err != nil {
			return busy, err
		}
	}
	for _, f := range busy {
		free, err := poll(ctx, time.Until(end), tryFlock(f))
		if err == nil && !free {
			err = fmt.Errorf("%s of an earlier version of adfbot holds a lock (%s): stop it, and start it again as this version",
				oldHolder(f), f.Name())
		}
		if err != nil {
			return busy, err
		}
	}
	for _, f := range busy {
		if err := remove(dir, f.Name()); err != nil {
			return busy, err
		}
	}
	return busy, nil
}

// checkLocks returns why no lock can be taken, as far as that shows without creating or upgrading anything. That the file is
// missing is no reason, and the rights of this user are not checked.
func (l *locks) checkLocks() error {
	info, err := os.Lstat(l.path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return nil
	case err != nil:
		return err
	case info.IsDir():
		entries, err := os.ReadDir(l.path)
		if err == nil {
			err = checkEntries(entries)
		}
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("upgrade %s: %w", l.path, err)
		}
		return nil
	case info.Mode().IsRegular(), info.Mode()&fs.ModeNamedPipe != 0: // which can be locked, too
		return nil
	}
	return fmt.Errorf("%s is no regular file, so no lock can be taken, no flag written and no issue opened: remove it", l.path)
}

func checkEntries(entries []fs.DirEntry) error {
	if n := slices.IndexFunc(entries, isForeign); n >= 0 {
		return fmt.Errorf("%s is no lock file of adfbot: move it out of the directory", entries[n].Name())
	}
	return nil
}

// isForeign reports whether the earlier version never made such an entry. The names of its locks had "-" instead of "/".
func isForeign(e fs.DirEntry) bool {
	kind, _, found := strings.Cut(e.Name(), "-")
	return e.IsDir() || !found || !slices.Contains([]string{"flag", "issue", "labels"}, kind)
}

func removeIfFree(dir *os.File, e fs.DirEntry) (busy *os.File, err error) {
	if e.Type().IsRegular() { // the earlier version locked nothing else
		fd, err := unix.Openat(int(dir.Fd()), e.Name(), unix.O_RDWR|unix.O_CLOEXEC|noLink, 0)
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: e.Name(), Err: err}
		}
		f := os.NewFile(uintptr(fd), e.Name())
		if free, err := tryFlock(f)(); !free {
			return f, err
		}
		defer func() { _ = f.Close() }()
	}
	return nil, remove(dir, e.Name())
}

func remove(dir *os.File, name string) error {
	if err := unix.Unlinkat(int(dir.Fd()), name, 0); err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	return nil
}

// oldHolder names the holder of an old lock, which has written its process id into the file.
func oldHolder(f *os.File) string {
	text, _ := io.ReadAll(io.LimitReader(f, 20))
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
		return fmt.Sprint("process ", pid)
	}
	return "a process"
}

func tryFlock(f *os.File) func() (bool, error) {
	return func() (bool, error) {
		return try(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	}
}
