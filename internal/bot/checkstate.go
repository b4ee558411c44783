package bot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/postgres"
	"github.com/terraphim/adfbot/internal/text"
)

// sharedState checks a state in PostgreSQL, and what belongs to this host.
func (c *checker) sharedState(ctx context.Context) {
	c.closedToGroup()
	c.localDir(ctx)
	c.spool()
	report, err := postgres.Inspect(ctx, c.cfg.State, sharedOptions(c.cfg, c.env))
	if c.failed("state", err) {
		return
	}
	b, err := Open(ctx, c.cfg, ReadOnly, c.env)
	switch {
	case store.NoState(err):
		c.noState = true
		c.noSchema(ctx, report)
		return
	case err == nil:
		c.bot = b
		if err = b.store.Check(ctx); err == nil {
			err = b.store.Writable(ctx) // a pooler may take statements, and no transactions
		}
		if errors.Is(err, store.ErrRetired) { // it joins again
			err = nil
		}
	}
	if c.rights(report) && !c.failed("state", err) {
		c.add(OK, "state", "PostgreSQL %s, database %s, role %s, installation %s", report.Version, report.Database, report.Role, b.store.Installation())
	}
	c.server(report)
	if c.bot != nil {
		c.hears(ctx, report)
		c.hosts(ctx)
	}
}

// localDir checks the directory for what belongs to this host.
func (c *checker) localDir(ctx context.Context) {
	dir := c.cfg.LocalDir
	if c.failed("local_dir", checkLocalDir(ctx, c.cfg)) || !c.localDirUsable() {
		return
	}
	id, err := hostlocal.At(dir).KnownHostID()
	switch {
	case c.failed("local_dir", err):
	case id == "":
		c.add(OK, "local_dir", "%s, this host %s has no id yet; serve or the first result makes it", dir, HostName(c.cfg))
	default:
		c.add(OK, "local_dir", "%s, this host %s has the id %s", dir, HostName(c.cfg), id)
	}
}

// localDirUsable reports whether the directory is there and can be used.
func (c *checker) localDirUsable() bool {
	dir := c.cfg.LocalDir
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if why := c.notCreatable(dir); why != "" {
			c.add(Fail, "local_dir", "cannot create %s: %s", dir, why)
		} else {
			c.add(OK, "local_dir", "%s is missing; serve or the first result creates it", dir)
		}
		return false
	}
	if c.failed("local_dir", hostlocal.At(dir).Check()) || !c.writable("local_dir", dir, dir+"/locks", dir+"/runs", dir+"/spool") {
		return false
	}
	if problem := hostlocal.DiskProblem(dir, hostlocal.LeastRoom); problem != "" {
		c.add(Fail, "local_dir", "%s: %s", dir, problem)
		return false
	}
	return true
}

// noSchema says what makes a schema that is missing.
func (c *checker) noSchema(ctx context.Context, r postgres.Report) {
	switch id, _ := earlierInstallation(ctx, c.cfg); {
	case !r.HasSchema && !r.MayMake:
		c.add(Fail, "state", "the database %s has no schema %s, and the role %s may not make it: have an administrator run what `adfbot init-state` prints",
			r.Database, r.Schema, r.Role)
	case len(r.Lacking) > 0:
		c.rights(r)
	case id != "":
		c.add(Warn, "state", "the database %s has no state yet, although the pause directory belongs to an installation: if `state` names the wrong database, "+
			"correct it; if its state is in a file, move it (see `adfbot help migrate`); if it is lost, the first result creates a new one", r.Database)
	default:
		c.add(OK, "state", "PostgreSQL %s, database %s, role %s; there is no state yet, the first result creates it", r.Version, r.Database, r.Role)
	}
}

// rights checks what the role may do with the tables, and reports whether that is enough.
func (c *checker) rights(r postgres.Report) bool {
	const most = 3
	if n := len(r.Lacking); n > 0 {
		more := ""
		if n > most {
			more = fmt.Sprintf(" and %s more", text.Plural(n-most, "right"))
		}
		c.add(Fail, "state", "the role %s lacks %s%s: have an administrator run ALTER SCHEMA %s OWNER TO %s and the same for each of its tables, or grant what is missing",
			r.Role, strings.Join(r.Lacking[:min(n, most)], ", "), more, postgres.Quote(r.Schema), postgres.Quote(r.Role))
		return false
	}
	if len(r.Strange) > 0 {
		c.add(Warn, "state", "%s does not belong to the role %s, so a later version of adfbot cannot upgrade the state: have an administrator run ALTER TABLE … OWNER TO %s",
			r.Strange[0], r.Role, postgres.Quote(r.Role))
	}
	return true
}

// maxOffset is how far apart the clocks of a host and the server may be without a warning.
const maxOffset = 2 * time.Second

// server warns of what keeps the server from being as reliable as its users expect.
func (c *checker) server(r postgres.Report) {
	if off := r.Offset.Round(time.Second / 10); off.Abs() >= maxOffset {
		direction := "ahead of"
		if off < 0 {
			direction = "behind"
		}
		c.add(Warn, "state", "the clock of this host is %s %s that of the server: have NTP set both. Pauses follow the server's clock", off.Abs(), direction)
	}
	if r.Unverified {
		c.add(Warn, "state", "nothing verifies that this is the server and not another one in between, which could read and change the state: "+
			"set sslmode=verify-full in `state`, and sslrootcert to the certificate of its authority")
	}
	for _, setting := range r.NotDurable {
		c.add(Warn, "state", "%s is off on the server: results that were recorded can be lost in a power failure; turn it on", setting)
	}
	if r.Waits {
		c.add(Fail, "state", "the server waits for a synchronous standby, so what is stored hangs: start the standby, or, to go on without it, "+
			"take it out of synchronous_standby_names on the server, and reload that")
	}
	if len(r.Async) > 0 {
		c.add(Warn, "state", "no standby is synchronous (%s): a failover can lose the last results, trips and resumes. To prevent that, set "+
			"synchronous_standby_names on the server", strings.Join(r.Async, ", "))
	} else if r.Hidden > 0 {
		c.add(Warn, "state", "the role %s may not see whether the standbys are synchronous; if none is, a failover can lose the last results, trips and "+
			"resumes. To show it, run GRANT pg_read_all_stats TO %s", r.Role, postgres.Quote(r.Role))
	}
}

// listenWait is how long listening to the state may take.
const listenWait = 5 * time.Second

// hears checks whether changes are heard of at once.
func (c *checker) hears(ctx context.Context, r postgres.Report) {
	const later = "changes of other hosts are noticed only after fleet.poll (%s)"
	if c.cfg.StateListen == config.ListenOff {
		c.add(OK, "listen", "off: "+later, c.cfg.Fleet.Poll)
		return
	}
	listener, ok := c.bot.store.State.(interface {
		Listen(ctx context.Context, wake func()) error
	})
	if !ok {
		if r.Pooler && c.cfg.StateListen == "" {
			c.add(Warn, "listen", "`state` leads to a pooler, which does not pass notifications on, so "+later+
				": name the server itself in `state_listen`, or set it to \"off\"", c.cfg.Fleet.Poll)
		}
		return
	}
	ctx, cancel := context.WithTimeout(ctx, listenWait)
	defer cancel()
	heard := false
	err := listener.Listen(ctx, func() { heard = true; cancel() })
	if heard {
		c.add(OK, "listen", "changes are heard of at once")
		return
	}
	c.add(Warn, "listen", later+": %v", c.cfg.Fleet.Poll, err)
}

// hosts warns of hosts that are away or whose id another machine uses, and of other ones whose configuration differs.
func (c *checker) hosts(ctx context.Context) {
	fleet, ok := c.bot.store.State.(interface {
		Hosts(ctx context.Context) ([]store.Host, error)
	})
	if !ok {
		return
	}
	hosts, err := fleet.Hosts(ctx)
	if c.failed("hosts", err) {
		return
	}
	if f, err := c.bot.Fleet(ctx); err == nil {
		// Without a daemon, this host is away, too. Whoever checks it is there.
		if slices.ContainsFunc(f.In(status.HostAway), func(h status.Host) bool { return !h.This }) {
			c.add(Warn, "hosts", "%s: see there whether the daemon runs and reaches the state, or run `adfbot hosts retire NAME` for one that is gone for good",
				f.Summary())
		}
	}
	var other []string
	names := map[string]int{}
	for _, h := range hosts {
		if h.Retired.IsZero() && c.bot.now().Sub(h.Seen) <= c.cfg.Fleet.AwayAfter {
			if names[h.Name]++; names[h.Name] == 2 {
				c.add(Warn, "hosts", "%s: %s", h.Name, status.NameSharedText)
			}
		}
		if h.Retired.IsZero() && c.bot.now().Sub(h.IDShared) <= c.cfg.Fleet.AwayAfter {
			level := Warn
			if h.ID == c.bot.store.host {
				level = Fail
			}
			c.add(level, "hosts", "%s: %s", h.Name, status.IDSharedText)
		}
		if h.Retired.IsZero() && h.ID != c.bot.store.host {
			if keys := config.SharedDiffers(c.cfg.SharedHash(), h.Config); len(keys) > 0 {
				other = append(other, h.Name+" ("+strings.Join(keys, ", ")+")")
			}
		}
	}
	if len(other) > 0 {
		c.add(Warn, "hosts", "the configuration of %s differs from that of this host: projects, thresholds, issues and fleet should be the same everywhere",
			strings.Join(other, ", "))
	}
}
