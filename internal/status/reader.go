package status

import (
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/store"
)

// Reader reads what users are shown. It is safe for concurrent use.
type Reader struct {
	from    Sources
	counted tallies
}

// Sources are what a [Reader] reads.
type Sources struct {
	Config     *config.Config
	State      store.State
	Spool      hostlocal.Spool
	Own        hostlocal.OwnSpools  // of the user who runs this process
	Reconciler *escalate.Reconciler // for the pause flags, and why Gitea cannot be asked
	Redactor   *redact.Redactor     // for what is shown in Gitea
	Now        func() time.Time
	TokenErr   error // why this process cannot read the token of Gitea

	Fleet FleetReader // nil: the state has no other host
	Host  string      // id of this host there
}

// NewReader returns a reader of s.
func NewReader(s Sources) *Reader { return &Reader{from: s} }

// HasUnfinished reports whether a project, which may have left the configuration, has an unsettled incident, a hold or
// a flag.
func (r *Reader) HasUnfinished(ctx context.Context, project string) (bool, error) {
	open, err := r.from.State.Unsettled(ctx, project)
	if err != nil || len(open) > 0 {
		return len(open) > 0, err
	}
	if silent, err := r.from.State.Silent(ctx, project); err != nil || len(silent) > 0 {
		return len(silent) > 0, err
	}
	if h, err := r.from.State.Hold(ctx, project); err != nil || h != nil {
		return h != nil, err
	}
	return r.from.Reconciler.Look(ctx, project).State == incident.FlagThere, nil
}

// CheckKnown is [config.Config.CheckProject], but also accepts a project that [Reader.HasUnfinished].
func (r *Reader) CheckKnown(ctx context.Context, project string) error {
	return r.checkProject(ctx, project, r.HasUnfinished)
}

// checkProject is [config.Config.CheckProject], but also accepts an unconfigured project that one of the functions
// knows.
func (r *Reader) checkProject(ctx context.Context, project string, known ...func(context.Context, string) (bool, error)) error {
	err := r.from.Config.CheckProject(project)
	if _, unknown := errors.AsType[*config.UnknownProjectError](err); !unknown {
		return err
	}
	for _, known := range known {
		if ok, readErr := known(ctx, project); ok || readErr != nil {
			return readErr
		}
	}
	return err
}

// ProjectIDs returns the ids of all projects that are configured by their id or, as the state knows them, by a pattern.
func (r *Reader) ProjectIDs(ctx context.Context) ([]string, error) {
	if !r.from.Config.HasPatterns() {
		return r.from.Config.ProjectIDs(nil), nil
	}
	known, err := r.from.State.KnownProjects(ctx)
	return r.from.Config.ProjectIDs(known), err
}

// Incidents returns a page of incidents, the newest first, and whether more follow.
func (r *Reader) Incidents(ctx context.Context, f store.IncidentFilter) (list []incident.Incident, more bool, err error) {
	want := f.Limit
	f.Limit++
	list, err = r.from.State.IncidentPage(ctx, f)
	if len(list) > want {
		list, more = list[:want], true
	}
	if err != nil {
		return list, more, err
	}
	views, err := incident.View(ctx, r.from.State, list)
	return views.List, more, err
}

// CheckRecorded is [config.Config.CheckProject], but also accepts a project that has left the configuration and has a history.
func (r *Reader) CheckRecorded(ctx context.Context, project string) error {
	return r.checkProject(ctx, project, r.HasUnfinished, r.hasHistory)
}

// Named returns the projects that somebody has named by ids and patterns, sorted; nil if names is empty. Those that have left the
// configuration are among them, if something is known of them.
func (r *Reader) Named(ctx context.Context, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	known, err := r.from.State.KnownProjects(ctx)
	if err != nil {
		return nil, err
	}
	ids, errs := []string{}, []error(nil)
	for _, name := range names {
		if !config.IsPattern(name) {
			ids, errs = append(ids, name), append(errs, r.CheckRecorded(ctx, name))
			continue
		}
		s, err := r.from.Config.Select([]string{name}, known)
		before := len(ids)
		ids = append(ids, s.Matched...)
		for _, id := range known {
			if config.Matches(name, id) {
				ids = append(ids, id)
			}
		}
		if _, none := errors.AsType[*config.NoMatchError](err); !none || len(ids) == before {
			errs = append(errs, err)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), errors.Join(errs...)
}

// Runs returns a page of runs, the newest first, and the After of the next page; "" if there is none.
func (r *Reader) Runs(ctx context.Context, f store.RunFilter) (list []ListedRun, next string, err error) {
	runs, before, err := r.from.State.RunPage(ctx, f)
	if before > 0 {
		next = strconv.FormatInt(before, 10)
	}
	list = make([]ListedRun, len(runs))
	for n, run := range runs {
		list[n] = ListedRun{Project: run.Project, Run: NewRun(run), RunID: run.RunID, Recorded: run.Recorded, Output: run.Output}
	}
	return list, next, err
}

// StateFile returns the file of the open state. os.SameFile reports whether two states are the same.
func (r *Reader) StateFile() os.FileInfo { return r.from.State.File() }

// LastResult returns the position of the newest result, for [Reader.CountSince].
func (r *Reader) LastResult(ctx context.Context) (int64, error) {
	return r.from.State.LastResult(ctx)
}

// countLimit bounds how long a count uses one of the connections to the state, and the memory that SQLite takes and keeps
// for it.
const countLimit = 1_000

// CountSince counts some of the results after a position, and returns the position that it has reached. It returns no
// counts once there are no more results.
func (r *Reader) CountSince(ctx context.Context, after int64) ([]store.OutcomeCount, int64, error) {
	return r.from.State.CountSince(ctx, after, countLimit)
}
