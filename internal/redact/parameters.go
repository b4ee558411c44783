package redact

import (
	"strconv"
	"strings"
)

// addParameters adds the values of the column with the name of a secret that stand for placeholders of a statement in SQL. Database libraries
// show them behind the statement, in a list, or in one for each row:
//
//	[SQL: INSERT INTO users (name, password) VALUES (?, ?)]
//	[parameters: ('bob', 'x')]
func addParameters(s, low string, column name, add func(from, to int)) {
	a := assignment{s: s, key: column.from, end: column.to, kind: column.kind}
	at := a.column(skipCloser(s, column.to))
	if at == 0 {
		at = afterSign(s, column.to)
	}
	if at == 0 || column.kind == isCommand || column.kind == isSeed || column.kind == isSignature {
		return
	}
	mark := placeholderAt(s, at)
	if mark == "" {
		return
	}
	const far = 1 << 10
	near := s[:min(at+far, len(s))]
	list := max(indexFrom(near, "parameters: ", at), indexFrom(near, "PARAMETERS: ", at))
	if list < 0 {
		return
	}
	n, step := parameterNumber(s[max(at-far, 0):at], near[at:list], mark)
	list = skipSpace(s, list+len("parameters: "))
	if list == len(s) || s[list] != '(' && s[list] != '[' {
		return
	}
	const longest = 8 << 10
	p := parameters{s: s[:min(list+longest, len(s))], i: skipSpace(s, list+1)}
	value := func(from, to int) { add(column.judge(s, low, from, to)) }
	if p.i == len(p.s) || p.s[p.i] != '(' && p.s[p.i] != '[' {
		p.row(n, step, value)
		return
	}
	for p.i < len(p.s) && (p.s[p.i] == '(' || p.s[p.i] == '[') { // a list for each row
		p.i = skipSpace(p.s, p.i+1)
		p.row(n, 0, value)
	}
}

// parameterNumber returns which of the values stands for a placeholder, from 1 on, and after how many that of the next row follows, or 0.
// before and after are the statement before it, and the rest from it on.
func parameterNumber(before, after, mark string) (n, step int) {
	if n, err := strconv.Atoi(strings.TrimLeft(mark, "$:@p")); err == nil {
		return n, 0
	}
	start := 0
	for _, label := range [...]string{"\n[SQL: ", "sql: ", "query failed: ", "query: "} {
		start = max(start, strings.LastIndex(before, label))
	}
	n = strings.Count(before[start:], mark) + 1
	first, rest, _ := strings.Cut(after, ")") // of its row
	if strings.HasPrefix(strings.TrimLeft(rest, ", \n"), "(") {
		open := strings.LastIndexByte(before, '(')
		step = strings.Count(before[open+1:]+first, mark)
	}
	return n, step
}

// parameters are the values of a statement, read from the place i on.
type parameters struct {
	s string
	i int
}

// row calls found with the n-th value of a row, and each one that follows it after step others, and skips the rest and the row's end.
func (p *parameters) row(n, step int, found func(from, to int)) {
	for number := 1; p.i < len(p.s) && strings.IndexByte(")]", p.s[p.i]) < 0; number++ {
		from, to, next := textAt(p.s, p.i)
		if from == p.i { // it has no quotes
			for to = from; to < len(p.s) && strings.IndexByte(",)]\n", p.s[to]) < 0; to++ {
			}
			next = to
		}
		if number == n {
			found(from, to)
			if n += step; step == 0 {
				n = 0
			}
		}
		if p.i = skipSpace(p.s, next); p.i == next && next < len(p.s) && strings.IndexByte(")]", p.s[next]) < 0 {
			return // no list
		}
	}
	p.i = skipSpace(p.s, min(p.i+1, len(p.s)))
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
