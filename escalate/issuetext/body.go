package issuetext

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"unicode/utf8"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/markdown"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/text"
)

// MaxBody is the maximum size of a body in bytes, including its marker.
const MaxBody = 60_000

const (
	maxShort   = 2000        // bytes of a short body
	maxLeftOut = 1000        // bytes that a new body leaves for [AddLeftOut]
	maxWritten = 8 * MaxBody // bytes that a template may write before it is stopped
	maxTitle   = 255         // runes, the length of Gitea's column
)

// Title returns the issue's title, e.g. "[ADF] project-meta on odilo failed 3 consecutively: quota".
func (c *Composer) Title(i incident.Incident) string { return c.title(i, 0) }

// title is Title with the number of other incidents that the issue carries.
func (c *Composer) title(i incident.Incident, others int) string {
	if i.IsSilent() {
		return c.silentTitle(i)
	}
	times, and := "", ""
	switch {
	case others == 1:
		and = " and 1 other"
	case others > 1:
		and = fmt.Sprintf(" and %d others", others)
	}
	if i.Failures > 0 {
		times = fmt.Sprintf("%d ", i.Failures)
	}
	line := func(s string) string { return markdown.PlainLine(c.redact.Line(s, maxName), maxName) }
	prefix, rest := "[ADF] ", " on "+line(i.Project)+and+" failed "+times+"consecutively"
	if class := line(classOf(i)); class != "" {
		rest += ": " + class
	}
	room := maxTitle - utf8.RuneCountInString(prefix+rest)
	return prefix + cutRunes(line(agentOf(i)), max(room, 20)) + cutRunes(rest, maxTitle-len(prefix)-20)
}

func cutRunes(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// Body returns the issue's body: never empty, at most [MaxBody] bytes of valid UTF-8, with the incident's marker as its
// last line and nowhere else. A body that is too long loses output first, then runs, then its end. The problem is "",
// or one line that says why the operator's template was not used or the body was cut.
func (c *Composer) Body(in IssueData) (body, problem string) {
	marker := "\n\n" + markerOf(in).String()
	room := MaxBody - maxLeftOut - len(marker)
	if in.Incident.IsSilent() {
		return c.silentBody(in) + marker, ""
	}
	d := c.data(in)
	body, problem = c.render(&d)
	for n := 0; n < 8 && len(body) > room && c.shrink(&d, len(body)-room); n++ {
		body, _ = c.render(&d)
	}
	if len(body) > room {
		if problem != "" {
			problem += "; "
		}
		problem += fmt.Sprintf("the body was cut: %s of %s did not fit", text.Size(int64(len(body)-room)), text.Size(int64(len(body))))
		body = cutBody(body, room)
	}
	return body + marker, problem
}

func markerOf(in IssueData) tracker.Marker {
	return tracker.Marker{Installation: in.Installation, Project: in.Incident.Project, Seq: in.Incident.Seq, Incident: in.Incident.ID, Silent: in.Incident.IsSilent()}
}

// render executes the operator's template, or the built-in one if that fails.
func (c *Composer) render(d *TemplateData) (body, problem string) {
	if c.custom != nil && d.Problem == "" {
		body, err := execute(c.custom, d)
		if err == nil && body == "" {
			err = errors.New("it writes nothing")
		}
		if err == nil {
			return body, ""
		}
		d.Problem = c.sentence(err.Error())
	}
	body, err := execute(builtin(), d)
	if err != nil { // the tests rule this out
		d.Problem = c.sentence(err.Error())
		body = markdown.Text(string(d.Name)) + " " + text.Failed(d.Failures)
	}
	if d.Problem != "" {
		problem = "the issue template failed: " + string(d.Problem)
	}
	return body, problem
}

func execute(t *template.Template, d *TemplateData) (string, error) {
	var b limitedBuilder
	if err := t.Execute(&b, d); err != nil {
		return "", err
	}
	return tidy(b.String()), nil
}

// limitedBuilder stops a template that writes without end.
type limitedBuilder struct{ strings.Builder }

func (b *limitedBuilder) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxWritten {
		return 0, fmt.Errorf("it writes more than %s", text.Size(maxWritten))
	}
	return b.Builder.Write(p)
}

// tidy guarantees for any template: valid UTF-8, no control characters, no hidden line of the bot, and nothing left open
// that would swallow the marker.
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

// shrink removes about excess bytes from d, and reports whether it found something to remove.
func (c *Composer) shrink(d *TemplateData, excess int) bool {
	const minOutput = 500 // bytes; less output is omitted
	switch n := len(d.Output) - excess - 2*redact.GapRoom; {
	case d.Output != "" && n >= minOutput:
		d.Output = Untrusted(c.redact.Shorten(string(d.Output), n))
	case d.Output != "":
		d.Output = ""
		d.Missing = append(d.Missing, "The output of the last failed run is not shown: the text would be too long.")
	case len(d.Runs) > 0:
		if older := Untrusted("Older runs are not shown: the text would be too long."); !slices.Contains(d.Missing, older) {
			d.Missing = append(d.Missing, older)
		}
		d.Runs = d.Runs[:len(d.Runs)/2]
		d.History = history(d.Runs)
	default:
		return false
	}
	return true
}

// cutBody cuts a body to at most room bytes and says so at its end.
func cutBody(body string, room int) string {
	const note = "\n\nThe text was too long: %d bytes are missing here."
	for end := room - len(note) - 20; ; {
		s := redact.CutHead(body, max(end, 0))
		s += markdown.Unclosed(s) + fmt.Sprintf(note, len(body)-len(s))
		if len(s) <= room || end <= 0 {
			return s
		}
		end -= len(s) - room
	}
}

// Short returns a body of less than 2 KB with the same marker and nothing of the output, for a server or proxy that refuses
// the long one.
func (c *Composer) Short(in IssueData) string {
	if in.Incident.IsSilent() { // it is short
		body, _ := c.Body(in)
		return body
	}
	const maxPart = 200
	code := func(u Untrusted) string { return markdown.CodeSpan(redact.CutLine(string(u), maxPart)) }
	plain := func(u Untrusted) string { return markdown.Text(redact.CutLine(string(u), maxPart)) }
	d := c.data(in)
	d.LastLine = "" // of the output
	d.setWhy()
	var b strings.Builder
	if d.NotPaused {
		fmt.Fprintf(&b, "# NOT PAUSED\n\nThe pause flag %s could not be written: %s\n\nWork may still be dispatched. Stop it by hand.\n\n",
			code(d.PauseFlag), plain(d.FlagError))
	}
	why := ""
	if d.Why != "" {
		why = ": " + d.Why
	}
	fmt.Fprintf(&b, "%s on %s %s (%s, %s)%s.\n\n", code(d.Agent), code(d.Project), text.Failed(d.Failures), plain(d.Host), minute(d.Opened), why)
	if d.Ended.IsZero() {
		fmt.Fprintf(&b, "To resume: %s or %s.\n\n", code(d.Remove), code(d.Resume))
	} else {
		fmt.Fprintf(&b, "It was resumed at %s.\n\n", minute(d.Ended))
	}
	fmt.Fprintf(&b, "Gitea, or a proxy in front of it, did not take the full text. For runs, output and earlier incidents, see %s.",
		code(c.sentence(in.RunAs+"adfbot status "+in.Incident.Project+in.ConfigFlag)))
	if d.Mentions != "" && len(d.Mentions) <= maxPart {
		b.WriteString("\n\n" + d.Mentions)
	}
	marker := "\n\n" + markerOf(in).String()
	body := tidy(b.String())
	if room := maxShort - len(marker); len(body) > room {
		body = cutBody(body, room)
	}
	return body + marker
}
