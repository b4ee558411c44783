package issuetext

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/testhost"
)

// A pause stops a workflow only where it is disabled meanwhile.
func TestBodyOfWorkflow(t *testing.T) {
	t.Parallel()
	const goesOn = ", but Gitea goes on starting its workflow, `agent.yaml` in `terraphim/odilo`: a pause disables it only with `disable: true` in `projects[].actions`."
	c := compose(t, "")
	in := testData()
	in.Workflow = tracker.Workflow{Repo: "terraphim/odilo", File: "agent.yaml"}
	body, _ := c.Body(in)
	require.Contains(t, body, goesOn)
	require.NotContains(t, body, "nothing is dispatched")
	in.Workflow.Disable = true
	body, _ = c.Body(in)
	require.NotContains(t, body, goesOn)
	require.Contains(t, body, "nothing is dispatched")
}

func TestBody(t *testing.T) {
	for name, change := range map[string]func(l *IssueData){
		"normal":       func(*IssueData) {},
		"close-resume": func(l *IssueData) { l.CloseResumes = true },
		"not-paused": func(l *IssueData) {
			l.FlagError = "open /opt/ai-dark-factory/data/pause: permission denied"
			l.Incident.FlagWritten = time.Time{}
		},
		"ended": func(l *IssueData) { l.Incident.Ended = l.Incident.Opened.Add(time.Hour) },
		"replaced": func(l *IssueData) {
			l.Replaces = &tracker.IssueRef{Repo: l.Repo, ID: 30, Number: 41}
		},
		"rebuilt": func(l *IssueData) {
			l.Incident.Rebuilt, l.Incident.Evidence, l.Incident.Threshold = true, incident.Evidence{}, 0
			l.Incident.Failures, l.Incident.Host = 0, ""
		},
		"no-runs": func(l *IssueData) { l.Incident.Evidence, l.Mentions, l.ResumeInGitea = incident.Evidence{}, nil, false },
		"class": func(l *IssueData) {
			l.Incident.Class, l.Incident.Failures = "quota", 1 // a class that trips at once
			l.Incident.Evidence.Output = "Reading the plan\nYou've hit your usage limit. Try again in 2 days.\n\n"
		},
		"class-unknown": func(l *IssueData) { l.Incident.Class, l.Incident.Evidence.Output = "unknown", "" },
		"fleet":         func(l *IssueData) { l.AnyHost = true },
		"unstored":      func(l *IssueData) { l.AnyHost, l.Incident.Unstored = true, true },
		"awaited": func(l *IssueData) {
			l.Incident.Rebuilt, l.Incident.Unstored, l.Incident.Evidence, l.Incident.Threshold = true, true, incident.Evidence{}, 0
		},
		"suffix": func(l *IssueData) { l.Incident.Agent, l.Incident.Failures = "project-meta-nightly", 1 },
	} {
		t.Run(name, func(t *testing.T) {
			l := testData()
			change(&l)
			c := compose(t, "")
			body, problem := c.Body(l)
			require.Empty(t, problem)
			requireBody(t, l, body)
			golden(t, "issue-"+name+".md", "title: "+c.Title(l.Incident)+"\n\n"+body)
		})
	}
}

// Root, who alone can read what systemd hands to the daemon, needs that for adfbot, and not to remove a file.
func TestWhoRemovesTheFlag(t *testing.T) {
	l := testData()
	l.RunAs, l.RemoveAs = "sudo CREDENTIALS_DIRECTORY=/etc/adfbot ", "sudo -u adfbot "
	body, _ := compose(t, "").Body(l)
	require.Contains(t, body, "`sudo -u adfbot rm /opt/ai-dark-factory/data/pause/odilo`")
	require.Contains(t, body, "`sudo CREDENTIALS_DIRECTORY=/etc/adfbot adfbot resume odilo`")
}

// The first line is what a mail or a list of issues shows.
func TestFirstLineSaysWhy(t *testing.T) {
	l := testData()
	l.Incident.Class = "quota"
	l.Incident.Evidence.Output = "x\n" + strings.Repeat("long ", 100) + " token=hunter2-hunter2\x1b[0m\n"
	body, _ := compose(t, "").Body(l)
	first, _, _ := strings.Cut(body, "\n")
	require.Regexp(t, "on `bigbox`: quota, exit 1, `long (long )+[a-z]*…`\\. The project", first)
	require.Less(t, len(first), 500)
	body, problem := compose(t, "{{.Class}}|{{.Result}}|{{.LastLine}}|{{.Why}}").Body(l)
	require.Empty(t, problem)
	require.Regexp(t, "^quota\\|exit 1\\|long (long )+[a-z]*…\\|quota, exit 1, `long", body)
}

// A ping says when a run ended, and seldom when it began.
func TestRunWithoutStart(t *testing.T) {
	l := testData()
	l.Incident.Evidence.Runs[0].Started, l.Incident.Evidence.Runs[1].Started = time.Time{}, time.Time{}
	l.Incident.Evidence.Runs[0].Finished = time.Date(2026, 11, 23, 7, 4, 5, 0, time.UTC)
	l.Incident.Evidence.Runs[1].Finished = time.Time{}
	body, _ := compose(t, "").Body(l)
	require.Contains(t, body, "\n| ended 2026-11-23 07:04:05 | ✘ failure |")
	require.Contains(t, body, "\n| – | ✘ failure |")
}

func TestHostileText(t *testing.T) {
	c := compose(t, "")
	for _, s := range hostile() {
		for _, paused := range []string{"", s} {
			l := infest(testData(), s)
			l.FlagError = paused
			body, problem := c.Body(l)
			require.Empty(t, problem, "%q", s)
			requireBody(t, l, body)
			requireInert(t, body)
			if strings.TrimSpace(redact.OneLine(s)) != "" {
				blocks, _ := testhost.Fences(body)
				require.Len(t, blocks, 1, "%q", s)
			}
			short := c.Short(l)
			requireBody(t, l, short)
			require.Less(t, len(short), 2048)
		}
		title := c.Title(infest(testData(), s).Incident)
		testhost.RequirePlainText(t, title)
		require.NotContains(t, title, "\n")
		require.LessOrEqual(t, utf8.RuneCountInString(title), 255)
		require.True(t, strings.HasPrefix(title, "[ADF] "), title)
	}
}

func TestBinaryOutput(t *testing.T) {
	s := testhost.Noise(20 << 20)
	l := testData()
	l.Incident.Evidence.Output = s
	l.Incident.Agent, l.FlagError = s, s
	c := compose(t, "", "hunter2-and-more")
	start := time.Now()
	body, problem := c.Body(l)
	t.Log(time.Since(start))
	require.Empty(t, problem)
	requireBody(t, l, body)
	require.Regexp(t, `\n… 20\.\d MB and \d\.\d KB left out …\n`, body)
}

func TestBodyTooLong(t *testing.T) {
	l := testData()
	l.Incident.Evidence.Output = "first\n" + strings.Repeat("0123456789abcdef\n", 6000) + "last"
	body, problem := compose(t, "").Body(l)
	require.Empty(t, problem)
	requireBody(t, l, body)
	require.Contains(t, body, "left out …")
	require.Contains(t, body, "last\n```", "the end of the output stays")
	require.Greater(t, len(body), MaxBody*9/10, "not more is left out than needed")
	require.Contains(t, body, "| `bigbox` |")

	full := strings.Repeat("word ", (MaxBody-1500)/5)
	l = testData()
	body, problem = compose(t, full+"{{range .Runs}}{{range $.Runs}}{{code .Host}}{{.Detail}}{{end}}{{end}}").Body(l)
	require.Contains(t, problem, "can't evaluate field Detail")
	requireBody(t, l, body)
	body, problem = compose(t, full+"{{range .Runs}}{{range $.Runs}}{{range $.Runs}}{{code .Host}}, {{end}}{{end}}{{end}}").Body(l)
	require.Empty(t, problem)
	requireBody(t, l, body)
	require.Contains(t, body, "`bigbox`", "some runs are left")

	body, problem = compose(t, "<details>\n\n~~~~text\n"+strings.Repeat("wörd ", MaxBody/5)).Body(l)
	require.Contains(t, problem, "the body was cut")
	requireBody(t, l, body)
	require.Contains(t, body, "\n~~~~\n\n</details>\n\nThe text was too long: ")
	require.Contains(t, body, " bytes are missing here.")
}

func TestSecretsAreMasked(t *testing.T) {
	const secret = "s3cr3t/Value+with specials"
	c := compose(t, "", secret)
	for _, s := range []string{secret, "x" + secret + "y", "Authorization: Bearer abcdef", "https://bob:hunter2@x.example",
		"s3cr3t/Va\x1b[0mlue+with specials", "s3cr3t/Value+with\nspecials", strings.Repeat("x", maxName-10) + secret} {
		l := infest(testData(), s)
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

func FuzzBody(f *testing.F) {
	for _, s := range hostile() {
		f.Add(s, s, true)
	}
	f.Add("project-meta", "```\n</details>", false)
	c := compose(f, "")
	open := compose(f, "{{raw .Output}}\n{{.Agent}}\n{{range .Runs}}{{raw .Detail}}{{end}}")
	f.Fuzz(func(t *testing.T, a, b string, paused bool) {
		l := infest(testData(), a)
		l.Incident.Evidence.Output = b
		if paused {
			l.FlagError = ""
		}
		body, problem := c.Body(l)
		require.Empty(t, problem)
		requireBody(t, l, body)
		requireInert(t, body)
		blocks, _ := testhost.Fences(body)
		if strings.Trim(redact.Clean(b), "\n") != "" {
			require.Len(t, blocks, 1, "the output is the one block")
		}
		body, _ = open.Body(l)
		requireBody(t, l, body)
	})
}
