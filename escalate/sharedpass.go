package escalate

import (
	"context"
	"errors"
	"sync"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
)

// sharedPasses are the passes for trips on a host of a fleet. The lock of its flags is one, so trips that wait for it share the next pass,
// with its syncs and transactions.
type sharedPasses struct {
	running sync.Mutex // held by who waits for the lock, and while the pass runs

	mu   sync.Mutex
	next *sharedPass // is joined until it begins
}

type sharedPass struct {
	projects []string
	done     chan struct{} // closed when the pass has ended
	visits   map[string]*localVisit
	err      error
}

// join adds a project to the next pass. The first one to join has to run it.
func (s *sharedPasses) join(project string) (next *sharedPass, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if first = s.next == nil; first {
		s.next = &sharedPass{done: make(chan struct{})}
	}
	s.next.projects = append(s.next.projects, project)
	return s.next, first
}

// begin lets nobody join a pass any more.
func (s *sharedPasses) begin(p *sharedPass) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == p {
		s.next = nil
	}
}

// applyTrip takes the local steps that are due for a project that has tripped.
func (r *Reconciler) applyTrip(ctx context.Context, project string, c *sweepCache) (incident.FlagView, []plan.Action, error) {
	if r.opt.Fleet == nil {
		return r.applyLocal(ctx, plan.Observation{Project: project}, c)
	}
	shared, first := r.trips.join(project)
	if first {
		r.runShared(context.WithoutCancel(ctx), shared, c) // it is others' pass, too
	}
	select {
	case <-shared.done:
	case <-ctx.Done():
		return incident.FlagView{}, nil, ctx.Err()
	}
	v := shared.visits[project]
	if v == nil {
		return incident.FlagView{}, nil, shared.err
	}
	return v.Flag, v.done, errors.Join(v.notWritten, v.err, shared.err)
}

// runShared runs a pass for those who have joined it until this host's flags are locked.
func (r *Reconciler) runShared(ctx context.Context, shared *sharedPass, c *sweepCache) {
	r.trips.running.Lock()
	defer r.trips.running.Unlock()
	defer close(shared.done)
	defer r.trips.begin(shared)
	p, end, err := r.beginPass(ctx, "", c)
	r.trips.begin(shared)
	if err != nil {
		shared.err = err
		return
	}
	defer end()
	shared.visits, shared.err = p.run(ctx, shared.projects)
}
