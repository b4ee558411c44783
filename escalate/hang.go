package escalate

import (
	"fmt"
	"sync"
	"time"
)

// hangGuard bounds the reads, or the writes, of the pause directory: on a file system that has died a read never returns, and keeps a thread. While one is
// that late, another is begun only now and then: the directory may have been mounted anew, of which that read never learns.
type hangGuard struct {
	mu    sync.Mutex
	late  chan struct{} // closed when that read returns; nil: none is late
	wait  time.Duration // from the last read that was begun to the next; zero if none is late
	again time.Time     // when that is

	answeredAt time.Time // when a bounded read last did
}

// readWait is how long a read of the pause directory may take. The waits between reads while one is late grow, because each may
// keep a thread.
const (
	readWait  = 5 * time.Second
	firstWait = time.Minute
	lastWait  = 10 * time.Minute
)

// readDir calls a function that reads the pause directory, if that is to be believed and answers. For as long as trusts after an answer the
// read is not bounded: the bound costs more than the read itself.
func readDir[T any](r *Reconciler, trusts time.Duration, read func() (T, error)) (v T, err error) {
	if r.dirErr != nil {
		return v, r.dirErr
	}
	v, _, err = inTime(r, &r.reading, trusts, read)
	return v, err
}

// inTime calls a function that reads or writes the pause directory, unless an earlier one is late, and waits for it for [readWait]. If it
// does not return by then, late is closed when it does.
func inTime[T any](r *Reconciler, g *hangGuard, trusts time.Duration, do func() (T, error)) (v T, late <-chan struct{}, err error) {
	noAnswer := func() error {
		return fmt.Errorf("pause directory %s did not answer in %s: check whether its file system hangs", r.opt.Dir.Path(), readWait)
	}
	if !g.mayBegin() {
		return v, nil, noAnswer()
	}
	if g.trusted(trusts) {
		v, err = do()
		return v, nil, err
	}
	type answer struct {
		v   T
		err error
	}
	answers, done := make(chan answer, 1), make(chan struct{})
	go func() {
		defer close(done)
		v, err := do()
		answers <- answer{v, err}
	}()
	timeout := time.NewTimer(readWait)
	defer timeout.Stop()
	select {
	case a := <-answers:
		g.answered()
		return a.v, nil, a.err
	case <-timeout.C:
		g.isLate(done)
		return v, done, noAnswer()
	}
}

// mayBegin reports whether a read or write may be begun.
func (g *hangGuard) mayBegin() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.late: // never, if it is nil
		g.late, g.wait = nil, 0
	default:
	}
	if g.late == nil {
		return true
	}
	now := time.Now()
	if now.Before(g.again) {
		return false
	}
	g.wait = min(2*g.wait, lastWait)
	g.again = now.Add(g.wait)
	return true
}

func (g *hangGuard) answered() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.late, g.wait, g.answeredAt = nil, 0, time.Now()
}

// trusted reports whether the directory has answered so lately that it is not expected to hang.
func (g *hangGuard) trusted(trusts time.Duration) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.late == nil && time.Since(g.answeredAt) < trusts
}

// isLate notes a read that does not return in time.
func (g *hangGuard) isLate(done chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.late = done
	if g.wait == 0 {
		g.wait = firstWait
		g.again = time.Now().Add(g.wait)
	}
}
