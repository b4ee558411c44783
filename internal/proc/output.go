package proc

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Output is the output of a command, on its way through this process.
type Output []*stream

// maxPending bounds the bytes of an output that wait to be written after the command's end. What is in its pipe comes on top.
const maxPending = 1 << 20

// readSize is the default size of a pipe. A read of so much takes all that is in it, so it cuts no line that was written at once.
const readSize = 64 << 10

// closeEnds closes this process's copies of the files that the command writes to.
func (o Output) closeEnds() {
	for _, s := range o {
		_ = s.end.Close()
	}
}

// finish is called when the command has ended. It waits until everything has been read, and up to wait until everything has been
// written. It reports whether another process still holds an output open.
func (o Output) finish(wait time.Duration) (held bool) {
	for _, s := range o {
		s.commandEnded(wait)
		defer time.AfterFunc(wait, s.stopWaiting).Stop()
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

// Append writes a text of this program's own to a reader that may be as slow as that of the command's output: see [Output.Wait].
func (o *Output) Append(to io.Writer, text []byte) {
	s := &stream{to: to, pending: text, eof: true, read: make(chan struct{}), written: make(chan struct{})}
	s.changed.L = &s.mu
	close(s.read)
	*o = append(*o, s)
	go s.writeAll()
}

// Wait waits until everything has been written, but not much longer once a signal has arrived that would end this process. The error
// says why something could not be written.
func (o Output) Wait(signals *Signals) error {
	const late = 500 * time.Millisecond // a signal may have arrived before Wait, and the reader may be there all the same
	var err error
	var end <-chan time.Time
	if signals.told {
		end = time.After(late)
	}
	for len(o) > 0 {
		select {
		case <-o[0].written:
			err = errors.Join(err, o[0].err)
			o = o[1:]
		case sig := <-signals.c:
			if fatal(sig) && end == nil {
				end = time.After(late)
			}
		case <-end:
			return err
		}
	}
	return err
}

// Leave gives each output that another process still holds open to a process that passes on what comes, and returns. Without it
// that process would get a SIGPIPE. args are the arguments with which this program runs [Drain]. It is called after [Output.Wait]; an
// output that goes to no file ends here.
func (o Output) Leave(args []string) error {
	var err error
	for _, s := range o {
		<-s.read
		if to, ok := s.to.(*os.File); ok && s.held && len(args) > 0 {
			err = errors.Join(err, startDrain(args, s.from, to))
		}
		_ = s.from.Close()
	}
	return err
}

// stream is one output of a command. One goroutine reads and captures it, another one writes it.
type stream struct {
	from    *os.File // the read end of the command's pipe
	end     *os.File // the other end
	to      io.Writer
	capture io.Writer // may be nil; does not keep what it gets
	line    []byte    // read, but not captured before the line ends: a line of the other output within a secret would hide it

	mu      sync.Mutex
	changed sync.Cond
	pending []byte // read, and not being written yet
	size    int    // of pending and of what is being written
	limit   int    // reading waits while size is above it; 0 while the command runs
	eof     bool   // everything has been read
	closed  bool   // the reader of to has closed it
	err     error  // the first error of a write; final once written is closed

	read, written chan struct{} // closed when everything has been read, or written
	held          bool          // another process still holds the output open; set once read is closed
}

// newStream returns a stream. The caller closes its end once the command has started.
func newStream(to, capture io.Writer) (*stream, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	_ = w.Chmod(0o622) // a command that becomes another user may open /dev/stderr; processes of others cannot get at a pipe
	s := &stream{from: r, end: w, to: to, capture: capture, read: make(chan struct{}), written: make(chan struct{})}
	s.changed.L = &s.mu
	go s.readAll()
	go s.writeAll()
	return s, nil
}

// commandEnded limits the time of reading while another process holds the output open. From now on, a slow reader does not keep the
// rest of the output from being read.
func (s *stream) commandEnded(wait time.Duration) {
	_ = s.from.SetReadDeadline(time.Now().Add(wait))
	s.setLimit(maxPending)
}

// stopWaiting lets reading come to its end.
func (s *stream) stopWaiting() { s.setLimit(math.MaxInt) }

func (s *stream) setLimit(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = n
	s.changed.Broadcast()
}

func (s *stream) readAll() {
	defer close(s.read)
	var err error
	buf := make([]byte, readSize)
	for err == nil {
		err = s.readOnce(buf)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.readRest(buf)
	}
	if !s.held {
		_ = s.from.Close()
	}
	if len(s.line) > 0 {
		_, _ = s.capture.Write(s.line)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.eof = true
	s.changed.Broadcast()
}

// readRest reads what is in the pipe after the deadline, and finds out whether that was all. It waits for nothing: this process may have been
// stopped past every deadline.
func (s *stream) readRest(buf []byte) {
	left := 0
	if c, err := s.from.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) { left, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	}
	_ = s.from.SetReadDeadline(time.Time{})
	rest := make([]byte, left)
	n, _ := io.ReadFull(s.from, rest)
	s.take(rest[:n])
	s.held = true
	if c, err := s.from.SyscallConn(); err == nil {
		_ = c.Read(func(fd uintptr) (done bool) {
			n, err := unix.Read(int(fd), buf)
			s.held = n != 0 || err != nil
			s.take(buf[:max(n, 0)])
			return true
		})
	}
}

// readOnce fails with EPIPE when the reader of to has closed it. The pipe is then closed, which the command notices.
func (s *stream) readOnce(buf []byte) error {
	n, err := s.from.Read(buf)
	if !s.take(buf[:n]) {
		return syscall.EPIPE
	}
	return err
}

// take captures a piece and waits until the limit lets reading go on. It returns false if the command must not write any more.
func (s *stream) take(piece []byte) bool {
	s.captureLines(piece)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(piece) > 0 && !s.closed {
		s.pending = append(s.pending, piece...)
		s.size += len(piece)
		s.changed.Broadcast()
	}
	for s.size > s.limit && !s.closed {
		s.changed.Wait()
	}
	return !s.closed || s.limit > 0
}

// captureLines captures the lines that end in a piece. It does not wait for the end of a very long line.
func (s *stream) captureLines(piece []byte) {
	if s.capture == nil {
		return
	}
	n := len(s.line) + bytes.LastIndexByte(piece, '\n') + 1
	whole := n > len(s.line)
	s.line = append(s.line, piece...)
	if !whole && len(s.line) > readSize {
		n, whole = len(s.line), true
	}
	if whole {
		_, _ = s.capture.Write(s.line[:n])
		s.line = s.line[:copy(s.line, s.line[n:])]
	}
}

// writeAll ends when the reader of to has closed it. Any other error, such as a full disk, is kept and does not disturb the
// command.
func (s *stream) writeAll() {
	defer close(s.written)
	to := shared(s.to)
	var piece []byte
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.closed {
		for len(s.pending) == 0 && !s.eof {
			s.changed.Wait()
		}
		if len(s.pending) == 0 {
			return
		}
		piece, s.pending = s.pending, piece[:0]
		s.mu.Unlock()
		_, err := to.Write(piece)
		s.mu.Lock()
		s.size -= len(piece)
		if s.closed = errors.Is(err, syscall.EPIPE); s.err == nil && !s.closed {
			s.err = err
		}
		s.changed.Broadcast()
	}
}
