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

// Gitea's order of scope categories, which its messages follow.
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
			panic(fmt.Sprintf("giteatest: %q is no scope", s))
		}
	}
	for _, category := range scopeOrder {
		for _, level := range []string{"write", "read"} { // writing implies reading
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

// authenticate finds the request's token: nil without one, a refusal for one that is not known.
func (s *Server) authenticate(r *http.Request) (*token, *answer) {
	h := r.Header.Get("Authorization")
	if h == "" {
		return nil, nil
	}
	var given []string
	if name, pass, ok := r.BasicAuth(); ok {
		given = []string{pass, name} // a token may stand in either place
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

// authorize checks the token's scopes against what the route asks for. Anonymous requests have none to check.
func (s *Server) authorize(t *token, method, category string) *answer {
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
