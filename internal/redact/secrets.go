package redact

import "strings"

// The finders in this package call add for each secret in s; low is s in lower case. Each goes over s once, with a
// bounded look around. They are written by hand, because regular expressions would have to be compiled in every short
// process that masks a line, and are slow if they begin with anything. "[masked]" counts as part of a word, so that
// masked text is not masked again differently.

// findKeyBlocks finds private keys in PEM and similar formats. A block without an end extends to the end of s. Of a
// block without a beginning, it finds the lines before its end that look like base64.
func findKeyBlocks(s string, add func(from, to int)) {
	const label = "PRIVATE KEY"
	begin := -1
	for i := strings.Index(s, label); i >= 0; i = indexFrom(s, label, i+len(label)) {
		from, word := keyLabel(s, i)
		to := i + len(label)
		if dash := strings.IndexByte(s[to:min(to+40, len(s))], '-'); dash >= 0 {
			for to += dash; to < len(s) && s[to] == '-'; to++ {
			}
		}
		switch {
		case word == "BEGIN" && begin < 0:
			begin = from
		case word == "END" && begin >= 0:
			add(begin, to)
			begin = -1
		case word == "END":
			add(base64Before(s, from), to)
		}
	}
	if begin >= 0 {
		add(begin, len(s))
	}
}

// keyLabel looks for "-----BEGIN RSA " or "-----END RSA " in the line before i. It returns where that begins, and the
// word.
func keyLabel(s string, i int) (from int, word string) {
	lo := max(i-60, 0)
	lo += strings.LastIndexByte(s[lo:i], '\n') + 1
	before := s[lo:i]
	for _, w := range [...]string{"BEGIN", "END"} {
		if j := strings.LastIndex(before, w+" "); j >= 0 && strings.HasSuffix(strings.TrimRight(before[:j], " "), "--") {
			from = lo + j
			for from > 0 && (s[from-1] == '-' || s[from-1] == ' ' && from > 1 && s[from-2] == '-') {
				from--
			}
			return from, w
		}
	}
	return i, ""
}

// base64Before returns where the base64 text that ends at i begins. Each line may have a prefix, e.g. a time.
func base64Before(s string, i int) int {
	const short = 16 // only the last line, and a first one that was cut, may be shorter
	from, first := i, true
	for end := i; end > 0; first = false {
		start := strings.LastIndexByte(s[:end], '\n') + 1
		line := strings.TrimRight(s[start:end], " \t\r\\n")
		word := line[strings.LastIndexAny(line, " \t|>")+1:]
		word = strings.TrimLeft(word, `"'`)
		ok := len(word) >= short || first || start == 0 && word == line || len(word) > 0 && from == i
		for k := 0; ok && k < len(word); k++ {
			ok = isBase64(word[k]) || word[k] == '\\'
		}
		if !ok && !first {
			break
		}
		if ok && word != "" {
			from = start + strings.LastIndex(line, word)
		}
		end = start - 1
	}
	return from
}

// findURLs finds the user and password of https://user:password@host.
func findURLs(s, low string, add func(from, to int)) {
	for _, sep := range [...]string{"://", `:\/\/`} {
		for i := strings.Index(s, sep); i >= 0; i = indexFrom(s, sep, i+len(sep)) {
			from := i + len(sep)
			user := userinfo(s, from)
			if user != "git" && (strings.Contains(user, ":") || !strings.HasSuffix(low[:i], "ssh")) {
				add(from, from+len(user))
			}
		}
	}
}

// userinfo returns what stands before the @ in the authority of a URL that begins at from.
func userinfo(s string, from int) string {
	end := from
	for end < len(s) && s[end] != '/' && s[end] != '?' && s[end] != '#' && !endsURL(s[end]) {
		end++
	}
	at := strings.LastIndexByte(s[from:end], '@')
	if name, port, ok := strings.Cut(s[from:end], ":"); at < 0 && ok && name != "" && !isNumber(port) {
		// It is no port, so it may be a password that contains a slash.
		for end < len(s) && end-from < 300 && !endsURL(s[end]) {
			end++
		}
		at = strings.LastIndexByte(s[from:end], '@')
	}
	return s[from : from+max(at, 0)]
}

func endsURL(c byte) bool {
	return c <= ' ' || isQuote(c) || c == '<' || c == '>' || c == '\\'
}
