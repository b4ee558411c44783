package escalate

import (
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
)

func (r *Reconciler) uptime() incident.Uptime {
	if r.Uptime == nil {
		return incident.Uptime{}
	}
	return r.Uptime()
}

// begun is an attempt that begins now.
func (r *Reconciler) begun() incident.Attempt { return incident.Attempt{At: r.Now(), Up: r.uptime()} }

// since is how long ago an attempt was begun: by the machine's own clock, unless the machine was restarted since. Then the
// other one has to do, and what it says is negative where the attempt was noted while it was wrong.
func (r *Reconciler) since(a incident.Attempt) time.Duration {
	if now := r.uptime(); now.Boot != "" && now.Boot == a.Up.Boot {
		return now.For - a.Up.For
	}
	return r.Now().Sub(a.At)
}

// over tells whether an attempt can no longer change anything on the server: twice the timeout has passed.
func (r *Reconciler) over(a incident.Attempt) bool { return r.since(a) >= 2*r.Settings.Timeout }
