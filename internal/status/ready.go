package status

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/text"
)

// Readiness reports whether the daemon can do its work: the answer of /readyz.
type Readiness struct {
	Ready    bool     `json:"ready"`
	Checks   []Check  `json:"checks"`
	Warnings []string `json:"warnings"` // what stops neither counting nor pausing
}

// Check is one condition of readiness.
type Check struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

// Ready checks the pause directory, the state and the age of the last sweep. It does not ask Gitea: the warnings repeat what the
// last sweep found.
func (r *Reader) Ready(ctx context.Context) Readiness {
	ready := Readiness{Ready: true, Checks: []Check{}, Warnings: []string{}}
	add := func(name string, err error) {
		c := Check{Name: name, OK: err == nil}
		if err != nil {
			c.Error, ready.Ready = err.Error(), false
		}
		ready.Checks = append(ready.Checks, c)
	}
	add("pause_dir", r.pauseDirWritable(ctx))
	add("state", r.from.State.Writable(ctx))
	last, ok, err := r.LastSweep(ctx)
	switch {
	case err != nil:
	case !ok:
		err = errors.New("no sweep has ended yet")
	default:
		err = r.overdue(last.At, r.from.Now())
	}
	add("sweep", err)
	off := r.from.Reconciler.TrackerError()
	if off != nil {
		ready.Warnings = append(ready.Warnings, off.Error())
	}
	for _, e := range last.Errors {
		if off == nil || e != off.Error() {
			ready.Warnings = append(ready.Warnings, "last sweep: "+e)
		}
	}
	if spooled, err := r.from.Spool.List(); err != nil {
		ready.Warnings = append(ready.Warnings, err.Error())
	} else if len(spooled) > 0 {
		ready.Warnings = append(ready.Warnings,
			text.Plural(len(spooled), "result")+" still in the spool; the next sweep records what is there")
	}
	return ready
}

func (r *Reader) pauseDirWritable(ctx context.Context) error {
	if err := r.from.Reconciler.CheckPause(); err != nil {
		return r.AdviseRestore(ctx, err)
	}
	return DirWritable(r.from.Reconciler.Dir().Path())
}

// DirWritable returns why this user cannot write to a directory.
func DirWritable(path string) error {
	if why := cmp.Or(NotWritable(path), hostlocal.DiskProblem(path, 1)); why != "" {
		return errors.New(path + ": " + why)
	}
	return nil
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
