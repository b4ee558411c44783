package escalate

import (
	"time"

	"github.com/terraphim/adfbot/pause"
)

// folder is the pause directory, opened once for a visit: what is read and written is in one directory, even if another is mounted at
// its path meanwhile. It is a [pause.Folder].
type folder interface {
	Check(id string) (pause.Flag, pause.Sentinel, error)
	Look(id string) (pause.Flag, error)
	Write(id, note string, at time.Time) (created bool, err error)
	Replace(id, note string, at time.Time) error
	Remove(id string) (removed bool, err error)
	Sync(id string) error
	Close() error
}

// openFolder opens the pause directory. If that fails, each method of the folder returns the error, so that the flag is unknown.
func (r *Reconciler) openFolder() folder {
	f, err := readDir(r, 0, r.open)
	if err != nil {
		return closedFolder{err}
	}
	return f
}

// closedFolder is a directory that could not be opened.
type closedFolder struct{ err error }

func (f closedFolder) Check(string) (flag pause.Flag, s pause.Sentinel, err error) {
	return flag, s, f.err
}
func (f closedFolder) Look(string) (pause.Flag, error)               { return pause.Flag{}, f.err }
func (f closedFolder) Write(string, string, time.Time) (bool, error) { return false, f.err }
func (f closedFolder) Replace(string, string, time.Time) error       { return f.err }
func (f closedFolder) Remove(string) (bool, error)                   { return false, f.err }
func (f closedFolder) Sync(string) error                             { return f.err }
func (f closedFolder) Close() error                                  { return nil }
