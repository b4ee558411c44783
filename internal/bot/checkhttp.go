package bot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/text"
)

// http checks whether serve could start its HTTP side, or runs already.
func (c *checker) http(ctx context.Context) {
	h := c.cfg.HTTP
	tokens, errs := c.cfg.Tokens(c.env.Getenv)
	own, _ := c.cfg.Gitea.TokenSource(c.env.Getenv).Token() // why there is none is another finding
	given := func(key, secret string) {
		if secret == own && own != "" {
			c.add(Warn, "http", "%s holds the bot's token for Gitea, so whoever sends it may act as the bot there: "+
				"put one of its own there, generated with `openssl rand -hex 32`", key)
		}
	}
	given("http.token_file", tokens.Admin)
	for _, t := range tokens.Projects {
		given("projects["+t.Entry+"].token_file", t.Token)
	}
	for _, err := range errs {
		c.failed("http", err)
	}
	for _, w := range tokens.Warnings {
		c.add(Warn, "http", "%s", w)
	}
	if h.WebhookSecretFile != "" {
		c.openToAgents("http", "http.webhook_secret_file", h.WebhookSecretFile)
		secret, err := config.ReadBotSecret(h.WebhookSecretFile, c.env.Getenv)
		if err != nil {
			c.failed("http", fmt.Errorf("http.webhook_secret_file: %w", err))
		} else if given("http.webhook_secret_file", secret); secret == tokens.Admin {
			c.add(Warn, "http", "http.webhook_secret_file holds the token of http.token_file, so whoever manages the webhook in Gitea may do everything: "+
				"give the webhook one of its own, generated with `openssl rand -hex 32`")
		}
	}
	c.ineffective()
	if h.Listen != "" {
		c.listen(ctx, h.Listen)
	}
	if h.Socket != "" {
		c.socket(ctx, h.Socket)
	}
}

// ineffective names what is configured and has no effect without something else.
func (c *checker) ineffective() {
	h := c.cfg.HTTP
	need := func(key string, set bool, what string, has bool) {
		if set && !has {
			c.add(Warn, "http", "%s has no effect without %s", key, what)
		}
	}
	need("http.token_file", h.TokenFile != "", "http.listen", h.Listen != "")
	need("http.webhook_secret_file", h.WebhookSecretFile != "", "http.listen", h.Listen != "" || h.Socket != "") // a proxy may use the socket
	need("http.hosts", len(h.Hosts) > 0, "http.listen", h.Listen != "")
	for _, p := range c.cfg.Projects {
		need("projects["+p.Name()+"].token_file", p.TokenFile != "", "http.listen", h.Listen != "")
		need("projects["+p.Name()+"].users", len(p.Users) > 0, "http.socket", h.Socket != "")
	}
	need("on_issue_closed: resume", c.cfg.OnIssueClosed == config.Resume, "operators", len(c.cfg.Operators) > 0)
}

// PortAdvice is for an address whose port this process may not use.
const PortAdvice = "use a port from 1024 on, or, in a unit of the system, add AmbientCapabilities=CAP_NET_BIND_SERVICE, and the same to " +
	"CapabilityBoundingSet= if it has that"

func (c *checker) listen(ctx context.Context, addr string) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	switch {
	case err == nil:
		_ = l.Close()
	case errors.Is(err, syscall.EADDRINUSE):
		switch yes, silent := daemonAnswers(ctx, "tcp", addr); {
		case silent:
			c.add(Fail, "http", "http.listen: %v, and nothing answers there in %s: %s (`ss -ltnp`, run as root, shows it), or set another port", err, daemonWait, endSilent)
		case !yes:
			c.add(Fail, "http", "http.listen: %v, and it is not adfbot: `ss -ltnp`, run as root, shows the process; end it, or set another port", err)
		}
	case errors.Is(err, fs.ErrPermission):
		if yes, _ := daemonAnswers(ctx, "tcp", addr); !yes { // whose unit may do more than this user
			c.add(Fail, "http", "http.listen: %v: %s", err, PortAdvice)
		}
	default:
		c.add(Fail, "http", "http.listen: %v: use an address of this machine", err)
	}
}

func (c *checker) socket(ctx context.Context, path string) {
	info, err := os.Lstat(path)
	missing := errors.Is(err, fs.ErrNotExist)
	dir := filepath.Dir(path)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		c.add(Fail, "http", "http.socket: %s is missing: %s", dir, MakeSocketDir(dir, c.env.Getenv("XDG_RUNTIME_DIR")))
		return
	}
	switch {
	case err != nil && !missing:
		c.add(Fail, "http", "http.socket: %v", err)
		return
	case !missing && info.Mode().Type() != fs.ModeSocket:
		c.add(Fail, "http", "http.socket: %s exists and is no socket: move it away, or set another path", path)
		return
	case !missing:
		yes, silent := daemonAnswers(ctx, "unix", path)
		if silent {
			c.add(Fail, "http", "http.socket: %s is in use, and nothing answers there in %s: %s, or set another path", path, daemonWait, endSilent)
		}
		if yes || silent {
			return
		}
	}
	if conn, err := net.DialTimeout("unix", path, daemonWait); err == nil {
		_ = conn.Close()
		c.add(Fail, "http", "http.socket: %s is in use by another process, which is not adfbot: end it, or set another path", path)
		return
	}
	if why := c.installation.NotWritable(dir); why != "" {
		c.add(Fail, "http", "http.socket: %s: %s", dir, c.ownDir(path, "http.socket", why))
	}
}

// MakeSocketDir says how to make the directory of the socket, which is missing. own is $XDG_RUNTIME_DIR of a person who is logged in, or of
// that person's own systemd.
func MakeSocketDir(dir, own string) string {
	create := "create it for the daemon's user"
	runtimeDir := regexp.MustCompile(`^(?:/var)?/run/(user/\d+/)?(.+)$`) // what RuntimeDirectory= names, in units of the system or of a user
	below := runtimeDir.FindStringSubmatch(dir)
	switch {
	case below == nil:
		return create
	case below[1] == "" && own != "":
		return fmt.Sprintf("start the daemon by a unit of the system with RuntimeDirectory=%s, or %s; a unit of a user's own makes %s: "+
			"if it is started by one, set `http.socket` to a path in that", below[2], create, filepath.Join(own, below[2]))
	}
	return "start the daemon by a unit with RuntimeDirectory=" + below[2] + ", or " + create
}

// reaches checks whether a user may enter the directory of the socket.
func (c *checker) reaches(u *user.User, dir string) {
	groups, _ := u.GroupIds()
	for path := dir; ; path = filepath.Dir(path) {
		info, err := os.Stat(path)
		if err != nil {
			return // it is missing, which is another finding
		}
		search := fs.FileMode(0o001)
		if st, _ := info.Sys().(*syscall.Stat_t); st != nil && strconv.Itoa(int(st.Uid)) == u.Uid {
			search = 0o100
		} else if st != nil && slices.Contains(groups, strconv.Itoa(int(st.Gid))) {
			search = 0o010
		}
		if info.Mode()&search == 0 && u.Uid != "0" {
			c.add(Warn, "users", "%s may not enter %s (%s), and so not report through http.socket: %s", u.Username, path, info.Mode(), letIn(path))
			return
		}
		if path == filepath.Dir(path) {
			return
		}
	}
}

// letIn says how other users get to a socket in or below a directory that they may not enter.
func letIn(dir string) string {
	if own, _ := filepath.Match("/run/user/*", dir); own {
		return "systemd makes it anew at each boot: set `http.socket` to a path elsewhere"
	}
	return "run chmod o+x " + text.ShellQuote(dir)
}

const daemonWait = 3 * time.Second // for a daemon's answer

// endSilent is for what listens and says nothing, as a daemon does in a container that is paused, or behind Ctrl-Z.
const endSilent = "if the daemon was stopped or hangs, continue or restart it; else end what listens there"

// daemonAnswers reports whether an adfbot daemon serves at an address, or something that does not answer in time.
func daemonAnswers(ctx context.Context, network, addr string) (yes, silent bool) {
	ctx, cancel := context.WithTimeout(ctx, daemonWait)
	defer cancel()
	t := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/healthz", nil)
	if err != nil {
		return false, false
	}
	res, err := t.RoundTrip(r)
	if err != nil {
		return false, errors.Is(ctx.Err(), context.DeadlineExceeded)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 16))
	return err == nil && res.StatusCode == http.StatusOK && string(body) == "ok\n", false
}
