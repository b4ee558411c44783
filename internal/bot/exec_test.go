package bot_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/proc"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
)

// Exec ends as its command did.
func TestExecExitCodes(t *testing.T) {
	w := newWorld(t)
	script := filepath.Join(w.Dir, "not-executable")
	w.Write(script, "#!/bin/sh\n")
	for _, c := range []struct {
		command []string
		code    int
		outcome string
		detail  string
	}{
		{[]string{"true"}, 0, store.Success, ""},
		{[]string{"sh", "-c", "exit 3"}, 3, store.Failure, ""},
		{[]string{"sh", "-c", "exit 255"}, 255, store.Failure, ""},
		{[]string{w.Dir + "/is-not-there"}, 127, store.Failure, "command not found"},
		{[]string{"there-is-no-such-command"}, 127, store.Failure, "command not found"},
		{[]string{script}, 126, store.Failure, "command not executable"},
		{[]string{w.Dir}, 126, store.Failure, "command not executable"},
		{[]string{"sh", "-c", "kill -TERM $$"}, 143, store.Failure, ""},
		{[]string{"sh", "-c", "kill -SEGV $$"}, 139, store.Failure, ""},
		{[]string{"sh", "-c", "kill -KILL $$"}, 137, store.Failure, "killed, perhaps by the kernel for lack of memory"},
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
	require.Contains(t, r.stderr, "adfbot: start there-is-no-such-command: ")
}

// Input, output and environment pass through, but the token does not.
func TestExecIsTransparent(t *testing.T) {
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

func TestExecSuccessIsQuiet(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, ran{code: 0, stdout: "hello\n", stderr: ""}, w.sh("odilo", "echo hello"))
}

// The third failure trips the breaker, and the fourth run is refused.
func TestExecTripsAndRefuses(t *testing.T) {
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

	r = w.must(bot.ExitPaused, "odilo", "touch", w.Dir+"/ran")
	require.Empty(t, r.stdout, "a refusal is said on stderr only")
	require.Contains(t, r.stderr, "adfbot: odilo is paused: project-meta failed 3 times in a row")
	require.NoFileExists(t, w.Dir+"/ran")
	require.Len(t, w.project("odilo").LastRuns, 3, "a refusal is no run")

	w.Remove(w.flag("odilo"))
	w.must(0, "odilo", "true")
}

// A run that was ended because it took too long, or by a signal, counts. A class only names it.
func TestExecEndedIsNotIgnored(t *testing.T) {
	w := newWorld(t)
	w.change("projects:\n", "breaker: {threshold: 9}\nclasses:\n  - {name: ended, exit_codes: [5, 137, 143], outcome: ignored}\nprojects:\n")
	for _, c := range []struct {
		name, script, outcome string
		timeout               time.Duration
	}{
		{"timed out", "exec sleep 20", store.Failure, 50 * time.Millisecond},
		{"timed out, with a code of its own", "trap 'exit 5' TERM; sleep 20 & wait", store.Failure, 50 * time.Millisecond},
		{"killed", "kill -9 $$", store.Failure, 0},
		{"a code of its own", "exit 137", store.Ignored, 0},
		{"what it started was killed", "sh -c 'kill -9 $$'; exit $?", store.Ignored, 0},
	} {
		w.execAs(bot.ExecRequest{Project: "odilo", Agent: "project-meta", Timeout: c.timeout, Command: []string{"sh", "-c", c.script}})
		last := w.project("odilo").LastRuns[0]
		require.Equal(t, c.outcome, last.Outcome, c.name)
		require.Equal(t, "ended", last.Class, c.name)
	}
}

// A breaker that trips just after the look at the flag refuses too.
func TestExecTripAfterGate(t *testing.T) {
	w := newWorld(t)
	w.fail("odilo", 2)
	atPoint = func(s string) {
		if s == "gated" {
			atPoint = nil
			w.fail("odilo", 1)
		}
	}
	r := w.must(bot.ExitPaused, "odilo", "touch", w.Dir+"/ran")
	require.Contains(t, r.stderr, "failed 3 times in a row")
	require.NoFileExists(t, w.Dir+"/ran")
	require.Zero(t, w.project("odilo").Running)
}

// A refused exec tries what is due for the incident.
func TestExecRefusedRetriesIncident(t *testing.T) {
	w := newWorld(t)
	w.fail("odilo", 2)
	delete(w.vars, "BOT_TOKEN")
	w.fail("odilo", 1)
	require.Empty(t, w.issues(""))
	w.vars["BOT_TOKEN"] = token
	w.must(bot.ExitPaused, "odilo", "true")
	require.Len(t, w.issues("open"), 1)
}

func TestExecIgnoredExitCode(t *testing.T) {
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

// Another agent runs and does not count.
func TestExecOfAnotherAgent(t *testing.T) {
	w := newWorld(t)
	for range 4 {
		r := w.execAs(bot.ExecRequest{Project: "odilo", Agent: "developer", Command: []string{"false"}})
		require.Equal(t, 1, r.code)
	}
	require.Zero(t, w.project("odilo").Failures)
	require.Len(t, w.project("odilo").LastRuns, 4)
}

// The contradiction is reported, and the exit code stands.
func TestExecContradictingRunID(t *testing.T) {
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

// A repeated run id is reported as known, and does not pause the project.
func TestExecRepeatedRunID(t *testing.T) {
	w := newWorld(t)
	w.fail("odilo", 2)
	q := bot.ExecRequest{Project: "odilo", Agent: "project-meta", RunID: "r", Command: []string{"false"}}
	require.Contains(t, w.execAs(q).stderr, "the project is paused")
	w.Remove(w.flag("odilo"))
	r := w.execAs(q)
	require.Equal(t, ran{code: 1, stdout: "", stderr: `adfbot: run "r" of project-meta in odilo was recorded before, so this one changes nothing: give each run an id of its own` + "\n"}, r)
	require.NoFileExists(t, w.flag("odilo"))
}

// A timeout counts as a failure.
func TestExecTimeout(t *testing.T) {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGINT) // a command sends one to this process, which must survive it
	defer signal.Stop(told)
	for script, code := range map[string]int{
		"touch DIR/begun; exec sleep 60":                                                     143,
		"trap 'exit 0' TERM; touch DIR/begun; sleep 60 & wait":                               124,
		"trap '' INT; trap 'kill -INT $PPID; exit 9' TERM; touch DIR/begun; sleep 60 & wait": 9, // adfbot is told to end before the command has ended
	} {
		begun := false
		for timeout := 50 * time.Millisecond; !begun; timeout *= 2 { // a slow machine may need longer to begin the command
			w := newWorld(t)
			r := w.execAs(bot.ExecRequest{Project: "odilo", Agent: "project-meta", Timeout: timeout, Command: w.script(script)})
			if _, err := os.Stat(w.Dir + "/begun"); err != nil {
				continue
			}
			begun = true
			require.Equal(t, code, r.code, r.stderr)
			p := w.project("odilo")
			require.Equal(t, 1, p.Failures)
			require.Equal(t, fmt.Sprint("timed out after ", timeout), p.LastRuns[0].Detail)
			require.Equal(t, fmt.Sprintf("adfbot: the command ran longer than --timeout %s and was ended\n", timeout), r.stderr)
		}
	}
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

// A slow reader gets the whole output, and the result does not wait for it.
func TestExecSlowReader(t *testing.T) {
	w := newWorld(t)
	w.must(0, "atlas", "true")
	slow, ended := &reluctant{may: make(chan struct{})}, make(chan int)
	stored := w.watch(filepath.Dir(w.cfg.State))
	go func() {
		ended <- bot.Exec(ctx, w.cfg, w.env(), bot.ExecRequest{Project: "odilo", Agent: "project-meta", Stdout: slow, Stderr: io.Discard,
			Waits: proc.Waits{Output: 50 * time.Millisecond}, Command: []string{"sh", "-c", "head -c 60000 /dev/zero | tr '\\0' x; echo; echo panic: the reason; exit 1"}})
	}()
	stored("no result is stored", func() bool { return len(w.project("odilo").LastRuns) == 1 })
	var run store.HistoryRun
	w.with(bot.ReadOnly, func(b *bot.Bot) {
		d, err := b.Detail(ctx, "odilo", status.Pages{})
		require.NoError(t, err)
		run = d.Runs[0]
	})
	require.Contains(t, run.Output, "panic: the reason")
	require.Empty(t, run.Detail)
	close(slow.may)
	require.Equal(t, 1, <-ended)
	require.Equal(t, 60000+len("\npanic: the reason\n"), slow.took.Len())
}

// Nobody reads adfbot's own messages, perhaps because the reader of all output hangs. The result is recorded all the same.
func TestExecNobodyReadsMessages(t *testing.T) {
	w := newWorld(t)
	w.fail("odilo", 2)
	slow, ended := &reluctant{may: make(chan struct{})}, make(chan int)
	stored := w.watch(filepath.Dir(w.cfg.State))
	go func() {
		ended <- bot.Exec(ctx, w.cfg, w.env(), bot.ExecRequest{Project: "odilo", Agent: "project-meta", Stdout: io.Discard, Stderr: slow,
			Timeout: 50 * time.Millisecond, Command: []string{"sleep", "60"}})
	}()
	stored("no result is stored", func() bool { return len(w.project("odilo").LastRuns) == 3 })
	close(slow.may)
	require.Equal(t, 143, <-ended)
	require.Regexp(t, `^adfbot: the command ran longer than --timeout 50ms and was ended\nadfbot: .* failed 3 times in a row`, slow.took.String())
}

// The command is not disturbed.
func TestExecOutputToFullDevice(t *testing.T) {
	w := newWorld(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	defer func() { _ = full.Close() }()
	var errs bytes.Buffer
	code := bot.Exec(ctx, w.cfg, w.env(), bot.ExecRequest{Project: "odilo", Agent: "project-meta", Stdout: full, Stderr: &errs,
		Command: []string{"sh", "-c", "head -c 200000 /dev/zero; touch " + w.Dir + "/done"}}) // more than a pipe holds
	require.Zero(t, code)
	require.FileExists(t, w.Dir+"/done")
	require.Equal(t, store.Success, w.project("odilo").LastRuns[0].Outcome)
	require.Equal(t, "adfbot: could not pass on all of the command's output; the command itself was not disturbed: write /dev/full: no space left on device\n", errs.String())
}

// Huge output passes through in bounded memory.
func TestExecHugeOutput(t *testing.T) {
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

// No output is kept.
func TestExecWithoutOutputTail(t *testing.T) {
	w := newWorld(t)
	w.change("projects:", "escalation:\n  output_tail: 0\nprojects:")
	for range 3 {
		require.Equal(t, ran{code: 1, stdout: "words\n", stderr: ""}.stdout, w.sh("odilo", "echo words; exit 1").stdout)
	}
	require.NotContains(t, w.issues("open")[0].Body, "words")
}

// Secrets in the output are masked.
func TestExecSecretsInOutput(t *testing.T) {
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

// A secret that is replaced while the command runs is masked, and so is the old one.
func TestExecSecretReplacedDuringTheRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := w.keepTokenInFile()
	w.sh("odilo", "cat "+file+"; echo "+nextToken+" >"+file+"; cat "+file+"; exit 1")
	w.inState(func(s store.State) {
		runs, err := s.History(ctx, "odilo", 1)
		require.NoError(t, err)
		require.Equal(t, "[masked]\n[masked]\n", runs[0].Output)
	})
}
