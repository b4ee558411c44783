package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/class"
)

const twoLists = `classes:
  - name: quota
    exit_codes: [75, 69]
    output: ['(?i)(usage|rate) limit', '\b429\b']
    agents: [project-meta, project-meta-*]
  - name: cancelled
    exit_codes: [3]
    outcome: ignored
` + rest + `    classes:
      - {name: licence, output: [licence expired], outcome: trip, anywhere: true}
  - id: atlas
`

func TestClasses(t *testing.T) {
	t.Parallel()
	c, problems := parsed(t, twoLists)
	require.Empty(t, problems)
	describe := func(rules []class.Rule) (all []string) {
		for _, r := range rules {
			s := r.Name + " " + r.Outcome + " " + r.Origin
			for _, e := range r.Output {
				s += " " + e.String()
			}
			all = append(all, s)
		}
		return all
	}
	common := []string{`quota failure config.yaml:2 (?i)(usage|rate) limit \b429\b`, `cancelled ignored config.yaml:6`}
	own := []string{`licence trip config.yaml:17 licence expired`}
	require.Equal(t, append(own, common...), describe(c.ClassRules("odilo"))[:3], "the project's come first")
	require.Equal(t, common, describe(c.ClassRules("atlas"))[:2])
	require.Equal(t, common, describe(c.ClassRules("gone"))[:2], "a project that has left the configuration")
	require.Equal(t, describe(class.Builtin()), describe(c.ClassRules("atlas"))[2:], "the built-in ones come last")
	require.Equal(t, []int{75, 69}, c.Classes[0].ExitCodes)
	require.Equal(t, []string{"project-meta", "project-meta-*"}, c.Classes[0].Agents)
	require.True(t, c.ClassRules("odilo")[0].Anywhere)
	require.Equal(t, map[string]string{"unknown": "failure", "licence": "failure", "quota": "failure", "cancelled": "ignored",
		"credentials": "failure", "overloaded": "failure", "rate-limit": "failure", "network": "failure"}, c.ClassOutcomes("odilo"))

	c, problems = parsed(t, "builtin_classes: false\n"+twoLists)
	require.Empty(t, problems)
	require.Len(t, c.ClassRules("atlas"), 2)
}

func TestClassesRefuse(t *testing.T) {
	t.Parallel()
	rules := func(list ...string) string { return "classes:\n  - " + strings.Join(list, "\n  - ") + "\n" + rest }
	own := func(list string) string {
		return projectsOf("  - id: a\n    ignore_exit_codes: [75, 3]\n    classes:\n      - " + list + "\n")
	}
	for _, tt := range []struct{ name, text, want string }{
		{"no name", rules("{exit_codes: [1]}"), "2: classes[0]: has no name"},
		{"a bad name", rules("{name: a b, exit_codes: [1]}"), `2: classes[0].name: must be a name of at most 40 letters, digits and -, not "a b"`},
		{"the name of no class", rules("{name: unknown, exit_codes: [1]}"), `2: classes[0].name: unknown is the class of what no rule matches`},
		{"a name twice", rules("{name: a, exit_codes: [1]}", "{name: b, exit_codes: [2]}", "{name: a, exit_codes: [3]}"),
			"4: classes[2]: a is already the name of the rule at config.yaml:2"},
		{"an unknown outcome", rules("{name: a, exit_codes: [1], outcome: ignore}"), `2: classes[0].outcome: must be failure or ignored or trip, not "ignore"`},
		{"a bad expression", rules("name: a\n    output: ['x', '(']"), "3: classes[0].output[1]: is not a regular expression: a ) is missing: \"(\""},
		{"a look-ahead", rules("{name: a, output: ['(?!x)']}"), "2: classes[0].output[0]: is not a regular expression: this is not supported, look-around neither: \"(?!\""},
		{"a count from more to less", rules("{name: a, output: ['x{2,1}']}"), "2: classes[0].output[0]: is not a regular expression: this repeats too often, or the first number is above the second: \"{2,1}\""},
		{"an unknown set", rules("{name: a, output: ['[[:foo:]]']}"), "2: classes[0].output[0]: is not a regular expression: there is no such range or set of characters: \"[:foo:]\""},
		{"a backslash at the end", rules("{name: a, output: ['x\\']}"), "2: classes[0].output[0]: is not a regular expression: it ends with a backslash: \"x\\\\\""},
		{"an empty expression", rules("{name: a, output: ['']}"), "2: classes[0].output[0]: must have 1 to 500 bytes, not 0"},
		{"a number", rules("{name: a, output: [429]}"), "2: classes[0].output[0]: must be a string, not a number"},
		{"an exit code of a success", rules("{name: a, exit_codes: [0]}"), "2: classes[0].exit_codes[0]: must be from 1 to 255, not 0"},
		{"an expression twice", rules("{name: a, output: [x, x]}"), "2: classes[0].output[1]: is the same as classes[0].output[0]"},
		{"a bad agent", rules("{name: a, exit_codes: [1], agents: ['[']}"), `2: classes[0].agents[0]: must be the name of an agent, not "["`},
		{"anywhere", rules("{name: a, exit_codes: [1], anywhere: yes please}"), `2: classes[0].anywhere: must be true or false, not "yes please"`},
		{"builtin", "builtin_classes: 1\n" + rest, `1: builtin_classes: must be true or false, not "1"`},
		{"an unknown key", rules("{name: a, exit_code: [1]}"), "2: classes[0].exit_code: unknown key"},

		{"nothing to match", rules("{name: a, agents: [x]}"), "2: classes[0]: a can never match: it says neither which exit codes nor which output"},
		{"a line break", rules(`{name: a, output: ["x\ny"]}`), `2: classes[0].output[0]: can never match a line: "x\ny"`},
		{"a line break in all of it", rules(`{name: a, output: ['(a\n|\n)+b']}`), `2: classes[0].output[0]: can never match a line: "(a\\n|\\n)+b"`},
		{"behind rules that match all of it", rules("{name: a, exit_codes: [1, 2]}", "{name: b, output: [x], anywhere: true}", "{name: c, exit_codes: [2], output: [x]}"),
			"4: classes[2]: c can never match: all of it is matched before, last by b at config.yaml:3"},
		{"behind one for more agents", rules("{name: a, exit_codes: [1], agents: [x, y]}", "{name: b, exit_codes: [1], agents: [y]}"),
			"3: classes[1]: b can never match: all of it is matched before, last by a at config.yaml:2"},
		{"ignored before", own("{name: a, exit_codes: [3]}"), "10: projects[0].classes[0].exit_codes: can never match: ignore_exit_codes of the project comes first"},
		{"without output", "escalation: {output_tail: 0}\n" + rules("name: a\n    output: [x]"),
			"4: classes[0].output: can never match: escalation.output_tail is 0, so no output is kept"},
	} {
		require.Equal(t, []string{tt.want}, problemsOf(t, tt.text), tt.name)
		c, _ := parsed(t, tt.text)
		if !strings.Contains(tt.want, "ignore_exit_codes") && !strings.Contains(tt.want, "output_tail") {
			require.Empty(t, c.Classes, "%s: none is used", tt.name)
		}
	}
}

// A rule that matches every line is most likely a mistake, but may be meant.
func TestRuleForEveryLine(t *testing.T) {
	t.Parallel()
	for expression, warned := range map[string]bool{
		".*": true, ".": true, "(quota|)": true, "x*": true, "^": true, "^.+$": true, `\S`: true, "(?i)a?": true,
		"^$": true, `^\s*$`: true, "quota": false, "[a-z]": false, "^error": false, ".{9}": false,
	} {
		c, problems := parsed(t, "classes:\n  - name: a\n    output: [x, '"+expression+"']\n"+rest)
		require.Empty(t, problems)
		require.Len(t, c.Classes, 1)
		require.Equal(t, warned, len(c.Warnings()) == 1, expression)
		if warned && expression != "^$" && expression != `^\s*$` {
			require.Equal(t, "config.yaml:3: classes[0].output[1]: matches every line, so the rule is for every failure with output: \""+
				strings.ReplaceAll(expression, `\`, `\\`)+"\": write what only the lines in question have", c.Warnings()[0].String())
		}
	}
	c, _ := parsed(t, "classes: [{name: a, output: ['^$']}]\n"+rest)
	require.Contains(t, c.Warnings()[0].String(), `classes[0].output[0]: matches blank lines, which rules do not see: "^$"`)
	c, _ = parsed(t, projectsOf("  - id: a\n    classes: [{name: a, output: ['.']}]\n"))
	require.Contains(t, c.Warnings()[0].String(), `config.yaml:8: projects[0].classes[0].output[0]: matches every line`)
}

func TestClassesAccept(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"for other agents":             "classes: [{name: a, exit_codes: [1], agents: [x]}, {name: b, exit_codes: [1]}]\n" + rest,
		"in the whole output":          "classes: [{name: a, output: [x]}, {name: b, output: [x], anywhere: true}]\n" + rest,
		"one more":                     "classes: [{name: a, exit_codes: [1]}, {name: b, exit_codes: [1, 2]}]\n" + rest,
		"a line break is optional":     `classes: [{name: a, output: ['x\n?', 'a|\n', '[\n ]', '(\n)*y']}]` + "\n" + rest,
		"a name of the built-in":       "classes: [{name: quota, exit_codes: [1]}]\n" + rest,
		"of a project and of all":      "classes: [{name: a, exit_codes: [1]}]\n" + projectsOf("  - {id: a, classes: [{name: a, exit_codes: [1]}]}\n"),
		"none":                         "classes: []\nbuiltin_classes: false\n" + rest,
		"an exit code with output":     "escalation: {output_tail: 0}\nclasses: [{name: a, exit_codes: [1], output: [x]}]\n" + rest,
		"one exit code is not ignored": projectsOf("  - {id: a, ignore_exit_codes: [3], classes: [{name: a, exit_codes: [3, 4]}]}\n"),
	} {
		require.Empty(t, problemsOf(t, text), name)
	}
}

// A rule with a mistake must not let another one decide, nor keep exec from its work: without classes, failures count.
func TestClassesWithAMistakeAreNotUsed(t *testing.T) {
	t.Parallel()
	path := write(t, "classes:\n  - {name: trip, output: ['('], outcome: trip}\n  - {name: all, output: ['.'], outcome: ignored}\n"+rest)
	c, warnings, err := LoadFor(path, ExecKeys("odilo")...)
	require.NoError(t, err)
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0].String(), ":2: classes[0].output[0]: is not a regular expression")
	require.Empty(t, c.Classes)
	_, err = Load(path)
	require.Error(t, err)
}
