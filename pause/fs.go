package pause

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

const dirMode = 0o755

// fault lets the tests fail or end the process before a step; nothing else
// sets it.
var fault = func(step string) error { return nil }

// step does one step that reaches the disk.
func step(name string, do func() error) error {
	if err := fault(name); err != nil {
		return err
	}
	return do()
}

// makeDirs makes a directory and its missing parents, each of them on disk
// before it goes on.
func makeDirs(path string) error {
	const what = "make the directory"
	switch fi, err := os.Stat(path); {
	case err == nil && fi.IsDir():
		return nil
	case err == nil, errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w: %s can't be made where a file lies; move it away or set another pause directory", ErrNotDir, path)
	case !errors.Is(err, fs.ErrNotExist):
		return failed(what, path, err, toWrite)
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := makeDirs(parent); err != nil {
			return err
		}
	}
	err := step("mkdir", func() error { return os.Mkdir(path, dirMode) })
	if errors.Is(err, fs.ErrExist) {
		return nil // another process was faster, or it is a link that leads nowhere
	}
	if err != nil {
		return failed(what, path, err, toWrite)
	}
	adoptDir(path, parent)
	if err := syncDir(parent); err != nil {
		return failed(what, path, err, toWrite)
	}
	return nil
}

// adopt makes a new file or directory what it should be where it lies:
// readable by all whatever the umask is, and when root made it, with the owner
// and group of the directory around it. It is as good as it is where that fails.
func adopt(f *os.File, around fs.FileInfo, mode fs.FileMode) {
	fi, err := f.Stat()
	if err != nil {
		return
	}
	if fi.Mode().Perm()&mode != mode {
		_ = f.Chmod(fi.Mode()&^fs.ModeType | mode)
	}
	is, ok1 := fi.Sys().(*syscall.Stat_t)
	want, ok2 := around.Sys().(*syscall.Stat_t)
	if ok1 && ok2 && os.Geteuid() == 0 && (is.Uid != want.Uid || is.Gid != want.Gid) {
		_ = f.Chown(int(want.Uid), int(want.Gid))
	}
}

func adoptIn(root *os.Root, f *os.File) {
	if around, err := root.Stat("."); err == nil {
		adopt(f, around, fileMode)
	}
}

func adoptDir(path, parent string) {
	around, err := os.Stat(parent)
	if err != nil {
		return
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return
	}
	defer f.Close()
	adopt(f, around, dirMode)
}

// syncRoot puts on disk which entries the directory has.
func syncRoot(root *os.Root) error {
	return step("syncdir", func() error {
		f, err := root.Open(".")
		if err != nil {
			return err
		}
		defer f.Close()
		return syncEntries(f)
	})
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return nil // it can be written and searched but not read, so not synced either
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return syncEntries(f)
}

func syncEntries(dir *os.File) error {
	err := dir.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil // this file system can't sync directories, and does not need to
	}
	return err
}

// entries returns the names in the directory.
func entries(root *os.Root) ([]string, error) {
	f, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}
