package pause

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"time"
)

const (
	tempPrefix = ".tmp-"
	tempMaxAge = time.Hour // older ones were left behind by a crash
	fileMode   = 0o644
)

// Write pauses the project: it makes its flag, with the note as its content,
// and reports whether it was this call that did. A flag that exists, also as a
// link that leads nowhere, is left as it is; that is no error.
// A missing directory is made, with its parents; the sentinel is not
// ([Dir.Init] does that).
//
// When it returns without an error the flag is on disk, whoever made it. With
// an error and created true the flag exists and pauses the project, but might not
// survive a power failure; calling again is safe and makes up for it.
//
// Where the disk or the quota is full, the flag is made without the note if
// an empty file still finds room.
func (d Dir) Write(id, note string) (created bool, err error) {
	if err := CheckID(id); err != nil {
		return false, err
	}
	root, err := d.openOrMake()
	if err != nil {
		return false, fmt.Errorf("write the pause flag %s: %w", d.FlagPath(id), err)
	}
	defer root.Close()

	created, err = publish(root, id, note)
	if full(err) && !created {
		created, err = publishEmpty(root, id)
	}
	if err != nil {
		return created, failed("write the pause flag", d.FlagPath(id), err, toWrite)
	}
	return created, nil
}

// publish puts a file of this name and content in the directory, unless there
// is an entry of that name: complete or not at all, and on disk when it returns.
func publish(root *os.Root, name, content string) (created bool, err error) {
	if _, err := root.Lstat(name); err == nil {
		// Its writer may have died before its last step, so do that here.
		return false, syncRoot(root)
	}
	removeOldTemps(root)
	temp, err := writeTemp(root, content)
	if err != nil {
		return false, err
	}
	err = step("link", func() error { return root.Link(temp, name) })
	switch {
	case err == nil:
		created = true
	case errors.Is(err, fs.ErrExist):
		err = nil // another writer was first
	case noLinks(err):
		created, err = publishByRename(root, temp, name)
	}
	// Should this fail, the file is gone in an hour.
	_ = step("unlink", func() error { return root.Remove(temp) })
	if err != nil {
		return created, err
	}
	return created, syncRoot(root)
}

// publishByRename is for file systems without hard links. A rename would
// replace what is there, so an empty file takes the name first; the first
// writer still wins, but for a moment its file is empty.
func publishByRename(root *os.Root, temp, name string) (created bool, err error) {
	created, err = claim(root, name)
	if created && err == nil {
		err = step("rename", func() error { return root.Rename(temp, name) })
	}
	return created, err
}

// publishEmpty is publish for a disk without room for a note.
func publishEmpty(root *os.Root, name string) (created bool, err error) {
	created, err = claim(root, name)
	if err != nil {
		return created, err
	}
	return created, syncRoot(root)
}

// claim makes an empty file, unless there is an entry of that name.
func claim(root *os.Root, name string) (created bool, err error) {
	var f *os.File
	err = step("claim", func() error {
		f, err = root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
		return err
	})
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	adoptIn(root, f)
	return true, f.Sync()
}

// writeTemp makes a temporary file with the content, on disk and closed, and
// returns its name. On an error there is none.
func writeTemp(root *os.Root, content string) (name string, err error) {
	name = fmt.Sprintf("%s%016x", tempPrefix, rand.Uint64())
	var f *os.File
	err = step("temp", func() error {
		f, err = root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
		return err
	})
	if err != nil {
		return "", err
	}
	adoptIn(root, f)
	err = step("content", func() error { _, err := f.WriteString(content); return err })
	if err == nil {
		err = step("sync", f.Sync)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = root.Remove(name)
		return "", err
	}
	return name, nil
}

// removeOldTemps removes what crashed writers have left. A younger temporary
// file may belong to a writer that is at it.
func removeOldTemps(root *os.Root) {
	names, _ := entries(root) // the next writer tries again
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

// full: there is no room on the disk or in the quota.
func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// noLinks: the file system may not know hard links. It is EPERM on Linux
// for most of them.
func noLinks(err error) bool {
	for _, e := range []error{syscall.EPERM, syscall.ENOTSUP, syscall.EOPNOTSUPP, syscall.ENOSYS} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
