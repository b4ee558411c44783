package proc

import (
	"os"
	"time"
)

// Send lets a signal come in.
func (s *Signals) Send(sig os.Signal) { s.c <- sig }

// RanAsLongAs reports whether a command that had run for the time ran when the signal came had run as long as one of the limits.
func RanAsLongAs(ran time.Duration, limits ...time.Duration) bool {
	i := interruption{at: time.Unix(0, 0).Add(ran), begun: time.Unix(0, 0)}
	return i.after(limits...)
}

var WatchSIGCONT = watchSIGCONT
