package hostlocal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// noLink keeps an open from following a symbolic link and from blocking on a FIFO. Any member of the group may put either
// into the directory, and a link could lead to a file that only the bot or root may write.
const noLink = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// MakeDirs creates a directory and its missing parents. Each takes the owner, group and rights of the one above.
func MakeDirs(dir string) error {
	if _, err := os.Stat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := pause.DeadLink(dir); err != nil {
		return store.Unusable(dir, err.Error(), fs.ErrNotExist)
	}
	if err := MakeDirs(filepath.Dir(dir)); err != nil {
		return err
	}
	return makeDir(dir)
}

func makeDir(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if f, err := os.OpenFile(dir, os.O_RDONLY|noLink, 0); err == nil {
		inherit(f)
		_ = f.Close()
	}
	return nil
}

// CreateFile creates an empty file, with the owner, group and rights of its directory, if nothing has its name.
func CreateFile(path string) error {
	err := createFile(path, nil)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func createFile(path string, content []byte) error {
	dir, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	return createIn(dir, filepath.Base(path), content)
}

func createIn(dir *os.Root, name string, content []byte) error {
	f, err := dir.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	inherit(f)
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

// inherit gives a new file or directory the owner and group of its directory, and the group the rights that it has on the
// directory. Then a command that root or another member of the group runs does not lock the others out, whether or not the directory
// has the setgid bit. What this user may not change stays as it is; `adfbot check` reports it.
func inherit(f *os.File) {
	parent, err := os.Stat(filepath.Dir(f.Name()))
	if err != nil {
		return
	}
	switch st, ok := sys(parent); {
	case ok && os.Geteuid() == 0:
		_ = f.Chown(int(st.Uid), int(st.Gid))
	case ok && parent.Mode()&0o020 != 0:
		_ = f.Chown(-1, int(st.Gid))
	}
	info, err := f.Stat()
	if err != nil {
		return
	}
	mode := groupMode(info.Mode().Perm()&0o700, parent)
	if info.IsDir() {
		mode |= parent.Mode() & fs.ModeSetgid
	}
	_ = f.Chmod(mode)
}

// ShareFile gives a file of this user, which another library has made, to the group of its directory if that may write the directory.
// The file is not opened: closing it would release the locks that this process has on it.
func ShareFile(path string) {
	parent, err := os.Stat(filepath.Dir(path))
	if err != nil || parent.Mode()&0o020 == 0 {
		return
	}
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || SameGroup(info, parent) {
		return
	}
	own, ok := sys(info)
	// With a second name, it may be a file from elsewhere.
	if dir, ok2 := sys(parent); ok && ok2 && int(own.Uid) == os.Geteuid() && own.Nlink == 1 {
		_ = os.Lchown(path, -1, int(dir.Gid))
	}
}

// groupMode adds the owner's rights for the group, if the group may write the directory.
func groupMode(owner fs.FileMode, dir fs.FileInfo) fs.FileMode {
	if dir.Mode().Perm()&0o020 != 0 {
		return owner | owner>>3
	}
	return owner
}

// openRegular opens a file that has to be a regular one, and no link to one.
func openRegular(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, flag|noLink, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", path)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// openDir opens a directory unless a link is in its place.
func openDir(path string) (*os.Root, error) {
	info, err := os.Lstat(path)
	return unlessLink(path, info, err, func() (*os.Root, error) { return os.OpenRoot(path) })
}

// openFolder opens a directory inside of one beside a state, unless a link is in the place of either.
func openFolder(path string) (*os.Root, error) {
	parent, err := openDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer func() { _ = parent.Close() }()
	name := filepath.Base(path)
	info, err := parent.Lstat(name)
	return unlessLink(path, info, err, func() (*os.Root, error) { return parent.OpenRoot(name) })
}

// unlessLink opens the directory that was found at a path, and no other that somebody has put there meanwhile.
func unlessLink(path string, found fs.FileInfo, err error, open func() (*os.Root, error)) (*os.Root, error) {
	if err != nil {
		return nil, err
	}
	if err := checkFolder(path, found); err != nil {
		return nil, err
	}
	dir, err := open()
	if err != nil {
		return nil, err
	}
	if opened, err := dir.Stat("."); err != nil || !os.SameFile(opened, found) {
		_ = dir.Close()
		return nil, fmt.Errorf("open %s: it was replaced meanwhile", path)
	}
	return dir, nil
}

// makeFolder creates a directory inside of one beside a state, unless a link is in the place of either.
func makeFolder(path string) error {
	parent, err := openDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { _ = parent.Close() }()
	name := filepath.Base(path)
	if err := parent.Mkdir(name, 0o700); err == nil {
		if f, err := parent.OpenFile(name, os.O_RDONLY|noLink, 0); err == nil {
			inherit(f)
			_ = f.Close()
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if info, err := parent.Lstat(name); err == nil {
		return checkFolder(path, info)
	}
	return nil
}

// checkFolder returns an error unless a directory was found at a path.
func checkFolder(path string, found fs.FileInfo) error {
	switch {
	case found.IsDir():
		return nil
	case found.Mode()&fs.ModeSymlink != 0:
		return store.Link(path, "remove it")
	}
	return store.Unusable(path, "this is not a directory: remove it", syscall.ENOTDIR)
}

// removeFile removes a file that may be gone already.
func removeFile(path string) error { return ifThere(os.Remove(path)) }

func ifThere(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
