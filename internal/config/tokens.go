package config

import "fmt"

// Tokens are what clients of http.listen may show.
type Tokens struct {
	Admin    string // of http.token_file, it may do everything; "": none
	Projects []ProjectToken
	Warnings []string
}

// ProjectToken may report for its project alone. Several projects may share one.
type ProjectToken struct{ Project, Token string }

// shortToken is below what can't be guessed over the network.
const shortToken = 16

// Tokens reads the token files of the HTTP side. Each error names its key and what to do, and shows no token.
func (c *Config) Tokens(getenv func(string) string) (t Tokens, errs []error) {
	read := func(key, file string) string {
		if file == "" {
			return ""
		}
		path, err := ExpandCredentials(file, getenv)
		var token string
		if err == nil {
			token, err = ReadSecretFile(path)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
			return ""
		}
		if len(token) < shortToken {
			t.Warnings = append(t.Warnings, fmt.Sprintf("%s: a token of less than %d characters can be guessed; make one with `openssl rand -hex 32`", key, shortToken))
		}
		return token
	}
	t.Admin = read("http.token_file", c.HTTP.TokenFile)
	for _, p := range c.Projects {
		key := "projects[" + p.ID + "].token_file"
		token := read(key, p.TokenFile)
		if token == "" {
			continue
		}
		if token == t.Admin {
			errs = append(errs, fmt.Errorf("%s holds the token of http.token_file, which may do everything: give the project one of its own", key))
		}
		t.Projects = append(t.Projects, ProjectToken{p.ID, token})
	}
	return t, errs
}
