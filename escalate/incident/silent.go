package incident

import (
	"context"
	"time"
)

// Kind is why an incident was opened. The values are stored.
type Kind string

// Silent is the kind of an incident that pauses nothing: a project from which results are expected has not reported. It has a marker of its
// own kind and neither a flag nor a generation. States keep these incidents apart from the others, so that nothing that looks for what
// pauses a project finds one, in an earlier version neither.
const Silent Kind = "silent"

// IsSilent reports whether the incident is of the kind [Silent].
func (i Incident) IsSilent() bool { return i.Kind == Silent }

// SilentStore stores the incidents of the kind [Silent]. [IncidentReader].Incidents and [IncidentWriter].Change find them too.
type SilentStore interface {
	// Silent returns the silent incidents of a project, or of all projects if it is "", that are open or have something left to do in
	// their issue.
	Silent(ctx context.Context, project string) ([]Incident, error)
	// OpenSilent stores a silent incident, and returns it and true, unless there is a reason against it by now: the project is paused, it
	// has an open one, or a counted result was recorded since i.LastResult. It assigns Seq. A rebuilt one is stored in any case, with the
	// LastResult that the state knows; beside an open one it has ended.
	OpenSilent(ctx context.Context, i Incident) (Incident, bool, error)
	// EndSilent ends a silent incident, and returns it and true, unless that has ended. If it has no issue and none is being created, nothing
	// is left to do.
	EndSilent(ctx context.Context, id, how string, at time.Time) (Incident, bool, error)
}

// EndSilence ends an open silent incident, and reports whether it is one.
func (i *Incident) EndSilence(how string, at time.Time) bool {
	if !i.IsSilent() || !i.IsOpen() {
		return false
	}
	i.Ended, i.EndedHow, i.NextTry = at.UTC(), how, time.Time{}
	i.Settled = i.Issue.IsZero() && i.Create.At.IsZero()
	return true
}
