package redact

import (
	"encoding/base64"
	"strings"
)

const (
	keyShort = 8       // base64 characters that can be the last line of a key whose END is missing
	keyText  = 16      // base64 characters; every other line of a key is longer
	keyFull  = 40      // base64 characters that are a line of a key wherever they begin
	maxLine  = 1 << 10 // bytes; a longer line is taken for several
)

// findKeyBlocks finds private keys in PEM and similar formats. A block goes on while its lines look like base64, or like
// headers before it, because a BEGIN may stand alone: in the output of grep, or in an error message. Of a block without a
// beginning, it finds the lines before its END.
func findKeyBlocks(s string, add func(from, to int)) {
	const label = "PRIVATE KEY"
	begin, body, floor := -1, 0, 0
	for i := strings.Index(s, label); i >= 0; i = indexFrom(s, label, i+len(label)) {
		from, word := keyLabel(s, i)
		to := i + len(label)
		if dash := strings.IndexByte(s[to:min(to+40, len(s))], '-'); dash >= 0 {
			for to += dash; to < len(s) && s[to] == '-'; to++ {
			}
		}
		body = min(body, from) // the dashes of END may follow those of BEGIN
		if begin >= 0 && word == "END" && isKeyBody(s, begin, body, from) {
			add(begin, to)
			begin, floor = -1, to
			continue
		}
		if begin >= 0 {
			addKeyStart(s, begin, body, from, add)
		}
		begin = -1
		switch word {
		case "BEGIN":
			begin, body = from, to
		case "END":
			addKeyEnd(s, min(floor, from), from, to, add)
		}
		floor = to
	}
	if begin >= 0 {
		addKeyStart(s, begin, body, len(s), add)
	}
	const putty = "Private-Lines: "
	for i := strings.Index(s, putty); i >= 0; {
		_, start := keyLineEnd(s, i, len(s))
		next := indexFrom(s, putty, i+len(putty))
		limit := len(s)
		if next >= 0 {
			limit = max(start, next) // no line is examined for several of them, so that this takes linear time
		}
		addKeyStart(s, start, start, limit, add)
		i = next
	}
	const encoded = "LS0tLS1CRUdJTi" // -----BEGIN
	for i := strings.Index(s, encoded); i >= 0; {
		i = indexFrom(s, encoded, max(i+len(encoded), addWrapped(s, i, add)))
	}
}

// keyLabel looks for "-----BEGIN RSA " or "-----END RSA " in the line before i. It returns where that begins, and the
// word.
func keyLabel(s string, i int) (from int, word string) {
	lo := max(i-60, 0)
	lo += strings.LastIndexByte(s[lo:i], '\n') + 1
	before := s[lo:i]
	at := -1
	for _, w := range [...]string{"BEGIN", "END"} {
		if j := strings.LastIndex(before, w+" "); j > at && strings.HasSuffix(strings.TrimRight(before[:j], " "), "--") {
			at, word = j, w
		}
	}
	if at < 0 {
		return i, ""
	}
	for from = lo + at; from > 0 && (s[from-1] == '-' || s[from-1] == ' ' && from > 1 && s[from-2] == '-'); from-- {
	}
	if mark := "- "; strings.HasPrefix(s[from:], mark+"-----") { // of a list, or of a comparison
		from += len(mark)
	}
	return from, word
}

// isKeyBody reports whether [from, to), what stands between BEGIN and END, is a key.
func isKeyBody(s string, begin, from, to int) bool {
	if strings.IndexByte(s[from:to], '\n') < 0 {
		return hasKeyText(s[from:to])
	}
	last := keyLineStart(s, to)
	column, found := to-last, false
	place := placeOfLabel(s, begin, from)
	for i := skipLabelLine(s, from, last); i < last; {
		end, next := keyLineEnd(s, i, to)
		at, word, fits := place.word(s, i, end)
		switch {
		case word == "" || isKeyHeader(s[i:end]) || place.isRest(s, i, end):
		case !isKeyWord(word) || !fits && !near(at-i, column) && !(len(word) >= keyFull && isDense(word)):
			return false
		default:
			found = found || len(word) >= keyText && isDense(word)
			place = keyPlace{s[i:at], s[at+len(word) : end]}
		}
		i = next
	}
	return found
}

// addKeyStart adds the beginning of a key that has no END before limit: BEGIN, and the lines that look like base64 of
// mixed case with digits. Lines of other processes may stand between them, and are left.
func addKeyStart(s string, begin, body, limit int, add func(from, to int)) {
	to, column, apart := -1, -1, false
	place := placeOfLabel(s, begin, body)
	// After words, as in a message about a key, only a line with the same words belongs to it.
	quoted := strings.ContainsAny(place.after, "abcdefghijklmnopqrstuvwxyz") && !hasKeyText(place.after)
	for i := skipLabelLine(s, body, limit); i < limit; {
		end, next := keyLineEnd(s, i, limit)
		at, word, fits := place.word(s, i, end)
		aligned := fits || !quoted && !apart && (column < 0 || near(at-i, column))
		switch {
		case place.isRest(s, i, end):
		case apart && column < 0 && looksLikeKey(word, keyText) && len(word) < keyFull: // its first line would be longer
			next = limit
		case looksLikeKey(word, keyText) && (aligned || !quoted && !apart && len(word) >= keyFull) && (fits && column >= 0 || isDense(word)):
			if apart {
				add(begin, max(to, body))
				begin, apart = at, false
			}
			column, to, quoted = at-i, at+len(word), false
			place = keyPlace{s[i:at], s[at+len(word) : end]}
		case column < 0 && (word == "" || isKeyHeader(s[i:end])):
		case column >= 0 && aligned && (looksLikeKey(word, keyShort) || isKeyWord(word) && strings.HasSuffix(word, "=")):
			if apart {
				add(begin, to)
				begin = at
			}
			to, next = at+len(word), limit // the last line
		case !quoted && place.isForeign(s[i:end]):
			apart = true
		default:
			next = limit
		}
		i = next
	}
	if to < 0 {
		return
	}
	for to < limit && isKeyWord(s[to:to+1]) {
		to++
	}
	add(begin, to)
}

// addKeyEnd adds the end of a key that has no BEGIN after floor: the base64 text before i, and the label of the END from there to
// labelEnd. Each line may have a prefix, e.g. a time. Lines of other processes may stand between them, and are left.
func addKeyEnd(s string, floor, i, labelEnd int, add func(from, to int)) {
	start := max(keyLineStart(s, i), floor)
	column, from, found := i-start, i, false
	to, least, apart := labelEnd, keyText, false
	var after []int // where the texts after lines of other processes begin and end
	place := placeOfLabel(s, i, labelEnd)
	if at, word := keyWord(s, start, i); at+len(word) == i && looksLikeKey(word, keyShort) {
		from, found = at, len(word) >= keyText
	}
	for end := start; end > floor; end = start {
		stop := end // within a line longer than maxLine
		if s[end-1] == '\n' {
			stop--
		} else if strings.HasSuffix(s[floor:end], `\n`) {
			stop -= len(`\n`)
		}
		start = max(keyLineStart(s, stop), floor)
		if place.isRest(s, start, stop) {
			continue
		}
		at, word, fits := place.word(s, start, stop)
		// Only the last line, and a first one that was cut, may be short.
		short := word != "" && (from == i || start == 0 && at == 0)
		aligned := fits || (near(at-start, column) || start == 0 && at == 0 || len(word) >= keyFull) && isDense(word)
		if !isKeyWord(word) || !aligned || len(word) < keyText && !short || apart && !(fits && (short || len(word) >= keyFull && isDense(word))) {
			if !place.isForeign(s[start:stop]) {
				break
			}
			apart = true
			continue
		}
		if apart {
			after, to, apart = append(after, from, to), at+len(word), false
			least = keyFull // of one that is apart from END, a long line tells that it is a key
		}
		from, found = at, found || len(word) >= least || strings.HasSuffix(word, "=")
		place = keyPlace{s[start:at], s[at+len(word) : stop]}
	}
	if !found {
		return
	}
	add(from, to)
	for ; len(after) > 0; after = after[2:] {
		add(after[0], after[1])
	}
}

// addWrapped adds a key in base64 that is wrapped, i.e. the base64 of "-----BEGIN …" at i and what follows it: lines as long
// as the first one, and a shorter one. It returns where that ends.
func addWrapped(s string, i int, add func(from, to int)) int {
	const begin, far = "-----BEGIN ", 44
	head, err := base64.StdEncoding.DecodeString(s[i:min(i+far, len(s))])
	if err != nil || !strings.HasPrefix(string(head), begin) || !strings.Contains(string(head), "PRIVATE") {
		return i
	}
	start := keyLineStart(s, i)
	end, next := keyLineEnd(s, start, len(s))
	width := 0
	for i+width < end && isKeyWord(s[i+width:i+width+1]) {
		width++
	}
	to, place := i+width, keyPlace{s[start:i], s[i+width : end]}
	for next < len(s) {
		start = next
		end, next = keyLineEnd(s, start, len(s))
		if place.isRest(s, start, end) {
			continue
		}
		at, word, fits := place.word(s, start, end)
		full := isKeyWord(word) && len(word) == width
		if !full && !(len(word) < width && fits && looksLikeKey(word, keyShort)) {
			break
		}
		to, place = at+len(word), keyPlace{s[start:at], s[at+len(word) : end]}
		if !full {
			break
		}
	}
	add(i, to)
	return to
}

// keyLineStart returns where the line of i begins. A line may also end with an escaped line end, as in JSON.
func keyLineStart(s string, i int) int {
	start := max(i-maxLine, 0)
	start += strings.LastIndexByte(s[start:i], '\n') + 1
	if j := strings.LastIndex(s[start:i], `\n`); j >= 0 {
		start += j + len(`\n`)
	}
	return start
}

// keyLineEnd returns where the line that begins at i ends, and where the next one begins.
func keyLineEnd(s string, i, limit int) (end, next int) {
	end = min(i+maxLine, limit)
	next = end
	if j := strings.IndexByte(s[i:end], '\n'); j >= 0 {
		end, next = i+j, i+j+1
	}
	if j := strings.Index(s[i:end], `\n`); j >= 0 {
		end, next = i+j, i+j+len(`\n`)
	}
	return end, next
}

// near reports whether columns are the same. The + of a diff belongs to base64, but not to a dashed line.
func near(a, b int) bool { return a-b <= 1 && b-a <= 1 }

// isKeyWord reports whether word consists of the characters of a PEM body.
func isKeyWord(word string) bool {
	for i := range len(word) {
		if c := word[i]; !isAlnum(c) && c != '+' && c != '/' && c != '=' && !escapedSlash(word, i) {
			return false
		}
	}
	return true
}

// hasKeyText reports whether s has enough consecutive characters of a PEM body.
func hasKeyText(s string) bool {
	for i, run := 0, 0; i < len(s); i++ {
		if run++; !isKeyWord(s[i : i+1]) {
			run = 0
		}
		if run >= keyText {
			return true
		}
	}
	return false
}

// looksLikeKey reports whether word can be a line of a key, and no name or path: it is base64 of mixed case with digits,
// or begins as keys do in DER.
func looksLikeKey(word string, least int) bool {
	const upper, lower, digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz", "0123456789"
	return len(word) >= least && isKeyWord(word) && (strings.HasPrefix(word, "MI") ||
		strings.ContainsAny(word, upper) && strings.ContainsAny(word, lower) && strings.ContainsAny(word, digits))
}

// isKeyHeader reports whether line is one of those that may precede the base64 text of a key.
func isKeyHeader(line string) bool {
	for _, name := range [...]string{"Proc-Type: ", "DEK-Info: ", "Version: ", "Comment: ", "Hash: ", "Charset: ", "MessageID: "} {
		if strings.Contains(line, name) {
			return true
		}
	}
	return false
}
