package redact

import "strings"

// addItems adds the items of a list after the first one, which is at [from, to): [a, b], or lines with a dash. It returns
// where the last one ends.
func addItems(s string, from, to int, add func(from, to int)) int {
	const deepest = 80
	for lead := listLead(s, from); lead != ""; {
		at := to
		if isQuote(s[from-1]) {
			at = min(to+backslashes(s, to)+1, len(s))
		}
		if lead == "[" {
			rest := s[at:min(at+deepest, len(s))]
			item, ok := strings.CutPrefix(strings.TrimLeft(rest, " \t\n"), ",")
			if !ok {
				break
			}
			at += len(rest) - len(strings.TrimLeft(item, " \t\n"))
		} else if strings.HasPrefix(s[at:], lead) {
			at += len(lead)
		} else {
			break
		}
		start, end := valueAt(s, at)
		isField := lead != "[" && !isString(s, at) && strings.ContainsAny(lineAt(s, at), " ")
		if start >= end || isField || isPlaceholder(s[start:end]) {
			break
		}
		add(start, end)
		from, to = start, end
	}
	return to
}

// listLead returns what begins the list whose first item is at i: a bracket, or a line with a dash. It returns "" if there
// is no list.
func listLead(s string, i int) string {
	const deepest = 80
	for i > 0 && (isQuote(s[i-1]) || s[i-1] == '\\') {
		i--
	}
	if i == 0 || s[i-1] > ' ' && s[i-1] != '[' {
		return ""
	}
	lead := s[max(i-deepest, 0):i]
	if before, ok := strings.CutSuffix(lead, "- "); ok {
		if before = strings.TrimRight(before, " "); strings.HasSuffix(before, "\n") {
			return lead[len(before)-1:]
		}
	} else if strings.HasSuffix(strings.TrimRight(lead, " \t\n"), "[") {
		return "["
	}
	return ""
}

// isListed reports whether the value of a plural such as "tokens" is the first item of a list, and has letters and digits.
func (a *assignment) isListed(from, to int) bool {
	v := a.s[from:to]
	if strings.HasPrefix(v, "0x") || strings.ContainsFunc(v, func(r rune) bool { return r >= 0x80 || !isBase64(byte(r)) && r != '.' }) {
		return false
	}
	return isMixed(v) && strings.HasSuffix(strings.TrimRight(a.s[a.key:a.end], "0123456789"), "s") && listLead(a.s, from) != ""
}

// addMap adds the values of a map of secrets, whose key in [key, end) is a plural: passwords: {bob: x1}. They must have letters
// and digits.
func addMap(s, low string, key, end int, add func(from, to int)) {
	const far = 2 << 10
	if kind := kindOf(low[key : end-1]); kind != isPassword && kind != isToken || strings.HasSuffix(low[:end], "credentials") {
		return
	}
	s = s[:min(end+far, len(s))]
	colon := skipCloser(s, end)
	block, isBlock := strings.CutPrefix(s[colon:], ":\n")
	indent := block[:len(block)-len(strings.TrimLeft(block, " "))]
	isOwn := func(from int) bool { // and no item of a list
		if !isBlock {
			return true
		}
		line := s[colon+strings.LastIndexByte(s[colon:from], '\n')+1 : from]
		return strings.HasPrefix(line, indent) && len(line) > len(indent) && (isQuote(line[len(indent)]) || isAlnum(line[len(indent)]))
	}
	addMixed := func(from, to int) {
		if isOwn(from) && isMixed(s[from:to]) && !isPath(s[from:to]) && !strings.Contains(s[from:to], "://") {
			add(from, to)
		}
	}
	if isBlock {
		addLines(s, key, colon+len(":\n"), addMixed)
	} else if strings.HasPrefix(s[colon:], ":") {
		addFields(s, skipBlanks(s, colon+1), addMixed)
	}
}
