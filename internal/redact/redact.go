package redact

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

const (
	masked    = "[masked]"
	minSecret = 4 // bytes; shorter values would mask ordinary text everywhere
	minBase64 = 8 // bytes; the base64 form of a shorter value is too short to be told apart
	minLine   = 8 // bytes; of a secret of several lines, lines this long are masked by themselves
	minRest   = 8 // bytes; of a value that lost its start to a broken escape sequence
	maxLost   = 8 // bytes that it may have lost
	maxPasses = 8
)

// Redactor masks secrets: exact values it was given, and whatever looks like one. Where it is in doubt it masks. It can
// learn further values, as when a token is rotated, and forgets none. It may be used by several goroutines at once.
//
// A nil Redactor knows and learns no values and masks by looks only.
type Redactor struct {
	known atomic.Pointer[knownValues]
}

// knownValues are what a Redactor was given, up to one moment. They do not change.
type knownValues struct {
	values  []string
	needles func() []needle
}

// needle is a text whose occurrences are secret, with as many bytes before and after it that carry a bit of the secret
// too (base64 only).
type needle struct {
	text          string
	before, after int
}

// New makes a Redactor for the given secret values. White space around a value does not count, and values of less
// than 4 bytes are ignored, as is one that "[masked]" contains. A value is also found URL-escaped, JSON-escaped, quoted as
// Go does, in base64 at any offset (from 8 bytes on), and each of its lines by itself (from 8 bytes on).
func New(values ...string) *Redactor {
	r := &Redactor{}
	r.known.Store(newKnown(slices.Clone(values)))
	return r
}

func newKnown(values []string) *knownValues {
	return &knownValues{values, sync.OnceValue(func() []needle { return needlesOf(values) })}
}

// Learn makes value one of those that are masked, as [New] does. A text whose masking begins after Learn has
// returned does not show it. One that is known already costs next to nothing.
func (r *Redactor) Learn(value string) {
	if r == nil {
		return
	}
	for {
		old := r.known.Load()
		if slices.Contains(old.values, value) || r.known.CompareAndSwap(old, newKnown(append(slices.Clip(old.values), value))) {
			return
		}
	}
}

// Redact gives s with every secret replaced by "[masked]". Doing it again changes nothing. It takes time linear in s.
func (r *Redactor) Redact(s string) string {
	s, _ = r.mask(s, 0)
	return s
}

// Line returns s as one masked line of at most limit bytes, as [Line] does.
func (r *Redactor) Line(s string, limit int) string {
	// Text far beyond the limit cannot matter: a hostile name of 20 MB must not take seconds.
	const far = 2 * overlap
	if len(s) > far {
		s = s[:far]
		limit = min(limit, far-overlap)
	}
	// Masked before it is cut, and again after joining lines: that may join the halves of a secret.
	return CutLine(r.Redact(OneLine(r.Redact(Clean(s)))), limit)
}

// mask is Redact, and tells where the place at in s has gone. A place inside of a secret goes to its start.
func (r *Redactor) mask(s string, at int) (string, int) {
	// Masking may join what was apart, so look again until there is nothing more to find: nearly always the second look.
	for range maxPasses {
		found := r.find(s)
		if len(found) == 0 {
			break
		}
		s, at = replace(s, found, at)
	}
	return s, at
}

// span is a part of a text, [from, to).
type span struct{ from, to int }

// find gives the secrets in s, in order and apart from one another.
func (r *Redactor) find(s string) []span {
	var all []span
	add := func(from, to int) {
		if from >= to || s[from:to] == masked {
			return
		}
		if i, _, ok := aroundMask(s, from); ok {
			from = i
		}
		if _, i, ok := aroundMask(s, to); ok {
			to = i
		}
		all = append(all, span{from, to})
	}
	if r != nil {
		for _, n := range r.known.Load().needles() {
			n.find(s, add)
		}
	}
	low := lowerASCII(s)
	findKeyBlocks(s, add)
	findURLs(s, low, add)
	findAssignments(s, low, add)
	findShapes(s, low, add)

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

// aroundMask gives the "[masked]" of s that has the place i inside of it.
func aroundMask(s string, i int) (from, to int, ok bool) {
	lo := max(i-len(masked)+1, 0)
	if j := strings.Index(s[lo:min(i+len(masked)-1, len(s))], masked); j >= 0 && lo+j < i {
		return lo + j, lo + j + len(masked), true
	}
	return 0, 0, false
}

func (n needle) find(s string, add func(from, to int)) {
	for at := 0; ; {
		i := strings.Index(s[at:], n.text)
		if i < 0 {
			return
		}
		from, to := at+i, at+i+len(n.text)
		at = to
		for k := 0; k < n.before && from > 0 && isBase64(s[from-1]); k++ {
			from--
		}
		for k := 0; k < n.after && to < len(s) && isBase64(s[to]); k++ {
			to++
		}
		add(from, to)
	}
}

// needlesOf gives all forms of the values, each once.
func needlesOf(values []string) []needle {
	var all []needle
	seen := map[string]bool{}
	add := func(text string, before, after int) {
		if len(text) >= minSecret && !seen[text] && !strings.Contains(masked, text) {
			seen[text] = true
			all = append(all, needle{text, before, after})
		}
	}
	for _, v := range values {
		v = strings.TrimSpace(v)
		if len(v) < minSecret {
			continue
		}
		forms := []string{v, Clean(v)}
		if strings.ContainsAny(v, "\r\n") {
			for line := range strings.SplitSeq(v, "\n") {
				if line = strings.TrimSpace(line); len(line) >= minLine {
					forms = append(forms, line)
				}
			}
		}
		for k := 1; k <= maxLost && len(v)-k >= minRest; k++ {
			add(v[k:], 0, 0) // a terminal takes what follows a stray ESC or ESC [ for a part of a sequence, and so does Clean
		}
		for _, f := range forms {
			add(f, 0, 0)
			for _, e := range []string{url.QueryEscape(f), url.PathEscape(f)} {
				add(e, 0, 0)
				add(lowerEscapes(e), 0, 0)
			}
			add(jsonEscape(f, true), 0, 0)
			add(jsonEscape(f, false), 0, 0)
			add(unquote(strconv.Quote(f)), 0, 0)
			if len(f) >= minBase64 {
				for offset := range 3 {
					core, before, after := base64Core(f, offset)
					add(core, before, after)
					add(strings.NewReplacer("+", "-", "/", "_").Replace(core), before, after)
				}
			}
		}
	}
	return all
}

// base64Core gives the part of v's base64 form that does not depend on what stands before and after v, when v begins
// offset bytes after a multiple of three.
func base64Core(v string, offset int) (core string, before, after int) {
	enc := base64.RawStdEncoding.EncodeToString([]byte("\x00\x00\x00"[:offset] + v))
	bits := (offset + len(v)) * 8
	from := (offset*8 + 5) / 6
	return enc[from : bits/6], min(offset, 1), 1
}

func jsonEscape(s string, html bool) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(html)
	if e.Encode(s) != nil {
		return ""
	}
	return unquote(strings.TrimSuffix(b.String(), "\n"))
}

func unquote(s string) string { return s[1 : len(s)-1] }

// lowerEscapes writes %2F as %2f.
func lowerEscapes(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], strings.ToLower(string(b[i+1:i+3])))
		}
	}
	return string(b)
}

// lowerASCII keeps every byte at its place, which strings.ToLower does not.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}

func isBase64(c byte) bool {
	return isAlnum(c) || c == '+' || c == '/' || c == '-' || c == '_' || c == '='
}
