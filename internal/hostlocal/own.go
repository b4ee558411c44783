package hostlocal

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"

	"github.com/terraphim/adfbot/internal/store"
)

// OwnSpools are directories that belong to this user, for results that cannot be put beside the state. The preferred one is the first.
type OwnSpools []string

// Add writes a result to the first directory that takes it, and returns the file.
func (o OwnSpools) Add(r store.Result) (file string, err error) {
	var errs []error
	for _, dir := range o {
		err := os.MkdirAll(dir, 0o700)
		if err == nil {
			err = checkOwn(dir)
		}
		if err == nil {
			if file, err = Spool(dir).Add(r); err == nil {
				return file, nil
			}
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

// List returns the results of each directory, the oldest first. It also removes files that a killed process has left half-written.
func (o OwnSpools) List() (list []Spooled) {
	for _, dir := range o {
		if checkOwn(dir) != nil {
			continue
		}
		_ = Spool(dir).Tidy() // what cannot be removed only takes space
		found, _ := Spool(dir).List()
		list = slices.Concat(list, found)
	}
	return list
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
