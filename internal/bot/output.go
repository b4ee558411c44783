package bot

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// output is what a command writes.
type output []*stream

// end tells that the command has ended, and waits until what it wrote has been read, and for a while until it has been passed
// on. It tells whether somebody else still holds an output open.
func (o output) end() (held bool) {
	for _, s := range o {
		s.end(pipeWait)
	}
	for _, s := range o {
		<-s.readAll
		held = held || s.held
	}
	slow := time.After(pipeWait)
	for _, s := range o {
		select {
		case <-s.passedAll:
		case <-slow:
			return held
		}
	}
	return held
}

// passedOn waits until everything has been passed on, or a signal would end adfbot. It tells why something was not.
func (o output) passedOn(signals <-chan os.Signal) error {
	var err error
	for _, s := range o {
		for passed := false; !passed; {
			select {
			case <-s.passedAll:
				passed = true
			case sig := <-signals:
				if deadly(sig) {
					return err
				}
			}
		}
		err = errors.Join(err, s.problem())
	}
	return err
}

// stream is one output of a command on its way through adfbot. What the command wrote is kept for the result as soon as it is
// read, and passed on by a goroutine of its own: who is slow to take it makes the command wait while it runs, as without
// adfbot, and keeps no result from being recorded after its end.
type stream struct {
	from *os.File  // the pipe's end
	to   io.Writer // where it is passed on
	keep io.Writer // nil: it is only passed on

	mu      sync.Mutex
	changed sync.Cond
	waiting [][]byte // read, and not passed on yet
	ended   bool     // the command has ended: nothing waits for what is slow any more
	read    bool     // everything has been read
	closed  bool     // nobody takes it any more
	err     error    // why the first of it was not passed on

	readAll, passedAll chan struct{} // closed
	held               bool          // when readAll is closed: somebody else still holds the output open
}

// newStream makes a stream, and the file that the command writes to. It has to be closed when the command has been started.
func newStream(to, keep io.Writer) (*stream, *os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	s := &stream{from: r, to: to, keep: keep, readAll: make(chan struct{}), passedAll: make(chan struct{})}
	s.changed.L = &s.mu
	go s.readOn()
	go s.passOn()
	return s, w, nil
}

// end tells that the command has ended. What it wrote is read to its end, for which a background process that holds the output
// open is waited for as long as that.
func (s *stream) end(wait time.Duration) {
	_ = s.from.SetReadDeadline(time.Now().Add(wait))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.changed.Broadcast()
}

func (s *stream) readOn() {
	defer close(s.readAll)
	defer func() {
		_ = s.from.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.read = true
		s.changed.Broadcast()
	}()
	for {
		err := s.readOnce()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			s.readRest()
			return
		}
		if err != nil {
			return // its end; or nobody takes it any more, of which the command learns as without adfbot
		}
	}
}

// readRest reads what is in the pipe when the wait is over, and looks whether that was all.
func (s *stream) readRest() {
	left := 0
	if c, err := s.from.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) { left, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	}
	_ = s.from.SetReadDeadline(time.Time{})
	buf := make([]byte, left)
	n, _ := io.ReadFull(s.from, buf)
	s.take(buf[:n])
	_ = s.from.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	s.held = !errors.Is(s.readOnce(), io.EOF)
}

func (s *stream) readOnce() error {
	buf := make([]byte, 32<<10)
	n, err := s.from.Read(buf)
	if !s.take(buf[:n]) {
		return syscall.EPIPE
	}
	return err
}

// take keeps a piece and hands it over, and waits until it has been passed on. It tells whether anybody takes more.
func (s *stream) take(piece []byte) bool {
	if len(piece) > 0 && s.keep != nil {
		_, _ = s.keep.Write(piece)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(piece) > 0 && !s.closed {
		s.waiting = append(s.waiting, piece)
		s.changed.Broadcast()
	}
	for len(s.waiting) > 0 && !s.ended && !s.closed {
		s.changed.Wait()
	}
	return !s.closed || s.ended
}

func (s *stream) passOn() {
	defer close(s.passedAll)
	for {
		piece, ok := s.next()
		if !ok {
			return
		}
		_, err := s.to.Write(piece)
		s.passed(err)
	}
}

func (s *stream) next() ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.waiting) == 0 && !s.read {
		s.changed.Wait()
	}
	if len(s.waiting) == 0 || s.closed {
		return nil, false
	}
	return s.waiting[0], true
}

// passed takes note of how a piece was passed on. That a disk is full is not the command's end; that its reader went away it
// has to learn.
func (s *stream) passed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = s.waiting[1:]
	s.closed = errors.Is(err, syscall.EPIPE)
	if s.err == nil && !s.closed {
		s.err = err
	}
	s.changed.Broadcast()
}

// problem is why a part of the output was not passed on, nil where all was.
func (s *stream) problem() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
