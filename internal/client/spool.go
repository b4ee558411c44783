package client

import (
	"cmp"
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
	"github.com/terraphim/adfbot/internal/text"
)

const keptTimeout = 20 * time.Second // for sending kept results before a new one

// SpoolDirs returns the directories for kept results of this user, the preferred one first: below $XDG_STATE_HOME or
// ~/.local/state; and below /var/tmp, which survives a reboot, for users without a usable home, as agents often are.
func SpoolDirs(getenv func(string) string) []string {
	state := getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		home := getenv("HOME")
		if u, err := user.Current(); home == "" && err == nil {
			home = u.HomeDir
		}
		state = filepath.Join(home, ".local/state")
	}
	var dirs []string
	if filepath.IsAbs(state) {
		dirs = append(dirs, filepath.Join(state, "adfbot/spool"))
	}
	return append(dirs, fmt.Sprintf("/var/tmp/adfbot-spool-%d", os.Geteuid()))
}

// keep stores a result in the first directory that accepts it, and returns the file.
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

// checkOwn refuses a directory that others can write. Anyone can create one in /var/tmp, and its content is reported with this
// user's rights.
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

// sendKept sends the kept results, the oldest first of each directory. It returns the projects of which some are left, and why: a
// later result must not overtake them. It also removes what a killed process has left half-written.
func (c *Client) sendKept(ctx context.Context, m *messages) (left map[string]error) {
	var kept []hostlocal.Spooled
	for _, dir := range c.spools {
		if checkOwn(dir) != nil {
			continue
		}
		spool := hostlocal.Spool(dir)
		_ = spool.Tidy() // what cannot be removed only takes space
		list, _ := spool.List()
		kept = append(kept, list...)
	}
	ctx, cancel := context.WithTimeout(ctx, keptTimeout)
	defer cancel()
	sent := 0
	left = map[string]error{}
	var stopped error // the daemon accepts nothing from this user now
	for _, e := range kept {
		project := e.Result.Project
		if e.Err != nil {
			m.addf("the kept result %s cannot be read, it stays there: %v", e.File, e.Err)
			continue
		}
		if stopped != nil {
			left[project] = cmp.Or(left[project], stopped)
		}
		if left[project] != nil {
			continue
		}
		// The clock may have been set back since: the daemon, which has the same one, would refuse the result for ever.
		_, _, err := c.send(ctx, e.Result.Bounded(c.now()))
		var no *refusal
		switch {
		case err == nil:
			sent++
		case !errors.As(err, &no), no.status >= 500, no.status == http.StatusTooManyRequests:
			left[project], stopped = err, err
			continue
		case no.temporary():
			left[project] = err
			continue
		case no.status == http.StatusConflict:
			m.addf("the kept result %s contradicts the recorded one and is dropped: %v", e.File, err)
		default:
			m.addf("the daemon does not accept the kept result %s, it is set aside: %v", e.File, err)
			if os.Rename(e.File, strings.TrimSuffix(e.File, ".json")+".refused") == nil {
				continue
			}
		}
		if err := e.Remove(); err != nil {
			m.addf("%v", err)
		}
	}
	if sent > 0 {
		m.addf("sent %s", text.Plural(sent, "kept result"))
	}
	return left
}
