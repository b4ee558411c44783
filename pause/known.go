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

// KnownName is the name of a directory in the pause directory. It has an empty
// file for each project that is known, of those that no configuration lists by
// its id.
const KnownName = ".adfbot.known"

// Known reports whether a project is known. A missing directory knows none.
func (d Dir) Known(id string) (bool, error) {
	if err := CheckID(id); err != nil {
		return false, err
	}
	f, err := d.Open()
	if err != nil {
		return false, err
	}
	defer f.Close()
	known, err := f.openKnown()
	if err == nil {
		defer known.Close()
		_, err = known.Lstat(id)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, d.knownFailed("look for the known project", id, err, needSearch)
	}
	return true, nil
}

// KnownProjects returns the ids of all known projects, sorted.
func (d Dir) KnownProjects() ([]string, error) {
	f, err := d.Open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	known, err := f.openKnown()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	if err == nil {
		defer known.Close()
		names, err = entries(known)
	}
	if err != nil {
		return nil, d.knownFailed("list the known projects in", "", err, needRead)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !ValidID(name) })
	slices.Sort(names)
	return names, nil
}

// MakeKnown makes projects known. If the error is nil, that is on disk. It does
// not create the pause directory.
func (d Dir) MakeKnown(ids ...string) error {
	for _, id := range ids {
		if err := CheckID(id); err != nil {
			return err
		}
	}
	f, err := d.Open()
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.makeKnown(ids); err != nil {
		return d.knownFailed("make a project known in", "", err, needWrite)
	}
	return nil
}

func (f *Folder) makeKnown(ids []string) error {
	known, err := f.createKnown()
	if err != nil {
		return err
	}
	defer known.Close()
	for _, id := range ids {
		err := step("known", func() error {
			file, err := newFile(known, id, fileMode)
			if err == nil {
				err = file.Close()
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return syncRoot(known) // also what somebody else created, who may have died before syncing
}

// errKnownKind says that there is something else than a directory at
// [KnownName].
var errKnownKind = errors.New("it is not a directory")

// openKnown opens the directory of known projects. It follows no link, which
// could make flags known projects, and never waits for the writer of a FIFO.
func (f *Folder) openKnown() (*os.Root, error) {
	found, err := f.root.Lstat(KnownName)
	if err != nil {
		return nil, err
	}
	if !found.IsDir() {
		return nil, errKnownKind
	}
	// Somebody may have put another thing there since. With the slash, a FIFO is
	// refused.
	known, err := f.root.OpenRoot(KnownName + "/")
	if errors.Is(err, syscall.ENOTDIR) {
		return nil, errKnownKind
	}
	if err != nil {
		return nil, err
	}
	opened, err := known.Stat(".")
	if err == nil && !os.SameFile(found, opened) {
		err = errKnownKind
	}
	if err != nil {
		_ = known.Close()
		return nil, err
	}
	return known, nil
}

// knownFailed returns the error of an attempt with the directory of known
// projects, or with the file of one.
func (d Dir) knownFailed(attempt, id string, err error, need string) error {
	if errors.Is(err, errKnownKind) {
		return fmt.Errorf("%s %s: %w; remove it, the next sweep makes it again", attempt, d.knownPath(""), err)
	}
	return failed(attempt, d.knownPath(id), err, need)
}

// createKnown is openKnown, but creates the directory if it is missing. Whoever
// may write the pause directory may write it.
func (f *Folder) createKnown() (*os.Root, error) {
	parent, err := f.root.Stat(".")
	if err != nil {
		return nil, err
	}
	err = step("mkdir", func() error { return f.root.Mkdir(KnownName, dirMode) })
	created := err == nil
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	known, err := f.openKnown()
	if err != nil {
		return nil, err
	}
	if dir, err := known.Open("."); err == nil {
		inherit(dir, func() (fs.FileInfo, error) { return parent, nil }, dirMode|parent.Mode().Perm()&0o070)
		_ = dir.Close()
	}
	if created {
		err = f.syncDir()
	}
	return known, err
}

func (d Dir) knownPath(id string) string { return filepath.Join(d.Path(), KnownName, id) }
