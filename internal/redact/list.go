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

// addBlock adds the values of a map of secrets in YAML, whose lines begin at i. They must have letters and digits.
func addBlock(s string, key, i int, add func(from, to int)) {
	const far = 2 << 10
	s = s[:min(i+far, len(s))]
	indent := s[i : len(s)-len(strings.TrimLeft(s[i:], " "))]
	isOwn := func(from int) bool { // and no item of a list
		line := s[i+strings.LastIndexByte(s[i:from], '\n')+1 : from]
		return strings.HasPrefix(line, indent) && len(line) > len(indent) && (isQuote(line[len(indent)]) || isAlnum(line[len(indent)]))
	}
	addLines(s, key, i, func(from, to int) {
		if isOwn(from) && isMixed(s[from:to]) && !isPath(s[from:to]) && !strings.Contains(s[from:to], "://") {
			add(from, to)
		}
	})
}
