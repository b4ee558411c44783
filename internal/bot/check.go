package bot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/terraphim/adfbot/escalate/gitea"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
	"github.com/terraphim/adfbot/pause"
)

// Level is how good or bad a finding is.
type Level string

// Levels of findings.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "FAIL"
)

// Finding is one line of `adfbot check`.
type Finding struct {
	Level Level
	What  string
	Text  string
}

type checker struct {
	cfg  *config.Config
	env  Env
	out  []Finding
	open *Bot // nil while the state can't be opened
}

func (c *checker) add(l Level, what, format string, args ...any) {
	c.out = append(c.out, Finding{l, what, fmt.Sprintf(format, args...)})
}

// Check looks at everything that the bot needs, as the user who runs it: the configuration (which is loaded already),
// directories, state, template and, unless offline, Gitea with token and rights. It writes nothing.
func Check(ctx context.Context, cfg *config.Config, offline bool, env Env) []Finding {
	c := &checker{cfg: cfg, env: env.filled()}
	c.add(OK, "config", "%s: %s", cfg.Path, text.Plural(len(cfg.Projects), "project"))
	c.state(ctx)
	if c.open != nil {
		defer func() { _ = c.open.Close() }()
	}
	c.pauseDir(ctx)
	c.template()
	c.secretFiles()
	c.http(ctx)
	if offline {
		return c.out
	}
	c.gitea(ctx)
	return c.out
}

func (c *checker) state(ctx context.Context) {
	dir := filepath.Dir(c.cfg.State)
	b, err := Open(ctx, c.cfg, ReadOnly, c.env)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if why := status.NotWritable(nearest(dir)); why != "" {
			c.add(Fail, "state", "%s can't be made: %s", c.cfg.State, why)
			return
		}
		c.add(OK, "state", "%s is not there yet; it is made by the first result", c.cfg.State)
		return
	case err == nil:
		c.open = b
		err = b.store.Check(ctx)
	}
	bad := c.stateRights(dir)
	if err != nil {
		if !bad || !errors.Is(err, store.ErrDenied) { // what is missing was said; SQLite's words for it help nobody
			c.add(Fail, "state", "%v", err)
		}
		return
	}
	if what := hostlocal.DiskProblem(dir, hostlocal.LeastRoom); what != "" {
		bad = true
		c.add(Fail, "state", "%s: %s", dir, what)
	}
	if !bad {
		c.add(OK, "state", "%s, installation %s", c.cfg.State, b.store.Installation())
	}
	if s, err := b.local.Spool().List(); err != nil {
		c.add(Warn, "spool", "%v", err)
	} else if len(s) > 0 {
		c.add(Warn, "spool", "%s still to be stored; the next sweep does that", text.Plural(len(s), "result"))
	}
}

// stateRights tells whether this user may not write something of the state, and says what to do.
func (c *checker) stateRights(dir string) (bad bool) {
	for _, path := range []string{dir, c.cfg.State, c.cfg.State + "-wal", c.cfg.State + "-shm", c.cfg.State + ".d", c.cfg.State + ".d/locks", c.cfg.State + ".d/runs", c.cfg.State + ".d/spool"} {
		if _, err := os.Stat(path); bad && errors.Is(err, fs.ErrPermission) {
			continue // it can't be seen for the same reason
		}
		if why := status.NotWritable(path); why != "" {
			bad = true
			c.add(Fail, "state", "%s: %s", path, why)
		}
	}
	return bad
}

func (c *checker) pauseDir(ctx context.Context) {
	dir := pause.New(c.cfg.PauseDir)
	_, err := dir.Sentinel()
	err = status.AdviseRestore(err)
	if c.open != nil {
		err = c.open.AdviseRestore(ctx, c.open.rec.CheckPause())
	}
	written := false
	if c.open != nil {
		written, _ = c.open.store.FlagsWritten(ctx)
	}
	switch {
	case (errors.Is(err, pause.ErrNoDir) || errors.Is(err, pause.ErrNoSentinel)) && !written:
		if why := status.NotWritable(nearest(dir.Path())); why != "" {
			c.add(Fail, "pause_dir", "%s can't be made ready: %s", dir.Path(), why)
			return
		}
		c.add(OK, "pause_dir", "%s is not ready yet; serve or the first result makes it so. Until then the gate says unknown", dir.Path())
		return
	case err != nil:
		c.add(Fail, "pause_dir", "%v", err)
		return
	}
	if why := cmp.Or(status.NotWritable(dir.Path()), hostlocal.DiskProblem(dir.Path(), 1)); why != "" {
		c.add(Fail, "pause_dir", "%s: %s", dir.Path(), why)
		return
	}
	flags, err := dir.List()
	if err != nil {
		c.add(Fail, "pause_dir", "%v", err)
		return
	}
	c.add(OK, "pause_dir", "%s, %s paused", dir.Path(), text.Plural(len(flags), "project"))
	for _, id := range flags {
		if f, err := dir.Look(id); err == nil && f.Dangling {
			c.add(Warn, "pause_dir", "the flag of %s is a link that leads nowhere: it pauses here, but `test -e` in a script says that there is none; replace it by a file", id)
		}
		if _, ok := c.cfg.Project(id); !ok {
			c.add(Warn, "pause_dir", "%s has a flag and is no configured project", id)
		}
	}
}

func (c *checker) template() {
	file := c.cfg.Escalation.Template
	if file == "" {
		return
	}
	template, err := readTemplate(file)
	if err == nil {
		var comp *issuetext.Composer
		if comp, err = issuetext.New(template, nil); err == nil {
			err = comp.Check()
		}
	}
	if err != nil {
		c.add(Fail, "template", "%s: %v; issues are opened with the built-in one", file, err)
		return
	}
	c.add(OK, "template", "%s", file)
}

func (c *checker) secretFiles() {
	if _, err := c.cfg.Gitea.TokenSource(c.env.Getenv).Token(); err != nil {
		c.add(Fail, "token", "%v", err)
	} else {
		c.add(OK, "token", "can be read")
	}
	for _, p := range c.cfg.Projects {
		for _, name := range p.Users {
			if _, err := strconv.Atoi(name); err == nil {
				continue // a uid needs no entry anywhere
			}
			if _, err := user.Lookup(name); err != nil {
				c.add(Warn, "users", "projects[%s].users: there is no user %s on this machine; write its number if it comes from a directory that this program can't ask", p.ID, name)
			}
		}
	}
}

// http looks whether serve could start its HTTP side.
func (c *checker) http(ctx context.Context) {
	h := c.cfg.HTTP
	tokens, errs := c.cfg.Tokens(c.env.Getenv)
	for _, err := range errs {
		c.add(Fail, "http", "%v", err)
	}
	for _, w := range tokens.Warnings {
		c.add(Warn, "http", "%s", w)
	}
	if h.WebhookSecretFile != "" {
		path, err := config.ExpandCredentials(h.WebhookSecretFile, c.env.Getenv)
		if err == nil {
			_, err = config.ReadSecretFile(path)
		}
		if err != nil {
			c.add(Fail, "http", "http.webhook_secret_file: %v", err)
		}
	}
	if h.Listen != "" {
		// The port may be in use: by the daemon that this configuration is of.
		host, _, _ := net.SplitHostPort(h.Listen)
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			c.add(Fail, "http", "http.listen: %v: name an address of this machine", err)
		} else {
			_ = l.Close()
		}
	}
	if h.Socket != "" {
		dir := filepath.Dir(h.Socket)
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			c.add(Warn, "http", "http.socket: %s is not there: make it, or set RuntimeDirectory= in the unit", dir)
		}
	}
}

func (c *checker) gitea(ctx context.Context) {
	g := c.tracker()
	if g == nil {
		return
	}
	if c.open != nil && c.open.rec.TrackerError() != nil { // its gitea.url was changed: nothing is done in Gitea
		c.add(Fail, "gitea", "%v", c.open.rec.TrackerError())
		return
	}
	version, err := g.Version(ctx)
	if err != nil {
		c.add(Fail, "gitea", "%v", err)
		return
	}
	c.add(OK, "gitea", "%s answers, version %s", c.cfg.Gitea.URL, version)
	login := c.account(ctx, g)
	if login == "" {
		return
	}
	seen := map[tracker.Repo]bool{}
	for _, p := range c.cfg.Projects {
		repo := tracker.Repo{Server: c.cfg.Gitea.URL, Owner: p.Owner, Name: p.Repo}
		if !seen[repo] {
			seen[repo] = true
			c.repo(ctx, g, repo, login)
		}
	}
}

// tracker gives the tracker, also where there is no state yet; nil where there can be none, which was said.
func (c *checker) tracker() *gitea.Client {
	roots, err := rootsWith(c.cfg.Gitea.CAFile, c.env.Getenv)
	if err != nil {
		c.add(Fail, "gitea", "%v", err)
		return nil
	}
	tokens := c.cfg.Gitea.TokenSource(c.env.Getenv)
	token, err := tokens.Token()
	if err != nil {
		return nil // said of the token
	}
	return gitea.New(gitea.Options{
		URL: c.cfg.Gitea.URL, Tokens: tokens, Timeout: c.cfg.Gitea.Timeout, Roots: roots, Transport: c.env.Transport,
		Redact: redact.New(token),
	})
}

// account finds out whose token it is; "" where that can't be told and was said.
func (c *checker) account(ctx context.Context, g *gitea.Client) string {
	me, err := g.Me(ctx)
	var te *tracker.Error
	switch {
	case err == nil && c.cfg.Gitea.Login != "" && !strings.EqualFold(me.Login, c.cfg.Gitea.Login):
		c.add(Fail, "account", "the token belongs to %s, and gitea.login says %s: correct one of them", me.Login, c.cfg.Gitea.Login)
		return ""
	case err == nil:
		c.add(OK, "account", "%s (user id %d)", me.Login, me.ID)
		return me.Login
	case errors.As(err, &te) && te.Status == http.StatusForbidden && c.cfg.Gitea.Login != "":
		c.add(OK, "account", "%s, as gitea.login says; the token may not read:user, so it is not checked", c.cfg.Gitea.Login)
		return c.cfg.Gitea.Login
	case errors.As(err, &te) && te.Status == http.StatusForbidden:
		c.add(Fail, "account", "the token may not read its own account: give it the scope read:user, or set gitea.login")
	default:
		c.add(Fail, "account", "%v", err)
	}
	return ""
}

func (c *checker) repo(ctx context.Context, g *gitea.Client, repo tracker.Repo, login string) {
	issues, err := g.List(ctx, repo, login, false)
	if err != nil {
		c.add(Fail, "repository", "%v", err)
		return
	}
	foreign := 0
	for _, i := range issues {
		if c.open != nil && !i.Marker.IsZero() && i.Marker.Installation != c.open.store.Installation() {
			foreign++
		}
	}
	archived, hasIssues, mayWrite, err := g.Repository(ctx, repo)
	var te *tracker.Error
	switch {
	case errors.As(err, &te) && te.Status == http.StatusForbidden:
		c.add(OK, "repository", "%s can be listed, %s of %s; the token may not read:repository, so its rights are not checked", repo, text.Plural(len(issues), "open issue"), login)
	case err != nil:
		c.add(Fail, "repository", "%v", err)
	case archived:
		c.add(Fail, "repository", "%s is archived: unarchive it, or set gitea.owner and gitea.repo to another one", repo)
	case !hasIssues:
		c.add(Fail, "repository", "%s has its issues disabled: enable them in its settings", repo)
	case !mayWrite:
		c.add(Warn, "repository", "%s may not write to %s: issues are opened, but without labels and assignees, and can't be reopened; give it write access", login, repo)
	default:
		c.add(OK, "repository", "%s, %s of %s", repo, text.Plural(len(issues), "open issue"), login)
	}
	if foreign > 0 {
		c.add(Warn, "repository", "%s has %s of another installation by %s: those of another bot, or of a state that is lost together with its pause directory; adfbot never touches them", repo, text.Plural(foreign, "open issue"), login)
	}
}

// nearest is the closest directory above a path that exists.
func nearest(path string) string {
	for {
		if _, err := os.Stat(path); err == nil || path == filepath.Dir(path) {
			return path
		}
		path = filepath.Dir(path)
	}
}
