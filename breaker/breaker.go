// Package breaker counts the consecutive failures of each project and decides
// when a project must be paused.
//
// # Flow
//
// A caller passes the result of each run of an agent to a [Counter], or to
// [State.Next] if it stores the state itself. [Counts] tells which agents'
// results to pass. When a result trips the breaker, the caller pauses the
// project. When somebody resumes the project, the caller resets the breaker;
// otherwise it cannot trip again before a success.
//
// Every project has its own breaker, which starts closed:
//
//	        failure, count < threshold          failure
//	           ┌───────┐                       ┌───────┐
//	           ▼       │                       ▼       │
//	success  ┌───────────┐  failure, count   ┌───────────┐
//	  ┌─────►│  closed   │  ≥ threshold      │  tripped  │
//	  └──────│           │──────────────────►│           │
//	         └───────────┘     trips         └───────────┘
//	               ▲          success, reset       │
//	               └───────────────────────────────┘
//
// A tripped breaker keeps counting failures but does not trip a second time.
//
// # State
//
// The package does no I/O and reads no clock. Nothing is on disk: a Counter
// is lost when its process ends. A caller that stores a [State] must store it
// together with the decision to pause, or a crash between the two loses the
// trip.
//
// # Concurrency
//
// A State is a value, and Next is a pure function. A Counter is not safe for
// concurrent use.
package breaker

import (
	"math"
	"strings"
)

// DefaultThreshold is the default number of consecutive failures that trips a
// breaker.
const DefaultThreshold = 3

// AtOnce is the threshold that any failure reaches: one for [State.Next] that a project must be paused for, whatever its count.
const AtOnce = 1

// State is the breaker of one project. The zero value is a closed breaker
// without failures.
type State struct {
	Failures int  // consecutive failures, including those after the trip
	Tripped  bool // the current streak of failures has tripped the breaker
}

// Next returns the state after one more result and reports whether that result
// trips the breaker.
//
// A threshold below one means one. The threshold may differ from call to call:
// a lowered threshold takes effect at the next failure, and a raised one does
// not close a breaker that has tripped. The count saturates at [math.MaxInt].
func (s State) Next(threshold int, success bool) (next State, trips bool) {
	if success {
		return State{}, false
	}
	if s.Failures < math.MaxInt {
		s.Failures++
	}
	if s.Tripped || s.Failures < effective(threshold) {
		return s, false
	}
	s.Tripped = true
	return s, true
}

func effective(threshold int) int { return max(threshold, 1) }

// Counts reports whether the results of the named agent count: the agent is
// project-meta, or project-meta- followed by anything (fleets run instances
// such as project-meta-odilo). The name is case-sensitive. All other agents are
// ignored, so that a flaky developer or reviewer cannot pause a project.
func Counts(agent string) bool {
	suffix, ok := strings.CutPrefix(agent, "project-meta")
	return ok && (suffix == "" || suffix[0] == '-')
}
