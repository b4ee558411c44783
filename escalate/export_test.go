package escalate

import (
	"maps"
	"slices"

	"github.com/terraphim/adfbot/escalate/incident"
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

// Folder is folder.
type Folder = folder

// SetFolder replaces the pause directory.
func (r *Reconciler) SetFolder(open func() (Folder, error)) { r.open = open }

// ViewOf is viewOf.
var ViewOf = viewOf

// SetConfirmed makes m the state as another host sees it.
func (m *Memory) SetConfirmed(c map[string]incident.Confirmation) { m.confirmed = c }
