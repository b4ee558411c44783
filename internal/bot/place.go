package bot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// notReady reports whether an error means that the pause directory or its sentinel is missing.
func notReady(err error) bool {
	return errors.Is(err, pause.ErrNoDir) || errors.Is(err, pause.ErrNoSentinel)
}

// dirLock is the lock of whoever writes the sentinel and stores its id.
const (
	dirLock = "pause directory"
	dirWait = 5 * time.Second
)

// prepareDir writes the installation's id into an empty sentinel, and fills a directory that was in memory after a reboot. Results and Daemon also create the pause directory
// and its sentinel, but only as long as no flag was ever written: a directory that has vanished must not look like one
// without flags. The state keeps the directory's id, so that what lies under a mount point is not taken for it.
func (b *Bot) prepareDir(ctx context.Context, mode Mode) error {
	if mode == ReadOnly || mode == Restore {
		return nil
	}
	prepare, err := b.dirStep(ctx, mode)
	if err != nil || prepare == nil {
		return err
	}
	unlock, err := b.local.LockHere(ctx, dirLock, dirWait)
	if err != nil {
		return err
	}
	defer unlock()
	if prepare, err = b.dirStep(ctx, mode); err != nil || prepare == nil { // else another process has done it
		return err
	}
	return prepare(ctx)
}

// dirStep returns what has to be done under a lock to get the pause directory ready, or nil. If the directory is ready, dirStep updates
// the copy of its sentinel. What is wrong with the directory is reported by each look at a flag.
func (b *Bot) dirStep(ctx context.Context, mode Mode) (func(context.Context) error, error) {
	known, metaErr := b.store.Meta(ctx, b.hostKey(metaDirectory))
	if metaErr != nil {
		return nil, metaErr
	}
	s, err := b.rec.Sentinel()
	if rebooted, bootErr := b.lostInReboot(ctx, err); rebooted || bootErr != nil {
		return b.fillDir, bootErr
	}
	switch {
	case err != nil && (mode == Operate || !notReady(err)), err == nil && s.Installation != "" && s.Installation != b.store.Installation():
		return nil, nil
	case err == nil && s.Installation == "":
		return b.newDir(), nil
	case err == nil && s.Directory == known && known != "":
		b.keepSentinel(s)
		return nil, b.noteBoot(ctx)
	case err == nil && b.usedLast(s):
		return b.joinFleet, nil
	}
	next, nextErr := b.store.Meta(ctx, b.hostKey(metaNextDirectory))
	if nextErr != nil {
		return nil, nextErr
	}
	accept := func(ctx context.Context) error { return b.acceptDir(ctx, s.Directory) }
	if b.store.host != "" {
		accept = b.joinFleet // other hosts may have paused projects meanwhile
	}
	if err == nil && s.Directory == next && next != "" {
		return accept, nil
	}
	written, writtenErr := b.store.FlagsWritten(ctx)
	waiting, _ := b.spooled(everyProject)
	written = written || slices.ContainsFunc(waiting, func(e hostlocal.Spooled) bool { return !e.PausedAt.IsZero() }) || b.isSecondState()
	switch {
	case writtenErr != nil:
		return nil, writtenErr
	case written && (known != "" || err != nil && b.store.host == ""): // flags may be lost; a new host may have died while it wrote them
		return nil, nil
	case err != nil, s.Directory == "": // an earlier version gave it no id
		return b.newDir(), nil
	}
	return accept, nil
}

// isSecondState reports whether the state was made in the place of one that is lost, and which may have had flags.
func (b *Bot) isSecondState() bool { return status.IsSecondState(b.cfg, b.store.Installation()) }

// usedLast reports whether this host of a fleet has used the pause directory last, by what is on its own disks. The state does not know the
// directory if it has gone back in time, or if somebody has run restore while its address led to another one.
func (b *Bot) usedLast(s pause.Sentinel) bool {
	if b.store.host == "" || s != b.local.Sentinel() {
		return false
	}
	mark, err := b.rec.Dir().Mark()
	return err == nil && mark.Host == b.store.host
}

// checkDir returns why the pause directory is not to be believed. One that this host has used last is taken back into use.
func (b *Bot) checkDir(ctx context.Context) error {
	err := b.rec.CheckPause(ctx)
	if errors.Is(err, pause.ErrOtherDirectory) {
		if s, _ := b.rec.Sentinel(); b.usedLast(s) {
			err = errors.Join(b.prepareDir(ctx, Daemon), b.rec.CheckPause(ctx))
		}
	}
	if err == nil {
		err = b.rec.CheckWritable(ctx)
	}
	return status.AdviseRestore(b.cfg, err)
}

// noteBoot stores in which boot a pause directory in memory was last seen with its sentinel.
func (b *Bot) noteBoot(ctx context.Context) error {
	boot := b.boot()
	if boot == "" || !hostlocal.InMemory(b.cfg.PauseDir) {
		return nil
	}
	was, err := b.store.Meta(ctx, b.hostKey(metaBoot))
	if err != nil || was == boot {
		return err
	}
	return b.store.SetMeta(ctx, b.hostKey(metaBoot), boot)
}

// boot returns the id of the machine's boot, "" if it is unknown.
func (b *Bot) boot() string {
	if b.env.Uptime == nil {
		return ""
	}
	return b.env.Uptime().Boot
}

// lostInReboot reports whether the pause directory is missing or without its sentinel because it was in memory, and still is, and the
// machine has booted since. On a disk, and in the same boot, that may mean that a file system is not mounted or that somebody emptied it.
func (b *Bot) lostInReboot(ctx context.Context, dirErr error) (bool, error) {
	boot := b.boot()
	if !notReady(dirErr) || boot == "" || !hostlocal.InMemory(b.cfg.PauseDir) {
		return false, nil
	}
	dir, err := b.store.Meta(ctx, b.hostKey(metaPauseDir))
	if err != nil || dir != b.cfg.PauseDir {
		return false, err
	}
	was, err := b.store.Meta(ctx, b.hostKey(metaBoot))
	return was != "" && was != boot, err
}

// fillDir writes the flags of all paused projects into a directory that the reboot has emptied, and then the sentinel.
func (b *Bot) fillDir(ctx context.Context) error {
	projects, err := b.writeFlags(ctx)
	if err == nil {
		b.log.Warn("the pause directory was in memory, and the machine has booted: its flags are written again", "dir", b.cfg.PauseDir, "paused", projects)
	}
	return err
}

// newDir returns what makes a pause directory ready that had no flags of this host. In a fleet, projects may be paused already.
func (b *Bot) newDir() func(context.Context) error {
	if b.store.host == "" {
		return b.renewDir
	}
	return b.joinFleet
}

// joinFleet writes the flags of all paused projects into the pause directory of a new host, and then the sentinel. Until then, gate
// reports every project as unknown.
func (b *Bot) joinFleet(ctx context.Context) error {
	projects, err := b.writeFlags(ctx)
	if err == nil {
		b.log.Info("this host has joined the fleet", "host", b.store.host, "dir", b.cfg.PauseDir, "paused", projects)
	}
	return err
}

// renewDir makes this directory the only one of the installation. The state learns the new id first, so that after a crash the directory
// is known.
func (b *Bot) renewDir(ctx context.Context) error {
	if err := b.createDir(); err != nil {
		return err
	}
	next := pause.NewRandomID()
	if err := b.store.SetMeta(ctx, b.hostKey(metaNextDirectory), next); err != nil {
		return err
	}
	fault.Point(ctx, "sentinel-announced")
	if _, err := b.writeKnown(ctx); err != nil { // before the sentinel, as flags are
		b.log.Warn("cannot let gate know the projects of patterns yet", "err", err)
	}
	if err := b.rec.Dir().Renew(pause.Sentinel{Installation: b.store.Installation(), Directory: next}); err != nil {
		return err
	}
	fault.Point(ctx, "sentinel-renewed")
	return b.acceptDir(ctx, next)
}

// acceptDir stores the id of the installation's pause directory.
func (b *Bot) acceptDir(ctx context.Context, directory string) error {
	err := errors.Join(b.store.SetMeta(ctx, b.hostKey(metaDirectory), directory), b.noteBoot(ctx))
	if err == nil {
		b.keepSentinel(pause.Sentinel{Installation: b.store.Installation(), Directory: directory})
	}
	return err
}

// keepSentinel updates the copy of the sentinel for [Gate], which does not read the state.
func (b *Bot) keepSentinel(s pause.Sentinel) {
	if b.local.Sentinel() == s {
		return
	}
	if err := b.local.KeepSentinel(s); err != nil {
		b.log.Warn("cannot keep a copy of the pause directory's sentinel for gate", "err", err)
	}
}

// The keys of the state's meta table for the places that the state and the configuration last agreed on. Those of the pause directory are
// made by hostKey.
const (
	metaURL           = "gitea_url"
	metaMovedFrom     = "gitea_moved_from" // see noteMove
	metaPauseDir      = "pause_dir"
	metaDirectory     = "pause_dir_id"      // [pause.Sentinel].Directory
	metaNextDirectory = "pause_dir_next_id" // the one that the sentinel gets next, or has got already
	metaBoot          = "pause_dir_boot"    // of the machine, if the directory is in memory
)

// hostKey returns the key of a fact about this host.
func (b *Bot) hostKey(key string) string { return store.HostKey(key, b.store.host) }

// place is a place that the state and the configuration have to agree on.
type place struct {
	meta, key, now string
	depending      func(context.Context) (int, error) // incidents and holds
	refuse         func(error)
	fix            string // %s is the command
	command        string
	runAs          func(cfg *config.Config, searchPath string) string // what comes before it
}

func (b *Bot) places() []place {
	unsettled := func(ctx context.Context) (int, error) {
		list, err := b.store.Unsettled(ctx, "")
		if err != nil {
			return 0, err
		}
		silent, err := b.store.Silent(ctx, "")
		return len(list) + len(silent), err
	}
	paused := func(ctx context.Context) (int, error) {
		projects, err := b.PausedInState(ctx)
		return len(projects), err
	}
	return []place{
		{metaURL, "gitea.url", b.cfg.Gitea.URL, unsettled, b.rec.SetTrackerError,
			"if the server has moved, or the issues are to be opened again on a new one, confirm it with `%s`; else set gitea.url back",
			"adfbot sweep --confirm-gitea-url", status.RunWithTokenAs},
		{b.hostKey(metaPauseDir), "pause_dir", b.cfg.PauseDir, paused, func(err error) { b.rec.SetDirError(status.MovedDirError{Err: err}) },
			"run `%s` to write the flags of paused projects to the new directory; else set pause_dir back", "adfbot restore", restoreAs},
	}
}

// restoreAs is [status.RunRestoreAs] with the error of a pause directory that is not used yet.
func restoreAs(cfg *config.Config, searchPath string) string {
	err := answers(context.Background(), cfg.PauseDir)
	if err == nil { // it does not hang
		if _, statErr := os.Stat(cfg.PauseDir); errors.Is(statErr, fs.ErrNotExist) {
			err = pause.ErrNoDir
		}
	}
	return status.RunRestoreAs(cfg, searchPath, err)
}

// dependents returns how many incidents and holds depend on another place than that of the configuration, and which one. Without any,
// the place of the configuration is as good.
func (b *Bot) dependents(ctx context.Context, p place) (n int, was string, err error) {
	if was, err = b.store.Meta(ctx, p.meta); err != nil || was == p.now || p.now == "" || was == "" {
		return 0, was, err
	}
	n, err = p.depending(ctx)
	return n, was, err
}

// checkMoved refuses a changed gitea.url or pause_dir while incidents depend on the old one: in a new place their flags
// and issues are missing, which does not mean that anybody removed them.
func (b *Bot) checkMoved(ctx context.Context, mode Mode) error {
	for _, p := range b.places() {
		n, was, err := b.dependents(ctx, p)
		switch {
		case err != nil:
			return err
		case n > 0:
			command := p.runAs(b.cfg, b.env.Getenv("PATH")) + p.command + b.cfg.ShellFlag()
			p.refuse(fmt.Errorf("%s was changed from %s to %s while %s: %s", p.key, was, p.now, depend(n), fmt.Sprintf(p.fix, command)))
			b.refused = append(b.refused, p)
		case was != p.now && p.now != "" && mode != ReadOnly:
			if p.meta == metaURL && was != "" {
				if err := b.noteMove(ctx); err != nil {
					return err
				}
			}
			if err := b.store.SetMeta(ctx, p.meta, p.now); err != nil {
				return err
			}
		}
	}
	return nil
}

// accepted returns the key of a place that was refused when the bot was opened and would not be refused now, or "": another process has
// confirmed it, or nothing depends on the old one any more.
func (b *Bot) accepted(ctx context.Context) string {
	for _, p := range b.refused {
		if n, _, err := b.dependents(ctx, p); err == nil && n == 0 {
			return p.key
		}
	}
	return ""
}

func depend(n int) string {
	if n == 1 {
		return "1 incident or hold depends on it"
	}
	return fmt.Sprintf("%d incidents or holds depend on it", n)
}
