package escalate

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/fault"
)

// isOurs reports whether an issue was written by one of our accounts and carries this installation's marker.
func (r *Reconciler) isOurs(ours identity, i tracker.Issue) bool {
	return ours.has(tracker.Account{ID: i.AuthorID, Login: i.Author}) && i.Marker.Installation == r.opt.Installation
}

// observe reads everything about one project: its state, its flag by look and, from the cache, its issues.
func (r *Reconciler) observe(ctx context.Context, project string, c *sweepCache, look func(context.Context, string) incident.FlagView) (plan.Observation, error) {
	fault.Count(ctx, "observation")
	open := r.projectIssues(c, project)
	state, err := r.opt.State.ProjectState(ctx, project)
	if err != nil {
		return plan.Observation{}, err
	}
	flag := look(ctx, project)
	known, err := r.knownIncidents(ctx, append(markersOf(open), flag.Info.Incident), state.Unsettled, state.Silent)
	if err != nil {
		return plan.Observation{}, err
	}
	return r.observation(project, c, flag, state, open, known), nil
}

// next plans what is due.
func (r *Reconciler) next(ctx context.Context, o plan.Observation) []plan.Action {
	fault.Count(ctx, "plan")
	return plan.Next(o)
}

func markersOf(issues []tracker.Issue) []string {
	var ids []string
	for _, i := range issues {
		for _, m := range i.Markers() {
			ids = append(ids, m.Incident)
		}
	}
	return ids
}

// inAll yields the incidents of some lists. They are large: it copies none.
func inAll(lists ...[]incident.Incident) iter.Seq[*incident.Incident] {
	return func(yield func(*incident.Incident) bool) {
		for _, list := range lists {
			for n := range list {
				if !yield(&list[n]) {
					return
				}
			}
		}
	}
}

// knownIncidents returns the incidents that were read already, those that they lead or are led by, and those of the given ids that exist.
func (r *Reconciler) knownIncidents(ctx context.Context, ids []string, have ...[]incident.Incident) (map[string]incident.Incident, error) {
	known := map[string]incident.Incident{}
	for i := range inAll(have...) {
		known[i.ID] = *i
		ids = append(append(ids, i.Lead), i.MemberIDs()...)
	}
	var missing []string
	for _, id := range ids {
		if _, ok := known[id]; !ok && id != "" && !slices.Contains(missing, id) {
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return known, nil
	}
	more, err := r.opt.State.Incidents(ctx, missing...)
	for _, i := range more {
		known[i.ID] = i
	}
	return known, err
}

// observation joins what was read.
func (r *Reconciler) observation(project string, c *sweepCache, flag incident.FlagView, state incident.ProjectState, open []tracker.Issue,
	known map[string]incident.Incident) plan.Observation {
	o := plan.Observation{
		Now: r.opt.Now(), Project: project, Flag: flag, Hold: state.Hold, Incidents: slices.Clip(state.Unsettled), Silent: slices.Clip(state.Silent), Open: open,
		Confirmed: state.Confirmed, Generation: state.Generation, Fleet: r.opt.Fleet != nil, Unpaused: c.unpaused,
		Others: map[string]incident.Incident{}, Joins: r.opt.StormWindow > 0,
		Issues: map[string]plan.IssueState{}, Closings: map[string]incident.Closing{}, Force: c.force,
		Known: func(id string) bool { _, ok := known[id]; return ok },
	}
	if id := flag.Info.Incident; id != "" && !o.Known(id) && r.opt.Unstored != nil {
		o.Unstored = r.opt.Unstored(project)
	}
	have := map[string]bool{}
	for i := range inAll(state.Unsettled, state.Silent) {
		have[i.ID] = true
	}
	for _, i := range open {
		for _, m := range i.Markers() {
			if k, ok := known[m.Incident]; ok && k.Project == project && !have[k.ID] {
				have[k.ID] = true
				if k.IsSilent() {
					o.Silent = append(o.Silent, k)
				} else {
					o.Incidents = append(o.Incidents, k)
				}
			}
		}
	}
	for i := range inAll(o.Incidents) {
		for _, id := range append(i.MemberIDs(), i.Lead) {
			if k, ok := known[id]; ok {
				o.Others[id] = k
			}
		}
	}
	r.observeAssignees(&o, c)
	for i := range inAll(o.Incidents, o.Silent) {
		o.Issues[i.ID] = r.cachedState(c, *i)
		// An issue that is seen open has no closing any more.
		if closing, ok := c.closings.get(keyOf(*i)); ok && o.Issues[i.ID] == plan.IssueClosed {
			o.Closings[i.ID] = closing
		}
	}
	return o
}

// cachedState returns what the cache knows of an incident's issue. It makes no request.
func (r *Reconciler) cachedState(c *sweepCache, i incident.Incident) plan.IssueState {
	if i.Issue.IsZero() {
		return plan.IssueUnknown
	}
	if s, ok := c.states.get(keyOf(i)); ok {
		return s
	}
	l, ok := c.open.get(i.Issue.Repo)
	ours, _ := c.identity()
	if !ok || l.err != nil || !ours.known() {
		return plan.IssueUnknown
	}
	n, listed := l.ofNumber[i.Issue.Number]
	if !listed {
		return plan.IssueUnknown
	}
	if d := l.issues[n]; d.ID == i.Issue.ID && r.isOurs(ours, d) && d.Carries(i.ID) {
		return plan.IssueOpen
	}
	return plan.IssueLost
}

// projectIssues returns a project's open issues that are ours, in every repository that was listed.
func (r *Reconciler) projectIssues(c *sweepCache, project string) []tracker.Issue {
	var out []tracker.Issue
	lists := c.open.all()
	ours, _ := c.identity()
	for _, repo := range slices.SortedFunc(maps.Keys(lists), func(a, b tracker.Repo) int { return strings.Compare(a.String(), b.String()) }) {
		l := lists[repo]
		for _, n := range l.ofProject[project] {
			if i := l.issues[n]; r.isOurs(ours, i) {
				out = append(out, i)
			}
		}
	}
	return out
}

// readMissing reads the issues of incidents that have to be open and are not in the list of open ones: they were closed or deleted.
func (r *Reconciler) readMissing(ctx context.Context, c *sweepCache, incidents []incident.Incident, known map[string]incident.Incident) error {
	var errs []error
	for _, i := range incidents {
		l, ok := c.open.get(i.Issue.Repo)
		open := func(id string) bool { m, ok := known[id]; return ok && m.IsOpen() }
		if !i.IsOpen() && !slices.ContainsFunc(i.MemberIDs(), open) || i.Issue.IsZero() || !ok {
			continue
		}
		err := r.saveListError(ctx, c, i, l.err)
		if err == nil && l.err == nil && r.cachedState(c, i) == plan.IssueUnknown {
			err = r.readClosed(ctx, c, i)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", i.Name(), err))
		}
	}
	return errors.Join(errs...)
}

// readClosed reads an issue that is not among the open ones, and who closed it. While that is not known the issue's state
// stays unknown: it may be an order to resume, or none.
func (r *Reconciler) readClosed(ctx context.Context, c *sweepCache, i incident.Incident) error {
	issue, s, err := r.readIssue(ctx, c, i)
	if err != nil {
		return err
	}
	if s == plan.IssueClosed {
		if !c.dry { // who closed it has not seen whom it does not list
			if _, err := r.unlist(ctx, i, issue); err != nil {
				return err
			}
		}
		if known, err := r.readClosing(ctx, c, i); err != nil || !known {
			return err
		}
	}
	c.setState(i, s)
	return nil
}

// getIssue reads an issue and reports whether it was deleted. Gitea answers alike, with 404, for a deleted issue and for
// every issue of a repository that is missing or whose issues are disabled. So after a 404 it checks that issues can be
// read there, and asks once more.
func (r *Reconciler) getIssue(ctx context.Context, repo tracker.Repo, number int64) (issue tracker.Issue, deleted bool, err error) {
	notFound := func() bool {
		return tracker.IsStatus(err, http.StatusNotFound) || tracker.IsStatus(err, http.StatusGone)
	}
	if issue, err = r.opt.Tracker.Get(ctx, repo, number); !notFound() {
		return issue, false, err
	}
	if err = r.opt.Tracker.Readable(ctx, repo); err != nil {
		return tracker.Issue{}, false, err
	}
	if issue, err = r.opt.Tracker.Get(ctx, repo, number); notFound() {
		return tracker.Issue{}, true, nil
	}
	return issue, false, err
}

// readIssue reads an incident's issue before a write, and checks that it is still ours.
func (r *Reconciler) readIssue(ctx context.Context, c *sweepCache, i incident.Incident) (tracker.Issue, plan.IssueState, error) {
	issue, deleted, err := r.getIssue(ctx, i.Issue.Repo, i.Issue.Number)
	if deleted {
		return tracker.Issue{}, plan.IssueLost, nil
	}
	if err != nil {
		return tracker.Issue{}, plan.IssueUnknown, err
	}
	ours, err := r.identity(ctx, c)
	if err != nil {
		return tracker.Issue{}, plan.IssueUnknown, err
	}
	if issue.ID != i.Issue.ID || !r.isOurs(ours, issue) || !issue.Carries(i.ID) {
		return issue, plan.IssueLost, nil
	}
	return issue, stateOf(issue), nil
}

func stateOf(i tracker.Issue) plan.IssueState {
	if i.Open {
		return plan.IssueOpen
	}
	return plan.IssueClosed
}
