package config

import (
	"strings"
	"sync"

	"github.com/terraphim/adfbot/pause"
)

// glob is a pattern of project ids, such as twins-*: an asterisk stands for any characters, also none, a question mark for one, and
// [a-z] or [!a-z] for one of those or of all others.
type glob []globPart

// globPart stands for one of some characters or, if any is set, for any number of them.
type globPart struct {
	chars charSet
	any   bool
}

// charSet is a set of ASCII characters.
type charSet [2]uint64

func (s *charSet) add(c byte)           { s[c/64] |= 1 << (c % 64) }
func (s charSet) has(c byte) bool       { return c < 128 && s[c/64]&(1<<(c%64)) != 0 }
func (s charSet) empty() bool           { return s == charSet{} }
func (s charSet) and(t charSet) charSet { return charSet{s[0] & t[0], s[1] & t[1]} }

// idChars returns the characters of project ids, and those that an id may begin with.
var idChars = sync.OnceValues(func() (all, first charSet) {
	for c := range byte(128) {
		if pause.ValidID("x" + string(c)) {
			all.add(c)
		}
		if pause.ValidID(string(c)) {
			first.add(c)
		}
	}
	return all, first
})

const maxID = 128 // characters, see [pause.CheckID]

const fixGlob = "write it like twins-*, with * for any characters, ? for one, and [a-z] for one of some"

// parseGlob returns a pattern that matches at least one project id, and not just one.
func parseGlob(s string) (g glob, f *fault) {
	all, _ := idChars()
	for rest := s; rest != ""; {
		c := rest[0]
		part := globPart{any: c == '*', chars: all}
		switch c {
		case '*', '?':
			rest = rest[1:]
		case '[':
			if part.chars, rest, f = parseClass(rest); f != nil {
				return nil, f
			}
		default:
			part.chars, rest = charSet{}, rest[1:]
			if !all.has(c) {
				return nil, faultf(fixGlob, "can match no project: an id has only letters, digits, '.', '_' and '-', and this is %s", quote(s))
			}
			part.chars.add(c)
		}
		if n := len(g); !part.any || n == 0 || !g[n-1].any {
			g = append(g, part)
		}
	}
	switch {
	case s == "":
		return nil, faultf(fixGlob, "is empty")
	case !strings.ContainsAny(s, "*?["):
		return nil, faultf("write id: "+quote(s), "has no *, ? or [ and so is no pattern: %s", quote(s))
	}
	return g, g.impossible(s)
}

// parseClass reads [a-z] at the start of s, and returns what follows it.
func parseClass(s string) (set charSet, rest string, f *fault) {
	body, rest, closed := strings.Cut(s[1:], "]")
	members := strings.TrimLeft(body, "!^")
	if !closed || members == "" || len(body)-len(members) > 1 {
		return set, "", faultf("write it like [a-z0-9] or [!a-z]", "has a [ without characters and a ] after it: %s", quote(s))
	}
	for members != "" {
		low, high := members[0], members[0]
		if members = members[1:]; len(members) >= 2 && members[0] == '-' {
			high, members = members[1], members[2:]
		}
		if low > high || high >= 128 {
			return set, "", faultf("write it like [a-z0-9]", "has a range without characters in %s", quote("["+body+"]"))
		}
		for c := int(low); c <= int(high); c++ {
			set.add(byte(c))
		}
	}
	if len(body) > 0 && (body[0] == '!' || body[0] == '^') {
		set = charSet{^set[0], ^set[1]}
	}
	all, _ := idChars()
	return set.and(all), rest, nil
}

// impossible returns why a pattern matches no project id.
func (g glob) impossible(s string) *fault {
	const what = "can match no project: "
	_, first := idChars()
	least, begins := 0, false // whether one of the characters that an id may begin with can come first
	for n, part := range g {
		if part.chars.empty() {
			return faultf(fixGlob, what+"none of its characters in brackets is one of an id, in %s", quote(s))
		}
		if !part.any {
			least++
		}
		if n == 0 || n == 1 && g[0].any && !part.any {
			begins = begins || !part.chars.and(first).empty() && !part.any
		}
	}
	switch {
	case g[0].any && !begins: // its first character stands in the place of the asterisk
		least++
	case !begins:
		return faultf(fixGlob, what+"an id begins with a letter, a digit or '_', and this is %s", quote(s))
	}
	if least > maxID {
		return faultf("shorten it", what+"an id has at most %d characters, and it needs %d", maxID, least)
	}
	return nil
}

// match reports whether the pattern matches a project id.
func (g glob) match(id string) bool {
	if g == nil {
		return false
	}
	part, at := 0, 0
	retry, from := -1, 0 // the last asterisk, and where what follows it was looked for
	for at < len(id) {
		switch {
		case part < len(g) && g[part].any:
			retry, from = part, at
			part++
		case part < len(g) && g[part].chars.has(id[at]):
			part++
			at++
		case retry >= 0:
			from++
			part, at = retry+1, from
		default:
			return false
		}
	}
	for part < len(g) && g[part].any {
		part++
	}
	return part == len(g)
}

// projectGlob accepts a pattern of project ids.
func projectGlob(s string) (string, *fault) {
	_, f := parseGlob(s)
	return s, f
}
