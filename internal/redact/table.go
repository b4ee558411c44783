package redact

import "strings"

// cell returns the start of the cell after the key's, or 0. In a table, what follows a key may be anything: it must look
// random, unless the two are all that stands in the line.
func (a *assignment) cell(i int) int {
	const widest = 64 // blanks after a value
	if a.kind != isPassword && a.kind != isToken && a.s[a.key:a.end] != "secret_id" {
		return 0
	}
	at := skipCells(a.s, i)
	if bar := barAt(a.s, at); bar != "" && (at > i || a.isRow(at+len(bar)) || a.isFramed(bar)) {
		at = skipCells(a.s, at+len(bar))
		word, rest, _ := strings.Cut(lineAt(a.s, at), " ")
		end := strings.TrimLeft(rest, " ")
		if isWide := end == "" && len(rest) > widest; (isWide || strings.HasPrefix(end, bar)) && isMixed(word) {
			return at
		}
	} else if at-i < 2 && (at == i || a.s[i] != '\t' && !a.isPair(at)) {
		return 0
	}
	a.random = !a.isPair(at)
	return at
}

func skipCells(s string, i int) int {
	const widest = 64
	for n := 0; n < widest && i < len(s) && (s[i] == ' ' || s[i] == '\t'); n++ {
		i++
	}
	return i
}

// barAt returns the bar between two cells at i, or "".
func barAt(s string, i int) string {
	for _, bar := range [...]string{"|", "│", "┃"} {
		if strings.HasPrefix(s[i:], bar) {
			return bar
		}
	}
	return ""
}

// isPair reports whether a line consists of the key and a word of letters and digits at i.
func (a *assignment) isPair(i int) bool {
	before := strings.TrimRight(a.s[max(a.key-maxKey, 0):a.key], " \t")
	value := lineAt(a.s, i)
	return (before == "" || before[len(before)-1] == '\n') && isMixed(value) && !isType(value)
}

// isFramed reports whether a line begins with a bar and the key, as in the tables of aws.
func (a *assignment) isFramed(bar string) bool {
	before := a.s[max(a.key-maxKey, 0):a.key]
	before = before[strings.LastIndexByte(before, '\n')+1:]
	return strings.HasPrefix(before, bar) && strings.Trim(before, bar+" ") == ""
}

// isRow reports whether a line consists of the key, a bar and a value at i, without blanks, as psql -A writes a row with the name of
// its column. A list of alternatives may look so too.
func (a *assignment) isRow(i int) bool {
	key := a.s[a.key:a.end]
	return a.isPair(i) && (a.kind == isPassword || key == lowerASCII(key) && isRandom(lineAt(a.s, i)))
}

// lineAt returns the line that begins at i, as far as a value may reach.
func lineAt(s string, i int) string {
	const longest = 200
	line, _, _ := strings.Cut(s[i:min(i+longest, len(s))], "\n")
	return line
}

// isType reports whether v is a type in Go or Rust, as of the field of a struct.
func isType(v string) bool {
	if v[0] == '*' || v[0] == '[' {
		return true
	}
	switch strings.TrimRight(v, "0123456789,") {
	case "int", "uint", "float", "complex", "char", "varchar":
		return true
	}
	return false
}

// isMixed reports whether v is one word with letters and digits, and not a type like char(36).
func isMixed(v string) bool {
	const shortest = 6
	return len(v) >= shortest && !strings.ContainsAny(v, " \t|(") &&
		strings.ContainsAny(v, "0123456789") && strings.ContainsFunc(v, func(r rune) bool { return r >= 0x80 || isLetter(byte(r)) })
}

// purpose returns the start of the value that follows a purpose at i, or 0: "password for bob: x", "token (use once): x". The
// value must end the line.
func (a *assignment) purpose(i int) int {
	rest := strings.TrimPrefix(lineAt(a.s, i), "is generated ")
	if a.kind != isPassword && a.kind != isToken {
		return 0
	}
	if at := a.made(i, rest); at > 0 {
		return at
	}
	if at := a.announced(i, rest); at > 0 {
		return at
	}
	for _, sign := range [...]string{"provided: ", "provided ("} {
		if value, ok := strings.CutPrefix(rest, sign); ok && (a.kind == isPassword || strings.EqualFold(a.s[a.key:a.end], "key")) {
			if word := value[:wordEnd(value, 0)]; isMixed(word) {
				return i + len(sign)
			}
		}
	}
	if strings.HasPrefix(rest, "(") && i > a.end {
		note, value, ok := strings.Cut(rest, "): ")
		isPlace := a.kind == isToken && strings.ContainsAny(note, "0123456789") // in a text: (line 12)
		if ok && !isPlace && isMixed(value) {
			return i + len(lineAt(a.s, i)) - len(value)
		}
	}
	if value, ok := strings.CutPrefix(rest, "is: "); ok && isMixed(value) {
		return i + len(lineAt(a.s, i)) - len(value)
	}
	if a.kind == isToken { // "is x" is also said of what a parser found: its value must look random
		if value, ok := strings.CutPrefix(rest, "is "); ok && isRandom(value) {
			return i + len(lineAt(a.s, i)) - len(value)
		}
		if value, state, ok := strings.Cut(rest, " "); ok && isRandom(value) && saysState(state) {
			return i + len(lineAt(a.s, i)) - len(rest)
		}
		return 0
	}
	for _, verb := range [...]string{"is ", "set to ", "was set to ", "has been set to ", "changed to ", "reset to "} {
		if value, ok := strings.CutPrefix(rest, verb); ok && isMixed(value) {
			return i + len(lineAt(a.s, i)) - len(value)
		}
	}
	if user, _, ok := strings.Cut(rest, " = "); ok && isName(user) && a.s[a.key:a.end] == "PASSWORD" { // of Elasticsearch
		rest = "for " + rest
	}
	if !hasPrefixFold(rest, "for ") && !hasPrefixFold(rest, "to ") {
		return 0
	}
	for _, sep := range [...]string{": ", " = ", " is ", "="} {
		if _, value, ok := strings.Cut(rest, sep); ok && (sep != "=" || isString(value, 0)) {
			if isMixed(value) {
				return i + len(lineAt(a.s, i)) - len(value)
			}
			return 0
		}
	}
	next := i + len(lineAt(a.s, i))
	if at, _ := nextLine(a.s, next); at > 0 && strings.HasSuffix(rest, ":") && isMixed(lineAt(a.s, at)) {
		return at
	}
	return 0
}

// made returns the start of the value after what says, from i on, that it is new, or 0: "token was successfully created: x",
// "changed the password of bob to x".
func (a *assignment) made(i int, rest string) int {
	end := i + len(lineAt(a.s, i))
	for _, words := range [...]string{
		"created", "was created", "has been created", "created successfully", "successfully created", "was successfully created", "generated",
		"was generated", "generated successfully", "successfully generated", "was successfully generated",
	} {
		for _, sign := range [...]string{": ", "... "} {
			if value, ok := strings.CutPrefix(rest, words+sign); ok && isRandom(value) {
				return end - len(value)
			}
		}
	}
	if a.kind != isPassword {
		return 0
	}
	if values, ok := strings.CutPrefix(rest, "changed from "); ok {
		if old, value, ok := strings.Cut(values, " to "); ok && isMixed(old) && isMixed(value) {
			return end - len(values)
		}
	}
	if n := strings.LastIndex(" "+rest, " to "); n >= 0 && isMixed(rest[n+len("to "):]) && a.isSetBefore() {
		return i + n + len("to ")
	}
	return 0
}

// isSetBefore reports whether the key follows a verb that sets it: setting the password.
func (a *assignment) isSetBefore() bool {
	const far = 40
	before := strings.TrimSuffix(lowerASCII(a.s[max(a.key-far, 0):a.key]), "the ")
	for _, verb := range [...]string{"set ", "setting ", "reset ", "resetting ", "change ", "changed ", "changing "} {
		if strings.HasSuffix(before, verb) {
			return true
		}
	}
	return false
}

// announced returns the start of a random value that stands alone in the next line, after a few words from i on, or 0: "copy this
// token now:", "your token (keep it safe):".
func (a *assignment) announced(i int, rest string) int {
	const most = 5 // words
	if !strings.HasSuffix(rest, ":") || len(strings.Fields(rest)) > most {
		return 0
	}
	if at, _ := nextLine(a.s, i+len(lineAt(a.s, i))); at > 0 && isRandom(lineAt(a.s, at)) {
		return at
	}
	return 0
}

// saysState reports whether text, after a token, says that it does not work.
func saysState(text string) bool {
	for _, state := range [...]string{"is invalid", "is not valid", "is expired", "is revoked", "has expired", "has been revoked", "was revoked", "not found"} {
		if strings.HasPrefix(text, state) {
			return true
		}
	}
	return false
}

// dumpedValue returns the start of the string after its type and length at i, as debuggers print it, or 0. A wrapper such as
// Rust's Some("x") counts as a type, and so does a function of SQL that makes a hash of it.
func dumpedValue(s string, i int) int {
	const longest = 40
	rest := s[i:min(i+longest, len(s))]
	if text := strings.TrimLeft(strings.TrimPrefix(rest, "0x"), "0123456789abcdef"); strings.HasPrefix(rest, "0x") && strings.HasPrefix(text, ` "`) { // of gdb
		return i + len(rest) - len(text) + 1
	}
	for _, kind := range [...]string{"(string)", "string(", "[]byte(", "[]string{", "Some(", "Secret(", "SecretStr(", "Sensitive(", "String::from(", "new String(", "<<", "MD5(", "SHA1(", "SHA2(", "CRYPT(", "ENCRYPT(", "md5(", "sha1(", "sha2(", "crypt(", "encrypt("} {
		text, ok := strings.CutPrefix(rest, kind)
		if !ok {
			continue
		}
		if n := strings.IndexAny(text, `"'`); n >= 0 && strings.Trim(text[:n], " \n()len=0123456789") == "" {
			return i + len(kind) + n
		}
	}
	return 0
}
