package class

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	minLetters     = 12   // of a fingerprint: less says nothing
	maxFingerprint = 200  // bytes
	maxLooked      = 4000 // bytes of a line
	minWord        = 3    // letters: shorter words are dropped, since any may be the name of a project
	minHex         = 7    // digits of a hash
)

// Fingerprint returns what stays the same of an error from run to run and from project to project: the words of the last line of the
// output, in lower case. It leaves out what varies: numbers, times, hashes, quoted parts, paths, and the given names, such as those of
// the project and the agent. If less than 12 letters remain, or the line only says that something else failed, there is no
// fingerprint: "".
func Fingerprint(output string, names ...string) string {
	line := LastLine(output)
	if len(line) > maxLooked {
		line = strings.ToValidUTF8(line[:maxLooked], "")
	}
	if isGeneric(line) {
		return ""
	}
	line = strings.ReplaceAll(strings.ToLower(line), "[masked]", " ")
	line = withoutQuoted(line)
	longest := func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) } // the name of an agent may contain its project's
	for _, name := range slices.SortedFunc(slices.Values(names), longest) {
		line = withoutName(line, strings.ToLower(name))
	}
	var kept []string
	for word := range strings.FieldsSeq(line) {
		if !strings.ContainsAny(word, `/\`) { // no path, and no URL
			kept = append(kept, constantWords(word)...)
		}
	}
	return fingerprintOf(withoutUnits(kept))
}

// fingerprintOf joins words, as many as there is room for.
func fingerprintOf(words []string) string {
	var b strings.Builder
	letters := 0
	for _, w := range words {
		if b.Len()+1+len(w) > maxFingerprint {
			break
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(w)
		letters += countLetters(w)
	}
	if letters < minLetters {
		return ""
	}
	return b.String()
}

// number stands for a part that has digits.
const number = "0"

// constantWords returns the parts of a word, with [number] for those that have digits: numbers, times, versions, identifiers, places in
// a file.
func constantWords(word string) (parts []string) {
	inside := func(c rune) bool {
		return unicode.IsLetter(c) || unicode.IsNumber(c) || strings.ContainsRune("_-.:+", c)
	}
	for part := range strings.FieldsFuncSeq(word, func(c rune) bool { return !inside(c) }) {
		part = strings.Trim(part, "_-.:+")
		switch {
		case strings.ContainsFunc(part, unicode.IsNumber):
			parts = append(parts, number)
		case countLetters(part) >= minWord && !isHex(part) && !slices.Contains(timeWords, part):
			parts = append(parts, part)
		default:
			if slices.Contains(units, part) {
				parts = append(parts, part)
			}
		}
	}
	return parts
}

// withoutUnits drops the numbers, and the units right after them: "2 days 17 hours" is "40 minutes" in another run.
func withoutUnits(words []string) []string {
	kept := words[:0]
	counted := false
	for _, w := range words {
		unit := slices.Contains(units, w)
		switch {
		case w == number:
			counted = true
			continue
		case unit && counted, countLetters(w) < minWord:
		default:
			kept = append(kept, w)
		}
		counted = false
	}
	return kept
}

var units = []string{
	"ns", "us", "ms", "s", "sec", "secs", "second", "seconds", "m", "min", "mins", "minute", "minutes", "h", "hr", "hrs", "hour", "hours",
	"d", "day", "days", "week", "weeks", "month", "months", "b", "bytes", "byte", "kb", "mb", "gb", "tb", "kib", "mib", "gib", "tib",
}

// timeWords are the words of dates, and zones.
var timeWords = []string{
	"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec",
	"january", "february", "march", "april", "june", "july", "august", "september", "october", "november", "december",
	"mon", "tue", "wed", "thu", "fri", "sat", "sun", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
	"utc", "gmt", "cet", "cest", "est", "edt", "pst", "pdt",
}

// withoutQuoted drops the parts in quotes. An apostrophe in a word is no quote.
func withoutQuoted(s string) string {
	closing := map[rune]rune{'"': '"', '`': '`', '\'': '\'', '“': '”', '‘': '’', '«': '»'}
	var b strings.Builder
	before := ' '
	for s != "" {
		c, size := utf8.DecodeRuneInString(s)
		if end, ok := closing[c]; ok && !isAlnum(before) {
			if n := closingQuote(s[size:], end); n >= 0 {
				b.WriteByte(' ')
				s, before = s[size+n:], ' '
				continue
			}
		}
		b.WriteRune(c)
		s, before = s[size:], c
	}
	return b.String()
}

// closingQuote returns where the text after the closing quote begins, -1 if there is none.
func closingQuote(s string, quote rune) int {
	for from := 0; ; {
		n := strings.IndexRune(s[from:], quote)
		if n < 0 {
			return -1
		}
		from += n + utf8.RuneLen(quote)
		if next, _ := utf8.DecodeRuneInString(s[from:]); !isAlnum(next) {
			return from
		}
	}
}

// withoutName drops a name where it is not part of a longer word.
func withoutName(s, name string) string {
	for from := 0; name != ""; {
		n := strings.Index(s[from:], name)
		if n < 0 {
			break
		}
		n += from
		before, _ := utf8.DecodeLastRuneInString(s[:n])
		after, _ := utf8.DecodeRuneInString(s[n+len(name):])
		if from = n + 1; !isAlnum(before) && !isAlnum(after) {
			s = s[:n] + " " + s[n+len(name):]
		}
	}
	return s
}

func isAlnum(c rune) bool { return unicode.IsLetter(c) || unicode.IsNumber(c) }

func isHex(s string) bool {
	return len(s) >= minHex && strings.Trim(s, "abcdef-") == ""
}

func countLetters(s string) (n int) {
	for _, c := range s {
		if unicode.IsLetter(c) {
			n++
		}
	}
	return n
}
