package escalate

import (
	"context"
	"errors"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/internal/fault"
)

// OpenSilent stores an incident of the kind [incident.Silent], with its evidence. It reports whether it did: what is known by now may
// speak against it, see [incident.SilentStore]. [Reconciler.Announce] opens its issue.
func (r *Reconciler) OpenSilent(ctx context.Context, i incident.Incident) (incident.Incident, bool, error) {
	evidence := i.Evidence
	i, opened, err := r.opt.State.OpenSilent(ctx, i)
	if err != nil || !opened {
		return i, false, err
	}
	attrs := []any{"project", i.Project, "incident", i.Name(), "since", i.Since}
	if !i.Began.IsZero() {
		attrs = append(attrs, "running_since", i.Began)
	}
	r.opt.Log.Warn("project does not report", attrs...)
	fault.Point(ctx, "silence-noted")
	i.Evidence = evidence
	return i, true, nil
}

// EndSilent ends such an incident, and reports whether that has to be announced. how is a sentence for people without its subject.
func (r *Reconciler) EndSilent(ctx context.Context, i incident.Incident, how string) (bool, error) {
	i, ended, err := r.opt.State.EndSilent(ctx, i.ID, how, r.opt.Now())
	if err != nil || !ended {
		return false, err
	}
	r.opt.Log.Info("incident has ended", "project", i.Project, "incident", i.Name(), "how", how)
	fault.Point(ctx, "silence-ended")
	return !i.Settled, nil
}

// Announce opens the issue of a silent incident that was just stored, or closes that of one that has just ended. What fails, or somebody
// else is at, is left to the next sweep.
func (r *Reconciler) Announce(ctx context.Context, i incident.Incident) error {
	v := &visit{project: i.Project, cache: r.visitCache(), wait: claimWait}
	if i.IsOpen() {
		v.fresh = &i
	}
	err := r.track(ctx, v)
	var claimed claimError
	if errors.As(err, &claimed) {
		return nil
	}
	return err
}

// rebuildSilent stores a silent incident that the state lost.
func (r *Reconciler) rebuildSilent(ctx context.Context, _ *localVisit, a plan.Action) error {
	i, opened, err := r.opt.State.OpenSilent(ctx, plan.RebuiltSilent(a))
	if err != nil || !opened {
		return err
	}
	r.opt.Log.Warn("incident rebuilt", "project", a.Project, "incident", i.Name(), "issue", i.Issue.String(), "why", a.Why)
	return nil
}
