package config

import (
	"path/filepath"
	"slices"
	"strings"
)

// parse reads data into a configuration and checks it.
func parse(path string, data []byte, host string) (*Config, *reader, error) {
	root, err := document(path, data)
	if err != nil {
		return nil, nil, err
	}
	c := unresolved(host)
	c.Path = path
	r := &reader{file: path, root: schema(c), lines: map[string]int{}, ids: map[string]string{}, doubt: map[string]bool{}}
	r.mapping(value{node: root}, r.root)
	r.checkGitea(c)
	r.checkPlaces(c)
	r.checkListen(c)
	if !r.given("projects") && r.good("projects") {
		r.report(0, "projects", faultf("list at least one: - id: name", "is missing"))
	}
	c.resolve()
	for i := range c.Projects {
		if p := &c.Projects[i]; r.doubt[p.ID] {
			p.Owner, p.Repo = "", ""
		}
	}
	inLineOrder(r.problems)
	return c, r, nil
}

// good reports that nothing was said so far against the key, or that may be about it. A mistake is reported once: a key
// with one is not missing too.
func (r *reader) good(key string) bool {
	return !slices.ContainsFunc(r.problems, func(p Problem) bool { return within(key, p.subject()) })
}

// checkGitea asks for what has no default.
func (r *reader) checkGitea(c *Config) {
	g := &c.Gitea
	if !r.given("gitea") {
		if r.good("gitea") {
			fix := "give url, token_file, owner and repo below it, as config.example.yaml does"
			r.report(0, "gitea", faultf(fix, "is missing"))
		}
		return
	}
	if g.URL == "" && r.good("gitea.url") {
		r.missing("gitea.url", "write url: https://git.example.org")
	}
	if g.TokenFile != "" && g.TokenEnv != "" {
		line := max(r.lines["gitea.token_file"], r.lines["gitea.token_env"])
		r.report(line, "gitea.token_env", faultf("keep one of the two", "stands beside token_file"))
		g.TokenFile, g.TokenEnv = "", ""
	} else if g.TokenFile == "" && g.TokenEnv == "" && r.good("gitea.token_file") && r.good("gitea.token_env") {
		r.missing("gitea.token_file", "name the file that holds the bot's token, or a variable that does with token_env")
	}
	const fix = "say where issues go, here or at each project: %s has none of its own"
	if p := slices.IndexFunc(c.Projects, func(p Project) bool { return p.Owner == "" && !r.doubt[p.ID] }); p >= 0 &&
		g.Owner == "" && r.good("gitea.owner") {
		r.missing("gitea.owner", strings.ReplaceAll(fix, "%s", c.Projects[p].ID))
	}
	if p := slices.IndexFunc(c.Projects, func(p Project) bool { return p.Repo == "" && !r.doubt[p.ID] }); p >= 0 &&
		g.Repo == "" && r.good("gitea.repo") {
		r.missing("gitea.repo", strings.ReplaceAll(fix, "%s", c.Projects[p].ID))
	}
}

// missing reports a key of a section that is not there, or empty.
func (r *reader) missing(key, fix string) {
	section, _, _ := strings.Cut(key, ".")
	line, what := r.lines[section], "is missing"
	if r.given(key) {
		line, what = r.lines[key], "is empty"
	}
	r.report(line, key, faultf(fix, "%s", what))
}

// checkPlaces keeps the bot's own files out of the directory in which every file pauses a project.
func (r *reader) checkPlaces(c *Config) {
	check := func(key, path string) {
		rel, err := filepath.Rel(c.PauseDir, path)
		if err != nil || !filepath.IsLocal(rel) {
			return
		}
		line := r.lines[key]
		if line == 0 {
			line = r.lines["pause_dir"]
		}
		r.report(line, key, faultf("put it elsewhere", "lies in pause_dir, where every file is a pause flag: %s", quote(path)))
	}
	check("state", c.State)
	check("http.socket", c.HTTP.Socket)
}

// checkListen lets nobody on the network report results without a token.
func (r *reader) checkListen(c *Config) {
	h := &c.HTTP
	if h.Listen == "" || loopback(h.Listen) || h.TokenFile != "" {
		return
	}
	if r.good("http.token_file") {
		fix := "listen on 127.0.0.1 or [::1], or set http.token_file"
		r.report(r.lines["http.listen"], "http.listen", faultf(fix, "is reachable from other machines, and there is no token"))
	}
	h.Listen = ""
}
