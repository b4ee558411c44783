package web

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	maxHints  = 1000                   // projects that may wait
	hintPause = 250 * time.Millisecond // between sweeps, so that a flood of events is no flood of requests to Gitea
)

// hints are the projects that events were about, each of them once. One goroutine sweeps them one after the other; it ends when
// there are none.
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

// add has a project swept soon. One that is being swept is swept again, because the event may be newer than what that sweep has
// read. It is false where too many wait, or the daemon ends.
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

// end drops what waits, and stops the sweep under way, which still finishes what it writes; wait for idle. The daemon's next
// sweep finds what was dropped.
func (h *hints) end() {
	h.mu.Lock()
	h.ended, h.waiting = true, nil
	h.mu.Unlock()
	h.stop(errors.New("the daemon ends"))
}

// sweepHinted sweeps a project with the setup in force.
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
