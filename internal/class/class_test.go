package class_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/class"
)

func expressions(list ...string) (out []*class.Expression) {
	for _, text := range list {
		e, err := class.NewExpression(text)
		if err != nil {
			panic(err)
		}
		out = append(out, e)
	}
	return out
}

func TestDecide(t *testing.T) {
	t.Parallel()
	rules := []class.Rule{
		{Name: "tool", ExitCodes: []int{69, 70}, Output: expressions("^tool:"), Agents: []string{"project-meta-*"}, Outcome: class.Trip},
		{Name: "quota", ExitCodes: []int{75}, Output: expressions(`(?i)(usage|rate|session) limit`), Outcome: class.Failure},
		{Name: "flaky", Output: expressions(`connection reset$`), Outcome: class.Ignored, Anywhere: true},
		{Name: "late", ExitCodes: []int{75, 9}, Outcome: class.Ignored},
	}
	many := strings.Repeat("an ordinary line\n\n", class.TailLines)
	for _, x := range []struct {
		name, agent string
		code        int
		output      string
		want        class.Decision
	}{
		{"no rule", "project-meta", 1, "error: x", class.Decision{Class: class.Unknown, Outcome: class.Failure}},
		{"no output", "project-meta", 1, "", class.Decision{Class: class.Unknown, Outcome: class.Failure}},
		{"an exit code", "project-meta", 75, "", class.Decision{Class: "quota", Outcome: class.Failure}},
		{"a line", "project-meta", 1, "Claude Usage Limit reached\nbye\n", class.Decision{Class: "quota", Outcome: class.Failure}},
		{"the first rule decides", "project-meta", 9, "session limit", class.Decision{Class: "quota", Outcome: class.Failure}},
		{"of a later rule", "project-meta", 9, "", class.Decision{Class: "late", Outcome: class.Ignored}},
		{"the last 20 lines, blank ones left out", "project-meta", 1, "rate limit\n" + many, class.Decision{Class: class.Unknown, Outcome: class.Failure}},
		{"one of the last 20", "project-meta", 1, "rate limit\n" + many[len("an ordinary line\n"):], class.Decision{Class: "quota", Outcome: class.Failure}},
		{"anywhere", "project-meta", 1, "connection reset\n" + many, class.Decision{Class: "flaky", Outcome: class.Ignored}},
		{"an expression is for one line", "project-meta", 1, "connection\nreset", class.Decision{Class: class.Unknown, Outcome: class.Failure}},
		{"of other agents", "project-meta", 70, "tool: x", class.Decision{Class: class.Unknown, Outcome: class.Failure}},
		{"of this agent", "project-meta-odilo", 1, "x\ntool: y", class.Decision{Class: "tool", Outcome: class.Trip}},
		{"an exit code of this agent", "project-meta-odilo", 69, "", class.Decision{Class: "tool", Outcome: class.Trip}},
	} {
		require.Equal(t, x.want, class.Decide(rules, class.Run{Agent: x.agent, ExitCode: x.code, Output: x.output}), x.name)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	rules := []class.Rule{
		{Name: "agents", ExitCodes: []int{1}, Agents: []string{"developer", "review-*"}},
		{Name: "codes", ExitCodes: []int{69, 70}},
		{Name: "both", ExitCodes: []int{70}, Output: expressions("quota")},
		{Name: "far", Output: expressions("^first line$")},
		{Name: "line", Output: expressions("no such line", "limit reached")},
		{Name: "code", ExitCodes: []int{1}},
	}
	output := "first line\n" + strings.Repeat("line\n", 19) + "5-hour limit reached\n"
	var got []string
	for _, v := range class.Explain(rules, class.Run{Agent: "project-meta", ExitCode: 1, Output: output}) {
		got = append(got, map[bool]string{true: "+ ", false: "- "}[v.Matches]+v.Rule.Name+": "+v.Why)
	}
	require.Equal(t, []string{
		`- agents: the agent project-meta is none of developer, review-*`,
		`- codes: exit code 1 is none of 69, 70`,
		`- both: exit code 1 is none of 70; none of the last 20 lines of output matches`,
		`- far: a line matches, but it is not among the last 20; see anywhere`,
		`+ line: limit reached matches the line "5-hour limit reached"`,
		`+ code: exit code 1`,
	}, got)
	require.Equal(t, "there is no output", class.Explain(rules[3:4], class.Run{})[0].Why)
	require.Equal(t, "the line of output does not match", class.Explain(rules[3:4], class.Run{Output: "x"})[0].Why)
	require.Equal(t, "none of the 2 lines of output matches", class.Explain(rules[3:4], class.Run{Output: "x\n\ny"})[0].Why)
}

func TestLastLine(t *testing.T) {
	t.Parallel()
	for output, want := range map[string]string{
		"": "", "\n \n": "", "a": "a", "a\nb": "b", "a\n  b c \n\n\t\n": "b c",
	} {
		require.Equal(t, want, class.LastLine(output), "%q", output)
	}
}
