package redact

import "strings"

// openTag returns where the name of the tag begins whose last part begins at i: <name or <space:name. It returns 0 if
// there is no tag.
func openTag(s string, i int) int {
	if i > 0 && s[i-1] == ':' {
		for stop := max(i-maxKey, 0); i > stop && (s[i-1] == ':' || isKeyByte(s[i-1])); i-- {
		}
	}
	if i > 0 && s[i-1] == '<' {
		return i
	}
	return 0
}

// afterTag returns the end of the tag whose name ends at i, or 0: it may have attributes, but must not be empty, <name/>.
func afterTag(s string, i int) int {
	const far = 300
	if i < len(s) && s[i] != '>' && s[i] > ' ' {
		return 0
	}
	n := strings.IndexAny(s[i:min(i+far, len(s))], "<>")
	if n < 0 || s[i+n] == '<' || n > 0 && (s[i+n-1] == '/' || strings.IndexByte(s[i:i+n], '=') < 0) {
		return 0
	}
	return i + n + 1
}

// elementEnd returns where the text of the element <name> ends that begins at i, or 0.
func elementEnd(s string, i int, name string) int {
	const far = 4 << 10
	text, rest, ok := strings.Cut(s[i:min(i+far, len(s))], "</")
	if !ok || !strings.HasPrefix(rest, name) {
		return 0
	}
	return i + len(strings.TrimRight(text, " \t\n"))
}

// inputValue returns the start of the value in the tag whose attribute type the key is the value of, or 0:
// <input type="password" name="x" value="y">. Without quotes, it must have letters and digits.
func (a *assignment) inputValue() int {
	const far = 300
	before := a.s[max(a.key-far, 0):a.key]
	label := strings.TrimRight(before, "\\\"' =")
	if !strings.HasSuffix(lowerASCII(label[max(len(label)-len(" type"), 0):]), " type") {
		return 0
	}
	open := strings.LastIndexAny(before, "<>")
	if open < 0 || before[open] != '<' {
		return 0
	}
	from := a.key - len(before) + open
	tag := lowerASCII(a.s[from:min(a.end+far, len(a.s))])
	if end := strings.IndexByte(tag, '>'); end >= 0 {
		tag = tag[:end]
	}
	n := strings.Index(tag, " value=")
	if n < 0 {
		return 0
	}
	at := from + n + len(" value=")
	if start, to := valueAt(a.s, at); start > at || isMixed(a.s[start:to]) {
		return at
	}
	return 0
}
