package bot_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/proc"
	"github.com/terraphim/adfbot/internal/store"
)

func TestExecEndsAsItsCommandDid(t *testing.T) {
	w := newWorld(t)
	script := filepath.Join(w.dir, "not-executable")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\n"), 0o644))
	for _, c := range []struct {
		command []string
		code    int
		outcome string
		detail  string
	}{
		{[]string{"true"}, 0, store.Success, ""},
		{[]string{"sh", "-c", "exit 3"}, 3, store.Failure, ""},
		{[]string{"sh", "-c", "exit 255"}, 255, store.Failure, ""},
		{[]string{w.dir + "/is-not-there"}, 127, store.Failure, "command not found"},
		{[]string{"there-is-no-such-command"}, 127, store.Failure, "command not found"},
		{[]string{script}, 126, store.Failure, "command not executable"},
		{[]string{w.dir}, 126, store.Failure, "command not executable"},
		{[]string{"sh", "-c", "kill -TERM $$"}, 143, store.Failure, ""},
		{[]string{"sh", "-c", "kill -SEGV $$"}, 139, store.Failure, ""},
		{[]string{"sh", "-c", "kill -KILL $$"}, 137, store.Failure, "killed, perhaps by the kernel for want of memory"},
	} {
		r := w.exec("odilo", c.command...)
		require.Equal(t, c.code, r.code, "%v: %s", c.command, r.stderr)
		run := w.project("odilo").LastRuns[0]
		require.Equal(t, c.outcome, run.Outcome, "%v", c.command)
		require.Equal(t, c.code, run.ExitCode)
		require.Equal(t, c.detail, run.Detail)
		if c.code > 128 && c.code != 255 {
			require.Contains(t, []string{"SIGTERM", "SIGSEGV", "SIGKILL"}, run.Signal)
		}
		w.exec("odilo", "true")
	}
	r := w.exec("odilo", "there-is-no-such-command")
	require.Contains(t, r.stderr, "adfbot: there-is-no-such-command can't be started: ")
}

func TestExecPassesOutputInputAndEnvironmentThroughButNotTheToken(t *testing.T) {
	w := newWorld(t)
	t.Setenv("BOT_TOKEN", token)
	t.Setenv("OTHER", "kept")
	var out, errs bytes.Buffer
	code := bot.Exec(ctx, w.cfg, w.env(), bot.ExecRequest{
		Project: "odilo", Agent: "project-meta", Command: []string{"sh", "-c", `cat; echo "$OTHER"; echo "T=$BOT_TOKEN"; echo oops >&2`},
		Stdin: strings.NewReader("from stdin\n"), Stdout: &out, Stderr: &errs,
	})
	require.Zero(t, code)
	require.Equal(t, "from stdin\nkept\nT=\n", out.String())
	require.Equal(t, "oops\n", errs.String())
}

func TestExecThatSucceedsSaysNothingOfItsOwn(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, ran{code: 0, stdout: "hello\n", stderr: ""}, w.sh("odilo", "echo hello"))
}

func TestTheThirdFailingExecTripsAndTheFourthIsRefused(t *testing.T) {
	w := newWorld(t)
	for range 2 {
		require.Equal(t, ran{code: 7, stdout: "", stderr: ""}, w.sh("odilo", "exit 7"))
	}
	r := w.sh("odilo", "echo out; echo the reason >&2; exit 7")
	require.Equal(t, 7, r.code)
	issue := w.issues("open")[0]
	require.Contains(t, r.stderr, "the reason\nadfbot: project-meta failed 3 times in a row on odilo: the project is paused, see http://gitea.example/terraphim/adf-fleet/issues/1\n")
	require.Contains(t, issue.Body, "the reason")
	require.Contains(t, issue.Body, "exit 7")

	r = w.must(bot.ExitPaused, "odilo", "touch", w.dir+"/ran")
	require.Empty(t, r.stdout, "a refusal is said on stderr only")
	require.Contains(t, r.stderr, "adfbot: odilo is paused: project-meta failed 3 times in a row")
	require.NoFileExists(t, w.dir+"/ran")
	require.Len(t, w.project("odilo").LastRuns, 3, "a refusal is no run")

	w.rm(w.flag("odilo"))
	w.must(0, "odilo", "true")
}

func TestABreakerThatTripsJustAfterTheLookAtTheFlagRefusesToo(t *testing.T) {
	w := newWorld(t)
	w.fail("odilo", 2)
	atPoint = func(s string) {
		if s == "gated" {
			atPoint = nil
			w.fail("odilo", 1)
		}
	}
	r := w.must(bot.ExitPaused, "odilo", "touch", w.dir+"/ran")
	require.Contains(t, r.stderr, "failed 3 times in a row")
	require.NoFileExists(t, w.dir+"/ran")
	require.Zero(t, w.project("odilo").Running)
}

func TestARefusedExecTriesWhatIsDueForItsIncident(t *testing.T) {
	w := newWorld(t)
	w.fail("odilo", 2)
	delete(w.vars, "BOT_TOKEN")
	w.fail("odilo", 1)
	require.Empty(t, w.issues(""))
	w.vars["BOT_TOKEN"] = token
	w.must(bot.ExitPaused, "odilo", "true")
	require.Len(t, w.issues("open"), 1)
}

func TestAnExitCodeToIgnoreDoesNotCount(t *testing.T) {
	w := newWorld(t)
	for range 4 {
		require.Equal(t, 9, w.sh("atlas", "exit 9").code)
	}
	p := w.project("atlas")
	require.Zero(t, p.Failures)
	require.Equal(t, 4, p.Ignored)
	require.Equal(t, 9, w.sh("odilo", "exit 9").code, "it is this project's list")
	require.Equal(t, 1, w.project("odilo").Failures)
	require.Equal(t, 137, w.sh("atlas", "kill -9 $$").code, "a signal is no exit code, whatever shells make of it")
	require.Equal(t, 1, w.project("atlas").Failures)
}

func TestAnotherAgentRunsAndDoesNotCount(t *testing.T) {
	w := newWorld(t)
	for range 4 {
		r := w.execAs(bot.ExecRequest{Project: "odilo", Agent: "developer", Command: []string{"false"}})
		require.Equal(t, 1, r.code)
	}
	require.Zero(t, w.project("odilo").Failures)
	require.Len(t, w.project("odilo").LastRuns, 4)
}

func TestTheSameRunIDWithAnotherOutcomeIsSaidAndTheCodeStands(t *testing.T) {
	w := newWorld(t)
	q := bot.ExecRequest{Project: "odilo", Agent: "project-meta", RunID: "r", Command: []string{"false"}}
	require.Equal(t, 1, w.execAs(q).code)
	q.Command = []string{"true"}
	r := w.execAs(q)
	require.Zero(t, r.code)
	require.Contains(t, r.stderr, `run "r" of project-meta in odilo is recorded as failure`)
	require.Equal(t, 1, w.project("odilo").Failures)
	require.Zero(t, w.project("odilo").Running)
	require.Zero(t, w.sweepWell().LostRuns)
}

func TestTheRunIDOfAnEarlierTripSaysThatItIsKnownAndNotThatTheProjectIsPaused(t *testing.T) {
	w := newWorld(t)
	w.fail("odilo", 2)
	q := bot.ExecRequest{Project: "odilo", Agent: "project-meta", RunID: "r", Command: []string{"false"}}
	require.Contains(t, w.execAs(q).stderr, "the project is paused")
	w.rm(w.flag("odilo"))
	r := w.execAs(q)
	require.Equal(t, ran{code: 1, stdout: "", stderr: `adfbot: run "r" of project-meta in odilo was recorded before, so this one changes nothing: give each run an id of its own` + "\n"}, r)
	require.NoFileExists(t, w.flag("odilo"))
}

func TestATimeoutCounts(t *testing.T) {
	for script, code := range map[string]int{"exec sleep 60": 143, "trap 'exit 0' TERM; sleep 60 & wait": 124} {
		w := newWorld(t)
		r := w.execAs(bot.ExecRequest{Project: "odilo", Agent: "project-meta", Timeout: time.Second, Command: []string{"sh", "-c", script}})
		require.Equal(t, code, r.code, r.stderr)
		p := w.project("odilo")
		require.Equal(t, 1, p.Failures)
		require.Equal(t, "timed out after 1s", p.LastRuns[0].Detail)
	}
}

// alive tells whether a process is there and no zombie.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(b), ") Z ")
}

// reluctant takes nothing until it may.
type reluctant struct {
	may  chan struct{}
	took bytes.Buffer
}

func (r *reluctant) Write(p []byte) (int, error) {
	<-r.may
	return r.took.Write(p)
}

func TestWhoIsSlowToTakeTheOutputGetsAllOfItAndKeepsNoResultWaiting(t *testing.T) {
	w := newWorld(t)
	w.must(0, "atlas", "true")
	slow, ended := &reluctant{may: make(chan struct{})}, make(chan int)
	go func() {
		ended <- bot.Exec(ctx, w.cfg, w.env(), bot.ExecRequest{Project: "odilo", Agent: "project-meta", Stdout: slow, Stderr: io.Discard,
			Waits: proc.Waits{Output: 50 * time.Millisecond}, Command: []string{"sh", "-c", "head -c 60000 /dev/zero | tr '\\0' x; echo; echo panic: the reason; exit 1"}})
	}()
	require.Eventually(t, func() bool { return len(w.project("odilo").LastRuns) == 1 }, 20*time.Second, 10*time.Millisecond)
	var run store.HistoryRun
	w.with(bot.ReadOnly, func(b *bot.Bot) {
		d, err := b.Detail(ctx, "odilo")
		require.NoError(t, err)
		run = d.Runs[0]
	})
	require.Contains(t, run.Output, "panic: the reason")
	require.Empty(t, run.Detail)
	close(slow.may)
	require.Equal(t, 1, <-ended)
	require.Equal(t, 60000+len("\npanic: the reason\n"), slow.took.Len())
}

func TestAnOutputThatCantBeWrittenDoesNotDisturbTheCommand(t *testing.T) {
	w := newWorld(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	defer func() { _ = full.Close() }()
	var errs bytes.Buffer
	code := bot.Exec(ctx, w.cfg, w.env(), bot.ExecRequest{Project: "odilo", Agent: "project-meta", Stdout: full, Stderr: &errs,
		Command: []string{"sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.02; done; touch " + w.dir + "/done; exit 0"}})
	require.Zero(t, code)
	require.FileExists(t, w.dir+"/done")
	require.Equal(t, store.Success, w.project("odilo").LastRuns[0].Outcome)
	require.Equal(t, "adfbot: could not pass on all of the command's output; the command itself was not disturbed: write /dev/full: no space left on device\n", errs.String())
}

func TestHugeBinaryOutputPassesThroughAndIsKeptInBoundedMemory(t *testing.T) {
	w := newWorld(t)
	w.fail("odilo", 2)
	w.pass(time.Second)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	n := &counter{}
	code := bot.Exec(ctx, w.cfg, w.env(), bot.ExecRequest{Project: "odilo", Agent: "project-meta", Stdout: n, Stderr: io.Discard,
		Command: []string{"sh", "-c", "head -c 20000000 /dev/urandom; echo; echo the last words; exit 1"}})
	runtime.ReadMemStats(&after)
	require.Equal(t, 1, code)
	require.Equal(t, 20000000+len("\nthe last words\n"), n.n)
	require.Less(t, int64(after.HeapSys)-int64(before.HeapSys), int64(16<<20))
	body := w.issues("open")[0].Body
	require.Less(t, len(body), 60000)
	require.Contains(t, body, "the last words")
}

type counter struct{ n int }

func (c *counter) Write(p []byte) (int, error) { c.n += len(p); return len(p), nil }

func TestWithoutAnOutputTailNoOutputIsKept(t *testing.T) {
	w := newWorld(t)
	w.change("projects:", "escalation:\n  output_tail: 0\nprojects:")
	for range 3 {
		require.Equal(t, ran{code: 1, stdout: "words\n", stderr: ""}.stdout, w.sh("odilo", "echo words; exit 1").stdout)
	}
	require.NotContains(t, w.issues("open")[0].Body, "words")
}

func TestSecretsInTheOutputAreMasked(t *testing.T) {
	w := newWorld(t)
	w.change("projects:", "escalation:\n  redact_env: [OTHER_SECRET]\nprojects:")
	w.vars["OTHER_SECRET"] = "hunter2hunter2"
	for range 3 {
		w.sh("odilo", "echo token "+token+"; echo hunter2hunter2; exit 1")
	}
	issue := w.issues("open")[0]
	require.NotContains(t, issue.Body, token)
	require.NotContains(t, issue.Body, "hunter2")
	require.Contains(t, issue.Body, "token ")
	for _, f := range []string{w.cfg.State, w.cfg.State + "-wal"} {
		if b, err := os.ReadFile(f); err == nil {
			require.NotContains(t, string(b), token)
			require.NotContains(t, string(b), "hunter2")
		}
	}
}

// The tests below need a process of their own, because they send it signals.

// start starts exec in a process of its own and waits until its command has made a file.
func (w *world) start(c child) *exec.Cmd {
	w.t.Helper()
	c.Do = "exec"
	cmd := w.command(c)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(w.t, cmd.Start())
	w.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	require.Eventually(w.t, func() bool { _, err := os.Stat(w.dir + "/begun"); return err == nil }, 20*time.Second, 2*time.Millisecond)
	return cmd
}

func exitCode(t testing.TB, cmd *exec.Cmd) int {
	t.Helper()
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode()
}

func TestARunThatEndsBecauseAdfbotWasToldToEndIsIgnored(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		w := newWorld(t)
		cmd := w.start(child{Project: "odilo", Command: []string{"sh", "-c", "trap 'exit 5' TERM INT; touch " + w.dir + "/begun; while :; do sleep 0.01; done"}})
		require.NoError(t, cmd.Process.Signal(s))
		require.Equal(t, 5, exitCode(t, cmd), "the command got the signal and ended as it liked")
		p := w.project("odilo")
		require.Zero(t, p.Failures)
		require.Equal(t, store.Ignored, p.LastRuns[0].Outcome)
		require.Equal(t, "ended because adfbot was told to end", p.LastRuns[0].Detail)
	}
}

// Ctrl-C, systemd and a shutdown send the signal to both, and the command may be the first to end.
func TestACommandThatIsEndedTogetherWithAdfbotIsIgnored(t *testing.T) {
	for name, script := range map[string]string{
		"adfbot first":      "kill -TERM $PPID; exit 1",
		"the command first": "(trap '' TERM; sleep 0.05; kill -TERM $PPID) >/dev/null 2>&1 & kill -TERM $$",
		"by an exit code":   "(trap '' INT; sleep 0.05; kill -INT $PPID) >/dev/null 2>&1 & exit 130",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for range 5 {
				require.NoError(t, os.RemoveAll(w.dir+"/begun"))
				_ = exitCode(t, w.start(child{Project: "odilo", Together: 20 * time.Second,
					Command: []string{"sh", "-c", "touch " + w.dir + "/begun; " + script}}))
				p := w.project("odilo")
				require.Zero(t, p.Failures)
				require.Equal(t, store.Ignored, p.LastRuns[0].Outcome)
			}
		})
	}
}

func TestACommandThatIsToldToEndBeforeItHasBegunIsNotBegun(t *testing.T) {
	w := newWorld(t)
	cmd := w.command(child{Do: "exec", Project: "odilo", TermAt: "noted", Command: []string{"touch", w.dir + "/begun"}})
	require.NoError(t, cmd.Start())
	require.Equal(t, 128+15, exitCode(t, cmd))
	require.NoFileExists(t, w.dir+"/begun")
	require.Zero(t, w.sweepWell().LostRuns)
	require.Empty(t, w.project("odilo").LastRuns)
}

func TestWhatAdfbotWasStartedToIgnoreIsIgnoredByTheCommandToo(t *testing.T) {
	w := newWorld(t)
	cmd := w.command(child{Do: "exec", Project: "odilo", Command: []string{"sh", "-c",
		"touch " + w.dir + "/begun; while [ ! -e " + w.dir + "/go ]; do sleep 0.01; done"}})
	cmd.Args = []string{"sh", "-c", `trap "" HUP INT; exec "$0"`, cmd.Path} // as nohup does
	cmd.Path = "/bin/sh"
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { _, err := os.Stat(w.dir + "/begun"); return err == nil }, 20*time.Second, 2*time.Millisecond)
	require.NoError(t, cmd.Process.Signal(syscall.SIGHUP))
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	require.NoError(t, os.WriteFile(w.dir+"/go", nil, 0o600))
	require.Zero(t, exitCode(t, cmd))
	require.Equal(t, store.Success, w.project("odilo").LastRuns[0].Outcome)
}

// The second Ctrl-C of an impatient person, or systemd's SIGTERM just as the command has ended.
func TestASignalThatComesAfterTheCommandHasEndedDoesNotLoseItsResult(t *testing.T) {
	for script, outcome := range map[string]string{"exit 0": store.Success, "exit 3": store.Failure} {
		w := newWorld(t)
		cmd := w.start(child{Project: "odilo", TermAt: "ran", Command: []string{"sh", "-c", "touch " + w.dir + "/begun; " + script}})
		code := exitCode(t, cmd)
		require.Equal(t, script, fmt.Sprint("exit ", code))
		p := w.project("odilo")
		require.Len(t, p.LastRuns, 1)
		require.Equal(t, outcome, p.LastRuns[0].Outcome)
		require.Zero(t, p.Running)
	}
}

func TestAReaderThatGoesAwayDoesNotLoseTheResult(t *testing.T) {
	w := newWorld(t)
	for name, script := range map[string]string{
		"stdout": "trap '' PIPE; touch DIR/begun; while echo x 2>/dev/null; do :; done; exit 3",
		"stderr": "touch DIR/begun; exit 3",
	} {
		require.NoError(t, os.RemoveAll(w.dir+"/begun"))
		r, wr, err := os.Pipe()
		require.NoError(t, err)
		cmd := w.command(child{Do: "exec", Project: "odilo", Command: []string{"sh", "-c", strings.ReplaceAll(script, "DIR", w.dir)}})
		cmd.Stdout = wr
		if name == "stderr" { // the third failure trips, which adfbot says itself
			w.fail("odilo", 1)
			cmd.Stdout, cmd.Stderr = nil, wr
		}
		require.NoError(t, r.Close())
		require.NoError(t, cmd.Start())
		require.NoError(t, wr.Close())
		require.Equal(t, 3, exitCode(t, cmd), name)
		require.Equal(t, 3, w.project("odilo").LastRuns[0].ExitCode, name)
		if name == "stdout" {
			require.Equal(t, 1, w.project("odilo").Failures)
		}
		w.must(0, "atlas", "true")
		w.rm(w.flag("odilo"))
		w.exec("odilo", "true")
	}
}

func TestARunThatWasKilledTogetherWithAdfbotIsAFailureAtTheNextSweepOnce(t *testing.T) {
	w := newWorld(t)
	w.fail("odilo", 2)
	cmd := w.start(child{Project: "odilo", RunID: "r3", Command: []string{"sh", "-c", "echo $$ > " + w.dir + "/pid; touch " + w.dir + "/begun; exec sleep 60"}})
	require.Equal(t, 1, w.project("odilo").Running)
	require.Zero(t, w.sweepWell().LostRuns, "it goes on")
	var pid int
	_, err := fmt.Sscan(w.read(w.dir+"/pid"), &pid)
	require.NoError(t, err)

	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	require.Zero(t, w.sweepWell().LostRuns, "its command goes on, which may do its work yet")
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	require.Eventually(t, func() bool { return !alive(pid) }, 10*time.Second, 5*time.Millisecond)
	rep := w.sweepWell()
	require.Equal(t, 1, rep.LostRuns)
	require.Equal(t, []string{"write-flag odilo", "create odilo"}, w.kinds(rep), "it was the third failure")
	issue := w.issues("open")[0]
	require.Contains(t, issue.Body, "killed together with adfbot")
	run := w.project("odilo").LastRuns[0]
	require.Equal(t, "SIGKILL", run.Signal)
	require.Equal(t, noon, run.Finished)
	require.Zero(t, w.sweepWell().LostRuns)
	require.Len(t, w.issues(""), 1)
}
