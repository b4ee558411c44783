package redact

import (
	"strings"
	"unicode/utf8"
)

// findArrows finds the values that loguru and better_exceptions show below a line of a traceback, each with an arrow to its name:
//
//	login(user, password)
//	│     │     └ 'x'
//	│     └ 'bob'
//	└ <function login at 0x7f>
func findArrows(s, low string, add func(from, to int)) {
	const arrow = "└ "
	for i := strings.Index(s, arrow); i >= 0; i = indexFrom(s, arrow, i+len(arrow)) {
		if !isString(s, i+len(arrow)) {
			continue
		}
		key := arrowed(s, i)
		end := key
		for end < len(s) && isKeyByte(s[end]) && s[end] != '.' {
			end++
		}
		if n := nameAt(low, key, end); key < end {
			from, to := valueAt(s, i+len(arrow))
			add(n.judge(s, low, from, to))
		}
	}
}

// arrowed returns the place above the arrow at i, in the first line that has more than arrows, or len(s).
func arrowed(s string, i int) int {
	const longest, most = 400, 20 // bytes of a line, lines
	end := i
	start := lineStart(s, end, longest)
	column := utf8.RuneCountInString(s[start:i])
	if strings.Trim(s[start:i], " │") != "" {
		return len(s)
	}
	for range most {
		if end = start - 1; end < 0 || s[end] != '\n' {
			break
		}
		start = lineStart(s, end, longest)
		line := s[start:end]
		if text := strings.TrimLeft(line, " │"); text == "" || strings.HasPrefix(text, "└") {
			continue
		} else if strings.HasPrefix(text, "├") { // a tree
			break
		}
		for at := range line {
			if column == 0 {
				return start + at
			}
			column--
		}
		break
	}
	return len(s)
}

// lineStart returns the start of the line that ends at i, or a place that is as far before i as a line may be long.
func lineStart(s string, i, longest int) int {
	from := max(i-longest, 0)
	return from + strings.LastIndexByte(s[from:i], '\n') + 1
}
