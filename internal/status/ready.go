package status

import (
	"context"
	"errors"

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

// Ready checks the pause directory, the state and the age of the last sweep. It does not ask Gitea: the warnings repeat
// what the last sweep found.
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
			ready.Warnings = append(ready.Warnings, last.problem(e))
		}
	}
	if spooled, err := r.from.Spool.List(); err != nil {
		ready.Warnings = append(ready.Warnings, err.Error())
	} else if n := hostlocal.Waiting(spooled); n > 0 {
		ready.Warnings = append(ready.Warnings,
			text.Plural(n, "result")+" still in the spool; the next sweep records what is there")
	}
	return ready
}

func (r *Reader) pauseDirWritable(ctx context.Context) error {
	if err := r.from.Reconciler.CheckPause(ctx); err != nil {
		return r.AdviseRestore(ctx, err)
	}
	return Installation(r.from.Config).DirWritable(r.from.Reconciler.Dir().Path())
}
