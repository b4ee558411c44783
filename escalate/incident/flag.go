package incident

import "time"

// FlagInfo holds what the bot wrote into the note of a pause flag.
type FlagInfo struct {
	Project  string
	Seq      int
	Incident string // 32 hexadecimal digits
	Agent    string // "" if the note does not name it
	Failures int    // 0 if the note does not say
	Opened   time.Time
}

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
	Note     string // the file's content: untrusted
	Err      error  // why the state is unknown
	Dangling bool   // the flag is a broken symbolic link: it pauses, although `test -e` does not see it
}

// Hold is a pause that a person made.
type Hold struct {
	Project     string
	Note        string
	Since       time.Time
	FlagWritten time.Time // zero: the flag has not been seen on disk yet
}
