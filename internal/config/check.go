package config

import (
	"bytes"
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// parse reads data into a configuration and checks it. The problems of the reader are in line order. included reads the files that the
// configuration includes.
func parse(path string, data []byte, host string, included func(pattern string) ([]source, *fault)) (*Config, *reader, error) {
	root, err := parseYAML(path, data)
	if err != nil {
		return nil, nil, err
	}
	c := defaults(host)
	c.Path, c.Files = path, []string{path}
	include := ""
	keys := min(bytes.Count(data, []byte{'\n'}), 1000) // about one on each line, and memory for no more than a large file has
	r := &reader{file: path, root: schema(c, &include), lines: make(map[string]int, keys)}
	r.mapping(value{node: root}, r.root)
	if root.Kind == yaml.MappingNode {
		for pair := range slices.Chunk(root.Content, 2) {
			if pair[0].Value == "gitea" {
				r.findTokenVars(pair[1])
			}
		}
	}
	r.include(c, include, included)
	r.checkEntries(c)
	r.checkGitea(c)
	if slices.ContainsFunc(r.problems, Problem.hidesTokenVar) {
		c.tokenVars = r.tokenVars
	}
	if !c.Shared() {
		r.checkOutsidePauseDir(c, "state", c.State)
	}
	r.checkState(c)
	r.checkOutsidePauseDir(c, "http.socket", c.HTTP.Socket)
	r.checkSocket(c)
	r.checkListen(c)
	if !r.given("projects") && len(c.Projects) == 0 && len(r.included) == 0 && !concerned(r.problems, "include") {
		r.missing("projects", "list at least one: - id: name")
	}
	c.inherit()
	r.checkRepositories(c)
	r.checkClasses(c)
	c.warnings = func() []Problem { return append(r.patternsWithoutEffect(mostComparing), r.broadExpressions(c)...) }
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

// checkEntries takes the entries of all files as the projects, but for one with the id of an earlier one.
func (r *reader) checkEntries(c *Config) {
	first := make(map[string]*entry, len(r.entries)) // by id
	entries := r.entries
	r.entries = make([]*entry, 0, len(entries))
	c.Projects, c.globs, c.places = make([]Project, 0, len(entries)), make([]glob, 0, len(entries)), make([]Place, 0, len(entries))
	for _, e := range entries {
		if was, twice := first[e.ID]; twice {
			what := fmt.Sprintf("%s is already the project %s", e.ID, was.place(e.file))
			r.add(Problem{File: e.file, Line: e.line, Key: e.key + ".id", What: what, Fix: "list each project once"})
			continue
		}
		if e.ID != "" {
			first[e.ID] = e
		} else {
			e.glob, _ = parseGlob(e.Match)
		}
		r.entries = append(r.entries, e)
		c.Projects, c.globs, c.places = append(c.Projects, e.Project), append(c.globs, e.glob), append(c.places, Place{e.file, e.line})
	}
}

// patternsWithoutEffect returns the patterns that an earlier one leaves nothing to. Of very many, it compares the first ones.
func (r *reader) patternsWithoutEffect(work int) (all []Problem) {
	var earlier []*entry
	for _, e := range r.entries {
		if e.Match == "" {
			continue
		}
		for _, was := range earlier {
			if work <= 0 {
				return all
			}
			if e.glob.coveredBy(was.glob, &work) {
				all = append(all, Problem{
					File: e.file, Line: e.line, Key: e.key + ".match",
					What: fmt.Sprintf("has no effect, because the first pattern that fits is used, and %s %s fits all projects that %s fits", was.Match, was.place(e.file), e.Match),
					Fix:  "put it before that one, or remove it; included files come after the main file, by name",
				})
				break
			}
		}
		earlier = append(earlier, e)
	}
	return all
}

// add reports a problem of this file or of an included one.
func (r *reader) add(p Problem) {
	if p.File == r.file {
		r.problems = append(r.problems, p)
	} else {
		r.included = append(r.included, p)
	}
}

// checkRepositories requires a repository for the issues of each project.
func (r *reader) checkRepositories(c *Config) {
	for i := range c.Projects {
		p := &c.Projects[i]
		if r.entries[i].unknownRepo {
			p.Owner, p.Repo = "", ""
			continue
		}
		fix := "set it here or for each project; " + p.Name() + " has none"
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
