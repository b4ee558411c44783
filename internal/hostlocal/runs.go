package hostlocal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
)

const (
	runSuffix  = ".lock"
	runMaxSize = 4 << 10
)

// LockRun creates and locks the file of a run, which shows other processes that this one lives. The settings of its project are in it, see
// [Dir.RunSettings]; without room on the disk they are not. release removes the file and unlocks it; it is called once the result of the
// run is recorded or spooled.
func (d *Dir) LockRun(id string, project store.Settings) (release func(), err error) {
	f, err := d.lockRun(id, os.O_CREATE)
	if err != nil {
		return nil, store.FileError(d.path, err)
	}
	if doc, err := json.Marshal(project); err == nil {
		_, _ = f.Write(doc)
	}
	return func() { d.RemoveRun(id); _ = f.Close() }, nil
}

// RunSettings returns the settings of a run's project by the configuration with which the run began, for whoever finds it gone and has another
// one. They are zero if they are not known, as for a run of another host.
func (d *Dir) RunSettings(id string) store.Settings {
	folder, err := openFolder(d.folder("runs"))
	if err != nil {
		return store.Settings{}
	}
	defer func() { _ = folder.Close() }()
	f, err := folder.OpenFile(id+runSuffix, os.O_RDONLY|noLink, 0)
	if err != nil {
		return store.Settings{}
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() { // a FIFO might keep its reader waiting
		return store.Settings{}
	}
	var s store.Settings
	if json.NewDecoder(io.LimitReader(f, runMaxSize)).Decode(&s) != nil || s.Threshold < 1 || s.Resume < 1 {
		return store.Settings{}
	}
	return s
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
func (d *Dir) lockRun(id string, create int) (*os.File, error) {
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
	return f, nil
}

// Gone reports whether a run can have no result any more, because both the process that would record it and the process of
// its command are gone. The lock shows that across containers too, where process ids mean nothing.
func (d *Dir) Gone(r store.Run) bool {
	if d.HasRun(r.ID) {
		f, err := d.lockRun(r.ID, 0)
		if err != nil {
			return false
		}
		defer func() { _ = f.Close() }()
	}
	start, err := ProcessStart(r.ChildPID)
	return err != nil || start != r.ChildStart
}

// CheckRun returns why this user cannot tell whether a run goes on, with the fix: its file may not be opened. [Dir.Gone] takes it for one that does.
func (d *Dir) CheckRun(r store.Run) error {
	runs := d.folder("runs")
	file, fix := filepath.Join(runs, r.ID+runSuffix), "see `adfbot check`"
	folder, err := openFolder(runs)
	if err == nil {
		defer func() { _ = folder.Close() }()
		var f *os.File
		if f, err = folder.OpenFile(r.ID+runSuffix, os.O_RDWR|noLink, 0); err == nil {
			return f.Close()
		}
		fix = fmt.Sprintf("run chown -R --reference=%s %[1]s as root", text.ShellQuote(runs))
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("cannot tell whether a run of %s goes on, so it is taken for one that does: open %s: %w: %s", r.Project, file, syscall.EACCES, fix)
	}
	return nil
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
