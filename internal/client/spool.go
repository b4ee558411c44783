package client

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/text"
)

const (
	keptTimeout = 20 * time.Second // for sending kept results before a new one
	briefly     = 5 * time.Second  // for sending them alone: whoever waits has nothing to run
)

// SpoolDirs returns the directories for kept results of this user under a configuration, since other installations may have projects of
// the same name: below $XDG_STATE_HOME or ~/.local/state; and below /var/tmp, which survives a reboot, for users without a usable home,
// as agents often are. The state's path is not in their names, because it changes when a bad disk is replaced. The last ones are those
// of earlier versions, which kept the results of all installations together.
func SpoolDirs(config string, getenv func(string) string) (dirs hostlocal.OwnSpools) {
	if abs, err := filepath.Abs(config); err == nil {
		config = abs
	}
	parent := getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(parent) {
		home := getenv("HOME")
		if u, err := user.Current(); home == "" && err == nil {
			home = u.HomeDir
		}
		parent = filepath.Join(home, ".local/state")
	}
	for _, id := range []string{fmt.Sprintf("-%.4x", sha256.Sum256([]byte(config))), ""} {
		if filepath.IsAbs(parent) {
			dirs = append(dirs, filepath.Join(parent, "adfbot/spool"+id))
		}
		dirs = append(dirs, fmt.Sprintf("/var/tmp/adfbot-spool-%d%s", os.Geteuid(), id))
	}
	return dirs
}

// sendKept sends the kept results, the oldest first of each directory. It returns the projects of which some are left, and why: a
// later result must not overtake them. silent is not nil if the daemon gave no answer at all: it would keep the next result waiting as long.
func (c *Client) sendKept(ctx context.Context, m *messages) (left map[string]error, silent error) {
	ctx, cancel := context.WithTimeout(ctx, keptTimeout)
	defer cancel()
	sent := 0
	var tripped []string
	left = map[string]error{}
	var stopped error // the daemon accepts nothing from this user now
	for _, e := range c.spools.List() {
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
		r := e.Result.ByClock(c.moment()).Bounded(c.now())
		var err error
		if r.Output, err = e.Output(); err != nil {
			if !errors.Is(err, fs.ErrNotExist) || e.Renamed() { // else another command of this user has just sent it
				left[project] = err
			}
			continue
		}
		recorded, _, err := c.send(ctx, r)
		var no *refusal
		switch {
		case err == nil:
			sent++
			if recorded != nil && recorded.Tripped && recorded.Paused != status.No { // somebody may have resumed it since it was first sent
				tripped = append(tripped, recorded.TripText())
			}
		case !errors.As(err, &no), no.status >= 500, no.status == http.StatusTooManyRequests:
			left[project], stopped = err, err
			if sent == 0 && no == nil {
				silent = err
			}
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
	*m = append(*m, tripped...)
	return left, silent
}
