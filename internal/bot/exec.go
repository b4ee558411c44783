package bot

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
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
	ExitNotStarted = 125 // exec failed before it started the command, as with env(1) and timeout(1)
	exitTimeout    = 124 // the command timed out and exited with 0
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
	Stderr  io.Writer // adfbot's own messages go there too
	Waits   proc.Waits
	Drain   []string // the arguments with which this program runs [proc.Drain]

	Reporter Reporter // nil: there is no daemon to ask and to report to
}

// Reporter asks the daemon and reports results to it, for users who may not write the state ([store.ErrDenied]).
type Reporter interface {
	// Paused returns why a project is paused, "" if it may run or the daemon does not answer at once, and an error if the daemon answers
	// that it cannot tell.
	Paused(ctx context.Context, project string) (why string, err error)
	// Report reports a result with a run id. It keeps a result that it cannot report now.
	Report(ctx context.Context, r store.Result) status.Reported
	// SendKept reports the results that are kept, as Report does first. It returns sentences for the user.
	SendKept(ctx context.Context) []string
}

// Exec runs the command unless the project is paused, and records how it ended. It returns the exit code: the command's
// own; 126 or 127 if the command cannot be started; 75 if the project is paused; 125 if exec failed before the start.
// Errors after the command's end do not change it. If SIGINT reached both this process and the command, and ended the command, Exec
// ends this process by SIGINT. The caller sees to it that SIGPIPE does not end this process when the reader of its output goes away.
func Exec(ctx context.Context, cfg *config.Config, env Env, q ExecRequest) int {
	x := &execution{cfg: cfg, env: env.withDefaults(), q: q, signals: proc.NewSignals(), leave: func() {}}
	defer func() {
		if x.ctrlC { // a shell ends its script if SIGINT has ended one of its commands, but not if the command has exited
			proc.EndBySIGINT()
		}
	}()
	defer x.signals.Stop()
	defer x.waitForOutput()
	if err := x.check(); err != nil {
		return x.notStarted(err)
	}
	b, err := Open(ctx, cfg, Results, env)
	if err != nil {
		return x.withoutState(ctx, err)
	}
	x.bot, x.leave = b, b.rec.LeaveTracker
	if w := b.Warning(); w != "" {
		x.printf("%s", w)
	}
	defer func() {
		if err := b.Close(); err != nil {
			b.log.Warn("cannot close the state", "err", err)
		}
	}()
	if err := b.RecordSpooledBriefly(ctx); err != nil {
		b.log.Warn("cannot record all spooled results", "err", err)
	}
	return x.withState(ctx)
}

// execution is one call of Exec.
type execution struct {
	cfg     *config.Config
	env     Env
	q       ExecRequest
	bot     *Bot          // nil if the state cannot be opened
	asked   time.Time     // when the gate was asked, before the answer
	unsure  string        // id of the run, if the state has failed to store it: it may have it all the same
	ctrlC   bool          // SIGINT to this process has ended the command, too
	signals *proc.Signals // received from the moment the run is stored until its result is recorded and its output written
	output  proc.Output
	late    *bytes.Buffer // messages after the command's end, see [execution.printf]; nil before

	leave    func() // what a signal to end does after the command's end: it leaves Gitea, or the daemon, and never the result
	unlisten func() // ends that
}

// printf writes a message of adfbot's own to stderr. After the command's end it buffers the message until the result is recorded:
// nobody may be reading stderr.
func (x *execution) printf(format string, args ...any) {
	var to io.Writer = x.q.Stderr
	if x.late != nil {
		to = x.late
	}
	fmt.Fprintf(to, "adfbot: "+format+"\n", args...)
}

// printLines is printf for several sentences, of which each is adfbot's.
func (x *execution) printLines(text string) {
	x.printf("%s", strings.ReplaceAll(text, "\n", "\nadfbot: "))
}

func (x *execution) notStarted(err error) int {
	x.printf("%v", err)
	return ExitNotStarted
}

func (x *execution) unknown(err error) int {
	return x.notStarted(fmt.Errorf("it is not known whether %s is paused, so nothing is run: %w", x.q.Project, err))
}

func (x *execution) check() error {
	if err := x.cfg.CheckProject(x.q.Project); err != nil {
		return err
	}
	if x.q.RunID == "" {
		x.q.RunID = pause.NewRandomID()
	}
	if err := CheckResult(store.Result{Agent: x.q.Agent, RunID: x.q.RunID}, x.env.Now()); err != nil {
		return err
	}
	x.q.RunID = MaskRunID(RedactorFor(x.cfg, x.env.Getenv), x.q.RunID)
	return nil
}

// withState asks the gate, stores the run, runs the command and records its result.
func (x *execution) withState(ctx context.Context) int {
	b := x.bot
	x.asked = x.env.Now().Round(0)
	if code, done := x.settleFlag(ctx); done {
		return code
	}
	fault.Point(ctx, "gated")
	x.signals.Listen() // a signal between here and the command's start must not leave a run that looks killed
	run, release, err := b.beginRun(ctx, store.Run{Project: x.q.Project, Agent: x.q.Agent, RunID: x.q.RunID, Host: b.host, Started: b.now()})
	defer release()
	if err != nil {
		x.signals.Stop()
		x.unsure = run.ID
		return x.runNotStored(ctx, err)
	}
	fault.Point(ctx, "noted")
	if s := x.signals.Pending(); s != 0 {
		x.ctrlC = s == syscall.SIGINT
		x.endRun(ctx, run)
		x.printf("got %s before the command was started", unix.SignalName(s))
		return 128 + int(s)
	}
	res, code, err := x.run(b.redact, func(pid int) {
		if err := b.setChild(ctx, run, pid); err != nil {
			b.log.Warn("cannot store the command's process", "err", err)
		}
	})
	if err != nil {
		x.endRun(ctx, run)
		return x.notStarted(err)
	}
	res.Generation, res.Run = &run.Generation, run.ID
	fault.Point(ctx, "ran")
	x.record(ctx, run, res)
	return code
}

// settleFlag takes the local steps that are due for the project. It returns the exit code if the command must not run, or
// has been run without the state.
func (x *execution) settleFlag(ctx context.Context) (code int, done bool) {
	_, err := x.bot.rec.KeepStopped(ctx, x.q.Project)
	var flag incident.FlagView
	if err == nil {
		flag, _, err = x.bot.rec.Local(ctx, x.q.Project)
	}
	var notWritten *escalate.FlagWriteError
	switch {
	case errors.As(err, &notWritten):
		return x.refuse(ctx, x.whyHeld(ctx)+err.Error()), true
	case errors.Is(err, store.ErrUnusable):
		return x.withoutState(ctx, err), true
	case errors.Is(flag.Err, store.ErrUnusable): // the state knows which directory is the right one
		return x.withoutState(ctx, flag.Err), true
	case flag.State == incident.FlagThere:
		state, _ := x.bot.store.ProjectState(ctx, x.q.Project) // if it cannot be read, the flag pauses all the same
		flag.Note = status.NoteOf(flag, state.Open(), x.bot.rec.HowToResume(x.q.Project))
		return x.refuse(ctx, x.bot.pausedBy(x.q.Project, flag).Reason), true
	case flag.State == incident.FlagUnknown:
		return x.unknown(x.bot.AdviseRestore(ctx, errors.Join(flag.Err, err))), true
	case err != nil:
		return x.notStarted(err), true
	}
	return 0, false
}

// whyHeld returns who holds the project and why, as a line before what is wrong with its flag, which would say so.
func (x *execution) whyHeld(ctx context.Context) string {
	state, err := x.bot.store.ProjectState(ctx, x.q.Project)
	if err != nil || state.Open() != nil || state.Hold == nil {
		return ""
	}
	why, _, _ := strings.Cut(status.HoldReason(*state.Hold), "\n\n")
	if why != "" {
		why += "\n"
	}
	return why
}

// runNotStored returns the exit code if the run could not be stored.
func (x *execution) runNotStored(ctx context.Context, err error) int {
	switch {
	case errors.Is(err, store.ErrPaused): // the breaker tripped after the gate
		v, _ := x.bot.verdict(ctx, x.q.Project)
		return x.refuse(ctx, cmp.Or(v.Reason, x.q.Project+" has an open incident"))
	case errors.Is(err, store.ErrDenied) && x.q.Reporter != nil: // its file system may be read-only for this process alone
		return x.report(ctx, x.bot.redact)
	case errors.Is(err, store.ErrUnusable): // the state can be read but not written: a full disk
		return x.spool(ctx, err, x.bot.redact)
	}
	return x.notStarted(err)
}

// record records the result of the command, even if a signal comes.
func (x *execution) record(ctx context.Context, run store.Run, res store.Result) {
	out, err := x.bot.Record(context.WithoutCancel(ctx), res)
	if err == nil {
		x.printResult(out.View())
		return
	}
	if errors.Is(err, store.ErrConflict) {
		x.printf("%v, so this one does not count: give each run an id of its own", err)
		x.endRun(ctx, run)
	} else {
		x.printf("%v", err)
		x.printLines(Spool(context.WithoutCancel(ctx), x.cfg, x.env.Own, res, x.env.Now))
	}
}

// endRun deletes a run that gets no result.
func (x *execution) endRun(ctx context.Context, run store.Run) {
	if err := x.bot.store.EndRun(context.WithoutCancel(ctx), run); err != nil {
		x.bot.log.Warn("cannot delete the run, it is still listed as running", "err", err)
	}
}

// refuse prints why nothing is run, and does what is due for the project: Gitea may be back.
func (x *execution) refuse(ctx context.Context, why string) int {
	x.printf("%s", status.PausedBecause(x.q.Project, why))
	if x.bot == nil && x.q.Reporter != nil { // a paused project may be the user's only one, and its failures may wait here
		for _, m := range x.q.Reporter.SendKept(ctx) {
			x.printf("%s", m)
		}
	}
	if b := x.bot; b != nil && b.rec.Tracks() {
		if err := b.escalate(ctx, x.q.Project); err != nil {
			b.log.Warn("left to the next sweep", "project", x.q.Project, "err", err)
		}
	}
	return ExitPaused
}

// printResult prints what a user should know about a recorded result.
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

// run runs the command, and returns its result and the exit code of exec. An error means that there is no result, because adfbot
// itself could not start anything.
func (x *execution) run(redactor *redact.Redactor, started func(pid int)) (store.Result, int, error) {
	project, _ := x.cfg.Project(x.q.Project)
	capture := redact.NewCapture(x.cfg.Escalation.OutputTail, redactor)
	c := proc.Command{
		Args: x.q.Command, Env: without(os.Environ(), x.cfg.TokenVars()), Timeout: x.q.Timeout, HungAfter: project.HungAfter,
		Stdin: x.q.Stdin, Stdout: x.q.Stdout, Stderr: x.q.Stderr, Started: started, Signals: x.signals, Waits: x.q.Waits,
	}
	if x.cfg.Escalation.OutputTail > 0 {
		c.Capture = capture
	}
	x.signals.Listen() // to the end of exec: a second Ctrl-C must not lose the result
	// Round drops the monotonic clock, so that the two times differ as they do once they are stored.
	begun := x.env.Now().Round(0)
	exit, output, err := c.Run()
	x.late = &bytes.Buffer{}
	x.unlisten = x.signals.AfterCommand(x.leave)
	x.output, x.ctrlC = output, exit.Interrupted && exit.Signal == "SIGINT"
	switch {
	case errors.Is(err, proc.ErrResources):
		return store.Result{}, 0, fmt.Errorf("%w: nothing was run, and nothing counts; raise the limits on open files and processes "+
			"(ulimit -n and -u, LimitNOFILE= and TasksMax= of systemd), or free memory", err)
	case err != nil:
		x.printf("%v", err)
	case exit.Unended != 0:
		x.printf("the command ran longer than --timeout %s and cannot be ended: process %d still runs. "+
			"It may belong to another user, e.g. behind sudo, or be waiting for a disk or network file system", x.q.Timeout, exit.Unended)
	case exit.TimedOut:
		x.printf("the command ran longer than --timeout %s and was ended", x.q.Timeout)
	case exit.Hung:
		x.printf("the command had run for so long that it counts as hung: set --timeout below the limit that ended it")
	}
	ended := x.env.Now().Round(0)
	res := store.Result{
		Project: x.q.Project, Agent: x.q.Agent, RunID: x.q.RunID, Outcome: outcome(project, exit), ExitCode: exit.Code, Signal: exit.Signal,
		Detail: exit.Detail, Started: begun, Finished: ended, Ended: exit.TimedOut || exit.Hung,
	}.Bounded(ended)
	res.Host = HostName(x.cfg)
	if res.Outcome == store.Failure {
		learnSecrets(redactor, x.cfg, x.env.Getenv) // they may have been replaced while the command ran
		res.Output = capture.Text()
		if res.Output == "" && err != nil {
			res.Output = redactor.Redact(redact.Clean(err.Error()))
		}
	}
	Classify(x.cfg, &res)
	if exit.TimedOut && exit.Code == 0 {
		return res, exitTimeout, nil
	}
	return res, exit.Code, nil
}

func outcome(p config.Project, exit proc.Exit) string {
	switch {
	case exit.Interrupted && !exit.Hung:
		return store.Ignored
	case exit.TimedOut || exit.Hung || exit.Signal != "":
		return store.Failure
	}
	return OutcomeOf(p, exit.Code)
}

// waitForOutput waits for a slow reader of the command's output. What processes in the background write later, another process
// passes on.
func (x *execution) waitForOutput() {
	if x.late == nil {
		return
	}
	x.unlisten()
	x.output.Append(x.q.Stderr, x.late.Bytes())
	x.late = nil
	errWritten, errLeft := x.output.Wait(x.signals), x.output.Leave(x.q.Drain)
	x.signals.Stop() // from here on a signal ends exec: nobody may read what follows
	if errWritten != nil {
		x.printf("could not pass on all of the command's output; the command itself was not disturbed: %v", errWritten)
	}
	if errLeft != nil {
		x.printf("the command has left a process in the background, which ends when it writes: %v", errLeft)
	}
}

// without returns an environment without some variables: the command must not see the bot's token.
func without(environ, names []string) []string {
	return slices.DeleteFunc(environ, func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(names, name)
	})
}
