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
	end, list := len(near), 0
	for _, label := range [...]string{"parameters: ", "Parameters: ", "PARAMETERS: ", "params: ", "Params: ", "bindings: "} {
		if i := indexFrom(near[:end], label, at); i >= 0 {
			end, list = i, skipSpace(s, i+len(label))
		}
	}
	if list == 0 || list == len(s) {
		return
	}
	n, step := parameterNumber(s[max(at-far, 0):at], near[at:end], mark)
	if s[list] != '(' && s[list] != '[' { // params: bob,x, of Drizzle, and Parameters: bob(String), x(String), of MyBatis
		line := lineAt(s, list)
		for ; n > 1; n-- {
			_, rest, _ := strings.Cut(line, ",")
			line = strings.TrimLeft(rest, " ")
		}
		list += len(lineAt(s, list)) - len(line)
		value, _, _ := strings.Cut(line, ",")
		value, _, _ = strings.Cut(value, "(")
		add(column.judge(s, low, list, list+len(value)))
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
			to = itemEnd(p.s, from)
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

// itemEnd returns where the item of a list that begins at i ends, which may have brackets and quotes: datetime(2026, 11, 30), {"a": [1, 2]}.
func itemEnd(s string, i int) int {
	for depth := 0; i < len(s); i++ {
		switch s[i] {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			if depth--; depth < 0 {
				return i
			}
		case '"', '\'':
			i = quoteEnd(s, i+1, s[i:i+1])
		case ',', '\n':
			if depth == 0 {
				return i
			}
		}
	}
	return len(s)
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
