package escalate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// pass is what one sweep has read of Gitea. The issues were listed before the state is read, so that an issue of an
// incident that is unknown then was not made in between: an incident is in the state before its issue is made.
type pass struct {
	force bool
	dry   bool // nothing may be written, not even what was learnt

	mu       sync.Mutex     // never held across a request
	accounts map[int64]bool // user ids under which this installation writes or wrote; replaced, never changed
	open     map[tracker.Repo]listed
	all      map[tracker.Repo]listed
	turns    map[tracker.Repo]chan struct{} // holds one token: who has it may list everything in the repository
	states   map[sight]plan.IssueState      // from single reads and from our own writes
	labels   map[tracker.Repo]map[string]int64
	wrote    tracker.Account // who wrote last, as the state knows it

	ops      *roll                      // who may give orders; nil: nobody
	closings map[sight]incident.Closing // see closing.go
}

func newPass(opt SweepOptions) *pass {
	return &pass{force: opt.Force, dry: opt.DryRun, accounts: map[int64]bool{}, open: map[tracker.Repo]listed{}, all: map[tracker.Repo]listed{},
		turns: map[tracker.Repo]chan struct{}{}, states: map[sight]plan.IssueState{}, labels: map[tracker.Repo]map[string]int64{}}
}

type listed struct {
	issues []tracker.Issue
	err    error
	begun  time.Time
}

func (p *pass) list(repo tracker.Repo) (listed, bool) {
	if p == nil {
		return listed{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l, ok := p.open[repo]
	return l, ok
}

func (p *pass) ids() map[int64]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accounts
}

// know adds accounts to those whose issues are ours.
func (p *pass) know(ids map[int64]bool) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	more := maps.Clone(p.accounts)
	maps.Copy(more, ids)
	p.accounts = more
}

// turn waits until nobody else lists everything in the repository: one list serves all projects of a pass.
func (p *pass) turn(ctx context.Context, repo tracker.Repo) (done func(), err error) {
	p.mu.Lock()
	c, ok := p.turns[repo]
	if !ok {
		c = make(chan struct{}, 1)
		p.turns[repo] = c
	}
	p.mu.Unlock()
	select {
	case c <- struct{}{}:
		return func() { <-c }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// writer tells who wrote last in this pass; the zero account where that is not known.
func (p *pass) writer() tracker.Account {
	if p == nil {
		return tracker.Account{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wrote
}

func (p *pass) setWriter(a tracker.Account) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wrote = a
}

// labelsOf are the ids of a repository's labels, as far as this pass has asked the state.
func (p *pass) labelsOf(repo tracker.Repo) map[string]int64 {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.labels[repo]
}

// setLabels keeps them, or forgets them where ids is nil. They are never changed.
func (p *pass) setLabels(repo tracker.Repo, ids map[string]int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.labels[repo] = ids
}

// sight is what was looked at: an incident's issue. What was seen of it says nothing of the one that replaces it, which
// another process may open before this pass is done.
type sight struct {
	incident string
	issue    tracker.IssueRef
}

func sightOf(i incident.Incident) sight { return sight{i.ID, i.Issue} }

func (p *pass) set(i incident.Incident, s plan.IssueState) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.states[sightOf(i)] = s
}

func (p *pass) state(i incident.Incident) (plan.IssueState, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.states[sightOf(i)]
	return s, ok
}

// mine tells whether an issue was written by our own account and carries this installation's marker.
func (r *Reconciler) mine(accounts map[int64]bool, i tracker.Issue) bool {
	return accounts[i.AuthorID] && i.Marker.Installation == r.Settings.Installation
}

// observe reads everything about one project anew: state, flag and, from the pass, issues.
func (r *Reconciler) observe(ctx context.Context, project string, p *pass) (plan.Observation, error) {
	var open []tracker.Issue
	if p != nil {
		open = r.openIssues(p, project)
	}
	incidents, hold, err := r.State.ProjectState(ctx, project)
	if err != nil {
		return plan.Observation{}, err
	}
	flag := r.Look(project)
	ids := markersOf(open)
	if flag.Info.Incident != "" {
		ids = append(ids, flag.Info.Incident)
	}
	known, err := r.known(ctx, incidents, ids)
	if err != nil {
		return plan.Observation{}, err
	}
	return r.join(project, p, flag, hold, incidents, open, known), nil
}

func markersOf(issues []tracker.Issue) []string {
	var ids []string
	for _, i := range issues {
		ids = append(ids, i.Marker.Incident)
	}
	return ids
}

// known reads those of the incidents that were not read yet.
func (r *Reconciler) known(ctx context.Context, have []incident.Incident, ids []string) (map[string]incident.Incident, error) {
	known := map[string]incident.Incident{}
	for _, i := range have {
		known[i.ID] = i
	}
	var ask []string
	for _, id := range ids {
		if _, ok := known[id]; !ok && !slices.Contains(ask, id) {
			ask = append(ask, id)
		}
	}
	if len(ask) == 0 {
		return known, nil
	}
	more, err := r.State.Incidents(ctx, ask...)
	for _, i := range more {
		known[i.ID] = i
	}
	return known, err
}

// join makes an observation of what was read.
func (r *Reconciler) join(project string, p *pass, flag incident.FlagView, hold *incident.Hold, incidents []incident.Incident, open []tracker.Issue, known map[string]incident.Incident) plan.Observation {
	o := plan.Observation{
		Now: r.Now(), Project: project, Flag: flag, Hold: hold, Incidents: slices.Clone(incidents), Open: open,
		Issues: map[string]plan.IssueState{}, Closings: map[string]incident.Closing{}, Force: p != nil && p.force,
		Known: func(id string) bool { _, ok := known[id]; return ok },
	}
	have := map[string]bool{}
	for _, i := range incidents {
		have[i.ID] = true
	}
	for _, i := range open {
		if k, ok := known[i.Marker.Incident]; ok && !have[k.ID] {
			have[k.ID] = true
			o.Incidents = append(o.Incidents, k)
		}
	}
	for _, i := range o.Incidents {
		if p != nil {
			o.Issues[i.ID] = r.issueState(p, i)
			if c, ok := p.closedBy(i); ok && o.Issues[i.ID] == plan.IssueClosed {
				o.Closings[i.ID] = c
			}
		}
	}
	return o
}

// issueState tells what the pass knows of an incident's issue without asking anybody.
func (r *Reconciler) issueState(p *pass, i incident.Incident) plan.IssueState {
	if i.Issue.IsZero() {
		return plan.IssueUnknown
	}
	if s, ok := p.state(i); ok {
		return s
	}
	l, ok := p.list(i.Issue.Repo)
	if !ok || l.err != nil {
		return plan.IssueUnknown
	}
	accounts := p.ids()
	if len(accounts) == 0 {
		return plan.IssueUnknown // it is not known which issues are ours
	}
	for _, d := range l.issues {
		if d.Number == i.Issue.Number {
			if d.ID == i.Issue.ID && r.mine(accounts, d) && d.Marker.Incident == i.ID {
				return plan.IssueOpen
			}
			return plan.IssueLost
		}
	}
	return plan.IssueUnknown
}

// openIssues returns a project's open issues that are ours, in every repository of the pass.
func (r *Reconciler) openIssues(p *pass, project string) []tracker.Issue {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []tracker.Issue
	for _, repo := range slices.SortedFunc(maps.Keys(p.open), func(a, b tracker.Repo) int { return strings.Compare(a.String(), b.String()) }) {
		for _, i := range p.open[repo].issues {
			if i.Marker.Project == project && r.mine(p.accounts, i) {
				out = append(out, i)
			}
		}
	}
	return out
}

// look asks for the issues of open incidents that are not in the list of open ones: they were closed or deleted.
func (r *Reconciler) look(ctx context.Context, p *pass, incidents []incident.Incident) error {
	var errs []error
	for _, i := range incidents {
		l, ok := p.list(i.Issue.Repo)
		if !i.IsOpen() || i.Issue.IsZero() || !ok {
			continue
		}
		if err := r.noteListed(ctx, p, i, l.err); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", i.Name(), err))
		}
		if l.err != nil || r.issueState(p, i) != plan.IssueUnknown {
			continue
		}
		_, s, err := r.read(ctx, p, i)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", i.Name(), err))
			continue
		}
		if s == plan.IssueClosed {
			if _, err := r.closing(ctx, p, i); err != nil {
				if !errors.Is(err, errLater) {
					errs = append(errs, fmt.Errorf("%s: %w", i.Name(), err))
				}
				continue // neither an order nor none: left as it is
			}
		}
		p.set(i, s)
	}
	return errors.Join(errs...)
}

// get asks for an issue, and tells whether it was deleted. Gitea gives the same 404 for every issue of a repository whose
// issues are switched off, or that is not there: so after a 404 it is seen to that there is none of these, and the issue
// asked for once more.
func (r *Reconciler) get(ctx context.Context, repo tracker.Repo, number int64) (issue tracker.Issue, gone bool, err error) {
	notFound := func() bool {
		return tracker.IsStatus(err, http.StatusNotFound) || tracker.IsStatus(err, http.StatusGone)
	}
	if issue, err = r.Gitea.Get(ctx, repo, number); !notFound() {
		return issue, false, err
	}
	if err = r.Gitea.Readable(ctx, repo); err != nil {
		return tracker.Issue{}, false, err
	}
	if issue, err = r.Gitea.Get(ctx, repo, number); notFound() {
		return tracker.Issue{}, true, nil
	}
	return issue, false, err
}

// read reads an incident's issue before a write, and checks that it is still ours.
func (r *Reconciler) read(ctx context.Context, p *pass, i incident.Incident) (tracker.Issue, plan.IssueState, error) {
	issue, gone, err := r.get(ctx, i.Issue.Repo, i.Issue.Number)
	if gone {
		return tracker.Issue{}, plan.IssueLost, nil
	}
	if err != nil {
		return tracker.Issue{}, plan.IssueUnknown, err
	}
	accounts, err := r.accountIDs(ctx, p)
	if err != nil {
		return tracker.Issue{}, plan.IssueUnknown, err
	}
	switch {
	case issue.ID != i.Issue.ID || !r.mine(accounts, issue) || issue.Marker.Incident != i.ID:
		return issue, plan.IssueLost, nil
	case issue.Open:
		return issue, plan.IssueOpen, nil
	}
	return issue, plan.IssueClosed, nil
}
