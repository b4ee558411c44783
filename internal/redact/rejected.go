package redact

import (
	"slices"
	"strings"
)

// Programs that do not accept a value show it, and its key not before it but elsewhere: in the line before, in a field beside
// it, or in another part of the sentence. What is looked for is the word that announces the value.

// rejected returns the place of the secret value that the word in [key, end) announces, or an empty place: invalid int value: 'x',
// "input": "x".
func rejected(s, low string, key, end int) (from, to int) {
	const longest = 1 << 10
	i := skipCloser(s, end)
	isSaid := i == end && key > 1 && s[key-1] == ' ' // in a sentence
	for _, verb := range [...]string{" was", " of"} {
		if strings.HasPrefix(s[i:], verb+" ") {
			i += len(verb)
		}
	}
	isField := i < len(s) && (s[i] == ':' || s[i] == '=')
	if isField {
		isSaid = isSaid && s[i] == ':'
		i++
	}
	i = skipBlanks(s, i)
	if i == end || i == len(s) {
		return 0, 0
	}
	before, word := low[max(key-len("rejected "), 0):key], low[key:end]
	near := s[:min(i+longest, len(s))] // so that this takes linear time
	switch text := i + backslashes(s, i); {
	case text < len(s) && isQuote(s[text]):
		from, to = valueAt(near, i)
	case s[i] == '[' && strings.HasSuffix(before, "rejected "):
		from, to = i+1, bracketEnd(s, i+1)
	case word == "input" && isField && strings.IndexByte("{[(", s[i]) < 0 && !(isSaid && isLetter(s[key-2])): // not "Invalid input: expected a"
		from, to = valueAt(near, i)
	}
	if from >= to || isPlaceholder(startOf(s, i)) || word == "received" && slices.Contains(receivedTypes[:], lowerASCII(s[from:to])) {
		return 0, 0
	}
	if isField {
		n, open := nameBeside(s, low, key, to)
		if n.kind != notSecret {
			if to == len(near) {
				from, to = valueAt(s, i)
			}
			return n.judge(s, low, from, to)
		}
		isSaid = isSaid && (open < 0 || strings.IndexByte(",{", s[key-2]) < 0 || s[open+1] == '"' && s[from-1] == '\'')
	}
	switch word {
	case "string":
		isSaid = isSaid && (strings.HasSuffix(before, "type: ") || strings.HasSuffix(before, "value: ") || strings.HasSuffix(before, "found "))
	case "parsing":
		isSaid = isSaid && strings.HasSuffix(before, ": ")
	case "got":
		isSaid = strings.HasSuffix(before, " (")
	case "received":
		return 0, 0
	}
	if !isSaid {
		return 0, 0
	}
	if to == len(near) && len(near) < len(s) {
		return 0, 0
	}
	n, at := nameAfter(s, low, to)
	if at > to+1 && s[at-1] == s[from-1] && isAlnum(s[to+1]) { // a quote in the value
		to = at - 1
	}
	if n.to == 0 || n.kind == notSecret && at > to+1 {
		n = nameBefore(s, low, key)
	}
	return n.judge(s, low, from, to)
}

// bracketEnd returns where the text in brackets ends that begins at i: x]; codes.
func bracketEnd(s string, i int) int {
	line := lineAt(s, i)
	if strings.HasPrefix(line, masked) {
		return i
	}
	for _, closer := range [...]string{"];", "]"} {
		if n := strings.Index(line, closer); n >= 0 {
			return i + n
		}
	}
	return i
}

// name is the place of the key of a value that does not follow it.
type name struct {
	span
	kind          keyKind
	mixed, random bool // the value must have letters and digits, or look random
}

// nameAt returns the name in [from, to).
func nameAt(low string, from, to int) name {
	n := name{span: span{from, to}}
	if from < to {
		n.kind = kindOfName(low[from:to])
	}
	if n.kind == isCommand || n.kind == isSeed || n.kind == isSignature {
		n.kind = notSecret
	}
	return n
}

// judge returns [from, to) if the name says that the value there is secret, or an empty place.
func (n name) judge(s, low string, from, to int) (int, int) {
	v := s[from:to]
	if n.kind == notSecret || v == "" || isPlaceholder(v) {
		return 0, 0
	}
	a := assignment{s: s, key: n.from, end: n.to, kind: n.kind, equal: true, random: n.random}
	switch {
	case a.isLong(from, to):
	case n.mixed && !isMixed(v), n.random && !isRandom(v), n.kind == isKey && !isRandomKey(low, n.from, n.to, v), a.isHarmless(from, to), a.isTestName():
		return 0, 0
	}
	return from, to
}

// nameAfter returns the name that follows the value whose closing quote is at i, if any does, and the place of the word before it:
// 'x' for '--token <T>', "x" for flag -token, "x", expected u16 for key "token".
func nameAfter(s, low string, i int) (n name, at int) {
	line, _, _ := strings.Cut(lineAt(s, min(i+1, len(s))), `\n`)
	sign := " for "
	if strings.HasPrefix(line, " at '") { // of AWS
		sign = " at "
	}
	line, rest, ok := strings.Cut(line, sign)
	if !ok {
		return name{}, 0
	}
	at = i + 1 + len(line)
	from, to := at+len(sign), at+len(sign)+len(rest)
	for isNamed := false; ; {
		from += len(s[from:to]) - len(strings.TrimLeft(s[from:to], "\\\"'`, /"))
		word := from
		for word < to && isKeyByte(s[word]) {
			word++
		}
		switch low[from:word] {
		case "":
			return name{}, at
		case "the":
		case "argument", "field", "flag", "key", "option", "parameter", "property", "setting", "variable":
			isNamed = true
		default:
			if isNamed || isWritten(s, from, word) {
				n = nameAt(low, from, word)
			}
			if !isShortOption(s[from:word]) {
				return n, at
			}
		}
		from = word
	}
}

// nameBefore returns the nearest name before i in the line: "TOKEN" with value, token: invalid value, argument --token: invalid value.
func nameBefore(s, low string, i int) name {
	const far = 200
	stop := max(i-far, 0)
	stop += 1 + strings.LastIndexByte(s[stop:i], '\n')
	for to := i; to > stop; {
		if !isKeyByte(s[to-1]) {
			to--
			continue
		}
		from := to
		for from > stop && isKeyByte(s[from-1]) {
			from--
		}
		if from > 1 && s[from-1] == '\\' && s[from] == 'n' {
			from++
			stop = from // a line end that is escaped
		}
		n := nameAt(low, from, to)
		isQuoted := from > 0 && isQuote(s[from-1]) && to < len(s) && (isQuote(s[to]) || s[to] == '\\')
		isStrict := isQuoted || s[from] == '-' && to-from > 1
		isLabel := to < i && s[to] == ':'
		switch {
		case slices.Contains(types[:], low[from:to]), isShortOption(s[from:to]), strings.HasPrefix(low[from:to], "strconv."):
		case n.kind != notSecret && (isStrict || isLabel || isWritten(s, from, to)):
			n.random = !isStrict && n.kind == isToken && low[from:to] == s[from:to] && !strings.ContainsAny(s[from:to], "_.-") // unexpected token:
			return n
		case isStrict, isLabel && strings.IndexByte(s[from:to], '.') >= 0:
			return name{}
		}
		to = from
	}
	return name{}
}

func isShortOption(word string) bool { return len(word) == len("-t") && word[0] == '-' }

// isWritten reports whether the word in [from, to) is written as a name is, and no word of a language: with a sign in it, in
// quotes, or with upper case in its middle.
func isWritten(s string, from, to int) bool {
	if from > 0 && isQuote(s[from-1]) || strings.ContainsAny(s[from:to], "_.-") {
		return true
	}
	return strings.ContainsAny(s[min(from+1, to):to], "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
}

// types are named in messages, and in places of pydantic after the name of the field: token.int.
var types = [...]string{"bool", "bytes", "float", "float64", "int", "int32", "int64", "integer", "number", "str", "string", "uint", "uint64"}

// receivedTypes stand in place of a value that has not the type that was expected, in the lists of errors of zod and valibot.
var receivedTypes = [...]string{
	"array", "bigint", "boolean", "date", "float", "function", "infinity", "integer", "map", "nan", "never", "null", "number", "object", "promise", "set", "string", "symbol", "undefined", "unknown", "void",
}

// nameBeside returns the name in another field of the object that has the field whose name is in [key, ...) and whose value ends at i:
// {"loc": ["body", "token"], "input": "x"}, { value: 'x', property: 'token' }. It also returns where the object begins, or -1.
func nameBeside(s, low string, key, i int) (n name, open int) {
	const far = 512
	depth, stop := 1, max(key-far, 0)
	for open = key; depth > 0; {
		if open--; open < stop {
			return name{}, -1
		}
		switch s[open] {
		case '{':
			depth--
		case '}':
			depth++
		}
	}
	depth = 1
	for at, stop := open+1, min(i+far, len(s)); at < stop && depth > 0; at++ {
		switch {
		case at == key:
			at = max(i, at)
		case s[at] == '{':
			depth++
		case s[at] == '}':
			depth--
		case depth == 1 && isLetter(s[at]):
			word := at
			for at+1 < stop && isKeyByte(s[at+1]) {
				at++
			}
			if !isPlaceLabel(low[word : at+1]) {
				continue
			}
			if value := skipCloser(s, at+1); value < stop && (s[value] == ':' || s[value] == '=') {
				if n = placeAt(s[:stop], low, skipBlanks(s, value+1)); n.kind != notSecret {
					return n, open
				}
			}
		}
	}
	return name{}, open
}

// isPlaceLabel reports whether a field with this name says what another one is the value of.
func isPlaceLabel(label string) bool {
	switch label[len(label)-1] {
	case 'c':
		return label == "loc"
	case 'd':
		return label == "field"
	case 'h':
		return strings.HasSuffix(label, "path")
	case 'l':
		return label == "label"
	case 'm':
		return label == "param"
	case 'y':
		return label == "property"
	}
	return false
}

// placeAt returns the name that the place at i in an input ends with: ('body', 'token'), ["tokens", 0], "a.token", "/token".
func placeAt(s, low string, i int) name {
	if i >= len(s) {
		return name{}
	}
	if s[i] != '(' && s[i] != '[' {
		from, to := valueAt(s, i)
		if from < to && s[from] == '/' { // of a pointer in JSON; a longer one may be the path of a page
			from++
		}
		if strings.IndexByte(s[from:to], '/') >= 0 {
			return name{}
		}
		n := nameOfParts(low, lastWords(s, from, to))
		if n.mixed { // it may be a file
			return name{}
		}
		return n
	}
	end := strings.IndexAny(s[i+1:], ")]")
	if end < 0 {
		return name{}
	}
	return nameOfParts(low, lastWords(s, i+1, i+1+end))
}

// lastWords returns the last words in [from, to); a dot separates them, too.
func lastWords(s string, from, to int) []span {
	const most = 4
	var parts []span
	for to > from && len(parts) < most {
		end := to
		for to > from && isKeyByte(s[to-1]) && s[to-1] != '.' {
			to--
		}
		if to < end {
			parts = append([]span{{to, end}}, parts...)
		} else {
			to--
		}
	}
	return parts
}

// nameOfParts returns the name that a place ends with, before numbers and types. That of a map or an object may precede the last part.
func nameOfParts(low string, parts []span) name {
	for isInner := false; len(parts) > 0; {
		last := parts[len(parts)-1]
		parts = parts[:len(parts)-1]
		part := low[last.from:last.to]
		if n := nameAt(low, last.from, last.to); n.kind != notSecret {
			n.mixed = isInner
			return n
		}
		switch isType := isNumber(part) || strings.IndexByte(part, '-') >= 0 || slices.Contains(types[:], part); {
		case isType:
		case isInner, slices.ContainsFunc(otherEnds, func(e string) bool { return strings.HasSuffix(part, e) }):
			return name{}
		default:
			isInner = true
		}
	}
	return name{}
}

// pydanticInput returns the place of the secret in a message of pydantic that has the word input_type at key, or an empty place. The
// name of the field is in the line before:
//
//	a.token
//	  Input should be a valid integer [type=int_type, input_value='x', input_type=str]
func pydanticInput(s, low string, key int) (from, to int) {
	const (
		label   = "input_value="
		longest = 400
	)
	if to = key - len(", "); to < 0 || s[to:key] != ", " {
		return 0, 0
	}
	start := max(to-longest, 0)
	at := start + strings.LastIndex(s[start:to], label)
	if from = at + len(label); at < start || from >= to {
		return 0, 0
	}
	n := pydanticName(s, low, at)
	isText := isString(s, from) || s[from] == '\\'
	if s[from] == '{' || !isText && n.kind == notSecret { // the fields have names of their own
		return cutField(s, low, from, to)
	}
	if inner := strings.TrimRight(s[from+1+strings.IndexByte(s[from:to], '('):to], ")"); !isText && isPlaceholder(strings.Trim(inner, "'")) {
		return 0, 0 // SecretStr('*****')
	}
	if isText {
		if isLetter(s[from]) {
			from++
		}
		quote := backslashes(s, from) + 1
		from, to = from+quote, max(to-quote, from+quote)
	}
	return n.judge(s, low, from, to)
}

// pydanticName returns the name in the line before the message that contains the place i.
func pydanticName(s, low string, i int) name {
	const far = 500
	stop := max(i-far, 0)
	end := max(strings.LastIndex(s[stop:i], "\n  "), strings.LastIndex(s[stop:i], `\n  `))
	if line := strings.LastIndexByte(s[stop:i], '\n'); line > end && (end < 0 || strings.Count(s[stop+end:i], "\n") > 3) { // with a prefix
		end = line
	}
	if end < 0 {
		return name{}
	}
	line := s[stop : stop+end]
	line = line[max(strings.LastIndexByte(line, '\n')+1, strings.LastIndex(line, `\n`)+len(`\n`)*min(strings.Count(line, `\n`), 1)):]
	from := stop + end - len(line)
	if strings.HasSuffix(line, "]") { // a.token.function-after[check(), str]
		line = line[:strings.IndexByte(line, '[')+1]
	}
	word := strings.LastIndexAny(line, " \t") + 1
	return nameOfParts(low, lastWords(s, from+word, from+len(line)))
}

// cutField returns the place of the secret behind the dots where pydantic cut a value of several fields, or an empty place. The name of
// the field may be gone: {'a': 'x...7Qm2xW9', 'b': 'y'}.
func cutField(s, low string, from, to int) (int, int) {
	const dots = "..."
	i := strings.Index(s[from:to], dots)
	if i < 0 {
		return 0, 0
	}
	from += i + len(dots)
	end := from + strings.IndexAny(s[from:to], `'"`)
	if end < from {
		return 0, 0
	}
	if value := min(skipCloser(s, end), to); strings.HasPrefix(s[value:to], ": ") {
		key := end
		for key > from && isKeyByte(s[key-1]) {
			key--
		}
		isSecret := nameAt(low, key, end).kind != notSecret
		from, end = valueAt(s[:to], value+len(": "))
		if !isSecret && !isMixed(s[from:end]) || isPlaceholder(s[from:end]) {
			return 0, 0
		}
	} else if !isMixed(s[from:end]) || s[end-1] == '=' {
		return 0, 0
	}
	return from, end
}

// schemaInput returns the place of the secret in a message of Python's jsonschema that has the word in [key, end), or an empty place.
// The name stands at the end of its line, and the value at the start of the line before:
//
//	'x' is too short
//
//	Failed validating 'minLength' in schema['properties']['token']:
func schemaInput(s, low string, key, end int) (from, to int) {
	const far = 300
	before, ok := strings.CutSuffix(s[max(key-far, 0):key], "\n\nFailed ")
	if !ok {
		return 0, 0
	}
	line := before[strings.LastIndexByte(before, '\n')+1:]
	quote := strings.IndexAny(line, `'"`)
	if quote < 0 || quote > 0 && !strings.HasSuffix(line[:quote], ": ") {
		return 0, 0
	}
	stop := key - len("\n\nFailed ")
	from, to = valueAt(s[:stop], stop-len(line)+quote)
	return nameOfParts(low, lastWords(s, end, end+len(lineAt(s, end)))).judge(s, low, from, to)
}

// isNewToken reports whether the key in [key, end), which is sha1, is that of a token in Gitea's answer to a request for one. The last
// characters of the token stand in a field beside it.
func isNewToken(s string, end int) bool {
	const (
		label = "token_last_eight"
		far   = 200
		last  = 8
	)
	i := skipBlanks(s, skipCloser(s, end))
	if i == len(s) || s[i] != ':' {
		return false
	}
	from, to := valueAt(s[:min(i+far, len(s))], skipBlanks(s, i+1))
	if to-from <= last {
		return false
	}
	start := max(end-far, 0)
	for _, at := range [...]int{indexFrom(s[:min(to+far, len(s))], label, to), start + strings.LastIndex(s[start:end], label)} {
		if at >= start && strings.HasPrefix(strings.TrimLeft(s[at+len(label):], "\\\"': "), s[to-last:to]) {
			return true
		}
	}
	return false
}
