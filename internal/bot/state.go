package bot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/postgres"
	"github.com/terraphim/adfbot/internal/store/sqlite"
	"github.com/terraphim/adfbot/pause"
)

// openedState is an open state, with what depends on its kind.
type openedState struct {
	store.State
	claims    incident.Claimer
	now       func() time.Time // by the clock of the state
	host      string           // id of this host; "": the state has no other
	fleet     store.Fleet      // nil: the state has no other host
	created   bool             // this process has made it; only of a file
	recreated bool             // the installation had a state before, which is missing
}

// openState opens the state.
func openState(ctx context.Context, cfg *config.Config, mode Mode, env Env) (*openedState, error) {
	switch {
	case cfg.StateErr != nil:
		return nil, fmt.Errorf("%w: %v", store.ErrUnusable, cfg.StateErr) // a result that waits is no wrong usage
	case cfg.Shared():
		return openShared(ctx, cfg, mode, env)
	}
	if err := leftBeside(cfg); err != nil {
		return nil, err
	}
	if mode != Restore {
		if err := missesFile(ctx, cfg); err != nil {
			return nil, err
		}
	}
	o := &openedState{claims: hostlocal.At(cfg.LocalDir), now: env.Now}
	s, err := sqlite.Open(ctx, cfg.State, sqlite.Options{
		ReadOnly: mode == ReadOnly, MustWrite: mode == Daemon, Now: env.Now, Sentinel: o.sentinel(ctx, cfg),
	})
	if err != nil {
		return nil, err // not a nil *sqlite.Store
	}
	o.State = s
	o.created = s.Created()
	o.recreated = o.recreated && o.created // else the sentinel is that of a process that has made the state just now
	return o, nil
}

// openShared opens a state in PostgreSQL.
func openShared(ctx context.Context, cfg *config.Config, mode Mode, env Env) (*openedState, error) {
	if mode != ReadOnly {
		if err := checkLocalDir(ctx, cfg); err != nil {
			return nil, err
		}
	}
	host, err := hostID(ctx, cfg, mode)
	if err != nil {
		return nil, err
	}
	o := &openedState{}
	options := sharedOptions(cfg, env)
	options.Host, options.ReadOnly, options.Sentinel, options.Now = host, mode == ReadOnly, o.sentinelOfFleet(ctx, cfg, mode), env.setNow
	s, err := postgres.Open(ctx, cfg.State, options)
	if errors.Is(err, store.ErrRetired) && mode != ReadOnly {
		if options.Host, err = hostlocal.At(cfg.LocalDir).NewHostID(ctx, host); err != nil {
			return nil, err
		}
		env.Log.Warn("this host was retired from the fleet, and joins it again as a new host", "was", host, "is", options.Host)
		s, err = postgres.Open(ctx, cfg.State, options)
	}
	if mode == ReadOnly && store.NoState(err) {
		err = cmp.Or(missesState(ctx, cfg), err)
	}
	if err != nil {
		return nil, err
	}
	o.host, o.fleet = options.Host, s
	o.State, o.claims, o.now = s, s, s.Now
	if err := o.checkSentinel(ctx, cfg); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return o, nil
}

// sharedOptions returns how to reach a state in PostgreSQL.
func sharedOptions(cfg *config.Config, env Env) (o postgres.Options) {
	if cfg.StatePasswordFile != "" {
		o.Password = func() (string, error) { return statePassword(cfg, env.Getenv) }
	}
	if cfg.StateListen != "off" {
		o.ListenURL = cfg.StateListen
	}
	return o
}

// leftBeside returns an error if results wait in the directory of an SQLite file, and local_dir is another one.
func leftBeside(cfg *config.Config) error {
	beside := hostlocal.Beside(cfg.State)
	if beside.Path() == filepath.Clean(cfg.LocalDir) {
		return nil
	}
	return leftIn(cfg, beside)
}

// leftIn returns an error if results wait in a directory that local_dir was before.
func leftIn(cfg *config.Config, before *hostlocal.Dir) error {
	spooled, _ := before.Spool().List()
	if len(spooled) == 0 {
		return nil
	}
	return store.Unusable(cfg.State, fmt.Sprintf("results that were never recorded wait in %s/spool: stop every adfbot, and %s, or remove them",
		before.Path(), hostlocal.At(cfg.LocalDir).MoveSpool(before)), errors.New("local_dir was changed"))
}

// checkLocalDir returns an error if local_dir is most likely not the directory that this host of a fleet had before: it would join as
// another host, and what waits in the other directory would be forgotten. After [migrate.Move], the right one is often below local_dir.
func checkLocalDir(ctx context.Context, cfg *config.Config) error {
	local := hostlocal.At(cfg.LocalDir)
	near, lacksID := local.Below(), local.LacksHostID()
	for _, dir := range near {
		if lacksID && dir.HasHostID() && !hasOwnState(ctx, dir) {
			return store.Unusable(cfg.LocalDir, "set local_dir to "+dir.Path(), errors.New("the id of this host is in a directory below local_dir"))
		}
	}
	for _, dir := range append(near, hostlocal.At(filepath.Dir(filepath.Clean(cfg.LocalDir)))) {
		if err := leftIn(cfg, dir); err != nil {
			return err
		}
	}
	if !lacksID {
		return nil
	}
	mark, err := markOf(ctx, cfg.PauseDir)
	if err != nil || mark.Host == "" {
		return nil // each pass reports what is wrong with the directory
	}
	container := ""
	if hostlocal.NoDaemonHere(cfg.HTTP.Socket, cfg.LocalDir) {
		container = "if the daemon runs in a container, its local_dir is there: start it, and use `docker exec`; "
	}
	return store.Unusable(cfg.LocalDir, fmt.Sprintf("%sif its disk is not mounted, mount it; else set local_dir to the directory whose file `host` "+
		"holds that id; if that is lost, remove %s, and this host joins as a new one", container, filepath.Join(cfg.PauseDir, pause.MarkName)),
		fmt.Errorf("local_dir has no id of this host, and pause_dir is that of the host with the id %s", mark.Host))
}

// hasOwnState reports whether the file beside a directory is a state that is still in use: [migrate.Move] was refused there.
func hasOwnState(ctx context.Context, dir *hostlocal.Dir) bool {
	s, err := sqlite.Open(ctx, dir.State(), sqlite.Options{ReadOnly: true})
	return err == nil && s.Close() == nil
}

// markOf returns the mark of a pause directory. It is the zero Mark if there is none.
func markOf(ctx context.Context, path string) (m pause.Mark, err error) {
	if err := answers(ctx, path); err != nil {
		return m, err
	}
	return pause.New(path).Mark()
}

// hostID returns the id of this host. Who may only read uses any id if there is none yet.
func hostID(ctx context.Context, cfg *config.Config, mode Mode) (string, error) {
	local := hostlocal.At(cfg.LocalDir)
	if mode != ReadOnly {
		return local.HostID(ctx)
	}
	id, err := local.KnownHostID()
	return cmp.Or(id, pause.NewRandomID()), err
}

// statePassword reads the password of the role. Who may not read it reports through the daemon.
func statePassword(cfg *config.Config, getenv func(string) string) (string, error) {
	password, err := config.ReadSecret(cfg.StatePasswordFile, getenv)
	if daemonAlone(err) && cfg.HTTP.Socket == "" {
		err = fmt.Errorf("%w; to let users who may not read it report through the daemon, set http.socket and projects[].users", err)
	}
	if err != nil {
		return "", &passwordError{fmt.Errorf("state_password_file: %w", err)}
	}
	return password, nil
}

// daemonAlone reports whether a secret could not be read because it is the daemon's: by its user, or because systemd passes it to the unit.
func daemonAlone(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, config.ErrNoCredentials)
}

// passwordError is an error of the password of the state. It is [store.ErrUnusable], and [store.ErrDenied] if the daemon may read it.
type passwordError struct{ error }

func (e *passwordError) Unwrap() error { return e.error }

func (e *passwordError) Is(target error) bool {
	return target == store.ErrUnusable || target == store.ErrDenied && daemonAlone(e.error)
}

// sentinel returns the function that a new state asks for the installation that the pause directory belongs to.
func (o *openedState) sentinel(ctx context.Context, cfg *config.Config) func() (string, error) {
	return func() (string, error) {
		id, err := earlierInstallation(ctx, cfg)
		o.recreated = id != ""
		return id, err
	}
}

// sentinelOfFleet is sentinel for a state that hosts share. Of a host that has been in a fleet, only a person's restore makes a new one:
// where the state of the fleet should be, there may be an empty database for a moment, while somebody restores it.
func (o *openedState) sentinelOfFleet(ctx context.Context, cfg *config.Config, mode Mode) func() (string, error) {
	sentinel := o.sentinel(ctx, cfg)
	return func() (string, error) {
		if mode != Restore {
			if err := missesState(ctx, cfg); err != nil {
				return "", err
			}
		}
		return sentinel()
	}
}

// inFleet reports whether the pause directory is that of a host which has been in a fleet.
func inFleet(ctx context.Context, cfg *config.Config) bool {
	mark, err := markOf(ctx, cfg.PauseDir)
	return err == nil && mark.Host != ""
}

// missesState returns an error for a host that has been in a fleet: it has to find a state.
func missesState(ctx context.Context, cfg *config.Config) error {
	mark, err := markOf(ctx, cfg.PauseDir)
	if notReady(err) || err == nil && mark.Host == "" {
		return nil
	}
	if err != nil {
		return err
	}
	return store.Unusable(cfg.State, store.LostShared, errors.New("this host belongs to a fleet, and the database has no state"))
}

// missesFile returns an error for a host that has been in a fleet, if its state is to be a file that is missing: a new one would have the id
// of the fleet, and work on the same issues.
func missesFile(ctx context.Context, cfg *config.Config) error {
	if _, err := os.Lstat(cfg.State); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if mark, err := markOf(ctx, cfg.PauseDir); err != nil || mark.Host == "" {
		return nil // each look at a flag reports what is wrong with the directory
	}
	return store.Unusable(cfg.State, "set `state` to the database of the fleet; if this host is to leave it, give it an empty pause_dir; if it has "+
		"gone back to a file (`adfbot help migrate`), mount the disk of that; if the file is lost, or the fleet is given up and its state is lost, "+
		"`adfbot restore` makes a new one here", errors.New("this host belongs to a fleet, and the file is missing"))
}

// checkSentinel returns an error if the pause directory belongs to another installation: the results of two would count together.
func (o *openedState) checkSentinel(ctx context.Context, cfg *config.Config) error {
	id, err := earlierInstallation(ctx, cfg)
	if err != nil || id == "" || id == o.Installation() {
		return nil // each look at a flag reports what is wrong with the directory
	}
	return store.Unusable(cfg.State, fmt.Sprintf("this is the state of another installation than that of the pause directory %s: correct `state` or "+
		"`pause_dir`; if this host is to join the other installation, first resume, with the configuration that it had, what is paused here, "+
		"and let its issues be closed; then give it an empty pause_dir: see `adfbot help fleet`", cfg.PauseDir),
		fmt.Errorf("the state is of installation %s, the directory of %s", o.Installation(), id))
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

// reconcilerState is the state with the locks of this host, and with the claims of all hosts that use the state.
type reconcilerState struct {
	store.State
	incident.HostLocker
	incident.Claimer
}

// beginRun stores a run before its command starts. release is called once its result is recorded or spooled. If it fails with
// [store.ErrUnusable], the state may have the run all the same: until release is called, nobody takes it for one that is gone.
func (b *Bot) beginRun(ctx context.Context, r store.Run) (_ store.Run, release func(), err error) {
	r.ID = pause.NewRandomID()
	if release, err = b.local.LockRun(r.ID, settings(b.cfg, r.Project)); err != nil {
		return r, func() {}, err
	}
	r, err = b.store.BeginRun(ctx, r)
	return r, release, err
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
