package proc_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/internal/proc"
	"github.com/terraphim/adfbot/internal/testhost"
)

// drain is the process that [proc.Output.Leave] starts. First it writes what it holds to a file.
func drain(testhost.Self) int {
	held, _ := filepath.Glob("/proc/self/fd/*")
	for n, fd := range held {
		held[n], _ = os.Readlink(fd)
	}
	session, _ := unix.Getsid(0)
	dir, _ := os.Getwd()
	report := fmt.Sprintf("in %s, leads its session: %v, environment %q, the caller's lock: %v",
		dir, session == os.Getpid(), os.Environ(), slices.Contains(held, filepath.Dir(os.Args[1])+"/lock"))
	if err := os.WriteFile(os.Args[1], []byte(report), 0o600); err != nil {
		panic(err)
	}
	proc.Drain(os.Stdin, os.Stdout)
	return 0
}

// background is a command that leaves a process behind, which writes text when go does so, and then makes DIR/done. The pipe to the
// process that reads the output is r.
func background(t *testing.T, text string) (c proc.Command, dir string, r *os.File, goOn func()) {
	t.Helper()
	c, dir, _ = shell(t, "(read x <DIR/go; "+text+"; touch DIR/done) & echo $!")
	require.NoError(t, unix.Mkfifo(dir+"/go", 0o600))
	start, err := os.OpenFile(dir+"/go", os.O_RDWR, 0)
	require.NoError(t, err)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { _, _, _ = r.Close(), w.Close(), start.Close() })
	c.Stdout, c.Capture, c.Waits.Output = w, io.Discard, 50*time.Millisecond
	return c, dir, r, func() {
		require.NoError(t, w.Close())
		_, err := start.WriteString("\n")
		require.NoError(t, err)
	}
}

// leave runs the command and lets a process take over the rest of its output.
func leave(t *testing.T, c proc.Command, dir string) {
	t.Helper()
	exit, out, err := c.Run()
	require.NoError(t, err)
	require.Equal(t, proc.Exit{Detail: "a background process held its output open"}, exit)
	require.NoError(t, out.Wait(c.Signals))
	require.NoError(t, out.Leave([]string{"drain", dir + "/report"}))
}

// What a background process writes after the end of exec arrives where the command's output went.
func TestBackgroundProcessLivesOn(t *testing.T) {
	c, dir, r, goOn := background(t, "echo late; head -c 300000 /dev/zero | tr '\\0' x")
	lock, err := os.Create(dir + "/lock")
	require.NoError(t, err)
	inherited, err := unix.Dup(int(lock.Fd())) // as of "flock 9; adfbot exec …" with 9>lock
	require.NoError(t, err)
	leave(t, c, dir)
	require.NoError(t, errors.Join(lock.Close(), unix.Close(inherited)))
	goOn()
	out, err := io.ReadAll(r) // to the end: the drain ends with the background process
	require.NoError(t, err)
	first, rest, _ := strings.Cut(string(out), "\n")
	pid(t, first)
	require.Equal(t, "late\n"+strings.Repeat("x", 300000), rest)
	report, err := os.ReadFile(dir + "/report")
	require.NoError(t, err)
	require.Equal(t, `in /, leads its session: true, environment [], the caller's lock: false`, string(report))
}

// When the reader of its output has gone, the process gets a SIGPIPE, as without this program in between, and does not write for ever.
func TestBackgroundProcessEndsWithTheReader(t *testing.T) {
	c, dir, r, goOn := background(t, "yes")
	leave(t, c, dir)
	background := pid(t, readLine(t, r))
	require.NoError(t, r.Close())
	goOn()
	require.NoError(t, testhost.WaitGone(background))
}

func readLine(t *testing.T, r io.Reader) string {
	t.Helper()
	line, err := bufio.NewReader(r).ReadString('\n')
	require.NoError(t, err)
	return line
}

// A background process that writes fast while nobody reads is slowed down, as by a pipe.
func TestFastBackgroundProcessIsBounded(t *testing.T) {
	t.Parallel()
	slow, capture := &slowReader{may: make(chan struct{})}, &counter{}
	c, _, _ := shell(t, "yes & echo $! >DIR/pid")
	c.Stdout, c.Capture, c.Waits.Output = slow, capture, 300*time.Millisecond
	_, out, err := c.Run()
	require.NoError(t, err)
	require.Less(t, capture.n, 4<<20, "bytes in memory")
	close(slow.may)
	require.NoError(t, out.Wait(c.Signals))
	require.NoError(t, out.Leave(nil))
}

// Both outputs of a background process go to where those of the command went.
func TestBackgroundProcessWithTwoOutputs(t *testing.T) {
	c, dir, r, goOn := background(t, "echo late; echo late error >&2")
	errs, w, err := os.Pipe()
	require.NoError(t, err)
	defer func() { _ = errs.Close() }()
	c.Stderr = w
	leave(t, c, dir)
	require.NoError(t, w.Close())
	goOn()
	out, err := io.ReadAll(r)
	require.NoError(t, err)
	first, rest, _ := strings.Cut(string(out), "\n")
	pid(t, first)
	require.Equal(t, "late\n", rest)
	out, err = io.ReadAll(errs)
	require.NoError(t, err)
	require.Equal(t, "late error\n", string(out))
}

// Small pieces take no more memory than their bytes.
func TestSmallPiecesAreBounded(t *testing.T) {
	slow := &slowReader{may: make(chan struct{})}
	c, _, _ := shell(t, "dd if=/dev/zero bs=1 count=400000 2>/dev/null & echo begun")
	c.Stdout, c.Capture, c.Waits.Output = slow, io.Discard, 500*time.Millisecond
	heap := func() (inUse int) {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before := heap()
	_, out, err := c.Run()
	require.NoError(t, err)
	require.Less(t, heap()-before, 8<<20)
	close(slow.may)
	require.NoError(t, out.Wait(c.Signals))
	require.NoError(t, out.Leave(nil))
}

// Where several jobs write to one pipe or log, a line that a command writes at once arrives at once.
func TestLinesStayWhole(t *testing.T) {
	const packets = unix.O_DIRECT // each write becomes one or more reads, see pipe(2)
	var pipe [2]int
	require.NoError(t, unix.Pipe2(pipe[:], packets|unix.O_CLOEXEC))
	r, w := os.NewFile(uintptr(pipe[0]), "r"), os.NewFile(uintptr(pipe[1]), "w")
	defer func() { _ = r.Close() }()
	c, _, _ := shell(t, "i=0; while [ $i -lt 30000 ]; do echo line; i=$((i+1)); done")
	c.Stdout, c.Capture = w, io.Discard
	done := make(chan error, 1)
	go func() {
		exit, out, err := c.Run()
		if err == nil && exit != (proc.Exit{}) {
			err = fmt.Errorf("%v", exit)
		}
		done <- errors.Join(err, out.Wait(c.Signals), w.Close())
	}()
	buf, total := make([]byte, 1<<20), 0
	for {
		n, err := r.Read(buf)
		if err != nil {
			require.ErrorIs(t, err, io.EOF)
			break
		}
		total += n
		require.Equal(t, "line\n", string(buf[max(0, n-5):n]), "after %d bytes", total)
	}
	require.NoError(t, <-done)
	require.Equal(t, 150000, total)
}

// O_NONBLOCK applies to all processes that share the open file: ssh or node beside adfbot, or the command itself if its input is the
// same socket, may set it at any time.
func TestOutputBecomesNonBlocking(t *testing.T) {
	for what, open := range map[string]func(fds *[2]int) error{
		"a pipe": func(fds *[2]int) error { return unix.Pipe2(fds[:], unix.O_CLOEXEC) },
		"a socket": func(fds *[2]int) (err error) {
			*fds, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			return errors.Join(err, unix.SetsockoptInt(fds[1], unix.SOL_SOCKET, unix.SO_SNDBUF, 1))
		},
	} {
		t.Run(what, func(t *testing.T) {
			var fds [2]int
			require.NoError(t, open(&fds))
			r, w := os.NewFile(uintptr(fds[0]), "r"), os.NewFile(uintptr(fds[1]), "w")
			defer func() { _ = r.Close() }()
			c, _, _ := shell(t, "head -c 3000000 /dev/zero")
			c.Stdout, c.Capture = w, io.Discard
			c.Started = func(int) { require.NoError(t, unix.SetNonblock(fds[1], true)) }
			done := make(chan error, 1)
			go func() {
				_, out, err := c.Run()
				done <- errors.Join(err, out.Wait(c.Signals), w.Close())
			}()
			n, err := io.Copy(io.Discard, r)
			require.NoError(t, errors.Join(err, <-done))
			require.Equal(t, int64(3000000), n)
		})
	}
}

type counter struct{ n int }

func (c *counter) Write(p []byte) (int, error) { c.n += len(p); return len(p), nil }

func reopened(t *testing.T, f *os.File, flags int) *os.File {
	t.Helper()
	again, err := os.OpenFile(f.Name(), flags, 0)
	require.NoError(t, err)
	return again
}

func duplicated(t *testing.T, f *os.File) *os.File {
	t.Helper()
	fd, err := unix.Dup(int(f.Fd()))
	require.NoError(t, err)
	return os.NewFile(uintptr(fd), f.Name())
}

// With 2>&1 the order of the lines stays, in what is captured too.
func TestOneOutputKeepsTheOrder(t *testing.T) {
	script := "i=0; while [ $i -lt 300 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done"
	var want strings.Builder
	for i := range 300 {
		fmt.Fprintf(&want, "out %d\nerr %d\n", i, i)
	}
	for what, open := range map[string]func(t *testing.T) (from, out, errs *os.File){
		"a file": func(t *testing.T) (from, out, errs *os.File) {
			f, err := os.Create(t.TempDir() + "/log")
			require.NoError(t, err)
			return reopened(t, f, os.O_RDONLY), f, f
		},
		"a file that is opened twice to append": func(t *testing.T) (from, out, errs *os.File) {
			f, err := os.OpenFile(t.TempDir()+"/log", os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
			require.NoError(t, err)
			return reopened(t, f, os.O_RDONLY), f, reopened(t, f, os.O_RDWR|os.O_APPEND)
		},
		"a duplicated descriptor": func(t *testing.T) (from, out, errs *os.File) {
			f, err := os.Create(t.TempDir() + "/log")
			require.NoError(t, err)
			return reopened(t, f, os.O_RDONLY), f, duplicated(t, f)
		},
		"a pipe": func(t *testing.T) (from, out, errs *os.File) {
			r, w, err := os.Pipe()
			require.NoError(t, err)
			return r, w, duplicated(t, w)
		},
	} {
		t.Run(what, func(t *testing.T) {
			from, out, errs := open(t)
			defer func() { _ = from.Close() }()
			capture := &bytes.Buffer{}
			c, _, _ := shell(t, script)
			c.Stdout, c.Stderr, c.Capture = out, errs, capture
			require.Equal(t, proc.Exit{}, run(t, c))
			_, _ = out.Close(), errs.Close()
			got, err := io.ReadAll(from)
			require.NoError(t, err)
			require.Equal(t, want.String(), string(got))
			require.Equal(t, want.String(), capture.String())
		})
	}
}
