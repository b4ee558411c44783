package redact

import (
	"math"
	"strings"
	"unicode/utf8"
)

// Clean makes text of several lines from outside harmless to store and to show. What it gives is valid UTF-8 (a run of
// invalid bytes is one U+FFFD) without escape sequences of terminals, without control characters but \n and \t, and
// without characters that reorder or hide text (bidirectional controls, zero-width ones). CRLF becomes LF; of a line with
// lone CRs, as progress bars write them, stays what follows the last one; U+2028, U+2029, VT, FF and NEL end a line.
// Cleaning twice changes nothing more.
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

// isClean tells of ordinary ASCII text, which nearly everything is.
func isClean(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < ' ' || c > '~') && c != '\n' && c != '\t' {
			return false
		}
	}
	return true
}

// Line is [Clean] in one line: blanks collapsed, none at the ends, and at most limit bytes, cut at a rune's boundary
// and then ended by "…".
func Line(s string, limit int) string {
	return CutLine(strings.Join(strings.Fields(Clean(s)), " "), limit)
}

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

// CutHead gives at most n bytes from the start of s, cut at a rune's boundary and not inside of a masked place.
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

// cutTail gives at most n bytes from the end of s, cut at a rune's boundary and not inside of a masked place.
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

// maxHeld is how many bytes of an escape sequence are awaited before it is taken for text.
const maxHeld = 4096

// The states of a cleaner. A sequence that can hold text (OSC, DCS, SOS, PM, APC) and is not ended by the end of its line
// is text after all: otherwise two stray bytes could hide all that follows.
const (
	inText     = iota
	inEscape   // after ESC
	inCSI      // after ESC [
	inString   // after ESC ] and the like
	inStringST // after an ESC in a string: the backslash of ST follows, or another sequence
)

// cleaner does the work of [Clean] on a stream, piece by piece.
type cleaner struct {
	out   *window
	state int
	held  []byte // what a sequence swallowed so far
	part  []byte // the first bytes of a rune
	cr    bool   // a CR was seen; what follows decides what it meant
	bad   bool   // the last thing written was a U+FFFD for invalid bytes
}

func (c *cleaner) write(p []byte) {
	for len(c.part) > 0 && len(p) > 0 { // end the rune that an earlier piece began
		c.part = append(c.part, p[0])
		p = p[1:]
		for len(c.part) > 0 && utf8.FullRune(c.part) {
			r, n := utf8.DecodeRune(c.part)
			c.rune(r, n, c.part[:n])
			c.part = c.part[n:]
		}
	}
	for len(p) > 0 {
		if c.state == inText {
			if n := plain(p); n > 0 {
				c.put(p[:n])
				p = p[n:]
				continue
			}
		}
		if !utf8.FullRune(p) {
			c.part = append(c.part, p...)
			return
		}
		r, n := utf8.DecodeRune(p)
		c.rune(r, n, p[:n])
		p = p[n:]
	}
}

// finish takes what is still held for text. Writing may go on after it.
func (c *cleaner) finish() {
	if len(c.part) > 0 {
		c.rune(utf8.RuneError, 1, nil)
		c.part = nil
	}
	c.release()
}

// plain counts the bytes at the start of p that need no look.
func plain(p []byte) int {
	for i, b := range p {
		if b < ' ' || b > '~' {
			return i
		}
	}
	return len(p)
}

// rune takes one rune; raw are its bytes, n is 1 and r is U+FFFD for a byte that belongs to none.
func (c *cleaner) rune(r rune, n int, raw []byte) {
	switch c.state {
	case inText:
		c.text(r, n, raw)
	case inEscape:
		switch {
		case r == '[':
			c.state = inCSI
		case strings.ContainsRune("]PX^_", r):
			c.state = inString
		case ' ' <= r && r <= '/': // intermediate bytes
		case '0' <= r && r <= '~':
			c.state = inText
		default:
			c.state = inText
			c.text(r, n, raw)
		}
	case inCSI:
		switch {
		case ' ' <= r && r <= '?':
			if c.held = append(c.held, raw...); len(c.held) > maxHeld {
				c.release()
			}
		case '@' <= r && r <= '~':
			c.state, c.held = inText, c.held[:0]
		default:
			c.state, c.held = inText, c.held[:0]
			c.text(r, n, raw)
		}
	case inString:
		switch r {
		case '\a', 0x18, 0x1a, 0x9c:
			c.state, c.held = inText, c.held[:0]
		case 0x1b:
			c.state = inStringST
		case '\n', '\r':
			c.release()
			c.text(r, n, raw)
		default:
			if c.held = append(c.held, raw...); len(c.held) > maxHeld {
				c.release()
			}
		}
	case inStringST:
		c.state, c.held = inEscape, c.held[:0]
		c.rune(r, n, raw)
	}
}

// release ends a sequence that was none, and writes what it held as text.
func (c *cleaner) release() {
	held := c.held
	c.state, c.held = inText, nil
	for len(held) > 0 {
		r, n := utf8.DecodeRune(held)
		if isC1(r) || r == 0x1b { // no sequence begins in what is left of one: that keeps the work linear
			held = held[n:]
			continue
		}
		c.text(r, n, held[:n])
		held = held[n:]
	}
}

func (c *cleaner) text(r rune, n int, raw []byte) {
	switch {
	case r == utf8.RuneError && n <= 1:
		if !c.bad {
			c.put([]byte("\uFFFD"))
			c.bad = true
		}
	case r == '\n' || r == '\v' || r == '\f' || r == 0x85 || r == 0x2028 || r == 0x2029:
		c.cr, c.bad = false, false
		c.out.put([]byte{'\n'})
		c.out.line = c.out.n
	case r == '\r':
		c.cr, c.bad = true, false
	case r == 0x1b:
		c.state = inEscape
	case r == 0x9b:
		c.state = inCSI
	case r == 0x90 || r == 0x98 || 0x9d <= r && r <= 0x9f:
		c.state = inString
	case r == '\t' || !isHidden(r):
		c.put(raw)
	}
}

// put writes something visible.
func (c *cleaner) put(p []byte) {
	if c.cr {
		c.out.rewind()
		c.cr = false
	}
	c.bad = false
	c.out.put(p)
}

func isC1(r rune) bool { return 0x80 <= r && r <= 0x9f }

// isHidden tells of runes that show nothing themselves and are not wanted: controls, and formats that reorder text or
// take no room.
func isHidden(r rune) bool {
	switch {
	case r < 0x7f:
		return r < ' '
	case r < 0xa0:
		return true
	}
	switch {
	case r == 0xad, r == 0x61c, r == 0x180e, r == 0xfeff: // soft hyphen, marks, byte order mark
		return true
	case 0x200b <= r && r <= 0x200f, 0x202a <= r && r <= 0x202e, 0x2060 <= r && r <= 0x206f:
		return true
	case 0xfff9 <= r && r <= 0xfffb, 0xe0000 <= r && r <= 0xe0fff: // annotations, tags
		return true
	}
	return false
}

// OneLine is [Line] without a limit.
func OneLine(s string) string { return strings.Join(strings.Fields(Clean(s)), " ") }
