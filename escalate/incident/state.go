package incident

import (
	"context"
	"errors"
	"time"

	"github.com/terraphim/adfbot/escalate/tracker"
)

// State stores incidents, holds and what is known about the tracker. Each method is one transaction, and durable when it
// returns.
type State interface {
	IncidentReader
	IncidentWriter
	SilentStore
	HoldStore
	StopStore
	FlagStore
	TrackerCache
	HostLocker
	Claimer
}

// CommandState stores commands given in comments, under the same rules as [State].
type CommandState interface {
	OperatorStore
	CommandStore
	CommentCursor
}

// IncidentReader reads incidents, without their evidence except for Evidence.
type IncidentReader interface {
	// Unsettled returns the incidents of a project, or of all projects if it is "", that are open or have something left
	// to do in their issue, but for those of the kind [Silent].
	Unsettled(ctx context.Context, project string) ([]Incident, error)
	// ProjectState returns what decides whether a project is paused, read at the same moment.
	ProjectState(ctx context.Context, project string) (ProjectState, error)
	// ProjectStates is ProjectState of all projects that the state knows. It may be read at several moments.
	ProjectStates(ctx context.Context) (map[string]ProjectState, error)
	// Incidents returns those of the given incidents that exist.
	Incidents(ctx context.Context, ids ...string) ([]Incident, error)
	// Evidence returns an incident's evidence, or the zero value if there is none.
	Evidence(ctx context.Context, incident string) (Evidence, error)
}

// IncidentWriter changes incidents.
type IncidentWriter interface {
	// Change applies f to an incident and returns the result.
	Change(ctx context.Context, id string, f func(*Incident)) (Incident, error)
	// Join decides whose issue carries an incident that may still join another one, see [Incident.MayJoin], and returns the incident. No two
	// decisions are made at the same time. choose gets the incident and all that are not settled.
	Join(ctx context.Context, id string, choose func(i Incident, unsettled []Incident) Joining) (Incident, error)
	// Insert stores an incident with its evidence, to which it may add earlier incidents. If the incident exists, Insert returns the
	// stored one. It assigns the next Seq if Seq is 0 or belongs to another incident of the project. An open incident of a project that
	// has another open one is refused with [ErrOpenIncident]. If FlagWritten is set, Insert confirms its flag on this host, as
	// [UnknownFlag]. If Generation is greater than the project's, Insert raises that.
	Insert(ctx context.Context, i Incident) (Incident, error)
	// Resume ends a pause, if it is that of the project: the open incident or hold, the hold beside an incident too. It
	// starts the project's next generation and resets its breaker. It reports whether it ended the pause. In any case this
	// host has no standing confirmation of the pause any more.
	Resume(ctx context.Context, r Resumption) (bool, error)
}

// Resumption is the end of a pause.
type Resumption struct {
	Project string
	Pause   string // id
	How     string // for people, e.g. "resumed by kim with adfbot resume on bigbox"
	At      time.Time
	// FlagRemoved says that somebody has removed this host's confirmed flag. The confirmation becomes [RemovedFlag]; else it is deleted.
	FlagRemoved bool
}

// ProjectState is what decides whether a project is paused.
type ProjectState struct {
	Generation int64
	Unsettled  []Incident // that are open or have something left to do in their issue, by Seq
	Silent     []Incident // likewise of the kind [Silent]; [FleetStore].HostFlags does not read them
	Hold       *Hold      // or nil
	Confirmed  Confirmation
}

// Open returns the open incident, or nil.
func (s ProjectState) Open() *Incident {
	for n := range s.Unsettled {
		if s.Unsettled[n].IsOpen() {
			return &s.Unsettled[n]
		}
	}
	return nil
}

// Pause returns what pauses the project: its open incident, else its hold. The id is "" if nothing does.
func (s ProjectState) Pause() Pause {
	p := Pause{Generation: s.Generation}
	if i := s.Open(); i != nil {
		p.ID = i.ID
	} else if s.Hold != nil {
		p.ID = s.Hold.ID
	}
	return p
}

// FlagStore stores which flags were on this host's disk. Its callers hold the flag's lock, see [HostLocker].
type FlagStore interface {
	// Confirm stores a confirmation if the project is paused by that pause, and reports whether it is. If that is an incident, Confirm
	// also clears FlagError and sets FlagWritten to at, unless it is set.
	Confirm(ctx context.Context, project string, c Confirmation, at time.Time) (bool, error)
	// Unconfirm deletes the confirmation of a pause.
	Unconfirm(ctx context.Context, project, pause string) error
	// AddHold stores a hold for a flag that a person made, and confirms that, if nothing pauses the project but a hold that may end by itself,
	// see [Hold.Ends]. It reports whether it did.
	// If generation is greater than the project's, AddHold raises that.
	AddHold(ctx context.Context, h Hold, flag FlagIdentity, generation int64) (bool, error)
}

// ErrOpenIncident means that the project already has an open incident.
var ErrOpenIncident = errors.New("the project already has an open incident")

// HoldStore stores pauses made by people.
type HoldStore interface {
	// Hold returns a project's hold, or nil.
	Hold(ctx context.Context, project string) (*Hold, error)
	Holds(ctx context.Context) ([]Hold, error)
	// SetHold stores a hold. If the project has one, see [Hold.PausedAgain]: what was written before the last pause by hand is not about it.
	SetHold(ctx context.Context, h Hold) error
	// DropHold deletes a hold that never took effect because its flag could not be written. Unlike a resume, it leaves
	// the breaker and the generation as they are.
	DropHold(ctx context.Context, project string) error
}

// TrackerCache stores labels and accounts, so that the first attempt of a trip takes one request.
type TrackerCache interface {
	Labels(ctx context.Context, repo tracker.Repo) (map[string]int64, error)
	// SetLabels replaces the labels of a repository; nil forgets them.
	SetLabels(ctx context.Context, repo tracker.Repo, ids map[string]int64) error
	// Accounts returns the accounts that this installation has ever written with, the latest last.
	Accounts(ctx context.Context, server string) ([]tracker.Account, error)
	AddAccount(ctx context.Context, server string, a tracker.Account) error
}

// OperatorStore stores who may give commands.
type OperatorStore interface {
	Operators(ctx context.Context, server string) ([]Operator, error)
	// SetOperators replaces the operators. With none, it also resets the [CommentCursor].
	SetOperators(ctx context.Context, server string, ops []Operator) error
}

// CommandStore stores commands, so that each is run once.
type CommandStore interface {
	// NewComments returns the ids of the comments whose commands are not stored. A stored id with another time of
	// writing is new: a Gitea restored from a backup assigns ids again.
	NewComments(ctx context.Context, server string, written map[int64]time.Time) ([]int64, error)
	// AcceptCommand stores a command if it is new as defined by NewComments.
	AcceptCommand(ctx context.Context, c Command) error
	// PendingCommands returns the commands that are not done, oldest first; those of one project, or all if it is "".
	PendingCommands(ctx context.Context, server, project string) ([]Command, error)
	// ChangeCommand applies f to a command and returns the result. It stores hold, if not nil, in the same transaction. If f
	// returns an error, nothing is stored, and ChangeCommand returns that error.
	ChangeCommand(ctx context.Context, c Command, hold *Hold, f func(*Command) error) (Command, error)
}

// CommentCursor stores until when a repository's comments were read, by the server's clock.
type CommentCursor interface {
	// CommentsRead returns the zero time if they never were.
	CommentsRead(ctx context.Context, repo tracker.Repo) (time.Time, error)
	SetCommentsRead(ctx context.Context, repo tracker.Repo, upTo time.Time) error
}

// HostLocker locks the files of this host: its pause flags.
type HostLocker interface {
	// LockHere waits for the lock. After the given time it fails with an error that names the lock and says how to find
	// its holder. The lock is released when its holder dies.
	LockHere(ctx context.Context, name string, wait time.Duration) (unlock func(), err error)
}

// Claimer reserves work on an issue for one process of all hosts that share the state. Take a claim before a host lock, never while
// holding one.
type Claimer interface {
	// Claim waits like [HostLocker.LockHere], and then fails with [ErrClaimed] where hosts share the state. The returned context ends when the
	// claim can no longer be trusted; what is stored with it is refused once another process has the claim.
	Claim(ctx context.Context, name string, wait time.Duration) (held context.Context, release func(), err error)
}

// ErrClaimed means that another process, here or on another host, has the claim.
var ErrClaimed = errors.New("claimed by another process")
