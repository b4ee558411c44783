package config

import (
	"os"
	"slices"
	"strings"
)

// GateKeys are the keys that gate needs, for [LoadFor].
var GateKeys = []string{"pause_dir", "projects[].id"}

// ExecKeys are the keys without which exec can't do its work for this project, for [LoadFor]: where the flags and the
// state are, which projects there are, and when this one trips. What an issue needs is not among them: with a mistake
// there exec records and flags, and serve opens the issue.
func ExecKeys(project string) []string {
	own := "projects[" + project + "]."
	return []string{"pause_dir", "state", "breaker", "projects[].id", own + "threshold", own + "resume_threshold", own + "ignore_exit_codes"}
}

// Load reads and checks the whole file. The error is an [*Error] with all problems in line order; of a file that can't be
// read, or is no YAML, that is the only one. errors.Is finds fs.ErrNotExist and fs.ErrPermission.
func Load(path string) (*Config, error) {
	c, r, err := load(path, os.Hostname)
	if err != nil {
		return nil, err
	}
	if len(r.problems) > 0 {
		return nil, &Error{Problems: r.problems}
	}
	return c, nil
}

// LoadFor is [Load] for a command that needs only some keys. A mistake in one of those is an error, as for Load, and so is
// one that leaves them in doubt: in a mapping around them, or in a key that seems to mean one of them. All else that is
// wrong comes back as warnings, in line order (beside an error too), and there the configuration has its defaults, except
// that
//
//   - a project whose own owner or repo is in doubt has neither, see [Config.CanEscalate];
//   - output_tail is 0 while anything about escalation is in doubt: what must be masked may be unknown.
//
// That there is no gitea at all is no warning: a machine that only asks the gate needs none. Whatever else is wrong with an
// entry of projects, with a good id it counts as a project.
//
// A key in use stands for all keys below it. projects[].id is the id of every project, projects[odilo] all of one project.
func LoadFor(path string, use ...string) (cfg *Config, warnings []Problem, err error) {
	c, r, err := load(path, os.Hostname)
	if err != nil {
		return nil, nil, err
	}
	var fatal []Problem
	for _, p := range r.problems {
		switch {
		case concerns(p.subject(), use, r.ids):
			fatal = append(fatal, p)
		case p.Key == "gitea" && p.Line == 0: // it is missing
		default:
			warnings = append(warnings, p)
		}
	}
	if len(fatal) > 0 {
		return nil, warnings, &Error{Problems: fatal}
	}
	if c.Escalation.OutputTail > 0 && slices.ContainsFunc(warnings, clouds) {
		c.Escalation.OutputTail = 0
		warnings = append(warnings, Problem{
			File: path, Key: "escalation.output_tail",
			What: "is taken as 0: no output is kept, because what to mask in it is not certain",
			Fix:  "correct what is reported about escalation and about keys that do not exist",
		})
	}
	return c, warnings, nil
}

// load gives the configuration, taken over as far as it is good, and the reader with the problems in line order. err is
// the single problem of a file that holds no configuration at all.
func load(path string, hostname func() (string, error)) (*Config, *reader, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, nil, err
	}
	host, err := hostname()
	if err != nil || host == "" {
		host = "adfbot"
	}
	return parse(path, data, host)
}

// clouds reports whether a problem may hide what the file says of escalation.
func clouds(p Problem) bool {
	return p.unknown && p.about == "" || within(p.subject(), "escalation") || within("escalation", p.subject())
}

// concerns reports whether the key is in use, or stands above or below one that is. ids gives the id of projects[n].
func concerns(key string, use []string, ids map[string]string) bool {
	names := []string{key}
	if rest, ok := strings.CutPrefix(key, "projects["); ok {
		index, rest, _ := strings.Cut(rest, "]")
		names = []string{"projects[]" + rest}
		if id := ids["projects["+index+"]"]; id != "" {
			names = append(names, "projects["+id+"]"+rest)
		}
	}
	for _, n := range names {
		for _, u := range use {
			if within(n, u) || within(u, n) {
				return true
			}
		}
	}
	return false
}

// within reports whether key is the outer key or stands below it. The whole file is the key "".
func within(key, outer string) bool {
	rest, ok := strings.CutPrefix(key, outer)
	return ok && (outer == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}
