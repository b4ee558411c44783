package escalate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"

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

// SweepOptions say how a person wants a sweep.
type SweepOptions struct {
	DryRun bool // plan, and write nothing at all
	Force  bool // try every pending step now
	// Project restricts the sweep to one project; "": all. Orders of others in the same repositories are heard all the same.
	Project string
	// Progress is told after each project how many of all are done, one call at a time; nil: nobody is.
	Progress func(done, total int)
}

// Report is what a sweep planned or did.
type Report struct {
	Projects int           `json:"projects"`
	Actions  []plan.Action `json:"actions"` // done, or planned in a dry run
	Errors   []string      `json:"errors"`
	// Foreign are open issues by our account with another installation's marker. They are never touched: they are another
	// bot's, or those of a state and pause directory that were both lost.
	Foreign []string `json:"foreign,omitempty"`
}

// Escalate does all that is due for one project: local steps, then Gitea. fresh is the id of an incident that this process
// has just stored, or "". Without a list of Gitea's issues it knows only of the issues that the state knows.
func (r *Reconciler) Escalate(ctx context.Context, project, fresh string) ([]plan.Action, error) {
	_, done, err := r.local(ctx, project, nil)
	more, err2 := r.remote(ctx, project, fresh, nil)
	return append(done, more...), errors.Join(err, err2)
}

// Sweep compares the state, the flags and the issues of all projects and does what is missing. It is level-triggered: what
// the trip path left undone, a crash included, is done here. One project's error does not stop the others; all errors
// are in the report and in the error returned.
//
// It costs one request a repository and page of open issues, and further ones only where something has changed.
func (r *Reconciler) Sweep(ctx context.Context, opt SweepOptions) (Report, error) {
	var rep Report
	p := newPass(opt)
	repos, err := r.repos(ctx)
	if err == nil && opt.Project != "" {
		repos, err = r.reposOf(ctx, opt.Project)
	}
	if err != nil {
		return rep, err
	}
	errs := r.readOpen(ctx, p, repos)
	obeyed, orderErrs := r.orders(ctx, p, repos, opt)
	rep.Actions, errs = append(rep.Actions, obeyed...), append(errs, orderErrs...)
	// From here on the state is read: after the lists, see pass.
	s, err := r.snapshot(ctx, p)
	if err != nil {
		return rep, errors.Join(append(errs, err)...)
	}
	if opt.Project != "" {
		s.projects = []string{opt.Project}
	}
	if err := r.CheckPause(); err != nil {
		errs = append(errs, err)
	}
	rep.Projects, rep.Foreign = len(s.projects), r.foreign(p)

	var mu sync.Mutex
	ended := 0
	var g errgroup.Group
	g.SetLimit(projectsAtOnce)
	for _, project := range s.projects {
		g.Go(func() error {
			if ctx.Err() != nil {
				return nil // told to end: no project is begun, and none is left in its middle
			}
			actions, err := r.guarded(context.WithoutCancel(ctx), project, p, s, opt.DryRun)
			mu.Lock()
			defer mu.Unlock()
			rep.Actions = append(rep.Actions, actions...)
			if err != nil {
				errs = append(errs, err)
			}
			if ended++; opt.Progress != nil {
				opt.Progress(ended, len(s.projects))
			}
			return nil // one project's error does not stop the others
		})
	}
	_ = g.Wait()
	slices.SortStableFunc(rep.Actions, func(a, b plan.Action) int { return cmp.Compare(a.Project, b.Project) })
	err = errors.Join(errs...)
	rep.Errors = lines(errs)
	return rep, errors.Join(err, ctx.Err())
}

func (r *Reconciler) foreign(p *pass) []string {
	var out []string
	for _, l := range p.open {
		for _, i := range l.issues {
			if p.accounts[i.AuthorID] && !i.Marker.IsZero() && i.Marker.Installation != r.Settings.Installation {
				out = append(out, i.URL)
			}
		}
	}
	slices.Sort(out)
	return out
}

// lines are the errors for people, each once: a repository that can't be listed is an error of each of its projects.
func lines(errs []error) []string {
	out := []string{}
	for _, e := range errs {
		if s := e.Error(); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// repos are the repositories to list: the configured ones and those of unfinished incidents, also of projects that have
// left the configuration or were moved.
func (r *Reconciler) repos(ctx context.Context) ([]tracker.Repo, error) {
	var out []tracker.Repo
	add := func(repo tracker.Repo) {
		if repo.Owner != "" && repo.Name != "" && !slices.Contains(out, repo) {
			out = append(out, repo)
		}
	}
	for _, project := range r.Settings.Projects {
		add(r.Settings.Target(project).Repo)
	}
	incidents, err := r.State.Unsettled(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, i := range incidents {
		add(i.Issue.Repo)
		add(i.Target)
		if i.Issue.IsZero() {
			add(r.Settings.Target(i.Project).Repo)
		}
	}
	return out, nil
}

// readOpen lists the open issues of every repository. A list that fails is kept as failed: nothing is done in that
// repository, and nothing is concluded from its silence.
func (r *Reconciler) readOpen(ctx context.Context, p *pass, repos []tracker.Repo) []error {
	if r.Gitea == nil || r.Off != nil {
		if r.Off != nil {
			return []error{r.Off}
		}
		return nil
	}
	nothing := func(err error) []error {
		for _, repo := range repos {
			p.open[repo] = listed{err: err}
		}
		return []error{err}
	}
	login, err := r.login(ctx, p)
	if err != nil {
		return nothing(err)
	}
	results := make([]listed, len(repos))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(reposAtOnce)
	for n, repo := range repos {
		g.Go(func() error {
			results[n].begun = r.Now()
			results[n].issues, results[n].err = r.list(gctx, repo, login, false, p)
			return nil
		})
	}
	_ = g.Wait()
	accounts, err := r.allAccounts(ctx)
	if err != nil {
		return nothing(err) // whose issues these are is not known
	}
	p.know(accounts)
	var errs []error
	for n, repo := range repos {
		p.open[repo] = results[n]
		if err := results[n].err; err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// snapshot is the state of all projects at the beginning of a sweep. Who writes reads again under the project's lock.
type snapshot struct {
	projects  []string
	incidents map[string][]incident.Incident
	holds     map[string]*incident.Hold
	known     map[string]incident.Incident
}

func (r *Reconciler) snapshot(ctx context.Context, p *pass) (snapshot, error) {
	s := snapshot{incidents: map[string][]incident.Incident{}, holds: map[string]*incident.Hold{}}
	projects := map[string]bool{}
	for _, id := range r.Settings.Projects {
		projects[id] = true
	}
	all, err := r.State.Unsettled(ctx, "")
	if err != nil {
		return s, err
	}
	for _, i := range all {
		s.incidents[i.Project] = append(s.incidents[i.Project], i)
		projects[i.Project] = true
	}
	holds, err := r.State.Holds(ctx)
	if err != nil {
		return s, err
	}
	for _, h := range holds {
		s.holds[h.Project] = &h
		projects[h.Project] = true
	}
	var ids []string
	for _, l := range p.open {
		for _, i := range l.issues {
			if r.mine(p.accounts, i) {
				ids = append(ids, i.Marker.Incident)
				projects[i.Marker.Project] = true
			}
		}
	}
	if s.known, err = r.known(ctx, all, ids); err != nil {
		return s, err
	}
	// An unreadable directory shows itself at each flag.
	flags, _ := r.Pause.List()
	for _, id := range flags {
		projects[id] = true
	}
	for id := range projects {
		s.projects = append(s.projects, id)
	}
	slices.Sort(s.projects)
	return s, nil
}

// guarded is sweepOne, whose panic is one project's error: it ends neither the daemon nor the other projects' sweep.
func (r *Reconciler) guarded(ctx context.Context, project string, p *pass, s snapshot, dry bool) (actions []plan.Action, err error) {
	defer func() {
		if v := recover(); v != nil {
			r.Log.Error("panic in a sweep", "project", project, "panic", v, "stack", string(debug.Stack()))
			err = fmt.Errorf("%s: panic: %v: please report it with the log", project, v)
		}
	}()
	return r.sweepOne(ctx, project, p, s, dry)
}

func (r *Reconciler) sweepOne(ctx context.Context, project string, p *pass, s snapshot, dry bool) ([]plan.Action, error) {
	var moveErr error
	if !dry {
		moveErr = r.relocate(ctx, p, s.incidents[project])
	}
	lookErr := errors.Join(moveErr, r.look(ctx, p, s.incidents[project]))
	flag := r.Look(project)
	known := s.known
	if id := flag.Info.Incident; id != "" {
		if _, ok := known[id]; !ok {
			var err error
			if known, err = r.known(ctx, s.incidents[project], append(markersOf(r.openIssues(p, project)), id)); err != nil {
				return nil, err
			}
		}
	}
	o := r.join(project, p, flag, s.holds[project], s.incidents[project], r.openIssues(p, project), known)
	if dry {
		return plan.DryRun(o), lookErr
	}
	actions := plan.Next(o)
	if len(actions) == 0 {
		return nil, lookErr
	}
	var done []plan.Action
	var err error
	if plan.AnyLocal(actions) {
		_, done, err = r.localNow(ctx, project, p, o)
		if err != nil {
			var noFlag *FlagWriteError
			if !errors.As(err, &noFlag) {
				return done, errors.Join(lookErr, err)
			}
		}
	}
	more, err2 := r.remote(ctx, project, "", p)
	return append(done, more...), errors.Join(lookErr, err, err2)
}

// reposOf are the repositories of one project: where its issues go now, and where those of its unfinished incidents are.
func (r *Reconciler) reposOf(ctx context.Context, project string) ([]tracker.Repo, error) {
	incidents, err := r.State.Unsettled(ctx, project)
	out := []tracker.Repo{r.Settings.Target(project).Repo}
	for _, i := range incidents {
		for _, repo := range []tracker.Repo{i.Issue.Repo, i.Target} {
			if repo != (tracker.Repo{}) && !slices.Contains(out, repo) {
				out = append(out, repo)
			}
		}
	}
	return out, err
}
