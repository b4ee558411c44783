package redact

import "strings"

// The finders in this package call add for each secret in s; low is s in lower case. Each goes over s once, with a
// bounded look around. They are written by hand, because regular expressions would have to be compiled in every short
// process that masks a line, and are slow if they begin with anything. "[masked]" counts as part of a word, so that
// masked text is not masked again differently.

// findURLs finds the user and password of https://user:password@host, and the token of https://token@host.
func findURLs(s string, add func(from, to int)) {
	for _, sep := range [...]string{"://", `:\/\/`} {
		for i := strings.Index(s, sep); i >= 0; i = indexFrom(s, sep, i+len(sep)) {
			from := i + len(sep)
			user := userinfo(s, from)
			switch name, pass, ok := strings.Cut(user, ":"); {
			case ok && pass != "" && !isPlaceholder(pass):
				add(from+len(name)+1, from+len(user))
				add(from, from+len(user))
			case ok && pass == "" && name != "", !ok && looksRandom(user):
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
