package incident

import (
	"context"
	"errors"
	"time"

	"github.com/terraphim/adfbot/escalate/tracker"
)

// State is what the Reconciler keeps of incidents and of the tracker. Each method is one transaction: what it returns is on
// disk.
type State interface {
	IncidentReader
	IncidentWriter
	HoldStore
	TrackerCache
	HostLocker
	Claimer
}

// CommandState is what it keeps of commands in comments. Each method is one transaction.
type CommandState interface {
	OperatorStore
	CommandStore
	CommentCursor
}

// IncidentReader reads incidents.
type IncidentReader interface {
	// Unsettled returns the incidents of a project, or of all projects where it is "", that are open or in whose issue
	// something is left to do.
	Unsettled(ctx context.Context, project string) ([]Incident, error)
	// ProjectState returns Unsettled and Hold of one project, as of one moment.
	ProjectState(ctx context.Context, project string) (unsettled []Incident, hold *Hold, err error)
	// Incidents returns those of the given incidents that exist.
	Incidents(ctx context.Context, ids ...string) ([]Incident, error)
	// Evidence returns an incident's evidence, which the other methods leave out; the zero one where there is none.
	Evidence(ctx context.Context, incident string) (Evidence, error)
}

// IncidentWriter changes incidents.
type IncidentWriter interface {
	// Change reads an incident, lets f change it, and stores it.
	Change(ctx context.Context, id string, f func(*Incident)) (Incident, error)
	// Insert stores an incident, with its evidence. One that exists already is returned as it is. Its number is changed where
	// it has none or another incident of the project has it. An open one is refused with [ErrOpenIncident] while the project
	// has one.
	Insert(ctx context.Context, i Incident) (Incident, error)
	// Resume ends a project's pause: its open incident, if it has the given id, or its hold where the id is "". The
	// project's next generation begins and its breaker is reset. It reports whether there was something to end.
	Resume(ctx context.Context, project, incident, how string, at time.Time) (bool, error)
}

// ErrOpenIncident means that the project has an open incident already.
var ErrOpenIncident = errors.New("the project has an open incident already")

// HoldStore keeps the pauses that people made.
type HoldStore interface {
	// Hold returns a project's hold, nil where it has none.
	Hold(ctx context.Context, project string) (*Hold, error)
	Holds(ctx context.Context) ([]Hold, error)
	SetHold(ctx context.Context, h Hold) error
	// DropHold deletes a hold that never took effect, because its flag could not be written. Unlike a resume it leaves the
	// breaker and the generation as they are.
	DropHold(ctx context.Context, project string) error
}

// TrackerCache keeps what is known of the server, so that the first attempt of a trip costs one request.
type TrackerCache interface {
	Labels(ctx context.Context, repo tracker.Repo) (map[string]int64, error)
	// SetLabels replaces the known labels of a repository; nil forgets them.
	SetLabels(ctx context.Context, repo tracker.Repo, ids map[string]int64) error
	// Accounts returns the accounts under which this installation writes or wrote, the latest last.
	Accounts(ctx context.Context, server string) ([]tracker.Account, error)
	AddAccount(ctx context.Context, server string, a tracker.Account) error
}

// OperatorStore keeps who may give commands.
type OperatorStore interface {
	Operators(ctx context.Context, server string) ([]Operator, error)
	// SetOperators makes these the only ones. Without operators it also forgets up to where comments were read.
	SetOperators(ctx context.Context, server string, ops []Operator) error
}

// CommandStore keeps the commands that people gave in comments, so that each is run once.
type CommandStore interface {
	// NewComments returns those of the comments, by id and time of writing, whose commands are not known. A known id with
	// another time is new: a Gitea that was restored from a backup gives ids a second time.
	NewComments(ctx context.Context, server string, written map[int64]time.Time) ([]int64, error)
	// AcceptCommand stores a new command, in the sense of NewComments. A known one stays as it is.
	AcceptCommand(ctx context.Context, o Command) error
	// PendingCommands returns the commands that are not done, the oldest first; of one project, or of all where it is "".
	PendingCommands(ctx context.Context, server, project string) ([]Command, error)
	// ChangeCommand reads a command, lets f change it, and stores it. A hold that is not nil is stored in the same transaction.
	ChangeCommand(ctx context.Context, o Command, hold *Hold, f func(*Command)) (Command, error)
}

// CommentCursor keeps up to when a repository's comments were read, by the server's clock.
type CommentCursor interface {
	// CommentsRead returns the zero time where they never were.
	CommentsRead(ctx context.Context, repo tracker.Repo) (time.Time, error)
	SetCommentsRead(ctx context.Context, repo tracker.Repo, upTo time.Time) error
}

// HostLocker guards the files of this host: its pause flags.
type HostLocker interface {
	// LockHere waits until the lock is free, at most the given time, and then fails with an error that names the lock and
	// how to find its holder. A lock ends with its holder.
	LockHere(ctx context.Context, name string, wait time.Duration) (unlock func(), err error)
}

// Claimer guards work on an issue, which only one process at a time may do. A claim is taken before a host lock, never
// while one is held.
type Claimer interface {
	// Claim waits like [HostLocker.LockHere]. The context that it returns ends when the claim can no longer be trusted.
	Claim(ctx context.Context, name string, wait time.Duration) (held context.Context, release func(), err error)
}
