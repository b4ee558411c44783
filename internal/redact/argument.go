package redact

import "strings"

// isOption reports whether the key in [key, end) is an option: --token, or -token after another argument, as a line of a
// diff may begin with a dash.
func isOption(s string, key, end int) bool {
	const shortest = len("-token")
	return strings.HasPrefix(s[key:end], "--") || s[key] == '-' && end-key >= shortest && key > 1 &&
		(isQuote(s[key-1]) || s[key-1] == ' ' && s[key-2] > ' ')
}

// isSQL reports whether the key stands before a password in SQL: ALTER ROLE bob PASSWORD 'x', IDENTIFIED BY 'x'.
func (a *assignment) isSQL() bool {
	const far = 200
	if at := skipBlanks(a.s, a.end); !isString(a.s, at) && !strings.HasSuffix(a.s[:a.key], "identified ") && !strings.HasSuffix(a.s[:a.key], "IDENTIFIED ") {
		return false
	}
	if a.isIdentified() {
		return true
	}
	before := lowerASCII(a.s[max(a.key-far, 0):a.key])
	before = before[strings.LastIndexAny(before, "\n;")+1:]
	if strings.EqualFold(a.s[a.key:a.end], "by") {
		clause := before[strings.LastIndexAny(before, "\"'")+1:] // after the user's name
		return strings.Contains(clause, "identified ") && (strings.Contains(before, "user ") || strings.Contains(before, "grant "))
	}
	for _, statement := range [...]string{"create user ", "create role ", "alter user ", "alter role ", "create secret "} {
		if strings.Contains(before, statement) {
			return true
		}
	}
	return false
}

// isIdentified reports whether the key is the last word before a password in a clause of MySQL: IDENTIFIED BY 'x', IDENTIFIED
// WITH y AS 'x', IDENTIFIED BY PASSWORD 'x'. In lower case, which is also prose, it must be a line of its own in a statement.
func (a *assignment) isIdentified() bool {
	const far = 200
	if !isString(a.s, skipBlanks(a.s, a.end)) {
		return false
	}
	lines := strings.Split(a.s[max(a.key-far, 0):a.key], "\n")
	words := strings.Fields(lines[len(lines)-1])
	n := len(words) - 1
	if n > 0 && (strings.EqualFold(words[n], "by") || strings.EqualFold(words[n], "using")) { // before PASSWORD
		n--
	}
	if n > 1 && (strings.EqualFold(words[n-1], "with") || strings.EqualFold(words[n-1], "via")) {
		n -= 2
	}
	if n < 0 || !strings.EqualFold(strings.TrimLeft(words[n], "\"'`(:"), "identified") {
		return false
	}
	if strings.HasSuffix(words[n], "IDENTIFIED") {
		return true
	}
	if n > 0 || len(lines) < 2 {
		return false
	}
	above := strings.TrimLeft(lines[len(lines)-2], " \t")
	return hasPrefixFold(above, "create user ") || hasPrefixFold(above, "alter user ") || hasPrefixFold(above, "grant ")
}

// column returns the start of the value for the column whose name ends at i, or 0, as in INSERT INTO t (a, password) VALUES ('x', 'y').
func (a *assignment) column(i int) int {
	const far = 500
	if i == len(a.s) || a.s[i] != ',' && a.s[i] != ')' {
		return 0
	}
	before := lowerASCII(a.s[max(a.key-far, 0):a.key])
	list := strings.LastIndexByte(before, '(')
	if list < 0 || !strings.Contains(before[:list], "insert into ") {
		return 0
	}
	rest := a.s[i:min(i+far, len(a.s))]
	end := strings.IndexByte(rest, ')') + 1
	values := strings.TrimLeft(rest[end:], " \n")
	if end == 0 || !hasPrefixFold(values, "values") {
		return 0
	}
	open := strings.IndexByte(values, '(')
	if open < 0 {
		return 0
	}
	at := i + len(rest) - len(values) + open + 1
	for range strings.Count(before[list:], ",") {
		from := skipBlanks(a.s, at)
		start, to := valueAt(a.s, from)
		if n := strings.IndexByte(a.s[from:to], ','); n >= 0 && start == from { // DEFAULT,$1
			to = from + n
		}
		comma := strings.IndexByte(a.s[to:min(to+2, len(a.s))], ',')
		if comma < 0 {
			return 0
		}
		at = to + comma + 1
	}
	return skipBlanks(a.s, at)
}

// duplicate returns the place of the value of the column whose name is the key, in what PostgreSQL says of rows that have the same
// value: Key (name, token)=(a, x) already exists. The place is empty if the key is no such name.
func (a *assignment) duplicate() (from, to int) {
	const far = 500
	s, i := a.s, skipCloser(a.s, a.end)
	if i == len(s) || s[i] != ',' && s[i] != ')' {
		return 0, 0
	}
	before := lowerASCII(s[max(a.key-far, 0):a.key])
	list := strings.LastIndexByte(before, '(')
	if list < 0 || !strings.HasSuffix(before[:list], "key ") {
		return 0, 0
	}
	rest, _, _ := strings.Cut(s[i:min(i+far, len(s))], "\n")
	names, values, ok := strings.Cut(rest, ")=(")
	if !ok || strings.Contains(names, ")") {
		return 0, 0
	}
	from = i + len(rest) - len(values)
	for range strings.Count(before[list:], ",") {
		_, after, ok := strings.Cut(values, ", ")
		if !ok {
			return 0, 0
		}
		from, values = from+len(values)-len(after), after
	}
	end := ")"
	if strings.Contains(names, ",") {
		end = ", "
	}
	value, _, ok := strings.Cut(values, end)
	if !ok || isPlaceholder(value) || a.kind == isKey && !isRandom(value) {
		return 0, 0
	}
	return from, from + len(value)
}

// nextArgument returns the start of the argument after the one that ends at i, in a shell's line or in a list.
func nextArgument(s string, i int) int {
	const deepest = 80
	end := skipCloser(s, i)
	rest := s[end:min(end+deepest, len(s))]
	text := strings.TrimLeft(rest, " \t\n")
	item := strings.TrimLeft(strings.TrimPrefix(text, ","), " \t\n")
	switch {
	case end > i && item != text && isString(item, 0):
		text = item
	case end > i && strings.HasPrefix(rest, " ") && isString(text, 0): // "--token" "x"
	case end > i && strings.HasPrefix(rest, " a") && strings.IndexByte(text, '=') > 1 && isNumber(text[1:strings.IndexByte(text, '=')]): // a1="--token" a2="x", of auditd
		text = text[strings.IndexByte(text, '=')+1:]
	case end == i && strings.HasPrefix(rest, ", ") && isListWord(s, i, item): // [--token, x], as Java prints a list
		text = item
	case strings.HasPrefix(rest, "\n") && strings.HasPrefix(text, "- "):
		text = text[len("- "):]
	case strings.HasPrefix(rest, "\n") && isBelow(s, i, rest[1:len(rest)-len(text)]) && !strings.Contains(lineAt(text, 0), " "):
	default:
		return skipBlanks(s, i)
	}
	return end + len(rest) - len(text)
}

// isListWord reports whether the option that ends at i is in a list in brackets, and the item after it is a word of letters and digits.
func isListWord(s string, i int, item string) bool {
	const far = 200
	before := s[max(i-far, 0):i]
	n := strings.IndexAny(item, ",]\n")
	return n > 0 && item[n] != '\n' && isMixed(item[:n]) && item[0] != '-' && strings.LastIndexByte(before, '[') > strings.LastIndexByte(before, ']')
}

// isBelow reports whether an option with this indentation is all that stands in the line that ends at i.
func isBelow(s string, i int, indent string) bool {
	line := s[max(i-maxKey-len(indent), 0):i]
	line, ok := strings.CutPrefix(line[strings.LastIndexByte(line, '\n')+1:], indent)
	return ok && indent != "" && strings.HasPrefix(line, "-") && !strings.Contains(line, " ")
}

// isArgument reports whether something other than an option begins at i.
func isArgument(s string, i int) bool {
	if isString(s, i) {
		i++
	}
	return i < len(s) && s[i] > ' ' && s[i] != '-'
}

// setsKey reports whether the key at i is what a command sets to its next argument.
func setsKey(s string, i int) bool {
	before := s[max(i-20, 0):i]
	for _, command := range [...]string{"ENV ", "setenv ", "SetEnv ", "set -gx ", "set -x ", "_header ", "-header ", "setx ", "(def ", "(defonce ", "(setq ", "(define "} {
		if strings.HasSuffix(before, command) {
			return true
		}
	}
	if strings.HasSuffix(before, "#define ") {
		return definesSecret(s, i)
	}
	return runs(s, i, "config set |configure set |config create |mysqladmin |nmcli |user-secrets set |consul kv put |etcdctl put ")
}

// definesSecret reports whether the macro of C whose name begins at i can be a secret: a text that is not its own name, or a
// word of letters and digits, but no expression.
func definesSecret(s string, i int) bool {
	name, value, _ := strings.Cut(lineAt(s, i), " ")
	value = strings.TrimLeft(value, " \t")
	if isString(value, 0) {
		plain := strings.NewReplacer("_", "", "-", "", " ", "", `"`, "")
		return !strings.Contains(plain.Replace(lowerASCII(name)), plain.Replace(lowerASCII(value)))
	}
	return isMixed(value) && !isDigit(value[0]) && strings.Trim(lowerASCII(value), "abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}

// secondArgument returns the place of the second of two texts in parentheses, a user and a password, after the key that ends
// at i: auth=("bob", "x"), SetBasicAuth("bob", "x"), auth=HTTPBasicAuth("bob", "x").
func secondArgument(s string, i int) (from, to int) {
	const far = 40
	name, _, ok := strings.Cut(s[i:min(i+far, len(s))], "(")
	if at := i + len(name) + 1; ok && strings.TrimLeft(name, "=ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz. ") == "" && isString(s, at) {
		_, to = valueAt(s, at)
		if comma := skipCloser(s, to); strings.HasPrefix(s[comma:], ",") && isString(s, skipBlanks(s, comma+1)) {
			if from, to = valueAt(s, skipBlanks(s, comma+1)); strings.HasPrefix(s[skipCloser(s, to):], ")") && !isPlaceholder(s[from:to]) {
				return from, to
			}
		}
	}
	return 0, 0
}

// loginIMAP returns the place of the second and last argument of the command LOGIN of IMAP, which follows a tag: a1 LOGIN bob x.
func loginIMAP(s string, key, end int) (from, to int) {
	const longest = 12
	before := strings.TrimRight(s[max(key-longest, 0):key], " ")
	tag := before[strings.LastIndexAny(before, " '\n")+1:]
	if s[key:end] != "LOGIN" || tag == "" || !isLetter(tag[0]) || !isDigit(tag[len(tag)-1]) || end == len(s) || s[end] != ' ' {
		return 0, 0
	}
	from, to = argumentAt(s, end, 2)
	if strings.Trim(lineAt(s, to), `'"\rn`) != "" {
		return 0, 0 // words
	}
	return from, to
}

// beginsCommand reports whether the key is the first word of a command line in quotes, of which words follow: sh -c "TOKEN=x make",
// "command": "TOKEN=x make".
func (a *assignment) beginsCommand() bool {
	const longest = 20
	before := strings.TrimRight(a.s[max(a.key-longest, 0):a.key], "\\\"'`:= ")
	switch lowerASCII(before[strings.LastIndexAny(before, " \t\n\"'`,{([")+1:]) {
	case "-c", "-ec", "-lc", "-xc", "cmd", "command", "eval", "exec", "run", "script", "shell", "sh":
		return true
	}
	return false
}

// usageDefault returns the place of the value of an option that a usage text shows as its default, which may come from the environment, or
// an empty place: --token string  API token (default "x"). The text may go on in the next line.
func (a *assignment) usageDefault() (from, to int) {
	const far, most = 300, 3
	s := a.s
	if s[a.key] != '-' || a.kind != isPassword && a.kind != isToken {
		return 0, 0
	}
	text := s[a.end:min(a.end+far, len(s))]
	for n, at := 0, 0; n < most; n++ { // up to the next option
		end := strings.IndexByte(text[at:], '\n')
		if end < 0 {
			break
		}
		at += end + 1
		if next := strings.TrimLeft(text[at:], " \t"); next == text[at:] || next == "" || next[0] == '-' || next[0] == '\n' {
			text = text[:at]
			break
		}
	}
	i := strings.Index(text, "default")
	if i < 1 || strings.IndexByte("([ ,", text[i-1]) < 0 {
		return 0, 0
	}
	i = skipBlanks(s, a.end+i+len("default"))
	if i < len(s) && s[i] == ':' {
		i = skipBlanks(s, i+1)
	}
	if from, to = valueAt(s, i); from == i {
		to = from + len(strings.TrimRight(s[from:to], ")],"))
	}
	if v := s[from:to]; !isMixed(v) || isPlaceholder(v) || isPath(v) || strings.Contains(v, "://") {
		return 0, 0
	}
	return from, to
}

// argumentEnd returns where the value ends: in "DB_PASSWORD=my words", the value of a variable reaches to the quote that was
// opened before its name.
func (a *assignment) argumentEnd(from, to int) int {
	const longest = 200
	if a.key == 0 || !isQuote(a.s[a.key-1]) || from != a.end+len("=") || !isUpperName(a.s[a.key:a.end]) || isPlaceholder(a.s[from:to]) || a.beginsCommand() {
		return to
	}
	quote := a.s[a.key-1 : a.key]
	end := quoteEnd(a.s[:min(from+longest, len(a.s))], from, quote)
	if !strings.HasPrefix(a.s[end:], quote) || strings.Contains(a.s[min(to, end):end], "=") {
		return to
	}
	return max(end, to)
}
