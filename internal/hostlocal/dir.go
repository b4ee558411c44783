package hostlocal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// Dir is the directory of a host, by default <state>.d beside its state. It is safe for concurrent use. Its errors are [store.ErrUnusable] if the
// file system is the problem.
type Dir struct {
	path string
	locks
}

const suffix = ".d"

// Beside returns the directory beside a state, without touching the disk.
func Beside(state string) *Dir { return At(state + suffix) }

// At returns the directory at a path, without touching the disk.
func At(path string) *Dir { return &Dir{path, locks{filepath.Join(path, "locks")}} }

// State returns the path of the state that the directory is beside, if it is.
func (d *Dir) State() string { return strings.TrimSuffix(d.path, suffix) }

// Below returns the directories in this one that lie, or lay, beside a state.
func (d *Dir) Below() (below []*Dir) {
	entries, _ := os.ReadDir(d.path)
	for _, e := range entries {
		if e.IsDir() && filepath.Ext(e.Name()) == suffix {
			below = append(below, At(d.folder(e.Name())))
		}
	}
	return below
}

// MoveSpool says how to bring the results here that wait in another directory. mv would give a single one the name of a spool that is missing.
func (d *Dir) MoveSpool(from *Dir) string {
	switch spool := d.folder("spool"); {
	case exists(spool):
		return fmt.Sprintf("move %s/*.json to %s", from.folder("spool"), spool)
	case !exists(d.path) && filepath.Dir(d.path) != filepath.Clean(from.path):
		return fmt.Sprintf("move %s to %s", from.path, d.path)
	default:
		return fmt.Sprintf("move %s to %s", from.folder("spool"), spool)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// Path returns the path of the directory.
func (d *Dir) Path() string { return d.path }

// upgradeWait is how long KeepReady waits for the locks of an earlier version.
const upgradeWait = 10 * time.Second

// Create creates what is missing of the directory and its parents, and upgrades the locks of an earlier version unless one
// is held. It fills a new spool with reserves. An error of the locks is left to those who take one: a result is counted without locks,
// too.
func (d *Dir) Create(ctx context.Context) error {
	_, missing := os.Lstat(d.folder("spool"))
	err := MakeDirs(filepath.Dir(d.path))
	if err == nil {
		err = d.makeFolders()
	}
	if err != nil {
		return store.FileError(d.path, err)
	}
	_ = d.upgrade(ctx, 0)
	if missing != nil {
		_ = d.Spool().pinned(Spool.keepReady) // the disk may fill up before the first sweep; after an error, that sweep tries again
	}
	return nil
}

// KeepReady creates what is missing of all that a full disk will need: the directories, the file of the locks, and the
// reserves of the spool. It upgrades the locks of an earlier version.
func (d *Dir) KeepReady(ctx context.Context) error {
	spool := func() error { return d.Spool().pinned(Spool.keepReady) }
	locks := func() error { return d.upgrade(ctx, upgradeWait) }
	for _, create := range []func() error{d.makeFolders, spool, locks} {
		if err := create(); err != nil {
			return store.FileError(d.path, err)
		}
	}
	return nil
}

// Check returns why the directory can't be used, as far as that shows without creating or upgrading anything. What is missing is
// no reason, and the rights of this user are not checked.
func (d *Dir) Check() error {
	for _, path := range []string{d.path, d.folder("runs"), d.folder("spool")} {
		if info, err := os.Lstat(path); err == nil {
			if err := checkFolder(path, info); err != nil {
				return err
			}
		}
	}
	return d.checkLocks()
}

func (d *Dir) makeFolders() error {
	err := makeDir(d.path)
	for _, name := range []string{"runs", "spool"} {
		if err == nil {
			err = makeFolder(d.folder(name))
		}
	}
	return err
}

func (d *Dir) folder(name string) string { return filepath.Join(d.path, name) }

// Sentinel returns the copy of the pause directory's sentinel. It returns the zero value if there is none or it cannot be read.
func (d *Dir) Sentinel() pause.Sentinel {
	s, _ := pause.New(d.path).Sentinel()
	return s
}

// KeepSentinel replaces the copy of the pause directory's sentinel durably.
func (d *Dir) KeepSentinel(s pause.Sentinel) error { return d.keep(pause.SentinelName, s.Content()) }

// LastPauseName is the name of a file here and in the pause directory of a fleet's host. It names the last pause of which only the spool
// of this host knew: a pause directory that has another name there is older than that pause.
const LastPauseName = ".adfbot.spooled"

// OlderThanLastPause reports whether the pause directory has another file than this one. It reports false if there is none here, or if one
// cannot be read.
func (d *Dir) OlderThanLastPause(pauseDir string) bool {
	last, err := os.ReadFile(d.folder(LastPauseName))
	if err != nil {
		return false
	}
	found, err := os.ReadFile(filepath.Join(pauseDir, LastPauseName))
	return err == nil && !bytes.Equal(found, last) || errors.Is(err, fs.ErrNotExist)
}

// KeepLastPause replaces the file in the pause directory, and then the one in this directory, durably.
func (d *Dir) KeepLastPause(pauseDir string) error {
	root, err := os.OpenRoot(pauseDir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	content := []byte(pause.NewRandomID() + "\n")
	if err := pause.WriteFileDurable(root, LastPauseName, content, 0o644); err != nil {
		return err
	}
	return d.keep(LastPauseName, content)
}

func (d *Dir) keep(name string, content []byte) error {
	dir, err := openDir(d.path)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	return pause.WriteFileDurable(dir, name, content, 0o644)
}

// Spool returns the spool of the state.
func (d *Dir) Spool() Spool { return Spool(d.folder("spool")) }
