package incident

import (
	"cmp"
	"time"
)

// Pause is one episode of a project, from paused to resumed. It is what the removal of a flag ends.
type Pause struct {
	ID         string // of its incident or, without one, of its hold; "": none
	Generation int64  // of the project: it grows by one with each resume, so it orders the project's pauses
}

// FlagInfo holds what the bot wrote into the note of a pause flag.
type FlagInfo struct {
	Project  string
	Pause    Pause
	Seq      int
	Incident string // 32 hexadecimal digits; "" if the flag is that of a hold
	Agent    string // "" if the note does not name it
	Host     string // where failures could not be stored; "" if the note does not say
	Failures int    // 0 if the note does not say
	Class    string // of the failure that tripped the breaker; "" if the note does not say
	Opened   time.Time
	Until    time.Time // when the hold ends; zero: the note does not say
	Stop     string    // id of the stop that the hold is a part of, or ""
	Written  time.Time // the modification time that the bot gave the flag, in whole seconds; zero if an earlier version wrote it
	Spooled  time.Time // the same of a flag for failures that could not be stored: whoever wrote it did not know the generation
}

// Modified returns the modification time that whoever wrote the flag gave it; zero if an earlier version wrote it.
func (i FlagInfo) Modified() time.Time { return cmp.Or(i.Written, i.Spooled) }

// Awaited reports whether the flag is one for failures that could not be stored. The state knows nothing of them before they are sent.
func (i FlagInfo) Awaited() bool { return i.Incident != "" && i.Seq == 0 }

// FlagState says whether a project's pause flag is present.
type FlagState int

const (
	FlagUnknown FlagState = iota // the directory cannot be read, or may not be this installation's
	FlagGone
	FlagThere
)

// FlagView is the observation of a project's pause flag.
type FlagView struct {
	State    FlagState
	Info     FlagInfo // zero if a person wrote the note
	Since    time.Time
	Changed  time.Time // when somebody made, moved or touched it last
	Identity FlagIdentity
	Note     string // the file's content: untrusted
	Err      error  // why the state is unknown
	Dangling bool   // the flag is a broken symbolic link: it pauses, although `test -e` does not see it
}

// FlagIdentity tells a flag from what it was before somebody changed it.
type FlagIdentity struct {
	Kind  FlagKind
	Mtime int64 // nanoseconds since 1970
	Size  int64
}

// FlagKind says whose a flag is. The values are stored.
type FlagKind string

const (
	BotFlag     FlagKind = "bot"     // the bot wrote it, and nobody has touched it since
	PersonFlag  FlagKind = "person"  // a person made, touched or edited it
	RemovedFlag FlagKind = "removed" // only in a [Confirmation]: it was confirmed, and somebody removed it, which ended the pause
	FailedFlag  FlagKind = "failed"  // only in a [Confirmation]: it could not be written, see [FleetStore].FlagFailed
	UnknownFlag FlagKind = ""        // only in a [Confirmation]: it was on disk, and nobody looked at it
)

// Confirmation says that the flag of a pause was on this host's disk. From then on a missing flag means that somebody removed it.
type Confirmation struct {
	Pause    string // id; "": there is no confirmation
	Identity FlagIdentity
}

// Stands reports whether the flag was on disk when it was last looked at.
func (c Confirmation) Stands() bool {
	return c.Pause != "" && c.Identity.Kind != RemovedFlag && c.Identity.Kind != FailedFlag
}

// Hold is a pause that a person made.
type Hold struct {
	ID      string // 32 hexadecimal digits, see [Pause]
	Project string
	Note    string
	Since   time.Time
	Until   time.Time // when it ends by itself; zero: it does not
	Stop    string    // id of the [Stop] that it is a part of, or ""
}

// Over reports whether the hold has to end by now.
func (h Hold) Over(now time.Time) bool { return isOver(h.Until, now) }

// Ends reports whether the hold may end without anybody resuming its project.
func (h Hold) Ends() bool { return h.Stop != "" || !h.Until.IsZero() }

// PausedAgain returns the hold of a project that has h and is paused by hand again. That is h, as late as the new one, unless h may end
// before the new one: then the new one takes its place. So it does during a stop, which goes on with the project after it. If lost is set,
// the state does not know the stop of h, and nothing would: h stays, as a pause by hand, unless the new one ends later.
func (h Hold) PausedAgain(again Hold, lost bool) Hold {
	keep := h
	longer := !h.Until.IsZero() && (again.Until.IsZero() || again.Until.After(h.Until))
	switch {
	case longer, h.Stop != "" && (!lost || again.Until.IsZero()):
		keep = again
	case h.Stop != "":
		keep.Stop = ""
	}
	if keep.Since = h.Since; again.Since.After(h.Since) {
		keep.Since = again.Since
	}
	return keep
}

// After reports whether the hold was made after something was written or done in the tracker.
func (h Hold) After(at time.Time) bool { return IsAfter(h.Since, at) }

// IsAfter reports whether something was done here after something else in the tracker, by the second.
func IsAfter(here, tracker time.Time) bool { return here.Truncate(time.Second).After(tracker) }
