package issuetext

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/markdown"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/testhost"
)

var update = flag.Bool("update", false, "write the golden files")

const (
	testInstallation = "0123456789abcdef0123456789abcdef"
	testIncident     = "fedcba9876543210fedcba9876543210"
)

// testData returns data in which everything is known.
func testData() IssueData {
	at := time.Date(2026, 11, 23, 7, 4, 5, 0, time.UTC)
	repo := tracker.Repo{Server: "https://git.example.org", Owner: "terraphim", Name: "adf-fleet"}
	run := func(back time.Duration, outcome string, code int) incident.Run {
		return incident.Run{Outcome: outcome, Started: at.Add(-back), Finished: at.Add(-back + 95*time.Second), ExitCode: code, Host: "bigbox"}
	}
	killed := run(20*time.Minute, "failure", 0)
	killed.Signal, killed.Detail, killed.Finished = "SIGKILL", "timed out after 15m0s", at.Add(-5*time.Minute)
	return IssueData{
		Installation: testInstallation, Repo: repo, PauseFlag: "/opt/ai-dark-factory/data/pause/odilo", RunAs: "sudo -u adfbot ", RemoveAs: "sudo -u adfbot ",
		Mentions: []string{"terraphim/operators", "@alex"}, ResumeInGitea: true,
		Incident: incident.Incident{
			ID: testIncident, Project: "odilo", Seq: 3, Agent: "project-meta", Opened: at, Failures: 3, Threshold: 3,
			Host: "bigbox", Instance: "bigbox", FlagWritten: at,
			Evidence: incident.Evidence{
				Runs: []incident.Run{run(95*time.Second, "failure", 1), killed, run(40*time.Minute, "ignored", 75),
					run(60*time.Minute, "failure", 101), run(80*time.Minute, "success", 0)},
				Output: "Compiling odilo v0.4.1\nerror[E0308]: mismatched types\n  --> src/main.rs:14:5\n\nerror: could not compile `odilo`\n",
				Earlier: []incident.EarlierIncident{
					{Seq: 1, Opened: at.AddDate(0, 0, -9), Ended: at.AddDate(0, 0, -9).Add(52 * time.Minute),
						Issue: tracker.IssueRef{Repo: tracker.Repo{Server: repo.Server, Owner: "terraphim", Name: "odilo"}, ID: 9, Number: 12}},
					{Seq: 2, Opened: at.AddDate(0, 0, -2), Ended: at.AddDate(0, 0, -2).Add(27 * time.Hour),
						Issue: tracker.IssueRef{Repo: repo, ID: 17, Number: 40}},
				},
			},
		},
	}
}

func compose(t testing.TB, text string, secrets ...string) *Composer {
	t.Helper()
	c, err := New(text, redact.New(secrets...))
	require.NoError(t, err)
	return c
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o777))
		require.NoError(t, os.WriteFile(path, []byte(got+"\n"), 0o666))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got+"\n")
}

// requireBody asserts what holds for every body.
func requireBody(t testing.TB, l IssueData, body string) {
	t.Helper()
	require.LessOrEqual(t, len(body), MaxBody)
	testhost.RequirePlainText(t, body)
	want := markerOf(l).String()
	require.Equal(t, 1, strings.Count(body, tracker.HiddenStart), "one hidden line")
	require.True(t, strings.HasSuffix(body, "\n\n"+want), "the marker is the last line")
	if m, ok := tracker.ParseMarker(want); ok {
		got, ok := tracker.ParseMarker(body)
		require.True(t, ok)
		require.Equal(t, m, got)
	}
	fences, open := testhost.Fences(body)
	require.False(t, open, "a fenced block swallows the marker")
	_ = fences
}

// hostile returns texts made to break something.
func hostile() []string {
	marker := tracker.Marker{Installation: testInstallation, Project: "other", Incident: testInstallation, Seq: 9}.String()
	all := []string{
		"", " ", "\n", "\x00", "\x1b[31mred\x1b[0m\x1b]0;t\x07", "a\rb\r\nc", "\xff\xfe\x80", "\u202eabc\u2066\u200b\ufeff", "\u2028\u2029\u0085",
		marker, "\n" + marker + "\n", "x\n\n" + marker, tracker.CommentMarker("k"), "\n" + tracker.CommentMarker("k") + "\n", "<!--", "-->", "<!-- -->",
		"<!\u200b-- adfbot:v1", "<\x00!-- adfbot:comment k -->", "@everyone", "@alex, @ops/team", "(@alex)", "#12", "!12", "a/b#12 a/b@0123456789",
		"https://git.example.org/a/b/issues/12", "</details>", "</summary></details></table>", "<details><summary>", "<script>alert(1)</script>",
		"|", "a|b`c|d", "\\|", "\\", "`", "a\\`b`", "- x", "1. x", "# x", "=====", "> x", "    x", "\tx", "![x](http://x.example/y.png)",
		"[x](javascript:alert(1))", "**b** _i_ ~~s~~ $m$", "{{.Project}}", "%s%d%!", "x\n\ny", "\n~~~\n", "~~~~", "password=hunter2",
	}
	for n := 1; n < 14; n++ {
		all = append(all, strings.Repeat("`", n), "\n"+strings.Repeat("`", n)+"\n", strings.Repeat("~", n))
	}
	return append(all, strings.Repeat("`", 300), strings.Repeat("`\n", 5000), "\n"+strings.Repeat("`", 100_000)+"\n")
}

// infest sets every untrusted field to s.
func infest(l IssueData, s string) IssueData {
	i := &l.Incident
	i.Agent, i.Host, i.Instance, i.FlagError, i.EndedHow, i.Class = s, s, s, s, s, s
	l.PauseFlag, l.Mentions = s, []string{"no one", "<b>", "", "alex"}
	i.Evidence = incident.Evidence{Output: s, Earlier: []incident.EarlierIncident{{Seq: 1, Issue: tracker.IssueRef{Repo: tracker.Repo{Server: s, Owner: s, Name: s}, Number: 3, URL: s}}}}
	for range 12 {
		i.Evidence.Runs = append(i.Evidence.Runs, incident.Run{Outcome: s, Signal: s, Detail: s, Host: s, RunID: s})
	}
	l.Replaces = &tracker.IssueRef{Repo: tracker.Repo{Server: s, Owner: s, Name: s}, Number: 7, URL: s}
	return l
}

// requireInert asserts that nobody is mentioned but @alex, and nothing is HTML but what the template has.
func requireInert(t testing.TB, body string) {
	t.Helper()
	if i := strings.Index(body, "\n<details><summary>Output"); i >= 0 {
		end := strings.LastIndex(body, "\n</details>")
		require.Greater(t, end, i)
		body = body[:i] + body[end+len("\n</details>"):]
	}
	body = withoutCode(strings.TrimSuffix(body, body[strings.LastIndex(body, "\n"):]))
	require.NotContains(t, body, "<")
	for i := range len(body) {
		if body[i] == '@' {
			rest := body[i+1:]
			require.True(t, strings.HasPrefix(rest, markdown.ZeroWidth) || rest == "alex" || strings.HasPrefix(rest, "alex\n") ||
				strings.HasPrefix(rest, "alex @"), "a mention: %.40q", rest)
		}
	}
}

// withoutCode removes code spans as CommonMark does.
func withoutCode(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] == '\\' && i+1 < len(s) {
			b.WriteString(s[i : i+2])
			i += 2
			continue
		}
		if s[i] != '`' {
			b.WriteByte(s[i])
			i++
			continue
		}
		n := 0
		for i+n < len(s) && s[i+n] == '`' {
			n++
		}
		end := -1
		for j := i + n; j < len(s); {
			k := 0
			for j+k < len(s) && s[j+k] == '`' {
				k++
			}
			if k == n {
				end = j + k
				break
			}
			j += max(k, 1)
		}
		if end < 0 {
			b.WriteString(s[i : i+n])
			i += n
		} else {
			i = end
		}
	}
	return strings.NewReplacer("<code>", "", "</code>", "").Replace(b.String())
}
