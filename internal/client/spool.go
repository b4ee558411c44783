package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
)

// keptTimeout limits how long the results that were kept are sent before a new one.
const keptTimeout = 20 * time.Second

// SpoolDirs returns the folders in which results of this user may be kept, the preferred one first: below $XDG_STATE_HOME or
// ~/.local/state; and below /var/tmp, which a reboot leaves alone, for users without a usable home, as agents often are.
func SpoolDirs(getenv func(string) string) []string {
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

// keep stores a result in the first folder that takes it, and returns the file.
func (c *Client) keep(r store.Result) (string, error) {
	var errs []error
	for _, dir := range c.spools {
		err := os.MkdirAll(dir, 0o700)
		if err == nil {
			err = checkOwn(dir)
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

// kept returns the results in all folders, and removes what a killed process has left half-written there.
func (c *Client) kept() []hostlocal.Spooled {
	var all []hostlocal.Spooled
	for _, dir := range c.spools {
		if checkOwn(dir) != nil {
			continue
		}
		_ = hostlocal.Spool(dir).Tidy() // it only takes room
		if list, err := hostlocal.Spool(dir).List(); err == nil {
			all = append(all, list...)
		}
	}
	return all
}

// checkOwn refuses a folder that others may write. Anybody may have made one in /var/tmp, and what is in it is reported with
// this user's rights.
func checkOwn(dir string) error {
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

// sendKept sends the results that were kept, the oldest first.
func (c *Client) sendKept(ctx context.Context, m *messages) {
	kept := c.kept()
	if len(kept) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, keptTimeout)
	defer cancel()
	sent := 0
	refused := map[string]bool{} // projects of which the daemon takes nothing from this user now
	for _, e := range kept {
		if e.Err != nil {
			m.addf("the kept result %s can't be read, it is left there: %v", e.File, e.Err)
			continue
		}
		if refused[e.Result.Project] {
			continue
		}
		_, err := c.send(ctx, notAfter(e.Result, c.now()))
		var no *refusal
		switch {
		case err == nil:
			sent++
		case !errors.As(err, &no), no.status >= 500:
			return // the new result will meet it, and say so
		case no.temporary():
			refused[e.Result.Project] = true
			continue
		case no.status == http.StatusConflict:
			m.addf("the kept result %s contradicts the recorded one, it is dropped: %v", e.File, err)
		default:
			m.addf("the daemon does not take the kept result %s, it is set aside: %v", e.File, err)
			if os.Rename(e.File, strings.TrimSuffix(e.File, ".json")+".refused") == nil {
				continue
			}
		}
		if err := e.Remove(); err != nil {
			m.addf("%v", err)
		}
	}
	if sent > 0 {
		m.addf("%d kept results were sent", sent)
	}
}

// notAfter returns a result whose times are not in the future. They are where the clock was set back while it was kept, and the
// daemon, which has the same clock, would refuse it for ever.
func notAfter(r store.Result, now time.Time) store.Result {
	if r.Finished.After(now) {
		r.Finished = now
	}
	if r.Started.After(now) {
		r.Started = now
	}
	return r
}
