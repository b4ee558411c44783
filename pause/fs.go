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

// makeDirs creates a directory and its missing parents durably.
func makeDirs(path string) error {
	const attempt = "create the directory"
	switch fi, err := os.Stat(path); {
	case err == nil && fi.IsDir():
		return nil
	case err == nil, errors.Is(err, syscall.ENOTDIR):
		return notDir(path)
	case !errors.Is(err, fs.ErrNotExist):
		return failed(attempt, path, err, needWrite)
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := makeDirs(parent); err != nil {
			return err
		}
	}
	err := step("mkdir", func() error { return os.Mkdir(path, dirMode) })
	if errors.Is(err, fs.ErrExist) {
		if DeadLink(path) != nil {
			return noDir(path)
		}
		return nil // another process was first
	}
	if err == nil {
		inheritDir(path, parent)
		err = syncDir(parent)
	}
	if err != nil {
		return failed(attempt, path, err, needWrite)
	}
	return nil
}

// DeadLink returns an [ErrDeadLink] that names the link by which a path leads
// nowhere, the path itself or one above it, and nil if there is none.
func DeadLink(path string) error {
	path = filepath.Clean(path) // with a slash at its end, a link is followed
	for {
		target, err := os.Readlink(path)
		switch _, statErr := os.Stat(path); {
		case statErr == nil:
			return nil
		case err == nil && errors.Is(statErr, fs.ErrNotExist):
			return fmt.Errorf("%s is a link to %s, which %w", path, target, ErrDeadLink)
		case path == filepath.Dir(path):
			return nil
		}
		path = filepath.Dir(path)
	}
}

// Closed returns an [ErrClosed] that names the directory above a path that
// nobody may enter, and nil if there is none. A unit of systemd can have its
// processes see a directory so, which is open to everybody else.
func Closed(path string) error {
	for dir := filepath.Dir(path); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && info.Mode().Perm() == 0 {
			return fmt.Errorf("%s %w", dir, ErrClosed)
		}
	}
	return nil
}

func inheritDir(path, parent string) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return
	}
	defer f.Close()
	inherit(f, func() (fs.FileInfo, error) { return os.Stat(parent) }, dirMode)
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return nil // a directory that may be written but not read cannot be synced
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return syncEntries(f)
}
