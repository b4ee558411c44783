package proc

import (
	"os"
	"os/signal"
	"slices"
	"syscall"
)

// forwarded are the signals that are passed on to the command.
var forwarded = []os.Signal{
	syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGCONT,
	syscall.SIGWINCH, syscall.SIGALRM,
}

// Signals receives signals for the command.
type Signals struct{ c chan os.Signal }

// NewSignals returns a Signals that receives nothing before [Signals.Listen].
func NewSignals() *Signals { return &Signals{make(chan os.Signal, 16)} }

// Listen starts receiving signals, which then do not end this process. Signals that this process ignores from its start (nohup)
// stay ignored, by the command too. Listen may be called again.
func (s *Signals) Listen() {
	signal.Notify(s.c, slices.DeleteFunc(slices.Clone(forwarded), signal.Ignored)...)
}

// Stop ends Listen.
func (s *Signals) Stop() { signal.Stop(s.c) }

// Pending returns a received signal that would have ended this process, or 0.
func (s *Signals) Pending() syscall.Signal {
	for {
		select {
		case sig := <-s.c:
			if fatal(sig) {
				return sig.(syscall.Signal)
			}
		default:
			return 0
		}
	}
}

// fatal reports whether a signal ends a program that does not handle it.
func fatal(s os.Signal) bool { return s != syscall.SIGCONT && s != syscall.SIGWINCH }

// interrupts reports whether a signal asks a program to end.
func interrupts(s os.Signal) bool { return s == syscall.SIGINT || s == syscall.SIGTERM }

// target is the process that receives signals, with its group if it has one of its own.
type target struct {
	pid      int
	ownGroup bool
}

func (t target) send(s syscall.Signal) {
	pid := t.pid
	if t.ownGroup {
		pid = -pid
	}
	_ = syscall.Kill(pid, s)
}

// terminate sends a signal that ends the process, and wakes the process if it is stopped, e.g. because it has read from the
// terminal in the background: a stopped process does not end.
func (t target) terminate(s syscall.Signal) {
	t.send(s)
	t.send(syscall.SIGCONT)
}

// forward passes on a signal that this process received. In a common group the terminal sends the signals of its keys to both.
func (t target) forward(s syscall.Signal) {
	switch {
	case t.ownGroup && fatal(s):
		t.terminate(s)
	case t.ownGroup || s != syscall.SIGINT && s != syscall.SIGQUIT && fatal(s):
		t.send(s)
	}
}
