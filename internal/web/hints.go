package web

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

const (
	maxHints  = 1000                   // projects that may wait
	hintPause = 250 * time.Millisecond // between sweeps, so that a flood of events does not flood Gitea with requests
)

// hints are the projects that events were about, each of them once. One goroutine sweeps them one by one; it ends when none is
// left.
type hints struct {
	sweep func(ctx context.Context, project string)

	mu      sync.Mutex
	waiting []string
	running bool
	ended   bool
	idle    sync.WaitGroup
	ctx     context.Context
	stop    context.CancelCauseFunc
}

func newHints(sweep func(ctx context.Context, project string)) *hints {
	h := &hints{sweep: sweep}
	h.ctx, h.stop = context.WithCancelCause(context.Background())
	return h
}

// add schedules a sweep of a project. A project that is being swept is swept again, because the event may be newer than what that
// sweep has read. add returns false if too many projects wait, or the daemon ends.
func (h *hints) add(project string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if slices.Contains(h.waiting, project) {
		return true
	}
	if h.ended || len(h.waiting) >= maxHints {
		return false
	}
	h.waiting = append(h.waiting, project)
	if !h.running {
		h.running = true
		h.idle.Go(h.work)
	}
	return true
}

func (h *hints) work() {
	for {
		h.mu.Lock()
		if h.running = len(h.waiting) > 0; !h.running {
			h.mu.Unlock()
			return
		}
		project := h.waiting[0]
		h.waiting = h.waiting[1:]
		h.mu.Unlock()
		h.sweep(h.ctx, project)
		select {
		case <-time.After(hintPause):
		case <-h.ctx.Done():
		}
	}
}

// end drops the waiting projects, and tells the current sweep to stop; idle waits for it. The next daemon's first sweep makes up
// for the dropped ones.
func (h *hints) end() {
	h.mu.Lock()
	h.ended, h.waiting = true, nil
	h.mu.Unlock()
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
