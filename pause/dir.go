package pause

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
)

// DefaultDir is the default pause directory. Other programs look for flags
// there.
const DefaultDir = "/opt/ai-dark-factory/data/pause"

// Dir is a pause directory. It holds only the path; every method opens the
// directory anew. The zero value is [DefaultDir].
type Dir struct {
	path string
}

// New returns the pause directory at path, or at [DefaultDir] if path is empty.
// It does not access the file system.
func New(path string) Dir {
	if path == "" {
		return Dir{}
	}
	return Dir{path: filepath.Clean(path)}
}

// Path returns the path of the directory.
func (d Dir) Path() string {
	if d.path == "" {
		return DefaultDir
	}
	return d.path
}

// FlagPath returns the path of a project's flag, for people. It returns "" if
// id is not a project id, and so never names a file elsewhere.
func (d Dir) FlagPath(id string) string {
	if !ValidID(id) {
		return ""
	}
	return filepath.Join(d.Path(), id)
}

// List returns the ids of all paused projects, sorted. It ignores entries whose
// name is not a project id. As with [Dir.Look], the absence of a project proves
// nothing without the sentinel.
func (d Dir) List() ([]string, error) {
	f, err := d.Open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.List()
}

// List is [Dir.List].
func (f *Folder) List() ([]string, error) {
	names, err := entries(f.root)
	if err != nil {
		return nil, failed("list the pause directory", f.dir.Path(), err, needSearch)
	}
	ids := slices.DeleteFunc(names, func(name string) bool { return !ValidID(name) })
	slices.Sort(ids)
	return ids, nil
}

// Create creates the directory and its parents if they are missing.
func (d Dir) Create() error { return makeDirs(d.Path()) }

// RemoveOldTemps removes the temporary files that crashed calls of [Dir.Write]
// left in the directory, like the function [RemoveOldTemps].
func (d Dir) RemoveOldTemps() {
	if f, err := d.Open(); err == nil {
		defer f.Close()
		RemoveOldTemps(f.root)
	}
}

// Folder is an open pause directory. What is read and written through it is in
// one directory, even if another one is mounted at the path meanwhile. Any number
// of goroutines may use it at once. Close it.
type Folder struct {
	dir  Dir
	root *os.Root

	syncing sync.Mutex // held while the directory is synced
	mu      sync.Mutex
	next    *syncCall // that has not begun; nil: there is none
}

// syncCall is a sync of the directory that several callers share.
type syncCall struct {
	done chan struct{}
	err  error
}

// syncDir writes the directory's list of entries to disk. Callers who come while
// that is under way share the next time.
func (f *Folder) syncDir() error {
	f.mu.Lock()
	call, first := f.next, f.next == nil
	if first {
		call = &syncCall{done: make(chan struct{})}
		f.next = call
	}
	f.mu.Unlock()
	if !first {
		<-call.done
		return call.err
	}
	f.syncing.Lock()
	f.mu.Lock()
	f.next = nil // who comes from now on may have changed something since this one began
	f.mu.Unlock()
	call.err = syncRoot(f.root)
	f.syncing.Unlock()
	close(call.done)
	return call.err
}

// Open opens the directory. The error is [ErrNoDir], [ErrNotDir] or one of the
// file system. It is never [fs.ErrNotExist], so that no caller takes a missing
// directory for a missing flag.
func (d Dir) Open() (*Folder, error) {
	// With the slash, opening a FIFO fails instead of waiting for a writer.
	root, err := os.OpenRoot(d.Path() + "/")
	switch {
	case err == nil:
		return &Folder{dir: d, root: root}, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, noDir(d.Path())
	case errors.Is(err, syscall.ENOTDIR):
		return nil, notDir(d.Path())
	default:
		return nil, failed("open the pause directory", d.Path(), err, needSearch)
	}
}

// Close closes the folder.
func (f *Folder) Close() error { return f.root.Close() }

// openOrCreate opens the directory for writing and creates it if it is missing.
func (d Dir) openOrCreate() (*Folder, error) {
	f, err := d.Open()
	if errors.Is(err, ErrNoDir) {
		if err := makeDirs(d.Path()); err != nil {
			return nil, err
		}
		f, err = d.Open()
	}
	return f, err
}
