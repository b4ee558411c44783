// Package bot joins the state, the pause flags and Gitea: it records results, runs commands for `adfbot exec`, sweeps,
// and drives the daemon's schedule.
//
//	result ─► state: history, breaker and, at a trip, the incident, in one transaction
//	       ─► escalate.Reconciler: pause flag, then issue
//
// # In a fleet
//
// Where hosts share a state in PostgreSQL, the daemon keeps this one in the fleet (infleet.go): it listens for pauses and resumes
// elsewhere and polls, which is what counts; each time it stores what waits in the spool and lets escalate make a pass over this host's
// flags. It beats, so that the others see it as here. One host at a time claims the sweep (turns.go), and one that cannot reach Gitea
// leaves it to the others for a while. A host that cannot reach the state resumes nothing, and pauses a project by what its own spool
// holds; when it is back, its removals come first, then the spool, then its own pauses are settled.
//
// # Silence
//
// The daemon looks once a minute whether projects report as the configuration expects (silence.go). All that decides is in the state, so
// that it does not matter which host looks, nor which process.
//
// # On disk
//
// The state (package store), unless it is in PostgreSQL; the directory of this host, by default <state>.d, with locks, files of runs and
// the spool (package hostlocal); and the pause directory (package pause), which also tells gate which projects of patterns are
// known (known.go). Hosts that share a state have a pause directory each: what
// the state knows of it is stored under a key of the host. A result that cannot be stored is written to the spool, and the
// next command that can store results records it. Until then its failures pause a project by a flag alone.
//
// # After a crash
//
// A result is recorded once its transaction is on disk. All that follows is what the next sweep does anyway, so an
// error or a crash there never undoes the result. A run during which adfbot was killed is left in the state
// without a process; the next sweep records it as a failure. A restore writes the sentinel last, so one that was killed
// can be repeated.
//
// # Locks
//
// Package escalate takes the locks of flags and issues. A Bot holds only the lock of a run's file, for as long as its
// command runs, that of the spool while it counts what is there, and in its own process Bot.sweeping, which runs the sweeps of the schedule and of the webhook one at a
// time.
package bot

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/gitea"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/pager"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// Bot works on one state and one pause directory. It is safe for concurrent use. It must be closed.
type Bot struct {
	*status.Reader // of this state and pause directory

	cfg    *config.Config
	env    Env
	log    *slog.Logger
	now    func() time.Time
	store  *openedState
	local  *hostlocal.Dir
	spool  hostlocal.SpoolWatch
	rec    *escalate.Reconciler
	gitea  *gitea.Client // nil if none is configured or rootsErr is set
	redact *redact.Redactor
	host   string

	tokenErr error // why the token cannot be read
	rootsErr error // why gitea.ca_file cannot be used
	roots    *x509.CertPool
	pager    *pager.Client

	daemon   bool    // it was opened by serve
	refused  []place // see checkMoved
	turns    turns
	sweeping chan struct{} // holds one value while a sweep of the daemon runs
	absent   absences      // see RetireForgotten
	known    knownHere

	hintedRuns hintedRuns
}

// Mode is what a command is going to do with a bot.
type Mode int

const (
	// Results is for exec, record and pause. It creates the pause directory as long as no flag was ever written, and
	// leaves the issues to the daemon if the token cannot be read.
	Results Mode = iota
	// Operate is for sweep and resume. It reports what keeps it from Gitea as an error.
	Operate
	// ReadOnly is for status, check and dry runs. It writes nothing.
	ReadOnly
	// Restore is for restore. It leaves the pause directory to [Bot.Restore].
	Restore
	// Daemon is for serve. It creates the pause directory as Results does, and reports errors as Operate does.
	Daemon
)

// Env is what a bot takes from its process. The zero value is for production.
type Env struct {
	Log       *slog.Logger           // nil: nothing is logged
	Getenv    func(string) string    // nil: os.Getenv
	Now       func() time.Time       // nil: time.Now
	Uptime    func() incident.Uptime // nil: the machine's, or none if Now is set
	Transport http.RoundTripper      // to Gitea; nil: the network
	Observe   []Observer             // called one after the other
	Version   string                 // of this program, for the other hosts of a fleet
	Own       hostlocal.OwnSpools    // for results that the spool beside the state does not take; nil: those are lost

	filled bool             // withDefaults was called
	setNow func() time.Time // Now before that
}

func (e Env) withDefaults() Env {
	if !e.filled {
		e.filled, e.setNow = true, e.Now
	}
	if e.Log == nil {
		e.Log = slog.New(slog.DiscardHandler)
	}
	if e.Getenv == nil {
		e.Getenv = os.Getenv
	}
	if e.Uptime == nil && e.Now == nil {
		e.Uptime = hostlocal.MachineUptime()
	}
	if e.Now == nil {
		e.Now = time.Now
	}
	return e
}

// Open opens the state and connects the parts. It makes no request.
func Open(ctx context.Context, cfg *config.Config, mode Mode, env Env) (*Bot, error) {
	env = env.withDefaults()
	b := &Bot{cfg: cfg, env: env, log: env.Log, now: env.Now, sweeping: make(chan struct{}, 1), absent: absences{}, local: hostlocal.At(cfg.LocalDir), daemon: mode == Daemon}
	b.host = HostName(cfg)
	var err error
	if mode == Daemon {
		if _, err = cfg.Sweep.Cron(); err != nil {
			return nil, err
		}
	}
	if mode != Daemon {
		if err := status.Elsewhere(cfg); err != nil {
			return nil, err
		}
	}
	if mode == Restore && !inFleet(ctx, cfg) { // to a host that has been in one, restore makes a state that its daemon does not make
		if err := status.NothingToRestore(cfg); err != nil {
			return nil, err
		}
	}
	if cfg.Shared() && mode != ReadOnly && hostlocal.NoDaemonHere(cfg.HTTP.Socket, cfg.LocalDir) {
		if err := checkLocalDir(ctx, cfg); err != nil { // before it is made
			return nil, err
		}
	}
	if mode != ReadOnly {
		err = b.local.Create(ctx)
		if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENOTDIR) { // it may take no more than the spool
			b.log.Warn("cannot use the directory beside the state", "err", err)
		} else if err != nil {
			return nil, err
		}
	}
	if mode == Daemon && cfg.Shared() { // the disk of a file says so by itself
		if err := status.Installation(cfg).DirWritable(cfg.LocalDir); err != nil {
			return nil, store.Unusable(cfg.LocalDir, "`local_dir` has to be writable", err)
		}
	}
	if b.store, err = openState(ctx, cfg, mode, env); err != nil {
		return nil, err
	}
	b.now = b.store.now
	if b.store.fleet != nil {
		b.store.claims = observedClaims{b.store.claims, env}
	}
	if err := b.connect(ctx, mode); err != nil {
		_ = b.store.Close()
		return nil, err
	}
	if b.store.recreated {
		b.log.Warn(b.Warning())
	}
	return b, nil
}

// HostName returns what people call this host.
func HostName(cfg *config.Config) string {
	name, _ := os.Hostname()
	return cmp.Or(cfg.Fleet.Host, name)
}

// Warning returns what the user should know about the state that was opened, or "".
func (b *Bot) Warning() string {
	if !b.store.recreated {
		return ""
	}
	return fmt.Sprintf("a new state was created at %s, because that of this installation is missing. If %s; "+
		"what is recorded until then will be missing there. If it is lost, open incidents are rebuilt", b.cfg.State, whereItIs(b.cfg))
}

// whereItIs says after "if" why the state may be missing, and what to do then.
func whereItIs(cfg *config.Config) string {
	if cfg.Shared() {
		return "it is in another database, correct `state`"
	}
	where := "its disk is not mounted, mount it; if it is elsewhere, correct `state`; if another installation uses the pause directory, set `pause_dir` to another one"
	if hostlocal.NoDaemonHere(cfg.HTTP.Socket, cfg.OwnPath()) {
		where = "the daemon runs in a container, its state is there: start it, and use `docker exec`; if " + where
	}
	return where
}

// connect makes the reconciler and the reader of an open state, and gets the pause directory ready.
func (b *Bot) connect(ctx context.Context, mode Mode) error {
	_, b.tokenErr = b.cfg.Gitea.TokenSource(b.env.Getenv).Token()
	b.redact = RedactorFor(b.cfg, b.env.Getenv)
	b.gitea, b.roots, b.rootsErr = newClient(b.cfg, b.env, b.redact)
	b.pager = b.newPager()
	o := b.options()
	if mode == Daemon {
		o.DirTrust = time.Second // what waits for it is bounded by package web
	}
	var err error
	if o.Composer, err = newComposer(b.cfg.Escalation.Template, b.redact); err != nil {
		b.log.Warn("cannot use the issue template, using the built-in one", "file", b.cfg.Escalation.Template, "err", err)
		if o.Composer, err = newComposer("", b.redact); err != nil {
			return err
		}
	}
	// Where users share a machine, only the daemon may read the token.
	leaveIssues := b.tokenErr != nil && mode == Results
	if b.gitea != nil && !leaveIssues {
		o.Tracker = b.gitea
	}
	if b.rec, err = escalate.New(o); err != nil {
		return err
	}
	b.Reader = status.NewReader(status.Sources{
		Config: b.cfg, State: b.store, Spool: b.local.Spool(), Own: b.env.Own, Reconciler: b.rec, Redactor: b.redact, Now: b.now, TokenErr: b.tokenErr,
		Fleet: b.store.fleet, Host: b.store.host,
	})
	if !leaveIssues {
		b.rec.SetTrackerError(b.accessError())
	}
	if err := b.prepareDir(ctx, mode); err != nil {
		b.log.Warn("cannot get the pause directory ready", "dir", b.cfg.PauseDir, "err", err)
	}
	return b.checkMoved(ctx, mode)
}

// options returns the reconciler's options from the configuration, without Tracker and Composer.
func (b *Bot) options() escalate.Options {
	c := b.cfg
	o := escalate.Options{
		Installation: b.store.Installation(), State: reconcilerState{b.store, b.local, b.store.claims}, Dir: pause.New(c.PauseDir),
		Directory: func(ctx context.Context) (string, error) { return b.store.Meta(ctx, b.hostKey(metaDirectory)) },
		Unstored:  b.unstored,
		Log:       b.log, Now: b.now, Uptime: b.uptime(),
		Server: c.Gitea.URL, Login: c.Gitea.Login, Timeout: c.Gitea.Timeout,
		// Only when it is needed: the user database may be slow.
		RunAs:      sync.OnceValue(func() string { return status.RunAs(c, b.env.Getenv("PATH")) }),
		RemoveAs:   sync.OnceValue(func() string { return status.RemoveAs(c, b.env.Getenv("PATH")) }),
		ConfigFlag: c.ShellFlag(),
		Match:      config.Matches, Instance: c.Instance,
		Known: func(ctx context.Context) ([]string, error) {
			known, err := b.store.KnownProjects(ctx)
			return c.ProjectIDs(known), err
		},
		Projects: c.ProjectIDs(nil), Mentions: c.Escalation.Mentions, DueIn: c.Escalation.DueIn, StormWindow: c.Escalation.StormWindow,
		Escalation: escalation(c.Escalation), Webhooks: b.pager,
		Commands: escalate.CommandOptions{
			State: b.store, Operators: c.Operators, CloseResumes: len(c.Operators) > 0 && c.OnIssueClosed == config.Resume,
			Describe: func(ctx context.Context, project string) (string, error) { return b.Describe(ctx, project) }, // b.Reader needs the reconciler
		},
		Target: func(project string) escalate.Target {
			_, known := c.Project(project)
			p := c.ProjectOrDefault(project) // it may leave the configuration while its incident is open
			return escalate.Target{
				Default: !known,
				Repo:    tracker.Repo{Server: c.Gitea.URL, Owner: p.Owner, Name: p.Repo},
				Labels:  p.Labels, Assignees: p.Assignees,
				Workflow: tracker.Workflow{Repo: p.Actions.Path(), File: p.Actions.Workflow, Disable: p.Actions.Disable},
			}
		},
	}
	for _, p := range c.Projects {
		if p.Match != "" {
			o.ByPattern = c.ByPattern
			o.PatternRepos = append(o.PatternRepos, tracker.Repo{Server: c.Gitea.URL, Owner: p.Owner, Name: p.Repo})
		}
	}
	if b.store.fleet != nil {
		o.Fleet, o.Host, o.HostName, o.Unpaused = b.store.fleet, b.store.host, b.host, b.unpaused
		o.FlagConfirmed = func(since time.Time) { b.env.observe(func(w Observer) { w.FlagConfirmed(b.now().Sub(since)) }) }
	}
	return o
}

// uptime returns the clock of the machine's boot, which tells what an earlier boot has left. The clock of a shared state needs none.
func (b *Bot) uptime() func() incident.Uptime {
	if b.store.host != "" {
		return nil
	}
	return b.env.Uptime
}

// Redactor masks secrets in what people are shown and what is stored.
func (b *Bot) Redactor() *redact.Redactor { return b.redact }

// Close closes the state.
func (b *Bot) Close() error {
	if b.gitea != nil {
		b.gitea.CloseIdle()
	}
	b.pager.CloseIdle()
	return b.store.Close()
}
