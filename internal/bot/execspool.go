package bot

import (
	"context"
	"errors"

	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
)

// withBrokenState is exec with a state that could be opened and then failed: it is damaged, or the disk is full. What can be
// read of it still counts, and the flag is read again because it may just have been written.
func (x *execution) withBrokenState(ctx context.Context, cause error) int {
	v, _ := x.bot.verdict(ctx, x.q.Project)
	switch {
	case v.Err != nil:
		return x.unknown(errors.Join(v.Err, cause))
	case v.Paused:
		return x.refuse(ctx, v.Reason)
	}
	return x.spool(cause, x.bot.redact)
}

// withoutState is exec with a state that cannot be opened. The gate needs only the pause directory. The result goes to the
// daemon if the state belongs to another user, else to the spool.
func (x *execution) withoutState(ctx context.Context, cause error) int {
	if !errors.Is(cause, store.ErrUnusable) {
		return x.notStarted(cause)
	}
	v := Gate(ctx, x.cfg, x.q.Project)
	switch {
	case v.Err != nil:
		return x.unknown(status.AdviseRestore(v.Err))
	case v.Paused:
		x.printf("%s", status.PausedBecause(x.q.Project, v.Reason))
		return ExitPaused
	}
	redactor := RedactorFor(x.cfg, x.env.Getenv)
	if errors.Is(cause, store.ErrDenied) && x.q.Reporter != nil {
		return x.report(ctx, redactor)
	}
	return x.spool(cause, redactor)
}

// report runs the command and reports its result to the daemon. The result counts by the time at which the run began.
func (x *execution) report(ctx context.Context, redactor *redact.Redactor) int {
	res, code := x.run(redactor, nil)
	reported := x.q.Reporter.Report(context.WithoutCancel(ctx), res)
	for _, m := range reported.Messages {
		x.printf("%s", m)
	}
	if reported.Result != nil {
		x.printResult(*reported.Result)
	}
	return code
}

// spool prints why the state cannot be used, runs the command and spools its result.
func (x *execution) spool(cause error, redactor *redact.Redactor) int {
	x.printf("%v", cause)
	res, code := x.run(redactor, nil)
	x.printf("%s", Spool(x.cfg, res))
	return code
}
