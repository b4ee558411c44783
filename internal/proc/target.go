package proc

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// target is the command's process, with its group if it has one of its own.
type target struct {
	command  process
	ownGroup bool
	stopped  bool      // by [target.suspend]
	woken    time.Time // when a SIGCONT came last
	waits    Waits
	others   []process // its descendants outside of that group, once it was terminated
}

func (t *target) send(s syscall.Signal) {
	if t.ownGroup {
		_ = syscall.Kill(-t.command.Pid, s)
	} else {
		_ = t.command.Signal(s)
	}
}

// terminate sends a signal that ends the processes, and wakes them if they are stopped, e.g. because they have read from the
// terminal in the background: a stopped process does not end.
func (t *target) terminate(s syscall.Signal) {
	t.find()
	for _, s := range []syscall.Signal{s, syscall.SIGCONT} {
		t.send(s)
		for _, p := range t.others {
			_ = p.Signal(s)
		}
	}
}

// end kills what [target.terminate] has not ended.
func (t *target) end() {
	t.find()
	t.send(syscall.SIGKILL)
	for _, p := range t.others {
		_ = p.Kill()
	}
}

// endRest is called after [target.terminate], when the command has ended. What it has left has until a time to end, too, e.g. the program
// that a shell has run.
func (t *target) endRest(at time.Time) {
	for t.find() && time.Now().Before(at) {
		time.Sleep(50 * time.Millisecond)
	}
	t.end()
}

// forward passes on a signal that this process received. In a group in the foreground of a terminal, the keys of the terminal
// send the signals to both. An end is for the whole group, which timeout(1) would reach. Any other signal, such as an order to reload, is for
// the command alone: it would end what the command has started.
func (t *target) forward(s syscall.Signal) {
	if s == syscall.SIGCONT {
		t.woken = time.Now()
	}
	keyed := s == syscall.SIGINT || s == syscall.SIGQUIT
	switch {
	case t.ownGroup && fatal(s):
		if keyed || s == syscall.SIGTERM {
			t.send(s)
		} else {
			_ = t.command.Signal(s)
		}
		t.send(syscall.SIGCONT)
	case t.ownGroup, keyed && !self().foreground, !keyed && fatal(s), t.stopped && s == syscall.SIGCONT:
		t.send(s)
	}
	t.stopped = t.stopped && s != syscall.SIGCONT
}

// suspend passes on a SIGTSTP, and stops this process, too, once the command is stopped, as its shell expects after Ctrl-Z. A command may
// ignore the signal, and then needs somebody to read its output. It returns after SIGCONT, which is passed on like other signals. A signal that
// came meanwhile and wakes or ends the command is returned instead: nobody may send another SIGCONT.
func (t *target) suspend(signals <-chan os.Signal) os.Signal {
	const patience = 100 * time.Millisecond
	if time.Since(t.woken) < t.waits.Woken {
		return nil
	}
	woken, done := watchSIGCONT()
	defer done()
	if t.ownGroup || !self().foreground { // else Ctrl-Z has reached the command, too
		t.stopped = true
		t.send(syscall.SIGTSTP)
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if !stat(strconv.Itoa(t.command.Pid)).stopped {
			continue
		}
		select {
		case s := <-signals:
			switch {
			case s == syscall.SIGCONT || fatal(s):
				return s
			case s != syscall.SIGTSTP:
				t.forward(s.(syscall.Signal))
			}
		default:
			if !woken() { // else the runtime has yet to pass on the SIGCONT
				_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
			}
			return nil
		}
	}
	return nil
}

// watchSIGCONT returns a function that reports whether this process has got a SIGCONT since, which the runtime passes on a little later. A
// SIGCONT discards stop signals that are pending, so one is left pending on this thread, which blocks it. To be called on one goroutine
// until done.
func watchSIGCONT() (woken func() bool, done func()) {
	const size = 8 // of the kernel's sigset_t
	runtime.LockOSThread()
	before, stop := unix.Sigset_t{}, unix.Sigset_t{}
	stop.Val[0] = 1 << (unix.SIGTTIN - 1)
	_ = unix.PthreadSigmask(unix.SIG_BLOCK, &stop, &before)
	_ = unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGTTIN)
	woken = func() bool {
		var pending unix.Sigset_t
		_, _, errno := unix.Syscall(unix.SYS_RT_SIGPENDING, uintptr(unsafe.Pointer(&pending)), size, 0)
		return errno == 0 && pending.Val[0]&stop.Val[0] == 0
	}
	done = func() {
		now := unix.Timespec{}
		_, _, _ = unix.Syscall6(unix.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(&stop)), 0, uintptr(unsafe.Pointer(&now)), size, 0, 0)
		_ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
		runtime.UnlockOSThread()
	}
	return woken, done
}

// find adds the descendants of the command, and of those found before, to others. It does not find those whose parents have ended.
// It reports whether any process of the target is left.
func (t *target) find() (left bool) {
	known := map[int]bool{}
	for _, p := range slices.Concat(t.others, []process{t.command}) {
		known[p.Pid] = p.alive()
	}
	all := processes()
	for grows := true; grows; {
		grows = false
		for pid, st := range all {
			if known[pid] || !known[st.parent] {
				continue
			}
			known[pid], grows = true, true
			handle, err := os.FindProcess(pid)
			if p := (process{handle, st.start}); err == nil && p.alive() && !(t.ownGroup && st.group == t.command.Pid) {
				t.others = append(t.others, p)
			}
		}
	}
	for _, st := range all {
		left = left || t.ownGroup && st.group == t.command.Pid && !st.ended
	}
	return left || slices.ContainsFunc(t.others, process.alive)
}

// process is a process that is never confused with a later one of the same id.
type process struct {
	*os.Process
	start string
}

func newProcess(p *os.Process) process { return process{p, stat(strconv.Itoa(p.Pid)).start} }

func (p process) alive() bool {
	st := stat(strconv.Itoa(p.Pid))
	return st.start == p.start && !st.ended
}

// hasEnded reports whether a child has ended, waited for or not.
func hasEnded(pid int) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err == nil && info.Signo != 0 || errors.Is(err, unix.ECHILD)
}

// procStat is what is needed of /proc/<pid>/stat, see proc_pid_stat(5). It is zero if there is no such process.
type procStat struct {
	ended         bool // it is a zombie
	stopped       bool // by a signal
	parent, group int
	terminal      bool // its session has one
	foreground    bool // its group is in the foreground there
	start         string
	environ       int64 // address of the environment; 0 for most other processes
}

func self() procStat { return stat("self") }

func stat(pid string) (st procStat) {
	text, _ := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	// The name, in parentheses, may hold anything.
	f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(f) < 48 {
		return st
	}
	var tty, foreground int
	_, _ = fmt.Sscan(strings.Join(f[1:6], " "), &st.parent, &st.group, new(int), &tty, &foreground)
	st.ended, st.stopped = f[0] == "Z" || f[0] == "X", f[0] == "T"
	st.terminal, st.foreground, st.start = tty != 0, foreground == st.group, f[19]
	st.environ, _ = strconv.ParseInt(f[47], 10, 64)
	return st
}

// processes returns all processes of the machine that are visible.
func processes() map[int]procStat {
	all := map[int]procStat{}
	names, _ := filepath.Glob("/proc/[0-9]*")
	for _, name := range names {
		if pid, err := strconv.Atoi(filepath.Base(name)); err == nil {
			all[pid] = stat(filepath.Base(name))
		}
	}
	return all
}
