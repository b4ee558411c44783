package testhost

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Patience is how long tests wait for another process. A test that passes never waits that long.
const Patience = 20 * time.Second

// CPUTime returns how much processor time a function takes in this goroutine, however busy the machine is.
func CPUTime(f func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := threadTime()
	f()
	return threadTime() - before
}

func threadTime() time.Duration {
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// WaitStopped waits until a child of this process is stopped by a signal. That it ended instead is an error, and so is that it
// does neither in time; then it is killed.
func WaitStopped(p *os.Process) error {
	end := time.AfterFunc(Patience, func() { _ = p.Kill() })
	defer end.Stop()
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, p.Pid, &info, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil)
		const stopped = 5 // CLD_STOPPED of waitid(2)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("process %d: %w", p.Pid, err)
		case info.Code == stopped:
			return nil
		default:
			return fmt.Errorf("process %d ended and was not stopped", p.Pid)
		}
	}
}

// WaitGone waits until no code of a process runs any more. It need not be a child of this one.
func WaitGone(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("process %d: %w", pid, err)
	}
	defer func() { _ = unix.Close(fd) }()
	for end := time.Now().Add(Patience); ; {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(time.Until(end).Milliseconds()))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("process %d: %w", pid, err)
		case n == 0:
			return fmt.Errorf("process %d still runs after %s", pid, Patience)
		default:
			return nil
		}
	}
}

// Changes wakes a test when something changes that it waits for. The zero value is not usable, see [NewChanges].
type Changes struct{ c chan struct{} }

// NewChanges makes a Changes that nothing reports to.
func NewChanges() *Changes { return &Changes{make(chan struct{}, 1)} }

// Report wakes whoever waits.
func (c *Changes) Report() {
	select {
	case c.c <- struct{}{}:
	default: // the waiter has not yet looked at the change before
	}
}

// Write reports a change, so that the log of a process can be one.
func (c *Changes) Write(p []byte) (int, error) {
	c.Report()
	return len(p), nil
}

// Watch reports every file that is made, written, renamed or removed in a directory, until stop.
func (c *Changes) Watch(dir string) (stop func(), err error) {
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", dir, err)
	}
	f := os.NewFile(uintptr(fd), "inotify")
	const events = unix.IN_CREATE | unix.IN_MODIFY | unix.IN_ATTRIB | unix.IN_DELETE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM
	if _, err := unix.InotifyAddWatch(fd, dir, events); err != nil {
		return nil, errors.Join(fmt.Errorf("watch %s: %w", dir, err), f.Close())
	}
	go func() {
		for buf := make([]byte, 4096); ; c.Report() {
			if _, err := f.Read(buf); err != nil {
				return
			}
		}
	}()
	return func() { _ = f.Close() }, nil
}

// Await waits until complaint returns "". It asks at once and after every change, and gives up after [Patience].
func (c *Changes) Await(complaint func() string) error {
	end := time.NewTimer(Patience)
	defer end.Stop()
	for {
		s := complaint()
		if s == "" {
			return nil
		}
		select {
		case <-c.c:
		case <-end.C:
			return fmt.Errorf("%s, after %s", s, Patience)
		}
	}
}
