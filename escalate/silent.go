package escalate

import (
	"context"
	"errors"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/internal/fault"
)

// OpenSilent stores an incident of the kind [incident.Silent], with its evidence, and opens its issue. It reports whether it did: what is
// known by now may speak against it, see [incident.SilentStore]. What fails in the tracker is left to the next sweep.
func (r *Reconciler) OpenSilent(ctx context.Context, i incident.Incident) (incident.Incident, bool, error) {
	evidence := i.Evidence
	i, opened, err := r.opt.State.OpenSilent(ctx, i)
	if err != nil || !opened {
		return i, false, err
	}
	r.opt.Log.Warn("project does not report", "project", i.Project, "incident", i.Name(), "since", i.Since, "running_since", i.Began)
	fault.Point(ctx, "silence-noted")
	i.Evidence = evidence
	return i, true, r.track(ctx, &visit{project: i.Project, cache: r.visitCache(), wait: r.opt.Timeout, fresh: &i})
}

// EndSilent ends such an incident, and closes its issue. how is a sentence for people.
func (r *Reconciler) EndSilent(ctx context.Context, i incident.Incident, how string) error {
	_, ended, err := r.opt.State.EndSilent(ctx, i.ID, how, r.opt.Now())
	if err != nil || !ended {
		return err
	}
	r.opt.Log.Info("incident has ended", "project", i.Project, "incident", i.Name(), "how", how)
	fault.Point(ctx, "silence-ended")
	err = r.track(ctx, &visit{project: i.Project, cache: r.visitCache(), wait: claimWait})
	var claimed claimError
	if errors.As(err, &claimed) { // whoever is at work there, or the next sweep, closes it
		return nil
	}
	return err
}

// rebuildSilent stores a silent incident that the state lost.
func (r *Reconciler) rebuildSilent(ctx context.Context, _ *localVisit, a plan.Action) error {
	i, opened, err := r.opt.State.OpenSilent(ctx, plan.RebuiltSilent(a))
	if opened {
		r.opt.Log.Warn("incident rebuilt", "project", a.Project, "incident", i.Name(), "issue", i.Issue.String(), "why", a.Why)
	}
	return err
}
