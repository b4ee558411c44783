package hostlocal

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/terraphim/adfbot/internal/store"
)

// Dir is the directory <state>.d beside a state. It is safe for concurrent use. Its errors are [store.ErrUnusable] if the
// file system is the problem.
type Dir struct {
	path  string
	locks *Locks
}

// Beside returns the directory beside a state, without touching the disk.
func Beside(state string) *Dir {
	path := state + ".d"
	return &Dir{path: path, locks: NewLocks(path)}
}

// upgradeWait is how long Create waits for the locks of an earlier version.
const upgradeWait = 10 * time.Second

// Create creates what is missing of the directory and its parents, and upgrades the locks; see [Locks.Upgrade].
func (d *Dir) Create(ctx context.Context) error {
	err := MakeDirs(filepath.Dir(d.path))
	if err == nil {
		err = d.makeFolders()
	}
	if err != nil {
		return store.FileError(d.path, err)
	}
	if err := d.locks.Upgrade(ctx, upgradeWait); err != nil {
		return store.Unusable(d.path, "its locks can't be upgraded", store.FileError(d.path, err))
	}
	return nil
}

// KeepReady creates what is missing of all that a full disk will need: the directories, the file of the locks, and the
// reserves of the spool.
func (d *Dir) KeepReady() error {
	for _, create := range []func() error{d.makeFolders, d.locks.Create, d.Spool().keepReady} {
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

// openFolder opens one of the directories, and not what a link that was put in its place leads to.
func (d *Dir) openFolder(name string) (*os.Root, error) {
	around, err := os.OpenRoot(filepath.Dir(d.path))
	if err != nil {
		return nil, err
	}
	defer func() { _ = around.Close() }()
	folder, err := around.OpenRoot(filepath.Join(filepath.Base(d.path), name))
	if err != nil {
		return nil, fmt.Errorf("open %s, which has to be a directory and no link: %w", d.folder(name), err)
	}
	return folder, nil
}

// LockHere is [Locks.LockHere].
func (d *Dir) LockHere(ctx context.Context, name string, wait time.Duration) (unlock func(), err error) {
	unlock, err = d.locks.LockHere(ctx, name, wait)
	return unlock, store.FileError(d.path, err)
}

// Claim is [Locks.Claim].
func (d *Dir) Claim(ctx context.Context, name string, wait time.Duration) (held context.Context, release func(), err error) {
	held, release, err = d.locks.Claim(ctx, name, wait)
	return held, release, store.FileError(d.path, err)
}

// Spool returns the spool of the state.
func (d *Dir) Spool() Spool { return Spool(d.folder("spool")) }
