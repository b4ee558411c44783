package bot

import (
	"context"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
	"github.com/terraphim/adfbot/pause"
)

// openState opens the state. Nothing else in this package knows which kind of state it is.
func openState(ctx context.Context, cfg *config.Config, readOnly bool, now func() time.Time) (store.State, error) {
	dir := pause.New(cfg.PauseDir)
	s, err := sqlite.Open(ctx, cfg.State, sqlite.Options{
		ReadOnly: readOnly, Now: now, Sentinel: func() (string, error) { return sentinelID(dir) },
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// reconcilerState is what the reconciler needs: the state, and the locks. One host uses the state, so the locks of the host
// guard the issues too.
type reconcilerState struct {
	store.State
	incident.HostLocker
	incident.Claimer
}

// beginRun stores that a run begins, before its command starts. release is called once its result is recorded or spooled.
func (b *Bot) beginRun(ctx context.Context, r store.Run) (_ store.Run, release func(), err error) {
	r.ID = pause.NewRandomID()
	if release, err = b.local.LockRun(r.ID); err != nil {
		return r, nil, err
	}
	if r, err = b.store.BeginRun(ctx, r); err != nil {
		release()
		return r, nil, err
	}
	return r, release, nil
}

// setChild stores which process the command of a run is.
func (b *Bot) setChild(ctx context.Context, r store.Run, pid int) error {
	start, err := hostlocal.ProcessStart(pid)
	if err != nil {
		return nil // it has ended already
	}
	r.ChildPID, r.ChildStart = pid, start
	return b.store.SetChild(ctx, r)
}

// keepReady creates what a full disk will need, unless the state has been moved away.
func (b *Bot) keepReady() error {
	if err := b.store.Moved(); err != nil {
		return err
	}
	return b.local.KeepReady()
}
