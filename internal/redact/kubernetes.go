package redact

import "strings"

// findKubernetes finds all values in the data of a Secret of Kubernetes, in YAML and JSON. The data may stand before or
// after the kind, up to the kind of another object.
func findKubernetes(s string, add func(from, to int)) {
	const (
		word = "Secret"
		far  = 8 << 10
	)
	for i := strings.Index(s, word); i >= 0; i = indexFrom(s, word, i+len(word)) {
		end := i + len(word)
		label := strings.TrimRight(s[max(i-20, 0):i], " :\"'\\")
		if !strings.HasSuffix(label, "kind") || end < len(s) && isKeyByte(s[end]) {
			continue
		}
		kind := i - 1 - (len(s[max(i-20, 0):i]) - len(label)) // in the word
		from, to := max(i-far, 0), min(i+far, len(s))
		for _, bound := range [...]string{"kind", "\n---"} {
			from += strings.LastIndex(s[from:kind], bound) + 1
			if n := strings.Index(s[end:to], bound); n >= 0 {
				to = end + n
			}
		}
		for at := indexFrom(s[:to], "ata", from); at >= 0; at = indexFrom(s[:to], "ata", at+1) {
			key, end := at, at+len("ata")
			for key > from && isKeyByte(s[key-1]) {
				key--
			}
			if name := s[key:end]; name != "data" && name != "stringData" {
				continue
			}
			if colon := skipCloser(s, end); strings.HasPrefix(s[colon:to], ":\n") {
				at = max(at, addLines(s[:to], key, colon+len(":\n"), add)-1)
			} else if colon < to && s[colon] == ':' {
				at = max(at, addFields(s[:to], skipBlanks(s, colon+1), add)-1)
			}
		}
	}
}

// addLines adds the values in the lines of YAML from i on that are indented below the key. It returns where these end.
func addLines(s string, key, i int, add func(from, to int)) int {
	column := key - 1 - strings.LastIndexByte(s[:key], '\n')
	for i < len(s) {
		line, _, _ := strings.Cut(s[i:], "\n")
		text := strings.TrimLeft(line, " ")
		if text != "" && len(line)-len(text) <= column {
			return i
		}
		_, value, ok := strings.Cut(text, ": ")
		if !ok && !strings.HasSuffix(text, ":") {
			value = text
		}
		start, end := i+len(line)-len(value), i+len(line)
		from, to := valueAt(s[:min(end, len(s))], start)
		if from == start { // it is not quoted
			to = end
		}
		if from < to && !isPlaceholder(s[from:to]) {
			add(from, to)
		}
		i = end + 1
	}
	return len(s)
}

// addFields adds the values of the object of JSON that begins at i. It returns where the last one ends.
func addFields(s string, i int, add func(from, to int)) int {
	for i < len(s) && (s[i] == '{' || s[i] == ',') {
		i = len(s) - len(strings.TrimLeft(s[i+1:], " \t\n"))
		_, to := valueAt(s, i)
		i = skipBlanks(s, skipCloser(s, to))
		if i == len(s) || s[i] != ':' {
			break
		}
		from, to := valueAt(s, skipBlanks(s, i+1))
		if from < to && !isPlaceholder(s[from:to]) {
			add(from, to)
		}
		i = skipCloser(s, to)
	}
	return i
}
