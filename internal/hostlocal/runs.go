package hostlocal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/terraphim/adfbot/internal/store"
)

const runSuffix = ".lock"

// LockRun creates and locks the file of a run, which shows other processes that this one lives. release removes the file and
// unlocks it; it is called once the result of the run is recorded or spooled.
func (d *Dir) LockRun(id string) (release func(), err error) {
	unlock, err := d.lockRun(id, os.O_CREATE)
	if err != nil {
		return nil, store.FileError(d.path, err)
	}
	return func() { d.RemoveRun(id); unlock() }, nil
}

// RemoveRun removes the file of a run that is gone.
func (d *Dir) RemoveRun(id string) {
	if folder, err := openFolder(d.folder("runs")); err == nil {
		_ = folder.Remove(id + runSuffix)
		_ = folder.Close()
	}
}

// HasRun reports whether the file of a run is there: it is from before the state knows the run until its result is recorded or spooled.
// A state that knows a run without a file is older than the directory: it was copied while the run went on, and put back later.
func (d *Dir) HasRun(id string) bool {
	folder, err := openFolder(d.folder("runs"))
	if err != nil {
		return true // nobody knows
	}
	defer func() { _ = folder.Close() }()
	_, err = folder.Lstat(id + runSuffix)
	return !errors.Is(err, fs.ErrNotExist)
}

// lockRun locks the file of a run. It does not wait.
func (d *Dir) lockRun(id string, create int) (unlock func(), err error) {
	folder, err := openFolder(d.folder("runs"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = folder.Close() }()
	f, err := folder.OpenFile(id+runSuffix, create|os.O_RDWR|noLink, 0o600)
	if err != nil {
		return nil, err
	}
	inherit(f)
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, &fs.PathError{Op: "lock", Path: f.Name(), Err: err}
	}
	return func() { _ = f.Close() }, nil
}

// Gone reports whether a run can have no result any more, because both the process that would record it and the process of
// its command are gone. The lock shows that across containers too, where process ids mean nothing.
func (d *Dir) Gone(r store.Run) bool {
	if d.HasRun(r.ID) {
		unlock, err := d.lockRun(r.ID, 0)
		if err != nil {
			return false
		}
		defer unlock()
	}
	start, err := ProcessStart(r.ChildPID)
	return err != nil || start != r.ChildStart
}

// ProcessStart returns what distinguishes a process that lives from a later one with the same pid: the boot id of the
// machine and the start time of the process, field 22 of /proc/<pid>/stat in proc(5).
func ProcessStart(pid int) (string, error) {
	if pid <= 0 {
		return "", os.ErrNotExist
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	// The name, in parentheses, may hold anything.
	_, rest, _ := strings.Cut(string(b[strings.LastIndexByte(string(b), ')')+1:]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 20 || fields[0] == "Z" {
		return "", os.ErrNotExist
	}
	boot, _ := bootID()
	return boot + "/" + fields[19], nil
}

// bootID returns the id of this boot of the machine.
func bootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id)), err
}
