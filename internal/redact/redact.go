package redact

import (
	"cmp"
	"slices"
	"strings"
	"sync"
)

const (
	masked    = "[masked]"
	minSecret = 4 // bytes; a shorter value would match ordinary text everywhere
	minBase64 = 8 // bytes; likewise for the base64 form of a value
	minLine   = 8 // bytes; a line of a secret, if this long, is masked by itself
	minRest   = 8 // bytes of a value that lost its start to a broken escape sequence
	maxLost   = 8 // bytes that it may have lost
	maxPasses = 8
)

// Redactor masks secrets: the values that it was given, and everything that looks like a secret. If in doubt, it masks.
// It can learn further values, e.g. a rotated token, and never forgets one. It is safe for concurrent use.
//
// A nil Redactor has no values and masks by looks only.
type Redactor struct {
	mu      sync.RWMutex
	values  []string
	needles []needle // all forms of the values
}

// New returns a Redactor for the given secret values. White space around a value is ignored, and so are values of less
// than 4 bytes and parts of "[masked]". It also finds a value that is escaped for URLs, JSON or HTML, quoted as in Go or a
// shell, or encoded in hexadecimal or in base64 at any offset (from 8 bytes on), and each line of a value by itself (from
// 8 bytes on).
func New(values ...string) *Redactor {
	r := &Redactor{}
	for _, v := range values {
		r.Learn(v)
	}
	return r
}

// Learn adds a value, with the rules of [New]. Texts that are masked after Learn has returned do not show it. Learning a
// known value is cheap.
func (r *Redactor) Learn(value string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.values, value) {
		r.values = append(r.values, value)
		r.needles = append(r.needles, needlesOf(value)...)
	}
}

// known returns all forms of the values. The caller must not change them.
func (r *Redactor) known() []needle {
	if r == nil {
		return nil
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.needles
}

// Redact returns s with every secret replaced by "[masked]". It is idempotent and takes time linear in s.
func (r *Redactor) Redact(s string) string {
	s, _ = r.mask(s, 0, &foundValues{})
	return s
}

// Line returns s as one masked line of at most limit bytes, as [Line] does.
func (r *Redactor) Line(s string, limit int) string {
	const far = 2 * overlap // text beyond this cannot matter; a name of 20 MB must not take seconds
	if len(s) > far {
		s = s[:far]
		limit = min(limit, far-overlap)
	}
	// Mask before cutting, and again after joining lines, which may join the halves of a secret.
	s = r.Redact(Clean(s))
	if joined := OneLine(s); joined != s {
		s = r.Redact(joined)
	}
	return CutLine(s, limit)
}

// mask is Redact, and also returns where the place at of s is in the result. A place in a secret moves to its start. It
// also masks the values in found, and adds those that it finds.
func (r *Redactor) mask(s string, at int, found *foundValues) (out string, place int) {
	// Whoever masks the output of a command must go on to count how that ended, whatever the output is.
	defer func() {
		if recover() != nil {
			out, place = masked, 0
		}
	}()
	return r.maskAll(s, at, found)
}

func (r *Redactor) maskAll(s string, at int, found *foundValues) (string, int) {
	// Masking may join what was separate, so repeat it until nothing is found, nearly always in the second pass.
	for range maxPasses {
		secrets := r.find(s, found)
		if len(secrets) == 0 {
			break
		}
		s, at = replace(s, secrets, at)
	}
	return s, at
}

// span is a part of a text, [from, to).
type span struct{ from, to int }

// find returns the secrets in s, in order and without overlaps.
func (r *Redactor) find(s string, found *foundValues) []span {
	var all []span
	var wrapped span // the lines on which the last one that was looked at goes on, so that this takes linear time
	add := func(from, to int) {
		if from >= to || s[from:to] == masked || strings.Trim(s[from:to], `\>|-`) == "" {
			return
		}
		if i, _, ok := aroundMask(s, from); ok {
			from = i
		}
		if _, i, ok := aroundMask(s, to); ok {
			to = i
		}
		if to < wrapped.from || to >= wrapped.to {
			wrapped = span{to, wrapEnd(s, to)}
		}
		all = append(all, span{from, max(to, wrapped.to)})
	}
	for _, n := range r.known() {
		n.find(s, add)
	}
	findKeyBlocks(s, add) // which know prefixes
	blocks := blocksOf(s)
	prefixes := between(blocks)
	findSecrets(s, func(from, to int) bool {
		if prefixes.overlap(from, to) { // without them, it is another text
			return false
		}
		add(from, to)
		return true
	}, found)
	findInViews(s, blocks, 1, add, func(text string, add func(from, to int)) {
		findKeyBlocks(text, add)
		findSecrets(text, func(from, to int) bool {
			add(from, to)
			return true
		}, found)
	})
	found.find(s, add)

	slices.SortFunc(all, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	apart := all[:0]
	for _, sp := range all {
		if n := len(apart); n > 0 && sp.from <= apart[n-1].to {
			apart[n-1].to = max(apart[n-1].to, sp.to)
		} else {
			apart = append(apart, sp)
		}
	}
	return apart
}

// findSecrets finds what looks like a secret in s, and adds to found those that may stand elsewhere, too. take reports whether it takes a place.
func findSecrets(s string, take func(from, to int) bool, found *foundValues) {
	low := lowerASCII(s)
	add := func(from, to int) { take(from, to) }
	value := func(from, to int) {
		if take(from, to) {
			found.add(s[from:to])
		}
	}
	findURLs(s, value)
	findQuotedURLs(s, value)
	findPorts(s, add)
	findDSNs(s, value)
	findPgpass(s, value)
	findPiped(s, value)
	findCookies(s, value)
	findArrows(s, low, value)
	findDuplicates(s, low, value)
	findKubernetes(s, value)
	findAssignments(s, low, value)
	findShapes(s, low, add)
}

func replace(s string, found []span, at int) (string, int) {
	var b strings.Builder
	b.Grow(len(s))
	last, to := 0, at
	for _, sp := range found {
		b.WriteString(s[last:sp.from])
		switch {
		case at >= sp.to:
			to += len(masked) - (sp.to - sp.from)
		case at > sp.from:
			to = b.Len()
		}
		b.WriteString(masked)
		last = sp.to
	}
	b.WriteString(s[last:])
	return b.String(), to
}

// aroundMask returns the "[masked]" in s that contains the place i but does not begin there.
func aroundMask(s string, i int) (from, to int, ok bool) {
	lo := max(i-len(masked)+1, 0)
	if j := strings.Index(s[lo:min(i+len(masked)-1, len(s))], masked); j >= 0 && lo+j < i {
		return lo + j, lo + j + len(masked), true
	}
	return 0, 0, false
}
