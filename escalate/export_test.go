package escalate

import (
	"context"
	"maps"
	"slices"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
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

// Backup returns a copy of the state. Restore makes the state what it was.
func (m *Memory) Backup() *Memory {
	b := NewMemory()
	b.Restore(m)
	return b
}

func (m *Memory) Restore(b *Memory) {
	m.generation, m.holds = maps.Clone(b.generation), maps.Clone(b.holds)
	m.incidents = map[string]incident.Incident{}
	for id, i := range b.incidents {
		m.incidents[id] = copyOf(i)
	}
}

// ForgetLabels makes the next use of a repository's labels ask for them.
func (r *Reconciler) ForgetLabels(ctx context.Context, repo tracker.Repo) error {
	return r.forgetLabels(ctx, r.visitCache(), repo)
}

// AdviseTest is what a test says of a request that failed.
func AdviseTest(err error) error { return adviseTest(err) }
