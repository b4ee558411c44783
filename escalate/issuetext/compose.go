// Package issuetext writes the texts that people read: titles, bodies and comments of issues, and the notes in pause
// flags.
//
// Untrusted text is cleaned, masked and escaped. A body ends with its marker, whatever the operator's template does.
package issuetext

import (
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"sync"
	"text/template"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/markdown"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/text"
)

//go:embed issue.md.tmpl
var issueTemplate string

// BuiltinTemplate returns the text of the built-in template, from which people start theirs.
func BuiltinTemplate() string { return issueTemplate }

// builtin is parsed on first use, because few processes write an issue.
var builtin = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("issue.md.tmpl").Funcs(templateFuncs()).Parse(issueTemplate))
})

// Composer writes titles and bodies of issues. It is safe for concurrent use.
type Composer struct {
	custom *template.Template // the operator's, or nil
	redact *redact.Redactor
}

// New returns a Composer. The source is an operator's Go text/template that is executed with a [TemplateData]; if it is
// blank, the built-in template is used. An error means that the source does not parse.
//
// Besides Go's predefined functions, a template has:
//
//	code X      X in one line as a code span
//	fence X     X as a fenced block; must be at the start of a line
//	text X      X in one line as plain text; values printed without a function are treated the same
//	line N X    X in one line, cut to N bytes
//	time T      2026-11-23 07:04:05 (UTC)
//	minute T    2026-11-23 07:04 UTC
//	duration D  12m 5s
//	size X      the length of X, e.g. 8.2 KB
//	raw X       X as a string for other functions; not escaped if printed
func New(source string, r *redact.Redactor) (*Composer, error) {
	c := &Composer{redact: r}
	if strings.TrimSpace(source) == "" {
		return c, nil
	}
	t, err := template.New("template").Funcs(templateFuncs()).Parse(source)
	if err != nil {
		return nil, fmt.Errorf("the issue template does not parse: %w", err)
	}
	c.custom = t
	return c, nil
}

func templateFuncs() template.FuncMap {
	return template.FuncMap{
		"code":     func(v any) string { return markdown.CodeSpan(rawText(v)) },
		"fence":    func(v any) string { return markdown.Fence(rawText(v)) },
		"text":     func(v any) string { return markdown.Text(rawText(v)) },
		"line":     func(n int, v any) Untrusted { return Untrusted(redact.Line(rawText(v), n)) },
		"time":     second,
		"minute":   minute,
		"duration": duration,
		"size":     func(v any) string { return text.Size(int64(len(rawText(v)))) },
		"raw":      rawText,
	}
}

func rawText(v any) string {
	switch v := v.(type) {
	case Untrusted:
		return string(v)
	case string:
		return v
	case time.Time:
		return second(v)
	}
	return fmt.Sprint(v)
}

// second returns a time to the second, in UTC.
func second(t time.Time) string {
	if t.IsZero() {
		return markdown.Dash
	}
	return t.UTC().Format(time.DateTime)
}

// minute returns a time for sentences.
func minute(t time.Time) string {
	if t.IsZero() {
		return "an unknown time"
	}
	return t.UTC().Format("2006-01-02 15:04") + " UTC"
}

func duration(d time.Duration) string {
	if d <= 0 {
		return markdown.Dash
	}
	return text.Duration(d)
}

// Check reports an error if the operator's template does not work for a sample issue.
func (c *Composer) Check() error {
	now := time.Date(2026, 11, 23, 7, 4, 5, 0, time.UTC)
	_, problem := c.Body(IssueData{
		Installation: strings.Repeat("0", 32), PauseFlag: "/opt/ai-dark-factory/data/pause/odilo", Mentions: []string{"ops"},
		Incident: incident.Incident{ID: strings.Repeat("0", 32), Project: "odilo", Seq: 2, Agent: "project-meta", Opened: now,
			Failures: 3, Threshold: 3, Class: "quota", Host: "bigbox", Instance: "bigbox", Evidence: incident.Evidence{
				Runs:    []incident.Run{{Outcome: "failure", Started: now.Add(-time.Minute), Finished: now, ExitCode: 1, Host: "bigbox"}},
				Output:  "error: out of memory\n",
				Earlier: []incident.EarlierIncident{{Seq: 1, Opened: now.Add(-time.Hour), Ended: now.Add(-time.Minute), Issue: tracker.IssueRef{Number: 1}}},
			}},
	})
	if problem != "" {
		return errors.New(problem)
	}
	return nil
}
