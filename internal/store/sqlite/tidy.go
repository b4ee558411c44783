package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"
)

// tidyAfter is how old a file must be before it counts as left behind. It keeps clear of whoever has made it and not yet
// locked or finished it.
const tidyAfter = time.Hour

// Tidy removes what killed processes have left beside the state: the files of runs that are not noted, and results that
// were never wholly spooled. Nobody looks for either any more.
func (s *Store) Tidy(ctx context.Context) error {
	return errors.Join(s.wrap(s.tidyRuns(ctx)), s.wrap(s.tidySpool()))
}

func (s *Store) tidyRuns(ctx context.Context) error {
	runs, err := s.openFolder("runs")
	if err != nil {
		return err
	}
	defer func() { _ = runs.Close() }()
	left, err := leftBehind(runs, runSuffix)
	if err != nil || len(left) == 0 {
		return err
	}
	noted, err := s.Running(ctx)
	if err != nil {
		return err
	}
	keep := map[string]bool{}
	for _, r := range noted {
		keep[r.ID+runSuffix] = true
	}
	var errs []error
	for _, name := range left {
		if !keep[name] {
			errs = append(errs, removeUnlocked(runs, name))
		}
	}
	return errors.Join(errs...)
}

func (s *Store) tidySpool() error {
	spool, err := s.openFolder("spool")
	if err != nil {
		return err
	}
	defer func() { _ = spool.Close() }()
	return removeUnfinished(spool)
}

// TidySpool removes what killed processes have left half-written in a folder of [SpoolIn].
func TidySpool(dir string) error {
	spool, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = spool.Close() }()
	return removeUnfinished(spool)
}

func removeUnfinished(spool *os.Root) error {
	unfinished, err := leftBehind(spool, tempSuffix)
	errs := []error{err}
	for _, name := range unfinished {
		errs = append(errs, ifThere(spool.Remove(name)))
	}
	return errors.Join(errs...)
}

// leftBehind lists the files of a folder that are old.
func leftBehind(folder *os.Root, suffix string) (old []string, err error) {
	entries, err := fs.ReadDir(folder.FS(), ".")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && strings.HasSuffix(e.Name(), suffix) && time.Since(info.ModTime()) > tidyAfter {
			old = append(old, e.Name())
		}
	}
	return old, nil
}

// removeUnlocked removes a run's file unless its process lives.
func removeUnlocked(runs *os.Root, name string) error {
	f, err := runs.OpenFile(name, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return nil
	}
	return ifThere(runs.Remove(name))
}

func removeThere(path string) error { return ifThere(os.Remove(path)) }

// ifThere is the error of a removal, but for that of a file that was gone already.
func ifThere(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
