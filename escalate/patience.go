package escalate

import (
	"fmt"
	"sync"
	"time"
)

// patience bounds reads of the pause directory: on a file system that has died a read never returns, and keeps a thread. While one is
// that late, no other is begun.
type patience struct {
	mu   sync.Mutex
	late chan struct{} // closed when that read returns; nil: none is late
}

// readWait is how long a read of the pause directory may take.
const readWait = 5 * time.Second

// readDir calls a function that reads the pause directory, if that is to be believed and answers.
func readDir[T any](r *Reconciler, read func() (T, error)) (v T, err error) {
	if r.dirErr != nil {
		return v, r.dirErr
	}
	p := &r.patience
	noAnswer := func() error {
		return fmt.Errorf("pause directory %s did not answer in %s: check whether its file system hangs", r.opt.Dir.Path(), readWait)
	}
	if p.isLate() {
		return v, noAnswer()
	}
	type answer struct {
		v   T
		err error
	}
	answers, done := make(chan answer, 1), make(chan struct{})
	go func() {
		defer close(done)
		v, err := read()
		answers <- answer{v, err}
	}()
	timeout := time.NewTimer(readWait)
	defer timeout.Stop()
	select {
	case a := <-answers:
		return a.v, a.err
	case <-timeout.C:
		p.mu.Lock()
		p.late = done
		p.mu.Unlock()
		return v, noAnswer()
	}
}

func (p *patience) isLate() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.late: // never, if it is nil
		p.late = nil
	default:
	}
	return p.late != nil
}
