package escalate

import (
	"context"
	"errors"
	"path"
	"slices"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/pause"
)

// A stop pauses many projects with holds, see [incident.Stop]. The stop is stored first; a sweep covers what a crash has left out, and writes the
// flags that are missing. At its end all its holds are over at once, and the plan ends each of them.

// timeOver is how a stop ends that nobody ends.
const timeOver = "its time was over"

// Stopped is what a stop did.
type Stopped struct {
	Held   []string // projects that it holds now
	Others []string // projects that were paused before, and stay as they are
	With   []string // those of Others that are resumed by what ends the stop, because another stop holds them
	// Failed joins what the next sweep tries again; a [*FlagWriteError] for each project without its flag.
	Failed error
}

// Stop puts a stop in force. If it is in force already, because an earlier call was interrupted, the rest is done.
func (r *Reconciler) Stop(ctx context.Context, s incident.Stop) (out Stopped, err error) {
	if err := r.settleAll(ctx); err != nil {
		return out, err
	}
	before, err := r.StopsInForce(ctx)
	if err != nil {
		return out, err
	}
	if err := r.opt.State.AddStop(ctx, s); err != nil {
		return out, err
	}
	fault.Point(ctx, "stop-noted")
	covered, err := r.cover(ctx, s)
	if err != nil {
		return out, err
	}
	states, err := r.opt.State.ProjectStates(ctx)
	if err != nil {
		return out, err
	}
	for _, project := range covered {
		switch state := states[project]; {
		case state.Open() == nil && state.Hold != nil && state.Hold.Stop == s.ID:
			out.Held = append(out.Held, project)
		case state.Pause().ID != "":
			out.Others = append(out.Others, project)
			if state.Open() == nil && r.endsWith(s, *state.Hold, before) {
				out.With = append(out.With, project)
			}
		}
	}
	_, out.Failed = r.applyAll(ctx, out.Held)
	r.opt.Log.Warn("projects stopped", "what", s.What(), "by", s.By, "reason", s.Reason, "projects", len(out.Held), "stop", s.ID)
	return out, nil
}

// endsWith reports whether what ends a stop also resumes the project of a hold. A resume of all projects ends the stops of all, and those that
// the state has lost, but none by a pattern; one by a pattern resumes whatever a stop holds there.
func (r *Reconciler) endsWith(s incident.Stop, h incident.Hold, stops []incident.Stop) bool {
	if h.Stop == "" || !s.All() {
		return h.Stop != ""
	}
	return !slices.ContainsFunc(stops, func(other incident.Stop) bool { return !other.All() && r.covers(other, h.Project) })
}

// settleAll brings the state up to date with the flags before a person's command about many projects. What cannot be done for one of
// them is no obstacle.
func (r *Reconciler) settleAll(ctx context.Context) error {
	if err := r.checkPauseAlone(ctx); err != nil {
		return err
	}
	r.settleFlags(ctx)
	return nil
}

// checkPauseAlone is CheckPause without a fleet, where other hosts may have their flags.
func (r *Reconciler) checkPauseAlone(ctx context.Context) error {
	if err := r.CheckPause(ctx); err != nil && r.opt.Fleet == nil {
		return &FlagUnknownError{err}
	}
	return nil
}

func (r *Reconciler) settleFlags(ctx context.Context) {
	if _, errs := r.sweepLocal(ctx, ""); len(errs) > 0 {
		r.opt.Log.Warn("cannot bring all flags in line before many projects are paused or resumed", "err", errors.Join(errs...))
	}
}

// cover has a stop cover all of its projects that are known, and returns them.
func (r *Reconciler) cover(ctx context.Context, s incident.Stop) (projects []string, err error) {
	all := r.opt.Projects
	if r.opt.Known != nil {
		if all, err = r.opt.Known(ctx); err != nil {
			return nil, err
		}
	}
	for _, project := range all {
		if r.covers(s, project) {
			projects = append(projects, project)
		}
	}
	before, err := r.opt.State.Covered(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	left := slices.DeleteFunc(slices.Clone(projects), func(id string) bool { _, found := slices.BinarySearch(before, id); return found })
	if len(left) > 0 {
		_, err = r.opt.State.Cover(ctx, s.ID, left, r.holdOf(s))
		fault.Point(ctx, "stop-covered")
	}
	return projects, err
}

// covers reports whether a project is one of those that a stop is about.
func (r *Reconciler) covers(s incident.Stop, project string) bool {
	match := r.opt.Match
	if match == nil {
		match = func(pattern, project string) bool { ok, _ := path.Match(pattern, project); return ok }
	}
	return s.About(project, match)
}

// holdOf returns the hold of a stop on a project.
func (r *Reconciler) holdOf(s incident.Stop) func(project string) incident.Hold {
	return func(project string) incident.Hold {
		return incident.Hold{
			ID: pause.NewRandomID(), Project: project, Since: r.opt.Now(), Until: s.Until, Stop: s.ID,
			Note: issuetext.StopNote(project, s, r.opt.Instance, r.HowToResume(project)),
		}
	}
}

// applyAll takes the local steps of projects.
func (r *Reconciler) applyAll(ctx context.Context, projects []string) ([]plan.Action, error) {
	if len(projects) == 0 {
		return nil, nil
	}
	c := r.visitCache()
	if r.opt.Fleet == nil {
		actions, errs := r.forEach(ctx, projects, nil, func(ctx context.Context, project string) ([]plan.Action, error) {
			_, done, err := r.applyLocal(ctx, plan.Observation{Project: project}, c)
			return done, err
		})
		return actions, distinct(errs)
	}
	p, end, err := r.beginPass(ctx, "", c)
	if err != nil {
		return nil, err
	}
	defer end()
	visits, err := p.run(ctx, projects)
	errs := []error{err}
	var actions []plan.Action
	for _, project := range projects {
		if v := visits[project]; v != nil {
			actions, errs = append(actions, v.done...), append(errs, v.notWritten, v.err)
		}
	}
	return actions, distinct(errs)
}

// StopsInForce returns the stops that are in force.
func (r *Reconciler) StopsInForce(ctx context.Context) ([]incident.Stop, error) {
	stops, err := r.opt.State.Stops(ctx)
	return slices.DeleteFunc(stops, func(s incident.Stop) bool { return s.Over(r.opt.Now()) }), err
}

// keepStops finishes what a crash has left of stops, has them cover the projects that have become known, and ends those whose time is over.
// The flags are left to the sweep.
func (r *Reconciler) keepStops(ctx context.Context) error {
	stops, err := r.opt.State.Stops(ctx)
	errs := []error{err}
	for _, s := range stops {
		switch {
		case !s.Ended.IsZero():
		case s.Over(r.opt.Now()):
			_, err = r.opt.State.EndStop(ctx, s.ID, timeOver, r.opt.Now())
			errs = append(errs, err)
			r.opt.Log.Info("stop is over", "what", s.What(), "stop", s.ID)
		default:
			_, err = r.cover(ctx, s)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// KeepStopped has the stops in force cover a project, before anything is run or resumed for it that may have made it known. The flag is
// left to [Reconciler.Local]. It reports whether any stop is about the project; somebody may have resumed it since.
func (r *Reconciler) KeepStopped(ctx context.Context, project string) (stopped bool, err error) {
	stops, err := r.StopsInForce(ctx)
	if err != nil {
		return false, err
	}
	for _, s := range stops {
		if !r.covers(s, project) {
			continue
		}
		if _, err := r.opt.State.Cover(ctx, s.ID, []string{project}, r.holdOf(s)); err != nil {
			return true, err
		}
		stopped = true
	}
	return stopped, nil
}

// StopOfNew returns the note of a stop in force that is about a project and has not covered it yet, because nothing was known of the project. It
// changes nothing.
func (r *Reconciler) StopOfNew(ctx context.Context, project string) (note string, found bool, err error) {
	stops, err := r.StopsInForce(ctx)
	if err != nil {
		return "", false, err
	}
	for _, s := range stops {
		if !r.covers(s, project) {
			continue
		}
		covered, err := r.opt.State.Covered(ctx, s.ID)
		if err != nil {
			return "", false, err
		}
		if _, found := slices.BinarySearch(covered, project); !found {
			return r.holdOf(s)(project).Note, true, nil
		}
	}
	return "", false, nil
}

// StopEnded is what the end of stops did.
type StopEnded struct {
	Resumed     []string // projects that may run
	StillPaused []string // projects that an incident or another stop pauses
	Failed      error    // what the next sweep tries again
}

// EndStops ends stops: it resumes the projects that they still hold, and no other. If lost is set, it also ends the holds of stops that an
// earlier state has lost. The end comes before all else: a stop that was interrupted would pause the rest of its projects first.
func (r *Reconciler) EndStops(ctx context.Context, stops []incident.Stop, lost bool, how string) (out StopEnded, err error) {
	if err := r.checkPauseAlone(ctx); err != nil {
		return out, err
	}
	ids := make([]string, 0, len(stops)+1)
	for _, s := range stops {
		ids = append(ids, s.ID)
	}
	if lost {
		ids = append(ids, "")
	}
	for _, id := range ids {
		ended, err := r.opt.State.EndStop(ctx, id, how, r.opt.Now())
		if err != nil {
			return out, err
		}
		if ended {
			r.opt.Log.Warn("stop ended", "stop", id, "how", how)
		}
	}
	fault.Point(ctx, "stop-ended")
	over, err := r.overdue(ctx)
	if err != nil {
		return out, err
	}
	_, out.Failed = r.applyAll(ctx, over)
	out.Failed = errors.Join(out.Failed, r.endUnseen(ctx))
	r.settleFlags(ctx)
	if lost { // the flags may have told of its stops just now
		if _, err := r.opt.State.EndStop(ctx, "", how, r.opt.Now()); err != nil {
			return out, err
		}
		more, err := r.overdue(ctx)
		if err != nil {
			return out, err
		}
		_, failed := r.applyAll(ctx, more)
		over, out.Failed = slices.Compact(slices.Sorted(slices.Values(append(over, more...)))), errors.Join(out.Failed, failed)
	}
	states, err := r.opt.State.ProjectStates(ctx)
	for _, project := range over {
		if states[project].Pause().ID == "" {
			out.Resumed = append(out.Resumed, project)
		} else {
			out.StillPaused = append(out.StillPaused, project)
		}
	}
	return out, err
}

// endUnseen ends the holds of stops that are over where this host of a fleet cannot tell which flags it has: the others do the same soon.
func (r *Reconciler) endUnseen(ctx context.Context) error {
	if r.opt.Fleet == nil || r.CheckPause(ctx) == nil {
		return nil
	}
	holds, err := r.opt.State.Holds(ctx)
	errs := []error{err}
	for _, h := range holds {
		if h.Stop != "" && h.Until.Equal(incident.AtOnce) {
			v := localVisit{Observation: plan.Observation{Project: h.Project, Hold: &h}}
			errs = append(errs, r.endHold(ctx, &v, plan.Action{Project: h.Project, Why: plan.StopOver}))
		}
	}
	return errors.Join(errs...)
}

// overdue returns the projects with a hold whose time is over.
func (r *Reconciler) overdue(ctx context.Context) (projects []string, err error) {
	holds, err := r.opt.State.Holds(ctx)
	for _, h := range holds {
		if h.Over(r.opt.Now()) {
			projects = append(projects, h.Project)
		}
	}
	return projects, err
}

// EndOverdue ends the holds whose time is over, as the next sweep would.
func (r *Reconciler) EndOverdue(ctx context.Context) error {
	over, err := r.overdue(ctx)
	if err == nil {
		_, err = r.applyAll(ctx, over)
	}
	return err
}

// endHold ends a hold whose time is over. A stop that is in force goes on with it. The flag is removed after that: the plan knows whose it is.
func (r *Reconciler) endHold(ctx context.Context, v *localVisit, a plan.Action) error {
	end := incident.Resumption{Project: a.Project, Pause: v.Hold.ID, How: a.Why, At: r.opt.Now()}
	how, err := r.opt.State.EndHold(ctx, end, func(stops []incident.Stop) *incident.Hold {
		for _, s := range stops {
			if r.covers(s, a.Project) {
				h := r.holdOf(s)(a.Project)
				return &h
			}
		}
		return nil
	})
	if err == nil && how != incident.HoldNotEnded {
		r.opt.Log.Info("a pause by hand is over", "project", a.Project, "pause", end.Pause, "why", a.Why, "project_is", string(how))
	}
	fault.Point(ctx, "hold-ended")
	return err
}
