package escalate

import (
	"sync"
	"time"

	"github.com/terraphim/adfbot/pause"
)

// folder is the pause directory, opened once for a visit: what is read and written is in one directory, even if another is mounted at
// its path meanwhile. It is a [pause.Folder].
type folder interface {
	List() ([]string, error)
	Sentinel() (pause.Sentinel, error)
	Mark() (pause.Mark, error)
	SetMark(m pause.Mark) error
	RaiseMark(was, next pause.Mark) error
	Check(id string) (pause.Flag, pause.Sentinel, error)
	Look(id string) (pause.Flag, error)
	Write(id, note string, at time.Time) (created bool, err error)
	Replace(id, note string, at time.Time) error
	Remove(id string) (removed bool, err error)
	Sync(id string) error
	Close() error
}

// openFolder opens the pause directory. If that fails, each method of the folder returns the error, so that the flag is unknown.
func (r *Reconciler) openFolder() *visitFolder {
	f, err := readDir(r, 0, r.open)
	if err != nil {
		f = closedFolder{err}
	}
	return &visitFolder{folder: f, r: r}
}

// visitFolder gives up waiting after five seconds, as [Reconciler.Look] does.
type visitFolder struct {
	folder
	r    *Reconciler
	mu   sync.Mutex
	late []<-chan struct{} // closed when a write that was given up returns
}

// leave closes the folder and releases the flag's lock. A write that is late keeps the lock: with it, somebody could write what that
// write then removes or replaces.
func (f *visitFolder) leave(unlock func()) {
	if len(f.late) == 0 {
		_ = f.folder.Close()
		unlock()
		return
	}
	go func() { // it ends with the write, or with this process
		for _, done := range f.late {
			<-done
		}
		_ = f.folder.Close()
		unlock()
	}()
}

func readInTime[T any](f *visitFolder, read func() (T, error)) (T, error) {
	v, _, err := inTime(f.r, &f.r.reading, 0, read)
	return v, err
}

// write does one write in time.
func (f *visitFolder) write(do func() (bool, error)) (bool, error) {
	did, late, err := inTime(f.r, &f.r.writing, 0, do)
	if late != nil {
		f.mu.Lock()
		f.late = append(f.late, late)
		f.mu.Unlock()
	}
	return did, err
}

func (f *visitFolder) List() ([]string, error) { return readInTime(f, f.folder.List) }

func (f *visitFolder) Sentinel() (pause.Sentinel, error) { return readInTime(f, f.folder.Sentinel) }

func (f *visitFolder) Mark() (pause.Mark, error) { return readInTime(f, f.folder.Mark) }

func (f *visitFolder) SetMark(m pause.Mark) error {
	_, err := f.write(func() (bool, error) { return true, f.folder.SetMark(m) })
	return err
}

func (f *visitFolder) RaiseMark(was, next pause.Mark) error {
	_, err := f.write(func() (bool, error) { return true, f.folder.RaiseMark(was, next) })
	return err
}

func (f *visitFolder) Look(id string) (pause.Flag, error) {
	return readInTime(f, func() (pause.Flag, error) { return f.folder.Look(id) })
}

func (f *visitFolder) Write(id, note string, at time.Time) (created bool, err error) {
	return f.write(func() (bool, error) { return f.folder.Write(id, note, at) })
}

func (f *visitFolder) Replace(id, note string, at time.Time) error {
	_, err := f.write(func() (bool, error) { return true, f.folder.Replace(id, note, at) })
	return err
}

func (f *visitFolder) Remove(id string) (removed bool, err error) {
	return f.write(func() (bool, error) { return f.folder.Remove(id) })
}

func (f *visitFolder) Sync(id string) error {
	_, err := f.write(func() (bool, error) { return true, f.folder.Sync(id) })
	return err
}

// closedFolder is a directory that could not be opened.
type closedFolder struct{ err error }

func (f closedFolder) List() ([]string, error)                { return nil, f.err }
func (f closedFolder) Sentinel() (pause.Sentinel, error)      { return pause.Sentinel{}, f.err }
func (f closedFolder) Mark() (pause.Mark, error)              { return pause.Mark{}, f.err }
func (f closedFolder) SetMark(pause.Mark) error               { return f.err }
func (f closedFolder) RaiseMark(pause.Mark, pause.Mark) error { return f.err }
func (f closedFolder) Check(string) (flag pause.Flag, s pause.Sentinel, err error) {
	return flag, s, f.err
}
func (f closedFolder) Look(string) (pause.Flag, error)               { return pause.Flag{}, f.err }
func (f closedFolder) Write(string, string, time.Time) (bool, error) { return false, f.err }
func (f closedFolder) Replace(string, string, time.Time) error       { return f.err }
func (f closedFolder) Remove(string) (bool, error)                   { return false, f.err }
func (f closedFolder) Sync(string) error                             { return f.err }
func (f closedFolder) Close() error                                  { return nil }
