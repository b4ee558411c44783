package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// progress is a line on a terminal that says how far a long sweep is. A sweep that is soon done shows none.
type progress struct {
	w      io.Writer // nil: nobody looks
	now    func() time.Time
	begun  time.Time
	last   time.Time
	showed bool
}

const (
	progressFrom  = 20 // projects; fewer are not worth it
	progressAfter = 500 * time.Millisecond
	progressEvery = 100 * time.Millisecond
)

// progress begins one for this invocation. The log of --verbose would break the line.
func (a *app) progress() *progress {
	p := &progress{now: a.time, begun: a.time()}
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
	fmt.Fprintf(p.w, "\radfbot: %d of %d projects", done, total)
}

// clear takes the line away, so that what follows begins at the margin.
func (p *progress) clear() {
	if p.showed {
		fmt.Fprint(p.w, "\r\033[K")
	}
}
