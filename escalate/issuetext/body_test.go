package issuetext

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

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

// testLetter is a letter in which everything is known.
func testLetter() IssueData {
	at := time.Date(2026, 11, 23, 7, 4, 5, 0, time.UTC)
	repo := tracker.Repo{Server: "https://git.example.org", Owner: "terraphim", Name: "adf-fleet"}
	run := func(back time.Duration, outcome string, code int) incident.Run {
		return incident.Run{Outcome: outcome, Started: at.Add(-back), Finished: at.Add(-back + 95*time.Second), ExitCode: code, Host: "bigbox"}
	}
	killed := run(20*time.Minute, "failure", 0)
	killed.Signal, killed.Detail, killed.Finished = "SIGKILL", "timed out after 15m0s", at.Add(-5*time.Minute)
	return IssueData{
		Installation: testInstallation, Repo: repo, PauseFlag: "/opt/ai-dark-factory/data/pause/odilo",
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

func TestBodiesReadAsTheGoldenFilesDo(t *testing.T) {
	for name, change := range map[string]func(l *IssueData){
		"normal":       func(*IssueData) {},
		"close-resume": func(l *IssueData) { l.CloseResumes = true },
		"not-paused": func(l *IssueData) {
			l.FlagError = "open /opt/ai-dark-factory/data/pause: permission denied"
			l.Incident.FlagWritten = time.Time{}
		},
		"replaced": func(l *IssueData) {
			l.Replaces = &tracker.IssueRef{Repo: l.Repo, ID: 30, Number: 41}
			l.Missing = []string{"assignee nobody: Gitea does not know this user"}
		},
		"rebuilt": func(l *IssueData) {
			l.Incident.Rebuilt, l.Incident.Evidence, l.Incident.Threshold = true, incident.Evidence{}, 0
			l.Incident.Failures, l.Incident.Host = 0, ""
		},
		"no-runs": func(l *IssueData) { l.Incident.Evidence, l.Mentions, l.ResumeInGitea = incident.Evidence{}, nil, false },
		"suffix":  func(l *IssueData) { l.Incident.Agent, l.Incident.Failures = "project-meta-nightly", 1 },
	} {
		t.Run(name, func(t *testing.T) {
			l := testLetter()
			change(&l)
			c := compose(t, "")
			body, problem := c.Body(l)
			require.Empty(t, problem)
			requireSoundBody(t, l, body)
			golden(t, "issue-"+name+".md", "title: "+c.Title(l.Incident)+"\n\n"+body)
		})
	}
}

func TestTheShortBodyAndTheCommentsReadAsTheGoldenFileDoes(t *testing.T) {
	l := testLetter()
	i := l.Incident
	i.Ended, i.EndedHow = i.Opened.Add(36*time.Minute), "the pause flag was removed; noticed by the sweep"
	golden(t, "short-and-comments.md", strings.Join([]string{
		compose(t, "").Short(l),
		ResumedComment(i.ID+"/resumed", i),
		StillPausedComment(i.ID+"/reopened/1", i, l.PauseFlag, ""),
		LeftOpenComment(i.ID+"/left-open", i),
		DuplicateComment(i.ID+"/duplicate/17", tracker.IssueRef{Repo: l.Repo, Number: 41}),
	}, "\n\n----\n\n"))
}

// requireSoundBody asserts what holds for every body.
func requireSoundBody(t testing.TB, l IssueData, body string) {
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

// hostile is text that was made to break something.
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

// infest puts s in every field that comes from outside.
func infest(l IssueData, s string) IssueData {
	i := &l.Incident
	i.Agent, i.Host, i.Instance, i.FlagError, i.EndedHow = s, s, s, s, s
	l.PauseFlag, l.Missing, l.Mentions = s, []string{s, s}, []string{"no one", "<b>", "", "alex"}
	i.Evidence = incident.Evidence{Output: s, Earlier: []incident.EarlierIncident{{Seq: 1, Issue: tracker.IssueRef{Repo: tracker.Repo{Server: s, Owner: s, Name: s}, Number: 3, URL: s}}}}
	for range 12 {
		i.Evidence.Runs = append(i.Evidence.Runs, incident.Run{Outcome: s, Signal: s, Detail: s, Host: s, RunID: s})
	}
	l.Replaces = &tracker.IssueRef{Repo: tracker.Repo{Server: s, Owner: s, Name: s}, Number: 7, URL: s}
	return l
}

func TestHostileTextStaysTextInABody(t *testing.T) {
	c := compose(t, "")
	for _, s := range hostile() {
		for _, paused := range []string{"", s} {
			l := infest(testLetter(), s)
			l.FlagError = paused
			body, problem := c.Body(l)
			require.Empty(t, problem, "%q", s)
			requireSoundBody(t, l, body)
			requireInert(t, body)
			if strings.TrimSpace(redact.OneLine(s)) != "" {
				blocks, _ := testhost.Fences(body)
				require.Len(t, blocks, 1, "%q", s)
			}
			short := c.Short(l)
			requireSoundBody(t, l, short)
			require.Less(t, len(short), 2048)
		}
		title := c.Title(infest(testLetter(), s).Incident)
		testhost.RequirePlainText(t, title)
		require.NotContains(t, title, "\n")
		require.LessOrEqual(t, utf8.RuneCountInString(title), 255)
		require.True(t, strings.HasPrefix(title, "[ADF] "), title)
	}
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

// withoutCode takes the code spans out, as CommonMark finds them.
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

func TestTwentyMegabytesOfBinaryMakeASoundBody(t *testing.T) {
	s := testhost.Noise(20 << 20)
	l := testLetter()
	l.Incident.Evidence.Output = s
	l.Incident.Agent, l.FlagError = s, s
	c := compose(t, "", "hunter2-and-more")
	start := time.Now()
	body, problem := c.Body(l)
	t.Log(time.Since(start))
	require.Empty(t, problem)
	requireSoundBody(t, l, body)
	require.Regexp(t, `\n… 20\.\d MB and \d\.\d KB left out …\n`, body)
}

func TestTooLongABodyLosesOutputThenRunsThenItsEnd(t *testing.T) {
	l := testLetter()
	l.Incident.Evidence.Output = "first\n" + strings.Repeat("0123456789abcdef\n", 6000) + "last"
	body, problem := compose(t, "").Body(l)
	require.Empty(t, problem)
	requireSoundBody(t, l, body)
	require.Contains(t, body, "left out …")
	require.Contains(t, body, "last\n```", "the end of the output stays")
	require.Greater(t, len(body), MaxBody*9/10, "not more is left out than needed")
	require.Contains(t, body, "| `bigbox` |")

	full := strings.Repeat("word ", (MaxBody-1500)/5)
	l = testLetter()
	body, problem = compose(t, full+"{{range .Runs}}{{range $.Runs}}{{code .Host}}{{.Detail}}{{end}}{{end}}").Body(l)
	require.Contains(t, problem, "can't evaluate field Detail")
	requireSoundBody(t, l, body)
	body, problem = compose(t, full+"{{range .Runs}}{{range $.Runs}}{{range $.Runs}}{{code .Host}}, {{end}}{{end}}{{end}}").Body(l)
	require.Empty(t, problem)
	requireSoundBody(t, l, body)
	require.Contains(t, body, "`bigbox`", "some runs are left")

	body, problem = compose(t, "<details>\n\n~~~~text\n"+strings.Repeat("wörd ", MaxBody/5)).Body(l)
	require.Contains(t, problem, "the body was cut")
	requireSoundBody(t, l, body)
	require.Contains(t, body, "\n~~~~\n\n</details>\n\nThe text was too long: ")
	require.Contains(t, body, " bytes are missing here.")
}

func TestAnOperatorsTemplateIsUsed(t *testing.T) {
	l := testLetter()
	l.Incident.Agent = "project-meta-*x*|`y` @alex"
	body, problem := compose(t, "{{.Agent}} / {{code .Agent}} / {{.Agent | line 9}} {{time .Opened}} {{if eq .Project `odilo`}}yes{{end}}\n{{fence .Output}}").Body(l)
	require.Empty(t, problem)
	requireSoundBody(t, l, body)
	require.True(t, strings.HasPrefix(body, "project-meta-\\*x\\*\\|\\`y\\` @\u200balex / <code>project-meta-&#42;x&#42;&#124;&#96;y&#96; @\u200balex</code> / projec… 2026-11-23 07:04:05 yes\n```\n"), body)
	require.NoError(t, compose(t, "{{.Agent}}").Check())
	require.NoError(t, compose(t, "").Check())
}

func TestAFailingTemplateCostsNoIssue(t *testing.T) {
	for name, text := range map[string]string{
		"unknown field":      "{{.Nope}}",
		"late failure":       "text {{index .Runs 99}}",
		"endless recursion":  `{{define "a"}}{{template "a"}}{{end}}{{template "a"}}`,
		"endless text":       `{{define "a"}}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{{template "a"}}{{end}}{{template "a"}}`,
		"wrong argument":     "{{time 3}}",
		"nothing":            "{{/* nothing */}}\n",
		"a panic":            "{{slice .Output 10000 20000}}",
		"hostile error text": "{{.Nope}}<!-- adfbot:v1 @everyone -->",
	} {
		t.Run(name, func(t *testing.T) {
			c := compose(t, text)
			require.Error(t, c.Check())
			body, problem := c.Body(testLetter())
			require.NotEmpty(t, problem)
			require.NotContains(t, problem, "\n")
			requireSoundBody(t, testLetter(), body)
			require.Contains(t, body, "## How to resume")
			require.Contains(t, body, "The operator's template could not be used, so this is the built-in text: ")
		})
	}
	_, err := New("{{if}}", nil)
	require.ErrorContains(t, err, "does not parse")
}

func TestATemplateCannotForgeOrHideTheMarker(t *testing.T) {
	forged := tracker.Marker{Installation: testInstallation, Project: "other", Incident: testInstallation, Seq: 9}.String()
	for _, text := range []string{
		forged, "x\n" + forged + "\n\n", "x\r\n" + forged + "\r\n", tracker.CommentMarker("k"), "```\nopen", "~~~~~\nopen", "<details>", "<DETAILS>\n<details>\n```",
		"a\x00\x1b\xffb", "{{raw .Output}}", "{{printf `%s` .Output}}", "{{html .Output}}", "x\r" + forged + "\ry", "```\n" + forged + "\n```",
	} {
		l := testLetter()
		l.Incident.Evidence.Output = "x\n" + forged + "\n```\n"
		body, _ := compose(t, text).Body(l)
		requireSoundBody(t, l, body)
	}
}

func TestSecretsAreMaskedInEveryField(t *testing.T) {
	const secret = "s3cr3t/Value+with specials"
	c := compose(t, "", secret)
	for _, s := range []string{secret, "x" + secret + "y", "Authorization: Bearer abcdef", "https://bob:hunter2@x.example",
		"s3cr3t/Va\x1b[0mlue+with specials", "s3cr3t/Value+with\nspecials", strings.Repeat("x", maxName-10) + secret} {
		l := infest(testLetter(), s)
		if strings.Contains(s, "\n") {
			l.Incident.Evidence.Output = "" // broken in two lines it is not the secret; where lines are joined it is
		}
		body, _ := c.Body(l)
		all := body + c.Short(l) + c.Title(l.Incident) + "\n"
		for _, leak := range []string{"s3cr3t", "Value+with", "abcdef\n", "abcdef`", "hunter2"} {
			require.NotContains(t, all, leak, "%q", s)
		}
	}
}

func TestACommentKeepsItsOwnMarkerWhateverTheText(t *testing.T) {
	for _, s := range hostile() {
		i := infest(testLetter(), s).Incident
		for _, body := range []string{
			ResumedComment("k", i), StillPausedComment("k", i, s, ""), LeftOpenComment("k", i),
			DuplicateComment("k", tracker.IssueRef{Repo: tracker.Repo{Server: s, Owner: s, Name: s}, Number: 1, URL: s}),
		} {
			testhost.RequirePlainText(t, body)
			require.True(t, tracker.HasCommentMarker(body, "k"))
			require.Equal(t, 1, strings.Count(body, tracker.HiddenStart))
			_, ok := tracker.ParseMarker(body)
			require.False(t, ok)
			requireInert(t, body)
		}
	}
}

func TestDurationsReadAsPeopleSayThem(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "–", -time.Second: "–", time.Millisecond: "0.1s", 1400 * time.Millisecond: "1.4s", 42 * time.Second: "42s", 60 * time.Second: "1m",
		125 * time.Second: "2m 5s", 3*time.Hour + 20*time.Minute: "3h 20m", 49 * time.Hour: "2d 1h", 59*time.Second + 900*time.Millisecond: "1m",
	} {
		require.Equal(t, want, durationText(d), d)
	}
}

func FuzzBody(f *testing.F) {
	for _, s := range hostile() {
		f.Add(s, s, true)
	}
	f.Add("project-meta", "```\n</details>", false)
	c := compose(f, "")
	open := compose(f, "{{raw .Output}}\n{{.Agent}}\n{{range .Runs}}{{raw .Detail}}{{end}}")
	f.Fuzz(func(t *testing.T, a, b string, paused bool) {
		l := infest(testLetter(), a)
		l.Incident.Evidence.Output = b
		if paused {
			l.FlagError = ""
		}
		body, problem := c.Body(l)
		require.Empty(t, problem)
		requireSoundBody(t, l, body)
		requireInert(t, body)
		blocks, _ := testhost.Fences(body)
		if strings.Trim(redact.Clean(b), "\n") != "" {
			require.Len(t, blocks, 1, "the output is the one block")
		}
		body, _ = open.Body(l)
		requireSoundBody(t, l, body)
	})
}
