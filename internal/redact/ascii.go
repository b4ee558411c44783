package redact

import "strings"

// isKeyByte reports whether c is an ASCII letter or digit, or one of _ . -
func isKeyByte(c byte) bool { return isAlnum(c) || c == '_' || c == '.' || c == '-' }

func isAlnum(c byte) bool { return isDigit(c) || isLetter(c) }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func isBase64(c byte) bool {
	return isAlnum(c) || c == '+' || c == '/' || c == '-' || c == '_' || c == '='
}

// lowerASCII lower-cases ASCII letters. Unlike strings.ToLower, it keeps every byte in place.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}

// isLowerWord reports whether a word of lower-case letters, and nothing else, is at i.
func isLowerWord(s string, i int) bool {
	to := i
	for to < len(s) && 'a' <= s[to] && s[to] <= 'z' {
		to++
	}
	return to > i && (to == len(s) || s[to] <= ' ')
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// indexFrom is strings.Index for the part of s from at on, with the result counted from the start of s.
func indexFrom(s, substr string, at int) int {
	if i := strings.Index(s[at:], substr); i >= 0 {
		return at + i
	}
	return -1
}

// skipBlanks skips up to eight blanks and tabs.
func skipBlanks(s string, i int) int {
	for n := 0; n < 8 && i < len(s) && (s[i] == ' ' || s[i] == '\t'); n++ {
		i++
	}
	return i
}

// skipColumn skips the blanks that align what follows.
func skipColumn(s string, i int) int {
	const widest = 64
	for n := 0; n < widest && i < len(s) && s[i] == ' '; n++ {
		i++
	}
	return i
}
