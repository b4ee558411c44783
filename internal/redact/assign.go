package redact

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
)

// findAssignments finds the values of secret keys: KEY=value, "key": "value", Key: value, <key>value</key>, --key
// value, and curl's -u user:password.
func findAssignments(s, low string, add func(from, to int)) {
	substituted := 0 // where the last command with substitutions ends
	for i := 0; i < len(s); {
		if !isKeyByte(s[i]) {
			i++
			continue
		}
		key := i
		for i < len(s) && isKeyByte(s[i]) {
			i++
		}
		if last := s[i-1]; key >= substituted && (last == 'd' && s[key:i] == "sed" || last == 'l' && s[key:i] == "perl") {
			substituted = addSubstitutions(s, i, add)
		}
		kind := kindOfName(low[key:i])
		end := 0
		if kind != notSecret {
			n := name{span: span{key, i}, kind: kind}
			end = addObject(s, low, n, add)
			addParameters(s, low, n, add)
		}
		if from, to := secretAfter(s, low, key, i, kind); to > from {
			add(from, to)
			i = max(i, to)
			if s[key] != '-' { // the value of an option is not the first of several
				i = max(i, addItems(s, from, to, add))
			}
		} else if low[i-1] == 's' && isMapKey(low[key:i]) {
			end = addMap(s, key, i, add)
		} else if isHeading[s[i-1]|0x20] && mayHead(s, key, i) {
			addColumn(s, low, key, i, add)
		}
		i = max(i, end)
	}
}

// secretAfter returns the place of the secret value of the key in [key, end), which is of this kind, or an empty place.
func secretAfter(s, low string, key, end int, kind keyKind) (from, to int) {
	if s[key] == '-' {
		if strings.HasPrefix(s[key:end], "--no-") {
			return 0, 0
		}
		if from, to, ok := optionValue(s, low, key, end); ok {
			return from, to
		}
	}
	if end < len(s) && s[end] == ':' && (s[key:end] == "5432" || s[key:end] == "6432") {
		return pgpassAt(s, key)
	}
	a := assignment{s: s, key: key, end: end, kind: kind}
	if s[key] == 'B' && a.kind == notSecret && strings.HasPrefix(s[key:end], "BUNDLE_") && strings.Contains(s[key:end], "__") {
		a.kind = isKey // of a source of gems, with a user before it
	}
	if before := max(key-len("secret "), 0); low[key:end] == "key" && kindOf(low[before:end]) == isToken {
		a.kind = isToken // secret key, access key
	}
	if low[key:end] == "id" && strings.HasSuffix(low[:key], "secret ") {
		a.kind = isKey // of Nomad
	}
	if isDigit(s[key]) && key > 1 && low[key-2] == 'y' && (strings.HasSuffix(low[:key], "unseal key ") || strings.HasSuffix(low[:key], "recovery key ")) {
		a.kind = isToken // of Vault
	}
	if s[key] == 'U' && strings.HasPrefix(s[key:], mailQuestion) {
		return mailLogin(s, key)
	}
	if s[key] == 'h' && strings.HasPrefix(s[key:end], "http-basic.") && runs(low, key, "composer |poetry ") {
		if from, to = argumentAt(s, end, 2); isPlaceholder(s[from:to]) {
			return 0, 0
		}
		return from, to
	}
	switch low[key:end] {
	case "by":
		if a.isSQL() {
			a.kind = isPassword
		}
	case "as", "using":
		if a.isIdentified() {
			a.kind = isPassword
		}
	case "printf":
		return echoed(s, key, end)
	case "convertto-securestring":
		if from, to = textBeforePipe(s, key); from < to {
			return from, to
		}
	case "code", "3fcode", "26code": // of OAuth: ?code=x
		if key > 0 && strings.IndexByte("?&%", s[key-1]) >= 0 {
			a.kind, a.random = isToken, true
		}
	case "sha1":
		if isNewToken(s, end) {
			a.kind = isToken
		}
	case "basic":
		if from, to = basicAt(s, end); from < to {
			return from, to
		}
	case "input_type":
		return pydanticInput(s, low, key)
	case "validating":
		if from, to = schemaInput(s, low, key, end); from < to {
			return from, to
		}
	case "address", "json", "url": // of envalid: Invalid url: "x"
		if strings.HasSuffix(low[:key], ": invalid ") || strings.HasSuffix(low[:key], ": invalid email ") {
			if from, to = rejected(s, low, key, end); from < to {
				return from, to
			}
		}
	case "argument", "choice", "converting", "got", "input", "invalidvalue", "parsing", "received", "rejectedvalue", "string", "value":
		if from, to = rejected(s, low, key, end); from < to {
			return from, to
		}
	}
	if a.kind == notSecret && end-key > 1 && key > 0 && s[key-1] == '\\' && strings.IndexByte("nrt", s[key]) >= 0 {
		a.kind = kindOf(low[key+1 : end]) // \nCookie
	}
	if a.kind == notSecret && strings.HasSuffix(low[key:end], "value") {
		a.kind = kindOf(nameBehind(s, end))
	}
	if low[end-1] == 'n' {
		if from, to = a.login(low); from < to {
			return from, to
		}
	}
	if a.kind == notSecret {
		return 0, 0
	}
	if value, ok := strings.CutPrefix(s[end:], "\nYou may need to escape any $ with another $.\n"); ok { // of docker compose
		return len(s) - len(value), len(s) - len(value) + len(lineAt(value, 0))
	}
	if a.kind == isCommand && low[key:end] == "smbclient" {
		return afterShare(s, key, end)
	}
	if a.kind == isSeed && low[end-1] == 's' && !ofSeed(low, key, end) {
		return 0, 0
	}
	if a.kind == isSeed || a.kind == isPassword && low[end-1] == 'e' { // passphrase
		if from, to = mnemonicAt(s, end); from < to || a.kind == isSeed {
			return from, to
		}
	}
	if from, to, ok := a.runnerCommand(); ok {
		return from, to
	}
	if from, to, ok := a.hereDocument(); ok {
		return from, to
	}
	if from, to = a.duplicate(); from < to {
		return from, to
	}
	if last := low[end-1]; last == 'h' || a.kind == isToken { // auth, credentials
		if from, to = secondArgument(s, end); from < to && (!strings.Contains(s[key:from], "Token(") || isMixed(s[from:to])) { // Token('RPAR', ')'), of a parser
			return from, to
		}
	}
	if from, to = a.argument(low); from < to {
		return from, to
	}
	if from, to = a.afterSlash(low); from < to {
		return from, to
	}
	if from, to = a.usageDefault(); from < to {
		return from, to
	}
	if a.kind == isCommand || !a.separate() {
		return 0, 0
	}
	from, to = a.value()
	switch {
	case from >= to:
		return 0, 0
	case !a.isLong(from, to) && (a.kind == isKey && !isRandomKey(low, key, end, s[from:to]) && !a.isListed(from, to) && !a.isPasswordOf(low, s[from:to]) && !a.isUserAndPassword(s[from:to]) || a.random && !isRandom(s[from:to])):
		return 0, 0
	case !a.isLong(from, to) && a.isHarmless(from, to):
		return argument(s, to)
	}
	if s[to-1] == '(' && isString(s, to) && !isQuote(s[from-1]) { // the name of a function, which is not known as code: b64decode("x")
		_, to = valueAt(s, to)
	}
	if next := to + len(`" -> "`); next <= len(s) && (s[to:next] == `" -> "` || s[to:next] == `" => "`) { // a change, as terraform shows it
		to = quoteEnd(s, next, `"`)
	}
	return from, a.changeEnd(from, to)
}

// changeEnd returns where the second of two values ends, if there are two: token: x -> y, password changed from x to y.
func (a *assignment) changeEnd(from, to int) int {
	for _, sign := range [...]string{" -> ", " => ", " to "} {
		if !strings.HasPrefix(a.s[to:], sign) || sign == " to " && !strings.HasSuffix(a.s[:from], "from ") {
			continue
		}
		if start, end := valueAt(a.s, to+len(sign)); isMixed(a.s[from:to]) && isMixed(a.s[start:end]) {
			return end
		}
	}
	return to
}

// isPasswordOf reports whether the key is a variable for a password whose name goes on, as DB_PASSWORD_PROD, and its value has letters and
// digits.
func (a *assignment) isPasswordOf(low, v string) bool {
	key := low[a.key:a.end]
	isNamed := strings.Contains(key, "password") || strings.Contains(key, "passwd") || strings.Contains(key, "_pass_")
	isVariable := isUpperName(a.s[a.key:a.end]) || strings.HasPrefix(a.s[a.end:], "=")
	return isNamed && isVariable && isMixed(v) && !isPath(v) && !strings.Contains(v, "://")
}

// isUserAndPassword reports whether the value of a key such as BASIC_AUTH is a user and a password.
func (a *assignment) isUserAndPassword(v string) bool {
	key := lowerASCII(a.s[a.key:a.end])
	if password, ok := strings.CutPrefix(v, "neo4j/"); ok && strings.HasSuffix(key, "auth") {
		return !isPlaceholder(password)
	}
	user, password, _ := strings.Cut(v, ":")
	if strings.HasPrefix(key, "bundle_") {
		return user != "" && isMixed(password) && password[0] != '/'
	}
	return (strings.HasSuffix(key, "auth") || strings.HasSuffix(key, "creds")) && isName(user) && isMixed(password) && password[0] != '/'
}

// login returns the place of the password in a call or a command that logs in, or an empty place: smtp.login("bob", "x1"), a1 LOGIN bob x1.
// It must have letters and digits.
func (a *assignment) login(low string) (from, to int) {
	if a.end == len(a.s) || a.s[a.end] != '(' && a.s[a.end] != ' ' || !strings.HasSuffix(low[a.key:a.end], "login") {
		return 0, 0
	}
	if from, to = secondArgument(a.s, a.end); from == to {
		from, to = loginIMAP(a.s, a.key, a.end)
	}
	if !isMixed(a.s[from:to]) {
		return 0, 0
	}
	return from, to
}

// afterSlash returns the place of the password after a user and a slash, or an empty place: basic auth bob / x1, credentials: bob / x1.
// It must have letters and digits.
func (a *assignment) afterSlash(low string) (from, to int) {
	at := skipBlanks(a.s, a.end)
	isLabel := at < len(a.s) && (a.s[at] == ':' || a.s[at] == '=')
	if isLabel {
		at = skipBlanks(a.s, at+1)
	}
	switch key := low[a.key:a.end]; {
	case key == "auth" && strings.HasSuffix(low[:a.key], "basic "), strings.HasSuffix(key, "credentials"), strings.HasSuffix(key, "creds"):
	case isLabel && (key == "auth" || key == "login" || a.kind == isPassword):
	default:
		return 0, 0
	}
	user, rest, ok := strings.Cut(lineAt(a.s, at), " / ")
	value := rest[:wordEnd(rest, 0)]
	if !ok || user == "" || !isLetter(user[0]) || strings.ContainsAny(user, " \t:=|/") || !isMixed(value) || isPath(value) {
		return 0, 0
	}
	from = at + len(user) + len(" / ")
	return from, from + len(value)
}

// isLong reports whether the value is too long to be harmless. This also keeps the work linear: if a harmless value could
// have any length, each key in it could have one that reaches as far.
func (a *assignment) isLong(from, to int) bool {
	const longest = 1 << 10
	return to-from > longest && (a.kind == isCookie || a.kind == isAuthorization || !strings.ContainsAny(a.s[from:from+longest], " \t"))
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

// assignment is a key and what follows it.
type assignment struct {
	s        string
	key, end int // place of the key
	kind     keyKind
	at       int  // start of the value
	equal    bool // the separator was not a colon
	arrow    bool // it was =>, which maps have where others have a colon
	compares bool // it was ==
	flag     bool // it was the blank after --key
	random   bool // it was one of those that stand between other things too: the value must look random
	blank    bool // a blank followed the separator
	bold     bool // the separator ended **Password:**
	element  int  // end of the value of <key>value</key>, or 0
}

// operators stand between a key and its value. One that begins with another one comes first.
var operators = []struct {
	text     string
	compares bool
}{
	{"===", true}, {"!==", true}, {"==", true}, {"!=", true}, {"=>", false}, {"=", false}, {":::=", false}, {"::=", false}, {":=", false},
	{"??=", false}, {"?=", false}, {"||=", false}, {".=", false}, {"+=", false}, {"<-", false}, {`\u003d`, false}, {":: ", false}, {`\=`, false},
}

// separate finds the start of the value, and reports whether there is a separator before it.
func (a *assignment) separate() bool {
	s, end := a.s, a.end
	i := skipCloser(s, end)
	if i > end {
		i = skipErrorNumbers(s, i)
	} else if a.isElement(i) {
		i++
	}
	gap := skipBlanks(s, i)
	if column := skipColumn(s, gap); column < len(s) && (s[column] == '=' || s[column] == ':') { // as terraform, gofmt and PowerShell align it
		gap = column
	}
	rest := s[gap:]
	a.equal = true
	tag := openTag(s, a.key)
	switch n, value, column := a.operator(rest), a.namedValue(), a.column(i); {
	case value > 0:
		i = value
	case column > 0:
		i = column
	case n > 0:
		i = gap + n
	case strings.HasPrefix(rest, "::"), strings.HasPrefix(rest, ":?") && a.key > 0 && s[a.key-1] == '{':
		return false // token::Stream, and the message in ${TOKEN:?not set}
	case strings.HasPrefix(rest, ":"):
		a.equal, i = false, gap+1
	case i == end && hasPrefixFold(rest, "%3D") || encodedQuote(s, end) == "%22" && hasPrefixFold(rest, "%3A"):
		i += len("%3D")
		if strings.HasPrefix(s[i:], "%20") {
			i += len("%20")
		}
	case tag > 0:
		if i = afterTag(s, end); i == 0 {
			return false
		}
		if a.element = elementEnd(s, i, s[tag:end]); a.element == 0 && i < len(s) && (s[i] <= ' ' || strings.IndexByte(`'"`+"`)]}|,.;:>", s[i]) >= 0) {
			return false // <token> in a usage text
		}
	case isOption(s, a.key, end) && nextArgument(s, end) > gap && isArgument(s, nextArgument(s, end)):
		a.flag, i = true, nextArgument(s, end)
	case i > end && s[end] != '`' && strings.HasPrefix(rest, ",") && !isOption(s, a.key, end) && (a.kind == isAuthorization || isString(s, skipColumn(s, gap+1))): // Set("Token", "x")
		a.equal = a.kind != isAuthorization
		a.random, i = a.equal && !a.isHeader(gap+1) && !a.isSet() && !a.isPaired(gap+1), gap+1
	case gap > i && isOption(s, a.key, end) && !strings.HasPrefix(rest, "-") && nextArgument(s, end) <= gap, gap > i && !(a.kind == isKey && isLowerWord(s, gap)) && setsKey(s, a.key):
		a.flag, i = true, gap
	default:
		if i = a.distant(i, gap); i < 0 {
			return false
		}
	}
	if at := typedValue(s, i); at > 0 {
		a.equal, i = true, at
	}
	if a.bold = strings.HasPrefix(s[i:], "** "); a.bold {
		i += len("**")
	}
	a.at = skipBlanks(s, i)
	a.blank = a.at > i || a.flag
	if !a.flag && a.blank {
		a.at = skipColumn(s, a.at)
	}
	const quote = `'\''` // in a shell's trace: ssh h 'TOKEN='\''x'\'' make'
	if end := strings.Index(lineAt(s, min(a.at+len(quote), len(s))), quote); end > 0 && strings.HasPrefix(s[a.at:], quote) && a.key > 0 && s[a.key-1] == '\'' {
		a.at += len(quote)
		a.element = a.at + end
		return true
	}
	if quoted := a.key > 0 && isQuote(s[a.key-1]); quoted && gap == end && a.at < len(s) && s[a.at] == s[a.key-1] {
		return false // the prompt 'Password: '
	}
	isHeader := a.kind == isAuthorization || a.kind == isCookie
	if a.element > 0 {
		a.at = a.element - len(strings.TrimLeft(s[i:a.element], " \t\n"))
	} else if next, block := nextLine(s, a.at); next > 0 {
		isNamed := strings.HasPrefix(s[end:], "']:") && isString(s, next) // On instance['password'], of Python's jsonschema
		if a.at, a.random = next, !block && !isNamed; strings.HasPrefix(s[next:], "- ") && (isHeader || isMixed(lineAt(s, next+len("- ")))) {
			a.at, a.random = next+len("- "), false
		}
	} else if strings.HasPrefix(s[a.at:], "(\n") {
		if next, _ = nextLine(s, a.at+1); next > 0 && isString(s, next) {
			a.at = next
		}
	} else if strings.HasPrefix(s[a.at:], "[\n") {
		if next, _ = nextLine(s, a.at+1); next > 0 && isString(s, next) {
			from, to := valueAt(s, next)
			if a.at = next; !isHeader && !isMixed(s[from:to]) && !strings.HasSuffix(s[a.key:end], "passwords") {
				return false
			}
		}
	}
	a.at = skipTag(s, a.at)
	if at := dumpedValue(s, a.at); at > 0 {
		a.at, a.random = at, false
	}
	return true
}

// skipErrorNumbers skips the numbers of errors that Joi shows behind a key, maybe in colours that may be escaped: "token" [1, 2]: "x".
func skipErrorNumbers(s string, i int) int {
	const longest = 60
	if !strings.HasPrefix(s[i:], " ") {
		return i
	}
	near := s[i:min(i+longest, len(s))]
	at := skipColour(near, skipBlanks(near, skipColour(near, 1)))
	digits := strings.TrimLeft(near[at:], "[0123456789, ")
	if len(digits) == len(near[at:]) || near[at] != '[' || !strings.HasPrefix(digits, "]") {
		return i
	}
	if at = skipColour(near, len(near)-len(digits)+1); !strings.HasPrefix(near[at:], ":") {
		return i
	}
	return i + at
}

// skipColour skips a colour of a terminal, which may be escaped.
func skipColour(s string, i int) int {
	for _, escape := range [...]string{"\x1b[", `\u001b[`, `\x1B[`} {
		if rest, ok := strings.CutPrefix(s[i:], escape); ok {
			if rest = strings.TrimLeft(rest, "0123456789;"); strings.HasPrefix(rest, "m") {
				return len(s) - len(rest) + 1
			}
		}
	}
	return i
}

// isElement reports whether a value is assigned to the element of an array that has the key, whose bracket is at i: env(TOKEN) = x of
// Tcl, $h{token} = "x" of Perl.
func (a *assignment) isElement(i int) bool {
	if a.key < 2 || i != a.end || i == len(a.s) || !isAlnum(a.s[a.key-2]) || a.s[a.key-1] != '(' && a.s[a.key-1] != '{' || a.s[i] != ')' && a.s[i] != '}' {
		return false
	}
	rest := a.s[skipColumn(a.s, i+1):]
	return strings.HasPrefix(rest, "= ")
}

// isSet reports whether the key is the first argument of a call that sets something.
func (a *assignment) isSet() bool {
	const longest = 40
	before := lowerASCII(a.s[max(a.key-longest, 0):max(a.key-1, 0)]) // without the quote
	name, ok := strings.CutSuffix(strings.TrimRight(before, " "), "(")
	if !ok {
		return false
	}
	method := name[strings.LastIndexAny(name, " \t\n(.")+1:]
	for _, verb := range [...]string{"set", "add", "put", "env", "header", "property", "param"} {
		if strings.Contains(method, verb) {
			return true
		}
	}
	return method == "define" && !strings.HasSuffix(name, ".define") // in PHP
}

// operator returns the length of the operator that rest begins with, or 0.
func (a *assignment) operator(rest string) int {
	if rest == "" || isAlnum(rest[0]) {
		return 0
	}
	for _, o := range operators {
		if strings.HasPrefix(rest, o.text) {
			a.compares, a.arrow = o.compares, o.text == "=>"
			return len(o.text)
		}
	}
	return 0
}

// distant returns the start of a value that no operator precedes, or -1: after a type and an =, in parentheses, or in
// quotes. gap is the first place behind the blanks at i.
func (a *assignment) distant(i, gap int) int {
	s := a.s
	if sign, rest, ok := strings.Cut(s[gap:min(gap+len("→ \""), len(s))], " "); gap > i && ok {
		at := gap + len(sign) + len(" ")
		switch sign {
		case "-", "->", "~>", "→", "⇒":
			if isString(rest, 0) || sign != "-" && (a.kind == isPassword || a.kind == isToken) && isArrowed(s[at:wordEnd(s, at)]) {
				return at
			}
		}
	}
	if at := a.pairValue(gap); at > 0 {
		return at
	}
	if i == a.end && (gap > i || gap < len(s) && s[gap] == '[') {
		if at := typedValue(s, gap); at > 0 {
			return at
		}
	}
	if gap > i && a.kind == isPassword && (a.isLogin(gap) || a.followsUser(gap)) {
		a.equal = false
		return gap
	}
	if at := a.registryValue(gap); at > 0 {
		return at
	}
	if a.isTerm(gap) {
		return gap + strings.IndexAny(s[gap:], "\"'`")
	}
	if gap > i && (a.isSQL() || a.isSent() && !strings.ContainsAny(lineAt(s, gap), " ./") || a.isWritten(gap)) {
		return gap
	}
	if strings.HasSuffix(s[:a.key], `form-data; name="`) {
		if at, _ := nextLine(s, i); at > 0 {
			return at
		}
	}
	if gap > i && a.kind == isPassword && gap+1 < len(s) && isDigit(s[gap]) && s[gap+1] == ' ' && isMixed(lineAt(s, gap+len("0 "))) {
		return gap + len("0 ") // of Cisco: password 7 x
	}
	if at := a.purpose(gap); at > 0 {
		return at
	}
	if at := a.cell(i); at > 0 {
		return at
	}
	if gap > i && a.kind == isToken && strings.EqualFold(s[a.key:a.end], "key") && looksRandom(s[gap:wordEnd(s, gap)]) { // API key x
		return gap
	}
	a.random = true
	switch {
	case gap < len(s) && s[gap] == '(' && isString(s, gap+1):
		a.random = !a.isFunction()
		return gap + 1
	case gap == a.end && gap < len(s) && s[gap] == '(' && a.isApplied():
		a.random = false
		return gap + 1
	case gap > i && isString(s, gap):
		a.random = !a.isStatement(gap)
		return gap
	}
	a.random = false
	return -1
}

// isFunction reports whether the key is the function of MySQL that makes a hash of a password: PASSWORD('x').
func (a *assignment) isFunction() bool {
	const far = 20
	if !strings.EqualFold(a.s[a.key:a.end], "password") {
		return false
	}
	before := strings.TrimRight(lowerASCII(a.s[max(a.key-far, 0):a.key]), " ")
	isUpper := a.s[a.key] == 'P' && a.s[a.end-1] == 'D'
	return strings.HasSuffix(before, "select") || isUpper && (strings.HasSuffix(before, "=") || strings.HasSuffix(before, "using"))
}

// isApplied reports whether a value in parentheses follows the key, which is a word of its own, and nothing else is in them:
// password(x). Since that is also how code calls a function, the value must look random, or have letters of both cases and digits.
func (a *assignment) isApplied() bool {
	switch lowerASCII(a.s[a.key:a.end]) {
	case "password", "passwd", "passphrase":
	default:
		return false
	}
	value, _, ok := strings.Cut(lineAt(a.s, a.end+len("(")), ")")
	if !ok || strings.ContainsAny(value, " ,(\"'`=") {
		return false
	}
	return isRandom(value) || isMixed(value) && value != lowerASCII(value) && value != strings.ToUpper(value)
}

// isArrowed reports whether v, after an arrow and not in quotes, is a secret: it looks random, and is no file that a link leads to.
func isArrowed(v string) bool {
	return isRandom(v) && strings.IndexByte("/.~", v[0]) < 0 && !strings.Contains(v, "://")
}

// isLogin reports whether the key follows a user, in its line or the one above, and its value at i ends the line or has letters
// and digits: in .netrc, and in the files of HAProxy and of routers.
func (a *assignment) isLogin(i int) bool {
	const far = 200
	lines := strings.Split(strings.TrimRight(a.s[max(a.key-far, 0):a.key], " \t"), "\n")
	n := len(lines) - 1
	if n > 0 && lines[n] == "" {
		n--
	}
	words := strings.Fields(lines[n])
	if len(words) < 2 || strings.ContainsAny(words[1], ":,") {
		return false
	}
	word, rest, _ := strings.Cut(lineAt(a.s, i), " ")
	switch words[0] {
	case "machine", "default", "user", "username", "login":
		isIndented := strings.HasPrefix(lines[n], " ") || strings.HasPrefix(lines[n], "\t")
		return rest == "" && (isIndented || words[0][0] != 'u') || isMixed(word) || words[0] == "machine" && strings.HasPrefix(rest, "login ")
	}
	return n == len(lines)-1 && runs(a.s, a.key, "machine ") && runs(a.s, a.key, "login ")
}

// followsUser reports whether the key follows the name of a user in a sentence, "user bob and password x", and the word at i has
// letters and digits.
func (a *assignment) followsUser(i int) bool {
	const far = 80
	from, to := valueAt(a.s, i)
	if !isMixed(a.s[from:to]) {
		return false
	}
	before := a.s[max(a.key-far, 0):a.key]
	words := strings.Fields(strings.Trim(before[strings.LastIndexByte(before, '\n')+1:], "\"'`"))
	n := len(words) - 1
	if n > 1 && slices.Contains([]string{"and", "with", "/", "&"}, words[n]) {
		n--
	} else if isQuoted := n > 0 && isQuote(words[n][len(words[n])-1]) && isString(a.s, i); n < 1 || !strings.HasSuffix(words[n], ",") && !isQuoted {
		return false
	}
	label := strings.Trim(lowerASCII(words[n-1]), "\"'`(:")
	return slices.Contains([]string{"user", "username", "login", "account"}, label)
}

// pairValue returns the start of the value of a pair as Scala, Lisp and R print it, or 0: Map(password -> x, a -> b), (password,x),
// (password . "x"), and "x" below $password. i is where what follows the key begins.
func (a *assignment) pairValue(i int) int {
	const longest = 200
	before := a.s[max(a.key-2, 0):a.key]
	if before == "" || a.kind != isPassword && a.kind != isToken {
		return 0
	}
	s := a.s[:min(i+longest, len(a.s))]
	rest := s[i:]
	switch opener := before[len(before)-1]; {
	case opener == '$' && strings.HasPrefix(rest, "\n[1] \""):
		return i + len("\n[1] ")
	case opener == '(' && strings.HasPrefix(rest, ". \"") && i > a.end:
		return i + len(". ")
	case (opener == '(' || before == ", ") && strings.HasPrefix(rest, "-> "):
		at := i + len("-> ")
		if to := wordEnd(s, at); isMixed(s[at:to]) && (strings.HasPrefix(s[to:], ", ") || strings.HasPrefix(s[to:], ")")) {
			return at
		}
	case opener == '(' && (len(before) == 1 || !isAlnum(before[0])) && strings.HasPrefix(rest, ","):
		at := i + len(",")
		to := wordEnd(s, at)
		isDotted := strings.Contains(a.s[a.key:a.end], ".")
		if v := s[at:to]; strings.HasPrefix(s[to:], ")") && (isDotted && isMixed(v) || isRandom(v)) {
			return at
		}
	}
	return 0
}

// registryValue returns the start of the value that Windows' reg sets for the name before i, or 0: reg add x /v Password /t REG_SZ /d y.
func (a *assignment) registryValue(i int) int {
	const far = 40
	if !strings.HasSuffix(strings.TrimRight(lowerASCII(a.s[max(a.key-len(`/v "`), 0):a.key]), `"`), "/v ") {
		return 0
	}
	line := lowerASCII(lineAt(a.s[:min(i+far, len(a.s))], i))
	if n := strings.Index(line, "/d "); n >= 0 && !isPlaceholder(startOf(a.s, i+n+len("/d "))) {
		return i + n + len("/d ")
	}
	return 0
}

// isTerm reports whether the key and the text at i are a pair in Lisp or Erlang: :password "x", {password, "x"}.
func (a *assignment) isTerm(i int) bool {
	before := a.s[max(a.key-2, 0):a.key]
	if strings.HasSuffix(before, ":") && i > a.end {
		return isString(a.s, i) && (before == ":" || !isAlnum(before[0]) && before[0] != ':')
	}
	before = strings.TrimSuffix(before, ":")
	if !strings.HasSuffix(before, "{") || len(before) > 1 && isAlnum(before[0]) || i == len(a.s) || a.s[i] != ',' {
		return false
	}
	at := skipBlanks(a.s, i+1)
	at += len("<<") * strings.Count(a.s[at:min(at+len("<<"), len(a.s))], "<<")
	if !isString(a.s, at) {
		return false
	}
	_, to := valueAt(a.s, at)
	return strings.HasPrefix(strings.TrimLeft(a.s[skipCloser(a.s, to):], "> "), "}")
}

// isStatement reports whether the key and the quoted text at i are a statement in a line of several: { user 'bob'; password 'x' }.
func (a *assignment) isStatement(i int) bool {
	before := strings.TrimRight(a.s[max(a.key-10, 0):a.key], " ")
	_, to := valueAt(a.s, i)
	after := strings.TrimLeft(a.s[min(to+1, len(a.s)):], " ")
	return before != "" && strings.IndexByte("{;", before[len(before)-1]) >= 0 && (strings.HasPrefix(after, "}") || strings.HasPrefix(after, ";"))
}

// isSent reports whether the key is the PASS command of FTP or POP3, as curl and Python show it, or after that for the user: > PASS x.
func (a *assignment) isSent() bool {
	const far = 100
	before := a.s[max(a.key-far, 0):a.key]
	if a.s[a.key:a.end] != "PASS" {
		return false
	}
	lines := strings.Split(before, "\n")
	n := len(lines) - 1
	return strings.HasSuffix(before, "> ") || strings.HasSuffix(before, "C: ") || strings.HasSuffix(before, "*cmd* '") || n > 0 && lines[n] == "" && strings.HasPrefix(lines[n-1], "USER ")
}

// isWritten reports whether the key is the PASS command in a call that strace shows, and its value at i ends the text: write(3, "PASS x\r\n", 8).
func (a *assignment) isWritten(i int) bool {
	if a.s[a.key:a.end] != "PASS" || !strings.HasSuffix(a.s[:a.key], `, "`) {
		return false
	}
	value, _, ok := strings.Cut(lineAt(a.s, i), `\r\n"`)
	return ok && value != "" && !strings.Contains(value, " ")
}

// typedValue returns the start of the string after a type and an = that begin at i, or 0: `: String = "x"`. A blank stands before the =,
// unlike at the end of base64 or after another key: path=/x/token err="x".
func typedValue(s string, i int) int {
	const longest = 40
	from := skipBlanks(s, i)
	to := from
	for to < len(s) && to-from < longest && (isAlnum(s[to]) || strings.IndexByte("_.*&?:[]<>", s[to]) >= 0) {
		to++
	}
	eq := skipBlanks(s, to)
	if to > from && eq < len(s) && s[eq] == '=' && s[eq-1] == ' ' {
		if at := skipBlanks(s, eq+1); isString(s, at) {
			return at
		}
	}
	return 0
}

// nextLine returns the start of the next line's text if nothing else follows at i but a sign for that, or 0. It also
// reports whether the text is a block of YAML, which can be nothing but the value.
func nextLine(s string, i int) (at int, block bool) {
	const deepest = 80
	rest := s[min(i, len(s)):min(i+deepest, len(s))]
	for _, sign := range [...]string{"|-", ">-", "|", ">", "\\"} {
		if after, ok := strings.CutPrefix(rest, sign); ok {
			block = sign != "\\" && strings.HasPrefix(after, "\n ")
			i, rest = i+len(sign), after
			break
		}
	}
	if text := strings.TrimLeft(rest, " \t\n"); strings.HasPrefix(rest, "\n") && text != "" {
		return i + len(rest) - len(text), block
	}
	return 0, false
}

// skipTag skips the type or the anchor of a value in YAML: !!str x, &name x, and !unsafe x of Ansible.
func skipTag(s string, i int) int {
	const longest = 40
	for _, tag := range [...]string{"!!str ", "!!binary ", "!unsafe "} {
		if strings.HasPrefix(s[i:], tag) {
			return skipBlanks(s, i+len(tag))
		}
	}
	if strings.HasPrefix(s[i:], "&") { // an anchor
		name, _, ok := strings.Cut(s[i+1:min(i+longest, len(s))], " ")
		if ok && name != "" && !strings.ContainsFunc(name, func(r rune) bool { return r >= 0x80 || !isKeyByte(byte(r)) }) {
			return skipBlanks(s, i+1+len(name))
		}
	}
	return i
}

// skipCloser skips the closing quote of a key, maybe escaped several times, the bracket of config["password"], and the
// asterisks of **Password**.
func skipCloser(s string, i int) int {
	quote := i + backslashes(s, i)
	if quote < len(s) && isQuote(s[quote]) {
		i = quote + 1
	}
	i += len(encodedQuote(s, i))
	if strings.HasPrefix(s[i:], "**") {
		i += len("**")
	}
	if i < len(s) && s[i] == ':' { // of PHP: ["password":protected], [password:X:private]
		name, _, ok := strings.Cut(s[i:min(i+maxKey, len(s))], "]")
		if ok && (strings.HasSuffix(name, ":protected") || strings.HasSuffix(name, ":private")) {
			i += len(name)
		}
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
		from, to = valueAt(a.s, a.at)
		if a.isObject(to) {
			return from, from
		}
		if at := skipScheme(a.s, from); (a.kind == isToken || a.kind == isPassword) && at > from && from == a.at { // X-Auth-Token: Bearer x
			start, end := valueAt(a.s, at)
			v := a.s[start:end]
			if basic, err := base64.StdEncoding.DecodeString(v); isMixed(v) || err == nil && bytes.IndexByte(basic, ':') > 0 || v == masked {
				return start, end
			}
			if a.isCredential(start, end) {
				a.equal = true // so that a word is no explanation
				return start, end
			}
		}
		if from == a.at {
			if start, end, ok := a.innerValue(from, to); ok {
				return start, end
			}
		}
		return from, a.argumentEnd(from, to)
	}
	start := skipBracket(a.s, a.at)
	from, to = valueAt(a.s, start)
	if a.kind == isAuthorization {
		if at := skipScheme(a.s, from); at > from && from == start {
			if from, to = valueAt(a.s, at); from == at && strings.HasSuffix(a.s[from:to], "=") && to < len(a.s) && isQuote(a.s[to]) { // Token token="x"
				to = a.lineEnd(from)
			}
			return from, to
		} else if at > from {
			return valueAt(a.s[:max(to, at)], at)
		}
	}
	if from == start { // it is not quoted
		to = a.lineEnd(from)
	}
	return from, to
}

// isObject reports whether the value, whose first word ends at i, is an object, which [addObject] reads.
func (a *assignment) isObject(i int) bool {
	hasSecret := false
	of := objectKey{a.kind, isMapKey(lowerASCII(a.s[a.key:a.end]))}
	ok := readObject(a.s, a.at, of, func(_, _ int) { hasSecret = true })
	return hasSecret || ok && strings.HasPrefix(a.s[i:], " {")
}

// innerValue returns the place of the value of the key that the unquoted text in [from, to) ends with, if it ends so: API_TOKEN="x". If
// the text may be a secret itself, it is a part of the place. The place is empty if the key says that the value is no secret.
func (a *assignment) innerValue(from, to int) (start, end int, ok bool) {
	s := a.s
	sign := to - 1
	if sign < from || s[sign] != '=' && s[sign] != ':' {
		return 0, 0, false
	}
	at := to
	if s[sign] == ':' {
		at = skipBlanks(s, to)
	}
	quote := at + backslashes(s, at)
	isQuoted := quote+1 < len(s) && isQuote(s[quote]) && s[quote+1] > ' ' && strings.IndexByte(",;:)]}\"'`", s[quote+1]) < 0
	if !isQuoted && (at == to || quote >= len(s) || s[at] < ' ' || isQuote(s[quote])) {
		return 0, 0, false
	}
	key := sign
	for key > from && isKeyByte(s[key-1]) {
		key--
	}
	if key == sign {
		return 0, 0, false
	}
	name := lowerASCII(s[key:sign])
	isSecret := nameAt(name, 0, len(name)).kind != notSecret
	start, end = valueAt(s, at)
	switch isField := key > from && strings.IndexByte("({[", s[key-1]) >= 0; {
	case isField && isOtherField(name), s[start:end] == masked, !a.equal && s[sign] == ':' && isDigit(s[sign-1]) && isPackage(s[key:sign]): // oauth2: "invalid_grant"
		return from, from, true
	case a.flag && isQuoted && key == from && isUpperName(s[key:sign]): // --secret FOO="x"
		return start, end, true
	case isField || !isSecret:
		return 0, 0, false
	case isQuoted && s[sign] == '=', key == from && isPlaceName(s[key:sign]):
		return start, end, true
	}
	return from, end, a.equal || isQuoted || !a.blank
}

// isCredential reports whether the letters at [from, to) after a scheme are a token, as the name of a variable or of a header says:
// API_TOKEN=Bearer x, X-Auth-Token: Bearer x. Nothing may follow a short one.
func (a *assignment) isCredential(from, to int) bool {
	const short, long = 8, 16
	key, v := a.s[a.key:a.end], a.s[from:to]
	isLast := to == len(a.s) || a.s[to] != ' ' && a.s[to] != '\t'
	isSaid := a.equal || len(v) >= short && strings.ContainsAny(key, "-_")
	return isSaid && (isLast || len(v) >= long) && !strings.HasSuffix(v, ":") && (kindOf(lowerASCII(v)) == notSecret || isPlaceholder(v))
}

// basicAt returns the place of the credentials that follow the scheme whose name ends at i, or an empty place: Basic dTpw. They are a user
// and a password in base64, so a sentence has none.
func basicAt(s string, i int) (from, to int) {
	const longest = 1 << 10
	if i+1 >= len(s) || s[i] != ' ' || !isBase64(s[i+1]) {
		return 0, 0
	}
	from = i + 1
	for to = from; to < len(s) && to-from < longest && isBase64(s[to]); to++ {
	}
	text, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s[from:to], "="))
	isText := !slices.ContainsFunc(text, func(c byte) bool { return c < ' ' })
	if err != nil || !isText || bytes.IndexByte(text, ':') < 0 {
		return 0, 0
	}
	return from, to
}

// skipScheme returns where the credentials begin after a scheme that is followed by nothing else, or i.
func skipScheme(s string, i int) int {
	for _, scheme := range [...]string{"bearer ", "token ", "basic ", "apikey ", "negotiate ", "jwt "} {
		if len(s)-i >= len(scheme) && strings.EqualFold(s[i:i+len(scheme)], scheme) {
			return skipBlanks(s, i+len(scheme))
		}
	}
	return i
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
		} else if strings.IndexByte(stop, a.s[i]) >= 0 || strings.HasPrefix(a.s[i:], `\n`) || strings.HasPrefix(a.s[i:], `\r\n`) {
			break
		} else {
			i++
		}
	}
	return i
}
