package escalate

import (
	"context"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
)

// newAttempt is an attempt that begins now.
func (r *Reconciler) newAttempt() incident.Attempt {
	return incident.Attempt{At: r.opt.Now(), Up: r.uptime()}
}

// renewed is an attempt that may have been made as late as now.
func (r *Reconciler) renewed(a incident.Attempt) incident.Attempt {
	now := r.newAttempt()
	now.Lost = a.Lost
	return now
}

// refusedAttempt is one that something in front of the server has refused just now, which may have been the answer. It is dated back, so
// that it is over: the server is not at it any more.
func (r *Reconciler) refusedAttempt() incident.Attempt {
	return incident.Attempt{At: r.opt.Now().Add(-2 * r.opt.Timeout)}
}

func (r *Reconciler) uptime() incident.Uptime {
	if r.opt.Uptime == nil {
		return incident.Uptime{}
	}
	return r.opt.Uptime()
}

// age is how long ago an attempt was begun: by the machine's monotonic clock, unless the machine was restarted since.
// Otherwise it uses the wall clock; the age is negative if that clock was ahead when the attempt was saved.
func (r *Reconciler) age(a incident.Attempt) time.Duration {
	if now := r.uptime(); now.Boot != "" && now.Boot == a.Up.Boot {
		return now.For - a.Up.For
	}
	return r.opt.Now().Sub(a.At)
}

// expired reports whether an attempt can no longer change anything on the server: twice the timeout has passed.
func (r *Reconciler) expired(a incident.Attempt) bool { return r.age(a) >= 2*r.opt.Timeout }

// expiry is when an attempt expires, by the wall clock.
func (r *Reconciler) expiry(a incident.Attempt) time.Time {
	return r.opt.Now().Add(2*r.opt.Timeout - max(r.age(a), 0))
}

// announce saves the attempt at a request, then waits until the request may be made. If the wait was long it saves the
// attempt again, because the saved time decides when the server must have finished.
func (r *Reconciler) announce(ctx context.Context, save func() error) (held context.Context, release func(), err error) {
	saved := r.opt.Now()
	if err := save(); err != nil {
		return nil, nil, err
	}
	held, release = r.opt.Tracker.Reserve(ctx)
	if r.opt.Now().Sub(saved) > r.opt.Timeout/10 {
		if err := save(); err != nil {
			release()
			return nil, nil, err
		}
	}
	return held, release, nil
}
