package redact

import (
	"slices"
	"strings"
	"unicode"
)

// isHarmless reports whether the value in [from, to) is no secret: a placeholder, source code that names or computes a
// value, a word of a sentence, a number, a path.
func (a *assignment) isHarmless(from, to int) bool {
	v := a.s[from:to]
	if a.isARN() || (strings.HasPrefix(v, "https://") || strings.HasPrefix(v, "http://")) && !looksRandom(v) {
		return true
	}
	quoted := from > 0 && (a.s[from-1] == '"' || a.s[from-1] == '\'' || a.s[from-1] == '`' && a.kind != isToken)
	option := isOption(a.s, a.key, a.end)
	if isPlaceholder(v) || isPath(v) || a.isState(v) || (!a.equal || a.arrow) && isComplaint(v) || !quoted && a.blank && !a.equal && isComplaint(lineAt(a.s, from)) || option && (isOptionValue(v) || a.isOptionName(v)) || !quoted && (a.isCode(from, to) || a.isProse(v, to) || a.isCmdlet(v)) {
		return true
	}
	if (a.random || a.kind == isKey) && isObject(v) || a.isRename(v) {
		return true
	}
	switch a.kind {
	case isToken:
		return len(v) < 7 && isNumber(v) || len(v) < 3 && !hasAlnum(v) || isVersion(v) || isMeasure(v) || v[0] == '/' && !looksRandom(v) || !quoted && isDottedName(v) || isSpecial(v)
	case isPass:
		return a.isOtherPass() && !isRandom(v) && !runs(a.s, a.key, "openssl ") && !a.beside("user") && !(isMixed(v) && a.beside("login")) || strings.Trim(v, "0123456789./%") == ""
	case isPwd:
		return v[0] == '/' || v[0] == '~' || a.isChannel() || len(v) > 2 && isLetter(v[0]) && v[1:3] == `:\`
	case isCookie:
		return isPreference(v)
	case isSignature:
		return a.key == 0 || a.s[a.key-1] != '?' && a.s[a.key-1] != '&'
	case isBasic:
		return !a.isUserAndPassword(v) && (len(v) < 8 || strings.ContainsAny(v, " :[{") || strings.HasSuffix(v, "(") || !quoted && strings.Trim(v[1:], "abcdefghijklmnopqrstuvwxyz") == "")
	}
	return false
}

// isSpecial reports whether v is a token of a model that is no text: <pad>.
func isSpecial(v string) bool {
	const longest = 16
	return len(v) <= longest && v[0] == '<' && v[len(v)-1] == '>' && strings.Trim(v, "<>abcdefghijklmnopqrstuvwxyz_/") == ""
}

// isPreference reports whether v is one cookie whose value is a short word, such as theme=dark; Path=/.
func isPreference(v string) bool {
	const longest = 12
	name, rest, ok := strings.Cut(v, "=")
	word, rest, _ := strings.Cut(rest, ";")
	if !ok || word == "" || len(word) > longest || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz") != "" || !slices.Contains(preferences, lowerASCII(name)) {
		return false
	}
	for rest != "" {
		var attribute string
		attribute, rest, _ = strings.Cut(rest, ";")
		attribute, _, _ = strings.Cut(strings.TrimSpace(lowerASCII(attribute)), "=")
		switch attribute {
		case "path", "domain", "expires", "max-age", "secure", "httponly", "samesite":
		default:
			return false
		}
	}
	return true
}

// preferences are the names of cookies for what a user likes.
var preferences = []string{"color_mode", "consent", "cookie_consent", "lang", "language", "locale", "theme"}

// cmdlets are the starts of commands of PowerShell that return a value.
var cmdlets = [...]string{"ConvertFrom-", "ConvertTo-", "Get-", "Import-", "New-", "Read-"}

// isCmdlet reports whether the value is a command of PowerShell, whose arguments follow: $pw = Read-Host x,
// -Password (Get-Secret x).
func (a *assignment) isCmdlet(v string) bool {
	name, open := strings.CutPrefix(v, "(")
	if !open && (a.key == 0 || a.s[a.key-1] != '$') {
		return false
	}
	for _, verb := range cmdlets {
		if noun, ok := strings.CutPrefix(name, verb); ok && noun != "" && 'A' <= noun[0] && noun[0] <= 'Z' {
			return strings.Trim(lowerASCII(noun), "abcdefghijklmnopqrstuvwxyz)") == ""
		}
	}
	return false
}

// isObject reports whether v is the name of an object of Kubernetes with a hash at its end, which has no vowels: db-login-7h2k9m5t8b.
func isObject(v string) bool {
	const short, long = 5, 10
	n := strings.LastIndexByte(v, '-')
	hash := v[n+1:]
	return n > 0 && (len(hash) == short || len(hash) == long) && strings.Trim(hash, "bcdfghjklmnpqrstvwxz2456789") == "" &&
		strings.Trim(v[:n], "abcdefghijklmnopqrstuvwxyz-") == ""
}

// isRename reports whether the key and the value are names of a file that was renamed, as git shows it: src/{token => auth}/store.go.
func (a *assignment) isRename(v string) bool {
	name, rest, ok := strings.Cut(v, "}")
	return ok && rest != "" && strings.IndexByte("/.", rest[0]) >= 0 && a.key > 0 && a.s[a.key-1] == '{' && strings.HasPrefix(a.s[a.end:], " => ") && !isRandom(name)
}

// isARN reports whether the key is a part of the name of a secret: arn:aws:secretsmanager:eu-west-1:1:secret:db.
func (a *assignment) isARN() bool {
	const longest = 80
	word := a.s[max(a.key-longest, 0):a.key]
	word = word[strings.LastIndexAny(word, " \t\n=\"'`,")+1:]
	return a.s[a.key:a.end] == "secret" && strings.HasPrefix(word, "arn:") && strings.HasSuffix(word, ":")
}

// placeholders stand for a value in usage texts, templates and logs.
var placeholders = []string{
	masked, "null", "nil", "none", "true", "false", "undefined", "string", "str", "{", "|", "%s", "%v", "%q", "eof",
	"redacted", "protected", "hidden", "filtered", "masked", "yes", "no", "not-set", "same-origin", "(sensitive", "(known", "!vault",
	"!ref", "!sub", "!getatt", "!secret", "!env",
}

// states are said of a secret, in logs.
var states = []string{
	"absent", "accepted", "changed", "created", "deleted", "denied", "disabled", "empty", "enabled", "expired", "fail", "failed", "files", "forbidden", "found", "incorrect", "invalid",
	"loaded", "match", "mismatch", "missing", "not", "ok", "present", "rejected", "removed", "required", "revoked", "rotated", "set", "timeout",
	"unauthorized", "unchanged", "unset", "updated", "valid", "verified",
}

// isState reports whether the value says something of the secret. What reaches to the end of the line need only begin so.
func (a *assignment) isState(v string) bool {
	if a.kind == isCookie || a.kind == isAuthorization {
		words := strings.Fields(v)
		if len(words) == 0 || strings.ContainsAny(v, "=,;") || slices.ContainsFunc(words, looksRandom) {
			return false
		}
		if a.kind == isCookie && len(words) > 1 {
			return true
		}
		v = words[0]
	}
	v = strings.TrimRight(strings.TrimLeft(v, "(<["), ".!:)>]")
	isError := v != "" && isAlnum(v[0]) && (strings.HasSuffix(v, "Error") || strings.HasSuffix(v, "Exception"))
	return slices.Contains(states, lowerASCII(v)) || isError && !a.equal
}

// complaints are the starts of messages by which forms and APIs say what is wrong with a value.
var complaints = []string{
	"can't ", "cannot ", "does not ", "doesn't ", "enter a ", "expected ", "field required", "has ", "incorrect ", "input should ", "invalid ", "is ", "isn't ", "may not ", "missing ",
	"must ", "not ", "password is ", "password must ", "password should ", "passwords do ", "please ", "required ", "should ", "string should ",
	"this field ", "this password ", "this token ", "this value ", "token is ", "token has ", "too ", "url input should ", "uuid input should ", "json input should ", "value error, ", "value is ", "value must ", "wrong ",
}

// saidOfValues are what messages of forms say of a value anywhere.
var saidOfValues = []string{
	" already exists", " at least ", " at most ", " between ", " character(s)", " characters", " didn't match", " do not match", " does not match", " length ", " match", " maximum ", " minimum ", " must ", " not match",
	" required", " too long", " too short", " valid ",
}

// isComplaint reports whether v says what is wrong with the secret: {"errors": {"password": "is too short"}}.
func isComplaint(v string) bool {
	const longest, sentence = 20, 200
	if low := lowerASCII(v[:min(sentence, len(v))]); strings.Count(low, " ") > 2 && slices.ContainsFunc(saidOfValues, func(said string) bool { return strings.Contains(low, said) }) {
		return true
	}
	start := lowerASCII(v[:min(longest, len(v))])
	if strings.HasPrefix(start, "the ") { // The password field is required
		words := strings.Fields(lowerASCII(v))
		return slices.ContainsFunc(words[1:], func(w string) bool {
			return slices.Contains([]string{"field", "format", "is", "may", "must", "should"}, w)
		})
	}
	return slices.ContainsFunc(complaints, func(c string) bool { return strings.HasPrefix(start, c) })
}

func isPlaceholder(v string) bool {
	const longest = 16
	if inner := strings.TrimLeft(v, "(<["); len(inner) <= longest {
		for _, p := range placeholders {
			if strings.EqualFold(v, p) || strings.EqualFold(inner, p) {
				return true
			}
		}
	}
	return strings.Trim(v, "*.-?_#=[]@:/\u2022\u2026") == "" || len(v) >= 3 && len(v) <= 40 && strings.Trim(v, "xX") == "" ||
		isVariable(v) || isPlaceName(v) || isReference(v) || strings.HasPrefix(v, "{{") || strings.HasPrefix(v, "<|") || strings.HasPrefix(v, "${") || strings.HasPrefix(v, "$env:") || strings.HasPrefix(v, "[]") || strings.HasPrefix(v, "%(") || strings.HasPrefix(v, "#{") || strings.HasPrefix(v, "<%") || strings.HasPrefix(v, "(*") || strings.HasPrefix(v, "$(")
}

// isReference reports whether v says where the secret is.
func isReference(v string) bool {
	for _, place := range [...]string{"arn:aws:", "op://", "file://", "vault:secret/", "@Microsoft.KeyVault("} {
		if strings.HasPrefix(v, place) {
			return true
		}
	}
	return false
}

// isOptionValue reports whether v stands for the value of an option in a usage text.
func isOptionValue(v string) bool {
	switch v[strings.LastIndexByte(v, '_')+1:] {
	case "FILE", "PASS", "NAME", "STRING", "VALUE", "PATH", "KEY", "ID", "ARG", "TEXT", "URL":
		return isUpperName(v)
	}
	isChoice := v[0] == '{' && strings.IndexByte(v, ',') > 0 && strings.Trim(v, "{,abcdefghijklmnopqrstuvwxyz-_") == "" // of argparse
	return v[0] == '<' || v == "value" || isChoice
}

// isOptionName reports whether v is the name of the option as a variable, as in the source code that declares it.
func (a *assignment) isOptionName(v string) bool {
	return strings.ReplaceAll(strings.Trim(a.s[a.key:a.end], "-"), "-", "_") == v
}

// isPath reports whether v is the path of a file: /etc/tls, ./x, ~/y.
func isPath(v string) bool {
	path := strings.TrimLeft(v, ".~")
	if path == "" || path[0] != '/' || len(v)-len(path) > 2 || path == v && strings.Count(v, "/") < 2 {
		return false
	}
	hasUpper, hasDigit := strings.ContainsAny(v, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), strings.ContainsAny(v, "0123456789")
	return !isRandom(v) && !(hasUpper && hasDigit) && strings.Trim(lowerASCII(path), "abcdefghijklmnopqrstuvwxyz0123456789._-/") == ""
}

func hasAlnum(v string) bool {
	return strings.ContainsFunc(v, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) })
}

// isVariable reports whether v is $NAME or $1.
func isVariable(v string) bool {
	name, ok := strings.CutPrefix(v, "$")
	return ok && name != "" && (len(name) == 1 || !isDigit(name[0])) && isUpperName(name)
}

func isUpperName(v string) bool {
	return strings.Trim(v, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") == ""
}

// isPlaceName reports whether v is a name like TOKEN or USER:YOUR_PASSWORD.
func isPlaceName(v string) bool {
	name := v[strings.IndexByte(v, ':')+1:]
	return isUpperName(strings.Replace(v, ":", "", 1)) && kindOf(strings.ToLower(name)) != notSecret && !isDigit(name[len(name)-1])
}

func isNumber(v string) bool { return strings.Trim(v, "0123456789") == "" }

// isVersion reports whether v is a short number or a version, maybe with a comparison before it.
func isVersion(v string) bool {
	v = strings.TrimRight(strings.TrimLeft(v, "<>=~^!v"), ":")
	if hex, ok := strings.CutPrefix(v, "0x"); ok && len(hex) <= 2 {
		return true
	}
	v, _, _ = strings.Cut(v, ",")
	return len(v) < 16 && strings.Contains(v, ".") && strings.Trim(v, "0123456789.") == ""
}

// isMeasure reports whether v is a number with a unit, as in "time per token: 12.3ms".
func isMeasure(v string) bool {
	unit := strings.TrimLeft(v, "0123456789.")
	return unit != v && slices.Contains([]string{"ms", "s", "us", "µs", "ns", "/s", "tok/s", "k", "%"}, unit)
}

// isCode reports whether the value, which is not quoted, is source code: a call, a type, or the name of a secret.
func (a *assignment) isCode(from, to int) bool {
	s, v := a.s, a.s[from:to]
	name := v
	if v == "await" || v == "new" || v == "range" {
		return to < len(s) && s[to] == ' '
	}
	if i := strings.IndexFunc(v, func(r rune) bool { return r >= 0x80 || !isKeyByte(byte(r)) && r != ':' }); i >= 0 {
		name = v[:i]
	}
	if !isName(name) {
		return false
	}
	end := from + len(name)
	rest := s[end:min(end+maxCode, len(s))]
	if n := strings.IndexByte(rest, '\n'); n >= 0 {
		rest = rest[:n]
	}
	first, _, dotted := strings.Cut(name, ".")
	switch {
	case strings.HasPrefix(rest, "("):
		plain := !a.blank && !strings.ContainsAny(name, "._") && !strings.HasPrefix(rest, "()")
		return !plain && (rest == "(" || isClosed(rest, ')'))
	case strings.HasPrefix(rest, "{"):
		return a.kind == isToken && 'A' <= name[0] && name[0] <= 'Z'
	case strings.HasPrefix(rest, "["), strings.HasPrefix(rest, "<"):
		return a.blank && (isClosed(rest, ']') || isClosed(rest, '>'))
	case end < to && v[len(name):] != ")":
		return false
	case a.compares, dotted && (first == "self" || first == "this" || first == "process" || first == "args"):
		return true
	case dotted:
		return a.blank && (kindOf(lowerASCII(name)) != notSecret || a.equal && strings.Count(name, ".") > 1)
	}
	owner, same := strings.CutSuffix(s[a.key:a.end], name)
	return same && (owner == "" || !isAlnum(owner[len(owner)-1]))
}

// maxCode is how many bytes of an expression are looked at.
const maxCode = 200

// isClosed reports whether the last bracket in the line ends an expression.
func isClosed(line string, bracket byte) bool {
	last := strings.LastIndexByte(line, bracket)
	return last > 0 && (last == len(line)-1 || strings.IndexByte(" ;,.)?:]}`", line[last+1]) >= 0)
}

// isName reports whether v is an identifier, maybe of several parts.
func isName(v string) bool {
	if v == "" || isDigit(v[0]) {
		return false
	}
	for i := range len(v) {
		if isDigit(v[i]) || v[i] == '-' {
			return false
		}
	}
	return true
}

// isDottedName reports whether v names a thing of a program: com.example.thing/12, or a.b.Thing@1f2e.
func isDottedName(v string) bool {
	v = v[:min(len(v), maxKey)]
	if i := strings.IndexAny(v, "/@"); i >= 0 {
		v = v[:i]
	}
	return strings.Count(v, ".") >= 2 && isName(v) && !strings.Contains(v, "..")
}

// prose are words that begin an explanation, where a value could stand.
var prose = []string{
	"and", "argument", "cannot", "can't", "does", "expected", "expired", "failed", "flag", "for", "from", "got", "has", "if", "in", "incorrect",
	"invalid", "is", "isn't", "missing", "must", "not", "option", "options", "or", "required", "requires", "should", "to", "too", "was", "when",
	"with", "wrong",
}

// negated are what is before the quote of such a word: can't.
var negated = []string{"aren", "can", "couldn", "didn", "doesn", "don", "hasn", "isn", "mustn", "shouldn", "wasn", "won"}

// proseStarts are words that begin a sentence if another word follows.
var proseStarts = []string{
	"accepts", "access", "all", "allows", "at", "authentication", "authorization", "checks", "context", "could", "dial", "error", "exit", "fails", "handles", "it", "line", "login", "may",
	"no", "only", "open", "parameter", "parse", "password", "passwords", "permission", "please", "raises", "readonly", "rejects", "returns", "rpc", "secrets", "shows", "stat", "that",
	"the", "this", "throws", "token", "trims", "type", "unable", "unbound", "unexpected", "unknown", "validates", "value", "via", "you", "your",
}

// isProse reports whether "token: v" is part of a sentence, or "--token v" of a usage text.
func (a *assignment) isProse(v string, to int) bool {
	if !a.blank {
		return false
	}
	first, _, _ := strings.Cut(v, " ")
	word := lowerASCII(strings.TrimRight(first, ".,;:!?"))
	isNegated := slices.Contains(negated, word) && strings.HasPrefix(a.s[to:], "'t ")
	if slices.Contains(prose, word) || isNegated || slices.Contains(proseStarts, word) && to < len(a.s) && a.s[to] == ' ' {
		return !a.equal || a.flag
	}
	if !a.equal && (!isMixed(v) || strings.HasSuffix(v, ":")) && a.isFetched() {
		return true
	}
	if next := a.s[to:]; !a.equal && strings.HasPrefix(next, ` "http`) || isNumber(v) && strings.HasPrefix(next, " bytes") {
		return true // the error of Go's client: Post "https://x": EOF
	}
	isFile, isEmpty := !a.equal && a.key > 0 && a.s[a.key-1] == '/', strings.HasPrefix(a.s[a.end:], "= ")
	if (isFile || isEmpty) && isName(first) && to < len(a.s) && a.s[to] == ' ' {
		return true // a remark on a file, or after an empty value
	}
	if !a.equal && to < len(a.s) && a.s[to] == ' ' && !isMixed(v) && a.isTestName() {
		return true
	}
	if !a.equal && a.isMissing() || a.bold && to < len(a.s) && a.s[to] == ' ' && !isMixed(v) {
		return true
	}
	if a.flag && a.at-a.end > 1 && isName(word) && to < len(a.s) && a.s[to] == ' ' {
		return true // the description of an option, in its column
	}
	if key, ok := strings.CutSuffix(v, ":"); ok && !a.equal && (isName(key) || isPackage(key)) {
		return true
	}
	if a.kind != isToken || a.equal || len(v) >= 16 {
		return false
	}
	letters := 0
	for i := range len(v) {
		if isDigit(v[i]) {
			return false
		}
		if isLetter(v[i]) || v[i] == '_' && isUpperName(v) { // unexpected token: KEY_VALUE
			letters++
		}
	}
	return letters == 0 || letters == len(v)
}

// isPackage reports whether a word is written as the name of a package that begins an error is, or as the number of an error of Azure: oauth2.
func isPackage(word string) bool {
	letters := strings.TrimRight(word, "0123456789")
	return letters == "AADSTS" || len(word)-len(letters) <= len("509") && letters != "" && strings.Trim(letters, "abcdefghijklmnopqrstuvwxyz") == ""
}

// verbs precede the secret in an error message.
var verbs = []string{
	"access", "acquire", "acquiring", "create", "creating", "decode", "decoding", "decrypt", "decrypting", "exchange", "exchanging", "fetch", "fetching", "find", "get", "getting", "load", "loading", "obtain",
	"parse", "parsing", "read", "reading", "refresh", "refreshing", "resolve", "resolving", "renew", "request", "retrieve", "retrieving", "save", "sign", "store", "validate", "verify",
}

// isFetched reports whether the key is the object of a verb, so that what follows may be the reason why that failed:
// "cannot get secret: forbidden".
func (a *assignment) isFetched() bool {
	words := strings.Fields(lowerASCII(a.s[max(a.key-40, 0):a.key]))
	if n := len(words); n > 1 && (words[n-1] == "the" || words[n-1] == "a") {
		words = words[:n-1]
	}
	return len(words) > 0 && a.s[a.key-1] == ' ' && slices.Contains(verbs, strings.TrimLeft(words[len(words)-1], "["))
}

// isTestName reports whether the line of the key begins with the result of a test: ✓ password: validates length.
func (a *assignment) isTestName() bool {
	line := a.s[max(a.key-maxCode, 0):a.key]
	line = strings.TrimLeft(line[strings.LastIndexByte(line, '\n')+1:], " \t")
	for _, mark := range [...]string{"✓ ", "✔ ", "✅ ", "√ ", "✗ ", "✘ ", "✖ ", "✕ ", "× ", "❌ ", "● ", "○ ", "ok ", "not ok ", "PASS ", "FAIL ", "--- "} {
		if strings.HasPrefix(line, mark) {
			return true
		}
	}
	return false
}

// isMissing reports whether the value is the name of a missing secret: "missing secret: DATABASE_URL".
func (a *assignment) isMissing() bool {
	before := strings.TrimRight(lowerASCII(a.s[max(a.key-20, 0):a.key]), " ")
	for _, word := range [...]string{"missing", "missing required", "no such", "undefined", "unset"} {
		if strings.HasSuffix(before, word) {
			return true
		}
	}
	return false
}

// isOtherPass reports whether a key that ends in "pass" names no password: "pass: 12", compass, bypass.
func (a *assignment) isOtherPass() bool {
	key := strings.TrimRight(a.s[a.key:a.end], "0123456789_-.")
	name, p := key[:len(key)-4], key[len(key)-4]
	bare := strings.Trim(name, "-_.") == ""
	return bare && !a.equal || name != "" && isAlnum(name[len(name)-1]) && p == 'p'
}

// beside reports whether a label of this name is near the key: {user: bob, pass: x}.
func (a *assignment) beside(label string) bool {
	const near = 80
	for _, part := range [...]string{a.s[max(a.key-near, 0):a.key], a.s[a.end:min(a.end+near, len(a.s))]} {
		_, user, ok := strings.Cut(lowerASCII(part), label)
		user = strings.TrimLeft(strings.TrimPrefix(user, "name"), "\"' ")
		if ok && user != "" && (user[0] == ':' || user[0] == '=') {
			return true
		}
	}
	return false
}

// isChannel reports whether the key and its value are the prefix of a line in playwright's log, such as pw:api.
func (a *assignment) isChannel() bool {
	return a.s[a.key:a.end] == "pw" && !a.blank && !a.equal && (a.key == 0 || a.s[a.key-1] <= ' ')
}
