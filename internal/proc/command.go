package proc

import (
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
	Capture        io.Writer     // also gets both outputs; nil: a file among Stdout and Stderr becomes the command's own
	Started        func(pid int) // called when the command runs; may be nil
	Signals        *Signals      // to pass on
	Waits          Waits
}

// Waits are how long [Command.Run] waits. 0 stands for the default.
type Waits struct {
	Output time.Duration // for the rest of the output after the command's end; 5 s
	Kill   time.Duration // between SIGTERM and SIGKILL after the timeout; 10 s
	// Interrupted is how long a SIGINT or SIGTERM of our own may come after the command has ended by one; a fifth of it
	// after another failure; 100 ms.
	Interrupted time.Duration
}

func (w Waits) withDefaults() Waits {
	if w.Output == 0 {
		w.Output = 5 * time.Second
	}
	if w.Kill == 0 {
		w.Kill = 10 * time.Second
	}
	if w.Interrupted == 0 {
		w.Interrupted = 100 * time.Millisecond
	}
	return w
}

// Exit is how a command ended.
type Exit struct {
	Code        int    // as a shell gives it: 128+n after signal n, 127 not found, 126 not executable
	Signal      string // that ended it, e.g. SIGKILL
	Detail      string // in words, where there is something to say
	TimedOut    bool
	Interrupted bool // this process itself got SIGINT or SIGTERM
}

// Run runs the command and returns when it has ended and everything it wrote has been read. A slow reader of its output may
// still be behind: see [Output.Wait]. An error says why the command could not be started.
func (c Command) Run() (Exit, Output, error) {
	c.Waits = c.Waits.withDefaults()
	cmd := exec.Command(c.Args[0], c.Args[1:]...)
	cmd.Env, cmd.WaitDelay, cmd.Stdin = c.Env, c.Waits.Output, c.Stdin
	out, closeFiles, err := c.connect(cmd)
	defer closeFiles()
	if err != nil {
		return Exit{Code: 126, Detail: "no pipe for its output"}, out, fmt.Errorf("%s can't be started: %w", c.Args[0], err)
	}
	// In a process group of its own, the timeout ends everything that the command started. At a terminal it stays in our
	// group, because the terminal sends its keys' signals to that group.
	ownGroup := !isTerminal(c.Stdin)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: ownGroup}
	if err := cmd.Start(); err != nil {
		exit, err := notStarted(c.Args[0], err)
		return exit, out, err
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
		_ = cmd.Wait() // an error that is not the command's own, like an input that nobody read, does not change its end
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
				to.send(syscall.SIGKILL) // what is left of its group
			}
			return c.exit(cmd.ProcessState, exit)
		}
	}
}

// exit completes how the command ended. It waits a moment for a signal of our own where that may be the cause.
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
		exit.Detail = "killed, perhaps by the kernel for want of memory"
	}
	return exit
}

// interruptedTogether reports whether this process gets SIGINT or SIGTERM at the same moment as its command ended: whoever
// ends both (Ctrl-C, systemd, a shutdown) may end the command first. A command that succeeded was not interrupted.
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

// connect gives the command its outputs. One that is a file becomes the command's own where nothing captures it. The files
// have to be closed when the command was started.
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

func notStarted(name string, err error) (Exit, error) {
	err = fmt.Errorf("%s can't be started: %w", name, err)
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return Exit{Code: 127, Detail: "command not found"}, err
	}
	return Exit{Code: 126, Detail: "command not executable"}, err
}

func isTerminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
