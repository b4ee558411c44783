package redact

import "strings"

// shape describes tokens of one kind: a prefix and at least min further bytes.
type shape struct {
	prefix string
	min    int
	more   string // allowed bytes besides letters and digits
	free   bool   // it must begin a word: the prefix alone is too common
	random bool   // it must look random
}

// delimited are the shapes whose prefix ends in a letter or digit followed by one of _ - . /
var delimited = [...]shape{
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

var undelimited = [...]shape{
	{"xoxe.xox", 10, "-", false, false}, {"api.telegram.org/bot", 8, ":_-", false, false}, {"AIza", 35, "_-", true, false},
	{"AGE-SECRET-KEY-1", 20, "", false, false}, {"AKIA", 16, "", true, false}, {"ASIA", 16, "", true, false}, {"eyJ", 20, "_-.=", true, false},
}

// findShapes finds tokens that have a known shape.
func findShapes(s, low string, add func(from, to int)) {
	for _, sh := range undelimited {
		for i := strings.Index(s, sh.prefix); i >= 0; {
			i = indexFrom(s, sh.prefix, sh.find(s, i, add))
		}
	}
	// The delimited shapes are found in one pass instead of forty.
	var next [len(delimited)]int // the first place where each may begin
	for i := 1; i < len(s); i++ {
		if c := s[i]; c != '_' && c != '-' && c != '.' && c != '/' || !isAlnum(s[i-1]) {
			continue
		}
		for n := range delimited {
			sh := &delimited[n]
			if from := i + 1 - len(sh.prefix); from >= next[n] && s[from] == sh.prefix[0] && s[from:i+1] == sh.prefix {
				next[n] = sh.find(s, from, add)
			}
		}
	}
	findWords(s, low, add)
}

// find adds the token whose prefix is at from, if it is one, and returns where it ends.
func (sh *shape) find(s string, from int, add func(from, to int)) (to int) {
	to = from + len(sh.prefix)
	for to < len(s) && (isAlnum(s[to]) || strings.IndexByte(sh.more, s[to]) >= 0) {
		to++
	}
	body := s[from+len(sh.prefix) : to]
	switch {
	case len(body) < sh.min, sh.free && !isFree(s, from), sh.random && !looksRandom(body):
	case sh.prefix == "eyJ" && !strings.Contains(strings.TrimRight(body, "."), "."): // a JWT has several parts
	case strings.HasSuffix(sh.prefix, "IA") && (len(body) != sh.min || body != strings.ToUpper(body)): // AKIA, ASIA
	default:
		add(from, to)
	}
	return to
}

// isFree reports whether a word may begin at i: not after a letter or digit, unless that is part of an escape like \n
// or %3D.
func isFree(s string, i int) bool {
	switch {
	case i == 0 || !isAlnum(s[i-1]):
		return true
	case i >= 2 && s[i-2] == '\\':
		return strings.IndexByte("nrt", s[i-1]) >= 0
	}
	return i >= 3 && s[i-3] == '%'
}

// looksRandom reports whether v has 16 consecutive letters and digits, with both among them: words and versions do not.
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

// findWords finds random-looking words after "token " and "Bearer ".
func findWords(s, low string, add func(from, to int)) {
	for _, w := range [...]string{"token ", "bearer "} {
		for i := strings.Index(low, w); i >= 0; {
			from := skipBlanks(s, i+len(w))
			to := from
			for to < len(s) && (isAlnum(s[to]) || strings.IndexByte("_-.~+/=", s[to]) >= 0) {
				to++
			}
			if looksRandom(s[from:to]) {
				add(from, to)
			}
			i = indexFrom(low, w, to)
		}
	}
}
