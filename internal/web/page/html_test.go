package page

import (
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/status"
)

var (
	tagForm  = regexp.MustCompile(`<(/?)([a-zA-Z0-9]+)((?:\s+[a-zA-Z-]+(?:="[^"]*")?)*)\s*(/?)>`)
	attrForm = regexp.MustCompile(`([a-zA-Z-]+)(?:="([^"]*)")?`)
)

// soundHTML holds a page to what its templates promise: every element closed in order, attributes quoted, ids unique,
// nothing that runs or loads but the page's own files, nothing that sends, and links to the web or, relative, to this bot only.
func soundHTML(t *testing.T, doc string) {
	t.Helper()
	require.True(t, strings.HasPrefix(doc, "<!doctype html>\n<html lang=\"en\">"))
	rest := strings.TrimPrefix(doc, "<!doctype html>")
	require.Equal(t, strings.Count(rest, "<"), len(tagForm.FindAllString(rest, -1)), "each < begins a tag")
	void := map[string]bool{"meta": true, "link": true, "br": true, "input": true}
	never := []string{"style", "iframe", "object", "embed", "img", "base"}
	require.Equal(t, 1, strings.Count(doc, "<script"), "the page's own")
	require.Regexp(t, `<script src="(\./|(\.\./)+)page\.js\?v=[0-9a-f]+" defer></script>\n</head>`, doc)
	for _, form := range regexp.MustCompile(`<form[^>]*>`).FindAllString(doc, -1) {
		require.Equal(t, `<form id="find" method="get" role="search">`, form, "it asks for another page")
	}
	var open []string
	ids := map[string]bool{}
	var labels []string
	for _, m := range tagForm.FindAllStringSubmatch(rest, -1) {
		name := m[2]
		require.NotContains(t, never, name)
		switch {
		case m[1] == "/":
			require.NotEmpty(t, open)
			require.Equal(t, open[len(open)-1], name, "closed in order")
			open = open[:len(open)-1]
		case m[4] != "/" && !void[name]:
			open = append(open, name)
		}
		for _, a := range attrForm.FindAllStringSubmatch(m[3], -1) {
			value := html.UnescapeString(a[2])
			require.False(t, strings.HasPrefix(a[1], "on") || a[1] == "style" || a[1] == "src" && name != "script" || strings.Contains(a[1], "action"), "attribute %s", a[1])
			switch a[1] {
			case "id":
				require.False(t, ids[value], "two of id %s", value)
				ids[value] = true
			case "aria-labelledby":
				labels = append(labels, value)
			case "href":
				u, err := url.Parse(value)
				require.NoError(t, err)
				require.True(t, u.Scheme == "http" || u.Scheme == "https" || (u.Scheme == "" && u.Host == "" && strings.ContainsRune(".#?", rune(value[0]))), "link to %s", value)
			}
		}
	}
	require.Empty(t, open, "all closed")
	for _, l := range labels {
		require.True(t, ids[l], "no element has the id %s", l)
	}
	require.Equal(t, -1, strings.IndexFunc(doc, func(r rune) bool {
		return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r))
	}),
		"nothing that can't be seen")
	require.Equal(t, 1, strings.Count(doc, "<h1>"))
	require.Equal(t, 1, strings.Count(doc, "<main "))
	require.Contains(t, doc, `<a class="skip" href="#main">`)
}

func TestSoundHTML(t *testing.T) {
	for name, facts := range samples() {
		t.Run(name, func(t *testing.T) { soundHTML(t, show(t, "/", facts).Body.String()) })
	}
}

func TestForeignTextIsEscaped(t *testing.T) {
	for _, name := range []string{"hostile", "project-hostile"} {
		doc := show(t, "/", samples()[name]).Body.String()
		require.Contains(t, doc, "&lt;script&gt;alert(1)&lt;/script&gt;", name)
		require.NotContains(t, doc, "<script>", name)
		require.NotContains(t, doc, `href="javascript`, name)
		require.NotContains(t, doc, `href="data`, name)
		require.NotContains(t, doc, `href="vbscript`, name)
	}
	// What is no address of the web stays text.
	require.Contains(t, show(t, "/", evil()).Body.String(), "javascript:alert(6)")
}

// FuzzPages has every text of a page come from outside.
func FuzzPages(f *testing.F) {
	f.Add(hostile)
	f.Add("a\x00\xff\x1b[31m\u2028\u0085]]>--><!--")
	f.Add("https://h/%zz\" onclick=x")
	f.Fuzz(func(t *testing.T, s string) {
		p := paused(s, "-", s)
		p.Reason, p.Pending, p.Warnings, p.Incident.Name, p.Incident.TakenBy = s, []string{s}, []string{s}, s, s
		p.LastRuns[0].Detail, p.LastRuns[0].Agent, p.LastRuns[0].Signal, p.LastRuns[0].Outcome = s, s, s, s
		all := sampleStatus(p)
		all.Instance, all.Problems, all.Foreign = s, []string{s}, []string{s}
		soundHTML(t, show(t, "/", all).Body.String())

		d := status.Detail{Status: all, FlagPath: s, Runs: sampleRuns("-"), Incidents: sampleIncidents()[:1]}
		d.Runs[0].Output, d.Runs[0].RunID, d.Runs[0].Host, d.Runs[0].Agent = s, s, s, s
		i := &d.Incidents[0]
		i.Project, i.Agent, i.Host, i.LastErr, i.Evidence.Output, i.Issue.URL, i.Issue.Repo.Owner = s, s, s, s, s, s, s
		soundHTML(t, show(t, "/", d).Body.String())
	})
}
