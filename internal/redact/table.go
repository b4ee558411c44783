package redact

import "strings"

// cell returns the start of the cell after the key's, or 0. In a table, what follows a key may be anything: it must look
// random, unless the two are all that stands in the line.
func (a *assignment) cell(i int) int {
	if a.kind != isPassword && a.kind != isToken {
		return 0
	}
	at := skipCells(a.s, i)
	if bar := barAt(a.s, at); bar != "" && at > i {
		at = skipCells(a.s, at+len(bar))
	} else if at-i < 2 && (at == i || a.s[i] != '\t') {
		return 0
	}
	a.random = !a.isPair(at)
	return at
}

func skipCells(s string, i int) int {
	const widest = 64
	for n := 0; n < widest && i < len(s) && (s[i] == ' ' || s[i] == '\t'); n++ {
		i++
	}
	return i
}

// barAt returns the bar between two cells at i, or "".
func barAt(s string, i int) string {
	for _, bar := range [...]string{"|", "│", "┃"} {
		if strings.HasPrefix(s[i:], bar) {
			return bar
		}
	}
	return ""
}

// isPair reports whether a line consists of the key and a word of letters and digits at i.
func (a *assignment) isPair(i int) bool {
	const shortest, longest = 6, 200
	word, _, _ := strings.Cut(a.s[i:min(i+longest, len(a.s))], "\n")
	return (a.key == 0 || a.s[a.key-1] == '\n') && len(word) >= shortest && !strings.ContainsAny(word, " \t|") &&
		strings.ContainsAny(word, "0123456789") && strings.ContainsFunc(word, func(r rune) bool { return r >= 0x80 || isLetter(byte(r)) })
}

// dumpedValue returns the start of the string after its type and length at i, as debuggers print it, or 0.
func dumpedValue(s string, i int) int {
	const longest = 40
	rest := s[i:min(i+longest, len(s))]
	for _, kind := range [...]string{"(string)", "string("} {
		text, ok := strings.CutPrefix(rest, kind)
		if n := strings.IndexByte(text, '"'); ok && n > 0 && strings.Trim(text[:n], " ()len=0123456789") == "" {
			return i + len(kind) + n
		}
	}
	return 0
}
