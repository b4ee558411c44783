package config

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// GateKeys are the keys that gate needs, for [LoadFor].
var GateKeys = []string{"pause_dir", "projects[].id", "projects[].match"}

// ExecKeys are the keys that exec needs for a project, for [LoadFor]: where the flags and the state are, which projects
// exist, and when this one trips. The keys of the issue are not among them: if one is wrong, exec still records the
// result and writes the flag, and serve opens the issue.
func ExecKeys(project string) []string {
	own := "projects[" + project + "]."
	return []string{"pause_dir", "state", "state_password_file", "local_dir", "breaker", "projects[].id", "projects[].match", own + "threshold", own + "resume_threshold", own + "ignore_exit_codes", own + "hung_after"}
}

// Load reads and checks the whole file and those that it includes. The error is an [*Error] with all problems in line order, or with a
// single one if the file can't be read or is not YAML. It wraps fs.ErrNotExist and fs.ErrPermission.
func Load(path string) (*Config, error) {
	c, r, err := load(path)
	if err != nil {
		return nil, err
	}
	if problems := slices.Concat(r.problems, r.included); len(problems) > 0 {
		return nil, &Error{Problems: problems}
	}
	return c, nil
}

// LoadFor is [Load] for a command that needs only the keys in use. A problem with one of those is an error. So is a
// problem that makes their value uncertain: one in a mapping around them, or in an unknown key that seems to mean one
// of them. All other problems are returned as warnings in line order, also beside an error, and the keys concerned keep
// their defaults, except that
//
//   - a project whose own owner or repo is wrong has neither, so no issue can be opened for it;
//   - a problem with the place of the state is a warning and Config.StateErr, if local_dir says where results can wait;
//   - otherwise a problem with state or local_dir leaves Config.LocalDir empty;
//   - a problem with http.socket is a warning and Config.SocketErr: whoever reports through the socket keeps results until it is solved;
//   - output_tail is 0 if the values to mask may be incomplete because of a problem with escalation in the main file, or of a key of
//     escalation in the file of a project in use.
//
// A missing gitea section is not even a warning: a machine that only runs gate needs none. A project with a good id
// counts as a project whatever else is wrong with it. So does one in a good file, whatever is wrong with another file that is included:
// the mistakes of one team do not stop the projects of the others. The projects of a file that is not YAML are unknown, so
// [Config.CheckProject] then refuses those that fall under a pattern: see [HiddenEntryError].
//
// A key in use stands for all keys below it, and "" for all keys of the main file. projects[].id is the id of every project; projects[odilo] is one project.
func LoadFor(path string, use ...string) (cfg *Config, warnings []Problem, err error) {
	c, r, err := load(path)
	if err != nil {
		return nil, nil, err
	}
	var fatal, state, included []Problem
	for _, p := range r.problems {
		missingGitea := p.Key == "gitea" && p.Line == 0
		switch {
		case r.localDir && slices.Contains(stateKeys, p.subject()):
			state = append(state, p)
		case affects(generic(p.subject()), use) || affects(p.subject(), r.ownKeys(c, p.File, use)):
			fatal = append(fatal, p)
		case !missingGitea:
			warnings = append(warnings, p)
		}
	}
	for _, p := range r.included {
		if affects(p.subject(), r.ownKeys(c, p.File, use)) {
			fatal = append(fatal, p)
		} else {
			included = append(included, p)
		}
	}
	if len(fatal) > 0 {
		return nil, append(warnings, included...), &Error{Problems: fatal}
	}
	if len(state) > 0 {
		c.StateErr = &Error{Problems: state}
		warnings = append(warnings, state...)
		sortByLine(warnings)
	}
	for _, p := range r.problems {
		if within("http.socket", p.subject()) {
			c.SocketErr = &Error{Problems: []Problem{p}}
		}
	}
	if !r.localDir && (concerned(r.problems, "state") || concerned(r.problems, "local_dir")) {
		c.LocalDir = "" // the default may be the place of another installation
	}
	warnings = append(warnings, included...)
	for _, p := range warnings {
		if !p.hidesNone && affects(generic(p.subject()), entryKeys) {
			c.hiding = append(c.hiding, p)
		}
	}
	hides := func(p Problem) bool { return r.mayHideEscalation(c, p, use) }
	if n := slices.IndexFunc(warnings, hides); c.Escalation.OutputTail > 0 && n >= 0 {
		c.Escalation.OutputTail = 0
		p := warnings[n]
		warnings = append(warnings, Problem{
			File: path, Key: "escalation.output_tail",
			What: fmt.Sprintf("is taken as 0, so no output is kept and no rule of classes sees any: because of the mistake at %s, "+
				"the values to mask in it may be incomplete", Place{p.File, p.Line}),
			Fix: "correct that mistake",
		})
	}
	return c, warnings, nil
}

// load returns the configuration, with defaults for the keys that have a problem, and the reader with the problems. The
// error is the single problem of a file that is not a configuration at all.
func load(path string) (*Config, *reader, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, nil, err
	}
	host, _ := os.Hostname() // "" if it fails
	return parse(path, data, host, readIncluded)
}

// entryKeys are the keys that say which entries there are.
var entryKeys = []string{"include", "projects[].id", "projects[].match"}

// mayHideEscalation reports whether, because of the problem, settings meant for escalation may have been lost: in the main file, or by
// mistake in the one that lists a project in use. An unknown key of a project or rule is none of those, unless its name is like theirs.
func (r *reader) mayHideEscalation(c *Config, p Problem, use []string) bool {
	lists := func(u string) bool { e, _, ok := r.ownEntry(c, u); return ok && e.file == p.File }
	if p.File != r.file && !slices.ContainsFunc(use, lists) {
		return false
	}
	if !p.unknownKey || p.about != "" {
		return within(p.subject(), "escalation") || within("escalation", p.subject())
	}
	inList := strings.HasPrefix(p.Key, "projects[") || strings.HasPrefix(p.Key, "classes[")
	name := p.Key[strings.LastIndexByte(p.Key, '.')+1:]
	return p.File == r.file && !inList || within(p.Key, "escalation") || nearest(name, []string{"escalation", "redact_env", "output_tail"}) != ""
}

// generic returns the key with projects[] in place of projects[n].
func generic(key string) string {
	if _, rest, ok := strings.Cut(key, "]"); ok && strings.HasPrefix(key, "projects[") {
		return "projects[]" + rest
	}
	return key
}

// ownKeys returns the keys in use of single projects, e.g. projects[odilo].threshold, as keys of the file, where their entries are.
func (r *reader) ownKeys(c *Config, file string, use []string) (keys []string) {
	for _, u := range use {
		if e, rest, ok := r.ownEntry(c, u); ok && e.file == file {
			keys = append(keys, e.key+rest)
		}
	}
	return keys
}

// ownEntry returns the entry of the project that a key in use names, and the rest of the key.
func (r *reader) ownEntry(c *Config, use string) (e *entry, rest string, ok bool) {
	id, rest, ok := strings.Cut(strings.TrimPrefix(use, "projects["), "]")
	if !ok || !strings.HasPrefix(use, "projects[") {
		return e, "", false
	}
	n, ok := c.entryOf(id)
	if !ok {
		return e, "", false
	}
	return r.entries[n], rest, true
}

// affects reports whether the key is in use, or above or below one that is.
func affects(key string, use []string) bool {
	return slices.ContainsFunc(use, func(u string) bool { return within(key, u) || within(u, key) })
}

// within reports whether key equals outer or is below it. The key of the whole file is "".
func within(key, outer string) bool {
	rest, ok := strings.CutPrefix(key, outer)
	return ok && (outer == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}
