package hostlocal

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// leftBehindAfter is the age from which on a file counts as left behind. A younger one may belong to a process that has not
// locked or finished it yet.
const leftBehindAfter = time.Hour

// Tidy removes what killed processes have left: the files of runs that the state does not know, and files that were
// written in part. It calls running only if there are old files of runs.
func (d *Dir) Tidy(ctx context.Context, running func(context.Context) ([]store.Run, error)) error {
	return store.FileError(d.path, errors.Join(d.removeTemps(), d.tidyRuns(ctx, running), d.Spool().Tidy()))
}

func (d *Dir) removeTemps() error {
	dir, err := openDir(d.path)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	pause.RemoveOldTemps(dir)
	return nil
}

func (d *Dir) tidyRuns(ctx context.Context, running func(context.Context) ([]store.Run, error)) error {
	folder, err := openFolder(d.folder("runs"))
	if err != nil {
		return err
	}
	defer func() { _ = folder.Close() }()
	left, err := leftBehind(folder, runSuffix)
	if err != nil || len(left) == 0 {
		return err
	}
	runs, err := running(ctx)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, r := range runs {
		known[r.ID+runSuffix] = true
	}
	var errs []error
	for _, name := range left {
		if !known[name] {
			errs = append(errs, removeUnlocked(folder, name))
		}
	}
	return errors.Join(errs...)
}

// removeUnlocked removes the file of a run unless its process lives.
func removeUnlocked(folder *os.Root, name string) error {
	f, err := folder.OpenFile(name, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return nil
	}
	return ifThere(folder.Remove(name))
}

// Tidy removes the results that killed processes have written in part.
func (s Spool) Tidy() error {
	folder, err := s.open()
	if err != nil {
		return err
	}
	defer func() { _ = folder.Close() }()
	pause.RemoveOldTemps(folder)
	unfinished, err := leftBehind(folder, tempSuffix)
	errs := []error{err}
	for _, name := range unfinished {
		errs = append(errs, ifThere(folder.Remove(name)))
	}
	return errors.Join(errs...)
}

// leftBehind lists the old files of a directory.
func leftBehind(folder *os.Root, suffix string) (old []string, err error) {
	entries, err := fs.ReadDir(folder.FS(), ".")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && strings.HasSuffix(e.Name(), suffix) && time.Since(info.ModTime()) > leftBehindAfter {
			old = append(old, e.Name())
		}
	}
	return old, nil
}
