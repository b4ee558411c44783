package web

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	maxHints  = 1000                   // projects that may wait
	hintPause = 250 * time.Millisecond // between sweeps, so that a flood of events does not flood Gitea with requests
)

// hints are the projects that events were about, each of them once. They are swept one at a time.
type hints struct {
	sweep func(ctx context.Context, project string)
	ctx   context.Context // ends with the daemon
	stop  context.CancelCauseFunc
	idle  sync.WaitGroup
	turn  sync.Mutex // held by the current sweep

	mu      sync.Mutex
	waiting map[string]bool
}

func newHints(sweep func(ctx context.Context, project string)) *hints {
	h := &hints{sweep: sweep, waiting: map[string]bool{}}
	h.ctx, h.stop = context.WithCancelCause(context.Background())
	return h
}

// add schedules a sweep of a project. A project that is being swept is swept again, because the event may be newer than what that
// sweep has read. add returns false if too many projects wait, or the daemon ends.
func (h *hints) add(project string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting[project] {
		return true
	}
	if h.ctx.Err() != nil || len(h.waiting) >= maxHints {
		return false
	}
	h.waiting[project] = true
	h.idle.Go(func() {
		h.turn.Lock()
		defer h.turn.Unlock()
		h.mu.Lock()
		delete(h.waiting, project)
		h.mu.Unlock()
		if h.ctx.Err() != nil {
			return
		}
		h.sweep(h.ctx, project)
		select {
		case <-time.After(hintPause):
		case <-h.ctx.Done():
		}
	})
	return true
}

// end drops the waiting projects, and tells the current sweep to stop; idle waits for it. The next daemon's first sweep makes up
// for the dropped ones.
func (h *hints) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stop(errors.New("the daemon ends"))
}

// sweepHinted sweeps a project with the setup in force.
func (s *Server) sweepHinted(ctx context.Context, project string) {
	p := s.use()
	defer p.uses.Done()
	defer func() {
		if v := recover(); v != nil {
			s.log.Error("a sweep by a webhook panicked", "project", project, "panic", v)
		}
	}()
	_, _ = p.bot.SweepProject(ctx, project) // it logs its errors, and the next sweep retries
}
