package issuetext

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/tracker"
)

func TestTemplate(t *testing.T) {
	l := testData()
	l.Incident.Agent = "project-meta-*x*|`y` @alex"
	body, problem := compose(t, "{{.Agent}} / {{code .Agent}} / {{.Agent | line 9}} {{time .Opened}} {{if eq .Project `odilo`}}yes{{end}}\n{{fence .Output}}").Body(l)
	require.Empty(t, problem)
	requireBody(t, l, body)
	require.True(t, strings.HasPrefix(body, "project-meta-\\*x\\*\\|\\`y\\` @\u200balex / <code>project-meta-&#42;x&#42;&#124;&#96;y&#96; @\u200balex</code> / projec… 2026-11-23 07:04:05 yes\n```\n"), body)
	require.NoError(t, compose(t, "{{.Agent}}").Check())
	require.NoError(t, compose(t, "").Check())
}

func TestFailingTemplate(t *testing.T) {
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
			body, problem := c.Body(testData())
			require.NotEmpty(t, problem)
			require.NotContains(t, problem, "\n")
			requireBody(t, testData(), body)
			require.Contains(t, body, "## How to resume")
			require.Contains(t, body, "The operator's template failed, so this is the built-in text: ")
		})
	}
	_, err := New("{{if}}", nil)
	require.ErrorContains(t, err, "does not parse")
}

func TestTemplateAgainstMarker(t *testing.T) {
	forged := tracker.Marker{Installation: testInstallation, Project: "other", Incident: testInstallation, Seq: 9}.String()
	for _, text := range []string{
		forged, "x\n" + forged + "\n\n", "x\r\n" + forged + "\r\n", tracker.CommentMarker("k"), "```\nopen", "~~~~~\nopen", "<details>", "<DETAILS>\n<details>\n```",
		"a\x00\x1b\xffb", "{{raw .Output}}", "{{printf `%s` .Output}}", "{{html .Output}}", "x\r" + forged + "\ry", "```\n" + forged + "\n```",
	} {
		l := testData()
		l.Incident.Evidence.Output = "x\n" + forged + "\n```\n"
		body, _ := compose(t, text).Body(l)
		requireBody(t, l, body)
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{-time.Second: "–", 0: "–", time.Millisecond: "0.1s", 125 * time.Second: "2m 5s"} {
		require.Equal(t, want, duration(d), d)
	}
}
