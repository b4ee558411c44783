package pause

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// Remove resumes the project by removing its flag, and reports whether this call
// removed it. A missing flag is not an error; a missing directory is. If the
// error is nil, the removal is on disk, no matter who removed the flag. If the
// error is not nil and removed is true, the flag is gone but may come back
// after a power failure.
//
// Remove does not remove a directory of that name, not even an empty one. The
// error is then [syscall.EISDIR].
func (d Dir) Remove(id string) (removed bool, err error) {
	if err := CheckID(id); err != nil {
		return false, err
	}
	f, err := d.Open()
	if err != nil {
		return false, fmt.Errorf("%s %s: %w", removeFlag, d.FlagPath(id), err)
	}
	defer f.Close()
	return f.Remove(id)
}

const removeFlag = "remove the pause flag"

// Remove is [Dir.Remove].
func (f *Folder) Remove(id string) (removed bool, err error) {
	if err := CheckID(id); err != nil {
		return false, err
	}
	path, root := f.dir.FlagPath(id), f.root
	entry, err := root.Lstat(id)
	if err == nil && entry.IsDir() {
		return false, fmt.Errorf("%s %s: %w, not a file; find out what it is for, then, after umount %[2]s "+
			"if something is mounted there, remove it: rm -r %[2]s", removeFlag, path, syscall.EISDIR)
	}
	if err == nil {
		err = step("remove", func() error { return root.Remove(id) })
		removed = err == nil
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		// Sync also if the flag was gone: whoever removed it may have died
		// before syncing.
		err = f.syncDir()
	}
	if err != nil {
		return removed, failed(removeFlag, path, err, needWrite)
	}
	return removed, nil
}
