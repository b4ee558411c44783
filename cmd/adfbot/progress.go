package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// progress shows on a terminal how far a long command is. A short one shows nothing.
type progress struct {
	of     string    // what is counted
	w      io.Writer // nil: no terminal
	now    func() time.Time
	begun  time.Time
	last   time.Time
	showed bool
}

const (
	progressFrom  = 20 // fewer are not worth it
	progressAfter = 500 * time.Millisecond
	progressEvery = 100 * time.Millisecond
)

// progress returns the progress line of this invocation. With --verbose there is none: the log would break it.
func (a *app) progress(of string) *progress {
	p := &progress{of: of, now: a.time, begun: a.time()}
	if f, ok := a.stderr.(*os.File); ok && !a.verbose && isTerminal(f) {
		p.w = f
	}
	return p
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

func (p *progress) show(done, total int) {
	now := p.now()
	if p.w == nil || total <= progressFrom || now.Sub(p.begun) < progressAfter || (now.Sub(p.last) < progressEvery && done < total) {
		return
	}
	p.last, p.showed = now, true
	fmt.Fprintf(p.w, "\radfbot: %d of %d %s", done, total, p.of)
}

// clear removes the line.
func (p *progress) clear() {
	if p.showed {
		fmt.Fprint(p.w, "\r\033[K")
	}
}
