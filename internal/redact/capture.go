package redact

import (
	"fmt"
	"strings"
	"sync"

	"github.com/terraphim/adfbot/internal/text"
)

const (
	// overlap is how many more bytes are kept at each side of a cut, so that a secret is masked before it is cut.
	overlap = 64 << 10

	maxHead  = 1024     // bytes of the start of a shortened text
	slack    = 32 << 10 // bytes that the kept end may exceed its size, which saves copying
	minSplit = 128      // a shorter limit has no room for a line about the gap

	// GapRoom is how many bytes a line about a gap takes at most.
	GapRoom = 64
)

// Capture keeps the start and the end of a stream in bounded memory: about twice its limit plus 160 KiB. It cleans,
// masks and cuts the text, in this order. It is safe for concurrent use.
type Capture struct {
	limit  int
	redact *Redactor

	mu    sync.Mutex
	raw   int64
	kept  window
	clean cleaner
}

// NewCapture returns a Capture whose text has at most limit bytes. A limit of 0 keeps nothing.
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

// Write never fails.
func (c *Capture) Write(p []byte) (int, error) {
	if c.limit > 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw += int64(len(p))
		c.clean.write(p)
	}
	return len(p), nil
}

// Text returns what was written, if that fits. Otherwise it returns the start (an eighth of the limit, at most 1024
// bytes), a line about how much was left out, and the end.
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
		all := c.redact.Redact(head + tail)
		if len(all) <= c.limit {
			return all
		}
		return cutMiddle(all, all, max(raw, int64(len(all))), c.limit, c.headLimit())
	}
	// Beyond end and before from there may be half a secret whose other half was discarded.
	found := &foundValues{}
	head, end := c.redact.mask(head, len(head)-overlap, found)
	from := 0
	if torn {
		from = min(overlap, len(tail))
	}
	tail, from = c.redact.mask(tail, from, found)
	head, end = c.redact.mask(head, end, found)                                            // what only the tail gave away
	head, tail = strings.ToValidUTF8(head[:end], ""), strings.ToValidUTF8(tail[from:], "") // without half runes
	return cutMiddle(head, tail, raw, c.limit, c.headLimit())
}

// cutMiddle joins the start of head and the end of tail, with a line about the gap, to at most limit bytes. size is the
// length of the original.
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

// splitGap splits a text at the line that cutMiddle wrote, and returns the size in that line.
func splitGap(s string) (head, size, tail string, ok bool) {
	before, _, ok := strings.Cut(s[:min(len(s), maxHead+GapRoom)], gapEnd)
	i := strings.LastIndex(before, gapStart)
	if !ok || i < 0 || len(before)-i > GapRoom-len(gapEnd) || i > 0 && before[i-1] != '\n' {
		return "", "", "", false
	}
	return s[:i], before[i+len(gapStart):], s[len(before)+len(gapEnd):], true
}

// Shorten masks output and cuts its middle to at most limit bytes. Output that was shortened before is cut at the same
// place.
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
