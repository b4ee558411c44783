package redact

import "strings"

// grepped is how grep shows lines of a file: store/a.go:12:x and, for a line beside one that it has found, store/a.go-12-x, without the name
// if it looks at one file, and without numbers if it is not asked for them.
type grepped struct {
	name     string
	numbered bool
}

// ofGrep is the kind of the prefixes of grep.
const ofGrep = "grep"

// greppedIn returns what two lines have before their texts, and its length in the first one. The name may have hyphens and numbers itself, so
// both lines tell where it ends. The length is 0 if they have nothing of that kind.
func greppedIn(line, next string) (g grepped, n int) {
	shared := 0
	for shared < min(len(line), len(next)) && line[shared] == next[shared] && line[shared] > ' ' && !isQuote(line[shared]) {
		shared++
	}
	isSign := func(i int) bool {
		return strings.IndexByte(":-", line[i]) >= 0 && strings.IndexByte(":-", next[i]) >= 0
	}
	isBlank := func(i int) bool { return line[i] == ' ' && next[i] == ' ' }
	end := min(shared, len(line)-1, len(next)-1)
	if end > 0 && isSign(end) && line[end] != next[end] { // the line that was found and one beside it
		g = grepped{line[:end], numberAfter(line, end) > 0 && numberAfter(next, end) > 0}
		if g.numbered || g.isFile() {
			return g, g.prefix(line)
		}
	}
	for name := end; name > 0; name-- {
		if numberAfter(line, name) > 0 && numberAfter(next, name) > 0 && !isNumber(line[:name]) {
			return grepped{line[:name], true}, numberAfter(line, name)
		}
	}
	if g = (grepped{numbered: true}); g.prefix(line) > 0 && g.prefix(next) > 0 {
		return g, g.prefix(line)
	}
	if end > 1 && isSign(end-1) && isBlank(end) {
		if g = (grepped{name: line[:end-1]}); g.isFile() {
			return g, end
		}
	}
	return grepped{}, 0
}

// isFile reports whether the name looks like that of a file.
func (g grepped) isFile() bool { return strings.ContainsAny(g.name, "./") }

// prefix returns the length of what a line has before its text, 0 if it is not one of the file's.
func (g grepped) prefix(line string) int {
	n := len(g.name)
	switch {
	case !strings.HasPrefix(line, g.name) || n == len(line):
		return 0
	case n == 0:
		n = digitsAt(line, 0)
		isYear := n == len("2026") && strings.HasPrefix(line[n:], "-")
		if n == 0 || n == len(line) || isYear || line[n] != ':' && line[n] != '-' {
			return 0
		}
		return n + 1
	case g.numbered:
		return numberAfter(line, n)
	case line[n] == ':' || line[n] == '-':
		return n + 1
	}
	return 0
}

// numberAfter returns where the text begins if s[i:] begins with the number of a line as grep shows it, :12: or -12-, or else 0.
func numberAfter(s string, i int) int {
	if s[i] != ':' && s[i] != '-' {
		return 0
	}
	end := i + 1 + digitsAt(s, i+1)
	if end == i+1 || end == len(s) || s[end] != s[i] {
		return 0
	}
	return end + 1
}

// digitsAt returns how many digits s[i:] begins with.
func digitsAt(s string, i int) int {
	n := 0
	for i+n < len(s) && isDigit(s[i+n]) {
		n++
	}
	return n
}
