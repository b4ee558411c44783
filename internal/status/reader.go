package status

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/store"
)

// Reader reads what people are shown. It is safe for concurrent use.
type Reader struct{ from Sources }

// Sources are what a [Reader] reads.
type Sources struct {
	Config     *config.Config
	State      store.State
	Spool      hostlocal.Spool
	Reconciler *escalate.Reconciler // for the pause flags, and why Gitea can't be asked
	Redactor   *redact.Redactor     // for what is shown in Gitea
	Now        func() time.Time
	TokenErr   error // why this process can't read the token of Gitea
}

// NewReader returns a reader of s.
func NewReader(s Sources) *Reader { return &Reader{s} }

// Knows reports whether the state or the pause directory holds something unfinished of a project, which may have left the
// configuration.
func (r *Reader) Knows(ctx context.Context, project string) (bool, error) {
	open, err := r.from.State.Unsettled(ctx, project)
	if err != nil || len(open) > 0 {
		return len(open) > 0, err
	}
	if h, err := r.from.State.Hold(ctx, project); err != nil || h != nil {
		return h != nil, err
	}
	return r.from.Reconciler.Look(ctx, project).State == incident.FlagThere, nil
}

// CheckKnown is [config.Config.CheckProject], but accepts a project that [Reader.Knows].
func (r *Reader) CheckKnown(ctx context.Context, project string) error {
	err := r.from.Config.CheckProject(project)
	if _, unknown := errors.AsType[*config.UnknownProjectError](err); !unknown {
		return err
	}
	known, err2 := r.Knows(ctx, project)
	switch {
	case err2 != nil:
		return err2
	case known:
		return nil
	}
	return err
}

// Incidents returns a page of incidents, the newest first, and whether more of them follow.
func (r *Reader) Incidents(ctx context.Context, f store.IncidentFilter) (list []incident.Incident, more bool, err error) {
	want := f.Limit
	f.Limit++
	list, err = r.from.State.IncidentPage(ctx, f)
	if len(list) > want {
		list, more = list[:want], true
	}
	return list, more, err
}

// StateFile returns the file of the open state. os.SameFile reports whether two states are one.
func (r *Reader) StateFile() os.FileInfo { return r.from.State.File() }

// LastResult returns the position of the newest result, for [Reader.CountSince].
func (r *Reader) LastResult(ctx context.Context) (int64, error) {
	return r.from.State.LastResult(ctx)
}

// CountSince counts results after a position, whichever process recorded them, and returns the position that it has reached:
// it counts some at a time, and none where there are no more.
func (r *Reader) CountSince(ctx context.Context, after int64) ([]store.OutcomeCount, int64, error) {
	return r.from.State.CountSince(ctx, after, countAtOnce)
}

// countAtOnce limits how long a count occupies the only connection to the state, and how much memory SQLite takes to sort,
// which it keeps.
const countAtOnce = 1_000
