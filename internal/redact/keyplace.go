package redact

import (
	"strings"
	"unicode"
)

// keyPlace tells where the text of a key stands in a line: what precedes and follows it in the line before.
type keyPlace struct{ before, after string }

// placeOfLabel returns what precedes and follows the label [from, to) in its line.
func placeOfLabel(s string, from, to int) keyPlace {
	const dashes = "-----"
	for strings.HasPrefix(s[from:to], dashes+"-") { // a prefix that ends with a dash
		from++
	}
	end, _ := keyLineEnd(s, to, len(s))
	return keyPlace{s[min(keyLineStart(s, from), from):from], s[to:end]}
}

// skipLabelLine returns where the line after a label begins that ends at i, or i if the text of a key follows the label.
func skipLabelLine(s string, i, limit int) int {
	if end, next := keyLineEnd(s, i, limit); !hasKeyText(s[i:end]) {
		return next
	}
	return i
}

// word returns the text of a key in a line, and its place: what stands between the same texts as in the line before (fits),
// a long run of base64, or the last word.
func (p keyPlace) word(s string, from, to int) (at int, word string, fits bool) {
	line := s[from:to]
	if at, word, fits = p.fitting(line); fits {
		return from + at, word, true
	}
	// The lines may have an id, or something else that differs.
	const near = 4
	if mark := p.before[max(len(p.before)-near, 0):]; len(mark) == near && !strings.ContainsAny(mark, "0123456789") {
		n := strings.LastIndex(line, mark) + near
		end := runEnd(line, n)
		if n >= near && (p.after == "" && end == len(line) || p.after != "" && strings.HasPrefix(line[end:], p.after[:min(near, len(p.after))])) {
			return from + n, line[n:end], true
		}
	}
	at, word = keyWord(s, from, to)
	if len(word) < keyFull || !isKeyWord(word) {
		if n, run := longestRun(line); len(run) >= keyFull {
			return from + n, run, false
		}
	}
	return at, word, false
}

// fitting returns the text that stands between the same texts in line as in the line before.
func (p keyPlace) fitting(line string) (at int, word string, ok bool) {
	if n := prefixLike(line, p.before); n >= 0 {
		end := runEnd(line, n)
		if rest := line[end:] + "\n"; prefixLike(rest, p.after+"\n") == len(rest) {
			return n, line[n:end], true
		}
	}
	return 0, "", false
}

// prefixLike returns how many bytes at the start of line are like prefix, or -1. Numbers and blanks may differ, and so may the
// marks with which grep tells a line that it found from one near it.
func prefixLike(line, prefix string) int {
	const counted = "0123456789 \t"
	i := 0
	for prefix != "" {
		rest := strings.TrimLeft(prefix, counted)
		n := len(line) - i - len(strings.TrimLeft(line[i:], counted))
		if len(rest) < len(prefix) {
			if n == 0 {
				return -1
			}
			if rest == "" { // the text may begin with a digit
				n = strings.LastIndexAny(line[i:i+n], " \t") + 1
			}
			i, prefix = i+n, rest
			continue
		}
		if i == len(line) || line[i] != prefix[0] && (strings.IndexByte("-:", line[i]) < 0 || strings.IndexByte("-:", prefix[0]) < 0) {
			return -1
		}
		i, prefix = i+1, prefix[1:]
	}
	return i
}

// longestRun returns the longest run of the characters of a PEM body in line, and its place.
func longestRun(line string) (at int, run string) {
	for i := 0; i < len(line); {
		end := runEnd(line, i)
		if end-i > len(run) {
			at, run = i, line[i:end]
		}
		i = max(end, i+1)
	}
	return at, run
}

// runEnd returns where the base64 text at i ends.
func runEnd(line string, i int) int {
	for i < len(line) && line[i] != '=' && (isKeyWord(line[i:i+1]) || escapedSlash(line, i)) {
		i++
	}
	for i < len(line) && line[i] == '=' {
		i++
	}
	return i
}

// isRest reports whether [i, end) is what follows an escaped line end in its line: a quote, or a quote and other fields, as
// in {"log":"x\n","stream":"stdout"}. The next text of a key may follow the quote, as in ['x\n', 'y'].
func (p keyPlace) isRest(s string, i, end int) bool {
	if !strings.HasSuffix(s[:i], `\n`) || i == end {
		return false
	}
	if !strings.ContainsFunc(s[i:end], func(r rune) bool { return r < 0x80 && isAlnum(byte(r)) }) {
		return true
	}
	if quote := i + backslashes(s, i); quote == end || !isQuote(s[quote]) {
		return false
	}
	if _, word, _ := p.fitting(s[i:end]); word != "" {
		return false
	}
	_, run := longestRun(s[i:end])
	return len(run) < keyFull || !looksLikeKey(run, keyFull)
}

// isForeign reports whether line is of another process than the line before, which marks its lines with a text before them, or of
// the other side of a comparison: "- x" and "+ y".
func (p keyPlace) isForeign(line string) bool {
	if strings.ContainsFunc(p.before, unicode.IsLetter) {
		return prefixLike(line, p.before) < 0
	}
	mark, other := strings.TrimLeft(p.before, " "), strings.TrimLeft(line, " ")
	return strings.HasPrefix(mark, "- ") && (strings.HasPrefix(other, "+ ") || strings.HasPrefix(other, "? ")) ||
		strings.HasPrefix(mark, "+ ") && (strings.HasPrefix(other, "- ") || strings.HasPrefix(other, "? "))
}

// escapedSlash reports whether at i is the backslash of an escaped slash, as some write it in JSON.
func escapedSlash(s string, i int) bool { return strings.HasPrefix(s[i:], `\/`) }

// isDense reports whether word changes so often between upper case, lower case and digits as base64 does, and no path.
func isDense(word string) bool {
	changes := 0
	for i := 1; i < len(word); i++ {
		if isDigit(word[i]) != isDigit(word[i-1]) || isLetter(word[i]) && isLetter(word[i-1]) && (word[i]^word[i-1])&0x20 != 0 {
			changes++
		}
	}
	return changes >= len(word)/6
}

// keyWord returns the last word of a line, where the text of a key stands after a prefix, and its place.
func keyWord(s string, from, to int) (at int, word string) {
	line := strings.TrimRight(strings.TrimSuffix(s[from:to], `\r`), " \t,;+\"'`\\")
	line = strings.TrimSuffix(strings.TrimSuffix(line, "..."), "…") // where a program cut it
	i := strings.LastIndexAny(line, " \t|>\"'`") + 1
	return from + i, line[i:]
}
