package testhost

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const (
	// UIDVar names the user that a child becomes before its function runs. Root is refused nothing, so it can't test a refusal.
	UIDVar = "ADFBOT_TEST_UID"

	pipesVar = "ADFBOT_TEST_PIPES" // set: descriptors 3 and 4 are pipes to and from the test
)

// Funcs are functions of a test binary that run in a process of their own. A function returns the exit code.
type Funcs map[string]func(Self) int

// Main runs the tests of a package, or one of its functions in a child:
//
//	func TestMain(m *testing.M) { testhost.Main(m, testhost.Funcs{"child": child}) }
func Main(m *testing.M, funcs Funcs) {
	RunChild(funcs)
	UseMemory()
	os.Exit(m.Run())
}

// MainOverlapping is [Main] with [Overlap].
func MainOverlapping(m *testing.M, funcs Funcs) {
	RunChild(funcs)
	Overlap()
	UseMemory()
	os.Exit(m.Run())
}

// RunChild runs a function and ends the process if the binary was started under the function's name, as [Command] does.
// Otherwise it returns, and what the tests start ignores no signal by inheritance.
func RunChild(funcs Funcs) {
	f, ok := funcs[filepath.Base(os.Args[0])]
	if !ok {
		heedSignals()
		return
	}
	var self Self
	if os.Getenv(pipesVar) != "" {
		_ = os.Unsetenv(pipesVar) // the child's own children have no pipes
		syscall.CloseOnExec(3)
		syscall.CloseOnExec(4)
		self.ready, self.release = os.NewFile(3, "ready"), os.NewFile(4, "release")
	}
	if s := os.Getenv(UIDVar); s != "" {
		_ = os.Unsetenv(UIDVar)
		uid, err := strconv.Atoi(s)
		if err := errors.Join(err, syscall.Setgroups(nil), syscall.Setgid(uid), syscall.Setuid(uid)); err != nil {
			panic(err)
		}
	}
	os.Exit(f(self))
}

// heedSignals has the processes that the tests start not ignore a signal only because the tests were started by nohup, or in the
// background of a script.
func heedSignals() {
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
}

// Self is a child, to itself.
type Self struct{ ready, release *os.File }

// Ready lets [Child.StartReady] return and waits for [Child.Release]. It ends the process when the test ends first.
// In a child that was not started by StartReady, it returns at once.
func (s Self) Ready() {
	if s.ready == nil {
		return
	}
	_, err := s.ready.Write([]byte{1})
	if err == nil {
		_, err = s.release.Read(make([]byte, 1))
	}
	if err != nil {
		os.Exit(1)
	}
}

// KillSelf ends this process as kill -9 does.
func KillSelf() {
	_ = unix.Kill(unix.Getpid(), unix.SIGKILL)
	select {}
}

// StopSelf stops this process and returns when it is continued.
func StopSelf() {
	// A signal to the own thread stops the process before the call returns. One to the process may reach another thread, later.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGSTOP); err != nil {
		panic(err)
	}
}

// Child is a process that runs a function of this test binary.
type Child struct {
	*exec.Cmd
	t              testing.TB
	ready, release *os.File
}

// Command prepares a child that runs the named function of [Main]; os.Args there are the name and args. Of the test's
// environment it has only what every process needs.
func Command(t testing.TB, name string, args ...string) *Child {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Args = append([]string{name}, args...)
	cmd.WaitDelay = Patience // what it leaves running may hold its output open
	// Under the race detector a process otherwise sleeps for a second at its end.
	cmd.Env = []string{"GORACE=atexit_sleep_ms=0 " + os.Getenv("GORACE")}
	for _, name := range []string{"PATH", "TMPDIR", "GOCOVERDIR"} {
		if value, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	return &Child{Cmd: cmd, t: t}
}

// Start starts the child. It is killed at the end of the test if it still runs then.
func (c *Child) Start() error {
	err := c.Cmd.Start()
	if err == nil {
		c.t.Cleanup(func() { _ = c.Kill() })
	}
	return err
}

// StartReady starts the child and returns when it calls [Self.Ready].
func (c *Child) StartReady() {
	c.t.Helper()
	ready, childReady, err := os.Pipe()
	require.NoError(c.t, err)
	childRelease, release, err := os.Pipe()
	require.NoError(c.t, err)
	c.ready, c.release = ready, release
	c.ExtraFiles = []*os.File{childReady, childRelease}
	c.Env = append(c.Env, pipesVar+"=1")
	require.NoError(c.t, c.Start())
	c.t.Cleanup(func() { _, _ = ready.Close(), release.Close() })
	require.NoError(c.t, errors.Join(childReady.Close(), childRelease.Close()))
	require.NoError(c.t, ready.SetReadDeadline(time.Now().Add(Patience)))
	_, err = ready.Read(make([]byte, 1))
	require.NoError(c.t, err, "%q was not ready before it ended", c.Args)
}

// Release lets the child return from [Self.Ready].
func (c *Child) Release() {
	c.t.Helper()
	_, err := c.release.Write([]byte{1})
	require.NoError(c.t, err)
}

// StartTogether starts children and releases them when all are ready.
func StartTogether(children ...*Child) {
	for _, c := range children {
		c.StartReady()
	}
	for _, c := range children {
		c.Release()
	}
}

// Kill kills the child and waits for its end.
func (c *Child) Kill() error {
	_ = c.Process.Kill()
	return c.Wait()
}

// Dies runs the child, which must end by SIGKILL, and returns what it printed.
func (c *Child) Dies() string {
	c.t.Helper()
	out, err := c.CombinedOutput()
	require.Equal(c.t, 128+int(syscall.SIGKILL), ExitCode(err), "%q was not killed: %s", c.Args, out)
	return string(out)
}

// ExitCode is the exit code that a shell sees of a command, given the error of its Run or Wait. It is -1 where the command
// could not run.
func ExitCode(err error) int {
	var e *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		if s, ok := e.Sys().(syscall.WaitStatus); ok && s.Signaled() {
			return 128 + int(s.Signal())
		}
		return e.ExitCode()
	}
	return -1
}
