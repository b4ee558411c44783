package bot

import (
	"cmp"
	"context"

	"github.com/terraphim/adfbot/internal/hostlocal"
)

// Readiness is whether the daemon can do its work.
type Readiness struct {
	Ready    bool        `json:"ready"`
	Checks   []ReadyItem `json:"checks"`
	Warnings []string    `json:"warnings"` // what is wrong, and keeps no result from being counted and no flag from being written
}

// ReadyItem is one thing that has to be in order.
type ReadyItem struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

// Ready looks at pause directory, sentinel, state and the age of the last sweep. It makes no request: what the last sweep
// had to say about Gitea is among the warnings.
func (b *Bot) Ready(ctx context.Context) Readiness {
	r := Readiness{Ready: true, Checks: []ReadyItem{}, Warnings: []string{}}
	add := func(name, what string) {
		r.Checks = append(r.Checks, ReadyItem{Name: name, OK: what == "", Error: what})
		r.Ready = r.Ready && what == ""
	}
	text := func(err error) string {
		if err == nil {
			return ""
		}
		return err.Error()
	}
	what := text(b.Explain(ctx, b.rec.CheckPause()))
	if what == "" {
		path := b.rec.Dir().Path()
		if what = cmp.Or(notWritable(path), hostlocal.DiskProblem(path, 1)); what != "" {
			what = path + ": " + what
		}
	}
	add("pause_dir", what)
	add("state", text(b.store.Writable(ctx)))
	last, ok, err := b.LastSweep(ctx)
	switch {
	case err != nil:
		add("sweep", err.Error())
	case !ok:
		add("sweep", "no sweep has ended yet")
	default:
		add("sweep", b.overdue(last.At, b.now()))
	}
	if b.rec.TrackerError() != nil {
		r.Warnings = append(r.Warnings, b.rec.TrackerError().Error())
	}
	for _, e := range last.Errors {
		if b.rec.TrackerError() == nil || e != b.rec.TrackerError().Error() {
			r.Warnings = append(r.Warnings, "last sweep: "+e)
		}
	}
	if spooled, err := b.local.Spool().List(); err != nil {
		r.Warnings = append(r.Warnings, err.Error())
	} else if len(spooled) > 0 {
		r.Warnings = append(r.Warnings, plural(len(spooled), "result")+" still in the spool; the next sweep stores what is there")
	}
	return r
}
