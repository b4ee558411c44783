package bot

import (
	"sync"
	"time"

	"github.com/terraphim/adfbot/internal/status"
)

// Observer is called for what the bot does, from several goroutines. Its methods must not block.
type Observer interface {
	// Sweeping is called when a sweep begins, but not for a dry run.
	Sweeping()
	// Swept is called when a sweep has ended. By the schedule the next one comes after next, 0 where that is not known.
	Swept(rep status.SweepReport, err error, next time.Duration)
	// Requested is called after each request to Gitea. The status is 0 where there was no answer.
	Requested(op string, status int, took time.Duration)
}

// Observers are an [Observer] that calls them one after the other.
type Observers []Observer

// Sweeping is [Observer.Sweeping].
func (o Observers) Sweeping() {
	for _, x := range o {
		x.Sweeping()
	}
}

// Swept is [Observer.Swept].
func (o Observers) Swept(rep status.SweepReport, err error, next time.Duration) {
	for _, x := range o {
		x.Swept(rep, err, next)
	}
}

// Requested is [Observer.Requested].
func (o Observers) Requested(op string, status int, took time.Duration) {
	for _, x := range o {
		x.Requested(op, status, took)
	}
}

// How long a sweep may take, and how late it may be, before the watchdog lets systemd restart the daemon. Every request to
// Gitea has a timeout, so a longer sweep hangs: on a dead network mount under the pause directory, or on a lock.
const (
	pulseStuck = 30 * time.Minute
	pulseGrace = 10 * time.Minute
)

// Pulse is an [Observer] that knows whether a daemon's sweeps go on. Make one with [NewPulse].
type Pulse struct {
	mu    sync.Mutex
	begun time.Time     // when the sweep under way began; zero: there is none
	ended time.Time     // when the last one ended, at first when the pulse was made
	next  time.Duration // from ended to the next one by the schedule
}

// NewPulse returns a pulse that expects the first sweep soon.
func NewPulse() *Pulse { return &Pulse{ended: time.Now()} }

// Sweeping is [Observer.Sweeping].
func (p *Pulse) Sweeping() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun = time.Now()
}

// Swept is [Observer.Swept]. A restart would not repair a sweep that failed.
func (p *Pulse) Swept(_ status.SweepReport, _ error, next time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun, p.ended, p.next = time.Time{}, time.Now(), next
}

// Requested is [Observer.Requested].
func (p *Pulse) Requested(string, int, time.Duration) {}

// Alive reports whether the sweeps go on, by the monotonic clock: a clock that was set is no reason for a restart.
func (p *Pulse) Alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.begun.IsZero() {
		return time.Since(p.begun) < pulseStuck
	}
	return time.Since(p.ended) < p.next+pulseGrace
}
