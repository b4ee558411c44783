package escalate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
)

// SweepLocal takes the local steps of all projects: it writes missing flags, and ends the pauses whose flags are gone. It
// makes no request, and may run while a sweep waits for Gitea.
func (r *Reconciler) SweepLocal(ctx context.Context) (Report, error) {
	var err error
	if r.opt.Fleet == nil { // in a fleet, a pass each second leaves that to the sweep
		err = r.keepStops(ctx)
	}
	rep, errs := r.sweepLocal(ctx, "")
	if err != nil {
		errs = append(errs, err)
	}
	rep.Errors = distinctLines(errs)
	return rep, distinct(errs)
}

func (r *Reconciler) sweepLocal(ctx context.Context, project string) (rep Report, errs []error) {
	c := r.visitCache()
	begun, err := r.begunResumes(ctx)
	if err != nil {
		return rep, []error{err}
	}
	if r.opt.Fleet != nil && project == "" {
		return r.passAll(ctx, c, begun)
	}
	s, err := r.snapshot(ctx, c)
	if err != nil {
		return rep, []error{err}
	}
	if project != "" {
		s.projects = []string{project}
	}
	s.projects = slices.DeleteFunc(s.projects, func(id string) bool { return begun[id] })
	rep.Projects = len(s.projects)
	rep.Actions, errs = r.forEach(ctx, s.projects, nil, func(ctx context.Context, project string) ([]plan.Action, error) {
		if s.idle[project] {
			return nil, nil
		}
		began := r.opt.Now()
		o, err := r.observeListed(ctx, project, c, s)
		if o.Flag.State == incident.FlagThere {
			r.seen.set(project, began)
		}
		if err != nil || !plan.AnyLocal(r.next(ctx, o)) {
			return nil, err
		}
		_, done, err := r.applyLocal(ctx, o, c)
		return done, err
	})
	return rep, errs
}

// forEach does something for the projects, for some at once. When ctx ends, no project is begun and none is left in its
// middle. One project's error does not stop the others; a panic is that project's error, and does not end the daemon.
func (r *Reconciler) forEach(ctx context.Context, projects []string, report func(done, total int),
	do func(ctx context.Context, project string) ([]plan.Action, error)) (actions []plan.Action, errs []error) {
	var mu sync.Mutex
	done := 0
	var g errgroup.Group
	g.SetLimit(projectsAtOnce)
	for _, project := range projects {
		g.Go(func() error {
			if ctx.Err() != nil {
				return nil
			}
			taken, err := r.guarded(project, func() ([]plan.Action, error) { return do(context.WithoutCancel(ctx), project) })
			mu.Lock()
			defer mu.Unlock()
			actions = append(actions, taken...)
			if err != nil {
				errs = append(errs, err)
			}
			if done++; report != nil {
				report(done, len(projects))
			}
			return nil
		})
	}
	_ = g.Wait()
	return actions, errs
}

// guarded makes a panic the project's error: it ends neither the daemon nor the sweep of the others.
func (r *Reconciler) guarded(project string, do func() ([]plan.Action, error)) (done []plan.Action, err error) {
	defer func() {
		if v := recover(); v != nil {
			r.opt.Log.Error("panic in a sweep", "project", project, "panic", v, "stack", string(debug.Stack()))
			err = fmt.Errorf("%s: panic: %v: please report it with the log", project, v)
		}
	}()
	return do()
}

// startElsewhere turns the order of a list, if the last sweep could not do everything: what it left out comes sooner.
func startElsewhere[T any](r *Reconciler, list []T) {
	if r.overBudget.Load() && len(list) > 0 {
		n := rand.IntN(len(list))
		copy(list, slices.Concat(list[n:], list[:n]))
	}
}
