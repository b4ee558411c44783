package incident

import "time"

// FlagInfo is what a pause flag's note tells of its incident.
type FlagInfo struct {
	Project  string
	Seq      int
	Incident string // 32 hexadecimal digits
	Agent    string // empty where the note does not say
	Failures int
	Opened   time.Time
}

// FlagState is what a look at a project's pause flag showed.
type FlagState int

const (
	FlagUnknown FlagState = iota // the directory can't be read, or is not (known to be) ours
	FlagGone
	FlagThere
)

// FlagView is one look at a project's pause flag.
type FlagView struct {
	State FlagState
	Info  FlagInfo // from the bot's own note; zero where the note is a person's
	Since time.Time
	Note  string // as it stands in the file: untrusted
	Err   error  // why the state is unknown
	// Dangling: the flag is a link that leads nowhere. It pauses, though `test -e` does not see it.
	Dangling bool
}

// Hold is a pause that a person made, as far as the state knows of it.
type Hold struct {
	Project     string
	Note        string
	Since       time.Time
	FlagWritten time.Time // zero: `adfbot pause` has not seen its flag on disk yet
}
