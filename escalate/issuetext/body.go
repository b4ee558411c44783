// Package issuetext writes what people read: titles and bodies of issues, comments, and the notes in pause flags. Text from
// outside is masked, cleaned and escaped; a body ends with its marker whatever a template does.
package issuetext

import (
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"text/template"
	"time"
	"unicode/utf8"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/markdown"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/pause"
)

// MaxBody is the most bytes that a body has, with its marker.
const MaxBody = 60_000

const (
	maxShort   = 2000        // bytes of a short body
	maxWritten = 8 * MaxBody // bytes; a template that writes more has gone wild
	maxTitle   = 255         // runes, the length of Gitea's column
)

//go:embed issue.md.tmpl
var issueTemplate string

// embedded is parsed when it is first used: most processes never write an issue.
var embedded = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("issue.md.tmpl").Funcs(templateFuncs()).Parse(issueTemplate))
})

// Composer writes the texts of issues. It may be used by several goroutines at once.
type Composer struct {
	own    *template.Template // the operator's, or nil
	redact *redact.Redactor
}

// New makes a Composer. The text is an operator's Go text/template over a [TemplateData], or empty for the
// built-in one. An error means that it does not parse.
//
// Besides Go's own functions a template has:
//
//	code X      X in one line as a code span
//	fence X     X as a fenced block; begin a line with it
//	text X      X in one line as plain text; what a template prints without a function is treated so, too
//	line N X    X in one line, cut to N bytes
//	time T      2026-11-23 07:04:05 (UTC)
//	minute T    2026-11-23 07:04 UTC
//	duration D  12m 5s
//	size X      the length of X, e.g. 8.2 KB
//	raw X       X as a string for other functions; what is printed from it is not escaped
func New(text string, r *redact.Redactor) (*Composer, error) {
	c := &Composer{redact: r}
	if strings.TrimSpace(text) != "" {
		t, err := template.New("template").Funcs(templateFuncs()).Parse(text)
		if err != nil {
			return nil, fmt.Errorf("the template for issues does not parse: %w", err)
		}
		c.own = t
	}
	return c, nil
}

func templateFuncs() template.FuncMap {
	return template.FuncMap{
		"code":     func(v any) string { return markdown.CodeSpan(rawText(v)) },
		"fence":    func(v any) string { return markdown.Fence(rawText(v)) },
		"text":     func(v any) string { return markdown.Text(rawText(v)) },
		"line":     func(n int, v any) Untrusted { return Untrusted(redact.Line(rawText(v), n)) },
		"time":     stamp,
		"minute":   minute,
		"duration": durationText,
		"size":     func(v any) string { return redact.SizeText(int64(len(rawText(v)))) },
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
		return stamp(v)
	}
	return fmt.Sprint(v)
}

// Title gives the issue's title, e.g. "[ADF] project-meta on odilo failed 3 consecutively".
func (c *Composer) Title(i incident.Incident) string {
	failed := "failed consecutively" // how often is not known of a rebuilt incident
	if i.Failures > 0 {
		failed = fmt.Sprintf("failed %d consecutively", i.Failures)
	}
	line := func(s string) string { return markdown.PlainLine(c.redact.Line(s, maxName), maxName) }
	prefix := "[ADF] "
	rest := " on " + line(i.Project) + " " + failed
	room := maxTitle - utf8.RuneCountInString(prefix+rest)
	return prefix + cutRunes(line(agentOf(i)), max(room, 20)) + cutRunes(rest, maxTitle-len(prefix)-20)
}

func cutRunes(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// Body gives the issue's body: always one, at most [MaxBody] bytes of valid UTF-8, and with the marker of the letter's
// incident as its last line and nowhere else, whatever the template did. The problem is empty, or tells in one line for
// the log why the operator's template was not used or the body is cut. A body that is too long loses output first, then
// runs, then its end.
func (c *Composer) Body(l IssueData) (body, problem string) {
	last := "\n\n" + markerOf(l).String()
	room := MaxBody - len(last)
	d := c.data(l)
	text, problem := c.render(&d)
	for range 8 {
		over := len(text) - room
		if over <= 0 || !c.shrink(&d, over) {
			break
		}
		text, _ = c.render(&d)
	}
	if len(text) > room {
		problem = join(problem, fmt.Sprintf("the body was cut: it had %s, and %s is the most", redact.SizeText(int64(len(text))), redact.SizeText(MaxBody)))
		text = cutBody(text, room)
	}
	return text + last, problem
}

// Check tells whether the operator's template works, by writing a body with it.
func (c *Composer) Check() error {
	now := time.Date(2026, 11, 23, 7, 4, 5, 0, time.UTC)
	_, problem := c.Body(IssueData{
		Installation: strings.Repeat("0", 32), PauseFlag: "/opt/ai-dark-factory/data/pause/odilo", Mentions: []string{"ops"},
		Incident: incident.Incident{ID: strings.Repeat("0", 32), Project: "odilo", Seq: 2, Agent: "project-meta", Opened: now,
			Failures: 3, Threshold: 3, Host: "bigbox", Instance: "bigbox", Evidence: incident.Evidence{
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

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

func markerOf(l IssueData) tracker.Marker {
	return tracker.Marker{Installation: l.Installation, Project: l.Incident.Project, Seq: l.Incident.Seq, Incident: l.Incident.ID}
}

// render writes the text without the marker, by the operator's template if that works.
func (c *Composer) render(d *TemplateData) (text, problem string) {
	if c.own != nil && d.Problem == "" {
		text, err := execute(c.own, d)
		if err == nil && text == "" {
			err = errors.New("it gives no text")
		}
		if err == nil {
			return text, ""
		}
		d.Problem = c.sentence(err.Error())
	}
	text, err := execute(embedded(), d)
	if err != nil { // not possible as far as the tests can tell
		text = fmt.Sprintf("%s failed %d times. %s", markdown.CodeSpan(string(d.Name)), d.Failures, markdown.Text(err.Error()))
	}
	if d.Problem != "" {
		problem = "the template for issues failed: " + string(d.Problem)
	}
	return text, problem
}

func execute(t *template.Template, d *TemplateData) (string, error) {
	var b boundedBuilder
	if err := t.Execute(&b, d); err != nil {
		return "", err
	}
	return tidy(b.String()), nil
}

// boundedBuilder refuses to grow without end.
type boundedBuilder struct{ strings.Builder }

func (b *boundedBuilder) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxWritten {
		return 0, fmt.Errorf("it writes more than %s", redact.SizeText(maxWritten))
	}
	return b.Builder.Write(p)
}

// tidy makes sure of what has to hold for any template: valid UTF-8, no controls, no hidden line of the bot, and nothing
// left open that would swallow the marker.
func tidy(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\r\n", "\n")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\r' || r == 0x2028 || r == 0x2029:
			return '\n'
		case r < ' ' && r != '\n' && r != '\t', 0x7f <= r && r < 0xa0:
			return -1
		}
		return r
	}, s)
	s = strings.TrimRight(strings.TrimLeft(tracker.BreakMarkers(s), "\n"), " \t\n")
	return s + markdown.Unclosed(s)
}

// shrink makes the text that d gives shorter by at least over bytes if it can. It tells whether it changed anything.
func (c *Composer) shrink(d *TemplateData, over int) bool {
	const worthwhile = 500 // bytes of output; less is left out whole
	switch n := len(d.Output) - over - 2*redact.GapRoom; {
	case d.Output != "" && n >= worthwhile:
		d.Output = Untrusted(c.redact.Shorten(string(d.Output), n))
	case d.Output != "":
		d.Output = ""
		d.Missing = append(d.Missing, "output of the last failed run: the text was too long")
	case len(d.Runs) > 0:
		d.Runs = d.Runs[:len(d.Runs)/2]
		d.History = history(d.Runs)
	default:
		return false
	}
	return true
}

// cutBody cuts a text to at most room bytes and says so at its end.
func cutBody(text string, room int) string {
	const note = "\n\nThe text was too long: %d bytes are missing here."
	for end := room - len(note) - 20; ; {
		s := redact.CutHead(text, max(end, 0))
		s += markdown.Unclosed(s) + fmt.Sprintf(note, len(text)-len(s))
		if len(s) <= room || end <= 0 {
			return s
		}
		end -= len(s) - room
	}
}

// Short gives a body of less than 2 KB with the same marker, for a server or proxy that refuses the long one.
func (c *Composer) Short(l IssueData) string {
	const maxPart = 200
	cut := func(u Untrusted) string { return redact.CutLine(string(u), maxPart) }
	last := "\n\n" + markerOf(l).String()
	d := c.data(l)
	var b strings.Builder
	if d.NotPaused {
		fmt.Fprintf(&b, "# NOT PAUSED\n\nThe pause flag %s could not be written: %s\n\nWork may still be dispatched. Stop it by hand.\n\n",
			markdown.CodeSpan(cut(d.PauseFlag)), markdown.Text(cut(d.FlagError)))
	}
	fmt.Fprintf(&b, "%s on %s failed %d times in a row (%s, %s).\n\n", markdown.CodeSpan(cut(d.Agent)), markdown.CodeSpan(cut(d.Project)),
		d.Failures, markdown.Text(cut(d.Host)), minute(d.Opened))
	fmt.Fprintf(&b, "To resume: %s or %s.\n\n", markdown.CodeSpan(cut(d.Remove)), markdown.CodeSpan("adfbot resume "+cut(d.Project)))
	fmt.Fprintf(&b, "The full text was refused as too long, so runs, output and earlier incidents are missing here: see %s.",
		markdown.CodeSpan("adfbot status "+cut(d.Project)))
	if d.Mentions != "" && len(d.Mentions) <= maxPart {
		b.WriteString("\n\n" + d.Mentions)
	}
	text := tidy(b.String())
	if room := maxShort - len(last); len(text) > room {
		text = cutBody(text, room)
	}
	return text + last
}

// issueLink gives a link to an issue, short where it is in the repository from.
func issueLink(ref tracker.IssueRef, from tracker.Repo) string {
	number := "#" + strconv.FormatInt(ref.Number, 10)
	switch {
	case ref.IsZero():
		return markdown.Dash
	case ref.Repo == from && from != (tracker.Repo{}):
		return number
	case !pause.ValidID(ref.Repo.Owner) || !pause.ValidID(ref.Repo.Name):
		return markdown.CodeSpan(ref.String())
	case from.Server == "" || ref.Repo.Server == from.Server:
		return ref.Repo.String() + number
	}
	if u, err := url.Parse(ref.URL); err == nil && (u.Scheme == "https" || u.Scheme == "http") && !strings.ContainsAny(ref.URL, "<>() \t\n|\\`") {
		return "[" + ref.Repo.String() + number + "](" + ref.URL + ")"
	}
	return markdown.CodeSpan(ref.Repo.Server + "/" + ref.Repo.String() + number)
}
