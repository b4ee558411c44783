// Package breaker counts a project's consecutive failures and says when there
// are too many of them.
//
// There is one breaker for each project. It is closed at first. A failure adds
// one to its count; the failure that brings the count to the threshold trips
// it, once: the failures after that go on counting and do not trip it again. A
// success closes it: the count is zero and the next streak can trip it anew.
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
// All of this is [State.Next], a pure function of a small value, for callers
// that keep the state themselves (in a database, in a file). [Counter] is the
// same for callers that keep it in memory. [Counts] says whose results should
// be fed to them at all.
//
// The package reads no clock and does no I/O. What a trip leads to, and what
// becomes of the breaker when somebody resumes the project, is the caller's.
package breaker

import (
	"math"
	"strings"
)

// DefaultThreshold is the number of consecutive failures that trips a breaker
// where nothing else was configured.
const DefaultThreshold = 3

// State is the breaker of one project. The zero value is closed, without
// failures.
type State struct {
	Failures int  // consecutive failures so far; goes on after the trip
	Tripped  bool // the streak has tripped the breaker, so it will not again
}

// Next returns the state after one more result, and whether this result trips
// the breaker. It is the only transition that there is.
//
// A threshold below one means one: any failure trips. The threshold may differ
// from call to call. A lowered one trips at the next failure, never at a
// success, and a raised one leaves a breaker tripped that has tripped.
//
// The count stops at the largest int, and does not wrap around.
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

// effective is the threshold that is meant: there is none below one.
func effective(threshold int) int { return max(threshold, 1) }

// metaAgent is the agent whose results count; a hyphen and a suffix may follow,
// for fleets that run one instance for each project.
const metaAgent = "project-meta"

// Counts reports whether the results of the agent of this name count: it is
// project-meta, or project-meta- with any suffix. The case of letters matters.
// Others, as a flaky developer or reviewer, can't trip a project's breaker.
func Counts(agent string) bool {
	suffix, ok := strings.CutPrefix(agent, metaAgent)
	return ok && (suffix == "" || suffix[0] == '-')
}
