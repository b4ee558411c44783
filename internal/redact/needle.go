package redact

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"strconv"
	"strings"
)

// needle is one form of a known value. In base64, up to before and after further bytes around it hold a part of the
// value.
type needle struct {
	text          string
	before, after int
}

func (n needle) find(s string, add func(from, to int)) {
	for i := strings.Index(s, n.text); i >= 0; i = indexFrom(s, n.text, i+len(n.text)) {
		from, to := i, i+len(n.text)
		for k := 0; k < n.before && from > 0 && isBase64(s[from-1]); k++ {
			from--
		}
		for k := 0; k < n.after && to < len(s) && isBase64(s[to]); k++ {
			to++
		}
		add(from, to)
	}
}

// needlesOf returns all forms of a value, each once.
func needlesOf(v string) []needle {
	v = strings.TrimSpace(v)
	if len(v) < minSecret {
		return nil
	}
	var all []needle
	seen := map[string]bool{}
	add := func(n needle) {
		if len(n.text) >= minSecret && !seen[n.text] && !strings.Contains(masked, n.text) {
			seen[n.text] = true
			all = append(all, n)
		}
	}
	// After a stray ESC or ESC [, Clean (like a terminal) removes the start of the value as part of a sequence.
	for k := 1; k <= maxLost && len(v)-k >= minRest; k++ {
		add(needle{text: v[k:]})
	}
	for _, form := range append(longLines(v), v, Clean(v)) {
		for _, e := range encodings(form) {
			add(needle{text: e})
		}
		for offset := 0; offset < 3 && len(form) >= minBase64; offset++ {
			n := base64Needle(form, offset)
			add(n)
			n.text = strings.NewReplacer("+", "-", "/", "_").Replace(n.text)
			add(n)
		}
	}
	return all
}

// longLines returns the lines of a value of several lines that are long enough to be masked by themselves.
func longLines(v string) []string {
	var out []string
	if strings.ContainsAny(v, "\r\n") {
		for line := range strings.SplitSeq(v, "\n") {
			if line = strings.TrimSpace(line); len(line) >= minLine {
				out = append(out, line)
			}
		}
	}
	return out
}

var gitQuotes = strings.NewReplacer("'", `'\''`, "!", `'\!'`)

// encodings returns v as it is, escaped for URLs, JSON and HTML, quoted as Go, git and shells do, and in hexadecimal.
func encodings(v string) []string {
	query, path := url.QueryEscape(v), url.PathEscape(v)
	digits := hex.EncodeToString([]byte(v))
	return []string{v, html.EscapeString(v), strings.ReplaceAll(v, "'", `'\''`), gitQuotes.Replace(v), digits, strings.ToUpper(digits),
		query, lowerEscapes(query), path, lowerEscapes(path), jsonEscape(v, true), jsonEscape(v, false), unquote(strconv.Quote(v))}
}

// base64Needle returns the part of v's base64 form that is independent of what precedes and follows v, if v begins
// offset bytes after a multiple of three.
func base64Needle(v string, offset int) needle {
	enc := base64.RawStdEncoding.EncodeToString([]byte("\x00\x00\x00"[:offset] + v))
	bits := (offset + len(v)) * 8
	from := (offset*8 + 5) / 6
	return needle{enc[from : bits/6], min(offset, 1), 1}
}

func jsonEscape(s string, html bool) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(html)
	if e.Encode(s) != nil {
		return ""
	}
	return unquote(strings.TrimSuffix(b.String(), "\n"))
}

func unquote(s string) string { return s[1 : len(s)-1] }

// lowerEscapes turns %2F into %2f.
func lowerEscapes(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], strings.ToLower(string(b[i+1:i+3])))
		}
	}
	return string(b)
}
