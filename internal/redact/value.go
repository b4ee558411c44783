package redact

import "strings"

// valueAt returns the place of the value that begins at i: the text between quotes, up to the end of the line if they
// are not closed, or a word.
func valueAt(s string, i int) (from, to int) {
	i = skipBracket(s, i)
	for _, q := range [...]string{`\"`, `"`, `'`, "`"} {
		if strings.HasPrefix(s[i:], q) {
			from = i + len(q)
			return from, quoteEnd(s, from, q)
		}
	}
	return i, wordEnd(s, i)
}

// skipBracket skips the bracket of a list.
func skipBracket(s string, i int) int {
	if i < len(s) && s[i] == '[' && !strings.HasPrefix(s[i:], masked) {
		i++
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
		if c <= ' ' || isQuote(c) || c == '<' || c == '>' || c == '\\' && to+1 < len(s) && strings.IndexByte("\"'nr", s[to+1]) >= 0 {
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

// nextKey reports whether a blank, the end of s or another assignment begins at i.
func nextKey(s string, i int) bool {
	for n := i; n < len(s) && n-i < maxKey; n++ {
		if !isKeyByte(s[n]) {
			if n == i {
				return s[n] <= ' ' || s[n] == '"'
			}
			return s[n] == '=' || s[n] == ':'
		}
	}
	return i >= len(s)
}

// isHarmless reports whether the value is no secret: a placeholder, a word of a sentence, a number, a path.
func (a *assignment) isHarmless(v string) bool {
	if isPlaceholder(v) {
		return true
	}
	switch a.kind {
	case isToken:
		return len(v) < 7 && isNumber(v) || a.isProse(v)
	case isPass:
		return a.isOtherPass() || strings.Trim(v, "0123456789./%") == ""
	case isPwd:
		return v[0] == '/' || v[0] == '~'
	case isSignature:
		return a.key == 0 || a.s[a.key-1] != '?' && a.s[a.key-1] != '&'
	case isBasic:
		return len(v) < 8 || strings.ContainsAny(v, " :[{")
	}
	return false
}

func isPlaceholder(v string) bool {
	switch strings.ToLower(v) {
	case masked, "null", "nil", "none", "true", "false", "undefined", "string", "str", "{", "|", "%s", "%v", "%q":
		return true
	}
	return len(v) > 2 && strings.Trim(v, "*.-") == "" ||
		strings.HasPrefix(v, "{{") || strings.HasPrefix(v, "${") || strings.HasPrefix(v, "$(") || isVariable(v)
}

// isVariable reports whether v is $NAME.
func isVariable(v string) bool {
	name, ok := strings.CutPrefix(v, "$")
	return ok && name != "" && !isDigit(name[0]) && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") == ""
}

func isNumber(v string) bool { return strings.Trim(v, "0123456789") == "" }

// isProse reports whether "token: v" is part of a sentence.
func (a *assignment) isProse(v string) bool {
	if !a.blank || a.equal || len(v) >= 16 || a.s[a.at] != v[0] {
		return false
	}
	letters := 0
	for i := range len(v) {
		if isDigit(v[i]) {
			return false
		}
		if isLetter(v[i]) {
			letters++
		}
	}
	return letters == 0 || letters == len(v)
}

// isOtherPass reports whether a key that ends in "pass" names no password: "pass: 12", compass, bypass.
func (a *assignment) isOtherPass() bool {
	key := strings.TrimRight(a.s[a.key:a.end], "0123456789_-.")
	name, p := key[:len(key)-4], key[len(key)-4]
	bare := strings.Trim(name, "-_.") == ""
	return bare && !a.equal || name != "" && isAlnum(name[len(name)-1]) && p == 'p'
}
