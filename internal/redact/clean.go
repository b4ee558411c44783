package redact

import (
	"math"
	"strings"
	"unicode/utf8"
)

// Clean makes untrusted text of several lines harmless to store and to show. The result is valid UTF-8 (a run of
// invalid bytes becomes one U+FFFD). It has no terminal escape sequences, no control characters except \n and \t, and
// no characters that reorder or hide text (bidirectional controls, zero-width characters). CRLF, U+2028, U+2029, VT, FF
// and NEL become \n. Of a line with lone CRs, as in a progress bar, only the text after the last CR remains. Clean is
// idempotent.
func Clean(s string) string {
	if isClean(s) {
		return s
	}
	w := window{headMax: math.MaxInt}
	c := cleaner{out: &w}
	c.write([]byte(s))
	c.finish()
	return string(w.head)
}

// isClean reports whether s is ordinary ASCII text, as nearly everything is.
func isClean(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < ' ' || c > '~') && c != '\n' && c != '\t' {
			return false
		}
	}
	return true
}

// Line is [OneLine], cut by [CutLine].
func Line(s string, limit int) string { return CutLine(OneLine(s), limit) }

// OneLine is [Clean] in one line: white space is collapsed to single blanks and trimmed.
func OneLine(s string) string { return strings.Join(strings.Fields(Clean(s)), " ") }

// CutLine returns s if it has at most limit bytes. Otherwise it cuts s at a rune's boundary to at most limit bytes,
// including a final "…".
func CutLine(s string, limit int) string {
	const dots = "…"
	switch {
	case len(s) <= limit:
		return s
	case limit < len(dots):
		return ""
	}
	return strings.TrimRight(CutHead(s, limit-len(dots)), " ") + dots
}

// CutHead returns at most n bytes from the start of s. It cuts neither a rune nor a "[masked]".
func CutHead(s string, n int) string {
	if n >= len(s) {
		return s
	}
	n = max(n, 0)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	if from, _, ok := aroundMask(s, n); ok {
		n = from
	}
	return s[:n]
}

// cutTail returns at most n bytes from the end of s. It cuts neither a rune nor a "[masked]".
func cutTail(s string, n int) string {
	if n >= len(s) {
		return s
	}
	i := len(s) - max(n, 0)
	for i < len(s) && !utf8.RuneStart(s[i]) {
		i++
	}
	if _, to, ok := aroundMask(s, i); ok {
		i = to
	}
	return s[i:]
}
