package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"
)

// TokenVars returns the environment variables that may hold the bot's token: the one of gitea.token_env or, while a mistake leaves open
// which one that is, all that gitea may name. A command that runs under exec must see none of them. Only [LoadFor] returns a configuration
// with such a mistake.
func (c *Config) TokenVars() []string {
	if c.Gitea.TokenEnv != "" {
		return []string{c.Gitea.TokenEnv}
	}
	return c.tokenVars
}

// findTokenVars keeps what may be the name of the token's variable in a value that is, or may be meant as, gitea or a key of it.
func (r *reader) findTokenVars(n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		for pair := range slices.Chunk(n.Content, 2) {
			if !slices.Contains([]string{"url", "login", "owner", "repo"}, pair[0].Value) {
				r.findTokenVars(pair[1])
			}
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			r.findTokenVars(item)
		}
	case yaml.AliasNode:
		if n.Alias.Kind == yaml.ScalarNode {
			r.findTokenVars(n.Alias)
		}
	case yaml.ScalarNode:
		if name, f := variable(strings.Trim(n.Value, " ${}")); f == nil {
			r.tokenVars = append(r.tokenVars, name)
		}
	}
}

// hidesTokenVar reports whether, because of the problem, it may not be known which variable holds the token.
func (p Problem) hidesTokenVar() bool {
	return within("gitea.token_env", p.subject()) || p.unknownKey && (within(p.Key, "gitea") || within(p.about, "gitea"))
}

// TokenSource reads the bot's token for Gitea and remembers it. Goroutines may share it.
type TokenSource struct {
	file, env string
	getenv    func(string) string

	mu    sync.Mutex
	token string // "" until it is read
}

// TokenSource returns the source of the token. It reads nothing before the first call of Token or Reload.
func (g Gitea) TokenSource(getenv func(string) string) *TokenSource {
	return &TokenSource{file: g.TokenFile, env: g.TokenEnv, getenv: getenv}
}

// Token returns the token as last read. It reads the token if that has not succeeded yet. The error names the file or
// variable and the fix, and never shows the token.
func (t *TokenSource) Token() (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token != "" {
		return t.token, nil
	}
	token, err := t.read()
	t.token = token
	return token, err
}

// Reload reads the token again, e.g. after Gitea has refused it or at SIGHUP, and reports whether it changed. If reading fails, the
// source keeps the old token.
func (t *TokenSource) Reload() (changed bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	token, err := t.read()
	if err != nil {
		return false, err
	}
	changed = token != t.token
	t.token = token
	return changed, nil
}

// read is called with t.mu held.
func (t *TokenSource) read() (token string, err error) {
	switch {
	case t.file != "":
		if token, err = ReadBotSecret(t.file, t.getenv); err != nil {
			return "", fmt.Errorf("gitea.token_file: %w", err)
		}
	case t.env != "":
		if token, err = parseSecret(t.getenv(t.env)); err != nil {
			return "", fmt.Errorf("gitea.token_env: $%s %w: set it to the bot's token in the bot's environment", t.env, err)
		}
	default:
		return "", errors.New("there is no token: set gitea.token_file or gitea.token_env")
	}
	return token, nil
}

// String names the file or variable and never shows the token.
func (t *TokenSource) String() string {
	if t.file != "" {
		return "token from " + t.file
	}
	return "token from $" + t.env
}

// GoString keeps %#v from showing the token.
func (t *TokenSource) GoString() string { return t.String() }

// Tokens are the tokens that clients of http.listen may send.
type Tokens struct {
	Admin    string // from http.token_file, may do everything; "": none
	Projects []ProjectToken
	Warnings []string
}

// ProjectToken may report results of its entry's projects only. Entries may share a token.
type ProjectToken struct {
	Entry string // the id or pattern
	Token string
}

// minTokenLength is the length below which a token can be guessed over the network.
const minTokenLength = 16

// Tokens reads the token files of the HTTP side. It reads all of them even if some fail. Each error names its key and
// the fix, and shows no token.
func (c *Config) Tokens(getenv func(string) string) (t Tokens, errs []error) {
	read := func(key, file string) string {
		if file == "" {
			return ""
		}
		token, err := ReadSecret(file, getenv)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		case len(token) < minTokenLength:
			t.Warnings = append(t.Warnings, fmt.Sprintf(
				"%s: a token of less than %d characters can be guessed; generate one with `openssl rand -hex 32`", key, minTokenLength))
		}
		return token
	}
	t.Admin = read("http.token_file", c.HTTP.TokenFile)
	for _, p := range c.Projects {
		key := "projects[" + p.Name() + "].token_file"
		token := read(key, p.TokenFile)
		if token == "" {
			continue
		}
		if token == t.Admin {
			errs = append(errs, fmt.Errorf("%s holds the token of http.token_file, which may do everything: give the project one of its own", key))
		}
		t.Projects = append(t.Projects, ProjectToken{p.Name(), token})
	}
	return t, errs
}
