package bot

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

	"github.com/terraphim/adfbot/internal/redact"
)

// Variables because the tests can't wait so long; nothing else sets them.
var (
	pipeWait = 5 * time.Second  // for an output that a background process holds after the command's end, or that somebody is slow to take
	killWait = 10 * time.Second // between SIGTERM and SIGKILL of a command that timed out

	togetherWait = 100 * time.Millisecond // for a SIGINT or SIGTERM of ours after a command's end by its own; a fifth of that after another failure
)

// child is a command under exec.
type child struct {
	argv, env      []string
	timeout        time.Duration
	stdin          io.Reader
	stdout, stderr io.Writer
	capture        *redact.Capture // nil: the output is not looked at
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

// deadly tells whether a signal ends a program that does not mind it.
func deadly(s os.Signal) bool { return s != syscall.SIGCONT && s != syscall.SIGWINCH }

// run runs the command. The error says why it could not be started; the ending then is that of a shell (127, 126). What the
// command wrote has been read when it returns, and passed on if its reader is not very slow.
func (c child) run() (ending, output, error) {
	cmd := exec.Command(c.argv[0], c.argv[1:]...)
	cmd.Env, cmd.WaitDelay, cmd.Stdin = c.env, pipeWait, c.stdin
	out, done, err := c.streams(cmd)
	defer done()
	if err != nil {
		return ending{code: 126, detail: "no pipe for its output"}, out, fmt.Errorf("%s can't be started: %w", c.argv[0], err)
	}
	// A process group of its own lets the timeout end everything that the command started. At a terminal it stays in
	// ours: the terminal's keys must reach it, and they do so without our help.
	terminal := isTerminal(c.stdin)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: !terminal}
	if err := cmd.Start(); err != nil {
		end, err := notStarted(c.argv[0], err)
		return end, out, err
	}
	done()
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
				if !terminal && deadly(s) {
					// A command that asked at the terminal was stopped, and would not even end.
					send(cmd.Process.Pid, true, syscall.SIGCONT)
				}
			}
		case <-timer:
			end.timedOut = !end.interrupted
			end.detail = fmt.Sprintf("timed out after %s", c.timeout)
			send(cmd.Process.Pid, !terminal, syscall.SIGTERM)
			send(cmd.Process.Pid, !terminal, syscall.SIGCONT)
			kill = time.After(killWait)
		case <-kill:
			send(cmd.Process.Pid, !terminal, syscall.SIGKILL)
		case <-waited:
			end = c.ended(cmd, end)
			if end.timedOut {
				send(cmd.Process.Pid, !terminal, syscall.SIGKILL) // what is left of its group
			}
			if held := out.end(); held && end.detail == "" {
				end.detail = "a background process held its output open"
			}
			return end, out, nil
		}
	}
}

// streams takes the command's outputs. An output that nothing is kept of and that is a file is the command's own.
func (c child) streams(cmd *exec.Cmd) (out output, done func(), err error) {
	var files []*os.File
	done = sync.OnceFunc(func() {
		for _, f := range files {
			_ = f.Close()
		}
	})
	for _, o := range []struct {
		to  io.Writer
		end *io.Writer
	}{{c.stdout, &cmd.Stdout}, {c.stderr, &cmd.Stderr}} {
		var keep io.Writer
		if c.capture != nil {
			keep = c.capture
		} else if f, ok := o.to.(*os.File); ok {
			*o.end = f
			continue
		}
		s, file, err := newStream(o.to, keep)
		if err != nil {
			return out, done, err
		}
		out, files, *o.end = append(out, s), append(files, file), file
	}
	return out, done, nil
}

// toldToEnd waits a moment for a SIGINT or SIGTERM that came together with the command's end: whoever ends both (Ctrl-C,
// systemd, a shutdown) may end the command first, and a signal needs some time to get to us. A success is one all the same.
func (c child) toldToEnd(code int) bool {
	wait := togetherWait / 5
	switch code {
	case 0:
		return false
	case 128 + int(syscall.SIGINT), 128 + int(syscall.SIGTERM):
		wait = togetherWait
	}
	over := time.After(wait)
	for {
		select {
		case s := <-c.signals:
			if s == syscall.SIGINT || s == syscall.SIGTERM {
				return true
			}
		case <-over:
			return false
		}
	}
}

func send(pid int, group bool, s syscall.Signal) {
	if group {
		pid = -pid
	}
	_ = syscall.Kill(pid, s)
}

// ended reads the exit status, and waits a moment for a signal of ours where one may be why. An error of Wait that is none of
// the command's own (an input that nobody read) does not change how the command ended.
func (c child) ended(cmd *exec.Cmd, end ending) ending {
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case ok && status.Signaled():
		end.code, end.signal = 128+int(status.Signal()), unix.SignalName(status.Signal())
	default:
		end.code = cmd.ProcessState.ExitCode()
	}
	end.interrupted = end.interrupted || !end.timedOut && c.toldToEnd(end.code)
	switch {
	case end.interrupted:
		end.detail = "ended because adfbot was told to end"
	case end.signal == "SIGKILL" && end.detail == "":
		end.detail = "killed, perhaps by the kernel for want of memory"
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
