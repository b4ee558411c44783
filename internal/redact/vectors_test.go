package redact

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	caseFile = flag.String("cases", "", "measure with this file of cases, made by the program in vectors")
	logDir   = flag.String("logs", "", "count what is masked in the logs of this directory")
	update   = flag.Bool("update", false, "write testdata/cases.txt")
)

// given are the places where a key names a secret: %k is the key in lower case, %K in upper case, %s the secret.
var given = []string{
	`%kToken="%s"`, `%kToken = "%s"`, `%kToken=%s`, `%kToken = %s`, `%kToken = '%s'`, "{\n    \"%k_token\": \"%s\"\n}",
	`{"config.ini": "%K_TOKEN=%s\nBACKUP_ENABLED=true"}`, "<%kToken>\n    %s\n</%kToken>", `<%kToken>%s</%kToken>`,
	`%k_token: %s`, `%k_token: '%s'`, `%k_token: "%s"`, "%k_token: |\n  %s\n", `string %kToken = "%s";`, `var %kToken string = "%s"`,
	`%kToken := "%s"`, "%kToken := `%s`", `String %kToken = "%s";`, `val %kToken: String = "%s"`, `var %kToken = "%s"`, `$%kToken .= "%s"`,
	`System.setProperty("%K_TOKEN", "%s")`, `  "%kToken" => "%s"`, `%K_TOKEN ::= "%s"`, `%K_TOKEN :::= "%s"`, `%K_TOKEN ?= "%s"`, `%K_TOKEN += "%s"`,
	`%K_KEY=%s`, `%K_API_KEY=%s`, `export %K_SECRET=%s`, `https://example.com?%kToken=%s&fooBar=baz`, `{PATH=/bin, %K_PASSWORD=%s, LC_CTYPE=C}`,
	`<entry name="%kToken" value="%s" />`, "- name: %K_TOKEN\n  value: %s\n", `run --%k-token %s --verbose`, "if %kToken == \"%s\" {",
}

// bare are places without a key.
var bare = []string{"it said %s and went on", `got ["%s"],`, "(%s)", `{\"x\": \"%s\"}`, "at https://example.com/x?y=%s&z=1", "a %s"}

func TestVectors(t *testing.T) {
	for _, source := range []string{"gitleaks", "betterleaks"} {
		tally := map[string]*score{"given": {}, "bare": {}}
		for _, r := range readRules(t, source) {
			for n := range 3 {
				secret := r.secret(t, n)
				for _, format := range given {
					tally["given"].count(r.id, strings.NewReplacer("%k", r.key, "%K", strings.ToUpper(r.key), "%s", secret).Replace(format), secret)
				}
				for _, format := range bare {
					if r.kind == "bare" {
						tally["bare"].count(r.id, strings.ReplaceAll(format, "%s", secret), secret)
					}
				}
			}
		}
		for kind, least := range map[string]float64{"given": 95, "bare": 80} {
			t.Logf("%s, %s: %s", source, kind, tally[kind])
			require.GreaterOrEqual(t, tally[kind].percent(), least, "%s, %s", source, kind)
		}
	}
}

// TestCases measures with the cases of other scanners' tests, which are not committed, and compares the result with
// testdata/cases.txt, where each has a hash.
func TestCases(t *testing.T) {
	if *caseFile == "" {
		t.Skip("needs -cases")
	}
	tally, lines := map[string]*score{}, []string{}
	for text := range strings.Lines(readFile(t, *caseFile)) {
		var c struct {
			Source, Name, Text string
			Secrets            []string
		}
		require.NoError(t, json.Unmarshal([]byte(text), &c))
		if tally[c.Source] == nil {
			tally[c.Source] = &score{}
		}
		for _, s := range c.Secrets {
			state := "shown"
			if tally[c.Source].count(c.Name, c.Text, s) {
				state = "masked"
			}
			sum := sha256.Sum256([]byte(c.Text + "\x00" + s))
			lines = append(lines, fmt.Sprintf("%s %s %x %s\n", c.Source, c.Name, sum[:6], state))
		}
	}
	for source, s := range tally {
		t.Logf("%s: %s", source, s)
	}
	slices.Sort(lines)
	got := strings.Join(slices.Compact(lines), "")
	if *update {
		require.NoError(t, os.WriteFile("testdata/cases.txt", []byte(got), 0o644))
	}
	require.Equal(t, readFile(t, "testdata/cases.txt"), got)
}

// TestCasesMasked keeps the results in testdata/cases.txt from getting worse unnoticed, as -update could make them.
func TestCasesMasked(t *testing.T) {
	tally := map[string]*score{"detect-secrets": {}, "secretlint": {}, "trufflehog": {}}
	for line := range strings.Lines(readFile(t, "testdata/cases.txt")) {
		f := strings.Fields(line)
		tally[f[0]].all++
		if f[len(f)-1] == "masked" {
			tally[f[0]].masked++
		}
	}
	for source, least := range map[string]float64{"detect-secrets": 58, "secretlint": 68, "trufflehog": 91} {
		require.GreaterOrEqual(t, tally[source].percent(), least, source)
	}
}

// score counts vectors, and those that are masked.
type score struct {
	all, masked int
	shown       map[string]int // by rule
	example     map[string]string
}

func (s *score) count(rule, in, secret string) (ok bool) {
	s.all++
	out := New().Redact(Clean(in))
	if ok = !shows(out, secret); ok {
		s.masked++
		return ok
	}
	if s.shown == nil {
		s.shown, s.example = map[string]int{}, map[string]string{}
	}
	s.shown[rule]++
	s.example[rule] = out
	return ok
}

func (s *score) percent() float64 { return 100 * float64(s.masked) / float64(s.all) }

func (s *score) String() string {
	rules := slices.SortedFunc(maps.Keys(s.shown), func(a, b string) int { return cmp.Or(s.shown[b]-s.shown[a], cmp.Compare(a, b)) })
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d masked, %.1f %%; shown:", s.masked, s.all, s.percent())
	for _, r := range rules {
		fmt.Fprintf(&b, " %s (%d)", r, s.shown[r])
		if os.Getenv("EXAMPLES") != "" {
			fmt.Fprintf(&b, "\n%s\n", s.example[r])
		}
	}
	return b.String()
}

// shows reports whether eight consecutive bytes of the second half of the secret are in out: a prefix may be.
func shows(out, secret string) bool {
	const part = 8
	for i := min(len(secret)/2, max(len(secret)-part, 0)); i+part <= len(secret); i++ {
		if strings.Contains(out, secret[i:i+part]) {
			return true
		}
	}
	return strings.Contains(out, secret)
}

type rule struct{ source, id, kind, expr, key string }

func readRules(t *testing.T, source string) (rules []rule) {
	t.Helper()
	lines := bufio.NewScanner(strings.NewReader(readFile(t, "testdata/rules.txt")))
	for lines.Scan() {
		if f := strings.Split(lines.Text(), "\t"); len(f) == 4 && f[0] == source {
			key, _, _ := strings.Cut(f[1], "-")
			rules = append(rules, rule{f[0], f[1], f[2], f[3], key})
		}
	}
	require.NotEmpty(t, rules)
	return rules
}

// secret returns the n-th secret of the rule, always the same.
func (r rule) secret(t *testing.T, n int) string {
	t.Helper()
	re, err := syntax.Parse(r.expr, syntax.Perl)
	require.NoError(t, err, r.id)
	seed := sha256.Sum256(fmt.Appendf(nil, "%s %s %d", r.source, r.id, n))
	var b strings.Builder
	generate(&b, rand.New(rand.NewPCG(binary.LittleEndian.Uint64(seed[:]), 1)), re)
	return b.String()
}

// generate writes a text that re matches.
func generate(b *strings.Builder, r *rand.Rand, re *syntax.Regexp) {
	repeat := func(least, most int) {
		if most < 0 || most > least+20 {
			most = least + 20
		}
		for range least + r.IntN(most-least+1) {
			generate(b, r, re.Sub[0])
		}
	}
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		n := 0
		for i := 0; i < len(re.Rune); i += 2 {
			n += int(re.Rune[i+1]-re.Rune[i]) + 1
		}
		n = r.IntN(n)
		for i := 0; i < len(re.Rune); i += 2 {
			if size := int(re.Rune[i+1]-re.Rune[i]) + 1; n < size {
				b.WriteRune(re.Rune[i] + rune(n))
				break
			} else {
				n -= size
			}
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('.')
	case syntax.OpConcat, syntax.OpCapture:
		for _, sub := range re.Sub {
			generate(b, r, sub)
		}
	case syntax.OpAlternate:
		generate(b, r, re.Sub[r.IntN(len(re.Sub))])
	case syntax.OpQuest:
		repeat(0, 1)
	case syntax.OpStar:
		repeat(0, -1)
	case syntax.OpPlus:
		repeat(1, -1)
	case syntax.OpRepeat:
		repeat(re.Min, re.Max)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

// TestLogs counts what is masked in ordinary logs, and compares the result with testdata/logs.txt: the samples *_2k.log of
// github.com/logpai/loghub in one directory.
func TestLogs(t *testing.T) {
	if *logDir == "" {
		t.Skip("needs -logs")
	}
	var b strings.Builder
	require.NoError(t, filepath.WalkDir(*logDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text := readFile(t, path)
		found := New().find(Clean(text), &foundValues{})
		name, err := filepath.Rel(*logDir, path)
		fmt.Fprintf(&b, "%s %d\n", name, len(found))
		for _, sp := range found {
			text := Clean(text)
			t.Logf("%s: %q", name, text[max(sp.from-40, 0):min(sp.to+10, len(text))])
		}
		return err
	}))
	if *update {
		require.NoError(t, os.WriteFile("testdata/logs.txt", []byte(b.String()), 0o644))
	}
	require.Equal(t, readFile(t, "testdata/logs.txt"), b.String())
}
