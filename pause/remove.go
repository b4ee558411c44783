package pause

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// Remove takes the project's flag away, which resumes it, and reports whether it
// was this call that did. A flag that is not there is no error; a missing
// directory is. When it returns without an error the removal is on disk,
// whoever made it. With an error and removed true the flag is gone, but might
// come back after a power failure.
//
// A directory of that name is not removed, empty or not: the error, which is
// [syscall.EISDIR], says so.
func (d Dir) Remove(id string) (removed bool, err error) {
	if err := CheckID(id); err != nil {
		return false, err
	}
	root, err := d.open()
	if err != nil {
		return false, fmt.Errorf("remove the pause flag %s: %w", d.FlagPath(id), err)
	}
	defer root.Close()

	entry, err := root.Lstat(id)
	if err == nil && entry.IsDir() {
		return false, fmt.Errorf("remove the pause flag %s: %w and no flag file; see what it is there for, then remove it by hand: rm -r %[1]s",
			d.FlagPath(id), syscall.EISDIR)
	}
	if err == nil {
		err = step("remove", func() error { return root.Remove(id) })
		removed = err == nil
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		// Also when it was gone: who removed it may have died before this.
		err = syncRoot(root)
	}
	if err != nil {
		return removed, failed("remove the pause flag", d.FlagPath(id), err, toWrite)
	}
	return removed, nil
}
