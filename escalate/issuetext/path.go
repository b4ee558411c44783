package issuetext

import "strings"

// ReplacePath replaces a path in a text, where it stands alone: not as part of a longer one.
func ReplacePath(body, old, path string) string {
	var b strings.Builder
	for before := byte(' '); ; {
		n := strings.Index(body, old)
		if n < 0 || old == "" {
			return b.String() + body
		}
		if n > 0 {
			before = body[n-1]
		}
		after := body[n+len(old):]
		b.WriteString(body[:n])
		if isPathByte(before) || continuesPath(after) {
			b.WriteString(old)
		} else {
			b.WriteString(path)
		}
		before, body = old[len(old)-1], after
	}
}

// continuesPath reports whether a path goes on in the text behind it; a full stop at the end of a sentence is no part of it.
func continuesPath(after string) bool {
	after = strings.TrimLeft(after, ".")
	return after != "" && isPathByte(after[0])
}

func isPathByte(c byte) bool {
	return c == '/' || c == '.' || c == '_' || c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= 0x80
}
