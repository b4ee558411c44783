package incident

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/terraphim/adfbot/internal/redact"
)

// Stop is a pause of many projects at once, those included that become known while it is in force.
//
// It is stored before any project is paused, and it is stored which projects it has covered: what a crash leaves undone follows from that.
// It holds the projects that nothing else pauses; the others stay as they are. A project that somebody resumes during the stop
// stays resumed. The end of the stop resumes the projects that it still holds, and no other.
type Stop struct {
	ID       string    `json:"id"`       // 32 hexadecimal digits
	Patterns []string  `json:"patterns"` // ids of projects or globs; [EveryProject] for all
	Reason   string    `json:"reason"`   // for people, in one line
	By       string    `json:"by"`       // for people
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until,omitzero"` // when it ends by itself; zero: it does not
	Ended    time.Time `json:"ended,omitzero"`
	EndedHow string    `json:"ended_how,omitzero"` // for people
}

// How long a pause may last that ends by itself.
const (
	MinPause = time.Minute
	MaxPause = 30 * 24 * time.Hour
)

// EveryProject is the pattern of all projects.
const EveryProject = "*"

// All reports whether the stop is one of all projects.
func (s Stop) All() bool { return slices.Contains(s.Patterns, EveryProject) }

// What names the projects for people.
func (s Stop) What() string {
	if s.All() {
		return "all projects"
	}
	return redact.Line(strings.Join(s.Patterns, " "), 200)
}

// About reports whether a project is one of those that the stop is about.
func (s Stop) About(project string, matches func(pattern, project string) bool) bool {
	return slices.ContainsFunc(s.Patterns, func(pattern string) bool { return matches(pattern, project) })
}

// Over reports whether the stop has ended, or has to by now.
func (s Stop) Over(now time.Time) bool { return !s.Ended.IsZero() || isOver(s.Until, now) }

// isOver reports whether something has ended by itself; the zero time is never.
func isOver(until, now time.Time) bool { return !until.IsZero() && !now.Before(until) }

// AtOnce is the Until of a hold whose stop was ended: it is over whatever a clock says.
var AtOnce = time.Unix(0, 0).UTC()

// HoldEnd is what the end of a hold has led to.
type HoldEnd string

const (
	HoldNotEnded HoldEnd = ""          // the project has no such hold any more
	HoldResumed  HoldEnd = "resumed"   // the project may run
	HoldPassedOn HoldEnd = "passed on" // a stop that is in force holds the project now
	HoldDropped  HoldEnd = "dropped"   // an incident still pauses the project
)

// StopStore stores stops.
type StopStore interface {
	// Stops returns those that were not ended, the oldest first, and the last one that was.
	Stops(ctx context.Context) ([]Stop, error)
	// AddStop stores a stop, unless it is stored already.
	AddStop(ctx context.Context, s Stop) error
	// Covered returns the projects that a stop has covered.
	Covered(ctx context.Context, stop string) ([]string, error)
	// Cover has a stop cover projects, in one transaction or in several, and returns those that it holds now. It gives the hold to a project that
	// nothing pauses. It skips those that it has covered before, and does nothing once the stop was ended.
	Cover(ctx context.Context, stop string, projects []string, hold func(project string) Hold) (held []string, err error)
	// EndStop ends a stop, and reports whether it was in force. Whatever it has held is over, see [AtOnce]. So is what a stop holds that the state
	// does not know, if id is "": it was lost with an earlier state.
	EndStop(ctx context.Context, id, how string, at time.Time) (bool, error)
	// EndHold ends the hold of a project, if r.Pause is that. If no incident pauses the project, it calls next with the stops that are in force,
	// without those from which somebody has resumed the project. The hold that next returns takes the place of the other; if that is nil,
	// the project is resumed as by [IncidentWriter.Resume]. The confirmations stay.
	EndHold(ctx context.Context, r Resumption, next func([]Stop) *Hold) (HoldEnd, error)
}
