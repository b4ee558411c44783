package bot

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/escalate"
)

// Variables because the tests can't wait so long; nothing else sets them.
var (
	pipeWait = 5 * time.Second  // for pipes that a background process holds after the command's end
	killWait = 10 * time.Second // between SIGTERM and SIGKILL of a command that timed out
)

// child is a command under exec.
type child struct {
	argv, env      []string
	timeout        time.Duration
	stdin          io.Reader
	stdout, stderr io.Writer
	capture        *escalate.Capture // nil: the output is not looked at
	started        func(pid int)
	signals        <-chan os.Signal // to pass on
}

// ending is how a command ended.
type ending struct {
	code        int // as a shell gives it: 128+n after signal n
	signal      string
	detail      string
	timedOut    bool
	interrupted bool // adfbot itself got SIGINT or SIGTERM
}

// forwarded are the signals that are passed on to the command.
var forwarded = []os.Signal{
	syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGCONT,
	syscall.SIGWINCH, syscall.SIGALRM,
}

// run runs the command. The error says why it could not be started; the ending then is that of a shell (127, 126).
func (c child) run() (ending, error) {
	cmd := exec.Command(c.argv[0], c.argv[1:]...)
	cmd.Env, cmd.WaitDelay = c.env, pipeWait
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.stdin, c.stdout, c.stderr
	if c.capture != nil {
		cmd.Stdout, cmd.Stderr = tee{c.stdout, c.capture}, tee{c.stderr, c.capture}
	}
	// A process group of its own lets the timeout end everything that the command started. At a terminal it stays in
	// ours: the terminal's keys must reach it, and they do so without our help.
	terminal := isTerminal(c.stdin)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: !terminal}
	if err := cmd.Start(); err != nil {
		return notStarted(c.argv[0], err)
	}
	c.started(cmd.Process.Pid)

	waited := make(chan error, 1)
	go func() { waited <- cmd.Wait() }()
	var timer, kill <-chan time.Time
	if c.timeout > 0 {
		t := time.NewTimer(c.timeout)
		defer t.Stop()
		timer = t.C
	}
	var end ending
	for {
		select {
		case s := <-c.signals:
			if s == syscall.SIGINT || s == syscall.SIGTERM {
				end.interrupted = !end.timedOut
			}
			if !terminal || (s != syscall.SIGINT && s != syscall.SIGQUIT && s != syscall.SIGWINCH && s != syscall.SIGCONT) {
				send(cmd.Process.Pid, !terminal, s.(syscall.Signal))
			}
		case <-timer:
			end.timedOut = !end.interrupted
			end.detail = fmt.Sprintf("timed out after %s", c.timeout)
			send(cmd.Process.Pid, !terminal, syscall.SIGTERM)
			kill = time.After(killWait)
		case <-kill:
			send(cmd.Process.Pid, !terminal, syscall.SIGKILL)
		case err := <-waited:
			if end.timedOut {
				send(cmd.Process.Pid, !terminal, syscall.SIGKILL) // what is left of its group
			}
			return c.ended(cmd, err, end), nil
		}
	}
}

func send(pid int, group bool, s syscall.Signal) {
	if group {
		pid = -pid
	}
	_ = syscall.Kill(pid, s)
}

// ended reads the exit status. An error of Wait that is none of the command's own (a reader that went away, pipes held by
// a background process) does not change how the command ended.
func (c child) ended(cmd *exec.Cmd, err error, end ending) ending {
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case ok && status.Signaled():
		end.code, end.signal = 128+int(status.Signal()), unix.SignalName(status.Signal())
		if status.Signal() == syscall.SIGKILL && end.detail == "" && !end.interrupted {
			end.detail = "killed, perhaps by the kernel for want of memory"
		}
	default:
		end.code = cmd.ProcessState.ExitCode()
	}
	if end.interrupted {
		end.detail = "ended because adfbot was told to end"
	}
	if errors.Is(err, exec.ErrWaitDelay) && end.detail == "" {
		end.detail = "a background process held its output open"
	}
	return end
}

func notStarted(name string, err error) (ending, error) {
	err = fmt.Errorf("%s can't be started: %w", name, err)
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return ending{code: 127, detail: "command not found"}, err
	}
	return ending{code: 126, detail: "command not executable"}, err
}

func isTerminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// tee passes output on and keeps a part. What is kept never stands in the way of what is passed on.
type tee struct {
	to   io.Writer
	keep io.Writer
}

func (t tee) Write(p []byte) (int, error) {
	_, _ = t.keep.Write(p)
	return t.to.Write(p)
}
