package redact

import (
	"fmt"
	"strings"
	"sync"

	"github.com/terraphim/adfbot/internal/text"
)

const (
	// overlap is how many bytes more than needed are kept on both sides of a cut, so that a secret is seen whole, and
	// masked, before anything is cut away from it.
	overlap = 64 << 10

	maxHead  = 1024     // bytes shown of the start
	slack    = 32 << 10 // saves copying: so much longer than needed the kept end may get
	minSplit = 128      // a shorter text is not worth a line about what was left out
	GapRoom  = 64       // bytes for that line
)

// Capture keeps the first and the last part of a stream in bounded memory: about twice its limit and 160 KiB, whatever
// the stream's length. What it gives back is cleaned, masked and cut, in this order.
type Capture struct {
	limit  int
	redact *Redactor

	mu    sync.Mutex
	raw   int64
	kept  window
	clean cleaner
}

// NewCapture makes a Capture whose text has at most limit bytes. A limit of 0 keeps nothing.
func NewCapture(limit int, r *Redactor) *Capture {
	c := &Capture{limit: max(limit, 0), redact: r}
	c.kept = window{headMax: c.headLimit() + overlap, tailMax: c.limit + overlap}
	c.clean.out = &c.kept
	return c
}

func (c *Capture) headLimit() int {
	if c.limit < minSplit {
		return 0
	}
	return min(c.limit/8, maxHead)
}

// Write never fails. Several goroutines may write, for instance those of a command's two outputs.
func (c *Capture) Write(p []byte) (int, error) {
	if c.limit > 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw += int64(len(p))
		c.clean.write(p)
	}
	return len(p), nil
}

// Text gives what was written: all of it where that fits, otherwise its first eighth (at most 1024 bytes), a line about
// how much was left out, and the end. It is meant to be asked when the writing is over; asking earlier does no harm.
func (c *Capture) Text() string {
	if c.limit == 0 {
		return ""
	}
	c.mu.Lock()
	c.clean.finish()
	raw, whole, torn := c.raw, c.kept.whole(), c.kept.torn
	head, tail := string(c.kept.head), string(c.kept.tail)
	c.mu.Unlock()

	if whole {
		text := c.redact.Redact(head + tail)
		if len(text) <= c.limit {
			return text
		}
		return cutMiddle(text, text, max(raw, int64(len(text))), c.limit, c.headLimit())
	}
	// What lies beyond these two places may be one half of a secret whose other half was thrown away.
	head, end := c.redact.mask(head, len(head)-overlap)
	from := 0
	if torn {
		from = min(overlap, len(tail))
	}
	tail, from = c.redact.mask(tail, from)
	head, tail = strings.ToValidUTF8(head[:end], ""), strings.ToValidUTF8(tail[from:], "") // halves of a rune
	return cutMiddle(head, tail, raw, c.limit, c.headLimit())
}

// cutMiddle joins the start of head and the end of tail, with a line between them, to at most limit bytes. size is the
// length of what they were taken from.
func cutMiddle(head, tail string, size int64, limit, headLimit int) string {
	if limit < minSplit {
		return cutTail(tail, limit)
	}
	head = CutHead(head, headLimit)
	tail = cutTail(tail, limit-len(head)-GapRoom)
	gap := gapStart + text.Size(max(size-int64(len(head)+len(tail)), 1)) + gapEnd
	if head != "" && head[len(head)-1] != '\n' {
		gap = "\n" + gap
	}
	return head + gap + tail
}

const (
	gapStart = "… "
	gapEnd   = " left out …\n"
)

// splitGap finds the line that cutMiddle wrote, and gives the size it tells.
func splitGap(s string) (head, size, tail string, ok bool) {
	before, _, ok := strings.Cut(s[:min(len(s), maxHead+GapRoom)], gapEnd)
	i := strings.LastIndex(before, gapStart)
	if !ok || i < 0 || len(before)-i > GapRoom-len(gapEnd) || i > 0 && before[i-1] != '\n' {
		return "", "", "", false
	}
	return s[:i], before[i+len(gapStart):], s[len(before)+len(gapEnd):], true
}

// window keeps the first headMax bytes of a text and at least its last tailMax ones.
type window struct {
	headMax, tailMax int
	head, tail       []byte
	n                int  // length of the text so far, kept or not
	line             int  // where its last line begins
	torn             bool // the tail begins where it was cut
}

func (w *window) whole() bool { return len(w.head)+len(w.tail) == w.n }

func (w *window) put(p []byte) {
	w.n += len(p)
	if room := w.headMax - len(w.head); room > 0 && len(w.tail) == 0 {
		k := min(room, len(p))
		w.head = append(w.head, p[:k]...)
		p = p[k:]
	}
	if len(p) == 0 {
		return
	}
	if len(p) > w.tailMax {
		p = p[len(p)-w.tailMax:]
		w.tail, w.torn = w.tail[:0], true
	} else if over := len(w.tail) + len(p) - w.tailMax; over > slack {
		w.tail, w.torn = w.tail[:copy(w.tail, w.tail[over:])], true
	}
	w.tail = append(w.tail, p...)
}

// rewind takes the last line back.
func (w *window) rewind() {
	switch back := w.n - w.line; {
	case back < len(w.tail):
		w.tail = w.tail[:len(w.tail)-back]
	default: // the line began in the head, or in what was thrown away
		w.tail, w.torn = w.tail[:0], false
		w.head = w.head[:min(w.line, len(w.head))]
	}
	w.n = w.line
}

// Shorten cuts output in its middle to at most limit bytes, masked. Output that was cut before loses more at the same place.
func (r *Redactor) Shorten(output string, limit int) string {
	if head, size, tail, ok := splitGap(output); ok && len(output) > limit && limit > 2*(len(head)+2*GapRoom) {
		kept := cutTail(r.Redact(Clean(tail)), limit-len(head)-2*GapRoom)
		head = CutHead(r.Redact(Clean(head)), len(head))
		return fmt.Sprintf("%s… %s and %s left out …\n%s", head, size, text.Size(int64(max(len(tail)-len(kept), 1))), kept)
	}
	k := NewCapture(limit, r)
	_, _ = k.Write([]byte(output))
	return k.Text()
}
