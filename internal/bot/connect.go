package bot

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/terraphim/adfbot/escalate/gitea"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/redact"
)

// newClient returns a client of Gitea and the certificates that it trusts. The client is nil if Gitea is not configured or the
// certificates cannot be read.
func newClient(cfg *config.Config, env Env, redactor *redact.Redactor) (*gitea.Client, *x509.CertPool, error) {
	if cfg.Gitea.URL == "" {
		return nil, nil, nil
	}
	roots, err := readRoots(cfg.Gitea.CAFile, env.Getenv)
	if err != nil {
		return nil, nil, err
	}
	return gitea.New(gitea.Options{
		URL: cfg.Gitea.URL, Tokens: cfg.Gitea.TokenSource(env.Getenv), Timeout: cfg.Gitea.Timeout, Roots: roots,
		Transport: env.Transport, Redact: redactor,
		Observe: func(op string, status int, took time.Duration) {
			env.observe(func(o Observer) { o.Requested(op, status, took) })
		},
	}), roots, nil
}

// accessError returns what keeps this process from asking Gitea at all. Results are recorded and flags are written
// without it.
func (b *Bot) accessError() error { return errors.Join(b.tokenErr, b.rootsErr) }

// accessRestored reports whether a token or certificate that could not be read can be read now.
func (b *Bot) accessRestored() bool {
	if b.accessError() == nil {
		return false
	}
	_, tokenErr := b.cfg.Gitea.TokenSource(b.env.Getenv).Token()
	_, rootsErr := readRoots(b.cfg.Gitea.CAFile, b.env.Getenv)
	return tokenErr == nil && rootsErr == nil
}

// rootsChanged reports whether gitea.ca_file holds other certificates than those that the client uses.
func (b *Bot) rootsChanged() bool {
	roots, err := readRoots(b.cfg.Gitea.CAFile, b.env.Getenv)
	return err == nil && b.gitea != nil && !roots.Equal(b.roots)
}

// RedactorFor returns a redactor of the bot's own secrets and of the environment variables in escalation.redact_env. It
// leaves out a secret that this process cannot read and so cannot leak.
func RedactorFor(cfg *config.Config, getenv func(string) string) *redact.Redactor {
	r := redact.New()
	learnSecrets(r, cfg, getenv)
	return r
}

// learnSecrets has a redactor of [RedactorFor] know the secrets as they are now.
func learnSecrets(r *redact.Redactor, cfg *config.Config, getenv func(string) string) {
	add := func(secret string, err error) {
		if err == nil && secret != "" {
			r.Learn(secret)
		}
	}
	add(cfg.Gitea.TokenSource(getenv).Token())
	files := []string{cfg.HTTP.TokenFile, cfg.HTTP.WebhookSecretFile, cfg.StatePasswordFile}
	for _, p := range cfg.Projects {
		files = append(files, p.TokenFile)
	}
	for _, file := range append(files, cfg.Escalation.WebhookFiles()...) {
		if file != "" {
			add(config.ReadSecret(file, getenv))
		}
	}
	for _, name := range slices.Concat(cfg.TokenVars(), cfg.Escalation.RedactEnv) {
		add(getenv(name), nil)
	}
}

// maxFile is the largest file that is read as certificates or as a template, in bytes.
const maxFile = 16 << 20

// readRoots returns the certificates of the system and of a file, or nil if no file is configured.
func readRoots(file string, getenv func(string) string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	file, err := config.ExpandCredentials(file, getenv)
	if err != nil {
		return nil, fmt.Errorf("gitea.ca_file: %w", err)
	}
	pem, err := config.ReadFile(file, maxFile)
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

// newComposer returns a composer of issues by the template in a file, or by the built-in one if file is "".
func newComposer(file string, redactor *redact.Redactor) (*issuetext.Composer, error) {
	var template []byte
	if file != "" {
		var err error
		if template, err = config.ReadFile(file, maxFile); err != nil {
			return nil, err
		}
	}
	return issuetext.New(string(template), redactor)
}
