package escalate

import (
	"maps"
	"slices"

	"github.com/terraphim/adfbot/escalate/plan"
)

// Options lets tests change a Reconciler's options after the fact.
func (r *Reconciler) Options() *Options { return &r.opt }

// ParseCommands is parseCommands.
var ParseCommands = parseCommands

// StepKinds returns the kinds of steps that a Reconciler can carry out: the local ones, and those that make requests.
func StepKinds() (local, requests []plan.Kind) {
	return slices.Sorted(maps.Keys(localSteps)), slices.Sorted(maps.Keys(trackerSteps))
}
