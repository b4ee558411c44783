// Package class tells what kind of failure a run was: an exhausted quota, bad credentials, a network that is down.
//
// A [Rule] names a class. Rules are looked at in order, and the first one that matches decides: its class, and whether the failure
// counts. [Builtin] are rules for what the usual agents print; they name classes and nothing else. [Fingerprint] is for failures of
// the same cause whose class nobody has described.
//
// Everything here is a pure function of its arguments. The work is bounded: the output of a run was shortened before, and the
// expressions are RE2, whose time is linear in it.
package class

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Unknown is the class of a failure that no rule matches.
const Unknown = "unknown"

// ValidName reports whether a class may have a name: at most 40 letters, digits and hyphens, of which the first is no hyphen.
func ValidName(name string) bool {
	special := func(c rune) bool {
		return c != '-' && !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9')
	}
	return name != "" && len(name) <= 40 && name[0] != '-' && !strings.ContainsFunc(name, special)
}

// What a class makes of a failure.
const (
	Failure = "failure" // it counts
	Ignored = "ignored" // it does not, unless the run was ended
	Trip    = "trip"    // it trips the breaker, whatever the count
)

// Rule names the class of the failures that it matches: those of its agents whose exit code is one of ExitCodes, or of whose output a
// line matches.
type Rule struct {
	Name      string
	ExitCodes []int
	Output    []*Expression
	Agents    []string // names, in which * stands for any characters; none: all agents
	Outcome   string   // [Failure], [Ignored] or [Trip]
	Anywhere  bool     // in the whole output, and not only in its last [TailLines]

	Origin string `json:"-"` // where the rule is from, for people
}

// TailLines is how many lines at the end of an output rules look at: what a task prints about its own work, such as the answer 429 of
// the server under test, is not why the run failed. Blank lines do not count.
const TailLines = 20

// Run is what rules look at.
type Run struct {
	Agent    string
	ExitCode int
	Output   string // as it is kept: cleaned, masked and shortened
	Ended    bool   // by its timeout, because it hung, or by a signal: such a failure counts
}

// Decision is what the rules make of a failure.
type Decision struct {
	Class   string
	Outcome string // [Failure], [Ignored] or [Trip]
}

// Decide returns the class of a failure, and whether it counts.
func Decide(rules []Rule, r Run) Decision {
	output := split(r.Output)
	for _, rule := range rules {
		if _, ok := rule.match(r, output); ok {
			d := Decision{Class: rule.Name, Outcome: rule.Outcome}
			if r.Ended && d.Outcome == Ignored {
				d.Outcome = Failure
			}
			return d
		}
	}
	return Decision{Class: Unknown, Outcome: Failure}
}

// Verdict is what a rule says of a failure.
type Verdict struct {
	Rule    Rule
	Matches bool
	Why     string // what matches, or why nothing does
}

// Explain returns what each rule says of a failure. The first one that matches is the one that [Decide] goes by.
func Explain(rules []Rule, r Run) []Verdict {
	output := split(r.Output)
	all := make([]Verdict, len(rules))
	for i, rule := range rules {
		why, ok := rule.match(r, output)
		if !ok {
			why = rule.mismatch(r, output)
		}
		all[i] = Verdict{Rule: rule, Matches: ok, Why: why}
	}
	return all
}

// match returns what of the run the rule matches.
func (rule *Rule) match(r Run, output parts) (what string, ok bool) {
	if !rule.fits(r.Agent) {
		return "", false
	}
	if slices.Contains(rule.ExitCodes, r.ExitCode) {
		return "exit code " + strconv.Itoa(r.ExitCode), true
	}
	for _, e := range rule.Output {
		if line, ok := output.in(rule).find(e); ok {
			return fmt.Sprintf("%s matches the line %s", shorten(e.String(), maxQuoted), quote(line)), true
		}
	}
	return "", false
}

func (rule *Rule) fits(agent string) bool {
	return len(rule.Agents) == 0 || slices.ContainsFunc(rule.Agents, func(pattern string) bool {
		ok, _ := path.Match(pattern, agent) // the configuration was checked
		return ok
	})
}

// mismatch returns why the rule does not match.
func (rule *Rule) mismatch(r Run, output parts) string {
	if !rule.fits(r.Agent) {
		return fmt.Sprintf("the agent %s is none of %s", r.Agent, strings.Join(rule.Agents, ", "))
	}
	var why []string
	if len(rule.ExitCodes) > 0 {
		why = append(why, fmt.Sprintf("exit code %d is none of %s", r.ExitCode, strings.Trim(strings.ReplaceAll(fmt.Sprint(rule.ExitCodes), " ", ", "), "[]")))
	}
	elsewhere := func(e *Expression) bool { _, ok := output.all.find(e); return ok }
	switch n := len(output.in(rule).lines); {
	case len(rule.Output) == 0:
	case n == 0:
		why = append(why, "there is no output")
	case slices.ContainsFunc(rule.Output, elsewhere):
		why = append(why, fmt.Sprintf("a line matches, but it is not among the last %d; see anywhere", TailLines))
	case n == 1:
		why = append(why, "the line of output does not match")
	case rule.Anywhere || len(output.all.lines) == n:
		why = append(why, fmt.Sprintf("none of the %d lines of output matches", n))
	default:
		why = append(why, fmt.Sprintf("none of the last %d lines of output matches", n))
	}
	return strings.Join(why, "; ")
}

const maxQuoted = 120 // bytes

func quote(s string) string { return strconv.Quote(shorten(s, maxQuoted)) }

// shorten cuts a text between two characters.
func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
