package bot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
)

// RetireHost takes a host out of the fleet, by its name or the beginning of its id. One that is not away would come back at once as a new
// host, so this takes force.
func (b *Bot) RetireHost(ctx context.Context, name string, force bool) (Done, error) {
	f, err := b.Fleet(ctx)
	if err != nil {
		return Done{}, err
	}
	h, err := f.Find(name)
	if err != nil {
		return Done{}, err
	}
	label := f.Label(h)
	switch {
	case h.State == status.HostRetired:
		return Done{Text: label + " is retired already"}, nil
	case h.State == status.HostHere && !force:
		ago := max(f.At.Sub(*h.Seen), 0)
		return Done{}, fmt.Errorf("%s was heard of %s ago, and would come back as a new host: stop adfbot there and try again in %s, or use --force",
			label, text.Duration(ago), text.Duration(max(b.cfg.Fleet.AwayAfter-ago, 0)+time.Second))
	}
	if _, err := b.store.fleet.Retire(ctx, h.ID); err != nil {
		return Done{}, err
	}
	done := Done{Text: label + " is retired: its runs that had no result are ignored, and nobody waits for its flags"}
	if h.Spooled > 0 {
		done.Problems = append(done.Problems, text.Plural(h.Spooled, "result")+" spooled there: they are recorded if the host comes back")
	}
	return done, nil
}

// RetireForgotten retires the hosts that have been away for longer than fleet.forget_after. The first call that finds such a host only
// remembers it; a process that sweeps once retires none. Only the sweep calls it, so never two at once.
func (b *Bot) RetireForgotten(ctx context.Context) error {
	if b.store.fleet == nil {
		return nil
	}
	hosts, err := b.store.fleet.Hosts(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, h := range b.absent.lasting(forgotten(hosts, b.store.host, b.now(), b.cfg.Fleet.ForgetAfter), time.Now(), b.cfg.Fleet.AwayAfter) {
		was, err := b.store.fleet.Retire(ctx, h.ID)
		if was {
			b.log.Warn("a host is retired: it was not heard of for fleet.forget_after", "host", h.Name, "id", h.ID, "last_seen", h.Seen,
				"spooled", h.Spooled)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// forgotten returns the hosts that were not heard of for so long, by the state's clock. This host is none of them, and neither is one that
// has never reported: nobody knows since when.
func forgotten(hosts []store.Host, this string, now time.Time, after time.Duration) (out []store.Host) {
	for _, h := range hosts {
		if h.Retired.IsZero() && h.ID != this && !h.Seen.IsZero() && now.Sub(h.Seen) > after {
			out = append(out, h)
		}
	}
	return out
}

// absence is when a host was first found to be forgotten, and its last heartbeat then.
type absence struct{ found, seen time.Time }

// absences keep a host from being retired because the clock of the state has jumped: then all hosts seem to be away until their next
// heartbeat.
type absences map[string]absence

// lasting returns those of the hosts that are found at a time which were found before, at least so long ago, and were not heard of since.
func (a absences) lasting(found []store.Host, at time.Time, atLeast time.Duration) (out []store.Host) {
	were := maps.Clone(a)
	clear(a)
	for _, h := range found {
		was, again := were[h.ID]
		if !again || !was.seen.Equal(h.Seen) {
			was = absence{at, h.Seen}
		}
		if a[h.ID] = was; at.Sub(was.found) >= atLeast {
			out = append(out, h)
		}
	}
	return out
}
