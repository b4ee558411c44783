package web

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/terraphim/adfbot/internal/config"
)

// access is the right that a route requires.
type access int

const (
	// accessOpen requires nothing. The answer says no more than that the daemon is alive.
	accessOpen access = iota
	// accessSigned requires nothing here: the handler checks the signature of the body.
	accessSigned
	// accessPublic requires nothing on a loopback listener, elsewhere accessAdmin.
	accessPublic
	// accessGate is accessPublic, but the right to report for the project in the path is enough.
	accessGate
	// accessReport requires the right to report for some project. The handler calls caller.may for the one that it is about.
	accessReport
	// accessAdmin requires http.token_file, or root or the daemon's own user at the socket.
	accessAdmin
)

// caller is who sent a request.
type caller struct {
	admin    bool
	known    bool     // it has sent a valid token, or connected to the socket
	projects []string // that it may report for
	name     string   // in notes and the log, e.g. "the API token" or "agent-odilo (uid 1004)"
}

// may reports whether the caller may report for a project, and see it.
func (c caller) may(project string) bool {
	return c.admin || slices.Contains(c.projects, project)
}

type callerKey struct{}

// callerOf returns the caller that [Server.allow] has identified.
func callerOf(r *http.Request) caller {
	c, _ := r.Context().Value(callerKey{}).(caller)
	return c
}

// allow identifies the caller and calls h if it has the right. Over TCP a caller is identified by a token, as Bearer or as the
// password of Basic, which a browser can ask for; at the socket, by the user of its process. A wrong token is always refused,
// also where none is required.
func (s *Server) allow(level access, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p := setupOf(r)
		socket, _ := r.Context().Value(socketKey{}).(bool)
		var c caller
		if socket {
			c = s.peer(p, r)
		} else if level != accessSigned {
			var ok bool
			if c, ok = p.keys.caller(r); !ok {
				p.unauthorized(w, r, level, "the token is not one of this bot's: send the one from http.token_file or from the project's token_file")
				return
			}
			if !c.known && !hostAllowed(r.Host, p.cfg.HTTP.Listen) {
				writeProblem(w, r, http.StatusMisdirectedRequest, "Unknown host",
					fmt.Sprintf("without a token this bot answers only to its own names: use an IP address, localhost or this machine's host name instead of %s", quote(r.Host)))
				return
			}
		}
		if !p.permitted(level, c, r, socket) {
			p.refuse(w, r, level, c, socket)
			return
		}
		h(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, c)))
	}
}

func (p *setup) permitted(level access, c caller, r *http.Request, socket bool) bool {
	open := !socket && p.cfg.HTTP.Loopback()
	switch level {
	case accessOpen, accessSigned:
		return true
	case accessPublic:
		return open || c.admin
	case accessGate:
		return open || c.may(r.PathValue("id"))
	case accessReport:
		return c.admin || len(c.projects) > 0
	}
	return c.admin
}

// refuse answers with the reason and what would help.
func (p *setup) refuse(w http.ResponseWriter, r *http.Request, level access, c caller, socket bool) {
	switch {
	case socket && !c.known:
		writeProblem(w, r, http.StatusForbidden, "Unknown user", "the operating system did not tell whose connection this is")
	case socket && len(c.projects) == 0:
		writeProblem(w, r, http.StatusForbidden, "Not allowed",
			fmt.Sprintf("%s may not report for any project: add the user to projects[].users in the bot's configuration and reload it", c.name))
	case socket, c.known:
		writeProblem(w, r, http.StatusForbidden, "Not allowed",
			fmt.Sprintf("%s may report for %s and ask about it, and nothing else: use http.token_file, or the socket as the bot's user or root", c.name, strings.Join(c.projects, ", ")))
	case p.keys.none():
		writeProblem(w, r, http.StatusForbidden, "No token is configured",
			"without http.token_file only health, metrics, page and gate are served over TCP: set it and reload the bot, or use http.socket")
	default:
		p.unauthorized(w, r, level, "send the token from http.token_file or from the project's token_file: Authorization: Bearer TOKEN")
	}
}

func (p *setup) unauthorized(w http.ResponseWriter, r *http.Request, level access, detail string) {
	w.Header().Add("WWW-Authenticate", `Bearer realm="adfbot"`)
	if level == accessPublic || level == accessGate {
		w.Header().Add("WWW-Authenticate", `Basic realm="adfbot: any user name, the token as password", charset="UTF-8"`)
	}
	writeProblem(w, r, http.StatusUnauthorized, "Token needed", detail)
}

// keys are the tokens in force. They are kept as hashes, so that a comparison takes the same time whatever was sent.
type keys struct {
	admin    *[sha256.Size]byte
	projects []projectKey
	warnings []string
}

type projectKey struct {
	hash    [sha256.Size]byte
	project string
}

func (k *keys) none() bool { return k.admin == nil && len(k.projects) == 0 }

// readKeys reads the token files, none where there is no TCP listener.
func readKeys(cfg *config.Config, getenv func(string) string) (*keys, error) {
	k := &keys{}
	if cfg.HTTP.Listen == "" {
		return k, nil
	}
	tokens, errs := cfg.Tokens(getenv)
	k.warnings = tokens.Warnings
	if tokens.Admin != "" {
		hash := sha256.Sum256([]byte(tokens.Admin))
		k.admin = &hash
	}
	for _, p := range tokens.Projects {
		k.projects = append(k.projects, projectKey{sha256.Sum256([]byte(p.Token)), p.Project})
	}
	return k, errors.Join(errs...)
}

// caller returns whose token the request has. It is false for a wrong token; a request without one has the zero caller.
func (k *keys) caller(r *http.Request) (caller, bool) {
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
	if token == "" {
		return caller{}, false
	}
	hash := sha256.Sum256([]byte(token))
	c := caller{known: true}
	if k.admin != nil && subtle.ConstantTimeCompare(hash[:], k.admin[:]) == 1 {
		c.admin, c.name = true, "the API token"
	}
	for _, p := range k.projects {
		if subtle.ConstantTimeCompare(hash[:], p.hash[:]) == 1 {
			c.projects = append(c.projects, p.project)
		}
	}
	if !c.admin && len(c.projects) > 0 {
		c.name = "the token of " + strings.Join(c.projects, ", ")
	}
	return c, c.admin || len(c.projects) > 0
}

// hostAllowed prevents DNS rebinding, where the page of another site makes a browser believe that the site's name is this
// machine's: without a token, only names are answered that no other site can have.
func hostAllowed(host, listen string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.ToLower(strings.Trim(name, "[]")), ".")
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	own, _ := os.Hostname()
	own = strings.ToLower(own)
	short, _, _ := strings.Cut(own, ".")
	at, _, _ := net.SplitHostPort(listen)
	return name != "" && (name == "localhost" || name == own || name == short || name == strings.ToLower(at))
}
