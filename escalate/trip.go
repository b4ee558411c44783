package escalate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/pause"
)

// Escalate does everything that is due for one project: local steps, then those in the tracker. It lists no issues, so it
// knows only those that the state knows.
func (r *Reconciler) Escalate(ctx context.Context, project string) ([]plan.Action, error) {
	_, done, err := r.Local(ctx, project)
	v := &visit{project: project, cache: r.visitCache(), wait: claimWait, follow: true}
	err2 := r.track(ctx, v)
	return append(done, v.done...), errors.Join(err, err2)
}

// Tripped is what a trip did.
type Tripped struct {
	Incident incident.Incident // as it is stored now
	Issue    tracker.IssueRef  // that carries it, its own or another incident's; zero: none yet
	Flag     incident.FlagView // as it was seen last
}

// Trip escalates an incident that has just been stored, with its evidence: it writes the pause flag, then opens the issue.
// A step that fails is left to the next sweep, which looks for what a crash may have left. That the flag is on disk is
// stored before the first request and before the claim on the issue, so a request that hangs never delays a flag.
func (r *Reconciler) Trip(ctx context.Context, i incident.Incident) (Tripped, error) {
	c := r.visitCache()
	flag, _, err := r.applyTrip(ctx, i.Project, c)
	if err != nil && r.opt.Fleet != nil && flag.State != incident.FlagThere {
		flag, err = r.flagAlone(ctx, i, flag, err)
	}
	v := &visit{project: i.Project, cache: c, wait: r.opt.Timeout, fresh: &i, flag: flag, follow: true}
	err = errors.Join(err, r.track(ctx, v))
	issue, err2 := r.issueOf(ctx, i)
	return Tripped{Incident: i, Issue: issue, Flag: v.flag}, errors.Join(err, err2)
}

// flagAlone writes the flag of an incident that the state has stored, and cannot be asked about now. A pass confirms or removes it later.
// It returns the flag as it was seen last.
func (r *Reconciler) flagAlone(ctx context.Context, i incident.Incident, flag incident.FlagView, cause error) (incident.FlagView, error) {
	p, end, err := r.beginPass(context.WithoutCancel(ctx), i.Project, r.visitCache())
	if err != nil {
		return flag, cause
	}
	defer end()
	if p.checkSentinel(ctx) != nil {
		return flag, cause
	}
	mark := issuetext.Mark{Pause: incident.Pause{ID: i.ID, Generation: i.Generation}, Written: r.opt.Now().UTC().Truncate(time.Second)}
	created, err := p.folder.Write(i.Project, issuetext.FlagNote(i, r.HowToResume(i.Project), mark), mark.Written)
	if created {
		r.opt.Log.Info("pause flag written, without asking the state", "project", i.Project, "flag", r.opt.Dir.FlagPath(i.Project))
	}
	return p.view(ctx, i.Project), errors.Join(cause, err)
}

// Open stores a fresh incident, as the caller's breaker has tripped, and escalates it as [Reconciler.Trip] does. Project is
// required; ID and Opened are filled in where they are zero. A project with an open incident gets no other
// ([incident.ErrOpenIncident]).
func (r *Reconciler) Open(ctx context.Context, i incident.Incident) (Tripped, error) {
	if err := pause.CheckID(i.Project); err != nil {
		return Tripped{}, err
	}
	if i.ID == "" {
		i.ID = pause.NewRandomID()
	}
	if !pause.IsRandomID(i.ID) {
		return Tripped{}, fmt.Errorf("incident id %q is no id: leave it empty, or make one with pause.NewRandomID", i.ID)
	}
	if i.Opened.IsZero() {
		i.Opened = r.opt.Now().UTC()
	}
	stored, err := r.opt.State.Insert(ctx, i)
	if err != nil {
		return Tripped{}, err
	}
	stored.Evidence = i.Evidence
	return r.Trip(ctx, stored)
}
