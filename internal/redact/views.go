package redact

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A text may hold another one: what a tool has printed stands in a string of JSON, with its line ends and quotes escaped, or each of its lines
// has a prefix. The finders look at that text, too, as it was.

// view is a text that another one holds.
type view struct {
	text     strings.Builder
	from, to []int // the place in the other text of each byte
}

// write adds what [from, to) of the other text stands for.
func (v *view) write(text string, from, to int) {
	v.text.WriteString(text)
	for range len(text) {
		v.from, v.to = append(v.from, from), append(v.to, to)
	}
}

// keep copies [from, to) of the other text.
func (v *view) keep(s string, from, to int) {
	v.text.WriteString(s[from:to])
	for ; from < to; from++ {
		v.from, v.to = append(v.from, from), append(v.to, from+1)
	}
}

// findInViews calls find with the texts that s holds, and an add for the places in s.
func findInViews(s string, blocks []spans, depth int, add func(from, to int), find func(text string, add func(from, to int))) {
	const deepest = 3 // JSON in JSON in JSON
	look := func(v *view) {
		text := v.text.String()
		inner := func(from, to int) {
			if from < to {
				add(v.from[from], v.to[to-1])
			}
		}
		find(text, inner)
		if depth < deepest {
			findInViews(text, blocksOf(text), depth+1, inner, find)
		}
	}
	eachString(s, func(from, to int) {
		v := &view{}
		v.unescape(s, from, to)
		look(v)
	})
	eachListOfChanges(s, func(lines spans) {
		v := &view{}
		for _, line := range lines {
			v.unescape(s, line.from, line.to)
			v.write("\n", line.to, line.to)
		}
		look(v)
	})
	for _, lines := range blocks {
		look(ofLines(s, lines))
	}
	for _, lines := range sidesOf(s) {
		look(ofLines(s, lines))
	}
}

// eachString calls yield with the place of each quoted text of s that has escapes. It ends where its line does, if it is cut.
func eachString(s string, yield func(from, to int)) {
	for i := 0; i < len(s); i++ {
		before := i - 1
		if i > 0 && strings.IndexByte("bfru", s[before]) >= 0 { // b'x', of Python
			before--
		}
		if s[i] != '"' && s[i] != '\'' || before >= 0 && strings.IndexByte(":,[({= \t\n", s[before]) < 0 {
			continue
		}
		quote, from, hasEscapes := s[i], i+1, false
		for i++; i < len(s) && s[i] != quote && s[i] != '\n'; i++ {
			if s[i] == '\\' && i+1 < len(s) {
				i++
				hasEscapes = hasEscapes || strings.IndexByte(`n"'\`, s[i]) >= 0
			}
		}
		if hasEscapes {
			yield(from, min(i, len(s)))
		}
	}
}

// eachListOfChanges calls yield with the places of the quoted texts of each list in s that holds the lines of a difference, as what agents print
// of their edits does: ["   a", "-  b", "+  c"].
func eachListOfChanges(s string, yield func(lines spans)) {
	for i := 0; i < len(s); i++ {
		if s[i] != '[' {
			continue
		}
		var lines spans
		removed, added, only := false, false, true
		for i = skipWhitespace(s, i+1); i < len(s) && s[i] == '"'; {
			from := i + 1
			for i = from; i < len(s) && s[i] != '"'; i++ {
				if s[i] == '\\' {
					i++
				}
			}
			i = min(i, len(s))
			lines = append(lines, span{from, i})
			removed = removed || s[from:i] != "" && s[from] == '-'
			added = added || s[from:i] != "" && s[from] == '+'
			only = only && (s[from:i] == "" || strings.IndexByte(` +-\@`, s[from]) >= 0)
			if i = skipWhitespace(s, i+1); i == len(s) || s[i] != ',' {
				break
			}
			i = skipWhitespace(s, i+1)
		}
		if removed && added && only {
			yield(lines)
		}
		i-- // it may be the next list
	}
}

// skipWhitespace skips what JSON allows between its values.
func skipWhitespace(s string, i int) int {
	for i < len(s) && strings.IndexByte(" \t\r\n", s[i]) >= 0 {
		i++
	}
	return min(i, len(s))
}

// unescape writes what the quoted text in [from, to) says, without colours.
func (v *view) unescape(s string, from, to int) {
	for i := from; i < to; {
		n := strings.IndexByte(s[i:to], '\\')
		if n < 0 {
			n = to - i
		}
		v.keep(s, i, i+n)
		if i += n; i+1 >= to {
			v.keep(s, i, to)
			break
		}
		if end := skipColour(s[:to], i); end > i {
			i = end
			continue
		}
		text, length := escape(s[i:to])
		v.write(text, i, i+length)
		i += length
	}
}

// escape returns what the escape that s begins with stands for, and its length.
func escape(s string) (text string, length int) {
	digits := 0
	switch s[1] {
	case 'n':
		return "\n", 2
	case 't':
		return "\t", 2
	case 'r', 'b', 'f':
		return "", 2
	case '"', '\'', '\\', '/':
		return s[1:2], 2
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	default:
		return s[:2], 2
	}
	if code, err := strconv.ParseUint(s[2:min(2+digits, len(s))], 16, 16); err == nil && len(s) >= 2+digits && code >= ' ' && utf8.ValidRune(rune(code)) {
		return string(rune(code)), 2 + digits
	}
	return " ", 2
}

// blocksOf returns the blocks of lines of a text that follow each other and have a prefix of one kind: the places of the lines without it. One
// of the lines must go on where another one has begun.
func blocksOf(s string) (all []spans) {
	var lines spans
	kind, goesOn := "", false
	file := grepped{}
	flush := func() {
		if len(lines) > 1 && goesOn || kind == "│" {
			all = append(all, slices.Clone(lines))
		}
		lines, goesOn = lines[:0], false
	}
	i := 0
	for whole := range strings.Lines(s) {
		end := i + len(whole)
		prefix, n := kind, 0
		if kind == ofGrep {
			n = file.prefix(whole)
		}
		if n == 0 {
			prefix, n = linePrefix(whole)
		}
		if n == 0 {
			next, _, _ := strings.Cut(s[end:], "\n")
			if file, n = greppedIn(whole, next); n > 0 {
				prefix = ofGrep
				flush()
			}
		}
		if prefix != kind {
			flush()
		}
		if kind = prefix; kind != "" {
			text := strings.TrimRight(strings.TrimSuffix(s[i+n:end], "\n"), " ")
			if kind == "│" {
				text = strings.TrimRight(strings.TrimSuffix(text, "│"), " ")
			}
			lines = append(lines, span{i + n, i + n + len(text)})
			goesOn = goesOn || text != "" && strings.IndexByte(" \t-+}]", text[0]) >= 0
		}
		i = end
	}
	flush()
	return all
}

// sidesOf returns the lines of both sides of each difference in s, without the signs before them: a changed line goes on where one that both
// have has begun.
func sidesOf(s string) (all []spans) {
	var before, after spans
	removed, added := 0, 0
	flush := func() {
		if removed > 0 && added > 0 {
			all = append(all, slices.Clone(before), slices.Clone(after))
		}
		before, after, removed, added = before[:0], after[:0], 0, 0
	}
	i := 0
	for whole := range strings.Lines(s) {
		end := i + len(whole)
		text := i + len(strings.TrimSuffix(s[i:end], "\n"))
		line := span{min(i+1, text), text}
		switch sign := s[i]; {
		case sign == '-' && !strings.HasPrefix(s[i:], "--- "):
			before = append(before, line)
			removed++
		case sign == '+' && !strings.HasPrefix(s[i:], "+++ "):
			after = append(after, line)
			added++
		case sign == ' ', sign == '\n':
			before, after = append(before, line), append(after, line)
		case sign == '\\': // \ No newline at end of file
		default:
			flush()
		}
		i = end
	}
	flush()
	return all
}

// ofLines returns the text of lines at places in s.
func ofLines(s string, lines spans) *view {
	v := &view{}
	for _, line := range lines {
		v.keep(s, line.from, line.to)
		v.write("\n", line.to, line.to)
	}
	return v
}

// spans are places in a text, in order.
type spans []span

// between returns the places between the lines of blocks: their prefixes and what follows the text.
func between(blocks []spans) (all spans) {
	for _, lines := range blocks {
		for n, line := range lines[1:] {
			all = append(all, span{lines[n].to, line.from})
		}
	}
	return all
}

// overlap reports whether one of the places has a byte of [from, to).
func (all spans) overlap(from, to int) bool {
	n, _ := slices.BinarySearchFunc(all, from, func(sp span, from int) int { return cmp.Compare(sp.to, from+1) })
	return n < len(all) && all[n].from < to && from < to
}

// linePrefix returns the kind and the length of the prefix of a line: that of docker compose, a number, a time, that of syslog, of pytest's
// errors, of a quotation, or a frame. It returns "" if there is none.
func linePrefix(line string) (kind string, n int) {
	const longest = 80
	text := strings.TrimLeft(line, " ")
	indent := len(line) - len(text)
	word := text[:min(len(text), longest)]
	for i := range word {
		if !isKeyByte(word[i]) && strings.IndexByte(":[]+", word[i]) < 0 {
			word = word[:i]
			break
		}
	}
	rest := text[len(word):]
	switch bar := strings.TrimLeft(rest, " "); {
	case strings.HasPrefix(text, "│ "):
		return "│", indent + len("│ ")
	case strings.HasPrefix(line, "E   "):
		return "E", len("E   ")
	case strings.HasPrefix(line, "> "), strings.HasPrefix(line, "+"): // a quotation, and what a difference adds
		return line[:1], 1
	case strings.HasPrefix(line, "["): // of concurrently, kubectl, act and Maven
		name, after, ok := strings.Cut(line[:min(len(line), longest)], "] ")
		after = strings.TrimLeft(after, " ")
		switch {
		case !ok:
		case strings.HasPrefix(after, "| "):
			return name, len(name) + strings.Index(line[len(name):], "| ") + len("| ")
		default:
			return name, len(name) + len("] ")
		}
	case strings.HasPrefix(line, "#"): // of docker build: #12 0.345 x
		step, after, _ := strings.Cut(line[1:min(len(line), longest)], " ")
		seconds, _, ok := strings.Cut(after, " ")
		if ok && step != "" && isNumber(step) && strings.Contains(seconds, ".") && isNumber(strings.Replace(seconds, ".", "", 1)) {
			return "#" + step, len("#") + len(step) + len(" ") + len(seconds) + len(" ")
		}
	case word == "":
		return "", 0
	case isTurbo(word) && strings.HasPrefix(rest, " "):
		return word, indent + len(word) + 1
	case indent == 0 && len(word) >= len("2026-11-28T07:04:05") && isDigit(word[0]) && word[10] == 'T' && word[13] == ':' && strings.HasPrefix(rest, " "):
		return "T", len(word) + 1
	case strings.HasPrefix(bar, "| ") && isNumber(word):
		return "1", len(line) - len(bar) + len("| ")
	case strings.HasPrefix(bar, "| ") && len(bar) < len(rest) && indent == 0:
		return word, len(line) - len(bar) + len("| ")
	case isNumber(word) && strings.HasPrefix(rest, "\t"):
		return "1", indent + len(word) + 1
	case isNumber(word) && strings.HasPrefix(rest, "→"):
		return "1", indent + len(word) + len("→")
	case indent == 0 && len(word) == len("Nov") && len(line) > len("Nov 28 07:04:05") && line[9] == ':' && line[12] == ':':
		if _, after, ok := strings.Cut(line[len("Nov 28 07:04:05"):], "]: "); ok {
			return "syslog", len(line) - len(after)
		}
	}
	return "", 0
}

// isTurbo reports whether a word names a package and its task as turbo does, such as web:dev:. A file and the number of a line is none.
func isTurbo(word string) bool {
	of, rest, _ := strings.Cut(word, ":")
	task, rest, ok := strings.Cut(rest, ":")
	return ok && rest == "" && of != "" && isLetter(of[0]) && !isNumber(task)
}
