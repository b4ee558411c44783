package escalate

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/fault"
)

// The issue of an incident may carry others of the same cause. All that is done in it is done for the one that leads, under the claim on
// the issue of its project. Who joins or resumes goes there next: one edit says all that is due by then.

func (r *Reconciler) storm() plan.Storm {
	return plan.Storm{Window: r.opt.StormWindow, Repo: r.targetRepo}
}

// claimError means that somebody else works on the project's issue.
type claimError struct{ error }

func (e claimError) Unwrap() error { return e.error }

// trackLead visits the project of an incident whose issue carries one of another project. If somebody is at work there, they or the next
// sweep do what is left.
func (r *Reconciler) trackLead(ctx context.Context, from *visit, project string) error {
	v := &visit{project: project, cache: from.cache, wait: claimWait}
	o, err := r.observeIssue(ctx, v)
	if err != nil || slices.ContainsFunc(o.Incidents, r.isTripping) || len(untried(r.next(ctx, o), nil)) == 0 {
		return err
	}
	err = r.trackProject(ctx, v)
	from.done = append(from.done, v.done...)
	var claimed claimError
	if errors.As(err, &claimed) {
		return nil
	}
	return err
}

// tripTime is how long a process takes at most from a trip to its flag. After that a sweep does what is left.
const tripTime = 10 * time.Second

// isTripping reports whether the process in which a project trips has yet to write its flag. It opens the issue then, which would say NOT
// PAUSED if another one did that now.
func (r *Reconciler) isTripping(i incident.Incident) bool {
	return i.IsOpen() && i.FlagWritten.IsZero() && i.FlagError == "" && i.Issue.IsZero() && r.opt.Now().Sub(i.Opened).Abs() < tripTime
}

// issueOf returns the issue that carries an incident.
func (r *Reconciler) issueOf(ctx context.Context, i incident.Incident) (tracker.IssueRef, error) {
	if i.Lead == "" {
		return i.Issue, nil
	}
	found, err := r.opt.State.Incidents(ctx, i.Lead)
	if err != nil || len(found) == 0 {
		return tracker.IssueRef{}, err
	}
	return found[0].Issue, nil
}

// othersOpen reports whether the issue carries another incident that is open.
func (s *step) othersOpen() bool {
	return slices.ContainsFunc(s.carried, func(m incident.Incident) bool { return m.ID != s.incident.ID && m.IsOpen() })
}

// carriesMore reports whether the issue of an incident that has ended carries one that is paused, or one that has not joined it according
// to the state: that was lost, or is a copy from before.
func (r *Reconciler) carriesMore(ctx context.Context, i incident.Incident, issue tracker.Issue) (bool, error) {
	var ids []string
	for _, m := range issue.Members {
		if m.Incident != i.ID {
			ids = append(ids, m.Incident)
		}
	}
	found, err := r.opt.State.Incidents(ctx, ids...)
	goesOn := slices.ContainsFunc(found, func(m incident.Incident) bool {
		return m.Lead == i.ID && m.IsOpen() || isJoining(m)
	})
	return goesOn || len(found) < len(ids), err
}

// endComment says how the incident ended, or all that it leads.
func (s *step) endComment(key string) string {
	switch {
	case s.incident.IsSilent():
		return issuetext.SilenceEndedComment(key, s.incident)
	case s.incident.Leads():
		return issuetext.AllResumedComment(key, s.carried)
	}
	return issuetext.ResumedComment(key, s.incident)
}

// join has the issue of another incident of the same cause carry this one, if there is one. Where the state may be older than an issue
// that carries it already, that is looked for first.
func (r *Reconciler) join(ctx context.Context, s *step) (progress, error) {
	if over, err := r.awaitAttempt(ctx, s.incident); !over || err != nil {
		return later, err
	}
	if s.fresh == nil || !s.incident.Create.At.IsZero() {
		found, ok, err := r.findIssue(ctx, s.incident, r.targetRepo(s.incident), s.cache)
		switch {
		case err != nil:
			return later, r.failed(ctx, s.incident, err)
		case ok:
			return r.adoptIssue(ctx, s, found)
		}
	}
	if s.incident.Lead != "" { // nothing is left of the one whose issue carried it
		if err := r.leaveLead(ctx, nil, s.action); err != nil {
			return later, err
		}
	}
	i, err := r.opt.State.Join(ctx, s.incident.ID, r.storm().Choose)
	fault.Point(ctx, "joined")
	if err != nil || i.Lead == "" {
		return later, err
	}
	if s.fresh != nil {
		evidence := s.fresh.Evidence
		*s.fresh = i
		s.fresh.Evidence = evidence
	}
	return complete, r.joinedLead(ctx, s, i)
}

// joinAgain has an incident join the issue that carries it already. If that is closed, it is reopened for it; then its lead has to be known.
func (r *Reconciler) joinAgain(ctx context.Context, s *step, issue tracker.Issue) (progress, error) {
	lead := issue.Marker.Incident
	known, err := r.opt.State.Incidents(ctx, lead)
	switch {
	case err != nil:
		return later, err
	case len(known) > 0:
	case issue.Open && s.incident.Lead == lead: // its project's sweep rebuilds it
		return later, nil
	case !issue.Open:
		if rebuilt, err := r.rebuildLead(ctx, issue); !rebuilt {
			return later, err
		}
	}
	if err := r.addMember(ctx, lead, s.incident); err != nil {
		return later, err
	}
	i, err := r.opt.State.Change(ctx, s.incident.ID, func(i *incident.Incident) {
		if i.Issue.IsZero() && !i.Leads() {
			i.JoinLead(lead)
		}
	})
	if err != nil || i.Lead == "" {
		return later, err
	}
	return changed, r.joinedLead(ctx, s, i)
}

// rebuildLead stores the lead of a closed issue that the state lost. One whose flag is here is rebuilt from that, by its project's sweep.
func (r *Reconciler) rebuildLead(ctx context.Context, issue tracker.Issue) (bool, error) {
	m := issue.Marker
	state, err := r.opt.State.ProjectState(ctx, m.Project)
	if err != nil {
		return false, err
	}
	flag := r.Look(ctx, m.Project)
	if flag.State == incident.FlagUnknown || flag.Info.Incident == m.Incident && state.Pause().ID == "" {
		return false, flag.Err
	}
	i, err := r.opt.State.Insert(ctx, plan.RebuiltLead(issue, r.opt.Now().UTC()))
	if err != nil {
		return false, err
	}
	r.opt.Log.Warn("incident rebuilt", "project", i.Project, "incident", i.Name(), "issue", issue.String(), "why", "the state does not know it, and its issue carries one that is paused")
	return true, nil
}

// joinedLead notes what has to be done in the issue for an incident that has joined it: its labels and assignees are added.
func (r *Reconciler) joinedLead(ctx context.Context, s *step, i incident.Incident) error {
	found, err := r.opt.State.Incidents(ctx, i.Lead)
	if err != nil || len(found) == 0 {
		return err
	}
	lead := found[0]
	r.opt.Log.Info("incident joined the issue of another one", "project", i.Project, "incident", i.Name(), "lead", lead.Name(), "issue", lead.Issue.String())
	s.cache.addJoined(lead.Project)
	has, wants := r.opt.Target(lead.Project), r.opt.Target(i.Project)
	if len(without(r.labelsOf(i), r.labelsOf(lead))) == 0 && len(without(wants.Assignees, has.Assignees)) == 0 {
		return nil
	}
	_, err = r.opt.State.Change(ctx, i.ID, func(i *incident.Incident) { i.Incomplete = true })
	return err
}

// addMember adds an incident to the list of the one whose issue carries it already, if the state knows that.
func (r *Reconciler) addMember(ctx context.Context, lead string, i incident.Incident) error {
	found, err := r.opt.State.Incidents(ctx, lead)
	if err != nil || len(found) == 0 {
		return err
	}
	_, err = r.opt.State.Change(ctx, lead, func(l *incident.Incident) {
		r.addTold(l, i.ID)
		l.Settled = l.Settled && !i.IsOpen()
	})
	return err
}

// addTold adds incidents to the list of a lead whose issue tells of them.
func (r *Reconciler) addTold(lead *incident.Incident, ids ...string) {
	for _, id := range ids {
		lead.AddMember(id, time.Time{})
	}
	for n, m := range lead.Members {
		if slices.Contains(ids, m.ID) && m.Told.IsZero() {
			lead.Members[n].Told = r.opt.Now().UTC()
		}
	}
}

// leaveLead lets an incident get an issue of its own.
func (r *Reconciler) leaveLead(ctx context.Context, _ *localVisit, a plan.Action) error {
	_, err := r.opt.State.Change(ctx, a.Incident, func(i *incident.Incident) { i.Lead = "" })
	if err == nil {
		r.opt.Log.Warn("the incident gets an issue of its own", "project", a.Project, "incident", a.Name, "why", a.Why)
	}
	return err
}

// withEvidence is how many of those who have joined are shown with the end of their output.
const withEvidence = 2

// sharedData collects what an issue has to say of those that it carries; nothing if it carries one.
func (r *Reconciler) sharedData(ctx context.Context, lead incident.Incident, issue tracker.Issue) (issuetext.SharedData, error) {
	d := issuetext.SharedData{
		Installation: r.opt.Installation, Lead: lead,
		Status: r.runAs() + "adfbot status" + r.opt.ConfigFlag, InGitea: r.operable(),
	}
	if lead.Continues != "" {
		before, err := r.opt.State.Incidents(ctx, lead.Continues)
		if err != nil {
			return d, err
		}
		if len(before) > 0 && !before[0].Issue.IsZero() {
			d.Continues = &before[0].Issue
		}
	}
	found, err := r.opt.State.Incidents(ctx, lead.MemberIDs()...)
	if err != nil {
		return d, err
	}
	known := map[string]incident.Incident{}
	for _, m := range found {
		known[m.ID] = m
	}
	for _, id := range lead.MemberIDs() {
		m, ok := known[id]
		if kept, carried := issue.MarkerOf(id); !ok && carried {
			d.Kept = append(d.Kept, kept)
		}
		if ok && (id == lead.ID || m.Lead == lead.ID) { // else it has an issue of its own by now
			d.Members = append(d.Members, issuetext.SharedMember{Incident: m, Resume: r.HowToResume(m.Project).Command})
		}
	}
	d.Place = map[string]int{lead.ID: -len(issue.Members) - 1} // the lead first, then as they stand in the issue, then new ones
	for n, m := range issue.Members {
		d.Place[m.Incident] = n - len(issue.Members)
	}
	slices.SortStableFunc(d.Members, func(a, b issuetext.SharedMember) int {
		return cmp.Or(cmp.Compare(d.Place[a.ID], d.Place[b.ID]), a.Opened.Compare(b.Opened))
	})
	for n := range d.Members[:min(len(d.Members), 1+withEvidence)] {
		m := &d.Members[n]
		if m.Evidence, err = r.opt.State.Evidence(ctx, m.ID); err != nil {
			return d, err
		}
		if m.ID == lead.ID {
			d.Lead.Evidence = m.Evidence
		}
	}
	return d, nil
}

// withMembers adds the part about all that it carries to a new issue.
func (r *Reconciler) withMembers(n tracker.NewIssue, d issuetext.SharedData) tracker.NewIssue {
	if len(d.Members) > 1 || d.Continues != nil {
		n.Body = r.opt.Composer.Share(n.Body, d)
	}
	return n
}

// setShown notes what an issue says by now.
func (r *Reconciler) setShown(i *incident.Incident, listed []issuetext.SharedMember) {
	if len(listed) < 2 {
		return
	}
	i.Members, i.Edited = slices.Clone(i.Members), r.opt.Now().UTC()
	for _, m := range listed {
		for n := range i.Members {
			if i.Members[n].ID == m.ID {
				i.Members[n].Show(m.Shows(), i.Edited)
			}
		}
	}
}

// showMembers writes whom the issue carries, and how it is with them.
func (r *Reconciler) showMembers(ctx context.Context, s *step) (progress, error) {
	issue, is, err := r.readIssue(ctx, s.cache, s.incident)
	switch {
	case err != nil:
		return later, r.failed(ctx, s.incident, err)
	case is != plan.IssueOpen:
		return later, nil // a sweep looks who has closed it
	}
	if err := r.begin(ctx, s.incident); err != nil {
		return later, err
	}
	switch err := r.writeMembers(ctx, s, issue); {
	case errors.Is(err, errNotJoined):
		return later, nil
	case err != nil:
		return later, r.failed(ctx, s.incident, err)
	}
	return changed, nil
}

// errNotJoined means that the issue carries an incident which has no issue according to the state, and has not joined this one yet.
var errNotJoined = errors.New("the issue carries an incident that is about to join it")

// writeMembers edits the issue and stores what it says then. It may be done again at any time: where nothing has changed it writes
// nothing.
func (r *Reconciler) writeMembers(ctx context.Context, s *step, issue tracker.Issue) error {
	lead, err := r.withCarried(ctx, s.incident, issue)
	if err != nil {
		return err
	}
	if lead, err = r.unlist(ctx, lead, issue); err != nil {
		return err
	}
	d, err := r.sharedData(ctx, lead, issue)
	if err != nil {
		return err
	}
	title := r.opt.Composer.SharedTitle(lead, d.Others())
	ours := false
	edit := func(t tracker.Text) tracker.Text {
		if ours = t.Title == title || r.opt.Composer.IsTitle(t.Title, lead); ours {
			t.Title = title
		}
		t.Body = r.opt.Composer.Share(t.Body, d)
		return t
	}
	fault.Point(ctx, "show-begun")
	err = r.opt.Tracker.EditText(ctx, lead.Issue, edit)
	if (tracker.IsPermanent(err) || tracker.RefusalOf(err) == tracker.OfWay) && !d.Brief {
		r.opt.Log.Warn("Gitea refuses the text, so a shorter one is tried", "issue", lead.Issue.String(), "err", err)
		d.Brief = true
		err = r.opt.Tracker.EditText(ctx, lead.Issue, edit)
	}
	fault.Point(ctx, "shown")
	if err != nil {
		return err
	}
	return r.saveShown(context.WithoutCancel(ctx), lead, d, title, ours)
}

// saveShown stores what the issue says, and settles those whose end it shows.
func (r *Reconciler) saveShown(ctx context.Context, lead incident.Incident, d issuetext.SharedData, title string, ours bool) error {
	listed := map[string]bool{}
	for _, m := range d.Members {
		listed[m.ID] = true
	}
	for _, m := range d.Kept {
		listed[m.Incident] = true
	}
	err := r.saveDone(ctx, lead, func(i *incident.Incident) {
		i.Members = slices.DeleteFunc(slices.Clone(i.Members), func(m incident.Member) bool {
			return !listed[m.ID] && slices.ContainsFunc(lead.Members, func(was incident.Member) bool { return was.ID == m.ID })
		})
		r.setShown(i, d.Members)
		if i.Edited = r.opt.Now().UTC(); ours {
			i.Title = title
		}
	})
	fault.Point(ctx, "shown-noted")
	for _, m := range d.Members {
		if err == nil && m.ID != lead.ID && !m.IsOpen() && !m.Settled {
			_, err = r.opt.State.Change(ctx, m.ID, func(i *incident.Incident) { i.Settled = !i.IsOpen() && i.Lead == lead.ID })
		}
	}
	return err
}

// isJoining reports whether an incident that an issue carries is about to join it again: a state that was lost is being rebuilt.
func isJoining(i incident.Incident) bool { return i.Lead == "" && i.Issue.IsZero() && !i.Settled }

// withCarried adds to the list of a lead those that its issue carries although the list lacks them: the state is an older copy.
func (r *Reconciler) withCarried(ctx context.Context, lead incident.Incident, issue tracker.Issue) (incident.Incident, error) {
	var missing []string
	for _, m := range issue.Members {
		if !slices.Contains(lead.MemberIDs(), m.Incident) {
			missing = append(missing, m.Incident)
		}
	}
	found, err := r.opt.State.Incidents(ctx, slices.Concat(missing, lead.MemberIDs())...)
	if err != nil {
		return lead, err
	}
	for _, m := range found {
		if m.ID != lead.ID && isJoining(m) {
			return lead, errNotJoined
		}
		missing = slices.DeleteFunc(missing, func(id string) bool { return id == m.ID && m.Lead != lead.ID })
	}
	if len(missing) == 0 {
		return lead, nil
	}
	return r.opt.State.Change(ctx, lead.ID, func(i *incident.Incident) { r.addTold(i, missing...) })
}

// unlist notes whom the issue of an incident has forgotten. It was read after the incident was: if somebody has written the list meanwhile,
// nothing is known.
func (r *Reconciler) unlist(ctx context.Context, lead incident.Incident, issue tracker.Issue) (incident.Incident, error) {
	if lead.Lists(issue) {
		return lead, nil
	}
	return r.opt.State.Change(ctx, lead.ID, func(i *incident.Incident) {
		if i.Edited.Equal(lead.Edited) {
			i.Unlist(issue)
		}
	})
}

// tellJoined comments on those who have joined since the last such comment.
func (r *Reconciler) tellJoined(ctx context.Context, s *step) (progress, error) {
	_, is, err := r.readIssue(ctx, s.cache, s.incident)
	switch {
	case err != nil:
		return later, r.failed(ctx, s.incident, err)
	case is != plan.IssueOpen:
		return later, nil
	}
	var at time.Time
	var begun bool
	if s.incident, err = r.opt.State.Change(ctx, s.incident.ID, func(i *incident.Incident) { at, begun = r.beginTelling(i) }); err != nil {
		return later, err
	}
	fault.Point(ctx, "tell-begun")
	told := map[string]bool{}
	for _, m := range s.incident.Members {
		told[m.ID] = m.Told.Equal(at)
	}
	joined := slices.DeleteFunc(slices.Clone(s.carried[1:]), func(m incident.Incident) bool { return !told[m.ID] })
	key := incident.JoinedKey(s.incident, at)
	p, err := r.commentOnce(ctx, s, s.incident.Issue, key, issuetext.JoinedComment(key, joined, s.carried))
	if p, err = r.deferOrFail(ctx, s.incident, p, err); begun && p == complete && err == nil {
		return unfinished, nil // others may have joined since
	}
	return p, err
}

// beginTelling returns which comment is to be written: one that was begun before, or a new one about all in the list of whom none has told.
func (r *Reconciler) beginTelling(i *incident.Incident) (at time.Time, begun bool) {
	for _, m := range i.Members[1:] {
		if c, begun := i.Comments[incident.JoinedKey(*i, m.Told)]; begun && !c.Done {
			return m.Told, true
		}
	}
	now := r.opt.Now().UTC().Truncate(time.Millisecond)
	i.Members = slices.Clone(i.Members)
	for n := range i.Members {
		if m := &i.Members[n]; m.Told.IsZero() && m.Shown != incident.NotShown {
			m.Told = now
		}
	}
	if i.Comments == nil {
		i.Comments = map[string]incident.Comment{}
	}
	i.Comments[incident.JoinedKey(*i, now)] = incident.Comment{}
	return now, false
}

// resumeMembers ends those that a closed issue carries, as far as the closing can mean them.
func (r *Reconciler) resumeMembers(ctx context.Context, s *step, closing incident.Closing) (progress, error) {
	var errs []error
	for _, m := range s.carried {
		if plan.Resumes(closing, s.incident, m) {
			errs = append(errs, r.endClosed(ctx, s.incident, m, closing))
		}
	}
	found, err := r.opt.State.Incidents(ctx, s.incident.MemberIDs()...)
	if err := errors.Join(append(errs, err)...); err != nil {
		return later, err
	}
	s.carried = found
	if slices.ContainsFunc(found, incident.Incident.IsOpen) { // they were paused or listed later: the issue has to be open
		closing.Early = true
		closing.Unlisted = !slices.ContainsFunc(found, func(m incident.Incident) bool { return m.IsOpen() && s.incident.ListedBefore(m.ID, closing.At) })
		s.cache.closings.set(keyOf(s.incident), closing)
		return changed, nil
	}
	issue, _, err := r.readIssue(ctx, s.cache, s.incident)
	if err != nil {
		return later, r.failed(ctx, s.incident, err)
	}
	if goesOn, err := r.carriesMore(ctx, s.incident, issue); goesOn || err != nil {
		return changed, err
	}
	key := incident.ResumedKey(s.incident)
	if found, err = r.opt.State.Incidents(ctx, s.incident.ID); err != nil || len(found) == 0 {
		return later, err
	}
	s.incident = found[0]
	if p, err := r.commentOnce(ctx, s, s.incident.Issue, key, s.endComment(key)); p != complete || err != nil {
		return p, err
	}
	return changed, nil
}
