package redact

import "strings"

// ofSeed reports whether the key [key, end) that ends with "words" is about those of a seed.
func ofSeed(low string, key, end int) bool {
	const near = 12
	name := low[max(key-near, 0):end]
	for _, part := range [...]string{"seed", "mnemonic", "recovery", "wallet", "secret"} {
		if strings.Contains(name[strings.LastIndexByte(name, '\n')+1:], part) {
			return true
		}
	}
	return false
}

// mnemonicAt returns the place of the words of a seed (BIP-39) after the key that ends at i, or an empty place: 12 to 24 words of 3
// to 8 letters. Sentences nearly always have shorter words, longer ones, or signs between them.
func mnemonicAt(s string, i int) (from, to int) {
	const (
		near = 40
		most = 24
		gaps = " \t\n,.)\"'[]\\0123456789"
	)
	label := s[i:min(i+near, len(s))]
	n := strings.IndexAny(label, ":=\n")
	if n < 0 || strings.Trim(label[:n], " \"'`*()[]abcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
		return 0, 0
	}
	isBelow := label[n] == '\n'
	for i += n; i < len(s) && n < near && (strings.IndexByte(gaps, s[i]) >= 0 || strings.IndexByte(":=`*>|-", s[i]) >= 0); i++ {
		n++
	}
	from = i
	isList := false
	for words := 1; words <= most; words++ {
		end := i
		for end < len(s) && end-i <= 8 && 'a' <= s[end] && s[end] <= 'z' {
			end++
		}
		if end-i < 3 || end-i > 8 || end < len(s) && strings.IndexByte(gaps+"`<;", s[end]) < 0 {
			break
		}
		if words >= 12 && words%3 == 0 {
			to = end
		}
		for i = end; i < len(s) && i-end < 12 && strings.IndexByte(gaps, s[i]) >= 0; i++ {
		}
		lines := strings.Contains(s[end:i], "\n")
		if words == 1 {
			if isList = lines; isList && isBelow {
				return 0, 0 // a list of words of which the key is one
			}
		} else if lines != isList {
			break // the line's end
		}
	}
	return from, to
}
