package bot

import (
	"context"
	"errors"

	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// withoutState is exec with a state that cannot be opened, or that failed once it was open: it is damaged, or the disk
// is full. The gate needs only the pause directory; what can be read of an open state still counts. The result goes to
// the daemon if the state belongs to another user, else to the spool.
func (x *execution) withoutState(ctx context.Context, cause error) int {
	if !errors.Is(cause, store.ErrUnusable) {
		return x.notStarted(cause)
	}
	var v Verdict
	x.asked = x.env.Now().Round(0)
	if x.bot != nil {
		if v, _ = x.bot.verdict(ctx, x.q.Project); v == (Verdict{}) { // the disk may be full, so that no stop can hold it
			v, _ = x.bot.newUnderStop(ctx, x.q.Project)
		}
	}
	if x.bot == nil || errors.Is(v.Err, store.ErrUnusable) { // an open state may be gone by now
		v = gateOfRun(ctx, x.cfg, x.q.Project)
		v.Err = status.AdviseRestore(x.cfg, v.Err)
	}
	if v.Err != nil && !errors.Is(cause, store.ErrDenied) {
		v.Err = errors.Join(v.Err, cause) // a new installation has no sentinel before its state can be opened
	}
	redactor := RedactorFor(x.cfg, x.env.Getenv)
	switch {
	case v.Err != nil:
		return x.unknown(v.Err)
	case v.Paused:
		return x.refuse(ctx, v.Reason)
	case x.bot == nil && errors.Is(cause, store.ErrDenied) && x.q.Reporter != nil:
		return x.report(ctx, redactor)
	}
	return x.spool(ctx, cause, redactor)
}

// runWithoutState runs the command. Its result counts by the time at which the run began: that is when the gate was asked, since a
// pause may come between the answer and the start of the command.
func (x *execution) runWithoutState(redactor *redact.Redactor) (store.Result, int, error) {
	res, code, err := x.run(redactor, nil)
	res.Started, res.Run = x.asked, x.unsure
	return res.Bounded(res.Finished), code, err
}

// report asks the daemon, which knows of pauses whose flags could not be written, runs the command and reports its result to the daemon.
func (x *execution) report(ctx context.Context, redactor *redact.Redactor) int {
	why, err := x.q.Reporter.Paused(ctx, x.q.Project)
	if why != "" {
		return x.refuse(ctx, why)
	}
	// Known projects have the flags of their pauses. A stop may be about one that is not known here, without a flag: the daemon alone can tell.
	if err != nil && (errors.Is(err, status.ErrOtherPauseDir) || isKnown(x.cfg, pause.New(x.cfg.PauseDir), x.q.Project) != nil) {
		return x.unknown(err)
	}
	waiting, leave := context.WithCancel(context.WithoutCancel(ctx))
	defer leave()
	x.leave = leave
	res, code, err := x.runWithoutState(redactor)
	if err != nil {
		return x.notStarted(err)
	}
	reported := x.q.Reporter.Report(waiting, res)
	for _, m := range reported.Messages {
		x.printf("%s", m)
	}
	if reported.Result != nil {
		x.printResult(*reported.Result)
	} else {
		if text := PauseKept(context.WithoutCancel(ctx), x.cfg, x.env.Own, res, x.env.Now); text != "" {
			x.printf("%s", text)
		}
	}
	return code
}

// spool prints why the state cannot be used, runs the command and spools its result.
func (x *execution) spool(ctx context.Context, cause error, redactor *redact.Redactor) int {
	x.printf("%v", cause)
	res, code, err := x.runWithoutState(redactor)
	if err != nil {
		return x.notStarted(err)
	}
	x.keep(ctx, res)
	return code
}

// keep spools a result. If the spool cannot take it, the state may.
func (x *execution) keep(ctx context.Context, res store.Result) {
	ctx = context.WithoutCancel(ctx)
	kept, err := Keep(ctx, x.cfg, x.env.Own, res, x.env.Now)
	if err == nil {
		x.printLines(kept.Text())
		return
	}
	if x.bot != nil {
		if out, err := x.bot.Record(ctx, res); err == nil {
			x.printResult(out.View())
			return
		}
	}
	x.printLines(lostText(x.cfg, res, err))
}
