package redact

import "strings"

// The finders below call add for each secret they see in s. Each goes through s once, with bounded looks around; low is s
// with ASCII letters in lower case. They are written by hand: regular expressions would have to be compiled in every
// short process that masks a line, and Go's are slow where a pattern begins with anything. "[masked]" counts as part of a
// word, so that masked text is not masked again in another way.

// findKeyBlocks finds private keys as PEM and its kin write them. A block without an end goes to the end of s; of one
// without a beginning the lines before its end that look like base64 are masked.
func findKeyBlocks(s string, add func(from, to int)) {
	const label = "PRIVATE KEY"
	begin := -1
	for at := 0; ; {
		i := strings.Index(s[at:], label)
		if i < 0 {
			break
		}
		i += at
		at = i + len(label)
		from, word := keyLabel(s, i)
		to := strings.IndexByte(s[at:min(at+40, len(s))], '-')
		switch {
		case to < 0:
			to = at
		default:
			for to += at; to < len(s) && s[to] == '-'; to++ {
			}
		}
		switch {
		case word == "BEGIN" && begin < 0:
			begin = from
		case word == "END" && begin >= 0:
			add(begin, to)
			begin = -1
		case word == "END":
			add(base64Before(s, from), to)
		}
	}
	if begin >= 0 {
		add(begin, len(s))
	}
}

// keyLabel looks before i for "-----BEGIN RSA " or "-----END RSA ", and gives where it begins.
func keyLabel(s string, i int) (from int, word string) {
	lo := max(i-60, 0)
	before := s[lo:i]
	if nl := strings.LastIndexByte(before, '\n'); nl >= 0 {
		lo += nl + 1
		before = s[lo:i]
	}
	for _, w := range []string{"BEGIN", "END"} {
		if j := strings.LastIndex(before, w+" "); j >= 0 && strings.HasSuffix(strings.TrimRight(before[:j], " "), "--") {
			from = lo + j
			for from > 0 && (s[from-1] == '-' || s[from-1] == ' ' && from > 1 && s[from-2] == '-') {
				from--
			}
			return from, w
		}
	}
	return i, ""
}

// base64Before gives where the base64 text that ends at i begins. Each line may have something before its last word.
func base64Before(s string, i int) int {
	const short = 16 // a line has at least so many bytes, but for the last one and a first one that was cut
	from, first := i, true
	for end := i; end > 0; first = false {
		start := strings.LastIndexByte(s[:end], '\n') + 1
		line := strings.TrimRight(s[start:end], " \t\r\\n")
		word := line[strings.LastIndexAny(line, " \t|>")+1:]
		word = strings.TrimLeft(word, `"'`)
		ok := len(word) >= short || first || start == 0 && word == line || len(word) > 0 && from == i
		for k := 0; ok && k < len(word); k++ {
			ok = isBase64(word[k]) || word[k] == '\\'
		}
		if !ok && !first {
			break
		}
		if ok && word != "" {
			from = start + strings.LastIndex(line, word)
		}
		end = start - 1
	}
	return from
}

// findURLs finds the user and password of https://user:password@host. The name git alone is none.
func findURLs(s, low string, add func(from, to int)) {
	for _, sep := range []string{"://", `:\/\/`} {
		for at := 0; ; {
			i := strings.Index(s[at:], sep)
			if i < 0 {
				break
			}
			from := at + i + len(sep)
			at = from
			end := from
			for end < len(s) && !strings.ContainsRune("/?#", rune(s[end])) && !endsURL(s[end]) {
				end++
			}
			name, port, colon := strings.Cut(s[from:end], ":")
			to := strings.LastIndexByte(s[from:end], '@')
			if to < 0 && colon && strings.Trim(port, "0123456789") != "" && name != "" {
				// Not a port: a password with a slash in it, which should have been escaped.
				for end < len(s) && end-from < 300 && !endsURL(s[end]) {
					end++
				}
				to = strings.LastIndexByte(s[from:end], '@')
			}
			if to > 0 && s[from:from+to] != "git" {
				ssh := strings.HasSuffix(low[:from-len(sep)], "ssh")
				if !ssh || strings.Contains(s[from:from+to], ":") {
					add(from, from+to)
				}
			}
		}
	}
}

func endsURL(c byte) bool {
	return c <= ' ' || c == '"' || c == '\'' || c == '`' || c == '<' || c == '>' || c == '\\'
}

// shape is how a kind of token looks: a prefix and at least min bytes of its alphabet.
type shape struct {
	prefix string
	min    int
	more   string // allowed besides letters and digits
	free   bool   // nothing may stand before it: the prefix alone is too common
	random bool   // it must have a part that no word has
}

// marked are those whose prefix ends in a letter or digit and one of _ - . /
var marked = [...]shape{
	{"ghp_", 16, "", false, false}, {"gho_", 16, "", false, false}, {"ghu_", 16, "", false, false},
	{"ghs_", 16, "_-.", false, false}, {"ghr_", 16, "", false, false}, {"github_pat_", 16, "_", false, false},
	{"glpat-", 16, "_-.", false, false}, {"gldt-", 16, "_-", true, false}, {"glrt-", 16, "_-.", true, false},
	{"glcbt-", 16, "_-", true, false}, {"glptt-", 16, "_-", true, false}, {"glsoat-", 16, "_-", true, false},
	{"xoxb-", 10, "-", false, false}, {"xoxp-", 10, "-", false, false}, {"xoxa-", 10, "-", false, false},
	{"xoxe-", 10, "-", false, false}, {"xoxr-", 10, "-", false, false},
	{"xoxs-", 10, "-", false, false}, {"xoxc-", 10, "-", false, false}, {"xoxd-", 10, "-%/+=", false, false},
	{"xapp-", 16, "-", true, false}, {"hooks.slack.com/services/", 8, "/_-", false, false},
	{"discord.com/api/webhooks/", 8, "/_-", false, false},
	{"ya29.", 16, "_-.", true, false}, {"GOCSPX-", 16, "_-", false, false},
	{"sk-", 20, "_-", true, true}, {"sk_live_", 10, "", false, false}, {"sk_test_", 10, "", false, false},
	{"rk_live_", 10, "", false, false}, {"rk_test_", 10, "", false, false}, {"whsec_", 16, "+/=", false, false},
	{"npm_", 30, "", false, false}, {"pypi-", 16, "_-", true, true}, {"hf_", 30, "", true, false},
	{"SG.", 30, "_-.", true, true}, {"dop_v1_", 32, "", false, false}, {"dckr_pat_", 16, "_-", false, false},
	{"hvs.", 20, "_-", true, true},
}

var unmarked = [...]shape{
	{"xoxe.xox", 10, "-", false, false}, {"api.telegram.org/bot", 8, ":_-", false, false}, {"AIza", 35, "_-", true, false},
	{"AGE-SECRET-KEY-1", 20, "", false, false}, {"AKIA", 16, "", true, false}, {"ASIA", 16, "", true, false}, {"eyJ", 20, "_-.=", true, false},
}

// findShapes finds tokens that are known by their looks.
func findShapes(s, low string, add func(from, to int)) {
	for _, sh := range unmarked {
		for at := 0; ; {
			i := strings.Index(s[at:], sh.prefix)
			if i < 0 {
				break
			}
			at = sh.find(s, at+i, add)
		}
	}
	// All marked ones at once: that goes over s once and not forty times.
	var next [len(marked)]int // where each is looked for
	for i := 1; i < len(s); i++ {
		if c := s[i]; c != '_' && c != '-' && c != '.' && c != '/' || !isAlnum(s[i-1]) {
			continue
		}
		for n := range marked {
			sh := &marked[n]
			if from := i + 1 - len(sh.prefix); from >= next[n] && s[from] == sh.prefix[0] && s[from:i+1] == sh.prefix {
				next[n] = sh.find(s, from, add)
			}
		}
	}
	findWords(s, low, add)
}

// find looks at the prefix that stands at from, and gives where its text ends.
func (sh *shape) find(s string, from int, add func(from, to int)) (to int) {
	to = from + len(sh.prefix)
	for to < len(s) && (isAlnum(s[to]) || strings.IndexByte(sh.more, s[to]) >= 0) {
		to++
	}
	body := s[from+len(sh.prefix) : to]
	switch {
	case len(body) < sh.min, sh.free && !isFree(s, from), sh.random && !looksRandom(body):
	case sh.prefix == "eyJ" && !strings.Contains(strings.TrimRight(body, "."), "."): // a JWT has parts
	case strings.HasSuffix(sh.prefix, "IA") && (len(body) != sh.min || body != strings.ToUpper(body)):
	default:
		add(from, to)
	}
	return to
}

// isFree tells whether a word may begin at i: not after a letter or digit, unless that belongs to an escape like \n or %3D.
func isFree(s string, i int) bool {
	switch {
	case i == 0 || !isAlnum(s[i-1]):
		return true
	case i >= 2 && s[i-2] == '\\':
		return strings.IndexByte("nrt", s[i-1]) >= 0
	}
	return i >= 3 && s[i-3] == '%'
}

// looksRandom tells whether v has 16 letters and digits in a row, of both kinds: words and versions do not.
func looksRandom(v string) bool {
	run, digit, letter := 0, false, false
	for i := range len(v) {
		if !isAlnum(v[i]) {
			run, digit, letter = 0, false, false
			continue
		}
		run++
		digit = digit || isDigit(v[i])
		letter = letter || isLetter(v[i])
		if run >= 16 && digit && letter {
			return true
		}
	}
	return false
}

// findWords finds "token 0123…" and "Bearer 0123…", with nothing but blanks between, where the second word looks random.
func findWords(s, low string, add func(from, to int)) {
	for _, w := range []string{"token ", "bearer "} {
		for at := 0; ; {
			i := strings.Index(low[at:], w)
			if i < 0 {
				break
			}
			from := skipBlanks(s, at+i+len(w))
			to := from
			for to < len(s) && (isAlnum(s[to]) || strings.IndexByte("_-.~+/=", s[to]) >= 0) {
				to++
			}
			at = max(to, at+i+len(w))
			if looksRandom(s[from:to]) {
				add(from, to)
			}
		}
	}
}

// skipBlanks goes over a few blanks, not over a line's end.
func skipBlanks(s string, i int) int {
	for n := 0; n < 8 && i < len(s) && (s[i] == ' ' || s[i] == '\t'); n++ {
		i++
	}
	return i
}
