package bot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
)

// The lock of the spool makes one process at a time record spooled results, in their order, or pause a project because of them. It
// is held for no request.
const (
	spoolLock = "spool"
	spoolWait = 5 * time.Second
)

// RecordSpooled records the spooled results, and returns how many.
func (b *Bot) RecordSpooled(ctx context.Context) (int, error) {
	n, tripped, err := b.countSpooled(ctx)
	for _, out := range tripped {
		b.follow(ctx, &out)
	}
	return n, err
}

// intakeWait is how long the spool may keep a command from its own work. It is a little longer than the wait for a locked state.
const intakeWait = 11 * time.Second

// RecordSpooledBriefly is [Bot.RecordSpooled] for a command that has something else to do. What it does not come to is left to the
// next sweep.
func (b *Bot) RecordSpooledBriefly(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, intakeWait)
	defer cancel()
	_, err := b.RecordSpooled(ctx)
	return err
}

// countSpooled stores the spooled results, and returns how many and those that opened an incident.
func (b *Bot) countSpooled(ctx context.Context) (n int, tripped []Recorded, err error) {
	if spooled, err := b.local.Spool().List(); err != nil || len(spooled) == 0 {
		return 0, nil, err
	}
	unlock, err := b.local.LockHere(ctx, spoolLock, spoolWait)
	if late, ok := errors.AsType[*hostlocal.LockTimeoutError](err); ok {
		return 0, nil, fmt.Errorf("cannot record the spooled results: %w", late)
	}
	if err == nil { // else results count without locks
		defer unlock()
	}
	spooled, err := b.local.Spool().List()
	errs := []error{err}
	for place, e := range spooled {
		if e.Err != nil {
			errs = append(errs, fmt.Errorf("cannot read the spooled result %s, it stays there: %w", e.File, e.Err))
			continue
		}
		out, err := b.countOneSpooled(ctx, e.Result, pausesOf(e.Result.Project, spooled[place:]))
		switch {
		case errors.Is(err, store.ErrConflict):
			b.log.Warn("dropping a spooled result that contradicts the recorded one", "file", e.File, "err", err)
		case err != nil:
			errs = append(errs, fmt.Errorf("cannot record the spooled result %s: %w", e.File, err))
			continue
		default:
			b.log.Info("spooled result recorded", "project", e.Result.Project, "run_id", e.Result.RunID)
		}
		if out.Opened != nil {
			tripped = append(tripped, out)
		}
		n++
		errs = append(errs, e.Remove())
	}
	return n, tripped, errors.Join(errs...)
}

// pausesOf returns when spooled results have paused a project.
func pausesOf(project string, spooled []hostlocal.Spooled) (at []time.Time) {
	for _, e := range spooled {
		if e.Result.Project == project && !e.PausedAt.IsZero() {
			at = append(at, e.PausedAt)
		}
	}
	return at
}

// countOneSpooled stores a result from the spool. pauses are those that came with it or after it: the state, which also has earlier
// failures, may trip at an earlier result than the spool did. The incident then has its flag already. If that is gone, or the
// project was paused again, somebody resumed the project in between, and the incident has ended.
func (b *Bot) countOneSpooled(ctx context.Context, r store.Result, pauses []time.Time) (Recorded, error) {
	now := b.now()
	r = r.Bounded(now) // checked before it was spooled; the clock may have been set since
	out, err := b.countResult(ctx, r)
	if err != nil || !out.Tripped {
		return out, err
	}
	if len(pauses) == 0 {
		_, _, err := b.rec.Local(context.WithoutCancel(ctx), r.Project) // the flag waits neither for the other results nor for Gitea
		out.addProblem(err)
		return out, nil
	}
	written := tracker.PossibleTime(pauses[0]).Add(time.Millisecond) // the state keeps no smaller part of a second
	if written.After(now) {
		written = now
	}
	_, err = b.store.Change(ctx, out.Answer.Incident, func(i *incident.Incident) {
		i.FlagWritten = cmp.Or(i.FlagWritten, written)
	})
	if err == nil && (len(pauses) > 1 || b.rec.Look(ctx, r.Project).State == incident.FlagGone) {
		out.Opened = nil
		_, err = b.store.Resume(ctx, r.Project, out.Answer.Incident, "the pause flag was removed while nothing could be stored", written)
	}
	return out, err
}
