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

// openState opens the state. recreated means that it created one although the installation had one before, which is missing. Only this
// function knows which kind of state it is.
func openState(ctx context.Context, cfg *config.Config, readOnly bool, now func() time.Time) (state store.State, recreated bool, err error) {
	sentinel := func() (string, error) {
		id, err := earlierInstallation(ctx, cfg)
		recreated = id != ""
		return id, err
	}
	s, err := sqlite.Open(ctx, cfg.State, sqlite.Options{ReadOnly: readOnly, Now: now, Sentinel: sentinel})
	if err != nil {
		return nil, false, err // not a nil *sqlite.Store
	}
	return s, recreated, nil
}

// earlierInstallation returns the id of the installation that the pause directory belongs to, or "" if there is none.
func earlierInstallation(ctx context.Context, cfg *config.Config) (string, error) {
	if err := answers(ctx, cfg.PauseDir); err != nil {
		return "", err
	}
	s, err := pause.New(cfg.PauseDir).Sentinel()
	if notReady(err) {
		err = nil
	}
	return s.Installation, err
}

// reconcilerState is the state with the locks of this host. No other host uses the state, so they guard the issues too.
type reconcilerState struct {
	store.State
	incident.HostLocker
	incident.Claimer
}

// beginRun stores a run before its command starts. release is called once its result is recorded or spooled.
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

// setChild stores the process of a run's command.
func (b *Bot) setChild(ctx context.Context, r store.Run, pid int) error {
	start, err := hostlocal.ProcessStart(pid)
	if err != nil {
		return nil // it has ended
	}
	r.ChildPID, r.ChildStart = pid, start
	return b.store.SetChild(ctx, r)
}
