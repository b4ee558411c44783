package incident

import (
	"context"
	"errors"
	"time"
)

// DirMark tells the pause directory of a host in a fleet from an older copy of itself: a snapshot that was restored, or an old disk. It
// stands in the directory and in the state. In the directory it is never lower than in the state, unless the directory went back in time.
type DirMark struct {
	Epoch string // random; "": the directory was never marked
	Seq   int64  // grows before and after each flag that is written, and before each confirmation
}

// HostFlags is what decides about the flags of this host, read at one moment.
type HostFlags struct {
	Mark   DirMark
	States map[string]ProjectState
	// Confirmed are the flags of what pauses projects now, as this host has confirmed them. As long as they are on disk like that there is
	// nothing to do, so the States of their projects are left out.
	Confirmed []FlagConfirmation
}

// FlagConfirmation is the confirmation of a project's flag.
type FlagConfirmation struct {
	Project string
	Confirmation
}

// FleetStore is the part of a state that only a fleet needs, in which several hosts share the state and each has a pause directory of its
// own. Like those of [FlagStore], its callers hold the lock of the host's flags.
type FleetStore interface {
	// HostFlags returns the states of those of the given projects that the state knows. Without any, it returns those of all projects that
	// are paused, or of whose flags this host has a confirmation that stands, but for those in Confirmed. A project with a flag that is not among these has to be asked
	// for: its generation and a [RemovedFlag] are missing.
	HostFlags(ctx context.Context, projects ...string) (HostFlags, error)
	// SetMark raises the mark of this host's directory to the Seq that is on disk there, or sets the first one. It fails with
	// [ErrOtherEpoch], and changes nothing, if the epoch is another one.
	SetMark(ctx context.Context, m DirMark) error
	// Void deletes this host's confirmations and sets a new mark: nothing follows from the flags that are missing now.
	Void(ctx context.Context, m DirMark) error
	// ConfirmAll is [FlagStore.Confirm] for many projects, in one transaction.
	ConfirmAll(ctx context.Context, at time.Time, list []FlagConfirmation) error
	// UnconfirmAll is [FlagStore.Unconfirm] for many projects, in one transaction. The identities do not matter.
	UnconfirmAll(ctx context.Context, list []FlagConfirmation) error
	// FlagFailed stores, as [FailedFlag], why this host could not write the flag of a pause, if the project is paused by that pause. A
	// confirmation replaces it; one of the same pause that stands stays. It is gone when the pause is over.
	FlagFailed(ctx context.Context, project, pause, why string) error
}

// ErrOtherEpoch means that the directory of this host was marked anew since its mark was read.
var ErrOtherEpoch = errors.New("the pause directory was marked anew meanwhile")

// UnpausedHost is a host of a fleet on which a paused project has no pause flag, and why: work may still be dispatched there.
type UnpausedHost struct {
	ID   string
	Name string // for people
	Why  string
}

// Unpaused are the hosts of a fleet without the flags of paused projects.
type Unpaused struct {
	Projects map[string][]UnpausedHost
	Names    map[string]string // of all hosts, by id
}
