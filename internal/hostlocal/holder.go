package hostlocal

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// holder finds the process that holds the lock of the byte at an offset of an open file. The kernel gives no process id
// for such a lock (F_OFD_GETLK says -1), but lists it with the holder's descriptor in /proc/<pid>/fdinfo. Without root only the
// caller's own processes are visible there. The pid is 0 if the holder is not found or has just released the lock.
func holder(fd int, at int64) (pid int, command string) {
	var file unix.Stat_t
	if unix.Fstat(fd, &file) != nil {
		return 0, ""
	}
	descriptors, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, path := range descriptors {
		// The name is compared first, since stat could block on another file, for example on a dead network mount.
		if to, err := os.Readlink(path); err != nil || !strings.HasPrefix(filepath.Base(to), "locks") {
			continue
		}
		var st unix.Stat_t
		if unix.Stat(path, &st) != nil || st.Dev != file.Dev || st.Ino != file.Ino {
			continue
		}
		process := filepath.Dir(filepath.Dir(path))
		info, err := os.ReadFile(filepath.Join(process, "fdinfo", filepath.Base(path)))
		if err != nil || !showsLock(string(info), at) {
			continue
		}
		pid, _ = strconv.Atoi(filepath.Base(process))
		name, _ := os.ReadFile(filepath.Join(process, "comm"))
		return pid, strings.TrimSpace(string(name))
	}
	return 0, ""
}

// showsLock reports whether the text of a /proc/<pid>/fdinfo file, see proc(5), has a lock of the byte:
//
//	lock:	1: OFDLCK ADVISORY  WRITE -1 fe:00:9977938 4611 4611
func showsLock(fdinfo string, at int64) bool {
	for line := range strings.Lines(fdinfo) {
		f := strings.Fields(line)
		if len(f) == 9 && f[0] == "lock:" && f[2] == "OFDLCK" && f[7] == f[8] && f[7] == strconv.FormatInt(at, 10) {
			return true
		}
	}
	return false
}
