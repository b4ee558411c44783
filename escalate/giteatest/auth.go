package giteatest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

type token struct {
	user   *user
	scopes []string // normalized
}

// scopeOrder is the order of scope categories in Gitea's messages.
var scopeOrder = []string{
	"activitypub", "admin", "misc", "notification", "organization", "package", "issue", "repository", "user",
}

func newToken(u *user, scopes []string) *token {
	t := &token{user: u}
	if len(scopes) == 0 || slices.Contains(scopes, "all") {
		t.scopes = []string{"all"}
		return t
	}
	for _, s := range scopes {
		level, category, _ := strings.Cut(s, ":")
		if level != "read" && level != "write" || !slices.Contains(scopeOrder, category) {
			panic(fmt.Sprintf("giteatest: %q is not a scope", s))
		}
	}
	for _, category := range scopeOrder {
		for _, level := range []string{"write", "read"} { // write implies read
			if slices.Contains(scopes, level+":"+category) {
				t.scopes = append(t.scopes, level+":"+category)
				break
			}
		}
	}
	return t
}

func (t *token) has(level, category string) bool {
	return slices.Contains(t.scopes, "all") || slices.Contains(t.scopes, "write:"+category) ||
		slices.Contains(t.scopes, level+":"+category)
}

// authenticate returns the request's token, or nil if it has none, or an error response if the token is unknown.
func (s *Server) authenticate(r *http.Request) (*token, *response) {
	h := r.Header.Get("Authorization")
	if h == "" {
		return nil, nil
	}
	var given []string
	if name, pass, ok := r.BasicAuth(); ok {
		given = []string{pass, name} // either may be the token
	} else if scheme, value, _ := strings.Cut(h, " "); strings.EqualFold(scheme, "token") || strings.EqualFold(scheme, "bearer") {
		given = []string{strings.TrimSpace(value)}
	}
	for _, g := range given {
		if t := s.tokens[g]; t != nil {
			return t, nil
		}
	}
	return nil, s.message(http.StatusUnauthorized, "invalid username, password or token")
}

// authorize checks the token's scopes and returns an error response or nil. It lets anonymous requests through.
func (s *Server) authorize(t *token, method, category string) *response {
	if t == nil || category == "" {
		return nil
	}
	level := "write"
	if method == http.MethodGet {
		level = "read"
	}
	if t.has(level, category) {
		return nil
	}
	return s.message(http.StatusForbidden, fmt.Sprintf(
		"token does not have at least one of required scope(s), required=[%s:%s], token scope=%s",
		level, category, strings.Join(t.scopes, ",")))
}
