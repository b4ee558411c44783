package redact

import "strings"

// hereDocument returns the place of the text of a here-document that is the value of the key: token = <<EOT, TOKEN<<EOF as in the
// files of GitHub's runner, TOKEN=$(cat <<'EOF'. It reports whether there is one.
func (a *assignment) hereDocument() (from, to int, ok bool) {
	s, i := a.s, a.end
	if at := skipColumn(s, skipCloser(s, i)); at < len(s) && (s[at] == '=' || s[at] == ':') {
		i = skipBlanks(s, at+1)
		for _, command := range [...]string{"$(cat ", `"$(cat `} {
			if strings.HasPrefix(s[i:], command) {
				i += len(command)
				break
			}
		}
	}
	mark := lineAt(s, i)
	word, ok := strings.CutPrefix(mark, "<<")
	if !ok {
		return 0, 0, false
	}
	word = strings.Trim(strings.TrimRight(strings.TrimLeft(word, "-~"), " \t\r"), "\"'")
	body := i + len(mark) + len("\n")
	if word == "" || strings.ContainsFunc(word, func(r rune) bool { return r >= 0x80 || !isKeyByte(byte(r)) }) || body > len(s) {
		return 0, 0, false
	}
	end := hereEnd(s, body, word)
	if end < 0 {
		if i == a.end {
			return 0, 0, false
		}
		end = body + len(lineAt(s, body)) // its end is missing
	}
	text := strings.TrimLeft(s[body:end], " \t\n")
	from = end - len(text)
	text = strings.TrimRight(text, " \t\n")
	switch {
	case text == "", isPlaceholder(text), a.kind == isSignature, a.kind == isCommand, a.kind == isKey && !isRandom(text):
		return 0, 0, true
	}
	return from, from + len(text), true
}

// hereEnd returns the start of the line that ends the here-document whose text begins at i, or -1.
func hereEnd(s string, i int, word string) int {
	const longest = 2 << 10
	end := min(i+longest, len(s))
	for i < end {
		line, _, _ := strings.Cut(s[i:end], "\n")
		if strings.Trim(line, " \t") == word {
			return i
		}
		i += len(line) + 1
	}
	return -1
}

// runnerCommand returns the place of the value in a command to the runner of GitHub or Gitea, the rest of the line: ::add-mask::x,
// ::set-output name=token::x. It reports whether the key is that of one.
func (a *assignment) runnerCommand() (from, to int, ok bool) {
	const longest = 2 << 10
	s, start := a.s, a.key
	switch rest := s[a.end:]; {
	case strings.HasPrefix(rest, "::"):
		from = a.end + len("::")
	case strings.HasPrefix(rest, "]") && s[a.key:a.end] == "add-mask":
		from = a.end + len("]")
	default:
		return 0, 0, false
	}
	for _, command := range [...]string{"::set-output name=", "::save-state name=", "::set-env name=", "::", "##["} {
		if strings.HasSuffix(s[:a.key], command) {
			start -= len(command)
			break
		}
	}
	if isMask := s[a.key:a.end] == "add-mask"; start == a.key || !isMask && start == a.key-len("::") {
		return 0, 0, false
	}
	value, _, _ := strings.Cut(s[from:min(from+longest, len(s))], "\n")
	if start > 0 && isQuote(s[start-1]) {
		value = untilQuote(value, s[start-1:start])
	}
	value, _, _ = strings.Cut(value, `\n`)
	value = strings.TrimRight(value, " ")
	if value == "" || isPlaceholder(value) {
		return 0, 0, true
	}
	return from, from + len(value), true
}
