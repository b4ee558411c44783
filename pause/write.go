package pause

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
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
	if err := CheckID(id); err != nil {
		return false, err
	}
	const attempt = "write the pause flag"
	root, err := d.openOrCreate()
	if err != nil {
		return false, fmt.Errorf("%s %s: %w", attempt, d.FlagPath(id), err)
	}
	defer root.Close()

	created, err = createFile(root, id, []byte(note))
	if isFull(err) && !created {
		if created, err = claim(root, id); err == nil {
			err = syncRoot(root)
		}
	}
	if err != nil {
		return created, failed(attempt, d.FlagPath(id), err, needWrite)
	}
	return created, nil
}

// createFile writes a new file durably: it is complete or missing, and on disk
// when createFile returns. It leaves an existing entry of that name unchanged.
func createFile(root *os.Root, name string, content []byte) (created bool, err error) {
	if _, err := root.Lstat(name); err == nil {
		// Whoever created it may have died before syncing.
		return false, syncRoot(root)
	}
	temp, err := writeTemp(root, content, fileMode)
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
	if err != nil {
		return created, err
	}
	return created, syncRoot(root)
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
