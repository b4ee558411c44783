package pause

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// Write pauses the project: it creates its flag with note as the content, and
// reports whether this call created it. It leaves an existing flag unchanged,
// even a dangling link; that is not an error. Write creates a missing directory
// and its parents, but not the sentinel, see [Dir.Init].
//
// If the error is nil, the flag is on disk, no matter who created it. If the
// error is not nil and created is true, the flag exists and pauses the project
// but may not survive a power failure; calling Write again is safe and repairs
// that.
//
// If the disk or quota is full, Write creates the flag without the note,
// provided that there is room for an empty file.
func (d Dir) Write(id, note string) (created bool, err error) {
	return d.WriteAt(id, note, time.Time{})
}

// WriteAt is [Dir.Write]. The flag gets the modification time at before it gets
// its name, unless at is zero.
func (d Dir) WriteAt(id, note string, at time.Time) (created bool, err error) {
	if err := CheckID(id); err != nil {
		return false, err
	}
	f, err := d.openOrCreate()
	if err != nil {
		return false, fmt.Errorf("%s %s: %w", writeFlag, d.FlagPath(id), err)
	}
	defer f.Close()
	return f.Write(id, note, at)
}

const writeFlag = "write the pause flag"

// Write is [Dir.WriteAt] for a directory that exists.
func (f *Folder) Write(id, note string, at time.Time) (created bool, err error) {
	if err := CheckID(id); err != nil {
		return false, err
	}
	created, err = createFile(f.root, id, []byte(note), at)
	if IsFull(err) && !created {
		created, err = claim(f.root, id)
	}
	if err == nil {
		err = f.syncDir() // also what somebody else created, who may have died before syncing
	}
	if err != nil {
		return created, failed(writeFlag, f.dir.FlagPath(id), err, needWrite)
	}
	return created, nil
}

// Replace writes a flag in place of the existing one: there is a flag at any
// moment. After a crash or power failure it is the old or the new one, complete;
// if the error is nil, the new one is on disk. Like [Dir.Remove], it replaces no
// directory.
func (f *Folder) Replace(id, note string, at time.Time) error {
	if err := CheckID(id); err != nil {
		return err
	}
	err := replaceFile(f.root, id, []byte(note), fileMode, at)
	if err == nil {
		err = f.syncDir()
	}
	if err != nil {
		return failed("replace the pause flag", f.dir.FlagPath(id), err, needWrite)
	}
	return nil
}

// Sync writes a flag that somebody has made to disk, so that it is still there
// after a power failure. A flag that cannot be opened has its name synced.
func (f *Folder) Sync(id string) error {
	if err := CheckID(id); err != nil {
		return err
	}
	err := step("syncflag", func() error {
		file, err := f.root.OpenFile(id, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
		if err != nil {
			return nil // a link, or not readable
		}
		defer file.Close()
		return syncEntries(file)
	})
	if err == nil {
		err = f.syncDir()
	}
	if err != nil {
		return failed("sync the pause flag", f.dir.FlagPath(id), err, needRead)
	}
	return nil
}

// createFile writes a new file, which is complete or missing, also after a crash.
// It leaves an existing entry of that name unchanged. The caller syncs the
// directory.
func createFile(root *os.Root, name string, content []byte, at time.Time) (created bool, err error) {
	if _, err := root.Lstat(name); err == nil {
		return false, nil
	}
	temp, err := writeTemp(root, content, fileMode, at)
	if err != nil {
		return false, err
	}
	err = step("link", func() error { return root.Link(temp, name) })
	switch {
	case err == nil:
		created = true
	case errors.Is(err, fs.ErrExist):
		err = nil // another writer was first
	case isNoLinks(err):
		// A rename would replace the file of another writer, so an empty file
		// takes the name first.
		if created, err = claim(root, name); created && err == nil {
			err = step("rename", func() error { return root.Rename(temp, name) })
		}
	}
	// If this fails, RemoveOldTemps removes the file later.
	_ = step("unlink", func() error { return root.Remove(temp) })
	return created, err
}

// claim creates an empty file unless there is an entry of that name.
func claim(root *os.Root, name string) (created bool, err error) {
	var f *os.File
	err = step("claim", func() error { f, err = newFile(root, name, fileMode); return err })
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	return true, f.Sync()
}

// isNoLinks reports whether err may mean that the file system has no hard
// links. On Linux most such file systems return EPERM.
func isNoLinks(err error) bool {
	return errors.Is(err, syscall.EPERM) || errors.Is(err, errors.ErrUnsupported)
}
