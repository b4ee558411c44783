package proc_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/internal/proc"
	"github.com/terraphim/adfbot/internal/testhost"
)

// onTerminal is a process whose session has a terminal. It runs a script with the standard input from a file, and prints how that ended.
func onTerminal(testhost.Self) int {
	stdin, err := os.Open(os.Args[2])
	if err != nil {
		panic(err)
	}
	if len(os.Args) > 4 { // another group is in the foreground
		other := exec.Command("sleep", "60")
		other.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		runtime.LockOSThread() // Pdeathsig
		if err := errors.Join(other.Start(), unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, other.Process.Pid)); err != nil {
			panic(err)
		}
	}
	signals := proc.NewSignals()
	signals.Listen()
	c := proc.Command{
		Args: []string{"sh", "-c", os.Args[1]}, Env: os.Environ(), Signals: signals,
		Stdin: stdin, Stdout: os.Stdout, Stderr: os.Stderr, Capture: devNull{},
		Waits: proc.Waits{Output: long, Interrupted: time.Millisecond},
	}
	c.Timeout, _ = time.ParseDuration(os.Args[3])
	c.Waits.Kill = max(c.Timeout/2, 1)
	exit, out, err := c.Run()
	fmt.Printf("code %d, timed out %v, interrupted %v, %v %v\n", exit.Code, exit.TimedOut, exit.Interrupted, err, out.Wait(signals))
	return 0
}

// terminal is the side of a terminal at which a person sits.
type terminal struct {
	*os.File
	*testhost.Child
	lines *bufio.Scanner // what the process writes, not to the terminal
}

// atTerminal starts onTerminal. stdin names the script's standard input; "" is the terminal.
func atTerminal(t *testing.T, script, stdin, timeout string, background ...string) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no terminals here: ", err)
	}
	require.NoError(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	name := fmt.Sprint("/dev/pts/", n)
	slave, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	if stdin == "" {
		stdin = name
	}
	r, w, err := os.Pipe()
	require.NoError(t, err)
	cmd := testhost.Command(t, "onterminal", append([]string{script, stdin, timeout}, background...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, w, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, cmd.Start())
	require.NoError(t, w.Close())
	require.NoError(t, slave.Close())
	t.Cleanup(func() { _, _ = master.Close(), r.Close() })
	limit, err := time.ParseDuration(timeout)
	require.NoError(t, err)
	require.NoError(t, r.SetReadDeadline(time.Now().Add(2*limit+testhost.Patience)))
	return &terminal{master, cmd, bufio.NewScanner(r)}
}

// says waits for a line.
func (term *terminal) says(t *testing.T, want string) {
	t.Helper()
	require.True(t, term.lines.Scan(), "it says nothing: %v", term.lines.Err())
	require.Equal(t, want, term.lines.Text())
}

func (term *terminal) keys(t *testing.T, keys string) {
	t.Helper()
	_, err := term.WriteString(keys)
	require.NoError(t, err)
}

// A command asks at the terminal although its input is a file, as ssh and sudo do.
func TestAsksAtTheTerminal(t *testing.T) {
	for _, stdin := range []string{"", "/dev/null"} {
		term := atTerminal(t, "read answer </dev/tty; echo got $answer", stdin, "0")
		term.keys(t, "yes\n")
		term.says(t, "got yes")
		term.says(t, "code 0, timed out false, interrupted false, <nil> <nil>")
	}
}

// Ctrl-C and Ctrl-\ reach the command once.
func TestKeysOfTheTerminal(t *testing.T) {
	t.Parallel()
	for key, signal := range map[string]string{"\x03": "INT", "\x1c": "QUIT"} {
		for _, stdin := range []string{"", "/dev/null"} {
			term := atTerminal(t, "n=0; trap 'n=$((n+1))' "+signal+"; echo begun; while [ $n = 0 ]; do sleep 0.01; done; sleep 0.05; echo $n; exit 9", stdin, "0")
			term.says(t, "begun")
			term.keys(t, key)
			term.says(t, "1")
			term.says(t, "code 9, timed out false, interrupted true, <nil> <nil>")
		}
	}
}

// In the background of a terminal no key sends a signal, so one that comes was sent to adfbot alone.
func TestSignalInTheBackgroundOfATerminal(t *testing.T) {
	term := atTerminal(t, "trap 'exit 8' INT; echo begun; while :; do sleep 0.01; done", "/dev/null", "0", "in the background")
	term.says(t, "begun")
	require.NoError(t, term.Process.Signal(syscall.SIGINT))
	term.says(t, "code 8, timed out false, interrupted true, <nil> <nil>")
}

// A timeout ends all that the command has started, also what is in no process group with it.
func TestTimeoutEndsDescendants(t *testing.T) {
	t.Parallel()
	const script = `
		sleep 60 & echo $! >DIR/child
		sh -c 'sleep 60 & echo $! >DIR/grandchild; wait' &
		(trap '' TERM; sh -c 'echo $$ >DIR/ignores-SIGTERM; while :; do sleep 60; done') &
		sh -c 'trap "" TERM; sh -c "echo \$\$ >DIR/orphan-after-SIGTERM; while :; do sleep 60; done" & trap "exit 0" TERM; wait' &
		setsid sh -c 'echo $$ >DIR/session-of-its-own; exec sleep 60' &
		sh -c 'echo $$ >DIR/stopped; kill -STOP $$; sleep 60' &
		wait`
	names := []string{"child", "grandchild", "ignores-SIGTERM", "orphan-after-SIGTERM", "session-of-its-own", "stopped"}
	for _, at := range []string{"a terminal", "no terminal"} {
		t.Run("at "+at, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			script := strings.ReplaceAll(script, "DIR", dir)
			begun := func() bool {
				return !slices.ContainsFunc(names, func(n string) bool { return !hasText(dir + "/" + n) })
			}
			code := ""
			for timeout := 250 * time.Millisecond; !begun() || code != "143"; timeout *= 2 { // a slow machine needs longer to begin and to end
				require.Less(t, timeout, long, "code %s", code)
				if at == "a terminal" {
					term := atTerminal(t, script, "", timeout.String())
					require.True(t, term.lines.Scan(), "it says nothing: %v", term.lines.Err())
					said := regexp.MustCompile(`^code (\d+), timed out true, interrupted false, <nil> <nil>$`).FindStringSubmatch(term.lines.Text())
					require.NotNil(t, said, term.lines.Text())
					code = said[1]
				} else {
					cmd, _, _ := shell(t, script)
					cmd.Timeout, cmd.Waits.Kill = timeout, timeout/2
					exit := run(t, cmd)
					require.True(t, exit.TimedOut)
					code = strconv.Itoa(exit.Code)
				}
			}
			for _, name := range names {
				require.NoError(t, testhost.WaitGone(pidIn(t, filepath.Join(dir, name))), name)
			}
		})
	}
}

func hasText(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Size() > 0
}

// suspended gets signals at once while its command runs.
func suspended(testhost.Self) int {
	signals := proc.NewSignals()
	begun := sync.OnceFunc(func() {
		for _, arg := range os.Args[2:] {
			s, err := strconv.Atoi(arg)
			if err != nil {
				panic(err)
			}
			signals.Send(syscall.Signal(s))
		}
	})
	c := proc.Command{
		Args: []string{"sh", "-c", os.Args[1]}, Env: os.Environ(), Signals: signals,
		Stdout: &writer{then: begun}, Stderr: os.Stderr, Waits: proc.Waits{Output: long, Kill: long, Interrupted: time.Millisecond, Woken: long},
	}
	exit, _, err := c.Run()
	if err != nil {
		panic(err)
	}
	return exit.Code
}

// A signal that comes while the command is about to stop is not left until this process is woken, which it may have been to do.
func TestSignalWhileSuspended(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGCONT, syscall.SIGTERM} {
		requireNotStopped(t, "trap 'exit 7' CONT TERM; echo begun; while :; do sleep 0.01; done", syscall.SIGTSTP, syscall.SIGWINCH, s)
	}
}

// The runtime passes on signals that have come together in the order of their numbers.
func TestSIGCONTTogetherWithSIGTSTP(t *testing.T) {
	requireNotStopped(t, "trap 'exit 8' TSTP; trap 'exit 7' WINCH; echo begun; while :; do :; done", syscall.SIGCONT, syscall.SIGTSTP, syscall.SIGWINCH)
}

// requireNotStopped requires that a process which gets signals while it runs a script ends with the script's exit code 7.
func requireNotStopped(t *testing.T, script string, signals ...syscall.Signal) {
	t.Helper()
	args := []string{script}
	for _, s := range signals {
		args = append(args, strconv.Itoa(int(s)))
	}
	cmd := testhost.Command(t, "suspended", args...)
	require.NoError(t, cmd.Start())
	require.ErrorContains(t, testhost.WaitStopped(cmd.Process), "ended and was not stopped", signals)
	require.Equal(t, 7, testhost.ExitCode(cmd.Wait()), signals)
}

// A SIGCONT is known before the runtime passes it on. What tells so does not stop this process.
func TestWatchSIGCONT(t *testing.T) {
	for range 3 {
		woken, done := proc.WatchSIGCONT()
		require.False(t, woken())
		require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGCONT))
		require.True(t, woken())
		done()
	}
	_, done := proc.WatchSIGCONT()
	done()
}
