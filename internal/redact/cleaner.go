package redact

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxHeld is the most bytes of an escape sequence. A longer one is text.
const maxHeld = 4096

// The states of a cleaner. A sequence that can contain text (OSC, DCS, SOS, PM, APC) is text if its line ends before it
// does: otherwise two stray bytes could hide everything after them.
const (
	inText     = iota
	inEscape   // after ESC
	inCSI      // after ESC [
	inString   // after ESC ] and the like
	inStringST // after an ESC in a string: the backslash of ST follows, or another sequence
)

// cleaner does the work of [Clean] on a stream.
type cleaner struct {
	out     *window
	state   int
	held    []byte // the content of the current sequence
	part    []byte // the first bytes of a rune
	cr      bool   // a CR was seen; the next rune decides what it means
	invalid bool   // the last output was a U+FFFD for invalid bytes
}

func (c *cleaner) write(p []byte) {
	for len(c.part) > 0 && len(p) > 0 { // complete the rune that an earlier piece began
		c.part = append(c.part, p[0])
		p = p[1:]
		for len(c.part) > 0 && utf8.FullRune(c.part) {
			r, n := utf8.DecodeRune(c.part)
			c.rune(r, c.part[:n])
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
		c.rune(r, p[:n])
		p = p[n:]
	}
}

// finish writes what is held as text. Writing may continue afterwards.
func (c *cleaner) finish() {
	if len(c.part) > 0 {
		c.rune(utf8.RuneError, nil)
		c.part = nil
	}
	c.release()
}

// plain returns how many bytes at the start of p are printable ASCII.
func plain(p []byte) int {
	for i, b := range p {
		if b < ' ' || b > '~' {
			return i
		}
	}
	return len(p)
}

// rune processes one rune with its bytes. An invalid byte is a U+FFFD of at most one byte.
func (c *cleaner) rune(r rune, raw []byte) {
	switch c.state {
	case inText:
		c.text(r, raw)
	case inEscape:
		switch {
		case r == '[':
			c.state = inCSI
		case strings.ContainsRune("]PX^_", r):
			c.state = inString
		case ' ' <= r && r <= '/': // intermediate bytes
		default:
			c.state = inText
			if r < '0' || r > '~' {
				c.text(r, raw)
			}
		}
	case inCSI:
		if ' ' <= r && r <= '?' {
			c.hold(raw)
			break
		}
		c.drop()
		if r < '@' || r > '~' {
			c.text(r, raw)
		}
	case inString:
		switch r {
		case '\a', 0x18, 0x1a, 0x9c:
			c.drop()
		case 0x1b:
			c.state = inStringST
		case '\n', '\r':
			c.release()
			c.text(r, raw)
		default:
			c.hold(raw)
		}
	case inStringST:
		c.drop()
		c.state = inEscape
		c.rune(r, raw)
	}
}

func (c *cleaner) hold(raw []byte) {
	if c.held = append(c.held, raw...); len(c.held) > maxHeld {
		c.release()
	}
}

// drop ends a sequence.
func (c *cleaner) drop() { c.state, c.held = inText, c.held[:0] }

// release writes the content of a broken sequence as text. No other sequence begins in it, which keeps the work linear.
func (c *cleaner) release() {
	held := c.held
	c.state, c.held = inText, nil
	for len(held) > 0 {
		r, n := utf8.DecodeRune(held)
		if r != 0x1b && (r < 0x80 || r > 0x9f) {
			c.text(r, held[:n])
		}
		held = held[n:]
	}
}

func (c *cleaner) text(r rune, raw []byte) {
	switch {
	case r == utf8.RuneError && len(raw) < 2:
		if !c.invalid {
			c.put([]byte("\uFFFD"))
			c.invalid = true
		}
	case r == '\n' || r == '\v' || r == '\f' || r == 0x85 || r == 0x2028 || r == 0x2029:
		c.cr, c.invalid = false, false
		c.out.put([]byte{'\n'})
		c.out.line = c.out.n
	case r == '\r':
		c.cr, c.invalid = true, false
	case r == 0x1b:
		c.state = inEscape
	case r == 0x9b:
		c.state = inCSI
	case r == 0x90 || r == 0x98 || 0x9d <= r && r <= 0x9f:
		c.state = inString
	case r == '\t' || !unicode.Is(hidden, r):
		c.put(raw)
	}
}

// put writes visible text.
func (c *cleaner) put(p []byte) {
	if c.cr {
		c.out.rewind()
		c.cr = false
	}
	c.invalid = false
	c.out.put(p)
}

// hidden are the characters that are removed: controls, and formats that reorder text or have no width.
var hidden = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x00, 0x1f, 1}, {0x7f, 0x9f, 1}, // controls
		{0xad, 0xad, 1},                                             // soft hyphen
		{0x61c, 0x61c, 1}, {0x180e, 0x180e, 1}, {0x200b, 0x200f, 1}, // marks, zero width
		{0x202a, 0x202e, 1}, {0x2060, 0x206f, 1}, // bidirectional controls
		{0xfeff, 0xfeff, 1}, // byte order mark
		{0xfff9, 0xfffb, 1}, // annotations
	},
	R32:         []unicode.Range32{{0xe0000, 0xe0fff, 1}}, // tags
	LatinOffset: 3,
}
