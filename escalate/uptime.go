package escalate

import "time"

// Uptime is a moment by the machine's own clock, which nobody can set and which goes on while the machine sleeps:
// CLOCK_BOOTTIME in clock_gettime(2).
type Uptime struct {
	Boot string        `json:"Boot"` // which start of the machine it counts from; "": not known
	For  time.Duration `json:"For"`  // since then
}

func (r *Reconciler) uptime() Uptime {
	if r.Uptime == nil {
		return Uptime{}
	}
	return r.Uptime()
}

// begun is an attempt that begins now.
func (r *Reconciler) begun() Attempt { return Attempt{r.Now(), r.uptime()} }

// since is how long ago an attempt was begun: by the machine's own clock, unless the machine was restarted since. Then the
// other one has to do, and what it says is negative where the attempt was noted while it was wrong.
func (r *Reconciler) since(a Attempt) time.Duration {
	if now := r.uptime(); now.Boot != "" && now.Boot == a.Up.Boot {
		return now.For - a.Up.For
	}
	return r.Now().Sub(a.At)
}

// over tells whether an attempt can no longer change anything on the server: twice the timeout has passed.
func (r *Reconciler) over(a Attempt) bool { return r.since(a) >= 2*r.Settings.Timeout }
