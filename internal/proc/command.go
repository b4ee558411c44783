package proc

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Command is a command to run.
type Command struct {
	Args           []string // the program and its arguments
	Env            []string
	Timeout        time.Duration // 0: none
	HungAfter      time.Duration // see [Exit.Hung]; 0: never
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Capture        io.Writer     // gets a copy of both outputs; nil: a file in Stdout or Stderr is passed to the command itself
	Started        func(pid int) // called when the command runs; may be nil
	Signals        *Signals      // to pass on
	Waits          Waits
}

// Waits are the limits of what [Command.Run] waits for. 0 is the default.
type Waits struct {
	Output time.Duration // for the rest of the output after the command's end; 5 s by default
	Kill   time.Duration // between SIGTERM and SIGKILL after the timeout; 10 s by default
	Killed time.Duration // for the command's end after SIGKILL; 10 s by default
	// Interrupted is the time for a signal that asks to end to arrive here after one has ended the command, 100 ms by
	// default. After another failure it is a fifth of that.
	Interrupted time.Duration
	// Woken is how long after a SIGCONT a SIGTSTP is taken for one that came before it, 10 ms by default: the runtime passes on signals
	// that have come together in the order of their numbers.
	Woken time.Duration
}

// Exit is how a command ended.
type Exit struct {
	Code        int    // as in a shell: 128+n after signal n, 127 not found, 126 not executable
	Signal      string // the signal that ended it, e.g. SIGKILL
	Detail      string // more in words, may be ""
	TimedOut    bool
	Unended     int  // the process of a command that has timed out and survived SIGKILL; 0: the command has ended
	Interrupted bool // this process itself was told to end, by SIGINT, SIGTERM, SIGHUP or SIGQUIT
	Hung        bool // it was, but the command had run for Timeout or HungAfter by then
}

// Run runs the command. It returns when the command has ended, or could not be ended after its timeout, and all its output has been
// read. A slow reader of the output may still be behind: see [Output.Wait]. An error says why the command could not be started.
func (c Command) Run() (Exit, Output, error) {
	c.Waits.Output = cmp.Or(c.Waits.Output, 5*time.Second)
	c.Waits.Kill = cmp.Or(c.Waits.Kill, 10*time.Second)
	c.Waits.Killed = cmp.Or(c.Waits.Killed, 10*time.Second)
	c.Waits.Interrupted = cmp.Or(c.Waits.Interrupted, 100*time.Millisecond)
	c.Waits.Woken = cmp.Or(c.Waits.Woken, 10*time.Millisecond)
	out, ends, err := c.connect()
	// With a process group of its own, the command can be ended together with what it has started. At a terminal it stays in our
	// group: only a group in the foreground may read the terminal, and gets the signals of its keys.
	to := target{ownGroup: !self().terminal, waits: c.Waits}
	var cmd *exec.Cmd
	if err == nil {
		cmd, err = c.start(func(cmd *exec.Cmd) {
			cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = c.Stdin, ends[0], ends[1], c.Waits.Output
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: to.ownGroup}
		})
	}
	out.closeEnds()
	if err != nil {
		return notStarted(err), out, fmt.Errorf("start %s: %w", c.Args[0], startError(c.Args[0], err))
	}
	to.command = newProcess(cmd.Process)
	if c.Started != nil {
		c.Started(cmd.Process.Pid)
	}

	exit := c.wait(cmd, &to)
	if held := out.finish(c.Waits.Output); held && exit.Detail == "" {
		exit.Detail = "a background process held its output open"
	}
	return exit, out, nil
}

// wait passes signals on and enforces the timeout until the command has ended.
func (c Command) wait(cmd *exec.Cmd, to *target) Exit {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // other errors, such as unread input, do not change how the command ended
	}()
	var timeout, kill, killed <-chan time.Time
	if c.Timeout > 0 {
		t := time.NewTimer(c.Timeout)
		defer t.Stop()
		timeout = t.C
	}
	told := interruption{begun: time.Now()}
	timedOut, killAt := false, time.Time{}
	for {
		select {
		case s := <-c.Signals.c:
			if s == syscall.SIGTSTP {
				if s = to.suspend(c.Signals.c); s == nil {
					continue
				}
			}
			told.add(s.(syscall.Signal))
			to.forward(s.(syscall.Signal))
		case <-timeout:
			if hasEnded(cmd.Process.Pid) { // this process was stopped meanwhile, e.g. by docker pause
				continue
			}
			timedOut, killAt = true, time.Now().Add(c.Waits.Kill)
			to.terminate(syscall.SIGTERM)
			kill = time.After(c.Waits.Kill)
		case <-kill:
			to.end()
			killed = time.After(c.Waits.Killed)
		case <-killed: // it belongs to another user, or waits for a disk
			pid := cmd.Process.Pid
			return Exit{TimedOut: true, Unended: pid, Detail: fmt.Sprintf("timed out after %s, and process %d could not be ended", c.Timeout, pid)}
		case <-ended:
			if timedOut {
				to.endRest(killAt)
			}
			return c.exit(cmd.ProcessState, told, timedOut)
		}
	}
}

// exit returns how the command ended. It waits briefly for a signal to this process, which may be the cause.
func (c Command) exit(state *os.ProcessState, told interruption, timedOut bool) Exit {
	exit := Exit{Code: state.ExitCode(), TimedOut: timedOut}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		exit.Code, exit.Signal = 128+int(status.Signal()), unix.SignalName(status.Signal())
	}
	if !timedOut {
		if !told.explains(exit.Code, c.Waits.Kill) {
			told = c.interruptedTogether(told, exit.Code)
		}
		c.Signals.told = told.explains(exit.Code, c.Waits.Kill)
		// Nobody kills a command that was told to end just now, but the kernel may have, for want of memory: systemd then tells what is left
		// of the unit to end (OOMPolicy=stop).
		killed := exit.Signal == "SIGKILL" && time.Since(told.at) < c.Waits.Kill
		exit.Interrupted = c.Signals.told && !killed
		exit.Hung = exit.Interrupted && told.after(c.Timeout, c.HungAfter)
	}
	switch {
	case timedOut:
		exit.Detail = fmt.Sprintf("timed out after %s", c.Timeout)
	case exit.Hung:
		exit.Detail = fmt.Sprintf("hung: it had run for %s when adfbot was told to end", told.at.Sub(told.begun).Round(time.Second))
	case exit.Interrupted:
		exit.Detail = "ended because adfbot was told to end"
	case exit.Signal == "SIGKILL":
		exit.Detail = "killed, perhaps by the kernel for lack of memory"
	}
	return exit
}

// interruptedTogether adds a signal that this process receives just after the command has ended: Ctrl-C, systemd or a shutdown
// may end the command first. A command that succeeded was not interrupted.
func (c Command) interruptedTogether(told interruption, code int) interruption {
	wait := c.Waits.Interrupted / 5
	if code == 0 {
		return told
	}
	if interrupts(syscall.Signal(code - 128)) {
		wait = c.Waits.Interrupted
	}
	expired := time.After(wait)
	for {
		select {
		case s := <-c.Signals.c:
			if told.add(s.(syscall.Signal)) {
				return told
			}
		case <-expired:
			return told
		}
	}
}

// connect makes the command's outputs. A file is passed on as it is if nothing captures it. If both outputs are one file, so are
// the command's, or its lines would change their order on the way.
func (c Command) connect() (out Output, ends [2]io.Writer, err error) {
	end := func(to io.Writer) (io.Writer, error) {
		if f, ok := to.(*os.File); ok && c.Capture == nil {
			return f, nil
		}
		s, err := newStream(to, c.Capture)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
		return s.end, nil
	}
	if ends[0], err = end(c.Stdout); err == nil {
		if ends[1] = ends[0]; c.Capture == nil || !sameFile(c.Stdout, c.Stderr) {
			ends[1], err = end(c.Stderr)
		}
	}
	return out, ends, err
}

// sameFile reports whether two files are one, opened in the same way.
func sameFile(a, b io.Writer) bool {
	type id struct {
		dev, ino uint64
		flags    int
	}
	identify := func(w io.Writer) (i id, ok bool) {
		f, ok := w.(*os.File)
		if !ok {
			return i, false
		}
		var st unix.Stat_t
		err := unix.Fstat(int(f.Fd()), &st)
		if err == nil {
			i.flags, err = unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
		}
		i.dev, i.ino = st.Dev, st.Ino
		return i, err == nil
	}
	idA, okA := identify(a)
	idB, okB := identify(b)
	return okA && okB && idA == idB
}
