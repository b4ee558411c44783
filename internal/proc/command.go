package proc

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Command is a command to run.
type Command struct {
	Args           []string // the program and its arguments
	Env            []string
	Timeout        time.Duration // 0: none
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
	// Interrupted is the time for a SIGINT or SIGTERM to arrive here after one has ended the command, 100 ms by default.
	// After another failure it is a fifth of that.
	Interrupted time.Duration
}

// Exit is how a command ended.
type Exit struct {
	Code        int    // as in a shell: 128+n after signal n, 127 not found, 126 not executable
	Signal      string // the signal that ended it, e.g. SIGKILL
	Detail      string // more in words, may be ""
	TimedOut    bool
	Interrupted bool // this process itself received SIGINT or SIGTERM
}

// Run runs the command and returns when it has ended and all its output has been read. A slow reader may still be behind: see
// [Output.Wait]. An error says why the command could not be started.
func (c Command) Run() (Exit, Output, error) {
	c.Waits.Output = cmp.Or(c.Waits.Output, 5*time.Second)
	c.Waits.Kill = cmp.Or(c.Waits.Kill, 10*time.Second)
	c.Waits.Interrupted = cmp.Or(c.Waits.Interrupted, 100*time.Millisecond)
	cmd := exec.Command(c.Args[0], c.Args[1:]...)
	cmd.Env, cmd.WaitDelay, cmd.Stdin = c.Env, c.Waits.Output, c.Stdin
	out, closeFiles, err := c.connect(cmd)
	defer closeFiles()
	if err != nil {
		return Exit{Code: 126, Detail: "no pipe for its output"}, out, fmt.Errorf("start %s: %w", c.Args[0], err)
	}
	// With a process group of its own, the timeout ends everything that the command has started. At a terminal the command stays in
	// our group, because the terminal sends Ctrl-C to that group.
	ownGroup := !isTerminal(c.Stdin)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: ownGroup}
	if err := cmd.Start(); err != nil {
		exit := Exit{Code: 126, Detail: "command not executable"}
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
			exit = Exit{Code: 127, Detail: "command not found"}
		}
		return exit, out, fmt.Errorf("start %s: %w", c.Args[0], err)
	}
	closeFiles()
	if c.Started != nil {
		c.Started(cmd.Process.Pid)
	}

	exit := c.wait(cmd, target{cmd.Process.Pid, ownGroup})
	if held := out.finish(c.Waits.Output); held && exit.Detail == "" {
		exit.Detail = "a background process held its output open"
	}
	return exit, out, nil
}

// wait passes signals on and enforces the timeout until the command has ended.
func (c Command) wait(cmd *exec.Cmd, to target) Exit {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // other errors, such as unread input, do not change how the command ended
	}()
	var timeout, kill <-chan time.Time
	if c.Timeout > 0 {
		t := time.NewTimer(c.Timeout)
		defer t.Stop()
		timeout = t.C
	}
	var exit Exit
	for {
		select {
		case s := <-c.Signals.c:
			exit.Interrupted = exit.Interrupted || interrupts(s) && !exit.TimedOut
			to.forward(s.(syscall.Signal))
		case <-timeout:
			exit.TimedOut = !exit.Interrupted
			exit.Detail = fmt.Sprintf("timed out after %s", c.Timeout)
			to.terminate(syscall.SIGTERM)
			kill = time.After(c.Waits.Kill)
		case <-kill:
			to.send(syscall.SIGKILL)
		case <-ended:
			if exit.TimedOut {
				to.send(syscall.SIGKILL) // the rest of its group
			}
			return c.exit(cmd.ProcessState, exit)
		}
	}
}

// exit completes how the command ended. It waits briefly for a signal to this process, which may be the cause.
func (c Command) exit(state *os.ProcessState, exit Exit) Exit {
	exit.Code = state.ExitCode()
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		exit.Code, exit.Signal = 128+int(status.Signal()), unix.SignalName(status.Signal())
	}
	if !exit.TimedOut && !exit.Interrupted {
		exit.Interrupted = c.interruptedTogether(exit.Code)
	}
	switch {
	case exit.Interrupted:
		exit.Detail = "ended because adfbot was told to end"
	case exit.Signal == "SIGKILL" && exit.Detail == "":
		exit.Detail = "killed, perhaps by the kernel for lack of memory"
	}
	return exit
}

// interruptedTogether reports whether this process receives SIGINT or SIGTERM just after the command has ended: Ctrl-C, systemd
// or a shutdown may end the command first. A command that succeeded was not interrupted.
func (c Command) interruptedTogether(code int) bool {
	wait := c.Waits.Interrupted / 5
	switch code {
	case 0:
		return false
	case 128 + int(syscall.SIGINT), 128 + int(syscall.SIGTERM):
		wait = c.Waits.Interrupted
	}
	expired := time.After(wait)
	for {
		select {
		case s := <-c.Signals.c:
			if interrupts(s) {
				return true
			}
		case <-expired:
			return false
		}
	}
}

// connect sets the command's outputs. A file is passed on as it is if nothing captures it. The caller calls closeFiles once the
// command has started.
func (c Command) connect(cmd *exec.Cmd) (out Output, closeFiles func(), err error) {
	var files []*os.File
	closeFiles = sync.OnceFunc(func() {
		for _, f := range files {
			_ = f.Close()
		}
	})
	for _, o := range []struct {
		to  io.Writer
		end *io.Writer
	}{{c.Stdout, &cmd.Stdout}, {c.Stderr, &cmd.Stderr}} {
		if f, ok := o.to.(*os.File); ok && c.Capture == nil {
			*o.end = f
			continue
		}
		s, file, err := newStream(o.to, c.Capture)
		if err != nil {
			return out, closeFiles, err
		}
		out, files, *o.end = append(out, s), append(files, file), file
	}
	return out, closeFiles, nil
}

func isTerminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
