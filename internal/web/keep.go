package web

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"syscall"

	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
)

// spoolDirs are the folders in which this user's results may wait: $XDG_STATE_HOME/adfbot/spool, else
// ~/.local/state/adfbot/spool; and for a user without a usable home, as agents often are, one in /var/tmp, which a reboot
// leaves alone.
func spoolDirs(getenv func(string) string) []string {
	var dirs []string
	if state := getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		dirs = append(dirs, filepath.Join(state, "adfbot/spool"))
	} else if home := homeDir(getenv); filepath.IsAbs(home) {
		dirs = append(dirs, filepath.Join(home, ".local/state/adfbot/spool"))
	}
	return append(dirs, fmt.Sprintf("/var/tmp/adfbot-spool-%d", os.Geteuid()))
}

func homeDir(getenv func(string) string) string {
	if home := getenv("HOME"); home != "" {
		return home
	}
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.HomeDir
}

// keep puts a result into the first folder that takes it.
func (c *Client) keep(r store.Result) (string, error) {
	var errs []error
	for _, dir := range c.spools {
		err := os.MkdirAll(dir, 0o700)
		if err == nil {
			err = ownFolder(dir)
		}
		if err == nil {
			var file string
			if file, err = hostlocal.Spool(dir).Add(r); err == nil {
				return file, nil
			}
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

// waiting are the results in all folders. A folder that is not there has none. What a killed process left half-written there
// goes.
func (c *Client) waiting() []hostlocal.Spooled {
	var all []hostlocal.Spooled
	for _, dir := range c.spools {
		if ownFolder(dir) != nil {
			continue
		}
		_ = hostlocal.Spool(dir).Tidy() // it only takes room
		if list, err := hostlocal.Spool(dir).List(); err == nil {
			all = append(all, list...)
		}
	}
	return all
}

// ownFolder refuses a folder that others may write: in /var/tmp anybody may have made it, and what lies in it is reported
// with this user's rights.
func ownFolder(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(st.Uid) != os.Geteuid() || info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s is not a folder of this user's own with mode 0700", dir)
	}
	return nil
}
