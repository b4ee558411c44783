package plan

import (
	"time"

	"github.com/terraphim/adfbot/escalate/tracker"
)

// Waits between tries (design 5).
const (
	firstWait   = 30 * time.Second
	mostWait    = 15 * time.Minute
	longestWait = tracker.MaxRetryAfter + mostWait
)

// RetryWait is how long to wait after the given number of failed tries in a row: 30 s, doubled each time up to 15 min,
// with a jitter of up to a fifth downward so that many incidents don't come back in step.
func RetryWait(tries int, jitter float64) time.Duration {
	d := mostWait
	if tries < 6 {
		d = min(firstWait<<max(tries-1, 0), mostWait)
	}
	return d - time.Duration(jitter*float64(d)/5)
}
