package bot_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/testhost"
)

// Exec in a process of its own, because it gets signals.

func exitCode(cmd *testhost.Child) int {
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode()
}

// A run that ends because adfbot was told to end is ignored.
func TestExecInterrupted(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT} {
		w := newWorld(t)
		cmd := w.startExec(child{Project: "odilo", Command: w.script("trap 'exit 5' TERM INT HUP QUIT; touch DIR/begun; while :; do sleep 0.01; done")})
		require.NoError(t, cmd.Process.Signal(s))
		require.Equal(t, 5, exitCode(cmd), "the command got the signal and ended as it liked")
		p := w.project("odilo")
		require.Zero(t, p.Failures)
		require.Equal(t, store.Ignored, p.LastRuns[0].Outcome)
		require.Equal(t, "ended because adfbot was told to end", p.LastRuns[0].Detail)
	}
}

// A shell ends its script if Ctrl-C has ended one of its commands, and goes on if the command has exited. So SIGINT ends exec, too.
func TestExecEndsByCtrlC(t *testing.T) {
	t.Parallel()
	for trap, signaled := range map[string]bool{"": true, "trap 'exit 130' INT; ": false} {
		w := newWorld(t)
		cmd := w.startExec(child{Project: "odilo", Command: w.script(trap + "touch DIR/begun; while :; do sleep 0.01; done")})
		require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
		require.Equal(t, 128+int(syscall.SIGINT), testhost.ExitCode(cmd.Wait()))
		require.Equal(t, signaled, cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled())
		require.Equal(t, store.Ignored, w.project("odilo").LastRuns[0].Outcome, "the result is recorded before")
	}
}

// A signal that means nothing to adfbot is the command's, e.g. one that KillSignal= of systemd or STOPSIGNAL of Docker
// names, or SIGABRT, with which systemd ends a service that hangs.
func TestExecOtherSignals(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGPWR, syscall.SIGIO, syscall.SIGABRT, syscall.SIGXCPU, syscall.SIGVTALRM, 35, 37 /* SIGRTMIN+3 */, 64} {
		w := newWorld(t)
		cmd := w.startExec(child{Project: "odilo", Command: w.script(fmt.Sprintf("trap 'exit 5' %d; touch DIR/begun; while :; do sleep 0.01; done", s))})
		require.NoError(t, cmd.Process.Signal(s))
		require.Equal(t, 5, exitCode(cmd), s)
	}
}

// SIGTSTP stops the command, then adfbot, and SIGCONT wakes both; a command that ignores SIGTSTP goes on, and so does adfbot.
func TestExecStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stopped := func(pid string) bool {
		_, after, _ := strings.Cut(w.Read("/proc/"+pid+"/stat"), ") ")
		return strings.HasPrefix(after, "T")
	}
	eventually := func(f func() bool) { require.Eventually(t, f, testhost.Patience, time.Millisecond) }
	// until sends a signal, again after a second: on a busy machine the command may be stopped later than exec waits for that.
	until := func(s syscall.Signal, cmd *testhost.Child, f func() bool) {
		var sent time.Time
		eventually(func() bool {
			if f() {
				return true
			}
			if time.Since(sent) > time.Second {
				sent = time.Now()
				require.NoError(t, cmd.Process.Signal(s))
			}
			return false
		})
	}
	// A shell that has started a program when it is stopped waits for that program, without being stopped itself: touch would be one.
	const script = "trap ': >DIR/woken' CONT; trap 'exit 5' TERM; echo $$ >DIR/pid; : >DIR/begun; while :; do :; done"
	cmd := w.startExec(child{Project: "odilo", Command: w.script(script)})
	command, adfbot := strings.TrimSpace(w.Read(w.Dir+"/pid")), fmt.Sprint(cmd.Process.Pid)
	for range 2 {
		until(syscall.SIGTSTP, cmd, func() bool { return stopped(command) && stopped(adfbot) })
		until(syscall.SIGCONT, cmd, func() bool { return !stopped(command) && !stopped(adfbot) })
		eventually(func() bool { return os.Remove(w.Dir+"/woken") == nil })
		time.Sleep(20 * time.Millisecond) // a SIGTSTP that comes sooner is taken for one from before the SIGCONT, see proc.Waits
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, 5, exitCode(cmd))

	cmd = w.startExec(child{Project: "odilo", Command: w.script("trap ': >DIR/told' TSTP; trap 'exit 5' TERM; : >DIR/begun; while :; do :; done")})
	until(syscall.SIGTSTP, cmd, func() bool { return os.Remove(w.Dir+"/told") == nil })
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, 5, exitCode(cmd))
}

// A run that adfbot was told to end counts if it had run for so long that it must have hung.
func TestExecHung(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.change("  - id: odilo\n", "  - id: odilo\n    hung_after: 1ns\n    classes: [{name: stuck, exit_codes: [143], output: [waiting], outcome: ignored}]\n")
	for _, script := range []string{"exec sleep 60", "trap 'exit 0' TERM; echo waiting; sleep 60 & wait"} {
		cmd := w.startExec(child{Project: "odilo", Command: w.script("touch DIR/begun; " + script)})
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		exitCode(cmd)
	}
	p := w.project("odilo")
	require.Equal(t, 2, p.Failures)
	require.Equal(t, "stuck", p.LastRuns[0].Class)
	require.Equal(t, "stuck", p.LastRuns[1].Class)
	require.Regexp(t, `^hung: it had run for \ds when adfbot was told to end$`, p.LastRuns[0].Detail)
}

// A command that is ended together with adfbot is ignored.
// Ctrl-C, systemd and a shutdown send the signal to both, and the command may be the first to end.
func TestExecInterruptedTogether(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"adfbot first":      "kill -TERM $PPID; exit 1",
		"the command first": "(trap '' TERM; while kill -0 $$; do :; done; kill -TERM $PPID) >/dev/null 2>&1 & kill -TERM $$",
		"by SIGHUP":         "(trap '' HUP; while kill -0 $$; do :; done; kill -HUP $PPID) >/dev/null 2>&1 & kill -HUP $$",
		"by an exit code":   "(trap '' INT; while kill -0 $$; do :; done; kill -INT $PPID) >/dev/null 2>&1 & exit 130",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for range 5 {
				_ = exitCode(w.startExec(child{Project: "odilo", Together: testhost.Patience, Command: w.script("touch DIR/begun; " + script)}))
				p := w.project("odilo")
				require.Zero(t, p.Failures)
				require.Equal(t, store.Ignored, p.LastRuns[0].Outcome)
			}
		})
	}
}

// The command is not started.
func TestExecInterruptedBeforeStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cmd := w.command(child{Do: "exec", Project: "odilo", TermAt: "noted", Command: []string{"touch", w.Dir + "/begun"}})
	require.NoError(t, cmd.Start())
	require.Equal(t, 128+15, exitCode(cmd))
	require.NoFileExists(t, w.Dir+"/begun")
	require.Zero(t, w.sweepWell().LostRuns)
	require.Empty(t, w.project("odilo").LastRuns)
}

// What adfbot itself could not do is no result. However few files it may open, nothing counts and nothing is left that looks like a run.
func TestExecWithoutDescriptors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(0, "odilo", "true")
	for _, state := range []string{"", "no database"} {
		if state != "" {
			w.Write(w.cfg.State, state)
		}
		refused := 0
		for files, code := 8, -1; code != 0; files++ {
			cmd := w.command(child{Do: "exec", Project: "odilo", Command: []string{"true"}})
			w.shell(cmd, fmt.Sprint("ulimit -n ", files))
			var errs bytes.Buffer
			cmd.Stderr = &errs
			require.NoError(t, cmd.Start())
			switch code = exitCode(cmd); code {
			case 0:
				require.NotZero(t, refused)
			case 2: // Go itself has too few
				require.NotContains(t, errs.String(), "adfbot:")
			default:
				require.Equal(t, bot.ExitNotStarted, code, errs.String())
				if strings.Contains(errs.String(), "start true: the system has no resources left to start a command") {
					require.Contains(t, errs.String(), "nothing was run, and nothing counts")
					refused++
				}
				require.NotContains(t, errs.String(), "is kept in")
			}
		}
		if state == "" {
			require.Zero(t, w.sweepWell().LostRuns)
			require.Zero(t, w.project("odilo").Failures)
			require.Len(t, w.project("odilo").LastRuns, 2)
		}
	}
}

// Nothing counts either if the kernel has no process, memory or file left for the command, e.g. EAGAIN at systemd's TasksMax= or at
// ulimit -u.
func TestExecWithoutResources(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(0, "odilo", "true")
	for _, refused := range []syscall.Errno{syscall.EAGAIN, syscall.ENOMEM, syscall.ENFILE} {
		cmd := w.command(child{Do: "exec", Project: "odilo", Command: []string{"true"}, Refused: refused})
		var errs bytes.Buffer
		cmd.Stderr = &errs
		require.NoError(t, cmd.Start())
		require.Equal(t, bot.ExitNotStarted, exitCode(cmd), errs.String())
		require.Contains(t, errs.String(), "start true: the system has no resources left to start a command")
		require.Contains(t, errs.String(), refused.Error()+": nothing was run, and nothing counts")
	}
	require.Zero(t, w.sweepWell().LostRuns)
	require.Len(t, w.project("odilo").LastRuns, 1)
}

// The command ignores the signals that adfbot was started to ignore.
func TestExecIgnoredSignals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fifo(t, w.Dir+"/go")
	cmd := w.command(child{Do: "exec", Project: "odilo", Command: w.script("touch DIR/begun; read x <DIR/go")})
	w.shell(cmd, `trap "" HUP INT`) // as nohup does
	w.start(cmd)
	require.NoError(t, cmd.Process.Signal(syscall.SIGHUP))
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	released, err := os.OpenFile(w.Dir+"/go", os.O_RDWR, 0)
	require.NoError(t, err)
	defer func() { _ = released.Close() }()
	_, err = released.WriteString("\n")
	require.NoError(t, err)
	require.Zero(t, exitCode(cmd))
	require.Equal(t, store.Success, w.project("odilo").LastRuns[0].Outcome)
}

// It does not lose the result.
// The second Ctrl-C of an impatient person, or systemd's SIGTERM just as the command has ended.
func TestExecSignalAfterEnd(t *testing.T) {
	t.Parallel()
	for script, outcome := range map[string]string{"exit 0": store.Success, "exit 3": store.Failure} {
		w := newWorld(t)
		cmd := w.startExec(child{Project: "odilo", TermAt: "ran", Command: w.script("touch DIR/begun; " + script)})
		code := exitCode(cmd)
		require.Equal(t, script, fmt.Sprint("exit ", code))
		p := w.project("odilo")
		require.Len(t, p.LastRuns, 1)
		require.Equal(t, outcome, p.LastRuns[0].Outcome)
		require.Zero(t, p.Running)
	}
}

// The result is not lost.
func TestExecReaderGoesAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, script := range map[string]string{
		"stdout": "trap '' PIPE; while echo x 2>/dev/null; do :; done; exit 3",
		"stderr": "exit 3",
	} {
		r, wr, err := os.Pipe()
		require.NoError(t, err)
		cmd := w.command(child{Do: "exec", Project: "odilo", Command: w.script(script)})
		cmd.Stdout = wr
		if name == "stderr" { // the third failure trips, which adfbot says itself
			w.fail("odilo", 1)
			cmd.Stdout, cmd.Stderr = nil, wr
		}
		require.NoError(t, r.Close())
		require.NoError(t, cmd.Start())
		require.NoError(t, wr.Close())
		require.Equal(t, 3, exitCode(cmd), name)
		require.Equal(t, 3, w.project("odilo").LastRuns[0].ExitCode, name)
		if name == "stdout" {
			require.Equal(t, 1, w.project("odilo").Failures)
		}
		w.must(0, "atlas", "true")
		w.Remove(w.flag("odilo"))
		w.exec("odilo", "true")
	}
}

// fullPipe returns the end of a pipe that takes nothing, because nobody reads.
func fullPipe(t *testing.T) *os.File {
	r, full, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = r.Close(), full.Close() })
	c, err := full.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, c.Write(func(fd uintptr) (done bool) {
		for err == nil {
			_, err = unix.Write(int(fd), make([]byte, 4096))
		}
		return true
	}))
	require.ErrorIs(t, err, unix.EAGAIN)
	return full
}

// One signal ends the command, and exec, although nobody reads the command's output.
func TestExecEndedWhileNobodyReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cmd := w.command(child{Do: "exec", Project: "odilo", Command: w.script("echo x; touch DIR/begun; exec sleep 60")})
	begun := w.watch(w.Dir)
	cmd.Stdout = fullPipe(t)
	require.NoError(t, cmd.Start())
	begun("the command does not begin", func() bool { _, err := os.Stat(w.Dir + "/begun"); return err == nil })
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, 128+int(syscall.SIGTERM), exitCode(cmd))
	require.Equal(t, store.Ignored, w.project("odilo").LastRuns[0].Outcome)
}

// A signal ends exec while nobody reads its messages, as while nobody reads the command's output.
func TestExecEndedWhileNobodyReadsMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 2)
	cmd := w.command(child{Do: "exec", Project: "odilo", Command: w.script("exit 3")})
	stored := w.watch(filepath.Dir(w.cfg.State))
	cmd.Stderr = fullPipe(t)
	require.NoError(t, cmd.Start())
	stored("no result is stored", func() bool { return len(w.project("odilo").LastRuns) == 3 })
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, 3, exitCode(cmd))
}

// A signal after the command's end ends the wait for Gitea, and nothing else.
func TestExecEndedWhileGiteaHangs(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		w := newWorld(t)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer func() { _ = l.Close() }()
		w.change("http://gitea.example\n", "http://"+l.Addr().String()+"\n  timeout: 10s\n")
		w.fail("odilo", 2)
		cmd := w.command(child{Do: "exec", Project: "odilo", Command: w.script("exit 3")})
		var errs bytes.Buffer
		cmd.Stderr = &errs
		require.NoError(t, cmd.Start())
		asked, err := l.Accept()
		require.NoError(t, err)
		defer func() { _ = asked.Close() }()
		require.NoError(t, cmd.Process.Signal(s))
		require.Equal(t, 3, exitCode(cmd))
		require.Regexp(t, `^adfbot: project-meta failed 3 times in a row on odilo: the project is paused, incident odilo#1; its issue is not open yet\n`+
			`adfbot: left to the next sweep: the work in Gitea, which had not ended when adfbot was told to end\n$`, errs.String())
		require.FileExists(t, w.flag("odilo"))
		require.Equal(t, 3, w.project("odilo").Failures)
	}
}

// A process that the command leaves behind lives on after exec, and its output goes on. The run is over.
func TestExecLeavesBackgroundProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fifo(t, w.Dir+"/go")
	released, err := os.OpenFile(w.Dir+"/go", os.O_RDWR, 0)
	require.NoError(t, err)
	defer func() { _ = released.Close() }()
	r, wr, err := os.Pipe()
	require.NoError(t, err)
	defer func() { _ = r.Close() }()
	cmd := w.command(child{Do: "exec", Project: "odilo", Command: w.script("(read x <DIR/go; for i in 1 2 3; do echo $i; echo err $i >&2; done) & echo begun; exit 3")})
	cmd.Stdout, cmd.Stderr = wr, wr
	require.NoError(t, cmd.Start())
	require.NoError(t, wr.Close())
	require.Equal(t, 3, exitCode(cmd))
	require.Equal(t, 1, w.project("odilo").Failures)
	require.Zero(t, w.project("odilo").Running)
	require.NoError(t, os.RemoveAll(filepath.Dir(w.cfg.State)), "nothing of the state is in use")
	_, err = released.WriteString("\n")
	require.NoError(t, err)
	require.NoError(t, r.SetReadDeadline(time.Now().Add(testhost.Patience)))
	out, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "begun\n1\nerr 1\n2\nerr 2\n3\nerr 3\n", string(out))
}

// A run during which adfbot was killed is a failure at the next sweep after the command's end, once.
func TestExecKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 2)
	cmd := w.startExec(child{Project: "odilo", RunID: "r3", Command: w.script("echo $$ > DIR/pid; touch DIR/begun; exec sleep 60")})
	require.Equal(t, 1, w.project("odilo").Running)
	require.Zero(t, w.sweepWell().LostRuns, "it goes on")
	var pid int
	_, err := fmt.Sscan(w.Read(w.Dir+"/pid"), &pid)
	require.NoError(t, err)

	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	require.Zero(t, w.sweepWell().LostRuns, "its command goes on, which may do its work yet")
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	require.NoError(t, testhost.WaitGone(pid))
	rep := w.sweepWell()
	require.Equal(t, 1, rep.LostRuns)
	require.Equal(t, []string{"write-flag odilo", "create odilo"}, w.kinds(rep), "it was the third failure")
	issue := w.issues("open")[0]
	require.Contains(t, issue.Body, "adfbot was killed during the run, no result was left")
	run := w.project("odilo").LastRuns[0]
	require.Equal(t, "SIGKILL", run.Signal)
	require.Equal(t, noon, run.Finished)
	require.Zero(t, w.sweepWell().LostRuns)
	require.Len(t, w.issues(""), 1)
}
