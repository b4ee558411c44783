package bot

import (
	"sync"
	"time"

	"github.com/terraphim/adfbot/internal/status"
)

// Observer is told what the bot does, for metrics and the watchdog. Its methods are called from several goroutines and
// must not block.
type Observer interface {
	// Sweeping is called when a sweep begins; a dry run is none.
	Sweeping()
	// Swept is called when it has ended. The schedule wants the next one after the given time, 0 where that can't be told.
	Swept(rep status.SweepReport, err error, next time.Duration)
	// Requested is called after each request to Gitea; status is 0 where there was no answer.
	Requested(op string, status int, took time.Duration)
}

// Observers are told everything, one after the other.
type Observers []Observer

func (o Observers) sweeping() {
	for _, x := range o {
		x.Sweeping()
	}
}

func (o Observers) swept(rep status.SweepReport, err error, next time.Duration) {
	for _, x := range o {
		x.Swept(rep, err, next)
	}
}

func (o Observers) requested() func(string, int, time.Duration) {
	if len(o) == 0 {
		return nil
	}
	return func(op string, status int, took time.Duration) {
		for _, x := range o {
			x.Requested(op, status, took)
		}
	}
}

// How long a daemon's sweeps may hang or stay away before its watchdog lets it be restarted. Every request to Gitea has a
// timeout of its own, so a sweep that takes longer than this waits for something that will not come: a dead network mount
// under the pause directory, or a lock.
const (
	pulseStuck = 30 * time.Minute
	pulseGrace = 10 * time.Minute
)

// Pulse is an [Observer] that tells whether a daemon's sweeps go on. The zero value is not usable.
type Pulse struct {
	mu    sync.Mutex
	begun time.Time     // of the sweep that is going on; zero: none is
	ended time.Time     // of the last one; at first the pulse's own beginning
	next  time.Duration // from ended to the next sweep by the schedule
}

// NewPulse begins with a healthy pulse: the daemon sweeps at its start.
func NewPulse() *Pulse { return &Pulse{ended: time.Now()} }

// Sweeping is [Observer.Sweeping].
func (p *Pulse) Sweeping() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun = time.Now()
}

// Swept is [Observer.Swept]. That a sweep failed is for people to mend: restarting the daemon would not.
func (p *Pulse) Swept(_ status.SweepReport, _ error, next time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun, p.ended, p.next = time.Time{}, time.Now(), next
}

// Requested is [Observer.Requested].
func (p *Pulse) Requested(string, int, time.Duration) {}

// Alive tells whether the sweeps go on. It goes by the monotonic clock: a clock that was set is no reason for a restart.
func (p *Pulse) Alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.begun.IsZero() {
		return time.Since(p.begun) < pulseStuck
	}
	return time.Since(p.ended) < p.next+pulseGrace
}
