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
	root, err := d.open()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	names, err := entries(root)
	if err != nil {
		return nil, failed("list the pause directory", d.Path(), err, needSearch)
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
	if root, err := d.open(); err == nil {
		defer root.Close()
		RemoveOldTemps(root)
	}
}

// open opens the directory for one operation. Its error is never
// [fs.ErrNotExist], so that no caller takes a missing directory for a missing
// flag.
func (d Dir) open() (*os.Root, error) {
	// With the slash, opening a FIFO fails instead of waiting for a writer.
	root, err := os.OpenRoot(d.Path() + "/")
	switch {
	case err == nil:
		return root, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %s; mount the file system it is on, or create it again with its flags", ErrNoDir, d.Path())
	case errors.Is(err, syscall.ENOTDIR):
		return nil, notDir(d.Path())
	default:
		return nil, failed("open the pause directory", d.Path(), err, needSearch)
	}
}

// openOrCreate opens the directory for writing and creates it if it is missing.
func (d Dir) openOrCreate() (*os.Root, error) {
	root, err := d.open()
	if errors.Is(err, ErrNoDir) {
		if err := makeDirs(d.Path()); err != nil {
			return nil, err
		}
		root, err = d.open()
	}
	return root, err
}
