package redact

import (
	"slices"
	"strings"
)

// Programs that show a secret in an object of its own, show its type around it, and maybe other fields before it:
//
//	password: Some(Password("x"))           Rust, maybe over several lines
//	token: Token { id: 5, value: 'x' }      Rust, node, C#
//	token=Token(id=5, value='x')            Python, Swift
//	Token:main.Token{ID:5, Value:"x"}       Go, or {ID:5 Value:x}
//	@token=#<Token @id=5, @value="x">       Ruby
//	token=Token[id=5, value=x]              Java
//
// One reader serves them all: an object is a type, maybe none, a bracket, and fields, of which some have no name. A map of secrets has a
// plural as its key, and all its fields are secrets: passwords={'bob': 'x'}, Passwords:map[bob:x].

// addObject adds the secrets in the object that is the value of the key. A type may be such a key, too. It returns what [addAll] does.
func addObject(s, low string, key name, add func(from, to int)) (end int) {
	if key.kind == isCommand || key.kind == isSeed || key.kind == isSignature {
		return 0
	}
	at := afterSign(s, key.to)
	if at == 0 && key.kind == isPassword && isTypeName(s[key.from:key.to]) && strings.HasPrefix(s[key.to:], " {") {
		at = key.from
	} else if at == 0 || strings.HasSuffix(low[:key.from], "expected ") { // the token is one of a parser, as a type of this name would be
		return 0
	}
	if _, open := objectStart(s, at); open == 0 {
		return 0
	}
	return addAll(s, at, objectKey{kind: key.kind}, func(from, to int) { add(key.judge(s, low, from, to)) })
}

// addAll adds the secrets that [readObject] finds. It returns the end of one that is longer than what that reads, or 0: no object in such a one
// may be read again.
func addAll(s string, i int, of objectKey, add func(from, to int)) (end int) {
	readObject(s, i, of, func(from, to int) {
		if to == i+objectFar && from < to {
			if isQuote(s[from-1]) {
				to = quoteEnd(s, from, s[from-1:from])
			} else {
				to = wordEnd(s, from)
			}
			end = to
		}
		add(from, to)
	})
	return end
}

// addMap adds the secrets in the map that is the value of the key in [key, i). They must have letters and digits. It returns what [addAll] does.
func addMap(s string, key, i int, add func(from, to int)) (end int) {
	at := afterSign(s, i)
	switch {
	case at == 0:
		return 0
	case strings.HasPrefix(s[at:], "\n"):
		addBlock(s, key, at+1, add)
		return 0
	}
	return addAll(s, at, objectKey{isMap: true}, add)
}

// isMapKey reports whether a key in lower case is the plural of that of a secret.
func isMapKey(key string) bool {
	if key[len(key)-1] != 's' || strings.HasSuffix(key, "credentials") {
		return false
	}
	kind := kindOf(key[:len(key)-1])
	return kind == isPassword || kind == isToken
}

// afterSign returns the start of the value of the field whose name ends at i, or 0: "name": x, name=x, name => x.
func afterSign(s string, i int) int {
	if i = skipBlanks(s, skipCloser(s, i)); i == len(s) || s[i] != ':' && s[i] != '=' {
		return 0
	}
	if strings.HasPrefix(s[i:], "=>") {
		return skipSpace(s, i+len("=>")) // PHP breaks the line here
	}
	return skipBlanks(s, i+1)
}

// objectStart returns the type of the object that begins at i, and the place behind its bracket, or 0 if none begins there. A list of
// objects is one, too.
func objectStart(s string, i int) (name string, open int) {
	const longest = 80
	s = s[:min(i+longest, len(s))]
	for i < len(s) && strings.IndexByte(`&*%\`, s[i]) >= 0 {
		i++
	}
	from := i
	for i < len(s) && (isKeyByte(s[i]) || strings.HasPrefix(s[i:], "::") || i > from && strings.HasPrefix(s[i-1:], "::")) {
		i++
	}
	name, rest := s[from:i], s[i:]
	switch {
	case rest == "":
	case rest[0] == '[' && elementType(rest) != "": // map[string]Token{
		element := elementType(rest)
		return element, i + strings.IndexByte(rest, ']') + 1 + len(element) + 1
	case name == "" && strings.HasPrefix(rest, "#<"): // #<Token:0x1 @id=5
		name, _, _ = strings.Cut(rest[len("#<"):], ":")
		if blank := strings.IndexByte(rest, ' '); blank > 0 {
			return name, i + blank + 1
		}
	case name == "" && rest[0] == '[':
		if at := skipSpace(s, i+1); at < len(s) && s[at] != '[' {
			if _, open = objectStart(s, at); open > 0 {
				return "", i + 1
			}
		}
	case name == "" && strings.HasPrefix(rest, "(["): // ([bob]="x"), of bash
		return name, i + 1
	case rest[0] == '(' && (name == "" || name == "object" || name == "array"): // (main.Token) {, of Go's spew, object(Token)#2 (1) {, of PHP
		inner, after, _ := strings.Cut(rest[1:], ")")
		size, _, ok := strings.Cut(after, "{")
		switch {
		case ok && strings.Trim(size, " ()#:=0123456789abcdefxlnp") == "":
			return strings.Trim(inner, "*&"), i + len("()") + len(inner) + len(size) + 1
		case name == "array":
			return name, i + 1
		}
	case name == "" && rest[0] == '{', name != "" && isLetter(name[0]) && strings.IndexByte("{([", rest[0]) >= 0:
		return name, i + 1
	case isTypeName(name) && (strings.HasPrefix(rest, " {") || strings.HasPrefix(rest, " [")): // Array [, of jest
		return name, i + len(" {")
	case name == "array" || name == "Array" || name != "" && strings.HasPrefix(rest, " Object\n"): // array (, Token Object\n(, of PHP
		if text := strings.TrimLeft(strings.TrimPrefix(rest, " Object"), " \n"); strings.HasPrefix(text, "(") {
			return name, i + len(rest) - len(text) + 1
		}
	}
	return "", 0
}

// elementType returns the type of the elements of the map or list of Go whose bracket s begins with, or "": string in [string]string{.
func elementType(s string) string {
	key, rest, ok := strings.Cut(s[1:], "]")
	if strings.HasPrefix(rest, "interface {}{") {
		return "interface {}"
	}
	element, _, isOpen := strings.Cut(rest, "{")
	if !ok || !isOpen || element == "" || strings.ContainsFunc(key+element, func(r rune) bool { return r >= 0x80 || !isKeyByte(byte(r)) }) {
		return ""
	}
	return element
}

// objectKey is what the key of an object says.
type objectKey struct {
	kind  keyKind
	isMap bool
}

// readObject calls found with the places of the secrets in the object at i, and reports whether an object begins there that has a field or
// a text. It reads the first objectFar bytes, so that all objects in a text take linear time.
func readObject(s string, i int, of objectKey, found func(from, to int)) (ok bool) {
	r := objectReader{s: s[:min(i+objectFar, len(s))], of: of, found: found, depth: 1}
	if r.typ, r.i = objectStart(r.s, i); r.i == 0 && of.isMap && strings.HasPrefix(r.s[i:], "[") {
		r.i = i + 1
	}
	for n := 0; r.i > 0 && r.depth > 0 && r.depth < objectDepth && n < objectItems && r.item(); n++ {
	}
	return r.hasItem
}

const (
	objectFar   = 1 << 10
	objectItems = 32
	objectDepth = 8 // of brackets in each other
)

// objectReader reads an object from the place i on.
type objectReader struct {
	s     string
	of    objectKey
	found func(from, to int)

	i        int
	typ      string // the type of the innermost object
	depth    int
	other    int  // the depth of an object or a list that is no secret, or 0
	isParsed bool // by a parser, as other fields say
	hasItem  bool
}

// item reads the next field, text or bracket. It returns false if there is none that it knows.
func (r *objectReader) item() bool {
	if r.i = skipSpace(r.s, r.i); r.i == len(r.s) {
		return false
	}
	if strings.IndexByte(")}]>", r.s[r.i]) >= 0 {
		if r.depth == r.other {
			r.other = 0
		}
		r.depth--
		r.i++
		return true
	}
	from, to, next := nameInObject(r.s, r.i)
	if at := afterSign(r.s, to); at > 0 {
		r.hasItem = true
		r.field(lowerASCII(r.s[from:to]), skipSpace(r.s, at))
		return true
	}
	if typ, open := objectStart(r.s, r.i); open > 0 {
		r.begin(typ, open, true)
		return true
	}
	if next > to {
		r.hasItem = true
		if v := r.s[from:to]; r.other == 0 && (r.of.isMap && (isMixed(v) || v == masked) || !r.of.isMap && holdsText(r.typ, v) && isLast(r.s, next)) {
			r.found(from, to)
		}
	}
	ok := next > r.i
	r.i = next
	return ok
}

// field reads the value at a place of a field with a name.
func (r *objectReader) field(name string, at int) {
	name, _, _ = strings.Cut(name, ":")                         // value:protected
	isOfList := r.s[r.i] == '[' && name != "" && isNumber(name) // as PHP shows it
	isSecret := r.other == 0 && (r.of.isMap || isOfList || isValueField(name, r.typ) || isSecretField(name))
	r.isParsed = r.isParsed || r.of.kind == isToken && slices.Contains(parsedFields[:], name)
	dumped := dumpedValue(r.s, at)
	if dumped == 0 && at < len(r.s) {
		typ, open := objectStart(r.s, at)
		if isList := r.s[at] == '[' && !strings.HasPrefix(r.s[at:], masked); open == 0 && isList {
			open = at + 1
		}
		if open > 0 {
			r.begin(typ, open, isSecret)
			return
		}
		if typ, _, ok := strings.Cut(r.s[at:], ")"); ok && strings.HasPrefix(typ, "(") { // (int) 5, of spew
			at = skipBlanks(r.s, at+len(typ)+1)
		}
	}
	from, to, next := textAt(r.s, max(at, dumped))
	if isSecret && r.isSecret(r.s[from:to]) {
		r.found(from, to)
		if strings.HasPrefix(r.s[next:], " -> ") { // a change, as terraform shows it
			from, to, next = textAt(r.s, next+len(" -> "))
			r.found(from, to)
		}
	}
	r.i = next
}

// begin goes on in an object in this one.
func (r *objectReader) begin(typ string, open int, isSecret bool) {
	r.typ, r.i = typ, open
	if r.depth++; r.other == 0 && !isSecret {
		r.other = r.depth
	}
}

// isSecret reports whether the value of a field with the name of a secret is one.
func (r *objectReader) isSecret(v string) bool {
	switch {
	case v == masked:
		return true
	case isFailure(r.typ), strings.Contains(v, " ") && isComplaint(v):
		return false
	}
	return !r.isParsed && !r.of.isMap || isMixed(v) && !isPath(v) && !strings.Contains(v, "://")
}

// nameInObject returns the place of the name, the word or the quoted text that begins at i, and where what follows it begins. PHP shows
// names in brackets, and Ruby symbols with a colon.
func nameInObject(s string, i int) (from, to, next int) {
	if i+1 < len(s) && (s[i] == '[' || s[i] == ':' && isLetter(s[i+1])) { // [value], :value
		i++
	}
	if isString(s, i) {
		return textAt(s, i)
	}
	for to = i; to < len(s) && isKeyByte(s[to]); {
		to++
	}
	return i, to, to
}

// textAt is [valueAt], and also returns where what follows the text and its quote begins.
func textAt(s string, i int) (from, to, next int) {
	if from, to = valueAt(s, i); from == i {
		return from, to, to
	}
	return from, to, min(to+backslashes(s, to)+1, len(s))
}

// skipSpace skips blanks, line ends, maybe escaped, and signs that stand before a field.
func skipSpace(s string, i int) int {
	for i < len(s) {
		switch {
		case strings.HasPrefix(s[i:], `\n`):
			i += len(`\n`)
		case strings.IndexByte(" \t\r\n,@&", s[i]) >= 0, i+1 < len(s) && strings.IndexByte("+-~", s[i]) >= 0 && s[i+1] == ' ': // of a diff
			i++
		default:
			return i
		}
	}
	return i
}

// isLast reports whether what ends at i is the last in its object.
func isLast(s string, i int) bool {
	i = skipSpace(s, i)
	return i == len(s) || strings.IndexByte(")}]>", s[i]) >= 0
}

// holdsText reports whether a text is the secret in an object that has nothing else: Secret("x"). What a call, an error or a field of a
// form is given is none.
func holdsText(name, text string) bool {
	last := lowerASCII(lastPart(name))
	switch last {
	case "basic", "bearer", "bytearray", "bytes", "just", "ok", "some":
		return true
	}
	return isTypeName(name) && !isFailure(name) && (kindOf(last) != notSecret || isMixed(text))
}

// isFailure reports whether the name of a type is that of an error, whose fields say what is wrong.
func isFailure(name string) bool {
	last := lastPart(name)
	return slices.ContainsFunc([]string{"Err", "Error", "Exception", "Failure"}, func(e string) bool { return strings.HasSuffix(last, e) }) ||
		slices.ContainsFunc([]string{"Bad", "Error", "Expired", "Invalid", "Malformed", "Missing", "NoSuch", "NotFound", "Unexpected", "Unknown", "Weak", "Wrong"}, func(e string) bool { return strings.HasPrefix(last, e) })
}

// isTypeName reports whether name is that of a type, and not of a function: it, or its last part, begins with upper case.
func isTypeName(name string) bool {
	last := lastPart(name)
	return last != "" && 'A' <= last[0] && last[0] <= 'Z'
}

// lastPart returns the last part of the name of a type: Token in main.Token and auth::Token.
func lastPart(name string) string { return name[strings.LastIndexAny(name, ".:")+1:] }

// parsedFields are those of what parsers call a token.
var parsedFields = [...]string{"col", "column", "end", "kind", "lexeme", "line", "pos", "position", "span", "start", "type"}

// isValueField reports whether the field of an object has a name for the object's value: Token(value='x'), ApiKey(key='x').
func isValueField(field, object string) bool {
	switch strings.TrimLeft(field, "_") {
	case "data", "root", "v":
		return true
	case "key":
		return object != ""
	}
	return slices.ContainsFunc([]string{"content", "inner", "plain", "plaintext", "raw", "string", "val", "value"}, func(e string) bool { return strings.HasSuffix(field, e) })
}

// isSecretField reports whether the field of an object has a name for a secret, whatever it looks like.
func isSecretField(field string) bool {
	kind := kindOf(field)
	return kind != notSecret && kind != isKey && !isOtherField(field)
}

// isOtherField reports whether the field of an object has a name for something about a secret, or beside one: Auth(user='x').
func isOtherField(field string) bool {
	return strings.HasSuffix(field, "user") || strings.HasSuffix(field, "host") || slices.ContainsFunc(otherEnds, func(e string) bool { return strings.HasSuffix(field, e) })
}
