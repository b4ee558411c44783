package bot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/store"
)

// How often a daemon does what in its fleet.
const (
	beatEvery   = 5 * time.Second        // at least six times before it counts as away
	passAtLeast = 200 * time.Millisecond // from one pass to the next, however often it is woken
	listenAgain = 30 * time.Second       // at most, after the connection has broken
)

// inFleet keeps this host in its fleet until stop is called: its flags follow the state, what waits in its spool is stored, and the
// others know that it is alive. The poll is what counts; listening only makes it faster. left gets why this bot may not go on for its host:
// somebody has taken that out of the fleet ([store.ErrRetired]), or its id is lost. Without a fleet it does nothing.
func (b *Bot) inFleet(ctx context.Context) (left <-chan error, stop func()) {
	if b.store.fleet == nil {
		return nil, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	wake, out := make(chan struct{}, 1), make(chan error, 2)
	if b.cfg.StateListen != config.ListenOff {
		running.Go(func() { b.listen(ctx, wake) })
	}
	running.Go(func() { b.follow(ctx, wake, out) })
	running.Go(func() { b.keepBeating(ctx, out) })
	return out, func() {
		cancel()
		running.Wait()
	}
}

// errHostLost means that local_dir was lost or replaced while this bot had it in use.
var errHostLost = errors.New("local_dir no longer has the id of this host")

// checkHost returns [errHostLost] once local_dir has no id of this host, or another one: commands go by what is there, and a bot that went on
// would be another host to them, in the same pause directory. A file that cannot be read says nothing about the id.
func (b *Bot) checkHost() error {
	if id, err := b.local.KnownHostID(); err == nil && id != b.store.host {
		return fmt.Errorf("%w, %s", errHostLost, b.store.host)
	}
	return nil
}

// inHost calls f if this bot may go on for its host, and reports to left if it may not, by that or by what f returns.
func (b *Bot) inHost(ctx context.Context, left chan<- error, f func(context.Context) error) (goOn bool, err error) {
	if err = b.checkHost(); err == nil {
		err = f(ctx)
	}
	if errors.Is(err, store.ErrRetired) || errors.Is(err, errHostLost) {
		left <- err
		return false, err
	}
	return true, err
}

// listen wakes the passes of this host when a project was paused or resumed anywhere.
func (b *Bot) listen(ctx context.Context, wake chan<- struct{}) {
	var failed changes
	for wait := time.Second; ctx.Err() == nil; wait = min(2*wait, listenAgain) {
		begun := time.Now()
		err := b.store.fleet.Listen(ctx, func() {
			b.env.observe(func(o Observer) { o.Listening(true) })
			select {
			case wake <- struct{}{}:
			default:
			}
		})
		b.env.observe(func(o Observer) { o.Listening(false) })
		if ctx.Err() != nil {
			return
		}
		if time.Since(begun) > listenAgain {
			wait, failed = time.Second, changes{}
		}
		if failed.is(err) {
			b.log.Warn("cannot listen for pauses and resumes of other hosts, so they are noticed by polling alone", "poll", b.cfg.Fleet.Poll, "err", err)
		}
		sleep(ctx, wait)
	}
}

// follow makes a pass over this host's flags whenever it is woken or the poll is due. It ends if this bot may not go on for its host.
func (b *Bot) follow(ctx context.Context, wake <-chan struct{}, left chan<- error) {
	var failed changes
	for ctx.Err() == nil {
		goOn, err := b.inHost(ctx, left, b.pass)
		if !goOn {
			return
		}
		if failed.is(err) && ctx.Err() == nil {
			b.log.Warn("cannot bring all pause flags of this host in line, trying again", "err", err)
		}
		sleep(ctx, passAtLeast)
		poll := time.NewTimer(jitter(b.cfg.Fleet.Poll - passAtLeast))
		select {
		case <-wake:
		case <-poll.C:
		case <-ctx.Done():
		}
		poll.Stop()
	}
}

// changes tells the first of equal errors in a row: an outage must not fill the log.
type changes struct{ last string }

// is reports whether there is an error that is not the last one again.
func (c *changes) is(err error) bool {
	was := c.last
	if c.last = ""; err != nil {
		c.last = err.Error()
	}
	return c.last != "" && c.last != was
}

// pass stores what waits in the spool, as results that are older come first, and brings this host's flags in line with the state.
func (b *Bot) pass(ctx context.Context) error {
	var errs []error
	if !b.spool.IsEmpty(b.local.Spool()) {
		_, err := b.RecordSpooled(ctx)
		errs = append(errs, err)
	}
	_, err := b.rec.SweepLocal(ctx)
	return errors.Join(append(errs, err, b.followKnown(ctx))...)
}

// jitter returns a time that is up to a fifth shorter or longer, so that hosts do not ask in step.
func jitter(d time.Duration) time.Duration {
	return max(d*4/5+rand.N(max(d*2/5, 1)), 0)
}

// sleep waits, unless ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// keepBeating tells the others that this host is alive. It ends if this bot may not go on for its host.
func (b *Bot) keepBeating(ctx context.Context, left chan<- error) {
	every := min(beatEvery, b.cfg.Fleet.AwayAfter/6)
	for ctx.Err() == nil {
		goOn, err := b.inHost(ctx, left, b.beat)
		if !goOn {
			return
		}
		if err != nil && ctx.Err() == nil {
			b.log.Debug("cannot tell the other hosts that this one is alive", "err", err)
		}
		sleep(ctx, jitter(every))
	}
}

// beat stores what the other hosts should know of this one.
func (b *Bot) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.Fleet.AwayAfter)
	defer cancel()
	h := store.Host{Name: b.host, Boot: b.boot(), Version: b.env.Version, Config: b.cfg.SharedHash(), Offset: -b.offset(),
		CanIssue: b.gitea != nil && b.accessError() == nil && !b.turns.tokenRefused(b.token)}
	if list, err := b.spooled(everyProject); err == nil {
		h.Spooled = len(list)
	}
	if err := b.checkDir(ctx); err != nil {
		h.DirError = strings.ReplaceAll(err.Error(), "\n", "; ") // others read it on one line
	}
	return b.store.fleet.Beat(ctx, h)
}

// unpaused returns the hosts of the fleet that say why they cannot write flags. Those that are away, or have not come to it yet, do not.
func (b *Bot) unpaused(ctx context.Context) (u incident.Unpaused, err error) {
	hosts, err := b.store.fleet.Hosts(ctx)
	if err != nil {
		return u, err
	}
	missing, err := b.store.fleet.MissingFlags(ctx)
	if err != nil {
		return u, err
	}
	u = incident.Unpaused{Projects: map[string][]incident.UnpausedHost{}, Names: map[string]string{}}
	dir := map[string]string{}
	for _, h := range hosts {
		u.Names[h.ID], dir[h.ID] = h.Name, h.DirError
	}
	for _, m := range missing {
		if why := cmp.Or(m.Error, dir[m.Host]); why != "" {
			u.Projects[m.Project] = append(u.Projects[m.Project], incident.UnpausedHost{ID: m.Host, Name: u.Names[m.Host], Why: why})
		}
	}
	return u, nil
}
