package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
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

// Claim is [incident.Claimer.Claim]. The state is one machine's file, so a claim is a lock of the machine.
func (s *Store) Claim(ctx context.Context, name string, wait time.Duration) (held context.Context, release func(), err error) {
	held, release, err = s.locks.Claim(ctx, name, wait)
	return held, release, s.wrap(err)
}

// LockHere is [incident.HostLocker.LockHere].
func (s *Store) LockHere(ctx context.Context, name string, wait time.Duration) (unlock func(), err error) {
	unlock, err = s.locks.LockHere(ctx, name, wait)
	return unlock, s.wrap(err)
}
