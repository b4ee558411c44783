package bot

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/internal/config"
)

// Reopen gives [Serve] a new bot, and everybody else who works with the old one too. It reads the configuration again, or
// takes the given one where that is not nil. On an error the old bot stays in use.
type Reopen func(ctx context.Context, cfg *config.Config) (*Bot, error)

// Serve sweeps at once and then by the configuration's schedule, until ctx ends; it finishes the sweep that it is at. When
// reload gives something, reopen is asked for a new bot: on an error the old one goes on, and the error is logged. So it
// is, with the configuration in force, when the state is no longer the file that was opened, or a token can be read at
// last. Serve closes every bot but the first.
func Serve(ctx context.Context, b *Bot, reload <-chan struct{}, reopen Reopen) error {
	first := b
	defer func() {
		if b != first {
			_ = b.Close()
		}
	}()
	for {
		next, err := b.serve(ctx, reload, reopen)
		if err != nil || next == nil {
			return err
		}
		if b != first {
			_ = b.Close()
		}
		b = next
	}
}

// clockCheck is how often wall clock and monotonic clock are compared, and clockJump how far they may part. The cron
// library waits for a wall clock time: after a clock that was set back by a day it would not sweep for a day.
const (
	clockCheck = time.Minute
	clockJump  = 10 * time.Second
)

// serve runs until ctx ends (nil, nil) or there is another bot to go on with.
func (b *Bot) serve(ctx context.Context, reload <-chan struct{}, reopen Reopen) (*Bot, error) {
	schedule, err := b.cfg.Sweep.Cron()
	if err != nil {
		return nil, err
	}
	b.log.Info("serving", "instance", b.cfg.Instance, "installation", b.store.Installation(), "projects", len(b.cfg.Projects),
		"schedule", b.cfg.Sweep.Schedule, "pause_dir", b.cfg.PauseDir, "state", b.cfg.State)
	// A sweep that is told to end finishes the projects that it is at, and begins no other.
	c := b.newCron(ctx, schedule)
	c.Start()
	runNow(c)
	check := time.NewTicker(clockCheck)
	defer check.Stop()
	wall, mono := b.now().Round(0), time.Now()
	for {
		select {
		case <-ctx.Done():
			<-c.Stop().Done()
			return nil, nil
		case <-reload:
			next, err := reopen(ctx, nil)
			if err != nil {
				b.log.Error("reload failed, the old configuration stays in force", "err", err)
				continue
			}
			<-c.Stop().Done()
			return next, nil
		case <-check.C:
			if why := b.outdated(); why != "" {
				next, err := reopen(ctx, b.cfg)
				if err == nil {
					b.log.Warn("everything was opened anew", "why", why)
					<-c.Stop().Done()
					return next, nil
				}
				b.log.Error("nothing can be opened anew", "why", why, "err", err)
			}
			nextWall, nextMono := b.now().Round(0), time.Now()
			jump := nextWall.Sub(wall) - nextMono.Sub(mono)
			wall, mono = nextWall, nextMono
			if jump.Abs() < clockJump {
				continue
			}
			b.log.Warn("the clock was set, the schedule begins anew", "by", jump)
			<-c.Stop().Done()
			c = b.newCron(ctx, schedule)
			c.Start()
			runNow(c)
		}
	}
}

// outdated says why a bot that was opened now would be a better one; "" where it would not. Its token or certificate could
// not be read at the start, and now can be: everything that was made without them is made anew, what masks the token too.
// Or its state was replaced, and what it stores would be lost.
func (b *Bot) outdated() string {
	if err := b.store.Moved(); err != nil {
		return err.Error()
	}
	if b.fitAgain() {
		return "what Gitea needs can be read now"
	}
	return ""
}

// newCron makes the schedule with its one job. Of two sweeps at once the later is left out; a panic in one is logged and
// does not end the schedule (the order of the two wrappers matters: the other way round a panic would stop all later runs).
func (b *Bot) newCron(ctx context.Context, schedule cron.Schedule) *cron.Cron {
	logger := cronLogger{b.log}
	c := cron.New(cron.WithLogger(logger), cron.WithChain(cron.SkipIfStillRunning(logger), cron.Recover(logger)))
	c.Schedule(schedule, cron.FuncJob(func() {
		_, _ = b.Sweep(ctx, escalate.SweepOptions{})
		// A minute of many results or incidents leaves tens of megabytes behind, which Go alone would keep for long.
		debug.FreeOSMemory()
	}))
	return c
}

// runNow runs the schedule's job now, inside its wrappers, so that it never runs beside itself.
func runNow(c *cron.Cron) {
	for _, e := range c.Entries() {
		e.WrappedJob.Run()
	}
}

// cronLogger hands what cron has to say to slog: what it does all the time only for debugging.
type cronLogger struct{ log *slog.Logger }

func (l cronLogger) Info(msg string, kv ...any) { l.log.Debug("cron: "+msg, kv...) }
func (l cronLogger) Error(err error, msg string, kv ...any) {
	l.log.Error("cron: "+msg, append(kv, "err", err)...)
}
