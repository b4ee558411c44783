package hostlocal

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// noLink keeps an open from following a symbolic link and from blocking on a FIFO. Any member of the group may put either
// into the directory, and a link could lead to a file that only the bot or root may write.
const noLink = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// inherit gives a new file the owner and group of its directory, and the group the rights that it has on the directory.
// Then a command that root or another member of the group runs does not lock the others out. What this user may not change
// stays as it is; `adfbot check` reports it.
func inherit(f *os.File) {
	parent, err := os.Stat(filepath.Dir(f.Name()))
	if err != nil {
		return
	}
	if st, ok := parent.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		_ = f.Chown(int(st.Uid), int(st.Gid))
	}
	info, err := f.Stat()
	if err != nil {
		return
	}
	mode := info.Mode().Perm() & 0o700
	if parent.Mode().Perm()&0o020 != 0 {
		mode |= mode >> 3
	}
	if info.IsDir() {
		mode |= parent.Mode() & fs.ModeSetgid
	}
	_ = f.Chmod(mode)
}
