package issuetext

import (
	_ "embed"
	"strings"
	"sync"
	"text/template"
	"time"
	"unicode/utf8"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/markdown"
	"github.com/terraphim/adfbot/internal/text"
)

//go:embed silent.md.tmpl
var silentTemplate string

// silentBuiltin is parsed on first use. There is no operator's template in its place: those are about failures.
var silentBuiltin = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("silent.md.tmpl").Funcs(templateFuncs()).Parse(silentTemplate))
})

// silentTitle returns the title of the issue of a silent incident.
func (c *Composer) silentTitle(i incident.Incident) string {
	line := func(s string) string { return markdown.PlainLine(c.redact.Line(s, maxName), maxName) }
	prefix, rest := "[ADF] ", " on "+line(i.Project)+" has not reported since "+minute(i.Since)
	return prefix + cutRunes(line(agentOf(i)), max(maxTitle-utf8.RuneCountInString(prefix+rest), 20)) + rest
}

// silentBody returns the body of that issue, without the marker. It is never too long.
func (c *Composer) silentBody(in IssueData) string {
	i := in.Incident
	data := struct {
		TemplateData
		Since, Began  time.Time
		Never         bool
		Expect        string
		Status, Pause Untrusted
	}{
		TemplateData: c.data(in), Since: i.Since, Began: i.Began, Never: i.LastResult.IsZero() && !i.Rebuilt, Expect: markdown.Text(i.Expect),
		Status: c.sentence(in.RunAs + "adfbot status " + i.Project + in.ConfigFlag),
		Pause:  c.sentence(in.RunAs + "adfbot pause " + i.Project + in.ConfigFlag),
	}
	var b limitedBuilder
	if err := silentBuiltin().Execute(&b, data); err != nil { // the tests rule this out
		return markdown.Text(string(data.Name)) + " does not report."
	}
	return tidy(b.String())
}

// SilenceEndedComment says how a silent incident ended.
func SilenceEndedComment(key string, i incident.Incident) string {
	lasted := ""
	if d := i.Ended.Sub(i.Since); d > 0 && !i.Since.IsZero() {
		lasted = " It was silent for " + text.Duration(d) + "."
	}
	return reply(key, "%s %s.%s\n\nIncident %s ended, and the bot closes this issue.", markdown.CodeSpan(i.Project),
		strings.TrimSuffix(ErrorText(i.EndedHow), "."), lasted, markdown.CodeSpan(i.Name()))
}

// silentLeftOpen is [LeftOpenComment] for a silent incident.
func silentLeftOpen(key string, i incident.Incident) string {
	return reply(key, "This issue was reopened after its incident had ended: %s %s. The bot leaves the issue open; close it when you are done.\n\n"+
		"If it is silent again, the bot opens a new issue.", markdown.CodeSpan(i.Project), strings.TrimSuffix(ErrorText(i.EndedHow), "."))
}
