package pause

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// DefaultDir is the pause directory where nothing else is configured. Other
// programs on the machine look for the flags there.
const DefaultDir = "/opt/ai-dark-factory/data/pause"

// Dir is a pause directory. It holds nothing but the path, and each method
// opens the directory anew. The zero value is [DefaultDir].
type Dir struct {
	path string
}

// New returns the pause directory at path; "" means [DefaultDir]. It does not
// touch the file system.
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

// FlagPath returns the path of a project's flag, for people to read and to
// remove. It is "" for an id that [CheckID] refuses, so that it never names a
// file somewhere else.
func (d Dir) FlagPath(id string) string {
	if CheckID(id) != nil {
		return ""
	}
	return filepath.Join(d.Path(), id)
}

// List returns the ids of all paused projects, sorted. Temporary files, the
// sentinel and whatever else is no project id are left out. As with
// [Dir.Look], that a project is missing proves nothing without the sentinel.
func (d Dir) List() ([]string, error) {
	root, err := d.open()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	names, err := entries(root)
	if err != nil {
		return nil, failed("list the pause directory", d.Path(), err, toLook)
	}
	ids := slices.DeleteFunc(names, func(name string) bool { return CheckID(name) != nil })
	slices.Sort(ids)
	return ids, nil
}

// open opens the directory for one use. Its errors never are
// [fs.ErrNotExist], so that nobody takes a missing directory for a missing flag.
func (d Dir) open() (*os.Root, error) {
	// The slash keeps the open from waiting for a writer where a FIFO lies at
	// the path: then it is "not a directory" at once.
	root, err := os.OpenRoot(d.Path() + "/")
	switch {
	case err == nil:
		return root, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %s; mount what it lies on, or have it made again with its flags: adfbot restore", ErrNoDir, d.Path())
	case errors.Is(err, syscall.ENOTDIR):
		return nil, fmt.Errorf("%w: %s; move away what lies there or above it, or set another pause directory", ErrNotDir, d.Path())
	default:
		return nil, failed("open the pause directory", d.Path(), err, toLook)
	}
}

// openOrMake opens the directory for writing, and makes it where it is missing.
func (d Dir) openOrMake() (*os.Root, error) {
	root, err := d.open()
	if errors.Is(err, ErrNoDir) {
		if err := makeDirs(d.Path()); err != nil {
			return nil, err
		}
		root, err = d.open()
	}
	return root, err
}
