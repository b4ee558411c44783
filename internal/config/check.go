package config

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"
)

// parse reads data into a configuration and checks it. The problems of the reader are in line order.
func parse(path string, data []byte, host string) (*Config, *reader, error) {
	root, err := parseYAML(path, data)
	if err != nil {
		return nil, nil, err
	}
	c := defaults(host)
	c.Path = path
	r := &reader{
		file: path, root: schema(c), lines: map[string]int{}, ids: map[string]string{}, unknownRepo: map[string]bool{},
	}
	r.mapping(value{node: root}, r.root)
	r.checkGitea(c)
	if !c.Shared() {
		r.checkOutsidePauseDir(c, "state", c.State)
	}
	r.checkState(c)
	r.checkOutsidePauseDir(c, "http.socket", c.HTTP.Socket)
	r.checkSocket(c)
	r.checkListen(c)
	if !r.given("projects") {
		r.missing("projects", "list at least one: - id: name")
	}
	c.inherit()
	r.checkRepositories(c)
	r.checkClasses(c)
	sortByLine(r.problems)
	return c, r, nil
}

// concerned reports whether a problem concerns the key or a key around it.
func concerned(problems []Problem, key string) bool {
	return slices.ContainsFunc(problems, func(p Problem) bool { return within(key, p.subject()) })
}

// missing reports a required key that is absent or empty, unless a problem explains that already.
func (r *reader) missing(key, fix string) {
	if concerned(r.problems, key) {
		return
	}
	section, _, _ := strings.Cut(key, ".")
	line, what := r.lines[section], "is missing"
	if r.given(key) {
		line, what = r.lines[key], "is empty"
	}
	r.report(line, key, faultf(fix, "%s", what))
}

func (r *reader) checkGitea(c *Config) {
	if !r.given("gitea") {
		r.missing("gitea", "add url, token_file, owner and repo below it, as in config.example.yaml")
	}
	g := &c.Gitea
	if g.URL == "" {
		r.missing("gitea.url", "write url: https://git.example.org")
	}
	switch {
	case g.TokenFile != "" && g.TokenEnv != "":
		line := max(r.lines["gitea.token_file"], r.lines["gitea.token_env"])
		r.report(line, "gitea.token_env", faultf("keep one of the two", "must not be set together with token_file"))
		g.TokenFile, g.TokenEnv = "", ""
	case g.TokenFile == "" && g.TokenEnv == "" && !concerned(r.problems, "gitea.token_env"):
		r.missing("gitea.token_file", "name the file that holds the bot's token, or the variable in token_env")
	}
}

// checkRepositories requires a repository for the issues of each project.
func (r *reader) checkRepositories(c *Config) {
	for i := range c.Projects {
		p := &c.Projects[i]
		if r.unknownRepo[p.ID] {
			p.Owner, p.Repo = "", ""
			continue
		}
		fix := "set it here or for each project; " + p.ID + " has none"
		if p.Owner == "" {
			r.missing("gitea.owner", fix)
		}
		if p.Repo == "" {
			r.missing("gitea.repo", fix)
		}
	}
}

// checkOutsidePauseDir keeps the bot's own files out of the pause directory, where every file pauses a project.
func (r *reader) checkOutsidePauseDir(c *Config, key, path string) {
	rel, err := filepath.Rel(c.PauseDir, path)
	if err == nil && filepath.IsLocal(rel) {
		line := cmp.Or(r.lines[key], r.lines["pause_dir"])
		r.report(line, key, faultf("move it elsewhere", "is inside pause_dir, where every file is a pause flag: %s", quote(path)))
	}
	if rel, err = filepath.Rel(path+".d", c.PauseDir); key == "state" && err == nil && filepath.IsLocal(rel) {
		r.report(r.lines["pause_dir"], "pause_dir", faultf("move it elsewhere", "is inside the directory of the spool, beside the state: %s", quote(c.PauseDir)))
	}
}

// checkSocket keeps the socket from the paths of the state: advice on what is in its place would be about the state.
func (r *reader) checkSocket(c *Config) {
	state, socket := filepath.Clean(c.State), filepath.Clean(c.HTTP.Socket)
	if socket == state || strings.HasPrefix(socket, state+"-") || strings.HasPrefix(socket, state+".d") {
		r.report(r.lines["http.socket"], "http.socket",
			faultf("write another path, such as /run/adfbot/adfbot.sock", "is the state or a file beside it: %s", quote(c.HTTP.Socket)))
	}
}

// checkListen refuses to listen on the network without a token.
func (r *reader) checkListen(c *Config) {
	h := &c.HTTP
	if h.Listen == "" || isLoopback(h.Listen) || h.TokenFile != "" {
		return
	}
	if !concerned(r.problems, "http.token_file") {
		fix := "listen on 127.0.0.1 or [::1], or set http.token_file"
		r.report(r.lines["http.listen"], "http.listen", faultf(fix, "is reachable from other machines, but http.token_file is not set"))
	}
	h.Listen = ""
}
