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

// Output is the output of a command, on its way through this process.
type Output []*stream

// finish is called when the command has ended. It waits until everything has been read, and up to wait until everything has been
// written. It reports whether another process still holds an output open.
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

// Wait waits until everything has been written, or a signal arrives that would end this process. The error says why something
// could not be written.
func (o Output) Wait(signals *Signals) error {
	var err error
	for len(o) > 0 {
		select {
		case <-o[0].written:
			err = errors.Join(err, o[0].err)
			o = o[1:]
		case sig := <-signals.c:
			if fatal(sig) {
				return err
			}
		}
	}
	return err
}

// stream is one output of a command. One goroutine reads and captures it, another one writes it.
type stream struct {
	from    *os.File // the read end of the command's pipe
	to      io.Writer
	capture io.Writer // may be nil

	mu      sync.Mutex
	changed sync.Cond
	pending [][]byte // read and not written yet
	ended   bool     // the command has ended: reading no longer waits for writing
	eof     bool     // everything has been read
	closed  bool     // the reader of to has closed it
	err     error    // the first error of a write; final once written is closed

	read, written chan struct{} // closed when everything has been read, or written
	held          bool          // another process still holds the output open; set once read is closed
}

// newStream returns a stream and the file that the command writes to. The caller closes the file once the command has started.
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

// end is called when the command has ended. It limits the time of reading while another process holds the output open.
func (s *stream) end(wait time.Duration) {
	_ = s.from.SetReadDeadline(time.Now().Add(wait))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.changed.Broadcast()
}

func (s *stream) readAll() {
	defer close(s.read)
	var err error
	for err == nil {
		err = s.readOnce()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.readRest()
	}
	_ = s.from.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.eof = true
	s.changed.Broadcast()
}

// readRest reads what is in the pipe after the deadline, and finds out whether that was all.
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

// readOnce fails with EPIPE when the reader of to has closed it. The pipe is then closed, which the command notices.
func (s *stream) readOnce() error {
	buf := make([]byte, 32<<10)
	n, err := s.from.Read(buf)
	if !s.take(buf[:n]) {
		return syscall.EPIPE
	}
	return err
}

// take captures a piece and waits until it has been written, unless the command has ended. It returns false if the command must
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

// writeAll ends when the reader of to has closed it. Any other error, such as a full disk, is kept and does not disturb the
// command.
func (s *stream) writeAll() {
	defer close(s.written)
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.closed {
		for len(s.pending) == 0 && !s.eof {
			s.changed.Wait()
		}
		if len(s.pending) == 0 {
			return
		}
		piece := s.pending[0]
		s.mu.Unlock()
		_, err := s.to.Write(piece)
		s.mu.Lock()
		s.pending = s.pending[1:]
		if s.closed = errors.Is(err, syscall.EPIPE); s.err == nil && !s.closed {
			s.err = err
		}
		s.changed.Broadcast()
	}
}
