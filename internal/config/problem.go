package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Problem is one mistake in the file.
type Problem struct {
	File string
	Line int    // 0: the file has no line for it
	Key  string // dotted path, list items counted from 0, as projects[2].threshold; "": the whole file
	What string // what is wrong
	Fix  string // what to do about it; may be empty

	// about is the key that the mistake is about, where that is another one: for a key that does not exist, the one that
	// it seems to mean.
	about string
	// unknown: there is no such key.
	unknown bool
}

// String gives "config.yaml:12: projects[2].threshold: must be …, not -1: write …", always one line.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	for _, s := range []string{p.Key, p.What, p.Fix} {
		if s != "" {
			b.WriteString(": ")
			b.WriteString(s)
		}
	}
	return b.String()
}

// subject is the key that decides whom the problem concerns.
func (p Problem) subject() string {
	if p.about != "" {
		return p.about
	}
	return p.Key
}

// Error holds every problem of a file, in line order.
type Error struct {
	Problems []Problem
	cause    error // from the operating system, if the file could not be read
}

// Error gives one problem a line.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the operating system's error, if there was one.
func (e *Error) Unwrap() error { return e.cause }

// inLineOrder sorts problems by line, and those without a line to the end.
func inLineOrder(ps []Problem) {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		if (a.Line == 0) != (b.Line == 0) {
			return cmp.Compare(b.Line, a.Line)
		}
		return cmp.Compare(a.Line, b.Line)
	})
}

// fault is what a rule has against a value; nil: nothing.
type fault struct{ what, fix string }

// faultf makes a fault from its fix and a format for what is wrong.
func faultf(fix, format string, args ...any) *fault {
	return &fault{what: fmt.Sprintf(format, args...), fix: fix}
}

// shown is how much of a value or key from the file a message shows, in bytes.
const shown = 60

// quote makes text from the file fit for a message: in one line, printable, and not too long.
func quote(s string) string {
	if len(s) > shown {
		return strconv.Quote(strings.ToValidUTF8(s[:shown], "")) + "…"
	}
	return strconv.Quote(s)
}

// plain gives a key for a dotted path, quoted if it is not one that anybody would choose.
func plain(key string) string {
	if key != "" && len(key) <= shown && !strings.ContainsFunc(key, func(c rune) bool {
		return c <= ' ' || c > '~' || strings.ContainsRune(`.:[]"`, c)
	}) {
		return key
	}
	return quote(key)
}
