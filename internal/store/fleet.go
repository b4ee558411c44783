package store

import (
	"context"
	"errors"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
)

// Host is a machine of a fleet.
type Host struct {
	ID       string        `json:"id"`   // random, bound to the machine
	Name     string        `json:"name"` // for people
	Boot     string        `json:"-"`
	Version  string        `json:"version"`         // of adfbot
	Config   string        `json:"config,omitzero"` // hash of the part of the configuration that should be the same on all hosts
	Seen     time.Time     `json:"seen"`            // last heartbeat, by the state's clock
	Offset   time.Duration `json:"-"`               // of the host's clock from the state's
	Spooled  int           `json:"spooled"`         // results that wait there
	DirError string        `json:"dir_error,omitzero"`
	CanIssue bool          `json:"can_issue"`        // it can read the token of Gitea, which took it the last time
	Retired  time.Time     `json:"retired,omitzero"` // zero: it is not
	IDShared time.Time     `json:"-"`                // when a machine last found that another one reports under the same id; zero: never
}

// MissingFlag is the flag of a paused project that a host has not confirmed.
type MissingFlag struct {
	Host    string // id
	Project string
	Pause   string
	Since   time.Time // when the project was paused
	Error   string    // why the host could not write it; "": it has not tried
}

// Fleet is the part of a state that several hosts share which tells them of each other. What a host that was retired writes is refused
// with [ErrRetired], which is [ErrUnusable] too: it spools its results until it has come back as a new host. It reads no HostFlags either.
type Fleet interface {
	incident.FleetStore
	incident.Claimer
	// Now returns the time by the state's clock, as of the last answer of the state and this machine's monotonic clock since then.
	Now() time.Time
	// Beat stores that this host is alive, and what it reports; ID, Seen, Retired and IDShared are not its own to say. It fails with [ErrRetired] if somebody has retired the host.
	Beat(ctx context.Context, h Host) error
	// Hosts returns all hosts, by name, the retired ones last.
	Hosts(ctx context.Context) ([]Host, error)
	// Retire takes a host out of the fleet: its confirmations are deleted, and its runs end as ignored. It reports whether there was
	// such a host that was not retired yet.
	Retire(ctx context.Context, id string) (bool, error)
	// MissingFlags returns, for each paused project, the hosts that are not retired and have no confirmation of its flag.
	MissingFlags(ctx context.Context) ([]MissingFlag, error)
	// Listen calls wake once it listens, and then when a project was paused or resumed, or a host retired, until the connection breaks or ctx ends. It is a
	// hint: what happens while nobody listens is not told later. It never returns nil.
	Listen(ctx context.Context, wake func()) error
}

// ErrRetired means that somebody took this host out of the fleet. It comes back as a new host.
var ErrRetired = errors.New("this host was retired from the fleet")
