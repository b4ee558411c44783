package hostlocal

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/terraphim/adfbot/internal/store"
)

// OwnSpools are directories that belong to this user, for results that cannot be put beside the state. The preferred one is the first.
type OwnSpools []string

// ownWait is how long a directory may take to answer. A home may be on a dead network mount, which does not answer at all.
const ownWait = 5 * time.Second

// inTime calls do unless it takes longer than [ownWait]. What hangs then ends with the process.
func inTime[T any](dir string, do func(dir string) (T, error)) (v T, err error) {
	type answer struct {
		v   T
		err error
	}
	answered := make(chan answer, 1)
	go func() {
		v, err := do(dir)
		answered <- answer{v, err}
	}()
	select {
	case a := <-answered:
		return a.v, a.err
	case <-time.After(ownWait):
		return v, fmt.Errorf("%s did not answer in %s: check whether its file system hangs", dir, ownWait)
	}
}

// Add writes a result to the first directory that takes it, and returns the file.
func (o OwnSpools) Add(r store.Result) (file string, err error) {
	var errs []error
	for _, dir := range o {
		file, err := inTime(dir, func(dir string) (string, error) { return addOwn(dir, r) })
		if err == nil {
			return file, nil
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

func addOwn(dir string, r store.Result) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	if err := checkOwn(dir); err != nil {
		return "", err
	}
	file, err := Spool(dir).Add(r)
	if err != nil {
		_ = os.Remove(dir) // unless it has results
	}
	return file, err
}

// List returns the results of each directory that answers, the oldest first. It also removes files that a killed process has left
// half-written.
func (o OwnSpools) List() (list []Spooled) {
	for _, dir := range o {
		found, _ := inTime(dir, listOwn)
		list = slices.Concat(list, found)
	}
	return list
}

func listOwn(dir string) ([]Spooled, error) {
	if err := checkOwn(dir); err != nil {
		return nil, err
	}
	_ = Spool(dir).Tidy() // what cannot be removed only takes space
	return Spool(dir).List()
}

// checkOwn returns an error unless only this user can use the directory. Anyone can create one in /var/tmp, and its content is
// reported with this user's rights.
func checkOwn(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(st.Uid) != os.Geteuid() || info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s is not a directory of this user's own with mode 0700", dir)
	}
	return nil
}
