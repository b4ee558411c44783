package tracker

import (
	"strconv"
	"strings"

	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/pause"
)

const (
	markerStart  = "<!-- adfbot:v1 "
	commentStart = "<!-- adfbot:comment "
	commentEnd   = " -->"

	// HiddenStart begins every hidden line of the bot. Text from elsewhere never keeps it, see [issuetext.Composer.Body].
	HiddenStart = "<!-- adfbot:"
)

// Marker is the hidden last line of an issue's body. It tells which installation made the issue, and for which incident.
// It is no proof: whoever may edit the issue can write one, so the author is checked as well.
type Marker struct {
	Installation string // 32 hexadecimal digits
	Project      string
	Incident     string // 32 hexadecimal digits
	Seq          int
}

// IsZero tells whether there is no marker.
func (m Marker) IsZero() bool { return m == Marker{} }

// String gives the line without a newline. [ParseMarker] reads it back as long as every field is valid: both ids 32
// lower-case hexadecimal digits, the project an id, and Seq not negative.
func (m Marker) String() string {
	return markerStart + "installation=" + m.Installation + " project=" + m.Project +
		" seq=" + strconv.Itoa(m.Seq) + " incident=" + m.Incident + commentEnd
}

// ParseMarker gives the marker of an issue's body: the last line that is exactly one, because people who edit a body
// append to it. CRLF and trailing blanks are tolerated, nothing else is.
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

func parseMarkerLine(line string) (Marker, bool) {
	rest, ok := strings.CutPrefix(line, markerStart)
	if !ok {
		return Marker{}, false
	}
	if rest, ok = strings.CutSuffix(rest, commentEnd); !ok {
		return Marker{}, false
	}
	fields := strings.Split(rest, " ")
	if len(fields) != 4 {
		return Marker{}, false
	}
	for i, key := range []string{"installation=", "project=", "seq=", "incident="} {
		if fields[i], ok = strings.CutPrefix(fields[i], key); !ok {
			return Marker{}, false
		}
	}
	seq, ok := ParseSeq(fields[2])
	if !ok || !pause.IsRandomID(fields[0]) || !pause.ValidID(fields[1]) || !pause.IsRandomID(fields[3]) {
		return Marker{}, false
	}
	return Marker{Installation: fields[0], Project: fields[1], Seq: seq, Incident: fields[3]}, true
}

// CommentMarker is the hidden line that ends a comment of the bot. Its key tells what the comment is about, e.g.
// "<incident>/resumed", so that none is made twice. Bytes that have no place in a key become '_'.
func CommentMarker(key string) string {
	return commentStart + cleanKey(key) + commentEnd
}

// HasCommentMarker tells whether a line of body is the [CommentMarker] of key.
func HasCommentMarker(body, key string) bool {
	want := CommentMarker(key)
	for line := range strings.SplitSeq(body, "\n") {
		if strings.TrimRight(line, " \t\r") == want {
			return true
		}
	}
	return false
}

func cleanKey(key string) string {
	b := []byte(key)
	for i, c := range b {
		if !redact.IsKeyByte(c) && c != '/' {
			b[i] = '_'
		}
	}
	return string(b)
}

// BreakMarkers puts a zero-width space into everything in s that could be read as a hidden line of the bot.
func BreakMarkers(s string) string {
	return strings.ReplaceAll(s, HiddenStart, "<!-- adfbot\u200b:")
}

// ParseSeq reads a number as strconv.Itoa writes it: no sign, no leading zero.
func ParseSeq(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 0 && strconv.Itoa(n) == s
}
