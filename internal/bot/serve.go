package bot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/store"
)

// Reopen opens a new bot for [Serve] and for all others who use the old one. It reads the configuration again if cfg is
// nil. On an error the old bot stays in use.
type Reopen func(ctx context.Context, cfg *config.Config) (*Bot, error)

// Serve sweeps at once and then by the configuration's schedule, until ctx ends; it finishes a sweep that is running. A
// value from reload makes it read the configuration again and go on with a new bot. It also opens a new bot, with the
// same configuration, if the state is no longer the file that was opened, if a token or certificate that it could not
// read can be read now, or if the certificate was replaced. If that fails it goes on with the old bot and logs the error.
// It returns [store.ErrLogGone] if the log of the state was removed: only closing the state saves what is in the log.
// In a fleet it opens a new bot if local_dir no longer has the id of this host, and returns an error if that fails.
// Serve closes every bot but the first.
func Serve(ctx context.Context, b *Bot, reload <-chan struct{}, reopen Reopen) error {
	for first := b; ; {
		next, err := b.serve(ctx, reload, reopen)
		if b != first {
			_ = b.Close()
		}
		if err != nil || next == nil {
			return err
		}
		b = next
	}
}

// checkInterval is how often serve checks the clock and whether its bot is outdated. Cron waits for a wall clock time,
// so after the clock was set back by a day it would not sweep for a day. A difference of clockJump to the monotonic
// clock starts the schedule again.
const (
	checkInterval = time.Minute
	clockJump     = 10 * time.Second
)

// serve returns the bot to go on with, or nil when ctx has ended.
func (b *Bot) serve(ctx context.Context, reload <-chan struct{}, reopen Reopen) (*Bot, error) {
	schedule, err := b.cfg.Sweep.Cron()
	if err != nil {
		return nil, err
	}
	patterns := len(b.cfg.Patterns())
	b.log.Info("serving", "instance", b.cfg.Instance, "installation", b.store.Installation(), "projects", len(b.cfg.Projects)-patterns,
		"patterns", patterns, "schedule", b.cfg.Sweep.Schedule, "pause_dir", b.cfg.PauseDir, "state", b.cfg.State)
	for _, w := range b.cfg.Warnings() {
		b.log.Warn("an entry of the configuration is most likely a mistake", "problem", w.String())
	}
	left, leave := b.inFleet(ctx)
	defer leave()
	stopWatch := b.watchSilence(ctx)
	defer stopWatch()
	c := b.startCron(ctx, schedule)
	defer func() { <-c.Stop().Done() }()
	check := time.NewTicker(checkInterval)
	defer check.Stop()
	clock := clockCheck{b.now().Round(0), time.Now()}
	wasRetired := false
	for {
		select {
		case <-ctx.Done():
			return nil, nil
		case <-reload:
			if err := b.store.Moved(); errors.Is(err, store.ErrLogGone) {
				return nil, err
			}
			next, err := reopen(ctx, nil)
			if err == nil {
				return next, nil
			}
			b.log.Error("cannot reload, the old configuration stays in force", "err", err)
		case why := <-left:
			next, err := reopen(ctx, b.cfg)
			switch lost := errors.Is(why, errHostLost); {
			case err == nil:
				if lost {
					b.log.Warn("this host goes on under the id in local_dir", "was", b.store.host, "is", next.store.host)
				}
				return next, nil
			case lost:
				return nil, fmt.Errorf("%w: %w", why, err)
			}
			wasRetired = true
			b.log.Error("cannot join the fleet again, from which this host was retired", "err", err)
		case <-check.C:
			b.endOverdue(ctx)
			if err := b.store.Moved(); errors.Is(err, store.ErrLogGone) {
				return nil, err
			}
			why := b.outdated(ctx)
			if wasRetired {
				why = "this host was retired from the fleet"
			}
			if why != "" {
				next, err := reopen(ctx, b.cfg)
				if err == nil {
					b.log.Warn("state and Gitea opened again", "why", why)
					return next, nil
				}
				b.log.Error("cannot open state and Gitea again", "why", why, "err", err)
			}
			if jump := clock.jump(b.now()); jump.Abs() >= clockJump || putOff(c, schedule, time.Now()) {
				b.log.Warn("the clock was set, starting the schedule again", "by", jump.Round(time.Second))
				<-c.Stop().Done()
				c = b.startCron(ctx, schedule)
			}
		}
	}
}

// clockCheck is one moment by the wall clock and by the monotonic clock.
type clockCheck struct{ wall, mono time.Time }

// jump returns by how much the wall clock was set since the last call.
func (c *clockCheck) jump(now time.Time) time.Duration {
	last := *c
	c.wall, c.mono = now.Round(0), time.Now()
	return c.wall.Sub(last.wall) - c.mono.Sub(last.mono)
}

// putOff reports whether the next sweep is later than the schedule says at now: the clock was set ahead and back between
// two checks, with a sweep in between.
func putOff(c *cron.Cron, schedule cron.Schedule, now time.Time) bool {
	return c.Entries()[0].Next.Sub(schedule.Next(now.Round(0))) >= clockJump
}

// outdated returns why a bot that is opened now would do better, or "". A state that was replaced would lose what this
// bot stores; a bot that could not read its token or certificate, or read another one, needs a new client and a new
// redactor. One that refuses a changed place may have been told otherwise.
func (b *Bot) outdated(ctx context.Context) string {
	if err := b.store.Moved(); err != nil {
		return err.Error()
	}
	if b.accessRestored() {
		return "the token or certificate for Gitea can be read now"
	}
	if b.rootsChanged() {
		return "gitea.ca_file was changed"
	}
	if key := b.accepted(ctx); key != "" {
		return key + " is accepted now"
	}
	return ""
}

// startCron sweeps now and starts the schedule. A panic in a sweep is logged and does not end the schedule.
func (b *Bot) startCron(ctx context.Context, schedule cron.Schedule) *cron.Cron {
	logger := cronLogger{b.log}
	c := cron.New(cron.WithLogger(logger), cron.WithChain(cron.Recover(logger)))
	var sweep, local sync.Mutex
	id := c.Schedule(schedule, cron.FuncJob(func() {
		switch {
		case sweep.TryLock():
			defer sweep.Unlock()
			_, _ = b.Sweep(ctx, escalate.SweepOptions{}) // logged; when ctx ends, it starts no further project
			// A sweep of many results or incidents leaves tens of megabytes, which Go alone would keep for long.
			debug.FreeOSMemory()
		case local.TryLock(): // the last sweep still waits for Gitea
			defer local.Unlock()
			b.sweepLocal(ctx)
		}
	}))
	c.Start()
	c.Entry(id).WrappedJob.Run()
	return c
}

// cronLogger passes cron's messages to slog, the routine ones at debug level.
type cronLogger struct{ log *slog.Logger }

func (l cronLogger) Info(msg string, kv ...any) { l.log.Debug("cron: "+msg, kv...) }
func (l cronLogger) Error(err error, msg string, kv ...any) {
	l.log.Error("cron: "+msg, append(kv, "err", err)...)
}
