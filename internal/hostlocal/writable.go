package hostlocal

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// DirWritable returns why this user cannot write to a directory.
func DirWritable(path string) error {
	if why := cmp.Or(NotWritable(path), DiskProblem(path, 1)); why != "" {
		return errors.New(path + ": " + why)
	}
	return nil
}

// NotCreatable returns why this user may not create a path, with the fix, or "": it must be able to write the nearest
// directory that exists.
func NotCreatable(path string) string {
	for {
		if _, err := os.Stat(path); err == nil || path == filepath.Dir(path) {
			return NotWritable(path)
		}
		path = filepath.Dir(path)
	}
}

// NotWritable returns why this user may not write a file or directory, with the fix; "" if they may or it is missing.
func NotWritable(path string) string {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	if err != nil {
		return err.Error()
	}
	const rw, rwx = 6, 7
	mode := uint32(rw)
	if info.IsDir() {
		mode = rwx
	}
	err = syscall.Access(path, mode)
	switch {
	case err == nil:
		return ""
	case errors.Is(err, syscall.EROFS):
		return "its file system is read-only"
	}
	st, _ := info.Sys().(*syscall.Stat_t)
	me, _ := user.Current()
	name := strconv.Itoa(os.Geteuid())
	if me != nil {
		name = me.Username
	}
	return fmt.Sprintf("%s may not write it (%s, owner %d:%d): run chown %s %s, or let its group write it with chmod g+rwX %s",
		name, info.Mode(), st.Uid, st.Gid, name, path, path)
}
