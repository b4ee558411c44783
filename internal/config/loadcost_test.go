package config

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/class"
)

// loadForLittle is LoadFor, and requires that it allocates little.
func loadForLittle(t *testing.T, path string, use ...string) *Config {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c, _, err := LoadFor(path, use...)
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(2<<20))
	return c
}

// gate and exec read the rules of all projects whenever they start: those of one team must not keep the jobs of all others waiting.
func TestClassesOfOthersCostLittle(t *testing.T) {
	var b strings.Builder
	b.WriteString(rest + "  - id: atlas\n    classes:\n")
	for n := range 30 {
		fmt.Fprintf(&b, "      - {name: c%d, output: ['(?i)(?:ab|c){1,900}x%d']}\n", n, n)
	}
	path := write(t, b.String())
	c := loadForLittle(t, path, ExecKeys("odilo")...)
	d := class.Decide(c.ClassRules("atlas"), class.Run{ExitCode: 1, Output: "the cause:\nabcx4\n"})
	require.Equal(t, class.Decision{Class: "c4", Outcome: class.Failure}, d)
}

// Patterns that have no effect are warned of by check and the daemon.
func TestPatternsOfOthersCostLittle(t *testing.T) {
	var b strings.Builder
	b.WriteString(rest)
	for n := range 40 {
		fmt.Fprintf(&b, "  - match: '*[a-z]*[b-y]*[!x]*?*[0-9]*%d*[a-z]*[c-d]*[a-z]*[e-z]*[a-z]*x'\n", n)
	}
	path := write(t, b.String()+"  - match: 'a*'\n  - match: 'ab*'\n")
	c := loadForLittle(t, path, GateKeys...)
	require.True(t, c.ByPattern("ab1"))
}

func TestComparingOfPatternsIsBounded(t *testing.T) {
	t.Parallel()
	_, r, err := parse("config.yaml", []byte(projectsOf("  - match: '*a*b*'\n  - match: '*c*d*'\n  - match: '*a*bb*'\n")), "host", noFiles)
	require.NoError(t, err)
	require.Len(t, r.patternsWithoutEffect(mostComparing), 1)
	require.Empty(t, r.patternsWithoutEffect(stateWork), "no more after the first two")
}

// Rules that a team writes cannot fill the memory of the daemon, which keeps what it has compiled.
func TestClassesAreBounded(t *testing.T) {
	t.Parallel()
	list := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "x%d, ", i)
		}
		return b.String()
	}
	rules := func(expressions ...string) string {
		return "classes:\n  - {name: a, exit_codes: [1]}\n  - {name: b, output: [" + strings.Join(expressions, ", ") + "]}\n" + rest
	}
	for _, tt := range []struct{ name, text, want string }{
		{"many expressions", rules(list(101)), "3: classes[1].output: must be at most 100, not 101"},
		{"a large one", rules("'((?:abc|d){0,99}x){1,10}'", "'(?:"+strings.Repeat("x", 400)+"){250}'"),
			"1: classes: has 103970 characters and sets in its expressions when all repetitions are written out; at most 100000"},
	} {
		require.Equal(t, []string{tt.want}, problemsOf(t, tt.text), tt.name)
		c, _ := parsed(t, tt.text)
		require.Empty(t, c.Classes, "%s: none is used", tt.name)
	}
	require.Empty(t, problemsOf(t, rules(list(100))))
	require.Empty(t, problemsOf(t, rules("'.{0,900}x'", "'(a+|[b-d]*){2,}'")))
}
