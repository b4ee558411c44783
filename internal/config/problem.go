package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Problem is one mistake in the file.
type Problem struct {
	File string
	Line int    // 0: no line of the file
	Key  string // dotted path, list items counted from 0, e.g. projects[2].threshold; "": the whole file
	What string // what is wrong
	Fix  string // how to fix it; may be empty

	about      string // for an unknown key, the key that it seems to mean
	unknownKey bool
	hidesNone  bool // no entry of a project is missing because of it
}

// String returns one line, e.g. "config.yaml:12: projects[2].threshold: must be …, not -1: write …".
func (p Problem) String() string {
	s := Place{p.File, p.Line}.String()
	for _, part := range []string{p.Key, p.What, p.Fix} {
		if part != "" {
			s += ": " + part
		}
	}
	return oneLine(s)
}

// subject is the key that the problem concerns.
func (p Problem) subject() string { return cmp.Or(p.about, p.Key) }

// Error holds the problems of a file in line order.
type Error struct {
	Problems []Problem
	cause    error // the error of the operating system if the file could not be read
}

// Error returns one line for each problem.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the error of the operating system, or nil.
func (e *Error) Unwrap() error { return e.cause }

// sortByLine sorts problems by line. Those without a line come last.
func sortByLine(ps []Problem) {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Compare(uint(a.Line)-1, uint(b.Line)-1)
	})
}

// fault is what is wrong with a value; nil means nothing.
type fault struct{ what, fix string }

// faultf returns a fault. The format describes what is wrong.
func faultf(fix, format string, args ...any) *fault {
	return &fault{what: fmt.Sprintf(format, args...), fix: fix}
}

// maxQuoted is how much of a value or key a message shows, in bytes.
const maxQuoted = 60

// quote returns text from the file as one printable line, shortened if it is long.
func quote(s string) string {
	if len(s) > maxQuoted {
		return strconv.Quote(strings.ToValidUTF8(s[:maxQuoted], "")) + "…"
	}
	return strconv.Quote(s)
}

// oneLine returns text on one line, with escapes for what a terminal might obey. The names of files may hold anything.
func oneLine(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }) {
		return s
	}
	q := strconv.Quote(s)
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(q[1 : len(q)-1])
}

// quoteKey returns a key for a dotted path, quoted if the path would be ambiguous or unreadable.
func quoteKey(key string) string {
	special := func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`.:[]"`, c) }
	if key == "" || len(key) > maxQuoted || strings.ContainsFunc(key, special) {
		return quote(key)
	}
	return key
}
