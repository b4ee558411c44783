package redact

import (
	"encoding/base64"
	"strings"
)

// The finders in this package call add for each secret in s; low is s in lower case. Each goes over s once, with a
// bounded look around. They are written by hand, because regular expressions would have to be compiled in every short
// process that masks a line, and are slow if they begin with anything. "[masked]" counts as part of a word, so that
// masked text is not masked again differently.

// findURLs finds the user and password of https://user:password@host, and the token of https://token@host. JSON may escape the
// slashes, and do so again in another JSON.
func findURLs(s string, add func(from, to int)) {
	for _, sep := range [...]string{"//", `/\`} {
		for i := strings.Index(s, sep); i >= 0; i = indexFrom(s, sep, i+len(sep)) {
			from := i + 1 + backslashes(s, i+1)
			if !strings.HasSuffix(strings.TrimRight(s[max(i-4, 0):i], `\`), ":") || from == len(s) || s[from] != '/' {
				continue
			}
			from++
			user := userinfo(s, from)
			switch name, pass, ok := strings.Cut(user, ":"); {
			case ok && pass != "" && !isPlaceholder(pass):
				add(from+len(name)+1, from+len(user))
				add(from, from+len(user))
			case ok && pass == "" && name != "", !ok && looksRandom(user):
				add(from, from+len(user))
			}
		}
	}
}

// findQuotedURLs finds the user and password of https%3A%2F%2Fuser%3Apassword%40host, an address in the query of another one.
func findQuotedURLs(s string, add func(from, to int)) {
	const (
		sep     = "%3A%2F%2F"
		longest = 300
	)
	for at := strings.Index(s, "%40"); at >= 0; at = indexFrom(s, "%40", at+1) {
		before := lowerASCII(s[max(at-longest, 0):at])
		n := strings.LastIndex(before, lowerASCII(sep))
		if n < 0 {
			continue
		}
		user := before[n+len(sep):]
		_, pass, ok := strings.Cut(user, "%3a")
		if strings.Contains(user, "%2f") || strings.ContainsFunc(user, func(r rune) bool { return r >= 0x80 || !isKeyByte(byte(r)) && !strings.ContainsRune("%~!*+", r) }) {
			continue
		}
		if ok && pass != "" && !isPlaceholder(pass) || !ok && looksRandom(user) {
			add(at-len(user), at)
		}
	}
}

// findPorts finds the part of a password that a program took for a port: parse "http://bob:x": invalid port ":x" after host.
func findPorts(s string, add func(from, to int)) {
	const longest = 300
	for _, before := range [...]string{`invalid port ":`, `integer value as '`, `invalid integer value "`} {
		for i := strings.Index(s, before); i >= 0; i = indexFrom(s, before, i+len(before)) {
			from := i + len(before)
			to := quoteEnd(s[:min(from+longest, len(s))], from, strings.Trim(before[len(before)-2:], ": "))
			if isPlaceholder(s[from:to]) || to == len(s) || !isQuote(s[to]) {
				continue
			}
			add(from, to)
			if end := i - len(`": `); strings.HasSuffix(s[:max(end, 0)], ":"+s[from:to]) {
				add(end-(to-from), end)
			}
		}
	}
}

// findDSNs finds the user and password in user:password@tcp(host), the address format of Go's MySQL driver.
func findDSNs(s string, add func(from, to int)) {
	const longest = 200
	for _, sep := range [...]string{"@tcp(", "@unix("} {
		for at := strings.Index(s, sep); at >= 0; at = indexFrom(s, sep, at+len(sep)) {
			word := s[max(at-longest, 0):at]
			word = word[strings.LastIndexAny(word, " \t\n\"'`")+1:]
			if len(word) == longest {
				continue
			}
			if _, after, ok := strings.Cut(word, "://"); ok {
				word = after
			}
			name, pass, _ := strings.Cut(word, ":")
			name = name[strings.LastIndexByte(name, '=')+1:]
			if name != "" && pass != "" && !isPlaceholder(pass) {
				add(at-len(pass)-len(":")-len(name), at)
			}
		}
	}
}

// findPgpass finds the password in lines of .pgpass that have an asterisk: *:*:*:bob:x.
func findPgpass(s string, add func(from, to int)) {
	const any = "*:"
	for i := strings.Index(s, any); i >= 0; i = indexFrom(s, any, i+len(any)) {
		if from, to := pgpassAt(s, i); from < to {
			add(from, to)
		}
	}
}

// pgpassAt returns the place of the password in the line of .pgpass, host:port:database:user:x, that has its host or port at i,
// or an empty place.
func pgpassAt(s string, i int) (from, to int) {
	const longest = 200
	from = max(i-longest, 0)
	from += 1 + strings.LastIndexByte(s[from:i], '\n')
	line := lineAt(s, from)
	fields := strings.SplitN(strings.TrimLeft(line, " \t"), ":", 5)
	if len(fields) < 5 || !isNumber(strings.TrimPrefix(fields[1], "*")) || isPlaceholder(fields[4]) {
		return 0, 0
	}
	for _, f := range fields[:4] {
		if f == "" || strings.ContainsAny(f, " \t/\"'") {
			return 0, 0
		}
	}
	return from + len(line) - len(fields[4]), from + len(line)
}

// mailLogin returns the place of the password in the line after a mail server's question for it, which is at i: 334 UGFzc3dvcmQ6,
// the base64 of "Password:". The place is empty if there is none.
func mailLogin(s string, i int) (from, to int) {
	const longest = 200
	n := strings.IndexByte(s[i:min(i+longest, len(s))], '\n')
	if n < 0 {
		return 0, 0
	}
	text := strings.TrimRight(strings.TrimSuffix(lineAt(s, i+n+1), `\r\n'`), "\r")
	word := text[strings.LastIndexAny(text, " '\"")+1:]
	if _, err := base64.StdEncoding.DecodeString(word); err != nil || strings.HasPrefix(word, mailQuestion) {
		return 0, 0
	}
	to = i + n + 1 + len(text)
	return to - len(word), to
}

// mailQuestion is how the base64 of a mail server's question for a password begins.
const mailQuestion = "UGFzc3dvcmQ"

// findCookies finds the values in the lines of a cookie jar as curl and browsers write it: domain, TRUE, path, FALSE, time, name, x.
func findCookies(s string, add func(from, to int)) {
	const longest = 4 << 10
	for _, flag := range [...]string{"\tTRUE\t/", "\tFALSE\t/"} {
		for i := strings.Index(s, flag); i >= 0; i = indexFrom(s, flag, i+len(flag)) {
			line, _, _ := strings.Cut(s[i+1:min(i+longest, len(s))], "\n")
			fields := strings.SplitN(line, "\t", 6) // from the flag on
			if len(fields) < 6 || fields[2] != "TRUE" && fields[2] != "FALSE" || fields[3] == "" || !isNumber(fields[3]) {
				continue
			}
			if value := strings.TrimRight(fields[5], " "); value != "" && !isPlaceholder(value) {
				to := i + 1 + len(line) - len(fields[5]) + len(value)
				add(to-len(value), to)
			}
		}
	}
}

// addSubstitutions adds what sed and perl put in the place of a name of a secret, in the rest of the line after the command's name,
// which ends at i: sed s/@DB_PASSWORD@/x/. It returns where it stopped.
func addSubstitutions(s string, i int, add func(from, to int)) int {
	const longest, most = 1000, 16 // bytes of the line, and substitutions in it
	line, _, _ := strings.Cut(s[i:min(i+longest, len(s))], "\n")
	for at, n := 1, 0; at+1 < len(line) && n < most; at++ {
		if line[at] != 's' || isKeyByte(line[at-1]) || strings.IndexByte("/|#,!:@~%+", line[at+1]) < 0 {
			continue
		}
		n++
		sign := line[at+1 : at+2]
		name, rest, _ := strings.Cut(line[at+2:], sign)
		value, _, ok := strings.Cut(rest, sign)
		if !ok {
			continue
		}
		at += len("s/") + len(name) + len("/")
		key := strings.Trim(name, "@$%{}<>_#[]()^\\/ ")
		if kind := kindOf(lowerASCII(key)); (kind == isPassword || kind == isToken) && isUpperName(key) && value != "" && !isPlaceholder(value) {
			add(i+at, i+at+len(value))
		}
		at += len(value)
	}
	return i + len(line)
}

// pipedTo are commands that read a password.
const pipedTo = "--password-stdin|--passwd-on-stdin|chpasswd|--with-token|passwd |kinit |cryptsetup |sudo -S|--passphrase-fd 0|--passphrase-fd=0|" +
	"secret create |secret set |secret put |secrets create |secrets versions add |password=-|=/dev/stdin|config set --secret |vault kv put "

// findPiped finds what echo writes to a command that reads a password, and what the shell does: echo bob:x | chpasswd, kinit bob <<< x,
// cat <<< x | chpasswd.
func findPiped(s string, add func(from, to int)) {
	const (
		echo = "echo "
		here = "<<<"
	)
	for at := strings.Index(s, echo); at >= 0; at = indexFrom(s, echo, at+len(echo)) {
		add(echoed(s, at, at+len(echo)-1))
	}
	for at := strings.Index(s, here); at >= 0; at = indexFrom(s, here, at+len(here)) {
		if text := skipBlanks(s, at+len(here)); runs(s, at, pipedTo) && !isPlaceholder(startOf(s, text)) {
			add(valueAt(s, text))
		} else {
			add(echoed(s, at, at+len(here)))
		}
	}
}

// echoed returns the place of the argument that follows the command in [at, end) if what that writes goes to a command that reads a
// password, or an empty place.
func echoed(s string, at, end int) (from, to int) {
	const longest = 1000
	line, _, _ := strings.Cut(s[at:min(at+longest, len(s))], "\n")
	text, command, _ := strings.Cut(line, "|")
	if n := strings.IndexAny(command, ";&"); n >= 0 {
		command = command[:n]
	}
	if command == "" {
		return traced(s, at, end)
	}
	if !runs(command, len(command), pipedTo) {
		return 0, 0
	}
	stop := at + len(text)
	s = s[:min(stop+1, len(s))]
	if from, to = written(s, end, stop); to > stop || isPlaceholder(s[from:to]) {
		return 0, 0
	}
	return from, to
}

// written returns the place of the first argument after i, and before stop, that is no option, or of the last one after a format:
// echo -n x, printf %s:%s bob x.
func written(s string, i, stop int) (from, to int) {
	const most = 4 // arguments after a format
	at := skipBlanks(s, i)
	for at < stop && s[at] == '-' {
		at = skipBlanks(s, wordEnd(s, at))
	}
	from, to = valueAt(s, min(at, len(s)))
	if s[i-1] == 'f' && strings.Contains(s[from:to], "%") {
		for range most {
			next := skipBlanks(s, skipCloser(s, to))
			if next >= stop || next == to {
				break
			}
			from, to = valueAt(s, next)
		}
	}
	if to > stop && !isQuote(s[from-1]) { // no blank before the bar
		to = max(from, stop)
	}
	return from, to
}

// traced is echoed for the trace of a shell, which shows the commands of a pipe in lines of their own, in any order: + echo x. The
// argument must have letters and digits.
func traced(s string, at, end int) (from, to int) {
	const (
		longest = 1000
		sign    = "+ "
	)
	if !strings.HasSuffix(s[:at], sign) {
		return 0, 0
	}
	line, after, _ := strings.Cut(s[end:min(end+longest, len(s))], "\n")
	from, to = written(s[:end+len(line)], end, end+len(line))
	if !isMixed(s[from:to]) || strings.Trim(s[to:end+len(line)], `'"`) != "" || isPlaceholder(s[from:to]) {
		return 0, 0
	}
	before := s[max(at-longest, 0):at]
	before = before[:max(strings.LastIndexByte(before, '\n'), 0)]
	before = before[strings.LastIndexByte(before, '\n')+1:]
	after, _, _ = strings.Cut(after, "\n")
	for _, other := range [...]string{before, after} {
		if _, command, ok := strings.Cut(other, sign); ok && containsAny(command+" ", pipedTo) {
			return from, to
		}
	}
	return 0, 0
}

// findDuplicates finds what MySQL says of rows that have the same value in a column whose name, or whose index's, is that of a secret:
// Duplicate entry 'x' for key 'users.token'.
func findDuplicates(s, low string, add func(from, to int)) {
	const (
		before = "Duplicate entry '"
		after  = "' for key "
		far    = 500
	)
	for i := strings.Index(s, before); i >= 0; i = indexFrom(s, before, i+len(before)) {
		from := i + len(before)
		n := strings.Index(s[from:min(from+far, len(s))], after)
		if n < 0 {
			continue
		}
		key := from + n + len(after)
		for key < len(s) && !isKeyByte(s[key]) && s[key] != '\n' {
			key++
		}
		end := key
		for end < len(s) && isKeyByte(s[end]) {
			end++
		}
		name := low[key:end]
		if kind := kindOf(name); (kind == isPassword || kind == isToken || hasSecretPart(name)) && !isPlaceholder(s[from:from+n]) {
			add(from, from+n)
		}
	}
}

// userinfo returns what stands before the @ in the authority of a URL that begins at from.
func userinfo(s string, from int) string {
	end := from
	for end < len(s) && s[end] != '/' && s[end] != '?' && s[end] != '#' && (!endsURL(s[end]) || strings.HasPrefix(s[end:], `\:`)) { // as Java escapes it
		end++
	}
	at := strings.LastIndexByte(s[from:end], '@')
	if _, port, ok := strings.Cut(s[from:end], ":"); at < 0 && ok && !isNumber(port) {
		// It is no port, so it may be a password that contains a slash, or a blank if the address is quoted.
		for end < len(s) && end-from < 300 && !endsURL(s[end]) {
			end++
		}
		text := s[from:end]
		before := strings.TrimRight(s[max(from-40, 0):from], "abcdefghijklmnopqrstuvwxyz0123456789+-.:/") // the scheme
		if n := len(before); n > 0 && isQuote(before[n-1]) {
			_, to := valueAt(s[:min(from+300, len(s))], max(from-40, 0)+n-1)
			text = s[from:max(to, from)]
		}
		at = strings.LastIndexByte(text, '@')
	}
	return s[from : from+max(at, 0)]
}

func endsURL(c byte) bool {
	return c <= ' ' || isQuote(c) || c == '<' || c == '>' || c == '\\'
}
