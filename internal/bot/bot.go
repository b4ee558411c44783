// Package bot joins the state, the pause flags and Gitea. It records results, runs commands for `adfbot exec`, sweeps,
// and drives the daemon's schedule.
//
//	result ─► state: history, breaker and, at a trip, the incident, in one transaction
//	       ─► escalate.Reconciler: pause flag, issue
//
// A result is recorded once the transaction is on disk. What follows is what the next sweep would do anyway, so an error
// or a crash there leaves it to the sweep and never undoes the result. A result that can't be stored is spooled beside
// the state, and the next command that can store takes it in. The locks are those of package escalate; in one daemon,
// sweeps by schedule and by webhook come one after the other.
package bot

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/gitea"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// Bot works on one state and pause directory. It is safe for concurrent use. Close it, always.
type Bot struct {
	*status.Reader // of this state and pause directory

	cfg    *config.Config
	store  store.State
	local  *hostlocal.Dir // what belongs to this host
	rec    *escalate.Reconciler
	gitea  *gitea.Client // nil where the configuration has none
	tokens *config.TokenSource
	redact *redact.Redactor
	log    *slog.Logger
	now    func() time.Time
	host   string

	mode     Mode
	env      Env
	tokenErr error // why the token can't be read
	rootsErr error // why gitea.ca_file can't be used

	sweeping chan struct{} // its one place: the daemon's sweeps, by schedule and by a hint, come one after the other
}

// Mode says what a command is about to do.
type Mode int

const (
	// Results: exec and record. They make the pause directory as long as no flag was ever written, and where the token can't
	// be read they leave the issue to serve.
	Results Mode = iota
	// Operate: sweep, serve, resume and pause by a person. What keeps them from Gitea is an error.
	Operate
	// ReadOnly: status, check and a dry run. They write nothing at all.
	ReadOnly
	// Restore: restore. It leaves the sentinel to Restore itself.
	Restore
	// Daemon: serve. It makes the pause directory, as Results does, and reports what keeps it from Gitea, as Operate does.
	Daemon
)

// Env is what a bot takes from its process. The zero value is that of production.
type Env struct {
	Log       *slog.Logger
	Getenv    func(string) string
	Now       func() time.Time
	Uptime    func() incident.Uptime // nil: the machine's, or none beside a Now of the caller's own
	Transport http.RoundTripper      // to Gitea; nil: the network
	Observe   Observers              // nil: nobody
}

func (e Env) filled() Env {
	if e.Log == nil {
		e.Log = slog.New(slog.DiscardHandler)
	}
	if e.Getenv == nil {
		e.Getenv = os.Getenv
	}
	if e.Uptime == nil && e.Now == nil {
		e.Uptime = MachineUptime
	}
	if e.Now == nil {
		e.Now = time.Now
	}
	return e
}

// Open opens the state and joins the parts. It makes no request.
func Open(ctx context.Context, cfg *config.Config, mode Mode, env Env) (*Bot, error) {
	env = env.filled()
	b := &Bot{cfg: cfg, log: env.Log, now: env.Now, tokens: cfg.Gitea.TokenSource(env.Getenv), mode: mode, env: env,
		sweeping: make(chan struct{}, 1), local: hostlocal.Beside(cfg.State)}
	b.host, _ = os.Hostname()
	var err error
	if mode != ReadOnly {
		if err = b.local.Create(ctx); err != nil {
			return nil, err
		}
	}
	if b.store, err = openState(ctx, cfg, mode == ReadOnly, env.Now); err != nil {
		return nil, err
	}
	if err := b.join(ctx, pause.New(cfg.PauseDir), mode, env); err != nil {
		_ = b.store.Close()
		return nil, err
	}
	return b, nil
}

// sentinelID is the installation in the sentinel, "" where there is no directory or sentinel.
func sentinelID(dir pause.Dir) (string, error) {
	s, err := dir.Sentinel()
	if errors.Is(err, pause.ErrNoDir) || errors.Is(err, pause.ErrNoSentinel) {
		return "", nil
	}
	return s.Installation, err
}

func (b *Bot) join(ctx context.Context, dir pause.Dir, mode Mode, env Env) error {
	_, b.tokenErr = b.tokens.Token()
	b.redact = redactorWith(b.cfg, b.tokens, env.Getenv)
	var server tracker.Client
	if b.cfg.Gitea.URL != "" {
		roots, err := rootsWith(b.cfg.Gitea.CAFile, b.env.Getenv)
		if b.rootsErr = err; err == nil {
			b.gitea = gitea.New(gitea.Options{
				URL: b.cfg.Gitea.URL, Tokens: b.tokens, Timeout: b.cfg.Gitea.Timeout, Roots: roots, Transport: env.Transport, Redact: b.redact,
				Observe: env.Observe.Requested,
			})
			server = b.gitea
		}
	}
	template, err := readTemplate(b.cfg.Escalation.Template)
	if err != nil {
		b.log.Warn("issue template can't be read, the built-in one is used", "file", b.cfg.Escalation.Template, "err", err)
	}
	composer, err := issuetext.New(template, b.redact)
	if err != nil {
		b.log.Warn("issue template is wrong, the built-in one is used", "file", b.cfg.Escalation.Template, "err", err)
		if composer, err = issuetext.New("", b.redact); err != nil {
			return err
		}
	}
	o := b.options()
	o.Dir, o.Composer, o.Uptime = dir, composer, env.Uptime
	leaves := b.tokenErr != nil && mode == Results // the issues are left to serve: the separated set-up is like that
	if !leaves {
		o.Tracker = server
	}
	if b.rec, err = escalate.New(o); err != nil {
		return err
	}
	b.Reader = status.NewReader(status.Sources{
		Config: b.cfg, State: b.store, Spool: b.local.Spool(), Reconciler: b.rec, Redactor: b.redact, Now: b.now, TokenErr: b.tokenErr,
	})
	if !leaves {
		b.rec.SetTrackerError(b.unfit())
	}
	if mode == Results || mode == Daemon {
		if err := b.ensureDir(ctx, dir); err != nil {
			b.log.Warn("pause directory can't be made ready", "dir", dir.Path(), "err", err)
		}
	} else if mode == Operate {
		if err := b.fillSentinel(dir); err != nil {
			b.log.Warn("the empty sentinel can't be given the installation's id", "dir", dir.Path(), "err", err)
		}
	}
	return b.checkMoved(ctx, mode)
}

// unfit tells what keeps this process from asking Gitea at all. Neither is a reason not to record, to flag or to run.
func (b *Bot) unfit() error { return errors.Join(b.tokenErr, b.rootsErr) }

// fitAgain tells whether a token or certificate that could not be read can be read now.
func (b *Bot) fitAgain() bool {
	if b.unfit() == nil {
		return false
	}
	_, err := b.tokens.Token()
	_, err2 := rootsWith(b.cfg.Gitea.CAFile, b.env.Getenv)
	return err == nil && err2 == nil
}

// RedactorFor masks the bot's own tokens and the values of the variables that the operator named.
func RedactorFor(cfg *config.Config, getenv func(string) string) *redact.Redactor {
	return redactorWith(cfg, cfg.Gitea.TokenSource(getenv), getenv)
}

// redactorWith leaves a token out that can't be read: who can't read it can't leak it.
func redactorWith(cfg *config.Config, tokens *config.TokenSource, getenv func(string) string) *redact.Redactor {
	var secrets []string
	if token, err := tokens.Token(); err == nil {
		secrets = append(secrets, token)
	}
	files := []string{cfg.HTTP.TokenFile, cfg.HTTP.WebhookSecretFile}
	for _, p := range cfg.Projects {
		files = append(files, p.TokenFile)
	}
	for _, file := range files {
		if file == "" {
			continue
		}
		path, err := config.ExpandCredentials(file, getenv)
		if err != nil {
			continue
		}
		if secret, err := config.ReadSecretFile(path); err == nil {
			secrets = append(secrets, secret)
		}
	}
	for _, name := range cfg.Escalation.RedactEnv {
		if v := getenv(name); v != "" {
			secrets = append(secrets, v)
		}
	}
	return redact.New(secrets...)
}

func rootsWith(file string, getenv func(string) string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	file, err := config.ExpandCredentials(file, getenv)
	if err != nil {
		return nil, fmt.Errorf("gitea.ca_file: %w", err)
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("gitea.ca_file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("gitea.ca_file %s: holds no certificate in PEM", file)
	}
	return pool, nil
}

func readTemplate(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	b, err := os.ReadFile(file)
	return string(b), err
}

// options are the reconciler's, as the configuration has them.
func (b *Bot) options() escalate.Options {
	c := b.cfg
	return escalate.Options{
		Installation: b.store.Installation(), State: reconcilerState{b.store, b.local, b.local}, Log: b.log, Now: b.now,
		Server: c.Gitea.URL, Login: c.Gitea.Login, Timeout: c.Gitea.Timeout,
		Projects: c.ProjectIDs(), Mentions: c.Escalation.Mentions, DueIn: c.Escalation.DueIn,
		Commands: escalate.CommandOptions{
			State: b.store, Operators: c.Operators, CloseResumes: len(c.Operators) > 0 && c.OnIssueClosed == config.Resume,
			Describe: func(ctx context.Context, project string) (string, error) { return b.Describe(ctx, project) }, // b.Reader needs the reconciler
		},
		Target: func(project string) escalate.Target {
			p := c.ProjectOrDefault(project) // it may leave the configuration while its incident is open
			return escalate.Target{
				Repo:   tracker.Repo{Server: c.Gitea.URL, Owner: p.Owner, Name: p.Repo},
				Labels: p.Labels, Assignees: p.Assignees,
			}
		},
	}
}

// ensureDir makes the pause directory and its sentinel as long as the state knows of no flag that was ever written. After
// that only a person does, or restore: a directory that has vanished must not look like one without flags.
func (b *Bot) ensureDir(ctx context.Context, dir pause.Dir) error {
	s, err := dir.Sentinel()
	switch {
	case err == nil && s.Installation != "":
		return nil
	case err == nil:
		return dir.Init(b.store.Installation())
	case !errors.Is(err, pause.ErrNoDir) && !errors.Is(err, pause.ErrNoSentinel):
		return nil // whoever looks at a flag gets this error
	}
	written, err := b.store.FlagsWritten(ctx)
	if err != nil || written {
		return err
	}
	return dir.Init(b.store.Installation())
}

func (b *Bot) fillSentinel(dir pause.Dir) error {
	if s, err := dir.Sentinel(); err != nil || s.Installation != "" {
		return nil
	}
	return dir.Init(b.store.Installation())
}

// Where the state and the configuration last agreed on a place.
const (
	metaURL      = "gitea_url"
	metaPauseDir = "pause_dir"
)

// checkMoved refuses a changed gitea.url or pause_dir while incidents depend on the old one. In a new place there are
// neither their flags nor their issues, and absence there would mean nothing.
func (b *Bot) checkMoved(ctx context.Context, mode Mode) error {
	for _, m := range []struct {
		key, now string
		refuse   func(error)
		advice   string
	}{
		{metaURL, b.cfg.Gitea.URL, b.rec.SetTrackerError, "if it is the same Gitea under a new address, or a new one that the issues are to be opened in again, confirm it with `adfbot sweep --confirm-gitea-url`; else set gitea.url back"},
		{metaPauseDir, b.cfg.PauseDir, b.rec.SetDirError, "run `adfbot restore` to write the flags of paused projects to the new directory; else set pause_dir back"},
	} {
		was, err := b.store.Meta(ctx, m.key)
		if err != nil {
			return err
		}
		if was == m.now || m.now == "" {
			continue
		}
		busy := 0
		if was != "" {
			if busy, err = b.unfinished(ctx, m.key == metaPauseDir); err != nil {
				return err
			}
		}
		switch {
		case busy > 0:
			m.refuse(fmt.Errorf("%s was changed from %s to %s while %d incidents or holds depend on it: %s", configKey(m.key), was, m.now, busy, m.advice))
		case mode != ReadOnly:
			if err := b.store.SetMeta(ctx, m.key, m.now); err != nil {
				return err
			}
		}
	}
	return nil
}

func configKey(meta string) string {
	if meta == metaURL {
		return "gitea.url"
	}
	return meta
}

// unfinished counts the incidents that depend on the pause directory (open ones, and holds) or on Gitea (unsettled ones).
func (b *Bot) unfinished(ctx context.Context, flags bool) (int, error) {
	incidents, err := b.store.Unsettled(ctx, "")
	if err != nil {
		return 0, err
	}
	if !flags {
		return len(incidents), nil
	}
	holds, err := b.store.Holds(ctx)
	n := len(holds)
	for _, i := range incidents {
		if i.IsOpen() && !slices.ContainsFunc(holds, func(h incident.Hold) bool { return h.Project == i.Project }) {
			n++
		}
	}
	return n, err
}

// ConfirmURL accepts a changed gitea.url: everything that is known under the old address is looked for under the new one.
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
	b.rec.SetTrackerError(b.unfit())
	b.log.Info("gitea.url confirmed", "was", was, "is", b.cfg.Gitea.URL)
	return nil
}

// Redactor masks secrets in what people are shown and what is stored.
func (b *Bot) Redactor() *redact.Redactor { return b.redact }

// Close folds the state's log in and lets go of it.
func (b *Bot) Close() error {
	if b.gitea != nil {
		b.gitea.CloseIdle()
	}
	return b.store.Close()
}
