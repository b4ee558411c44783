package escalate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// How much of a sweep runs at once. The client limits its requests itself; more projects than requests are worked on, so
// that Gitea is not idle while a step is saved.
const (
	reposAtOnce    = 8
	projectsAtOnce = 16
)

// sweepBudget is how long a sweep works with Gitea before it leaves the rest to the next one.
const sweepBudget = 5 * time.Minute

// SweepOptions control a sweep. The zero value is a scheduled one.
type SweepOptions struct {
	DryRun bool // plan only: nothing at all is written
	Force  bool // try every pending step now, instead of when its wait is over
	// Project restricts the sweep to one project; "": all. Commands for other projects in the same repositories are run too.
	Project string
	// Progress is called after each project, one call at a time; nil: never.
	Progress func(done, total int)
}

// Report is what a sweep planned or did.
type Report struct {
	Projects int           `json:"projects"`
	Actions  []plan.Action `json:"actions"` // done, or planned in a dry run
	Errors   []string      `json:"errors"`
	Waiting  []Waiting     `json:"waiting,omitempty"` // what is too early to do
	// Foreign are open issues by our account with another installation's marker. They are never touched: they are another
	// bot's, or those of a state and pause directory that were both lost.
	Foreign []string `json:"foreign,omitempty"`
	// SilentClosed are ids of open incidents of the kind [incident.Silent] whose issues somebody else than the bot has closed.
	SilentClosed []string `json:"silent_closed,omitempty"`
}

// Sweep compares the state, the flags and the issues of all projects and does what is missing. It is level-triggered: what
// the trip path left undone, a crash included, is done here. One project's error does not stop the others; all errors
// are in the report and in the error returned.
//
// It costs one request per repository and page of open issues, one more per repository where people may give commands, and
// further ones only where something has changed. Local steps come first: they do not wait for Gitea.
func (r *Reconciler) Sweep(ctx context.Context, opt SweepOptions) (Report, error) {
	var rep Report
	var errs []error
	if !opt.DryRun && opt.Project == "" {
		if err := r.keepStops(ctx); err != nil {
			return rep, err
		}
	}
	c := newSweepCache(opt, &learned{})
	if !opt.DryRun {
		rep, errs = r.sweepLocal(ctx, opt.Project)
		r.learned.Store(c.learned)
	}
	repos, err := r.repos(ctx, opt.Project)
	if err != nil {
		return rep, errors.Join(append(errs, err)...)
	}
	budget, cancel := context.WithTimeout(ctx, sweepBudget)
	defer cancel()
	startElsewhere(r, repos)
	c.reported = r.listOpen(budget, c, repos)
	errs = append(errs, c.reported...)
	commands, commandErrs := r.commands(budget, c, repos)
	rep.Actions, errs = append(rep.Actions, commands...), append(errs, commandErrs...)
	// The state is read after the lists, see sweepCache.
	s, err := r.snapshot(ctx, c)
	if err != nil {
		return rep, errors.Join(append(errs, err)...)
	}
	if opt.Project != "" {
		s.projects = []string{opt.Project}
	}
	if err := r.CheckPause(ctx); err != nil {
		errs = append(errs, err)
	}
	if r.opt.Unpaused != nil {
		unpaused, err := r.opt.Unpaused(ctx)
		if c.unpaused = &unpaused; err != nil {
			c.unpaused, errs = nil, append(errs, err)
		}
	}
	rep.Projects, rep.Foreign = len(s.projects), r.foreign(c)
	startElsewhere(r, s.projects)
	actions, projectErrs := r.forEach(budget, s.projects, opt.Progress, func(ctx context.Context, project string) ([]plan.Action, error) {
		return r.sweepProject(ctx, project, c, s)
	})
	rep.Actions, errs = append(rep.Actions, actions...), append(errs, projectErrs...)
	rep.SilentClosed = r.silentByOthers(c, s)
	// Those that have joined an incident's issue in this sweep.
	actions, projectErrs = r.forEach(budget, c.joinedProjects(), nil, func(ctx context.Context, project string) ([]plan.Action, error) {
		v := &visit{project: project, cache: c, wait: r.claimWait(c)}
		err := r.track(ctx, v)
		return v.done, err
	})
	rep.Actions, errs = append(rep.Actions, actions...), append(errs, projectErrs...)
	if !opt.DryRun {
		errs = append(errs, r.sendWebhooks(ctx, c, opt.Project)...)
	}
	if errs, err = r.withoutLeft(ctx, c, repos, errs, opt.Project); err != nil {
		return rep, err
	}
	if r.overBudget.Store(budget.Err() != nil && ctx.Err() == nil); r.overBudget.Load() {
		errs = append(errs, fmt.Errorf("the sweep has left Gitea after %s, because it is slow; the next one goes on", sweepBudget))
	}
	if rep.Waiting, err = r.waiting(ctx, c, opt.Project); err != nil {
		errs = append(errs, err)
	}
	slices.SortStableFunc(rep.Actions, func(a, b plan.Action) int { return cmp.Compare(a.Project, b.Project) })
	rep.Errors = distinctLines(errs)
	return rep, errors.Join(distinct(errs), ctx.Err())
}

func (r *Reconciler) foreign(c *sweepCache) []string {
	var out []string
	ours, _ := c.identity()
	for _, l := range c.open.all() {
		for _, i := range l.issues {
			if ours.has(tracker.Account{ID: i.AuthorID, Login: i.Author}) && !i.Marker.IsZero() && i.Marker.Installation != r.opt.Installation {
				out = append(out, i.URL)
			}
		}
	}
	slices.Sort(out)
	return out
}

// distinct joins errors, each message once.
func distinct(errs []error) error {
	var out []error
	known := map[string]bool{}
	for _, e := range errs {
		if e != nil && !known[e.Error()] {
			known[e.Error()] = true
			out = append(out, e)
		}
	}
	return errors.Join(out...)
}

// distinctLines are the errors for people, each once: a repository that can't be listed is an error of each of its projects.
func distinctLines(errs []error) []string {
	out := []string{}
	known := map[string]bool{}
	for _, e := range errs {
		if s := e.Error(); !known[s] {
			known[s] = true
			out = append(out, s)
		}
	}
	return out
}

// repos returns the repositories to list: where the issues of the configured projects go, and where those of unfinished
// incidents are, also of projects that left the configuration or were moved. project restricts them to one project's.
func (r *Reconciler) repos(ctx context.Context, project string) ([]tracker.Repo, error) {
	var out []tracker.Repo
	add := func(repo tracker.Repo) {
		if repo.Owner != "" && repo.Name != "" && !slices.Contains(out, repo) {
			out = append(out, repo)
		}
	}
	projects := r.opt.Projects
	if project != "" {
		projects = []string{project}
	}
	for _, id := range projects {
		add(r.opt.Target(id).Repo)
	}
	if project == "" {
		for _, repo := range r.opt.PatternRepos {
			add(repo)
		}
	}
	incidents, err := r.opt.State.Unsettled(ctx, project)
	if err != nil {
		return nil, err
	}
	silent, err := r.opt.State.Silent(ctx, project)
	if err != nil {
		return nil, err
	}
	for _, i := range append(incidents, silent...) {
		add(i.Issue.Repo)
		add(i.Target)
		if i.Issue.IsZero() {
			add(r.configuredRepo(i))
		}
	}
	return out, nil
}

// listOpen lists the open issues of every repository. A list that fails is kept as failed: nothing is done in that
// repository, and nothing is concluded from its silence.
func (r *Reconciler) listOpen(ctx context.Context, c *sweepCache, repos []tracker.Repo) []error {
	if r.trackerErr != nil {
		return []error{r.trackerErr}
	}
	if r.opt.Tracker == nil {
		return nil
	}
	noLists := func(err error) []error {
		for _, repo := range repos {
			c.open.set(repo, issueList{err: err})
		}
		return []error{err}
	}
	login, err := r.login(ctx, c)
	if err != nil {
		return noLists(err)
	}
	lists := make([]issueList, len(repos))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(reposAtOnce)
	for n, repo := range repos {
		g.Go(func() error {
			lists[n].begun = r.opt.Now()
			lists[n].issues, lists[n].err = r.listIssues(gctx, repo, login, false, c)
			return nil
		})
	}
	_ = g.Wait()
	if err := r.loadIdentity(context.WithoutCancel(ctx), c); err != nil {
		return noLists(err) // whose issues these are is not known
	}
	var errs []error
	for n, repo := range repos {
		lists[n].index()
		c.open.set(repo, lists[n])
		if err := lists[n].err; err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// withoutLeft takes the errors of repositories out that this sweep has made needless: their issues were found in another one,
// or nothing is left to do.
func (r *Reconciler) withoutLeft(ctx context.Context, c *sweepCache, repos []tracker.Repo, errs []error, project string) ([]error, error) {
	if len(c.reported) == 0 {
		return errs, nil
	}
	needed, err := r.repos(ctx, project)
	if err != nil {
		return errs, err
	}
	return slices.DeleteFunc(errs, func(e error) bool {
		ofList := func(repo tracker.Repo) bool { l, _ := c.open.get(repo); return l.err == e }
		return e != nil && slices.ContainsFunc(repos, ofList) && !slices.ContainsFunc(needed, ofList)
	}), nil
}

// snapshot is the state of all projects at the beginning of a sweep. It is advisory: writers read again under the project's
// locks.
type snapshot struct {
	projects  []string
	idle      map[string]bool // of which nothing is there that a sweep could act on
	unsettled []incident.Incident
	states    map[string]incident.ProjectState
	known     map[string]incident.Incident
}

func (r *Reconciler) snapshot(ctx context.Context, c *sweepCache) (s snapshot, err error) {
	projects := map[string]bool{} // whether there is something of it
	for _, id := range r.opt.Projects {
		projects[id] = false
	}
	if s.states, err = r.opt.State.ProjectStates(ctx); err != nil {
		return s, err
	}
	var all, silent []incident.Incident
	for id, state := range s.states {
		all = append(all, state.Unsettled...)
		silent = append(silent, state.Silent...)
		if len(state.Unsettled)+len(state.Silent) > 0 || state.Hold != nil || state.Confirmed.Stands() {
			projects[id] = true
		} else if r.opt.ByPattern != nil && r.opt.ByPattern(id) {
			projects[id] = false
		}
	}
	var ids []string
	ours, _ := c.identity()
	for _, l := range c.open.all() {
		for _, i := range l.issues {
			if r.isOurs(ours, i) {
				for _, m := range i.Markers() {
					ids = append(ids, m.Incident)
					projects[m.Project] = true
				}
			}
		}
	}
	s.unsettled = all
	if s.known, err = r.knownIncidents(ctx, ids, all, silent); err != nil {
		return s, err
	}
	flags, err := r.Flags()
	for _, id := range flags {
		projects[id] = true
	}
	s.idle = map[string]bool{}
	for id, something := range projects {
		s.projects = append(s.projects, id)
		s.idle[id] = !something && err == nil // an unreadable directory shows itself at each flag
	}
	slices.Sort(s.projects)
	return s, nil
}

// observeListed observes a project with what was read for all of them. A flag may name an incident that is in no list.
func (r *Reconciler) observeListed(ctx context.Context, project string, c *sweepCache, s snapshot) (plan.Observation, error) {
	state := s.states[project]
	flag, open, known := r.Look(ctx, project), r.projectIssues(c, project), s.known
	if id := flag.Info.Incident; id != "" {
		if _, ok := known[id]; !ok {
			var err error
			if known, err = r.knownIncidents(ctx, append(markersOf(open), id), state.Unsettled, state.Silent); err != nil {
				return plan.Observation{}, err
			}
		}
	}
	return r.observation(project, c, flag, state, open, known), nil
}

// sweepProject sweeps one project.
func (r *Reconciler) sweepProject(ctx context.Context, project string, c *sweepCache, s snapshot) (done []plan.Action, err error) {
	if s.idle[project] {
		return nil, nil
	}
	incidents := s.states[project].Unsettled
	var errs []error
	if !c.dry {
		errs = append(errs, r.relocate(ctx, c, incidents), r.relocate(ctx, c, s.states[project].Silent))
	}
	errs = append(errs, r.readMissing(ctx, c, incidents, s.known), r.readClosedSilent(ctx, c, s.states[project].Silent))
	o, err := r.observeListed(ctx, project, c, s)
	if err != nil {
		return nil, err
	}
	if c.dry {
		o.Storm, o.Unsettled = r.storm(), s.unsettled
		return plan.DryRun(o), errors.Join(errs...)
	}
	actions := r.next(ctx, o)
	if plan.AnyLocal(actions) {
		_, done, err = r.applyLocal(ctx, o, c)
		errs = append(errs, err)
		var notWritten *FlagWriteError
		if err != nil && !errors.As(err, &notWritten) {
			return done, errors.Join(errs...)
		}
	}
	if len(actions) > 0 {
		v := &visit{project: project, cache: c, wait: r.claimWait(c), flag: o.Flag}
		errs = append(errs, r.track(ctx, v))
		done = append(done, v.done...)
	}
	failed := func(id string) bool { return hasFailed(s.known[id]) }
	for i := range inAll(incidents, s.states[project].Silent) {
		if hasFailed(*i) || slices.ContainsFunc(i.MemberIDs(), failed) {
			errs = append(errs, r.forgetFailures(ctx, project, c))
			break
		}
	}
	return done, errors.Join(errs...)
}
