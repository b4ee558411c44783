package config

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"regexp/syntax"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/terraphim/adfbot/internal/class"
)

const (
	maxClasses     = 100     // rules of a list
	maxExpressions = 100     // of a rule
	maxExpression  = 500     // bytes
	maxSize        = 100_000 // of all expressions of a list, see [class.Expression.Size]
)

// classFields is the table of the keys of a rule. Their values go to c.
func classFields(c *class.Rule) []field {
	return []field{
		leaf("name", &c.Name, str(className)),
		list("exit_codes", &c.ExitCodes, number(1, 255), exact),
		list("output", &c.Output, expression, (*class.Expression).String),
		list("agents", &c.Agents, str(agentPattern), exact),
		leaf("outcome", &c.Outcome, str(oneOf(class.Failure, class.Ignored, class.Trip))),
		leaf("anywhere", &c.Anywhere, boolean),
	}
}

// classes is a list of rules. If there is a mistake in one, none is used: another one could decide in its place.
func classes(to *[]class.Rule) field {
	return field{name: "classes", read: func(r *reader, v value) {
		before := len(r.problems)
		var all []class.Rule
		ok := r.items(v, func(item value) {
			c := class.Rule{Outcome: class.Failure, Origin: fmt.Sprintf("%s:%d", r.file, item.line)}
			problems := len(r.problems)
			r.mapping(item, classFields(&c))
			if n := len(c.Output); n > maxExpressions { // before they are compared with others
				r.report(item.line, item.key+".output", faultf("join some, as in (a|b|c)", "must be at most %d, not %d", maxExpressions, n))
			}
			if len(r.problems) > problems {
				return
			}
			if f := classFault(c, all); f != nil {
				r.report(item.line, item.key, f)
				return
			}
			all = append(all, c)
		})
		if len(all) > maxClasses {
			r.report(v.line, v.key, faultf("", "must be at most %d, not %d", maxClasses, len(all)))
		}
		if n := expressionsSize(all); n > maxSize {
			r.report(v.line, v.key, faultf("repeat less, e.g. write .* in place of .{0,900}",
				"has %d characters and sets in its expressions when all repetitions are written out; at most %d", n, maxSize))
		}
		if ok && len(r.problems) == before && !v.checkOnly {
			*to = all
		}
	}, below: func() []field { return classFields(new(class.Rule)) }, items: func() [][]field { return tables(*to, classFields) }}
}

func expressionsSize(rules []class.Rule) (sum int) {
	for _, rule := range rules {
		for _, e := range rule.Output {
			sum += e.Size()
		}
	}
	return sum
}

// classFault returns what is wrong with a rule after earlier ones.
func classFault(c class.Rule, earlier []class.Rule) *fault {
	if c.Name == "" {
		return faultf("write name: and what kind of failure it is", "has no name")
	}
	if n := slices.IndexFunc(earlier, func(e class.Rule) bool { return e.Name == c.Name }); n >= 0 {
		return faultf("join the two, or rename one", "%s is already the name of the rule at %s", c.Name, earlier[n].Origin)
	}
	if len(c.ExitCodes) == 0 && len(c.Output) == 0 {
		return faultf("give it exit_codes or output", "%s can never match: it says neither which exit codes nor which output", c.Name)
	}
	var by *class.Rule
	covered := func(covers func(e class.Rule) bool) bool {
		n := slices.IndexFunc(earlier, func(e class.Rule) bool { return coversAgents(e, c) && covers(e) })
		if n >= 0 {
			by = &earlier[n]
		}
		return n >= 0
	}
	for _, code := range c.ExitCodes {
		if !covered(func(e class.Rule) bool { return slices.Contains(e.ExitCodes, code) }) {
			return nil
		}
	}
	for _, o := range c.Output {
		same := func(x *class.Expression) bool { return x.String() == o.String() }
		if !covered(func(e class.Rule) bool { return (e.Anywhere || !c.Anywhere) && slices.ContainsFunc(e.Output, same) }) {
			return nil
		}
	}
	return faultf("remove it, or put it first", "%s can never match: all of it is matched before, last by %s at %s", c.Name, by.Name, by.Origin)
}

// coversAgents reports whether rule e is for all agents of rule c.
func coversAgents(e, c class.Rule) bool {
	return len(e.Agents) == 0 || len(c.Agents) > 0 && !slices.ContainsFunc(c.Agents, func(a string) bool { return !slices.Contains(e.Agents, a) })
}

// checkClasses reports rules that can never match because of other keys.
func (r *reader) checkClasses(c *Config) {
	for _, e := range r.withCommonClasses(c) {
		for n, rule := range e.Classes {
			at := strings.TrimPrefix(fmt.Sprintf("%s.classes[%d]", e.key, n), ".")
			report := func(key string, f *fault) {
				line := e.line
				if e.file == r.file {
					line = r.lines[at+key]
				}
				r.add(Problem{File: e.file, Line: line, Key: at + key, What: f.what, Fix: f.fix})
			}
			ignored := func(code int) bool { return slices.Contains(e.IgnoreExitCodes, code) }
			switch {
			case len(rule.Output) > 0 && c.Escalation.OutputTail == 0 && len(rule.ExitCodes) == 0:
				report(".output", faultf("raise it, or give the rule exit_codes",
					"can never match: escalation.output_tail is 0, so no output is kept"))
			case len(rule.Output) == 0 && !slices.ContainsFunc(rule.ExitCodes, func(code int) bool { return !ignored(code) }):
				report(".exit_codes", faultf("keep one of the two",
					"can never match: ignore_exit_codes of the project comes first"))
			}
		}
	}
}

// withCommonClasses returns the entries of all projects, after one that has the rules for all.
func (r *reader) withCommonClasses(c *Config) []*entry {
	return append([]*entry{{Project: Project{Classes: c.Classes}, file: r.file}}, r.entries...)
}

// broadExpressions returns the expressions that most likely match too much.
func (r *reader) broadExpressions(c *Config) (all []Problem) {
	for _, e := range r.withCommonClasses(c) {
		for n, rule := range e.Classes {
			for k, o := range rule.Output {
				f := broadFault(o)
				if f == nil {
					continue
				}
				at := strings.TrimPrefix(fmt.Sprintf("%s.classes[%d].output", e.key, n), ".")
				line := e.line
				if e.file == r.file {
					line = r.lines[at]
				}
				all = append(all, Problem{File: e.file, Line: line, Key: fmt.Sprintf("%s[%d]", at, k), What: f.what, Fix: f.fix})
			}
		}
	}
	return all
}

// broadFault returns what is wrong with an expression that matches every line, or a blank one.
func broadFault(e *class.Expression) *fault {
	const fix = "write what only the lines in question have"
	m := e.Compile()
	other := func(line string) bool { return !m.MatchString(line) }
	switch {
	case !slices.ContainsFunc([]string{"a", "Z", "7", "#", "é"}, other): // lines that have nothing in common
		return faultf(fix, "matches every line, so the rule is for every failure with output: %s", quote(e.String()))
	case m.MatchString(""):
		return faultf(fix, "matches blank lines, which rules do not see: %s", quote(e.String()))
	}
	return nil
}

func className(s string) (string, *fault) {
	const fix = "write a word such as quota, of letters, digits and -"
	switch {
	case !class.ValidName(s):
		return "", faultf(fix, "must be a name of at most 40 letters, digits and -, not %s", quote(s))
	case s == class.Unknown:
		return "", faultf("choose another name", "unknown is the class of what no rule matches")
	}
	return s, nil
}

// agentPattern accepts the name of an agent, in which * stands for any characters.
func agentPattern(s string) (string, *fault) {
	if _, err := path.Match(s, ""); err != nil || s == "" || strings.ContainsAny(s, "/ \t") || len(s) > 128 {
		return "", faultf("write one like project-meta or project-meta-*", "must be the name of an agent, not %s", quote(s))
	}
	return s, nil
}

// expressionError says what is wrong with a regular expression, or "".
func expressionError(code syntax.ErrorCode) string {
	return map[syntax.ErrorCode]string{
		syntax.ErrInvalidCharClass:      "this set of characters is wrong",
		syntax.ErrInvalidCharRange:      "there is no such range or set of characters",
		syntax.ErrInvalidEscape:         "this backslash stands before a character that needs none",
		syntax.ErrInvalidNamedCapture:   "this name of a group is wrong",
		syntax.ErrInvalidPerlOp:         "this is not supported, look-around neither",
		syntax.ErrInvalidRepeatOp:       "this repeats a repetition",
		syntax.ErrInvalidRepeatSize:     "this repeats too often, or the first number is above the second",
		syntax.ErrInvalidUTF8:           "this is not UTF-8",
		syntax.ErrMissingBracket:        "a ] is missing",
		syntax.ErrMissingParen:          "a ) is missing",
		syntax.ErrMissingRepeatArgument: "there is nothing to repeat before this",
		syntax.ErrTrailingBackslash:     "it ends with a backslash",
		syntax.ErrUnexpectedParen:       "a ) has no ( before it",
		syntax.ErrNestingDepth:          "it is nested too deep",
		syntax.ErrLarge:                 "it is too large",
	}[code]
}

// expression accepts a regular expression that can match a line.
func expression(n *yaml.Node) (*class.Expression, *fault) {
	s, f := str(anyText)(n)
	if f != nil {
		return nil, f
	}
	if s == "" || len(s) > maxExpression {
		return nil, faultf("", "must have 1 to %d bytes, not %d", maxExpression, len(s))
	}
	e, err := class.NewExpression(s)
	if err != nil {
		what := "it cannot be read"
		if e, ok := errors.AsType[*syntax.Error](err); ok {
			what = cmp.Or(expressionError(e.Code), what) + ": " + quote(cmp.Or(e.Expr, s))
		}
		return nil, faultf("see `adfbot help classes`; quote it in 'single quotes', where a backslash is one", "is not a regular expression: %s", what)
	}
	if tree, err := syntax.Parse(s, syntax.Perl); err == nil && neverInLine(tree) {
		return nil, faultf("an expression is for one line", "can never match a line: %s", quote(s))
	}
	return e, nil
}

// neverInLine reports whether an expression matches nothing, or only what has a line break.
func neverInLine(e *syntax.Regexp) bool {
	switch e.Op {
	case syntax.OpNoMatch:
		return true
	case syntax.OpLiteral:
		return slices.Contains(e.Rune, '\n')
	case syntax.OpCharClass:
		return len(e.Rune) == 0 || len(e.Rune) == 2 && e.Rune[0] == '\n' && e.Rune[1] == '\n'
	case syntax.OpCapture, syntax.OpPlus, syntax.OpConcat:
		return slices.ContainsFunc(e.Sub, neverInLine)
	case syntax.OpRepeat:
		return e.Min > 0 && neverInLine(e.Sub[0])
	case syntax.OpAlternate:
		return !slices.ContainsFunc(e.Sub, func(sub *syntax.Regexp) bool { return !neverInLine(sub) })
	}
	return false
}

// ClassRules returns the rules for the failures of a project, in their order: its own, the common ones, the built-in ones. They are not to be
// changed: every failure asks for them, and where only the built-in ones are in use, all get the same slice.
func (c *Config) ClassRules(project string) []class.Rule {
	own := c.ProjectOrDefault(project).Classes
	switch {
	case !c.BuiltinClasses:
		return slices.Concat(own, c.Classes)
	case len(own)+len(c.Classes) == 0:
		return class.Builtin()
	}
	return slices.Concat(own, c.Classes, class.Builtin())
}

// ClassOutcomes returns the classes that failures of a project may have, each with the outcome of a result of it: the counts that a class
// which trips leads to are those of failures.
func (c *Config) ClassOutcomes(project string) map[string]string {
	outcomes := map[string]string{class.Unknown: class.Failure}
	for _, rule := range c.ClassRules(project) {
		if _, known := outcomes[rule.Name]; known {
			continue
		}
		outcomes[rule.Name] = rule.Outcome
		if rule.Outcome == class.Trip {
			outcomes[rule.Name] = class.Failure
		}
	}
	return outcomes
}
