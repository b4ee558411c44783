package redact

import "strings"

// valueAt returns the place of the value that begins at i: the text between quotes, up to the end of the line if they
// are not closed, or a word.
func valueAt(s string, i int) (from, to int) {
	i = skipBracket(s, i)
	if isString(s, i) && !isQuote(s[i]) && s[i] != '\\' {
		i++
	}
	if quote := i + backslashes(s, i); quote < len(s) && isQuote(s[quote]) && (quote == i || s[quote] == '"') {
		if three := s[quote:min(quote+3, len(s))]; quote == i && (three == `"""` || three == "'''") {
			return quote + 3, quoteEnd(s, quote+3, three)
		}
		from = quote + 1
		to = quoteEnd(s, from, s[i:from])
		for n := 0; s[i] == '\'' && to > from && n < maxJoints; n++ {
			joint := jointAt(s, to)
			if joint == "" {
				break
			}
			to = quoteEnd(s, to+len(joint), "'")
		}
		return from, to
	}
	if quote := encodedQuote(s, i); quote != "" {
		from = i + len(quote)
		return from, from + len(untilQuote(s[from:min(from+maxEncoded, len(s))], quote))
	}
	return i, wordEnd(s, i)
}

// startOf returns the start of the value that begins at i, which is enough to see that it is no secret. Long values that are none may
// overlap, and looking for the end of each would take quadratic time.
func startOf(s string, i int) string {
	const enough = 200
	from, to := valueAt(s[:min(i+enough, len(s))], i)
	return s[from:to]
}

// maxEncoded limits the length of a value in encoded quotes.
const maxEncoded = 2 << 10

func untilQuote(s, quote string) string {
	s, _, _ = strings.Cut(s, "\n")
	s, _, _ = strings.Cut(s, quote)
	return s
}

// encodedQuote returns the quote at i if it is encoded for HTML, a URL or JSON, or "".
func encodedQuote(s string, i int) string {
	if i >= len(s) || strings.IndexByte(`&%\`, s[i]) < 0 {
		return ""
	}
	for _, quote := range [...]string{"&quot;", "&#34;", "&#x27;", "&#39;", "&apos;", "%22", "%27", `\u0022`, `\u0027`, `\x22`, `\x27`} {
		if strings.HasPrefix(s[i:], quote) {
			return quote
		}
	}
	return ""
}

// maxJoints is how many quotes in a quoted value are skipped, so that this takes linear time.
const maxJoints = 16

// jointAt returns the quote in a quoted text that begins at i, as shells and YAML write it, or "".
func jointAt(s string, i int) string {
	for _, joint := range [...]string{`'\''`, `'"'"'`, `''`, `'\!'`} { // the last one is git's

		if strings.HasPrefix(s[i:], joint) {
			return joint
		}
	}
	return ""
}

// backslashes returns how many backslashes begin at i, at most those of a quote that is escaped three times.
func backslashes(s string, i int) (n int) {
	for n < 7 && i+n < len(s) && s[i+n] == '\\' {
		n++
	}
	return n
}

// skipBracket skips the bracket of a list, or of a quoted value.
func skipBracket(s string, i int) int {
	if i < len(s) && s[i] == '[' && !strings.HasPrefix(s[i:], masked) && !strings.HasPrefix(s[i:], "[]") || i+1 < len(s) && s[i] == '(' && isQuote(s[i+1]) {
		i++
		if at := skipBlanks(s, i); at > i && isString(s, at) { // [ "x" ]
			i = at
		}
	}
	return min(i, len(s))
}

func quoteEnd(s string, i int, quote string) int {
	for i < len(s) && s[i] != '\n' {
		switch {
		case strings.HasPrefix(s[i:], quote):
			return i
		case s[i] == '\\' && quote != `'`:
			i++
		}
		i++
	}
	return min(i, len(s))
}

// wordEnd returns where the word that begins at i ends, without punctuation after it.
func wordEnd(s string, i int) int {
	to := i
	for to < len(s) {
		if strings.HasPrefix(s[to:], masked) {
			to += len(masked)
			continue
		}
		c := s[to]
		if c <= ' ' || isQuote(c) || isMarkup(s[to:]) || c == '\\' && to+1 < len(s) && strings.IndexByte("\"'nr", s[to+1]) >= 0 {
			break
		}
		if (c == '&' || c == ',' || c == ';') && nextKey(s, to+1) {
			break
		}
		to++
	}
	for to > i && strings.IndexByte(",;)]}", s[to-1]) >= 0 && !strings.HasSuffix(s[i:to], masked) {
		to--
	}
	return to
}

// isMarkup reports whether s begins with a sign that belongs to a tag, and not to a value.
func isMarkup(s string) bool {
	const far = 100
	if s[0] != '<' && s[0] != '>' {
		return false
	}
	next := byte(' ')
	if len(s) > 1 {
		next = s[1]
	}
	if s[0] == '<' {
		return next == '/' || isLetter(next)
	}
	return next <= ' ' || next == '<' || isQuote(next) || strings.Contains(s[:min(far, len(s))], "</")
}

// nextKey reports whether a blank, the end of s or another assignment begins at i.
func nextKey(s string, i int) bool {
	for n := i; n < len(s) && n-i < maxKey; n++ {
		if !isKeyByte(s[n]) {
			if n == i {
				return s[n] <= ' ' || s[n] == '"' || encodedQuote(s, n) != ""
			}
			return s[n] == '=' || s[n] == ':'
		}
	}
	return i >= len(s)
}

// isString reports whether a quoted text begins at i, maybe one with a prefix: b"x", @"x", &"x".
func isString(s string, i int) bool {
	return i < len(s) && (isQuote(s[i]) || i+1 < len(s) && isQuote(s[i+1]) && strings.IndexByte(`\$@&bfruBEFRULN`, s[i]) >= 0)
}
