package store

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
)

// State is everything that one installation of the bot keeps. The package comment says what all methods have in common.
type State interface {
	incident.IncidentReader
	incident.IncidentWriter
	incident.SilentStore
	incident.HoldStore
	incident.StopStore
	incident.FlagStore
	incident.TrackerCache
	incident.OperatorStore
	incident.CommandStore
	incident.CommentCursor
	Recorder
	ProjectStore
	RunStore
	HistoryReader
	ResultLog
	IncidentLister
	MetaStore
	Health
	io.Closer
}

// Recorder records results.
type Recorder interface {
	// Record stores a result and moves the breaker of its project. If that trips it, the incident is stored with the
	// result, and Answer.Opened is it. A result whose run id is known changes nothing: it gets its first answer again, or
	// [ErrConflict] if its outcome is another one.
	Record(ctx context.Context, r Result, l Limits) (Answer, error)

	// RecordIfIdle is Record for a project without a hold and without an open incident. If the project has one, it
	// stores nothing and idle is false: the caller must first check whether a person has removed the flag.
	RecordIfIdle(ctx context.Context, r Result, l Limits) (a Answer, idle bool, err error)

	// BeginCount begins a project's count again at a time, as a resume does: it ended a pause that the state does not know. It does nothing, and
	// returns false, if the project is paused, or if nothing of before counts any more: it was resumed since, or a run that ended since succeeded.
	BeginCount(ctx context.Context, project string, at time.Time) (bool, error)
}

// ProjectStore keeps which projects are known: those that a result, a run, a hold, an incident or a resume was ever stored of. None is
// ever forgotten.
type ProjectStore interface {
	// KnownProjects returns their ids, sorted.
	KnownProjects(ctx context.Context) ([]string, error)

	// CountKnown returns how many they are.
	CountKnown(ctx context.Context) (int, error)

	// MakeKnown makes projects known of which nothing else is stored. It returns how many were not known.
	MakeKnown(ctx context.Context, projects ...string) (int, error)
}

// RunStore keeps the runs that have begun and have no result.
type RunStore interface {
	// BeginRun stores a run, with the project's generation, before its command starts. It fails with [ErrPaused] if the
	// project has an open incident.
	BeginRun(ctx context.Context, r Run) (Run, error)

	// SetChild stores ChildPID and ChildStart of a run.
	SetChild(ctx context.Context, r Run) error

	// EndRun deletes a run whose result is not to be recorded. Recording a result deletes the run too.
	EndRun(ctx context.Context, r Run) error

	// Running returns the runs of this host's processes, the oldest first. Only there it is known whether their processes are gone.
	Running(ctx context.Context) ([]Run, error)

	// BeginReported stores a run, with the project's generation, that somebody reports to have begun. No process of this host shows
	// whether it goes on, and in a fleet any host may record how it ended. A run that is stored already stays as it is. It fails with
	// [ErrConflict] if a result of that run is recorded, and with [ErrTooManyRuns] if the project has [MaxReportedRuns].
	BeginReported(ctx context.Context, r Run) error

	// ReportedRuns returns the runs that BeginReported has stored, of one project, or of all projects if project is "", the oldest first.
	ReportedRuns(ctx context.Context, project string) ([]Run, error)

	// Lost records the result of a run whose process is gone, or that hung. If the run has got a result meanwhile, it records nothing and
	// recorded is false.
	Lost(ctx context.Context, r Run, res Result, l Limits) (a Answer, recorded bool, err error)
}

// HistoryReader reads what was recorded for a project.
type HistoryReader interface {
	// Project returns the zero state, with its id, of a project that was never recorded for.
	Project(ctx context.Context, id string) (Project, error)

	// Overview returns what a list of projects shows, with at most runs results of each: of all projects that anything is stored of, or
	// of the given one. It costs two or three queries, however many projects there are.
	Overview(ctx context.Context, project string, runs int) (map[string]Overview, error)

	// Reports returns when the given projects were heard of last. A project of which nothing is known may be missing. It costs one query.
	Reports(ctx context.Context, projects ...string) (map[string]Report, error)

	// Runs returns at most limit results, the newest first, without their outputs, which are by far the largest part.
	Runs(ctx context.Context, project string, limit int) ([]HistoryRun, error)

	// History is Runs with the outputs of failed runs.
	History(ctx context.Context, project string, limit int) ([]HistoryRun, error)

	// LastOutputs returns the end of the output of each project's newest run, [OutputEnd] characters at most, where that run failed and
	// has an output. It costs one query.
	LastOutputs(ctx context.Context, projects ...string) (map[string]string, error)
	// Hourly counts the results of each hour since a time, among those after a position, of which it looks at the newest ones, at most
	// limit. The oldest hour comes first. Whoever keeps what was counted has to count only what is new.
	Hourly(ctx context.Context, project string, since time.Time, after int64, limit int) ([]HourCount, error)

	// RunPage returns a page of runs, the newest first, and the position before which the next page begins; 0 if there is none. Runs that
	// are recorded meanwhile do not move later pages. A page may have fewer runs than its limit, or none, and yet not be the last one.
	RunPage(ctx context.Context, f RunFilter) (runs []HistoryRun, next int64, err error)
}

// ResultLog counts and deletes results, whichever process recorded them. A call costs the same however many are stored.
type ResultLog interface {
	// LastResult returns the position of the newest result, 0 if there is none.
	LastResult(ctx context.Context) (int64, error)

	// CountSince counts at most limit results after a position, and returns the position after those. It starts again at
	// the oldest result if the newest was pruned.
	CountSince(ctx context.Context, after int64, limit int) ([]OutcomeCount, int64, error)

	// Prune deletes the oldest results that were recorded before a time, and returns how many. It looks at limit results
	// at most. It skips results from a clock that ran ahead until their time has come, and the last one that counted of each of
	// some projects, of which the next one is not due yet.
	Prune(ctx context.Context, before time.Time, limit int, expected ...string) (int, error)
}

// IncidentLister lists incidents, the newest first.
type IncidentLister interface {
	// IncidentPage returns a page of incidents. Incidents that are opened meanwhile do not move later pages.
	IncidentPage(ctx context.Context, f IncidentFilter) ([]incident.Incident, error)
}

// MetaStore keeps facts about the installation itself.
type MetaStore interface {
	// Installation is the random id of this state and its pause directory.
	Installation() string

	// FlagsWritten reports whether the state knows of any flag that was ever on the disk of this host. From then on the bot never
	// creates the sentinel of this host's pause directory by itself.
	FlagsWritten(ctx context.Context) (bool, error)

	// Meta returns a value of the caller's, "" if there is none.
	Meta(ctx context.Context, key string) (string, error)
	SetMeta(ctx context.Context, key, value string) error

	// MoveServer replaces the address of a server in everything that is known of it: the same Gitea has a new one.
	MoveServer(ctx context.Context, from, to string) error

	// MoveUnfinished replaces the address of a server in unfinished incidents alone: they get issues on another Gitea.
	MoveUnfinished(ctx context.Context, from, to string) error
}

// HostKey returns the key of [MetaStore] for a fact about a host. The host of a state that no other one uses has no id.
func HostKey(key, host string) string {
	if host == "" {
		return key
	}
	return key + "/" + host
}

// Health says whether the state can be used.
type Health interface {
	// Check reads the whole state and returns the first damage.
	Check(ctx context.Context) error

	// Writable returns why a result could not be stored now, as far as that can be known without storing one.
	Writable(ctx context.Context) error

	// Moved returns an error if the open state is no longer the one at its path: what was stored now would be lost.
	Moved() error

	// Path is the configured place of the state.
	Path() string

	// File is the file of the open state, nil if that is none; [os.SameFile] reports whether two open states are one.
	File() os.FileInfo
}
