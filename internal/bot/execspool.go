package bot

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// halfState is exec while the state could be opened and then failed: it is damaged further in, or the disk is full. What
// can be read of it still counts, and the flag is looked at again: it may just have been written.
func (x *execution) halfState(ctx context.Context, b *Bot, cause error) int {
	flag := b.rec.Look(ctx, x.q.Project)
	switch flag.State {
	case incident.FlagThere:
		return x.refuse(ctx, b, b.flagReason(x.q.Project, flag))
	case incident.FlagUnknown:
		return x.unknown(errors.Join(status.AdviseRestore(flag.Err), cause))
	}
	incidents, _ := b.store.Unsettled(ctx, x.q.Project)
	for _, i := range incidents {
		if i.IsOpen() && i.FlagWritten.IsZero() {
			return x.refuse(ctx, b, i.Name()+" is open, and its pause flag could not be written")
		}
	}
	x.printf("%v", cause)
	return x.spool(cause, b.redact)
}

// withoutState is exec while the state can't be used. The gate needs only the pause directory. The result goes to the daemon
// where the state is another user's, else to the spool.
func (x *execution) withoutState(ctx context.Context, cause error) int {
	if !errors.Is(cause, store.ErrUnusable) {
		x.printf("%v", cause)
		return ExitNotStarted
	}
	verdict := Gate(ctx, pause.New(x.cfg.PauseDir), x.q.Project)
	switch {
	case verdict.Err != nil:
		return x.unknown(status.AdviseRestore(verdict.Err))
	case verdict.Paused:
		x.printf("%s", status.PausedBecause(x.q.Project, verdict.Reason))
		return ExitPaused
	}
	redactor := RedactorFor(x.cfg, x.env.Getenv)
	if errors.Is(cause, store.ErrDenied) && x.q.Reporter != nil {
		return x.report(ctx, redactor)
	}
	x.printf("%v", cause)
	return x.spool(cause, redactor)
}

// report runs the command and reports its result to the daemon. Whether it counts is decided by the time at which the run began.
func (x *execution) report(ctx context.Context, redactor *redact.Redactor) int {
	res, code := x.run(redactor, nil)
	res.Host, _ = os.Hostname()
	reported := x.q.Reporter.Report(context.WithoutCancel(ctx), res)
	for _, m := range reported.Messages {
		x.printf("%s", m)
	}
	if reported.Result != nil {
		x.printResult(*reported.Result)
	}
	return code
}

// spool runs the command and spools its result.
func (x *execution) spool(cause error, redactor *redact.Redactor) int {
	res, code := x.run(redactor, nil)
	res.Host, _ = os.Hostname()
	said, err := Spool(x.cfg, res, cause)
	if !errors.Is(err, cause) || strings.Contains(said, "LOST") {
		x.printf("%v", err)
	}
	x.printf("%s", said)
	return code
}
