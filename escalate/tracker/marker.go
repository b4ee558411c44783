package tracker

import (
	"strconv"
	"strings"

	"github.com/terraphim/adfbot/pause"
)

const (
	markerStart  = "<!-- adfbot:v1 "
	silentStart  = "<!-- adfbot:silent-v1 "
	commentStart = "<!-- adfbot:comment "
	commentEnd   = " -->"

	// HiddenStart begins every hidden line of the bot. [BreakMarkers] removes it from untrusted text.
	HiddenStart = "<!-- adfbot:"
)

// Marker is the hidden last line of an issue's body. It names the installation and the incident that the issue belongs
// to. An issue that carries several incidents has one such line for each; the last one names the incident that leads.
type Marker struct {
	Installation string // 32 lower-case hexadecimal digits
	Project      string
	Incident     string // 32 lower-case hexadecimal digits
	Seq          int    // not negative
	Silent       bool   // the incident does not pause its project
}

// IsZero reports whether m is the zero Marker.
func (m Marker) IsZero() bool { return m == Marker{} }

// String returns the line without a newline. [ParseMarker] reads it back if all fields are valid.
//
// The line of a silent incident begins with other words. An earlier version that reads it takes the issue for a person's; one that took
// the incident for a pause, of which its state knows nothing, would close the issue or write a flag.
func (m Marker) String() string {
	start := markerStart
	if m.Silent {
		start = silentStart
	}
	return start + "installation=" + m.Installation + " project=" + m.Project +
		" seq=" + strconv.Itoa(m.Seq) + " incident=" + m.Incident + commentEnd
}

// ParseMarker returns the marker in an issue's body: the last line that is one, since people append to bodies. It
// tolerates trailing blanks and CRLF, and nothing else.
func ParseMarker(body string) (Marker, bool) {
	for len(body) > 0 {
		i := strings.LastIndexByte(body, '\n')
		if m, ok := parseMarkerLine(strings.TrimRight(body[i+1:], " \t\r")); ok {
			return m, true
		}
		body = body[:max(i, 0)]
	}
	return Marker{}, false
}

// The hidden lines around the part of a body that the bot writes anew: who else the issue carries. The rest is people's.
const (
	PartStart = HiddenStart + "incidents" + commentEnd
	PartEnd   = HiddenStart + "incidents-end" + commentEnd
)

// SplitPart splits a body at the bot's part, which includes its hidden lines. It is "" if one of these is missing.
func SplitPart(body string) (before, part, after string) {
	start := hiddenLine(body, 0, PartStart)
	if start < 0 {
		return "", "", body
	}
	end := hiddenLine(body, start, PartEnd)
	if end < 0 {
		return "", "", body
	}
	end += len(PartEnd)
	return body[:start], body[start:end], body[end:]
}

// hiddenLine returns where a hidden line begins, from a place on, or -1.
func hiddenLine(body string, from int, line string) int {
	for {
		n := strings.Index(body[from:], line)
		if n < 0 {
			return -1
		}
		at := from + n
		from = at + len(line)
		rest, _, _ := strings.Cut(body[from:], "\n")
		if (at == 0 || body[at-1] == '\n') && strings.TrimRight(rest, " \t\r") == "" {
			return at
		}
	}
}

// maxMembers bounds the incidents that one issue carries: anybody who may edit a body can put lines into it.
const maxMembers = 1000

// ParseMarkers returns the marker that [ParseMarker] returns, and those in the bot's part of the other incidents that the issue carries,
// in their order: of the same installation, each incident once.
func ParseMarkers(body string) (lead Marker, members []Marker) {
	lead, ok := ParseMarker(body)
	_, part, _ := SplitPart(body)
	if !ok || part == "" {
		return lead, nil
	}
	known := map[string]bool{lead.Incident: true}
	for line := range strings.SplitSeq(part, "\n") {
		m, ok := parseMarkerLine(strings.TrimRight(line, " \t\r"))
		if ok && !m.Silent && m.Installation == lead.Installation && !known[m.Incident] && len(members) < maxMembers {
			known[m.Incident] = true
			members = append(members, m)
		}
	}
	return lead, members
}

// CountBoxes returns how many boxes of projects are ticked, and how many are not, in the list in the bot's part of a body. What follows the
// list begins with a hidden line.
func CountBoxes(body string) (ticked, unticked int) {
	_, part, _ := SplitPart(body)
	list, _, _ := strings.Cut(strings.TrimPrefix(part, PartStart), "\n"+HiddenStart)
	for line := range strings.SplitSeq(list, "\n") {
		switch {
		case strings.HasPrefix(line, "- [x] `"), strings.HasPrefix(line, "- [X] `"):
			ticked++
		case strings.HasPrefix(line, "- [ ] `"):
			unticked++
		}
	}
	return ticked, unticked
}

// parseMarkerLine reads the fields and accepts them if they make the same line again.
func parseMarkerLine(line string) (Marker, bool) {
	var m Marker
	fields, ok := strings.CutPrefix(line, markerStart)
	if !ok {
		fields, m.Silent = strings.CutPrefix(line, silentStart)
	}
	if !ok && !m.Silent {
		return Marker{}, false
	}
	for field := range strings.SplitSeq(strings.Clone(fields), " ") { // a clone, so that m does not keep the body in memory
		switch key, value, _ := strings.Cut(field, "="); key {
		case "installation":
			m.Installation = value
		case "project":
			m.Project = value
		case "seq":
			m.Seq, _ = strconv.Atoi(value)
		case "incident":
			m.Incident = value
		}
	}
	if !pause.IsRandomID(m.Installation) || !pause.ValidID(m.Project) || !pause.IsRandomID(m.Incident) || m.Seq < 0 || m.String() != line {
		return Marker{}, false
	}
	return m, true
}

// CommentMarker returns the hidden last line of a comment. The key says what the comment is about, e.g.
// "<incident>/resumed", so that it is written only once. Bytes that a key may not have become '_'.
func CommentMarker(key string) string {
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-/"
	return commentStart + strings.Map(func(r rune) rune {
		if !strings.ContainsRune(allowed, r) {
			return '_'
		}
		return r
	}, key) + commentEnd
}

// HasCommentMarker reports whether a line of body is the [CommentMarker] of key.
func HasCommentMarker(body, key string) bool {
	want := CommentMarker(key)
	for line := range strings.SplitSeq(body, "\n") {
		if strings.TrimRight(line, " \t\r") == want {
			return true
		}
	}
	return false
}

// BreakMarkers inserts a zero-width space into everything in s that could be read as a hidden line of the bot.
func BreakMarkers(s string) string {
	return strings.ReplaceAll(s, HiddenStart, "<!-- adfbot\u200b:")
}

// testStart begins the hidden line of an issue that only tests what the bot may do in the tracker. It is none of a [Marker], so no version
// takes the issue for that of an incident.
const testStart = HiddenStart + "test-v1 "

// TestMarker returns the hidden last line of an installation's test issue.
func TestMarker(installation string) string {
	return testStart + "installation=" + installation + commentEnd
}

// ParseTestMarker returns the installation in the hidden line of a test issue, or "" if there is none.
func ParseTestMarker(body string) string {
	if !strings.Contains(body, testStart) {
		return ""
	}
	for line := range strings.SplitSeq(body, "\n") {
		rest, ok := strings.CutPrefix(strings.TrimRight(line, " \t\r"), testStart+"installation=")
		if id, ends := strings.CutSuffix(rest, commentEnd); ok && ends && pause.IsRandomID(id) {
			return strings.Clone(id) // so that it does not keep the body in memory
		}
	}
	return ""
}
