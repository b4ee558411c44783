package bot

import (
	"context"
	"sync"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/status"
)

// Observer follows what a bot does. Its methods are called from several goroutines and must not block.
type Observer interface {
	// Sweeping is called at the start of a sweep that is not a dry run.
	Sweeping()
	// Swept is called at the end of a sweep. The schedule starts the next one after next, 0 if that is unknown.
	Swept(rep status.SweepReport, err error, next time.Duration)
	// Requested is called after each request to Gitea. The status is 0 if there was no answer.
	Requested(op string, status int, took time.Duration)
	// Listening is called when this host hears of pauses and resumes at once, or not any more.
	Listening(up bool)
	// FlagConfirmed is called when this host has written a flag, with how long ago the pause began by the state's clock.
	FlagConfirmed(after time.Duration)
	// ClaimLost is called when a claim has ended before its holder released it.
	ClaimLost(name string)
	// WebhookCalled is called after each request to the webhook of a step.
	WebhookCalled(ok bool)
}

// observedClaims reports the claims that are lost.
type observedClaims struct {
	incident.Claimer
	env Env
}

// Claim is [incident.Claimer.Claim].
func (c observedClaims) Claim(ctx context.Context, name string, wait time.Duration) (held context.Context, release func(), err error) {
	held, free, err := c.Claimer.Claim(ctx, name, wait)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(held, func() {
		if ctx.Err() == nil { // else the holder has given up
			c.env.observe(func(o Observer) { o.ClaimLost(name) })
		}
	})
	return held, func() { stop(); free() }, nil
}

func (e Env) observe(call func(Observer)) {
	for _, o := range e.Observe {
		call(o)
	}
}

// How long a sweep may take, and how late it may start, before systemd's watchdog restarts the daemon. Every request to
// Gitea has a timeout, so a sweep that takes longer hangs: on a dead network mount under the pause directory, or on a
// lock.
const (
	pulseStuck = 30 * time.Minute
	pulseGrace = 10 * time.Minute
)

// Pulse is an [Observer] that reports whether a daemon still sweeps.
type Pulse struct {
	mu    sync.Mutex
	begun time.Time     // start of the running sweep; zero if none runs
	ended time.Time     // end of the last sweep, or the start of the pulse
	next  time.Duration // from ended to the next scheduled sweep
}

// NewPulse returns a pulse that expects the first sweep at once.
func NewPulse() *Pulse { return &Pulse{ended: time.Now()} }

// Sweeping is [Observer.Sweeping].
func (p *Pulse) Sweeping() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun = time.Now()
}

// Swept is [Observer.Swept]. A sweep that failed counts too: a restart would not repair it.
func (p *Pulse) Swept(_ status.SweepReport, _ error, next time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun, p.ended, p.next = time.Time{}, time.Now(), next
}

// Requested is [Observer.Requested].
func (p *Pulse) Requested(string, int, time.Duration) {}

// Listening is [Observer.Listening].
func (p *Pulse) Listening(bool) {}

// FlagConfirmed is [Observer.FlagConfirmed].
func (p *Pulse) FlagConfirmed(time.Duration) {}

// ClaimLost is [Observer.ClaimLost].
func (p *Pulse) ClaimLost(string) {}

// WebhookCalled is [Observer.WebhookCalled].
func (p *Pulse) WebhookCalled(bool) {}

// Alive reports whether sweeps start and end in time. It uses the monotonic clock: setting the clock causes no restart.
func (p *Pulse) Alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.begun.IsZero() {
		return time.Since(p.begun) < pulseStuck
	}
	return time.Since(p.ended) < p.next+pulseGrace
}
