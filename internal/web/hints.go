package web

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// maxHints is how many projects may wait for their sweep; each stands there once, however often it was hinted at.
	maxHints = 1000
	// hintPause comes after each sweep by a hint, so that a flood of events is no flood of requests to Gitea.
	hintPause = 250 * time.Millisecond
)

// hints are the projects that an event was about. One goroutine sweeps them, one after the other; it is there only while
// there are any.
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

// add lets a project be swept soon. One that is being swept now is swept again: the event may be newer than what that
// sweep has read. It is false where too many wait, or the daemon ends.
func (h *hints) add(project string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.waiting {
		if p == project {
			return true
		}
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

func (h *hints) next() (project string, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiting) == 0 || h.ended {
		h.running = false
		return "", false
	}
	project, h.waiting = h.waiting[0], h.waiting[1:]
	return project, true
}

func (h *hints) work() {
	for {
		project, ok := h.next()
		if !ok {
			return
		}
		h.sweep(h.ctx, project)
		select {
		case <-time.After(hintPause):
		case <-h.ctx.Done():
		}
	}
}

// end lets go of what waits, and tells the sweep that is going on to end: it finishes a project that it is writing for. idle
// tells when it has. What is left out is found by the next sweep.
func (h *hints) end() {
	h.mu.Lock()
	h.ended, h.waiting = true, nil
	h.mu.Unlock()
	h.stop(errors.New("the daemon ends"))
}

// sweepHinted sweeps a project with the set-up that is in force, and keeps that from being closed meanwhile. A fault there
// must not end the daemon.
func (s *Server) sweepHinted(ctx context.Context, project string) {
	p := s.hold(nil)
	defer s.release(p)
	defer func() {
		if v := recover(); v != nil {
			s.log.Error("a sweep by a webhook panicked", "project", project, "panic", v)
		}
	}()
	_, _ = p.bot.SweepProject(ctx, project) // it logs its errors, and the next sweep tries again
}
