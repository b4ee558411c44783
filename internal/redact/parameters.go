package redact

import (
	"strconv"
	"strings"
)

// parameter returns the start of the value that stands for the placeholder at i of a statement in SQL, or 0. Database libraries show the
// values behind the statement, in a list:
//
//	[SQL: INSERT INTO users (name, password) VALUES (?, ?)]
//	[parameters: ('bob', 'x')]
func parameter(s string, i int) int {
	const far = 1 << 10
	mark := placeholderAt(s, i)
	if mark == "" {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimLeft(mark, "$:@p"))
	if err != nil { // it has no number
		before := s[max(i-far, 0):i]
		start := 0
		for _, label := range [...]string{"\n[SQL: ", "sql: ", "query failed: ", "query: "} {
			start = max(start, strings.LastIndex(before, label))
		}
		n = strings.Count(before[start:], mark) + 1
	}
	s = s[:min(i+far, len(s))]
	at := max(indexFrom(s, "parameters: ", i), indexFrom(s, "PARAMETERS: ", i))
	if at < 0 {
		return 0
	}
	at = skipSpace(s, at+len("parameters: "))
	if at == len(s) || s[at] != '(' && s[at] != '[' {
		return 0
	}
	if at = skipSpace(s, at+1); at < len(s) && (s[at] == '(' || s[at] == '[') { // the first of several rows
		at = skipSpace(s, at+1)
	}
	for range n - 1 {
		_, to, next := textAt(s, at)
		if next == to { // it has no quotes
			next = max(at, next-1) + len(",")
		}
		if at = skipSpace(s, next); at == len(s) || strings.IndexByte(")]", s[at]) >= 0 {
			return 0
		}
	}
	return at
}

// placeholderAt returns the placeholder at i of a statement in SQL, or "".
func placeholderAt(s string, i int) string {
	if i == len(s) || strings.IndexByte("?%$:@", s[i]) < 0 {
		return ""
	}
	to := i + 1
	for to < len(s) && isAlnum(s[to]) {
		to++
	}
	if mark := s[i:to]; mark == "?" || mark == "%s" || len(mark) > 1 && mark[0] != '%' && strings.Trim(mark[1:], "p0123456789") == "" {
		return mark
	}
	return ""
}
