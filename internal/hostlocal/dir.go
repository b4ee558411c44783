package hostlocal

import (
	"context"
	"path/filepath"
	"time"

	"github.com/terraphim/adfbot/internal/store"
)

// Dir is the directory <state>.d beside a state. It is safe for concurrent use. Its errors are [store.ErrUnusable] if the
// file system is the problem.
type Dir struct {
	path string
	locks
}

// Beside returns the directory beside a state, without touching the disk.
func Beside(state string) *Dir {
	path := state + ".d"
	return &Dir{path, locks{filepath.Join(path, "locks")}}
}

// upgradeWait is how long Create waits for the locks of an earlier version.
const upgradeWait = 10 * time.Second

// Create creates what is missing of the directory and its parents, and upgrades the locks of an earlier version.
func (d *Dir) Create(ctx context.Context) error {
	err := MakeDirs(filepath.Dir(d.path))
	if err == nil {
		err = d.makeFolders()
	}
	if err != nil {
		return store.FileError(d.path, err)
	}
	if err := d.upgrade(ctx, upgradeWait); err != nil {
		return store.Unusable(d.path, "its locks can't be upgraded", store.FileError(d.path, err))
	}
	return nil
}

// KeepReady creates what is missing of all that a full disk will need: the directories, the file of the locks, and the
// reserves of the spool.
func (d *Dir) KeepReady() error {
	for _, create := range []func() error{d.makeFolders, d.create, d.Spool().keepReady} {
		if err := create(); err != nil {
			return store.FileError(d.path, err)
		}
	}
	return nil
}

func (d *Dir) makeFolders() error {
	for _, dir := range []string{d.path, d.folder("runs"), d.folder("spool")} {
		if err := makeDir(dir); err != nil {
			return err
		}
	}
	return nil
}

func (d *Dir) folder(name string) string { return filepath.Join(d.path, name) }

// Spool returns the spool of the state.
func (d *Dir) Spool() Spool { return Spool(d.folder("spool")) }
