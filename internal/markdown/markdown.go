// Package markdown writes untrusted text into Markdown as Gitea renders it, so that no part of it becomes markup, a
// mention, a reference to an issue, or a hidden line of the bot.
package markdown

import (
	"strconv"
	"strings"

	"github.com/terraphim/adfbot/internal/redact"
)

const (
	// ZeroWidth breaks "@name" and "#12". Gitea looks for these in the rendered text, so escaping does not help.
	ZeroWidth = "\u200b"

	// maxTicks is the longest run of backticks in a fenced block. Longer runs are broken up, so that a fence stays
	// short.
	maxTicks = 100

	// Dash stands for what is empty or unknown.
	Dash = "–"
)

// CodeSpan returns s, in one line, as a code span that is also safe in a table. For an empty s it returns [Dash].
func CodeSpan(s string) string {
	s = breakComments(redact.OneLine(s))
	if s == "" {
		return Dash
	}
	if strings.Contains(s, "|") {
		// A | ends a table cell even in a code span, and elsewhere \| shows its backslash.
		return "<code>" + entities(s) + "</code>"
	}
	ticks := strings.Repeat("`", longestRun(s, '`')+1)
	if s[0] == '`' || s[len(s)-1] == '`' {
		s = " " + s + " "
	}
	return ticks + s + ticks
}

// Fence returns s as a fenced block, without a final newline. The result must be at the start of a line.
func Fence(s string) string {
	s = breakComments(redact.Clean(s))
	for long := strings.Repeat("`", maxTicks); strings.Contains(s, long+"`"); {
		s = strings.ReplaceAll(s, long+"`", long+ZeroWidth+"`")
	}
	ticks := strings.Repeat("`", max(longestRun(s, '`')+1, 3))
	return ticks + "\n" + strings.TrimRight(s, "\n") + "\n" + ticks
}

// textEscapes also break mentions, references, and the URLs of issues, which Gitea turns into references.
var textEscapes = strings.NewReplacer("<", "&lt;", ">", "&gt;", "&", "&amp;", `\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`,
	"[", `\[`, "]", `\]`, "|", `\|`, "~", `\~`, "$", `\$`, "{", `\{`, "}", `\}`,
	"@", "@"+ZeroWidth, "#", "#"+ZeroWidth, "!", "!"+ZeroWidth, "/issues/", "/issues/"+ZeroWidth, "/pulls/", "/pulls/"+ZeroWidth)

// Text returns s, in one line, as plain text in Markdown that is also safe in a table.
func Text(s string) string {
	s = textEscapes.Replace(redact.OneLine(s))
	// At the start, a backslash prevents a heading, an underline or a list.
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	if digits < len(s) && (digits > 0 && strings.IndexByte(".)", s[digits]) >= 0 || digits == 0 && strings.IndexByte("#!-+=", s[0]) >= 0) {
		s = s[:digits] + `\` + s[digits:]
	}
	return s
}

var lineEscapes = strings.NewReplacer("@", "@"+ZeroWidth, "#", "#"+ZeroWidth, "!", "!"+ZeroWidth, "`", "'")

// PlainLine returns s in one line of at most limit bytes (before escaping) for places without Markdown, like titles,
// where Gitea still finds mentions and references.
func PlainLine(s string, limit int) string { return lineEscapes.Replace(redact.Line(s, limit)) }

func breakComments(s string) string { return strings.ReplaceAll(s, "<!--", "<"+ZeroWidth+"!--") }

// entities returns s with entities for everything that has a meaning in Markdown or HTML.
func entities(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '@' || r == '#' || r == '!':
			b.WriteString(string(r) + ZeroWidth)
		case strings.ContainsRune("\\`*_[]{}<>|~$&\"'", r):
			b.WriteString("&#" + strconv.Itoa(int(r)) + ";")
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// longestRun returns the length of the longest run of c in s.
func longestRun(s string, c byte) int {
	longest, run := 0, 0
	for i := range len(s) {
		run++
		if s[i] != c {
			run = 0
		}
		longest = max(longest, run)
	}
	return longest
}
