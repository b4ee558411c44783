package redact

import "strings"

// keyKind says what the name of a key reveals about its value.
type keyKind int

const (
	notSecret keyKind = iota
	isPassword
	isToken         // also in prose: "unexpected token: foo"
	isPass          // short for password, or a number of tests
	isPwd           // password, or a working directory
	isSignature     // only in the query of a URL
	isBasic         // "auth" in files of docker and npm
	isCookie        // the value is the rest of the line
	isAuthorization // the value is a scheme and credentials
)

// maxKey is how many bytes of a key are examined.
const maxKey = 64

// keyEnd is the end of keys of one kind.
type keyEnd struct {
	end   string
	kind  keyKind
	whole bool // it must be the whole key
}

// keyEnds lists the ends of secret keys by their last letter. The first match counts.
var keyEnds = ['z' + 1][]keyEnd{
	'd': {{"password", isPassword, false}, {"passwd", isPassword, false}, {"pwd", isPwd, false}},
	'e': {
		{"passphrase", isPassword, false}, {"secretkeybase", isPassword, false}, {"cookie", isCookie, true},
		{"setcookie", isCookie, false}, {"signature", isSignature, false},
	},
	'g': {{"sig", isSignature, false}},
	'h': {{"auth", isBasic, true}},
	'l': {{"loadcredential", notSecret, false}, {"credential", isToken, false}},
	'n': {{"authorization", isAuthorization, false}, {"token", isToken, false}},
	's': {
		{"passwords", isPassword, false}, {"dbpass", isPassword, false}, {"userpass", isPassword, false},
		{"storepass", isPassword, false}, {"keypass", isPassword, false}, {"credentials", isToken, false}, {"pass", isPass, false},
	},
	't': {{"secret", isPassword, false}},
	'y': {
		{"apikey", isToken, false}, {"accesskey", isToken, false}, {"secretkey", isToken, false}, {"privatekey", isToken, false},
		{"signingkey", isToken, false}, {"encryptionkey", isToken, false}, {"accountkey", isToken, false},
		{"masterkey", isToken, false}, {"authkey", isToken, false}, {"sessionkey", isToken, false}, {"sharedkey", isToken, false},
	},
}

// kindOf returns the kind of a lower-case key, by its end: db_password2, clientsecret, x-api-key.
func kindOf(key string) keyKind {
	var buf [maxKey]byte
	k := buf[:0]
	for i := max(len(key)-maxKey, 0); i < len(key); i++ {
		if isAlnum(key[i]) {
			k = append(k, key[i])
		}
	}
	for len(k) > 0 && isDigit(k[len(k)-1]) {
		k = k[:len(k)-1]
	}
	if len(k) == 0 {
		return notSecret
	}
	for _, e := range keyEnds[k[len(k)-1]] {
		rest := len(k) - len(e.end)
		if rest == 0 || rest > 0 && !e.whole {
			if string(k[rest:]) == e.end {
				return e.kind
			}
		}
	}
	return notSecret
}

// findAssignments finds the values of secret keys: KEY=value, "key": "value", Key: value, <key>value</key>, --key
// value, and curl's -u user:password.
func findAssignments(s, low string, add func(from, to int)) {
	for i := 0; i < len(s); {
		if !isKeyByte(s[i]) {
			i++
			continue
		}
		key := i
		for i < len(s) && isKeyByte(s[i]) {
			i++
		}
		if from, to := secretAfter(s, low, key, i); to > from {
			add(from, to)
			i = max(i, to)
		}
	}
}

// secretAfter returns the place of the secret value of the key in [key, end), or an empty place.
func secretAfter(s, low string, key, end int) (from, to int) {
	switch low[key:end] {
	case "-u", "--user":
		if isCurl(low, key) {
			if from, to = valueAt(s, skipBlanks(s, end)); strings.Contains(s[from:to], ":") && !isPlaceholder(s[from:to]) {
				return from, to
			}
		}
		return 0, 0
	}
	a := assignment{s: s, key: key, end: end, kind: kindOf(low[key:end])}
	if a.kind == notSecret || !a.separate() {
		return 0, 0
	}
	from, to = a.value()
	if to > from && a.isHarmless(from, to) {
		return argument(s, to)
	}
	return from, to
}

// argument returns the place of the first argument of the call whose parenthesis ends at i, if it looks random.
func argument(s string, i int) (from, to int) {
	if s[i-1] == '(' {
		if from, to = valueAt(s, i); looksRandom(s[from:to]) {
			return from, to
		}
	}
	return 0, 0
}

// isCurl reports whether the line before i runs curl.
func isCurl(low string, i int) bool {
	line := low[max(i-1000, 0):i]
	return strings.Contains(line[strings.LastIndexByte(line, '\n')+1:], "curl")
}

// assignment is a key and what follows it.
type assignment struct {
	s        string
	key, end int // place of the key
	kind     keyKind
	at       int  // start of the value
	equal    bool // the separator was not a colon
	compares bool // it was ==
	flag     bool // it was the blank after --key
	element  int  // end of the value of <key>value</key>, or 0
	blank    bool // a blank followed the separator
}

// separate finds the start of the value, and reports whether there is a separator before it.
func (a *assignment) separate() bool {
	s, end := a.s, a.end
	i := skipCloser(s, end)
	gap := skipBlanks(s, i)
	rest := s[gap:]
	switch {
	case strings.HasPrefix(rest, ":=") || strings.HasPrefix(rest, "=>") || strings.HasPrefix(rest, "=="):
		a.equal, a.compares, i = true, rest[:2] == "==", gap+2
	case strings.HasPrefix(rest, "="):
		a.equal, i = true, gap+1
	case strings.HasPrefix(rest, ":"):
		i = gap + 1
	case i == end && (strings.HasPrefix(rest, "%3D") || strings.HasPrefix(rest, "%3d")):
		a.equal, i = true, i+3
	case i == end && strings.HasPrefix(rest, ">") && a.key > 0 && s[a.key-1] == '<':
		a.equal, i = true, gap+1
		if a.element = elementEnd(s, i, s[a.key:end]); a.element == 0 && i < len(s) && s[i] <= ' ' {
			return false // <token> in a usage text
		}
	case i > end && strings.HasPrefix(rest, ",") && a.kind == isAuthorization: // ("Authorization", "Bearer x")
		i = gap + 1
	case gap > i && strings.HasPrefix(s[a.key:], "--") && !strings.HasPrefix(rest, "-"):
		a.equal, a.flag, i = true, true, gap
	default:
		return false
	}
	a.at = skipBlanks(s, i)
	a.blank = a.at > i || a.flag
	if quoted := a.key > 0 && isQuote(s[a.key-1]); quoted && gap == end && a.at < len(s) && s[a.at] == s[a.key-1] {
		return false // the prompt 'Password: '
	}
	if a.element > 0 {
		a.at = a.element - len(strings.TrimLeft(s[i:a.element], " \t\n"))
	}
	return true
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

// skipCloser skips the closing quote of a key, maybe escaped, and the bracket of config["password"].
func skipCloser(s string, i int) int {
	quote := i
	if i < len(s) && s[i] == '\\' {
		quote++
	}
	if quote < len(s) && isQuote(s[quote]) {
		i = quote + 1
	}
	if i < len(s) && s[i] == ']' {
		i++
	}
	return i
}

func isQuote(c byte) bool { return c == '"' || c == '\'' || c == '`' }

// value returns the place of the value.
func (a *assignment) value() (from, to int) {
	if a.element > 0 {
		return a.at, a.element
	}
	if a.kind != isCookie && a.kind != isAuthorization {
		return valueAt(a.s, a.at)
	}
	start := skipBracket(a.s, a.at)
	if from, to = valueAt(a.s, start); from == start { // it is not quoted
		to = a.lineEnd(from)
	}
	if a.kind == isCookie {
		return from, to
	}
	scheme, rest, ok := strings.Cut(a.s[from:to], " ")
	switch strings.ToLower(scheme) {
	case "bearer", "token", "basic", "apikey", "negotiate", "jwt":
		if ok {
			return valueAt(a.s[:to], to-len(strings.TrimLeft(rest, " ")))
		}
	}
	return from, to
}

// lineEnd returns where the unquoted value of a header ends: at the quote that was opened before its name, at the
// bracket of a list, or at the end of the line.
func (a *assignment) lineEnd(i int) int {
	stop := "\n"
	if a.key > 0 && isQuote(a.s[a.key-1]) {
		stop += a.s[a.key-1 : a.key]
	}
	if i > 0 && a.s[i-1] == '[' {
		stop += "]"
	}
	for i < len(a.s) {
		if strings.HasPrefix(a.s[i:], masked) {
			i += len(masked)
		} else if strings.IndexByte(stop, a.s[i]) >= 0 {
			break
		} else {
			i++
		}
	}
	return i
}
