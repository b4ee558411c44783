package bot

import (
	"context"
	"errors"
	"fmt"

	"github.com/terraphim/adfbot/pause"
)

// notReady reports whether an error means that the pause directory or its sentinel is missing.
func notReady(err error) bool {
	return errors.Is(err, pause.ErrNoDir) || errors.Is(err, pause.ErrNoSentinel)
}

// prepareDir writes the installation's id into an empty sentinel. Results and Daemon also create the pause directory
// and its sentinel, but only as long as no flag was ever written: a directory that has vanished must not look like one
// without flags.
func (b *Bot) prepareDir(ctx context.Context, mode Mode) error {
	if mode == ReadOnly || mode == Restore {
		return nil
	}
	dir := b.rec.Dir()
	s, err := dir.Sentinel()
	switch {
	case err == nil && s.Installation != "":
		return nil
	case err == nil:
		return dir.Init(b.store.Installation())
	case mode == Operate || !notReady(err):
		return nil // each look at a flag reports it
	}
	written, err := b.store.FlagsWritten(ctx)
	if err != nil || written {
		return err
	}
	return dir.Init(b.store.Installation())
}

// The keys of the state's meta table for the places that the state and the configuration last agreed on.
const (
	metaURL      = "gitea_url"
	metaPauseDir = "pause_dir"
)

// checkMoved refuses a changed gitea.url or pause_dir while incidents depend on the old one: in a new place their flags
// and issues are missing, which does not mean that anybody removed them.
func (b *Bot) checkMoved(ctx context.Context, mode Mode) error {
	unsettled := func() (int, error) {
		list, err := b.store.Unsettled(ctx, "")
		return len(list), err
	}
	paused := func() (int, error) {
		projects, err := b.PausedInState(ctx)
		return len(projects), err
	}
	for _, place := range []struct {
		meta, key, now string
		depending      func() (int, error)
		refuse         func(error)
		fix            string
	}{
		{metaURL, "gitea.url", b.cfg.Gitea.URL, unsettled, b.rec.SetTrackerError,
			"if it is the same Gitea at a new address, or a new one for the issues to be opened in again, confirm it with `adfbot sweep --confirm-gitea-url`; else set gitea.url back"},
		{metaPauseDir, "pause_dir", b.cfg.PauseDir, paused, b.rec.SetDirError,
			"run `adfbot restore` to write the flags of paused projects to the new directory; else set pause_dir back"},
	} {
		was, err := b.store.Meta(ctx, place.meta)
		if err != nil {
			return err
		}
		if was == place.now || place.now == "" {
			continue
		}
		n := 0
		if was != "" {
			if n, err = place.depending(); err != nil {
				return err
			}
		}
		if n > 0 {
			place.refuse(fmt.Errorf("%s was changed from %s to %s while %d incidents or holds depend on it: %s", place.key, was, place.now, n, place.fix))
		} else if mode != ReadOnly {
			if err := b.store.SetMeta(ctx, place.meta, place.now); err != nil {
				return err
			}
		}
	}
	return nil
}

// ConfirmURL accepts a changed gitea.url: whatever is known at the old address is looked up at the new one.
func (b *Bot) ConfirmURL(ctx context.Context) error {
	was, err := b.store.Meta(ctx, metaURL)
	if err != nil || was == b.cfg.Gitea.URL {
		return err
	}
	if err := b.store.MoveServer(ctx, was, b.cfg.Gitea.URL); err != nil {
		return err
	}
	if err := b.store.SetMeta(ctx, metaURL, b.cfg.Gitea.URL); err != nil {
		return err
	}
	b.rec.SetTrackerError(b.accessError())
	b.log.Info("gitea.url confirmed", "was", was, "is", b.cfg.Gitea.URL)
	return nil
}
