package config

import (
	"os"
	"slices"
	"strings"
)

// GateKeys are the keys that gate needs, for [LoadFor].
var GateKeys = []string{"pause_dir", "projects[].id"}

// ExecKeys are the keys that exec needs for a project, for [LoadFor]: where the flags and the state are, which projects
// exist, and when this one trips. The keys of the issue are not among them: if one is wrong, exec still records the
// result and writes the flag, and serve opens the issue.
func ExecKeys(project string) []string {
	own := "projects[" + project + "]."
	return []string{"pause_dir", "state", "state_password_file", "local_dir", "breaker", "projects[].id", own + "threshold", own + "resume_threshold", own + "ignore_exit_codes", own + "hung_after"}
}

// Load reads and checks the whole file. The error is an [*Error] with all problems in line order, or with a single one
// if the file can't be read or is not YAML. It wraps fs.ErrNotExist and fs.ErrPermission.
func Load(path string) (*Config, error) {
	c, r, err := load(path)
	if err != nil {
		return nil, err
	}
	if len(r.problems) > 0 {
		return nil, &Error{Problems: r.problems}
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
//   - output_tail is 0 if the values to mask may be incomplete because of a problem with escalation.
//
// A missing gitea section is not even a warning: a machine that only runs gate needs none. A project with a good id
// counts as a project whatever else is wrong with it.
//
// A key in use stands for all keys below it, and "" for all keys. projects[].id is the id of every project; projects[odilo] is one project.
func LoadFor(path string, use ...string) (cfg *Config, warnings []Problem, err error) {
	c, r, err := load(path)
	if err != nil {
		return nil, nil, err
	}
	var fatal, state []Problem
	for _, p := range r.problems {
		missingGitea := p.Key == "gitea" && p.Line == 0
		switch {
		case r.localDir && slices.Contains(stateKeys, p.subject()):
			state = append(state, p)
		case affects(p.subject(), use, r.ids):
			fatal = append(fatal, p)
		case !missingGitea:
			warnings = append(warnings, p)
		}
	}
	if len(fatal) > 0 {
		return nil, warnings, &Error{Problems: fatal}
	}
	if len(state) > 0 {
		c.StateErr = &Error{Problems: state}
		warnings = append(warnings, state...)
		sortByLine(warnings)
	}
	if c.Escalation.OutputTail > 0 && slices.ContainsFunc(warnings, mayHideEscalation) {
		c.Escalation.OutputTail = 0
		warnings = append(warnings, Problem{
			File: path, Key: "escalation.output_tail",
			What: "is set to 0, so no output is kept: the values to mask in it may be incomplete",
			Fix:  "correct the problems with escalation and with unknown keys",
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
	return parse(path, data, host)
}

// mayHideEscalation reports whether, because of the problem, settings meant for escalation may have been lost.
func mayHideEscalation(p Problem) bool {
	return p.unknownKey && p.about == "" || within(p.subject(), "escalation") || within("escalation", p.subject())
}

// affects reports whether the key is in use, or above or below one that is. ids maps projects[n] to its id.
func affects(key string, use []string, ids map[string]string) bool {
	names := []string{key}
	if rest, ok := strings.CutPrefix(key, "projects["); ok {
		index, rest, _ := strings.Cut(rest, "]")
		names = []string{"projects[]" + rest}
		if id := ids["projects["+index+"]"]; id != "" {
			names = append(names, "projects["+id+"]"+rest)
		}
	}
	return slices.ContainsFunc(names, func(n string) bool {
		return slices.ContainsFunc(use, func(u string) bool { return within(n, u) || within(u, n) })
	})
}

// within reports whether key equals outer or is below it. The key of the whole file is "".
func within(key, outer string) bool {
	rest, ok := strings.CutPrefix(key, outer)
	return ok && (outer == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}
