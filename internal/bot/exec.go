package bot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/proc"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// Exit codes of exec beside those of its command.
const (
	ExitPaused     = 75  // EX_TEMPFAIL of sysexits.h
	ExitNotStarted = 125 // exec's own failure before the command starts, as env(1) and timeout(1) have it
	exitTimeout    = 124 // timed out, and the command had made a 0 of it
)

// ExecRequest is one `adfbot exec`.
type ExecRequest struct {
	Project string
	Agent   string
	RunID   string
	Timeout time.Duration // 0: none
	Command []string
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer // also gets adfbot's own messages
	Waits   proc.Waits

	Reporter Reporter // nil: there is no daemon to report to
}

// Reporter reports results to the daemon, for a user who may not write the state ([store.ErrDenied]).
type Reporter interface {
	// Report reports a result, which has a run id. It keeps what can't be reported now.
	Report(ctx context.Context, r store.Result) status.Reported
}

// Exec asks the gate, runs the command, and records how it ended. It returns the exit code: the command's own, 75 where
// the project is paused, 125 where the command could not be started. Nothing that goes wrong after the command changes its
// exit code.
func Exec(ctx context.Context, cfg *config.Config, env Env, q ExecRequest) int {
	env = env.filled()
	x := &execution{cfg: cfg, env: env, q: q, signals: proc.NewSignals()}
	defer x.signals.Stop()
	defer x.waitForOutput()
	// A reader of our output that goes away must not kill us before the result is recorded; the command gets the SIGPIPE.
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, syscall.SIGPIPE)
	defer signal.Stop(pipes)
	if err := x.check(); err != nil {
		x.printf("%v", err)
		return ExitNotStarted
	}
	b, err := Open(ctx, cfg, Results, env)
	if err != nil {
		return x.withoutState(ctx, err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			env.Log.Warn("closing the state", "err", err)
		}
	}()
	if _, err := b.RecordSpooled(ctx); err != nil {
		env.Log.Warn("spool", "err", err)
	}
	return x.withState(ctx, b)
}

// execution is one Exec.
type execution struct {
	cfg     *config.Config
	env     Env
	q       ExecRequest
	signals *proc.Signals // the command's, from when its run is stored until its result is recorded and its output written
	output  proc.Output
}

// printf writes a message of adfbot's own to stderr.
func (x *execution) printf(format string, args ...any) {
	fmt.Fprintf(x.q.Stderr, "adfbot: "+format+"\n", args...)
}

func (x *execution) check() error {
	if err := x.cfg.CheckProject(x.q.Project); err != nil {
		return err
	}
	if x.q.RunID == "" {
		x.q.RunID = pause.NewRandomID()
	}
	return CheckResult(store.Result{Agent: x.q.Agent, RunID: x.q.RunID}, x.env.Now())
}

// withState is exec while the state can be used.
func (x *execution) withState(ctx context.Context, b *Bot) int {
	if code, done := x.gate(ctx, b); done {
		return code
	}
	fault.Point(ctx, "gated")
	x.signals.Listen() // a run that is stored and then not started, because of a signal, would look like one that was killed
	run, release, err := b.beginRun(ctx, store.Run{Project: x.q.Project, Agent: x.q.Agent, RunID: x.q.RunID, Host: b.host, Started: b.now()})
	if err != nil {
		x.signals.Stop()
		return x.notBegun(ctx, b, err)
	}
	defer release()
	fault.Point(ctx, "noted")
	if s := x.signals.Pending(); s != 0 {
		x.endRun(ctx, b, run)
		x.printf("told to end (%s) before the command was started", unix.SignalName(s))
		return 128 + int(s)
	}
	res, code := x.run(b.redact, func(pid int) {
		if err := b.setChild(ctx, run, pid); err != nil {
			b.log.Warn("the command's process can't be noted", "err", err)
		}
	})
	res.Host, res.Generation, res.Run = b.host, &run.Generation, run.ID
	fault.Point(ctx, "ran")
	x.record(ctx, b, run, res)
	return code
}

// gate lets the project run only where that is known to be allowed. Where exec is done with that, it returns the exit code.
func (x *execution) gate(ctx context.Context, b *Bot) (code int, done bool) {
	flag, _, err := b.rec.Local(ctx, x.q.Project)
	var noFlag *escalate.FlagWriteError
	switch {
	case errors.As(err, &noFlag):
		return x.refuse(ctx, b, err.Error()), true
	case errors.Is(err, store.ErrUnusable):
		return x.halfState(ctx, b, err), true
	case flag.State == incident.FlagThere:
		return x.refuse(ctx, b, b.flagReason(x.q.Project, flag)), true
	case flag.State == incident.FlagUnknown:
		return x.unknown(b.AdviseRestore(ctx, errors.Join(flag.Err, err))), true
	case err != nil:
		x.printf("%v", err)
		return ExitNotStarted, true
	}
	return 0, false
}

// notBegun is exec where the run could not be stored.
func (x *execution) notBegun(ctx context.Context, b *Bot, err error) int {
	if errors.Is(err, store.ErrPaused) { // the breaker tripped after the look at the flag
		why := x.q.Project + " has an open incident, and its pause flag is not written"
		if flag := b.rec.Look(ctx, x.q.Project); flag.State == incident.FlagThere {
			why = b.flagReason(x.q.Project, flag)
		}
		return x.refuse(ctx, b, why)
	}
	x.printf("%v", err)
	if errors.Is(err, store.ErrUnusable) { // it could be opened and can't be written: a full disk
		return x.spool(err, b.redact)
	}
	return ExitNotStarted
}

// record records the result of a command that has ended, whatever signal comes now.
func (x *execution) record(ctx context.Context, b *Bot, run store.Run, res store.Result) {
	out, err := b.Record(context.WithoutCancel(ctx), res)
	switch {
	case err == nil:
		x.printResult(out.View())
	case errors.Is(err, store.ErrConflict):
		x.printf("%v", err)
		x.endRun(ctx, b, run)
	default:
		said, err := Spool(x.cfg, res, err)
		x.printf("%v", err)
		x.printf("%s", said)
	}
}

// endRun forgets a run without a result of its own.
func (x *execution) endRun(ctx context.Context, b *Bot, run store.Run) {
	if err := b.store.EndRun(context.WithoutCancel(ctx), run); err != nil {
		b.log.Warn("the run is still noted as running", "err", err)
	}
}

// refuse says why nothing is run, and tries what is due for the project's incident: perhaps Gitea is back.
func (x *execution) refuse(ctx context.Context, b *Bot, why string) int {
	x.printf("%s", status.PausedBecause(x.q.Project, why))
	if b.rec.Tracks() {
		if err := b.escalate(ctx, x.q.Project); err != nil {
			b.log.Warn("left to the next sweep", "project", x.q.Project, "err", err)
		}
	}
	return ExitPaused
}

func (x *execution) unknown(why error) int {
	x.printf("it is not known whether %s is paused, so nothing is run: %v", x.q.Project, why)
	return ExitNotStarted
}

// printResult says what a recorded result did that somebody should know of.
func (x *execution) printResult(v status.ResultView) {
	switch {
	case v.Known:
		x.printf("run %q of %s in %s was recorded before, so this one changes nothing: give each run an id of its own", x.q.RunID, v.Agent, v.Project)
	case v.Tripped:
		x.printf("%s", v.TripText())
	}
	for _, p := range v.Problems {
		x.printf("left to the next sweep: %s", p)
	}
}

// run runs the command and returns its result and exec's exit code.
func (x *execution) run(redactor *redact.Redactor, started func(pid int)) (store.Result, int) {
	capture := redact.NewCapture(x.cfg.Escalation.OutputTail, redactor)
	c := proc.Command{
		Args: x.q.Command, Env: withoutVar(os.Environ(), x.cfg.Gitea.TokenEnv), Timeout: x.q.Timeout,
		Stdin: x.q.Stdin, Stdout: x.q.Stdout, Stderr: x.q.Stderr, Started: started, Signals: x.signals, Waits: x.q.Waits,
	}
	if x.cfg.Escalation.OutputTail > 0 {
		c.Capture = capture
	}
	x.signals.Listen() // to the end of exec: a second Ctrl-C must not lose the result
	// Round takes the monotonic clock away: it would hide here, and nowhere else, that the clock was set.
	begun := x.env.Now().Round(0)
	exit, output, err := c.Run()
	x.output = output
	if err != nil {
		x.printf("%v", err)
	}
	res := store.Result{
		Project: x.q.Project, Agent: x.q.Agent, RunID: x.q.RunID, Outcome: x.outcome(exit), ExitCode: exit.Code, Signal: exit.Signal,
		Detail: exit.Detail, Started: begun, Finished: x.env.Now().Round(0),
	}
	if res.Finished.Before(res.Started) {
		res.Started = res.Finished // the clock was set back; a beginning in the future would be refused
	}
	if res.Outcome == store.Failure {
		res.Output = capture.Text()
		if res.Output == "" && err != nil {
			res.Output = redact.Clean(redactor.Redact(err.Error()))
		}
	}
	if exit.TimedOut && exit.Code == 0 {
		return res, exitTimeout
	}
	return res, exit.Code
}

func (x *execution) outcome(exit proc.Exit) string {
	switch {
	case exit.Interrupted:
		return store.Ignored
	case exit.TimedOut || exit.Signal != "":
		return store.Failure
	}
	p, _ := x.cfg.Project(x.q.Project)
	return OutcomeOf(p, exit.Code)
}

// waitForOutput waits for a slow reader of the command's output. The result is recorded already.
func (x *execution) waitForOutput() {
	if err := x.output.Wait(x.signals); err != nil {
		x.printf("not all of the command's output could be passed on; the command was not disturbed: %v", err)
	}
}

// withoutVar removes a variable from an environment: the command never sees the bot's token.
func withoutVar(environ []string, name string) []string {
	if name == "" {
		return environ
	}
	return slices.DeleteFunc(slices.Clone(environ), func(kv string) bool { return strings.HasPrefix(kv, name+"=") })
}
