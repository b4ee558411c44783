package redact

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"sync"
)

// shape describes tokens of one kind.
type shape struct {
	prefix   string // [ad-f] stands for one byte of a set, and a ? after a byte makes that optional
	body     string // the alphabet of what follows
	min, max int    // how many bytes of it; a max of 0 is any
	dots     int    // at least so many of them are dots between others
	random   bool   // the body must look random, because words begin like this too
	before   string // the alphabet of what precedes the prefix, if that is in the middle
	least    int    // how many bytes of it
}

// findShapes finds tokens that have a known shape.
func findShapes(s, low string, add func(from, to int)) {
	x := index()
	var next []int // the first place where each may begin, so that this takes linear time; most texts have not even a prefix
	var head uint32
	for i := range len(s) {
		head = head>>8 | uint32(s[i])<<16
		if bit := hashPrefix(head); x.filter[bit/64]>>(bit%64)&1 == 0 {
			continue
		}
		at := i + 1 - indexed
		for _, f := range x.byHead[head] {
			if !strings.HasPrefix(s[at:], f.prefix) {
				continue
			}
			if next == nil {
				next = make([]int, len(shapes))
			}
			if at >= next[f.shape] {
				from, to, ok := shapes[f.shape].match(s, at, at+len(f.prefix))
				if ok {
					add(from, to)
				}
				next[f.shape] = to
			}
		}
	}
	findWords(s, low, add)
}

// indexed is how many bytes of a prefix are looked up.
const indexed = 3

// shapeIndex finds the shapes by the first bytes of their prefixes.
type shapeIndex struct {
	byHead map[uint32][]form
	filter [1024]uint64 // a bit for each hash of a head, which nearly always answers no
}

// form is a shape with one form of its prefix.
type form struct {
	prefix string
	shape  int // its place in shapes
}

func hashPrefix(head uint32) uint32 { return head * 0x9e3779b1 >> 16 }

// index returns the index of all shapes. It is made when a text is first looked at: most commands mask none.
var index = sync.OnceValue(func() *shapeIndex {
	x := &shapeIndex{byHead: map[uint32][]form{}}
	for n := range shapes {
		for _, prefix := range expand(shapes[n].prefix) {
			head := uint32(prefix[0]) | uint32(prefix[1])<<8 | uint32(prefix[2])<<16
			x.byHead[head] = append(x.byHead[head], form{prefix, n})
			bit := hashPrefix(head)
			x.filter[bit/64] |= 1 << (bit % 64)
		}
	}
	return x
})

// expand returns all forms of a prefix.
func expand(prefix string) []string {
	if i := strings.IndexByte(prefix, '?'); i > 0 {
		return append(expand(prefix[:i-1]+prefix[i+1:]), expand(prefix[:i]+prefix[i+1:])...)
	}
	open, end := strings.IndexByte(prefix, '['), strings.IndexByte(prefix, ']')
	if open < 0 {
		return []string{prefix}
	}
	var all []string
	for i := open + 1; i < end; i++ {
		last := prefix[i]
		if i+2 < end && prefix[i+1] == '-' {
			last = prefix[i+2]
		}
		for c := prefix[i]; c <= last; c++ {
			all = append(all, expand(prefix[:open]+string(c)+prefix[end+1:])...)
		}
		if last != prefix[i] {
			i += 2
		}
	}
	return all
}

// match returns the place of the token whose prefix is at [i, body), and reports whether it is one.
func (sh *shape) match(s string, i, body int) (from, to int, ok bool) {
	const (
		long = 4   // bytes; a shorter prefix is the end of many words
		far  = 100 // bytes more than necessary before a prefix
	)
	for to = body; to < len(s) && inAlphabet(sh.body, s[to]); to++ {
	}
	for from = i; sh.before != "" && i-from < sh.least+far && from > 0 && inAlphabet(sh.before, s[from-1]); from-- {
	}
	to -= len(s[body:to]) - len(strings.TrimRight(s[body:to], ".")) // the end of a sentence
	v := s[body:to]
	switch {
	case len(v) < sh.min, sh.max > 0 && len(v) > sh.max, i-from < sh.least:
	case sh.before == "" && (body-i < long || sh.max > 0 || sh.random) && !isFree(s, from):
	case sh.random && (!isRandom(v) || strings.HasPrefix(v, "ecdsa-sha2-")), sh.dots > 0 && strings.Count(v, ".") < sh.dots:
	default:
		return from, to, true
	}
	return from, to, false
}

// inAlphabet reports whether c is in one of the ranges of a.
func inAlphabet(a string, c byte) bool {
	for i := 0; i < len(a); i += 2 {
		if a[i] <= c && c <= a[i+1] {
			return true
		}
	}
	return false
}

// isFree reports whether a word may begin at i: not after a letter or digit, unless that is part of an escape like \n
// or %3D.
func isFree(s string, i int) bool {
	switch {
	case i == 0 || !isAlnum(s[i-1]):
		return true
	case i >= 2 && s[i-2] == '\\':
		return strings.IndexByte("nrt", s[i-1]) >= 0
	}
	return i >= 3 && s[i-3] == '%'
}

// looksRandom reports whether v has 16 consecutive letters and digits, with both among them: words and versions do not.
func looksRandom(v string) bool {
	run, digit, letter := 0, false, false
	for i := range len(v) {
		if !isAlnum(v[i]) {
			run, digit, letter = 0, false, false
			continue
		}
		run++
		digit = digit || isDigit(v[i])
		letter = letter || isLetter(v[i])
		if run >= 16 && digit && letter {
			return true
		}
	}
	return false
}

// announcing are words after which a secret may stand, and what must precede them.
var announcing = []struct {
	word   string
	before []string
}{
	{"token ", []string{""}}, {"bearer ", []string{""}}, {"password ", []string{""}}, {" is ", []string{"token", "secret", "password", "api key"}}, {" plain ", []string{"auth", "authenticate"}},
	{" provided: ", []string{"token", "secret", "password", "api key"}},
}

// findWords finds random-looking words after "token ", "Bearer " and the like.
func findWords(s, low string, add func(from, to int)) {
	for _, a := range announcing {
		for i := strings.Index(low, a.word); i >= 0; {
			from := skipBlanks(s, i+len(a.word))
			to := from
			if slices.ContainsFunc(a.before, func(b string) bool { return strings.HasSuffix(low[:i], b) }) {
				for to < len(s) && (isAlnum(s[to]) || strings.IndexByte("_-.~+/=", s[to]) >= 0) {
					to++
				}
			}
			if v := s[from:to]; looksRandom(v) || a.word == "bearer " && isRandom(v) || a.word == " plain " && isSASL(v) || a.word == "bearer " && isHeaderValue(low[:i], low[from:to]) {
				add(from, to)
			}
			i = indexFrom(low, a.word, to)
		}
	}
}

// isHeaderValue reports whether v, after Bearer, is a token as the name of the header before that says, though it may have letters alone.
// Both are in lower case.
func isHeaderValue(before, v string) bool {
	const (
		least = 16 // bytes; authentication and other words are shorter
		far   = 40
	)
	if len(v) < least || strings.Contains(v, "_") || kindOf(v) != notSecret { // YOUR_ACCESS_TOKEN
		return false
	}
	before = strings.TrimRight(before[max(len(before)-far, 0):], " \t|:=,>\"'(")
	return strings.HasSuffix(before, "authorization") || strings.HasSuffix(before, "auth_header")
}

// isSASL reports whether v is the base64 of a login by the mechanism PLAIN, whose name and password follow zeros.
func isSASL(v string) bool {
	b, err := base64.StdEncoding.DecodeString(v)
	return err == nil && bytes.Count(b, []byte{0}) == 2
}
