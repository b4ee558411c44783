package bot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// Exit codes of exec beside those of its command.
const (
	ExitPaused   = 75  // EX_TEMPFAIL of sysexits.h
	ExitNotBegun = 125 // exec's own failure before the command starts, as env(1) and timeout(1) have it
	exitTimeout  = 124 // timed out, and the command had made a 0 of it
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
	Stderr  io.Writer // the command's and adfbot's own words
	Courier Courier   // nil: there is no daemon to report to
}

// Courier brings results to the daemon for a user who may not write the state ([store.ErrDenied]).
type Courier interface {
	// Deliver reports a result, after those of this user that wait. The result has a run id. What can't be delivered now
	// is kept.
	Deliver(ctx context.Context, r store.Result) Delivery
}

// Delivery is what became of a result.
type Delivery struct {
	View *ResultView // nil: the daemon has not recorded it
	Said []string    // for the person who reads stderr
}

// Exec asks the gate, runs the command, and records how it ended. It returns the exit code: the command's own, 75 where
// the project is paused, 125 where it could not be started. The command is never kept from ending as it ended by anything
// that goes wrong afterwards.
func Exec(ctx context.Context, cfg *config.Config, env Env, q ExecRequest) int {
	env = env.filled()
	x := &execution{cfg: cfg, env: env, q: q, signals: make(chan os.Signal, 16)}
	defer signal.Stop(x.signals)
	defer x.passedOn()
	// A reader of our output that goes away must not kill us before the result is recorded; the command gets the SIGPIPE.
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, syscall.SIGPIPE)
	defer signal.Stop(pipes)
	if err := x.checked(); err != nil {
		x.say("%v", err)
		return ExitNotBegun
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
	if _, err := b.Intake(ctx); err != nil {
		env.Log.Warn("spool", "err", err)
	}
	return x.with(ctx, b)
}

type execution struct {
	cfg *config.Config
	env Env
	q   ExecRequest

	signals chan os.Signal // the command's, from when its run is noted until its result is recorded and its output passed on
	output  output
}

// listen takes the signals that are the command's. Until there is a run they end adfbot as they end every program, and what
// adfbot was started to ignore (nohup) stays ignored, for the command too.
func (x *execution) listen() {
	signal.Notify(x.signals, slices.DeleteFunc(slices.Clone(forwarded), signal.Ignored)...)
}

// told is a signal that came before there was a command to pass it on to; 0: none did.
func (x *execution) told() syscall.Signal {
	for {
		select {
		case s := <-x.signals:
			if deadly(s) {
				return s.(syscall.Signal)
			}
		default:
			return 0
		}
	}
}

// passedOn waits for who is slow to take the command's output: its result is recorded already.
func (x *execution) passedOn() {
	if err := x.output.passedOn(x.signals); err != nil {
		x.say("not all of the command's output could be passed on; the command was not disturbed: %v", err)
	}
}

func (x *execution) say(format string, args ...any) {
	fmt.Fprintf(x.q.Stderr, "adfbot: "+format+"\n", args...)
}

func (x *execution) checked() error {
	if err := CheckProject(x.cfg, x.q.Project); err != nil {
		return err
	}
	if x.q.RunID == "" {
		x.q.RunID = pause.NewRandomID()
	}
	return CheckResult(store.Result{Agent: x.q.Agent, RunID: x.q.RunID}, x.env.Now())
}

func (x *execution) with(ctx context.Context, b *Bot) int {
	flag, _, err := b.rec.Local(ctx, x.q.Project)
	var noFlag *escalate.FlagWriteError
	switch {
	case errors.As(err, &noFlag):
		return x.refuse(ctx, b, err.Error())
	case errors.Is(err, store.ErrUnusable):
		return x.halfState(ctx, b, err)
	case flag.State == incident.FlagThere:
		return x.refuse(ctx, b, reason(b.rec.Dir(), x.q.Project, flag.Note, flag.Dangling))
	case flag.State == incident.FlagUnknown:
		x.say("it is not known whether %s is paused, so nothing is run: %v", x.q.Project, b.Explain(ctx, errors.Join(flag.Err, err)))
		return ExitNotBegun
	case err != nil:
		x.say("%v", err)
		return ExitNotBegun
	}
	fault.Point(ctx, "gated")
	x.listen() // a run that is noted, and never begun because of a signal, would be taken for one that was killed
	run, release, err := b.beginRun(ctx, store.Run{Project: x.q.Project, Agent: x.q.Agent, RunID: x.q.RunID, Host: b.host, Started: b.now()})
	if err != nil {
		signal.Stop(x.signals)
	}
	if errors.Is(err, store.ErrPaused) {
		// The breaker tripped after the look at the flag.
		why := x.q.Project + " has an open incident, and its pause flag is not written"
		if flag := b.rec.Look(x.q.Project); flag.State == incident.FlagThere {
			why = reason(b.rec.Dir(), x.q.Project, flag.Note, flag.Dangling)
		}
		return x.refuse(ctx, b, why)
	}
	if err != nil && !errors.Is(err, store.ErrUnusable) {
		x.say("%v", err)
		return ExitNotBegun
	}
	if err != nil {
		// The state was opened and can't be written: a full disk. The command runs, its result is spooled.
		x.say("%v", err)
		return x.spooling(err, b.redact)
	}
	defer release()
	fault.Point(ctx, "noted")
	if s := x.told(); s != 0 {
		if err := b.store.EndRun(context.WithoutCancel(ctx), run); err != nil {
			b.log.Warn("the run is still noted as running", "err", err)
		}
		x.say("told to end (%s) before the command was started", unix.SignalName(s))
		return 128 + int(s)
	}
	res, code, err := x.run(b.redact, func(pid int) {
		if err := b.setChild(ctx, run, pid); err != nil {
			b.log.Warn("the command's process can't be noted", "err", err)
		}
	})
	if err != nil {
		x.say("%v", err)
	}
	res.Host, res.Generation, res.Run = b.host, &run.Generation, run.ID
	fault.Point(ctx, "ran")
	// The command has ended; what it did is recorded whatever signal comes now.
	out, err := b.Record(context.WithoutCancel(ctx), res)
	if errors.Is(err, store.ErrConflict) {
		x.say("%v", err)
		if err := b.store.EndRun(context.WithoutCancel(ctx), run); err != nil {
			b.log.Warn("the run is still noted as running", "err", err)
		}
		return code
	}
	if err != nil {
		said, err := SpoolResult(x.cfg, res, err)
		x.say("%v", err)
		x.say("%s", said)
		return code
	}
	x.tell(out.View())
	return code
}

// refuse says why nothing is run, and tries what is due for the project's incident: perhaps Gitea is back.
func (x *execution) refuse(ctx context.Context, b *Bot, why string) int {
	x.say("%s", pausedBecause(x.q.Project, why))
	if b.rec.Tracks() {
		if err := b.escalate(ctx, x.q.Project); err != nil {
			b.log.Warn("left to the next sweep", "project", x.q.Project, "err", err)
		}
	}
	return ExitPaused
}

// pausedBecause is the head of a flag's note, which says by itself that the project is paused, or another reason.
func pausedBecause(project, why string) string {
	head, _, _ := strings.Cut(strings.TrimSpace(why), "\n\n")
	if strings.HasPrefix(head, project+" is paused") {
		return head
	}
	return project + " is paused: " + head
}

func reason(dir pause.Dir, project, note string, dangling bool) string {
	path := dir.FlagPath(project)
	note = redact.Clean(note)
	switch {
	case dangling:
		return "its pause flag " + path + " is a link that leads nowhere"
	case strings.TrimSpace(note) == "":
		return "its pause flag " + path + " is there"
	}
	return note
}

// halfState is exec while the state could be opened and then failed: it is damaged further in, or the disk is full. What
// can be read of it still counts, and the flag is looked at again: it may just have been written.
func (x *execution) halfState(ctx context.Context, b *Bot, cause error) int {
	flag := b.rec.Look(x.q.Project)
	switch flag.State {
	case incident.FlagThere:
		return x.refuse(ctx, b, reason(b.rec.Dir(), x.q.Project, flag.Note, flag.Dangling))
	case incident.FlagUnknown:
		x.say("it is not known whether %s is paused, so nothing is run: %v", x.q.Project, errors.Join(adviseRestore(flag.Err), cause))
		return ExitNotBegun
	}
	incidents, _ := b.store.Unsettled(ctx, x.q.Project)
	for _, i := range incidents {
		if i.IsOpen() && i.FlagWritten.IsZero() {
			return x.refuse(ctx, b, i.Name()+" is open, and its pause flag could not be written")
		}
	}
	x.say("%v", cause)
	return x.spooling(cause, b.redact)
}

// withoutState is exec while the state can't be used. The gate needs only the pause directory; the result is spooled.
func (x *execution) withoutState(ctx context.Context, cause error) int {
	if !errors.Is(cause, store.ErrUnusable) {
		x.say("%v", cause)
		return ExitNotBegun
	}
	verdict := Gate(ctx, pause.New(x.cfg.PauseDir), x.q.Project)
	switch {
	case verdict.Err != nil:
		x.say("it is not known whether %s is paused, so nothing is run: %v", x.q.Project, adviseRestore(verdict.Err))
		return ExitNotBegun
	case verdict.Paused:
		x.say("%s", pausedBecause(x.q.Project, verdict.Reason))
		return ExitPaused
	}
	redact := RedactorFor(x.cfg, x.env.Getenv)
	if errors.Is(cause, store.ErrDenied) && x.q.Courier != nil {
		return x.delivering(ctx, redact)
	}
	x.say("%v", cause)
	return x.spooling(cause, redact)
}

// delivering is exec in the separated set-up: the state belongs to the daemon, and so does the result in the end. Whether
// it counts is decided by the time at which the run began.
func (x *execution) delivering(ctx context.Context, redactor *redact.Redactor) int {
	res, code, err := x.run(redactor, func(int) {})
	if err != nil {
		x.say("%v", err)
	}
	res.Host, _ = os.Hostname()
	d := x.q.Courier.Deliver(context.WithoutCancel(ctx), res)
	for _, s := range d.Said {
		x.say("%s", s)
	}
	if d.View != nil {
		x.tell(*d.View)
	}
	return code
}

// tell says what a recorded result did that somebody should know of.
func (x *execution) tell(v ResultView) {
	switch {
	case v.Known:
		x.say("run %q of %s in %s was recorded before, so this one changes nothing: give each run an id of its own", x.q.RunID, v.Agent, v.Project)
	case v.Tripped:
		x.say("%s", v.TripText())
	}
	for _, p := range v.Problems {
		x.say("left to the next sweep: %s", p)
	}
}

func (x *execution) spooling(cause error, redactor *redact.Redactor) int {
	res, code, err := x.run(redactor, func(int) {})
	if err != nil {
		x.say("%v", err)
	}
	res.Host, _ = os.Hostname()
	said, err := SpoolResult(x.cfg, res, cause)
	if !errors.Is(err, cause) || strings.Contains(said, "LOST") {
		x.say("%v", err)
	}
	x.say("%s", said)
	return code
}

// run runs the command and tells how it ended.
func (x *execution) run(redactor *redact.Redactor, started func(pid int)) (store.Result, int, error) {
	capture := redact.NewCapture(x.cfg.Escalation.OutputTail, redactor)
	c := child{
		argv: x.q.Command, env: withoutVar(os.Environ(), x.cfg.Gitea.TokenEnv), timeout: x.q.Timeout,
		stdin: x.q.Stdin, stdout: x.q.Stdout, stderr: x.q.Stderr, started: started, signals: x.signals,
	}
	x.listen() // and not only while it runs: a second Ctrl-C must not lose the result
	if x.cfg.Escalation.OutputTail > 0 {
		c.capture = capture
	}
	// Round takes the monotonic clock away: it would hide here, and nowhere else, that the clock was set.
	begun := x.env.Now().Round(0)
	end, out, err := c.run()
	x.output = out
	res := store.Result{
		Project: x.q.Project, Agent: x.q.Agent, RunID: x.q.RunID, ExitCode: end.code, Signal: end.signal, Detail: end.detail,
		Started: begun, Finished: x.env.Now().Round(0),
	}
	if res.Finished.Before(res.Started) {
		res.Started = res.Finished // the clock was set back; a beginning in the future would be refused
	}
	p, _ := x.cfg.Project(x.q.Project)
	switch {
	case end.interrupted:
		res.Outcome = store.Ignored
	case end.timedOut || end.signal != "":
		res.Outcome = store.Failure
	default:
		res.Outcome = OutcomeOf(p, end.code)
	}
	if res.Outcome == store.Failure {
		res.Output = capture.Text()
		if res.Output == "" && err != nil {
			res.Output = redact.Clean(redactor.Redact(err.Error()))
		}
	}
	code := end.code
	if end.timedOut && code == 0 {
		code = exitTimeout
	}
	return res, code, err
}

// withoutVar takes a variable out of an environment: the command never sees the bot's token.
func withoutVar(environ []string, name string) []string {
	if name == "" {
		return environ
	}
	return slices.DeleteFunc(slices.Clone(environ), func(kv string) bool { return strings.HasPrefix(kv, name+"=") })
}

// Verdict is what the gate says.
type Verdict struct {
	Paused bool
	Reason string
	Err    error // it is not known; nothing may run
}

// gateWait is how long the pause directory may take to answer.
const gateWait = 5 * time.Second

// Gate asks the pause directory and nothing else. A directory that does not answer in 5 s (a dead network mount) is
// unknown; the goroutine that hangs on it ends with the process.
func Gate(ctx context.Context, dir pause.Dir, project string) Verdict {
	return gate(ctx, dir, project, pause.Dir.LookChecked)
}

// gate is Gate with another look in the tests: one at a directory that hangs.
func gate(ctx context.Context, dir pause.Dir, project string, look func(pause.Dir, string) (pause.Flag, pause.Sentinel, error)) Verdict {
	ctx, cancel := context.WithTimeout(ctx, gateWait)
	defer cancel()
	answer := make(chan Verdict, 1)
	go func() {
		flag, _, err := look(dir, project)
		switch {
		case err != nil:
			answer <- Verdict{Err: err}
		case flag.Present:
			answer <- Verdict{Paused: true, Reason: reason(dir, project, flag.Note, flag.Dangling)}
		default:
			answer <- Verdict{}
		}
	}()
	select {
	case v := <-answer:
		return v
	case <-ctx.Done():
		return Verdict{Err: fmt.Errorf("pause directory %s did not answer in %s: look whether its file system hangs", dir.Path(), gateWait)}
	}
}

// GateOf is [Gate] for a configuration.
func GateOf(ctx context.Context, cfg *config.Config, project string) Verdict {
	return Gate(ctx, pause.New(cfg.PauseDir), project)
}

// ExplainFromState is [Bot.Explain] for the gate's error, if the state can be read in the given time. It changes nothing
// about the verdict.
func ExplainFromState(ctx context.Context, cfg *config.Config, env Env, err error, wait time.Duration) error {
	if !isLost(err) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	b, err2 := Open(ctx, cfg, Look, env)
	if errors.Is(err2, fs.ErrNotExist) {
		return fmt.Errorf("%w\nthere is no state at %s yet: adfbot serve, the first result or adfbot pause makes both ready", err, cfg.State)
	}
	if err2 != nil {
		return fmt.Errorf("%w\nwhich projects a bare touch would resume can't be told here: %w", adviseRestore(err), err2)
	}
	defer func() { _ = b.Close() }()
	return b.Explain(ctx, err)
}
