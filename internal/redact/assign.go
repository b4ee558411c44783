package redact

import "strings"

// keyKind tells what a key says of its value.
type keyKind int

const (
	notSecret keyKind = iota
	isPassword
	isToken         // also stands in prose: "unexpected token: foo"
	isPass          // short for password, or a count of tests
	isPwd           // or a working directory
	isSignature     // in the query of a URL only
	isBasic         // "auth" in docker's and npm's files
	isCookie        // the rest of the line
	isAuthorization // a scheme and credentials
)

// maxKey is how many bytes of a key are looked at.
const maxKey = 64

// kindOf tells by the end of a key, in lower case, what it names: DB_PASSWORD2, clientSecret, x-api-key.
func kindOf(key string) keyKind {
	var buf [maxKey]byte
	n := 0
	for i := max(len(key)-maxKey, 0); i < len(key); i++ {
		if isAlnum(key[i]) {
			buf[n] = key[i]
			n++
		}
	}
	for n > 0 && isDigit(buf[n-1]) {
		n--
	}
	if n < 3 {
		return notSecret
	}
	k := string(buf[:n])
	ends := func(list ...string) bool {
		for _, e := range list {
			if strings.HasSuffix(k, e) {
				return true
			}
		}
		return false
	}
	switch buf[n-1] {
	case 'd':
		if ends("password", "passwd") {
			return isPassword
		}
		if ends("pwd") {
			return isPwd
		}
	case 't':
		if ends("secret") {
			return isPassword
		}
	case 'e':
		switch {
		case ends("passphrase", "secretkeybase"):
			return isPassword
		case k == "cookie" || ends("setcookie"):
			return isCookie
		case ends("signature"):
			return isSignature
		}
	case 'n':
		if ends("authorization") {
			return isAuthorization
		}
		if ends("token") {
			return isToken
		}
	case 'y':
		if ends("apikey", "accesskey", "secretkey", "privatekey", "signingkey", "encryptionkey", "accountkey", "masterkey",
			"authkey", "sessionkey", "sharedkey") {
			return isToken
		}
	case 'l':
		if ends("credential") {
			return isToken
		}
	case 's':
		switch {
		case ends("passwords", "dbpass", "userpass", "storepass", "keypass"):
			return isPassword
		case ends("credentials"):
			return isToken
		case ends("pass"):
			return isPass
		}
	case 'g':
		if ends("sig") {
			return isSignature
		}
	case 'h':
		if k == "auth" {
			return isBasic
		}
	}
	return notSecret
}

// findAssignments finds the values of keys that name a secret: KEY=value, "key": "value", Key: value, <key>value</key>,
// --key value, and curl's -u user:password.
func findAssignments(s, low string, add func(from, to int)) {
	for i := 0; i < len(s); {
		if !IsKeyByte(s[i]) {
			i++
			continue
		}
		from := i
		for i < len(s) && IsKeyByte(s[i]) {
			i++
		}
		key := low[from:i]
		if (key == "-u" || key == "--user") && i < len(s) && isCurl(low, from) {
			at := skipBlanks(s, i)
			v, end := valueAt(s, at)
			if strings.Contains(s[v:end], ":") {
				add(v, end)
				i = max(i, end)
			}
			continue
		}
		kind := kindOf(key)
		if kind == notSecret {
			continue
		}
		a := assignment{s: s, key: from, kind: kind}
		if !a.separate(i) {
			continue
		}
		if v, end := a.value(); end > v && !a.harmless(s[v:end]) {
			add(v, end)
			i = max(i, end)
		}
	}
}

func isCurl(low string, i int) bool {
	line := low[max(i-1000, 0):i]
	return strings.Contains(line[strings.LastIndexByte(line, '\n')+1:], "curl")
}

// assignment is a key and what follows it.
type assignment struct {
	s     string
	key   int // where the key begins
	kind  keyKind
	at    int  // where the value begins
	equal bool // the separator was no colon
	blank bool // a blank followed it
}

// separate goes over what stands between the key, which ends at i, and its value. It tells whether there is a separator.
func (a *assignment) separate(i int) bool {
	s := a.s
	end := i
	if i < len(s) && s[i] == '\\' {
		i++
	}
	if i < len(s) && strings.IndexByte("\"'`", s[i]) >= 0 {
		i++
	} else {
		i = end
	}
	if i < len(s) && s[i] == ']' { // config["password"] = x
		i++
	}
	gap := skipBlanks(s, i)
	rest := s[gap:]
	switch {
	case strings.HasPrefix(rest, ":=") || strings.HasPrefix(rest, "=>") || strings.HasPrefix(rest, "=="):
		a.equal, i = true, gap+2
	case strings.HasPrefix(rest, "="):
		a.equal, i = true, gap+1
	case strings.HasPrefix(rest, ":"):
		i = gap + 1
	case i == end && (strings.HasPrefix(rest, "%3D") || strings.HasPrefix(rest, "%3d")):
		a.equal, i = true, i+3
	case i == end && strings.HasPrefix(rest, ">") && a.key > 0 && s[a.key-1] == '<':
		a.equal, i = true, gap+1
	case i > end && strings.HasPrefix(rest, ",") && a.kind == isAuthorization: // ("Authorization", "Bearer x")
		i = gap + 1
	case gap > i && strings.HasPrefix(s[a.key:], "--") && !strings.HasPrefix(rest, "-"):
		a.equal, i = true, gap
	default:
		return false
	}
	a.at = skipBlanks(s, i)
	a.blank = a.at > i
	return true
}

// value gives the place of the value.
func (a *assignment) value() (from, to int) {
	switch s := a.s; a.kind {
	case isCookie, isAuthorization:
		start := a.at
		if start < len(s) && s[start] == '[' && !strings.HasPrefix(s[start:], masked) {
			start++
		}
		from, to = valueAt(s, start)
		if from == start { // no quote of its own
			to = a.lineEnd(from)
		}
		if a.kind == isCookie {
			return from, to
		}
		scheme, rest, ok := strings.Cut(s[from:to], " ")
		switch strings.ToLower(scheme) {
		case "bearer", "token", "basic", "apikey", "negotiate", "jwt":
			if ok {
				from = to - len(strings.TrimLeft(rest, " "))
				_, end := valueAt(s[:to], from)
				to = max(end, from)
			}
		}
		return from, to
	default:
		return valueAt(s, a.at)
	}
}

// lineEnd is where a header ends that has no quotes around its value: at the quote that was opened before its name, at the
// bracket of a list, else at the end of the line.
func (a *assignment) lineEnd(i int) int {
	stop := "\n"
	if a.key > 0 && strings.IndexByte("\"'`", a.s[a.key-1]) >= 0 {
		stop += a.s[a.key-1 : a.key]
	}
	if i > 0 && a.s[i-1] == '[' {
		stop += "]"
	}
	end := i
	for end < len(a.s) {
		if strings.HasPrefix(a.s[end:], masked) {
			end += len(masked)
		} else if strings.IndexByte(stop, a.s[end]) >= 0 {
			break
		} else {
			end++
		}
	}
	return end
}

// valueAt gives the place of the value that begins at i: what stands between quotes, to the end of the line where they are
// not closed, else a word.
func valueAt(s string, i int) (from, to int) {
	if i < len(s) && s[i] == '[' && !strings.HasPrefix(s[i:], masked) {
		i++
	}
	for _, q := range []string{`\"`, `"`, `'`, "`"} {
		if strings.HasPrefix(s[min(i, len(s)):], q) {
			from = i + len(q)
			return from, quoteEnd(s, from, q)
		}
	}
	to = i
	for to < len(s) {
		if strings.HasPrefix(s[to:], masked) {
			to += len(masked)
			continue
		}
		c := s[to]
		if c <= ' ' || c == '"' || c == '\'' || c == '`' || c == '<' || c == '>' || c == '\\' && endsWord(s, to) {
			break
		}
		if (c == '&' || c == ',' || c == ';') && nextKey(s, to+1) {
			break
		}
		to++
	}
	for to > i && strings.IndexByte(",;)]}", s[to-1]) >= 0 && !strings.HasSuffix(s[i:to], masked) {
		to--
	}
	return i, to
}

// endsWord tells whether the backslash at i escapes a quote or a line's end.
func endsWord(s string, i int) bool {
	return i+1 < len(s) && strings.IndexByte("\"'nr", s[i+1]) >= 0
}

func quoteEnd(s string, i int, quote string) int {
	for i < len(s) && s[i] != '\n' {
		switch {
		case strings.HasPrefix(s[i:], quote):
			return i
		case s[i] == '\\' && quote != `'`:
			i++
		}
		i++
	}
	return min(i, len(s))
}

// nextKey tells whether a blank, the end or another assignment begins at i.
func nextKey(s string, i int) bool {
	for n := i; n < len(s) && n-i < maxKey; n++ {
		if !IsKeyByte(s[n]) {
			if n == i {
				return s[n] <= ' ' || s[n] == '"'
			}
			return s[n] == '=' || s[n] == ':'
		}
	}
	return i >= len(s)
}

// harmless tells of values that are none: placeholders, words of a sentence, counts.
func (a *assignment) harmless(v string) bool {
	switch low := strings.ToLower(v); low {
	case masked, "null", "nil", "none", "true", "false", "undefined", "string", "str", "{", "|", "%s", "%v", "%q":
		return true
	}
	if strings.Trim(v, "*.-") == "" && len(v) > 2 {
		return true
	}
	if strings.HasPrefix(v, "{{") || strings.HasPrefix(v, "${") || strings.HasPrefix(v, "$(") || isVariable(v) {
		return true
	}
	switch a.kind {
	case isToken:
		if len(v) < 7 && strings.Trim(v, "0123456789") == "" {
			return true
		}
		return a.blank && !a.equal && len(v) < 16 && a.s[a.at] == v[0] && !mayBeToken(v)
	case isPass:
		name := strings.TrimRight(keyOf(a), "0123456789_-.")
		name, p := name[:len(name)-4], name[len(name)-4]
		bare := strings.Trim(name, "-_.") == ""
		word := name != "" && isAlnum(name[len(name)-1]) && p == 'p' // compass, bypass
		return bare && !a.equal || word || strings.Trim(v, "0123456789./%") == ""
	case isPwd:
		return v[0] == '/' || v[0] == '~'
	case isSignature:
		return a.key == 0 || strings.IndexByte("?&", a.s[a.key-1]) < 0
	case isBasic:
		return len(v) < 8 || strings.ContainsAny(v, " :[{")
	}
	return false
}

func keyOf(a *assignment) string {
	end := a.key
	for end < len(a.s) && IsKeyByte(a.s[end]) {
		end++
	}
	return a.s[a.key:end]
}

// isVariable tells of $NAME.
func isVariable(v string) bool {
	name, ok := strings.CutPrefix(v, "$")
	if !ok || name == "" || isDigit(name[0]) {
		return false
	}
	return strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") == ""
}

// mayBeToken tells a token from a word of a sentence and from punctuation.
func mayBeToken(v string) bool {
	letters := true
	for i := range len(v) {
		letters = letters && isLetter(v[i])
		if isDigit(v[i]) {
			return true
		}
	}
	return !letters && strings.ContainsFunc(v, func(r rune) bool { return r < 0x80 && isLetter(byte(r)) })
}
