package proc

import (
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

// forwarded returns the signals that are passed on to the command: those by which somebody may tell it something. Go's runtime passes on no
// other, among them 34, the first one for real time.
func forwarded() []os.Signal {
	all := []os.Signal{
		syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGCONT,
		syscall.SIGWINCH, syscall.SIGALRM, syscall.SIGPWR, syscall.SIGIO, syscall.SIGABRT, syscall.SIGTSTP, syscall.SIGXCPU, syscall.SIGVTALRM,
		syscall.SIGPROF,
	}
	const firstRealTime, lastRealTime = 35, 64 // see signal(7)
	for s := firstRealTime; s <= lastRealTime; s++ {
		all = append(all, syscall.Signal(s))
	}
	return all
}

// Signals receives signals for the command.
type Signals struct {
	c    chan os.Signal
	told bool // to end, with the command or after its end: then [Output.Wait] does not wait for a reader that may hang
}

// NewSignals returns a Signals that receives nothing before [Signals.Listen].
func NewSignals() *Signals { return &Signals{c: make(chan os.Signal, 16)} }

// Listen starts receiving signals, which then do not end this process. Signals that this process ignores from its start (nohup)
// stay ignored, by the command too. Listen may be called again.
func (s *Signals) Listen() {
	signal.Notify(s.c, slices.DeleteFunc(forwarded(), signal.Ignored)...)
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

// AfterCommand calls leave if a signal that asks this process to end comes after the command's end and before stop is called.
// [Output.Wait] follows.
func (s *Signals) AfterCommand(leave func()) (stop func()) {
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case sig := <-s.c:
				s.told = s.told || fatal(sig)
				if interrupts(sig.(syscall.Signal)) {
					leave()
				}
			case <-over:
				return
			}
		}
	}()
	return func() { close(over); <-done }
}

// EndBySIGINT ends this process by SIGINT. It returns in the first process of a container, which the default action of SIGINT does not
// end.
func EndBySIGINT() {
	if os.Getpid() != 1 {
		signal.Reset(syscall.SIGINT)
		_ = syscall.Kill(os.Getpid(), syscall.SIGINT)
		time.Sleep(time.Second) // another thread may receive the signal a little later
	}
}

// fatal reports whether a signal ends a program that does not handle it.
func fatal(s os.Signal) bool {
	return s != syscall.SIGCONT && s != syscall.SIGWINCH && s != syscall.SIGTSTP
}

// interrupts reports whether a signal asks a program to end.
func interrupts(s syscall.Signal) bool {
	return s == syscall.SIGINT || s == syscall.SIGTERM || s == syscall.SIGHUP || s == syscall.SIGQUIT
}

// interruption is the signal that told this process to end, if there was one.
type interruption struct {
	begun  time.Time // when the command was started
	at     time.Time
	signal syscall.Signal
}

// add keeps the first signal that asks to end, and reports whether this one does. Any other weighs more than a SIGHUP.
func (i *interruption) add(s syscall.Signal) bool {
	if interrupts(s) && (i.signal == 0 || i.signal == syscall.SIGHUP) {
		i.at, i.signal = time.Now(), s
	}
	return interrupts(s)
}

// explains reports whether the signal is why the command has just ended. Many programs take a SIGHUP as an order to reload and go on;
// then it is not.
func (i *interruption) explains(code int, soon time.Duration) bool {
	return i.signal != 0 && (i.signal != syscall.SIGHUP || code == 128+int(i.signal) || time.Since(i.at) < soon)
}

// after reports whether the command had run as long as one of the limits when the signal came. A limit of 0 is none.
func (i *interruption) after(limits ...time.Duration) bool {
	return slices.ContainsFunc(limits, func(limit time.Duration) bool { return limit > 0 && i.at.Sub(i.begun) >= limit })
}
