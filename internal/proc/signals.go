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

// Signals receives the signals that are meant for the command.
type Signals struct{ c chan os.Signal }

// NewSignals receives nothing before [Signals.Listen].
func NewSignals() *Signals { return &Signals{make(chan os.Signal, 16)} }

// Listen begins to receive, instead of being ended by a signal. What this process was started to ignore (nohup) stays ignored,
// by the command too. It may be called again.
func (s *Signals) Listen() {
	signal.Notify(s.c, slices.DeleteFunc(slices.Clone(forwarded), signal.Ignored)...)
}

// Stop ends Listen.
func (s *Signals) Stop() { signal.Stop(s.c) }

// Pending returns a signal that came and would have ended this process, 0 where none did.
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

// target is the process that gets signals, with its group where that is its own.
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

// terminate sends a signal that is to end the process, and wakes one that was stopped, as by reading from the terminal in the
// background: it would not even end.
func (t target) terminate(s syscall.Signal) {
	t.send(s)
	t.send(syscall.SIGCONT)
}

// forward passes on a signal that this process got. In a common group the terminal has sent those of its keys to both.
func (t target) forward(s syscall.Signal) {
	switch {
	case t.ownGroup && fatal(s):
		t.terminate(s)
	case t.ownGroup || s != syscall.SIGINT && s != syscall.SIGQUIT && fatal(s):
		t.send(s)
	}
}
