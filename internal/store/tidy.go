package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// tidyAfter is how old a file must be before it counts as left behind. It keeps clear of whoever has made it and not yet
// locked or finished it.
const tidyAfter = time.Hour

// Tidy removes what killed processes have left beside the state: the files of runs that are not noted, and results that
// were never wholly spooled. Nobody looks for either any more.
func (s *Store) Tidy(ctx context.Context) error {
	left, err := leftBehind(s.dir("runs"), ".lock")
	if err != nil {
		return s.wrap(err)
	}
	var errs []error
	if len(left) > 0 {
		noted, err := s.Running(ctx)
		if err != nil {
			return err
		}
		keep := map[string]bool{}
		for _, r := range noted {
			keep[s.runPath(r.ID)] = true
		}
		for _, path := range left {
			if !keep[path] {
				errs = append(errs, removeUnlocked(ctx, path))
			}
		}
	}
	return errors.Join(append(errs, s.wrap(TidySpool(s.dir("spool"))))...)
}

// TidySpool removes what killed processes have left half-written in a folder of [SpoolIn].
func TidySpool(dir string) error {
	unfinished, err := leftBehind(dir, tempSuffix)
	errs := []error{err}
	for _, path := range unfinished {
		errs = append(errs, removeThere(path))
	}
	return errors.Join(errs...)
}

// leftBehind lists the files of a folder that are old.
func leftBehind(dir, suffix string) (old []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && strings.HasSuffix(e.Name(), suffix) && time.Since(info.ModTime()) > tidyAfter {
			old = append(old, filepath.Join(dir, e.Name()))
		}
	}
	return old, nil
}

// removeUnlocked removes a run's file unless its process lives.
func removeUnlocked(ctx context.Context, path string) error {
	unlock, err := lockFile(ctx, path, path, 0)
	if err != nil {
		return nil
	}
	defer unlock()
	return removeThere(path)
}

func removeThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
