package proc

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Output is what a command writes, on its way through this process.
type Output []*stream

// finish is called when the command has ended. It waits until everything has been read, and for a while until everything has
// been written. It reports whether another process still holds an output open.
func (o Output) finish(wait time.Duration) (held bool) {
	for _, s := range o {
		s.end(wait)
	}
	for _, s := range o {
		<-s.read
		held = held || s.held
	}
	slow := time.After(wait)
	for _, s := range o {
		select {
		case <-s.written:
		case <-slow:
			return held
		}
	}
	return held
}

// Wait waits until everything has been written, or a signal comes that would end this process. The error says why something
// could not be written.
func (o Output) Wait(signals *Signals) error {
	var err error
	for _, s := range o {
		for done := false; !done; {
			select {
			case <-s.written:
				done = true
			case sig := <-signals.c:
				if fatal(sig) {
					return err
				}
			}
		}
		err = errors.Join(err, s.writeErr())
	}
	return err
}

// stream is one output of a command. What is read is captured at once, and written by another goroutine.
type stream struct {
	from    *os.File  // the read end of the command's pipe
	to      io.Writer // where it is written
	capture io.Writer // may be nil

	mu      sync.Mutex
	changed sync.Cond
	pending [][]byte // read and not written yet
	ended   bool     // the command has ended: reading does not wait for writing any more
	eof     bool     // everything has been read
	closed  bool     // the reader of to has gone away
	err     error    // the first error of a write

	read, written chan struct{} // closed when everything has been
	held          bool          // once read is closed: another process still holds the output open
}

// newStream returns a stream and the file that the command writes to, which has to be closed when the command was started.
func newStream(to, capture io.Writer) (*stream, *os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	s := &stream{from: r, to: to, capture: capture, read: make(chan struct{}), written: make(chan struct{})}
	s.changed.L = &s.mu
	go s.readAll()
	go s.writeAll()
	return s, w, nil
}

// end is called when the command has ended. It limits how long the output is read while another process holds it open.
func (s *stream) end(wait time.Duration) {
	_ = s.from.SetReadDeadline(time.Now().Add(wait))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.changed.Broadcast()
}

func (s *stream) readAll() {
	defer close(s.read)
	defer func() {
		_ = s.from.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.eof = true
		s.changed.Broadcast()
	}()
	for {
		err := s.readOnce()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			s.readRest()
			return
		}
		if err != nil {
			return
		}
	}
}

// readRest reads what is in the pipe when the time is over, and finds out whether that was all.
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

// readOnce fails with EPIPE when the reader has gone away. The pipe is closed then, so that the command learns of it.
func (s *stream) readOnce() error {
	buf := make([]byte, 32<<10)
	n, err := s.from.Read(buf)
	if !s.take(buf[:n]) {
		return syscall.EPIPE
	}
	return err
}

// take captures a piece and waits until it has been written, unless the command has ended. It is false where the command need
// not write any more.
func (s *stream) take(piece []byte) bool {
	if len(piece) > 0 && s.capture != nil {
		_, _ = s.capture.Write(piece)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(piece) > 0 && !s.closed {
		s.pending = append(s.pending, piece)
		s.changed.Broadcast()
	}
	for len(s.pending) > 0 && !s.ended && !s.closed {
		s.changed.Wait()
	}
	return !s.closed || s.ended
}

func (s *stream) writeAll() {
	defer close(s.written)
	for {
		piece, ok := s.next()
		if !ok {
			return
		}
		_, err := s.to.Write(piece)
		s.wrote(err)
	}
}

func (s *stream) next() ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.pending) == 0 && !s.eof {
		s.changed.Wait()
	}
	if len(s.pending) == 0 || s.closed {
		return nil, false
	}
	return s.pending[0], true
}

// wrote ends the stream where its reader has gone away. Any other error, like a full disk, is kept and does not disturb the
// command.
func (s *stream) wrote(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = s.pending[1:]
	s.closed = errors.Is(err, syscall.EPIPE)
	if s.err == nil && !s.closed {
		s.err = err
	}
	s.changed.Broadcast()
}

func (s *stream) writeErr() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
