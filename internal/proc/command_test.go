package proc_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/proc"
	"github.com/terraphim/adfbot/internal/testhost"
)

func TestMain(m *testing.M) {
	testhost.MainOverlapping(m, testhost.Funcs{"limited": limited, "drain": drain, "onterminal": onTerminal, "hide": hide,
		"powerless": powerless, "suspended": suspended})
}

const long = 30 * time.Second

// shell returns a command that runs a script, in which DIR is a directory of the test, and what it writes.
func shell(t *testing.T, script string) (c proc.Command, dir string, out *bytes.Buffer) {
	t.Helper()
	dir, out = t.TempDir(), &bytes.Buffer{}
	return proc.Command{
		Args: []string{"sh", "-c", strings.ReplaceAll(script, "DIR", dir)}, Env: os.Environ(), Stdout: out, Stderr: io.Discard,
		Signals: proc.NewSignals(), Waits: proc.Waits{Output: long, Kill: long, Interrupted: time.Millisecond},
	}, dir, out
}

func run(t *testing.T, c proc.Command) proc.Exit {
	t.Helper()
	exit, out, err := c.Run()
	require.NoError(t, err)
	require.NoError(t, out.Wait(c.Signals))
	return exit
}

// pid reads the id of a process that lives on after its test has failed.
func pid(t *testing.T, text string) int {
	t.Helper()
	var pid int
	_, err := fmt.Sscan(text, &pid)
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	return pid
}

func pidIn(t *testing.T, file string) int {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	return pid(t, string(b))
}

// alive reports whether a process is there and no zombie.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(b), ") Z ")
}

// once returns a function that waits until a command has made a file. As [proc.Command.Started] it lets the timeout begin only then, however
// slow the machine is.
func once(t *testing.T, file string) func(pid int) {
	t.Helper()
	changes := testhost.NewChanges()
	stop, err := changes.Watch(filepath.Dir(file))
	require.NoError(t, err)
	t.Cleanup(stop)
	return func(int) { require.NoError(t, changes.Await(func() string { return missing(file) })) }
}

func missing(file string) string {
	if !hasText(file) {
		return file + " is missing or empty"
	}
	return ""
}

func TestExit(t *testing.T) {
	for script, want := range map[string]proc.Exit{
		"true":          {},
		"exit 3":        {Code: 3},
		"exit 255":      {Code: 255},
		"kill -TERM $$": {Code: 143, Signal: "SIGTERM"},
		"kill -KILL $$": {Code: 137, Signal: "SIGKILL", Detail: "killed, perhaps by the kernel for lack of memory"},
	} {
		c, _, _ := shell(t, script)
		require.Equal(t, want, run(t, c), script)
	}
}

func TestNotStarted(t *testing.T) {
	c, dir, _ := shell(t, "")
	script := filepath.Join(dir, "not-executable")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\n"), 0o644))
	for name, want := range map[string]proc.Exit{
		"there-is-no-such-command": {Code: 127, Detail: "command not found"},
		dir + "/is-not-there":      {Code: 127, Detail: "command not found"},
		script:                     {Code: 126, Detail: "command not executable"},
		dir:                        {Code: 126, Detail: "command not executable"},
	} {
		c.Args = []string{name}
		exit, _, err := c.Run()
		require.ErrorContains(t, err, "start "+name+": ")
		require.Equal(t, want, exit, name)
	}
}

func TestTimeoutEndsTheProcessGroup(t *testing.T) {
	t.Parallel()
	const kill = 100 * time.Millisecond
	for what, c := range map[string]struct {
		script string
		exit   proc.Exit
		kill   time.Duration
	}{
		"by SIGTERM":                       {"sleep 60 & echo $! > DIR/pid; wait", proc.Exit{Code: 143, Signal: "SIGTERM"}, long},
		"by SIGKILL where it is ignored":   {"trap '' TERM; sleep 60 & echo $! > DIR/pid; wait", proc.Exit{Code: 137, Signal: "SIGKILL"}, kill},
		"and a child that ignores SIGTERM": {"trap 'exit 3' TERM; (trap '' TERM; exec sleep 60) & echo $! > DIR/pid; wait", proc.Exit{Code: 3}, kill},
		"and it may succeed all the same":  {"trap 'exit 0' TERM; sleep 60 & echo $! > DIR/pid; wait", proc.Exit{}, long},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			c.exit.TimedOut, c.exit.Detail = true, "timed out after 1ms"
			for {
				cmd, dir, _ := shell(t, c.script)
				cmd.Timeout, cmd.Waits.Kill, cmd.Started = time.Millisecond, c.kill, once(t, dir+"/pid")
				exit := run(t, cmd)
				child := pidIn(t, dir+"/pid")
				require.NoError(t, testhost.WaitGone(child))
				if exit.Code == 137 && c.exit.Code != 137 && c.kill < long { // a slow machine needs longer to end the command
					c.kill *= 4
					continue
				}
				require.Equal(t, c.exit, exit)
				return
			}
		})
	}
}

// powerless starts a command and then becomes a user who may not end it.
func powerless(testhost.Self) int {
	c := proc.Command{
		Args: []string{"sh", "-c", "exec sleep 60"}, Env: os.Environ(), Stdout: os.Stdout, Stderr: os.Stderr, Capture: io.Discard,
		Timeout: 100 * time.Millisecond, Signals: proc.NewSignals(),
		Waits: proc.Waits{Output: 50 * time.Millisecond, Kill: 50 * time.Millisecond, Killed: 50 * time.Millisecond},
		Started: func(int) {
			if err := syscall.Setresuid(testhost.Nobody, testhost.Nobody, testhost.Nobody); err != nil {
				panic(err)
			}
		},
	}
	exit, _, err := c.Run()
	fmt.Printf("%d\n%d %v %q %v\n", exit.Unended, exit.Code, exit.TimedOut, exit.Detail, err)
	return 0
}

// A command of another user, or one that waits for a dead disk, may survive SIGKILL. Its timeout counts all the same.
func TestTimeoutOfACommandThatCannotBeEnded(t *testing.T) {
	t.Parallel()
	testhost.NeedRoot(t, "to become a user who may not end a process of root")
	self := testhost.Command(t, "powerless")
	out, err := self.Output()
	require.NoError(t, err)
	command := pid(t, string(out))
	require.True(t, alive(command))
	require.Equal(t, fmt.Sprintf("%d\n0 true \"timed out after 100ms, and process %[1]d could not be ended\" <nil>\n", command), string(out))
}

func TestOutputHeldByABackgroundProcess(t *testing.T) {
	t.Parallel()
	for what, timeout := range map[string]time.Duration{"in time": long, "past the timeout": time.Nanosecond} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			c, _, out := shell(t, "sleep 60 & echo $!")
			c.Waits.Output, c.Timeout = 100*time.Millisecond, timeout
			c.Started = func(pid int) { require.NoError(t, testhost.WaitGone(pid)) } // it ends before the timeout
			require.Equal(t, proc.Exit{Detail: "a background process held its output open"}, run(t, c))
			require.True(t, alive(pid(t, out.String())), "it is not the command's")
		})
	}
}

// slowReader reads nothing before it may.
type slowReader struct {
	may  chan struct{}
	read bytes.Buffer
}

func (r *slowReader) Write(p []byte) (int, error) {
	<-r.may
	return r.read.Write(p)
}

func TestSlowReaderGetsEverything(t *testing.T) {
	slow, capture := &slowReader{may: make(chan struct{})}, &bytes.Buffer{}
	c, _, _ := shell(t, "head -c 60000 /dev/zero | tr '\\0' x; echo end")
	c.Stdout, c.Capture, c.Waits.Output = slow, capture, 50*time.Millisecond
	exit, out, err := c.Run()
	require.NoError(t, err)
	require.Equal(t, proc.Exit{}, exit)
	require.Equal(t, 60000+len("end\n"), capture.Len(), "everything is captured while the reader is behind")
	close(slow.may)
	require.NoError(t, out.Wait(c.Signals))
	require.Equal(t, capture.String(), slow.read.String())
}

func TestWaitEndsWithASignal(t *testing.T) {
	t.Parallel()
	slow := &slowReader{may: make(chan struct{})}
	c, _, _ := shell(t, "echo")
	c.Stdout, c.Waits.Output = slow, time.Millisecond
	_, out, err := c.Run()
	require.NoError(t, err)
	c.Signals.Send(syscall.SIGWINCH)
	c.Signals.Send(syscall.SIGTERM)
	require.NoError(t, out.Wait(c.Signals))
	close(slow.may)
}

// The signal came before, while the result was recorded. An output that has a reader is written all the same.
func TestWaitEndsWithAnEarlierSignal(t *testing.T) {
	t.Parallel()
	for n := range 10 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			var out proc.Output
			var read bytes.Buffer
			out.Append(&read, []byte("message"))
			out.Append(&slowReader{may: make(chan struct{})}, []byte("message"))
			signals := proc.NewSignals()
			signals.Send(syscall.SIGTERM)
			waited := make(chan error, 1)
			go func() { waited <- out.Wait(signals) }()
			select {
			case err := <-waited:
				require.NoError(t, err)
				require.Equal(t, "message", read.String())
			case <-time.After(testhost.Patience):
				require.FailNow(t, "Wait does not return")
			}
		})
	}
}

func TestOutputOnAFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	defer func() { _ = full.Close() }()
	c, dir, _ := shell(t, "echo 1; echo 2; echo 3; touch DIR/done")
	c.Stdout, c.Capture = full, io.Discard
	exit, out, err := c.Run()
	require.NoError(t, err)
	require.Equal(t, proc.Exit{}, exit)
	require.ErrorIs(t, out.Wait(c.Signals), syscall.ENOSPC)
	require.FileExists(t, dir+"/done", "the command was not disturbed")
}

func TestReaderThatGoesAwayEndsTheCommand(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, r.Close())
	c, _, _ := shell(t, "while echo x; do :; done")
	c.Stdout, c.Capture = w, io.Discard
	require.Equal(t, "SIGPIPE", run(t, c).Signal)
	require.NoError(t, w.Close())
}

// start runs the command and waits until it has made DIR/begun.
func start(t *testing.T, c proc.Command, dir string) (exit func() proc.Exit) {
	t.Helper()
	changes := testhost.NewChanges()
	stop, err := changes.Watch(dir)
	require.NoError(t, err)
	defer stop()
	ended := make(chan proc.Exit, 1)
	started := make(chan int, 1)
	c.Started = func(pid int) { started <- pid }
	go func() {
		e, _, _ := c.Run()
		ended <- e
	}()
	pid := <-started
	t.Cleanup(func() { _ = syscall.Kill(-pid, syscall.SIGKILL) })
	require.NoError(t, changes.Await(func() string {
		if _, err := os.Stat(dir + "/begun"); err != nil {
			return err.Error()
		}
		return ""
	}))
	return func() proc.Exit {
		select {
		case e := <-ended:
			return e
		case <-time.After(testhost.Patience):
			require.FailNow(t, "the command goes on")
			return proc.Exit{}
		}
	}
}

func TestSignalsArePassedOn(t *testing.T) {
	const interrupted = "ended because adfbot was told to end"
	for name, c := range map[string]struct {
		script string
		send   syscall.Signal
		exit   proc.Exit
	}{
		"that end it":             {"touch DIR/begun; exec sleep 60", syscall.SIGTERM, proc.Exit{Code: 143, Signal: "SIGTERM", Detail: interrupted, Interrupted: true}},
		"of a dropped connection": {"touch DIR/begun; exec sleep 60", syscall.SIGHUP, proc.Exit{Code: 129, Signal: "SIGHUP", Detail: interrupted, Interrupted: true}},
		"of Ctrl-\\":              {"ulimit -c 0; touch DIR/begun; exec sleep 60", syscall.SIGQUIT, proc.Exit{Code: 131, Signal: "SIGQUIT", Detail: interrupted, Interrupted: true}},
		"that it handles":         {"trap 'exit 5' INT; touch DIR/begun; while :; do sleep 0.01; done", syscall.SIGINT, proc.Exit{Code: 5, Detail: interrupted, Interrupted: true}},
		"that mean nothing to us": {"trap 'exit 6' USR1; touch DIR/begun; while :; do sleep 0.01; done", syscall.SIGUSR1, proc.Exit{Code: 6}},
	} {
		t.Run(name, func(t *testing.T) {
			cmd, dir, _ := shell(t, c.script)
			exit := start(t, cmd, dir)
			cmd.Signals.Send(c.send)
			require.Equal(t, c.exit, exit())
		})
	}
}

// Whoever sends a signal that does not mean the end, such as an order to reload, means the command alone: what it has started may not
// expect one. An end is for all that the command has started, as it is for timeout(1) and systemd.
func TestSignalsReachWhatTheCommandHasStarted(t *testing.T) {
	for s, code := range map[syscall.Signal]int{syscall.SIGHUP: 137, syscall.SIGUSR1: 137, syscall.SIGALRM: 137, syscall.SIGTERM: 143} {
		c, dir, _ := shell(t, "trap 'r=1' HUP USR1 ALRM TERM; sleep 60 & c=$!; touch DIR/begun; until [ $r ]; do sleep 0.01; done; kill -KILL $c; "+
			"wait $c; exit $?")
		exit := start(t, c, dir)
		c.Signals.Send(s)
		require.Equal(t, code, exit().Code, s)
	}
}

// A program that reloads at SIGHUP was not told to end.
func TestReload(t *testing.T) {
	c, dir, _ := shell(t, "trap 'r=1' HUP; touch DIR/begun; until [ $r ]; do sleep 0.01; done; sleep 0.02; exit 7")
	c.Waits.Kill = 10 * time.Millisecond
	exit := start(t, c, dir)
	c.Signals.Send(syscall.SIGHUP)
	require.Equal(t, proc.Exit{Code: 7}, exit())
}

// A command that is ended from outside after a long time has hung.
func TestHung(t *testing.T) {
	for _, c := range []struct {
		timeout, hungAfter time.Duration
		hung               bool
	}{{0, 0, false}, {0, 1, true}, {long, 1, true}, {0, long, false}, {long, long, false}} {
		cmd, dir, _ := shell(t, "touch DIR/begun; exec sleep 60")
		cmd.Timeout, cmd.HungAfter = c.timeout, c.hungAfter
		exit := start(t, cmd, dir)
		cmd.Signals.Send(syscall.SIGTERM)
		e := exit()
		require.True(t, e.Interrupted)
		require.Equal(t, c.hung, e.Hung)
		if c.hung {
			require.Regexp(t, `^hung: it had run for \ds when adfbot was told to end$`, e.Detail)
		}
	}
}

func TestRanAsLongAsALimit(t *testing.T) {
	for _, c := range []struct {
		ran, timeout, hungAfter time.Duration
		want                    bool
	}{
		{ran: long},
		{ran: long - 1, timeout: long},
		{ran: long, timeout: long, want: true},
		{ran: long + 1, timeout: long, hungAfter: 2 * long, want: true},
		{ran: long - 1, hungAfter: long},
		{ran: long, hungAfter: long, want: true},
		{ran: long, timeout: 2 * long, hungAfter: long, want: true},
		{ran: long, timeout: 2 * long, hungAfter: 2 * long},
	} {
		require.Equal(t, c.want, proc.RanAsLongAs(c.ran, c.timeout, c.hungAfter), c)
	}
}

// While this process was stopped, the timeout has expired, a shutdown has begun, and the command has ended.
func TestToldToEndAfterTheTimeout(t *testing.T) {
	c, _, _ := shell(t, "kill -TERM $$")
	c.Timeout, c.Waits.Interrupted = time.Nanosecond, long
	c.Started = func(pid int) {
		require.NoError(t, testhost.WaitGone(pid))
		c.Signals.Send(syscall.SIGTERM)
	}
	exit := run(t, c)
	require.Regexp(t, `^hung: it had run for \ds when adfbot was told to end$`, exit.Detail)
	exit.Detail = ""
	require.Equal(t, proc.Exit{Code: 143, Signal: "SIGTERM", Interrupted: true, Hung: true}, exit)
}

// A child of the command has the same time to end as the command, which may end at once, e.g. as a shell.
func TestTimeoutLetsAChildEndWell(t *testing.T) {
	t.Parallel()
	for what, shellDoes := range map[string]string{"in its group": "", "in another group": "setsid "} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			c, dir, _ := shell(t, shellDoes+`sh -c 'trap "sleep 0.3; touch DIR/saved; exit" TERM; echo >DIR/begun; while :; do sleep 0.01; done'; echo never`)
			c.Timeout, c.Started = time.Millisecond, once(t, dir+"/begun")
			require.Equal(t, proc.Exit{Code: 143, Signal: "SIGTERM", TimedOut: true, Detail: "timed out after 1ms"}, run(t, c))
			require.FileExists(t, dir+"/saved")
		})
	}
}

// A command that has ended in time has not timed out, even if this process was stopped (docker pause) and sees both at once.
func TestEndedBeforeTheTimeout(t *testing.T) {
	for range 20 {
		c, _, _ := shell(t, "exit 3")
		c.Timeout = time.Nanosecond
		c.Started = func(pid int) { require.NoError(t, testhost.WaitGone(pid)) }
		require.Equal(t, proc.Exit{Code: 3}, run(t, c))
	}
}

// A timeout stays one, whatever signals come before the end.
func TestTimeoutAfterASignal(t *testing.T) {
	t.Parallel()
	c, dir, _ := shell(t, "trap '' TERM; echo >DIR/begun; while :; do sleep 60; done")
	c.Timeout, c.Waits.Kill = 100*time.Millisecond, time.Millisecond
	begun := once(t, dir+"/begun")
	c.Started = func(pid int) {
		begun(pid)
		c.Signals.Send(syscall.SIGTERM)
	}
	require.Equal(t, proc.Exit{Code: 137, Signal: "SIGKILL", TimedOut: true, Detail: "timed out after 100ms"}, run(t, c))
}

func TestSignalAfterTheTimeout(t *testing.T) {
	c, _, _ := shell(t, "trap 'echo terminated' TERM; trap 'exit 5' INT; echo begun; while :; do sleep 0.01; done")
	r, w := io.Pipe()
	c.Stdout, c.Timeout = w, time.Millisecond
	c.Started = func(int) {
		lines := bufio.NewScanner(r)
		lines.Scan() // the timeout begins after this
		go func() {
			lines.Scan()
			c.Signals.Send(syscall.SIGINT)
		}()
	}
	require.Equal(t, proc.Exit{Code: 5, TimedOut: true, Detail: "timed out after 1ms"}, run(t, c))
}

func TestStoppedCommandCanBeEnded(t *testing.T) {
	c, dir, _ := shell(t, "touch DIR/begun; kill -STOP $$; exit 7")
	exit := start(t, c, dir)
	c.Signals.Send(syscall.SIGTERM)
	require.Equal(t, "SIGTERM", exit().Signal)
}

// Ctrl-C, systemd and a shutdown send the signal to both, and the command may be the first to end.
func TestEndedTogether(t *testing.T) {
	for name, script := range map[string]string{"by the signal": "kill -TERM $$", "by SIGHUP": "kill -HUP $$", "by an exit code": "exit 130", "after another failure": "exit 1"} {
		c, _, _ := shell(t, script)
		c.Waits.Interrupted = 5 * long // after another failure a fifth of it
		c.Started = func(pid int) {
			go func() {
				_ = testhost.WaitGone(pid)
				c.Signals.Send(syscall.SIGTERM)
			}()
		}
		require.True(t, run(t, c).Interrupted, name)
	}
}

// The kernel kills a command for want of memory, and systemd then tells the rest of the unit to end (OOMPolicy=stop), before or after this
// process has seen the command's end. That is a failure of the command. A command that is killed long after the signal did not heed it.
func TestKilledForWantOfMemory(t *testing.T) {
	failed := proc.Exit{Code: 137, Signal: "SIGKILL", Detail: "killed, perhaps by the kernel for lack of memory"}
	c, dir, _ := shell(t, "trap 'kill -KILL $$' TERM; touch DIR/begun; while :; do sleep 0.01; done")
	exit := start(t, c, dir)
	c.Signals.Send(syscall.SIGTERM)
	require.Equal(t, failed, exit(), "told before")

	c, _, _ = shell(t, "kill -KILL $$")
	c.Waits.Interrupted = 10 * time.Second
	c.Started = func(pid int) {
		go func() {
			_ = testhost.WaitGone(pid)
			c.Signals.Send(syscall.SIGTERM)
		}()
	}
	require.Equal(t, failed, run(t, c), "told after")

	c, dir, _ = shell(t, "trap 'sleep 0.02; kill -KILL $$' TERM; touch DIR/begun; while :; do sleep 0.01; done")
	c.Waits.Kill = 10 * time.Millisecond
	exit = start(t, c, dir)
	c.Signals.Send(syscall.SIGTERM)
	require.True(t, exit().Interrupted, "long before")
}

func TestPendingSignal(t *testing.T) {
	s := proc.NewSignals()
	require.Zero(t, s.Pending())
	s.Send(syscall.SIGWINCH)
	s.Send(syscall.SIGHUP)
	require.Equal(t, syscall.SIGHUP, s.Pending())
}

func TestFileBecomesTheCommandsOwnOutput(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	c, _, _ := shell(t, "readlink /proc/self/fd/1")
	c.Stdout = f
	require.Equal(t, proc.Exit{}, run(t, c))
	b, err := os.ReadFile(f.Name())
	require.NoError(t, err)
	require.Equal(t, f.Name()+"\n", string(b))
}

// A command such as runuser becomes another user, who may write to /dev/stderr by name, as to a log file of that user's own.
func TestAnotherUserMayOpenTheOutputs(t *testing.T) {
	c, _, out := shell(t, "stat -L -c %A /dev/stdout /dev/stderr")
	run(t, c)
	require.Regexp(t, `^(p.......w.\n){2}$`, out.String())
}
