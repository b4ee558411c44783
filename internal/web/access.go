package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/redact"
)

// access is the right that a route requires.
type access int

const (
	// accessOpen requires nothing. The answer says no more than that the daemon is alive.
	accessOpen access = iota
	// accessSigned requires nothing here: the handler checks the signature of the body.
	accessSigned
	// accessPublic requires nothing on a loopback listener if the request names this machine, else accessAdmin.
	accessPublic
	// accessGate is accessPublic, but the right to report for the project in the path is enough.
	accessGate
	// accessKey requires the token of the project in the path, which is the key in the path. Nothing else gives that right, and a refusal
	// does not tell a wrong key from an unknown project.
	accessKey
	// accessReport requires the right to report for some project. The handler calls caller.may with the project concerned.
	accessReport
	// accessAdmin requires http.token_file, or root or the daemon's own user at the socket.
	accessAdmin
)

// request is a request that [Server.allow] has authenticated.
type request struct {
	*http.Request
	*setup // in force when it arrived
	caller caller
	socket bool // it came over the socket

	body      []byte          // of a route that takes one
	output    *redact.Capture // of a route that takes an output; nil: none was sent
	freeBody  func()          // gives back the memory of the body, which is not used any more
	freePlace func()          // gives back the place of a request that only waits for Gitea
}

// handler answers a request, or returns an error for [Server.problemOf].
type handler func(http.ResponseWriter, *request) error

type caller struct {
	admin   bool
	known   bool // it has sent a valid token, or connected to the socket
	local   bool // it has connected to the socket: it has this machine's clock
	cfg     *config.Config
	entries []string // the ids and patterns of the projects that it may report for
	name    string   // in notes and the log, e.g. "the API token" or "agent-odilo (uid 1004)"
}

// may reports whether the caller may see a project and report for it.
func (c caller) may(project string) bool {
	if c.admin || len(c.entries) == 0 {
		return c.admin
	}
	entry, _, ok := c.cfg.Entry(project)
	return ok && c.mayEntry(entry)
}

// mayEntry reports whether the caller may know of an entry of the configuration.
func (c caller) mayEntry(name string) bool { return c.admin || slices.Contains(c.entries, name) }

// notAllowed is the refusal of a known caller.
func (c caller) notAllowed(fix string) error {
	return refused(http.StatusForbidden, "Not allowed", "%s%s", c.mayOnly(), fix)
}

func (c caller) mayOnly() string {
	if len(c.entries) == 0 {
		return c.name + " may not do that"
	}
	return fmt.Sprintf("%s may report for %s and ask about it, and nothing else", c.name, some(c.entries))
}

// some returns the first names of a list.
func some(names []string) string {
	const most = 5
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}

// allow authenticates the caller and calls the route's handler if it has the right. Over TCP, a caller sends a token as Bearer or as the password
// of Basic, which browsers support; at the socket, the kernel identifies the user. A wrong token is refused even where none is
// required; a wrong login only where one is, because a proxy passes on the login for itself.
func (s *Server) allow(rt route) http.HandlerFunc {
	return func(w http.ResponseWriter, hr *http.Request) {
		r := &request{Request: hr, freeBody: func() {}}
		r.setup, _ = hr.Context().Value(setupKey{}).(*setup)
		_, r.socket = hr.Context().Value(peerKey{}).(peer)
		err := s.serve(w, r, rt)
		if rt.level == accessKey {
			s.answerPing(w, r, err)
		} else if err != nil {
			s.answerProblem(w, hr, s.problemOf(w, r, err))
		}
	}
}

// serve calls the route's handler once the caller has the right, the body is there and there is a place.
func (s *Server) serve(w http.ResponseWriter, r *request, rt route) error {
	if err := r.authenticate(w, rt.level); err != nil {
		return err
	}
	if !r.permitted(rt.level) {
		return r.refuse(w, rt.level)
	}
	defer func() { r.freeBody() }()
	if rt.level == accessKey { // before an output, which costs more than a result
		if err := s.limitPings(w, r); err != nil {
			return err
		}
	}
	if rt.body != bodyNone {
		if err := s.readBody(w, r, rt); err != nil {
			return err
		}
	}
	give, err := s.takePlace(w, r, rt.class)
	if err != nil {
		return err
	}
	r.freePlace = sync.OnceFunc(give)
	defer r.freePlace()
	return rt.handle(w, r)
}

func (r *request) authenticate(w http.ResponseWriter, level access) error {
	if level == accessKey {
		r.caller, _ = r.keys.callerOf(r.PathValue("key"))
		r.caller.cfg, r.caller.admin = r.cfg, false
		return nil
	}
	if r.socket {
		r.caller = r.peerCaller()
		return nil
	}
	if level == accessOpen || level == accessSigned {
		return nil
	}
	c, ok := r.keys.caller(r.Request)
	if c.cfg = r.cfg; ok {
		r.caller = c
	} else if !isLogin(r.Request) || !r.permitted(level) {
		return r.refuseToken(w, level)
	}
	return nil
}

// refuseToken returns the reason why a token is not accepted, or a login that may be for a proxy, and the fix.
func (r *request) refuseToken(w http.ResponseWriter, level access) error {
	const leaveOut = "; %sif a proxy adds the header Authorization, let it leave that out"
	if r.isUnknownHost(level) && !r.keys.open(level) {
		return r.refuseHost(fmt.Sprintf(leaveOut, ""))
	}
	hint := r.hostsHint(level)
	if r.permitted(level) {
		hint = fmt.Sprintf(leaveOut, "none is needed here: ")
	}
	return unauthorized(w, "the request has no valid token: send Authorization: Bearer TOKEN, with "+r.tokenFor(level)+
		"; a token that was replaced there is valid after the bot's next reload, or restart where systemd provides the file"+hint)
}

func (r *request) permitted(level access) bool {
	open := !r.socket && r.cfg.HTTP.Loopback() && ownHost(r.Host, r.cfg.HTTP)
	switch level {
	case accessOpen:
		return true
	case accessSigned:
		return r.cfg.HTTP.WebhookSecretFile != ""
	case accessPublic:
		return open || r.caller.admin
	case accessKey:
		return r.caller.may(r.PathValue("id"))
	case accessGate:
		return open || r.caller.may(r.PathValue("id"))
	case accessReport:
		return r.caller.admin || len(r.caller.entries) > 0
	}
	return r.caller.admin
}

// refuse returns the reason why a request is not permitted, and the fix.
func (r *request) refuse(w http.ResponseWriter, level access) error {
	switch {
	case level == accessKey:
		return errPing(http.StatusNotFound, "not found")
	case level == accessSigned:
		return refused(http.StatusNotFound, "No webhook", "this bot takes no events: set http.webhook_secret_file and reload it")
	case r.socket && !r.caller.known:
		return refused(http.StatusForbidden, "Unknown user", "the operating system did not report whose connection this is")
	case r.socket && (level == accessAdmin || level == accessPublic):
		return refused(http.StatusForbidden, "Not allowed", "%s: use the socket as the bot's user or root%s", r.caller.mayOnly(), r.orOverTCP())
	case r.socket && len(r.caller.entries) == 0:
		return refused(http.StatusForbidden, "Not allowed",
			"%s may not report for any project: add the user to projects[].users in the bot's configuration and reload it", r.caller.name)
	case level == accessPublic && isLogin(r.Request) && r.caller.known && r.keys.open(level): // a browser asks for another password after a 401 only
		return unauthorized(w, r.caller.mayOnly()+": send that of http.token_file")
	case r.socket:
		return r.caller.notAllowed(": add the user to projects[].users of that project and reload the bot, or use the socket as the bot's user or root")
	case r.caller.known && r.keys.open(accessAdmin):
		return r.caller.notAllowed(": use http.token_file, or the socket as the bot's user or root")
	case r.isUnknownHost(level) && !r.keys.open(level): // on loopback, so it is the name
		return r.refuseHost("")
	case r.caller.known:
		return r.caller.notAllowed(": set http.token_file and reload the bot, or use the socket as the bot's user or root")
	case len(r.keys) == 0:
		return refused(http.StatusForbidden, "No token is configured",
			"without http.token_file only health, metrics, page and gate are served over TCP: set it and reload the bot, or use http.socket")
	}
	return unauthorized(w, "send "+r.tokenFor(level)+": Authorization: Bearer TOKEN"+r.hostsHint(level))
}

// orOverTCP names what gives every right elsewhere: at the socket, a token is not looked at.
func (r *request) orOverTCP() string {
	if r.keys.open(accessAdmin) {
		return ", or the token of http.token_file over TCP"
	}
	return ""
}

// isUnknownHost reports whether a request would be answered without a token if its Host named this machine.
func (r *request) isUnknownHost(level access) bool {
	return !r.socket && (level == accessPublic || level == accessGate) && r.cfg.HTTP.Loopback() && !ownHost(r.Host, r.cfg.HTTP)
}

func (r *request) refuseHost(hint string) error {
	const title = "Unknown host"
	if hostOf(r.Host) == "" { // as HTTP/1.0 allows
		return refused(http.StatusMisdirectedRequest, title, "this bot answers only to its own names: send the header Host, e.g. localhost%s", hint)
	}
	return refused(http.StatusMisdirectedRequest, title,
		"this bot answers only to its own names: use an IP address, localhost or this machine's host name, or add %s to http.hosts and reload the bot%s",
		quote(hostOf(r.Host)), hint)
}

// hostsHint is for a request that needs a token because of its Host.
func (r *request) hostsHint(level access) string {
	if !r.isUnknownHost(level) || hostOf(r.Host) == "" {
		return ""
	}
	return fmt.Sprintf("; if a proxy asks for a login in front of the bot, add %s to http.hosts instead", quote(hostOf(r.Host)))
}

// tokenFor says which tokens permit a request.
func (r *request) tokenFor(level access) string {
	switch {
	case !r.keys.open(level):
		return "the token from http.token_file, which is not set (set it and reload the bot)"
	case level == accessAdmin || level == accessPublic:
		return "the token from http.token_file"
	case !r.keys.open(accessAdmin):
		return "the token from the project's token_file"
	}
	return "the token from http.token_file or from the project's token_file"
}

func unauthorized(w http.ResponseWriter, detail string) error {
	w.Header().Add("WWW-Authenticate", `Bearer realm="adfbot"`)
	w.Header().Add("WWW-Authenticate", `Basic realm="adfbot: any user name, the token as password", charset="UTF-8"`)
	return refused(http.StatusUnauthorized, "Token needed", "%s", detail)
}

// key is a token in force, as a hash, so that a comparison takes the same time for every token.
type key struct {
	hash  [sha256.Size]byte
	entry string // id or pattern; "": the token of http.token_file
}

type keys []key

// readKeys reads the token files if there is a TCP listener.
func readKeys(cfg *config.Config, getenv func(string) string) (k keys, warnings []string, err error) {
	if cfg.HTTP.Listen == "" {
		return nil, nil, nil
	}
	tokens, errs := cfg.Tokens(getenv)
	if tokens.Admin != "" {
		k = append(k, key{hash: sha256.Sum256([]byte(tokens.Admin))})
	}
	for _, p := range tokens.Projects {
		k = append(k, key{sha256.Sum256([]byte(p.Token)), p.Entry})
	}
	return k, tokens.Warnings, errors.Join(errs...)
}

// open reports whether one of the tokens gives a right.
func (k keys) open(level access) bool {
	return slices.ContainsFunc(k, func(one key) bool { return one.entry == "" || level == accessGate || level == accessReport })
}

// caller returns the owner of the request's token, and false if the token is wrong. Without a token it is the zero caller.
func (k keys) caller(r *http.Request) (caller, bool) {
	sent := r.Header.Values("Authorization")
	if len(sent) == 0 {
		return caller{}, true
	}
	token := ""
	if len(sent) == 1 {
		scheme, rest, _ := strings.Cut(sent[0], " ")
		if strings.EqualFold(scheme, "Bearer") {
			token = strings.TrimSpace(rest)
		} else if _, password, ok := r.BasicAuth(); ok {
			token = password
		}
	}
	return k.callerOf(token)
}

// callerOf returns the owner of a token, and false if the token is wrong.
func (k keys) callerOf(token string) (caller, bool) {
	c := caller{known: true, name: "the API token"}
	hash := sha256.Sum256([]byte(token))
	for _, key := range k {
		if subtle.ConstantTimeCompare(hash[:], key.hash[:]) != 1 {
			continue
		}
		if key.entry == "" {
			c.admin = true
		} else {
			c.entries = append(c.entries, key.entry)
		}
	}
	if !c.admin {
		c.name = "the token of " + some(c.entries)
	}
	return c, c.admin || len(c.entries) > 0
}

// isLogin reports whether a request has the login of a user, as browsers send it, which may be for a proxy.
func isLogin(r *http.Request) bool {
	_, _, ok := r.BasicAuth()
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return ok || slices.Contains([]string{"digest", "negotiate", "ntlm"}, strings.ToLower(scheme))
}

// ownHost prevents DNS rebinding, where another site's page makes a browser resolve that site's name to this machine. Without a
// token, only names that no other site can have and those in http.hosts are answered.
func ownHost(host string, cfg config.HTTP) bool {
	name := hostOf(host)
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	own, _ := os.Hostname()
	own = strings.ToLower(own)
	short, _, _ := strings.Cut(own, ".")
	at, _, _ := net.SplitHostPort(cfg.Listen)
	return name != "" && (slices.Contains([]string{"localhost", own, short, strings.ToLower(at)}, name) || slices.Contains(cfg.Hosts, name))
}

// hostOf returns the name in a Host header.
func hostOf(host string) string {
	return strings.TrimSuffix(strings.ToLower((&url.URL{Host: host}).Hostname()), ".")
}
