package pause

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	tempPrefix = ".tmp-"
	tempMaxAge = time.Hour // older temporary files are left over from a crash
	fileMode   = 0o644

	// cheap does nothing to regular files and directories, but package os opens
	// them with four system calls less.
	cheap = syscall.O_NONBLOCK
)

// WriteFileDurable writes a file in the directory root, replacing any file or
// link of that name, which must not be a path. After a crash or power failure
// the file is either the old or the new one, complete; when WriteFileDurable
// returns nil, the new one is on disk.
//
// The file gets exactly the permissions perm, whatever the umask. If root writes
// it, it gets the owner and group of the directory, and the group of a directory
// that its group may write in any case. A process that dies on the way leaves a
// temporary file, see [RemoveOldTemps].
func WriteFileDurable(root *os.Root, name string, content []byte, perm fs.FileMode) error {
	err := replaceFile(root, name, content, perm, noTime)
	if err == nil {
		err = syncRoot(root)
	}
	if err != nil {
		return failed("write", filepath.Join(root.Name(), name), err, needWrite)
	}
	return nil
}

// RemoveOldTemps removes the temporary files that crashed writers left in the
// directory, [WriteFileDurable] among them, once they are an hour old. A younger
// one may belong to a live writer. Errors are ignored: the next call tries again.
// It lists the whole directory, so call it now and then, not for each file.
func RemoveOldTemps(root *os.Root) {
	names, _ := entries(root)
	for _, name := range names {
		if !strings.HasPrefix(name, tempPrefix) {
			continue
		}
		fi, err := root.Lstat(name)
		if err == nil && fi.Mode().IsRegular() && time.Since(fi.ModTime()) > tempMaxAge {
			_ = root.Remove(name)
		}
	}
}

// noTime leaves a file the modification time that it has.
var noTime time.Time

// replaceFile writes a complete file and gives it its name. The caller syncs the
// directory.
func replaceFile(root *os.Root, name string, content []byte, perm fs.FileMode, at time.Time) error {
	temp, err := writeTemp(root, content, perm, at)
	if err != nil {
		return err
	}
	if err := step("rename", func() error { return root.Rename(temp, name) }); err != nil {
		_ = root.Remove(temp)
		return err
	}
	return nil
}

// writeTemp writes a synced temporary file and returns its name. Its modification
// time is at, unless that is zero. After an error there is no file.
func writeTemp(root *os.Root, content []byte, perm fs.FileMode, at time.Time) (name string, err error) {
	name = tempPrefix + NewRandomID()
	var f *os.File
	err = step("temp", func() error { f, err = newFile(root, name, perm); return err })
	if err != nil {
		return "", err
	}
	err = step("content", func() error { _, err := f.Write(content); return err })
	if err == nil && !at.IsZero() {
		err = step("time", func() error { return root.Chtimes(name, at, at) })
	}
	if err == nil {
		err = step("sync", f.Sync)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = root.Remove(name)
		return "", err
	}
	return name, nil
}

// newFile creates a file. It fails if there is an entry of that name.
func newFile(root *os.Root, name string, perm fs.FileMode) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|cheap, perm)
	if err == nil {
		inherit(f, func() (fs.FileInfo, error) { return root.Stat(".") }, perm)
	}
	return f, err
}

// fault is set by tests, to fail or kill the process before a step.
var fault = func(step string) error { return nil }

// step runs one step that reaches the disk.
func step(name string, do func() error) error {
	if err := fault(name); err != nil {
		return err
	}
	return do()
}

// syncRoot writes the directory's list of entries to disk.
func syncRoot(root *os.Root) error {
	return step("syncdir", func() error {
		f, err := root.OpenFile(".", os.O_RDONLY|cheap, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		return syncEntries(f)
	})
}

func syncEntries(dir *os.File) error {
	err := dir.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil // this file system cannot sync directories and need not
	}
	return err
}

func entries(root *os.Root) ([]string, error) {
	f, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// inherit gives a new file or directory at least the permissions perm, whatever
// the umask, and, if root created it, the owner and group of its parent. In a
// parent that its group may write, it gets that group also without the setgid bit.
// Errors are ignored.
func inherit(f *os.File, parent func() (fs.FileInfo, error), perm fs.FileMode) {
	fi, err := f.Stat()
	if err == nil && fi.Mode().Perm()&perm != perm {
		_ = f.Chmod(fi.Mode()&^fs.ModeType | perm)
	}
	if err != nil {
		return
	}
	own := fi.Sys().(*syscall.Stat_t)
	if fi, err = parent(); err != nil {
		return
	}
	switch st := fi.Sys().(*syscall.Stat_t); {
	case own.Uid == 0 && (st.Uid != own.Uid || st.Gid != own.Gid):
		_ = f.Chown(int(st.Uid), int(st.Gid))
	case own.Uid != 0 && st.Gid != own.Gid && fi.Mode()&0o020 != 0:
		_ = f.Chown(-1, int(st.Gid))
	}
}
