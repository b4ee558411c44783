package redact

import "strings"

// namedValue returns the start of the value of a thing whose name is the key, or 0: <entry name="token" value="x">, or
// "token": {"value": "x"}. In JSON and XML, other things may stand between.
func (a *assignment) namedValue() int {
	const near, far = 40, 300
	s, i := a.s, a.end
	if i < len(s) && strings.IndexByte("([{", s[i]) >= 0 { // Password{value='x'}
		if at := afterLabel(s, i+1, "value"); at > 0 {
			a.random = a.kind != isPassword // of a parser: Token(value='x')
			return at
		}
	}
	between := s[i:min(i+near, len(s))]
	if n := len(between) - len(strings.TrimLeft(between, " \t\n,-+~<>/\"'")); n > 0 {
		if at := afterLabel(s, i+n, "value"); at > 0 {
			return at
		}
	}
	if strings.HasSuffix(s[:a.key], "ParameterKey=") && strings.HasPrefix(s[i:], ",ParameterValue=") { // of aws
		return i + len(",ParameterValue=")
	}
	if at := a.nextElement(); at > 0 {
		return at
	}
	if at := a.inputValue(); at > 0 {
		return at
	}
	next := skipBlanks(s, skipCloser(s, i))
	if strings.HasPrefix(s[next:], ":\n") {
		return valueBelow(s, next+1)
	}
	if next == i || next >= len(s) {
		return 0
	}
	isBeside := s[next] == ','
	switch object := strings.TrimLeft(s[next+1:min(next+near, len(s))], " \t\n"); {
	case s[next] == ':' && strings.HasPrefix(object, "{"):
		next += strings.IndexByte(s[next:], '{') + 1
	case s[next] != ',' && s[next] != '>' && !isLetter(s[next]) || !a.hasNameLabel():
		return 0
	}
	fields := lowerASCII(s[next:min(next+far, len(s))])
	end := strings.IndexAny(fields, "{}<>")
	for isBeside && end >= 0 && fields[end] == '{' { // of another field
		inner := strings.IndexByte(fields[end:], '}')
		after := strings.IndexAny(fields[end+max(inner, 0)+1:], "{}<>")
		if inner < 0 || after < 0 {
			break
		}
		end += inner + 1 + after
	}
	if end >= 0 {
		fields = fields[:end]
	}
	for _, label := range [...]string{"value", "content", "args"} { // the last of a command to Redis
		if n := strings.Index(fields, label); n >= 0 && (label != "args" || a.kind == isBasic) {
			at := afterLabel(s, next+n, label)
			if label == "args" {
				a.kind = isPassword
				at = skipBlanks(s, skipBracket(s, skipBlanks(s, at)))
			}
			return at
		}
	}
	if text := next + end + 1; end >= 0 && s[text-1] == '>' { // <property name="token">x</property>
		if to := elementEnd(s, text, ""); to > text && isMixed(s[text:to]) {
			return text
		}
	}
	return 0
}

// nextElement returns the start of the text of the next element if the key is that of an element for names, or 0:
// <name>token</name><value>x</value>, <key>token</key><string>x</string>. In a table, it must have letters and digits.
func (a *assignment) nextElement() int {
	const far = 300
	if a.key == 0 || a.s[a.key-1] != '>' || !strings.HasPrefix(a.s[a.end:], "</") {
		return 0
	}
	rest := a.s[a.end:min(a.end+far, len(a.s))]
	name, after, _ := strings.Cut(lowerASCII(rest[len("</"):]), ">")
	isCell := name == "td" || name == "th" || name == "dt"
	if !isCell && !strings.HasSuffix(name, "name") && !strings.HasSuffix(name, "key") {
		return 0
	}
	for after != "" {
		var tag string
		_, after, _ = strings.Cut(after, "<")
		tag, after, _ = strings.Cut(after, ">")
		text, _, _ := strings.Cut(after, "<")
		text = strings.TrimSpace(text)
		switch {
		case isCell && text != "" && isMixed(text):
			at := a.end + len(rest) - len(after)
			a.element = elementEnd(a.s, at, "")
			return at
		case isCell && (text != "" || strings.HasPrefix(tag, "t") && tag[1:] != "d" && !strings.HasPrefix(tag, "td ") || tag == "/tr" || tag == "dt"):
			return 0
		case isCell:
		case tag == name || strings.HasPrefix(tag, "/") && strings.HasSuffix(tag, "value"):
			return 0
		case !strings.HasPrefix(after, "<") && (strings.HasSuffix(tag, "value") || tag == "string" || tag == "data"):
			at := a.end + len(rest) - len(after)
			a.element = elementEnd(a.s, at, "")
			return at
		}
	}
	return 0
}

// valueBelow returns the start of the value among the fields of a thing in YAML whose first line ends at i, or 0.
func valueBelow(s string, i int) int {
	const far = 300
	end := min(i+far, len(s))
	indent := ""
	for i++; i < end; i++ {
		blanks := s[i : end-len(strings.TrimLeft(s[i:end], " "))]
		if indent == "" {
			indent = blanks
		}
		if blanks == "" || len(blanks) < len(indent) {
			return 0
		}
		for _, label := range [...]string{"value", "default"} {
			if at := afterLabel(s, i+len(blanks), label); at > 0 && blanks == indent {
				return at
			}
		}
		n := strings.IndexByte(s[i:end], '\n')
		if n < 0 {
			return 0
		}
		i += n
	}
	return 0
}

// hasNameLabel reports whether the key is the value of a name: "name": "token", or key="token".
func (a *assignment) hasNameLabel() bool {
	const longest = 20
	from := a.key
	for from > max(a.key-maxKey, 0) && (a.s[from-1] == '/' || isKeyByte(a.s[from-1])) { // a path: /prod/db/password
		from--
	}
	if from == 0 || !isQuote(a.s[from-1]) {
		return false
	}
	label := lowerASCII(a.s[max(from-longest, 0) : from-1])
	label = strings.TrimRight(label, " :=\"'")
	return strings.HasSuffix(label, "name") || strings.HasSuffix(label, "key")
}

// afterLabel returns what follows the label and its separator at i, or 0.
func afterLabel(s string, i int, label string) int {
	end := min(i+len(label), len(s))
	if !strings.EqualFold(s[i:end], label) {
		return 0
	}
	if i = skipBlanks(s, skipCloser(s, end)); i < len(s) && (s[i] == '=' || s[i] == ':' || s[i] == '>') {
		return i + 1
	}
	return 0
}

// nameBehind returns the name, in lower case, of the value whose label ends at i, if that follows the value:
// {"value": "x", "name": "token"}.
func nameBehind(s string, i int) string {
	const far = 512
	s = s[:min(i+far, len(s))]
	if i = skipBlanks(s, skipCloser(s, i)); i == len(s) || s[i] != ':' && s[i] != '=' {
		return ""
	}
	_, to := valueAt(s, skipBlanks(s, i+1))
	after := s[skipCloser(s, to):]
	if s[i] == '=' && i+1 < len(s) && !isQuote(s[i+1]) && strings.HasPrefix(after, " ") { // the next one
		return ""
	}
	rest := strings.TrimLeft(after, " \t\n,\"'")
	for _, label := range [...]string{"name", "key", "parameterkey"} {
		if at := afterLabel(rest, 0, label); at > 0 {
			from := skipBlanks(rest, at)
			if from < len(rest) && isQuote(rest[from]) {
				from++
			}
			for to = from; to < len(rest) && isKeyByte(rest[to]); to++ {
			}
			return lowerASCII(rest[from:to])
		}
	}
	return ""
}

// isPaired reports whether the key and the word of letters and digits at i are all that is in a list or tuple:
// ["X-Api-Key", "x1"].
func (a *assignment) isPaired(i int) bool {
	before, after := a.s[max(a.key-3, 0):max(a.key-1, 0)], ""
	from, to := valueAt(a.s, skipBlanks(a.s, i))
	if to < len(a.s) {
		after = a.s[to+1:]
	}
	isTuple := false
	for _, pair := range [...]string{"()", "{}"} {
		isTuple = isTuple || strings.HasSuffix(before, pair[:1]) && !isAlnum(before[0]) && before[0] != ']' && strings.HasPrefix(after, pair[1:])
	}
	return (isTuple || strings.HasSuffix(before, "[") && strings.HasPrefix(after, "]")) && isMixed(a.s[from:to])
}

// isHeader reports whether the key and the text at i are a header and its value in a list: ["X-Api-Key", "x1", "Cookie", "a=b"].
func (a *assignment) isHeader(i int) bool {
	from, to := valueAt(a.s, skipBlanks(a.s, i))
	return a.kind == isCookie && strings.Contains(a.s[from:to], "=") || hasPrefixFold(a.s[a.key:a.end], "x-") && isMixed(a.s[from:to])
}
