// Package markdown writes untrusted text into Markdown as Gitea renders it, so that none of it becomes markup, a mention, a
// reference to an issue, or a hidden line of the bot.
package markdown

import (
	"strconv"
	"strings"

	"github.com/terraphim/adfbot/internal/redact"
)

const (
	// ZeroWidth breaks what a reader should see but Gitea should not act on: "@name", "#12". Gitea looks for these in the
	// rendered text, so escaping them for Markdown does not help.
	ZeroWidth = "\u200b"

	// maxTicks is how many backticks in a row a fenced block shows; longer runs are broken up, so that a fence stays short.
	maxTicks = 100

	Dash = "–" // stands for what is empty or not known
)

// CodeSpan gives s, in one line, as a Markdown code span that its content can't end, also in the cell of a table. Nothing
// in it notifies anybody or is a hidden line of the bot. An empty s gives a dash.
func CodeSpan(s string) string {
	s = breakComments(redact.OneLine(s))
	if s == "" {
		return Dash
	}
	if strings.Contains(s, "|") {
		// A | ends a cell even in a code span, and \| shows its backslash everywhere else.
		return "<code>" + entities(s) + "</code>"
	}
	ticks := strings.Repeat("`", longestRun(s, '`')+1)
	if s[0] == '`' || s[len(s)-1] == '`' {
		s = " " + s + " "
	}
	return ticks + s + ticks
}

// Fence gives s as a fenced block whose fence is longer than any run of backticks in s, without a newline at the end. It
// has to begin a line. A "<!--" in s is broken up.
func Fence(s string) string {
	s = breakComments(redact.Clean(s))
	for long := strings.Repeat("`", maxTicks); strings.Contains(s, long+"`"); {
		s = strings.ReplaceAll(s, long+"`", long+ZeroWidth+"`")
	}
	ticks := strings.Repeat("`", max(longestRun(s, '`')+1, 3))
	return ticks + "\n" + strings.TrimRight(s, "\n") + "\n" + ticks
}

// Text gives s, in one line, as plain text in Markdown: nothing in it is markup, HTML, a mention, a reference to an issue
// or a hidden line of the bot. It does not end a table's cell either.
func Text(s string) string {
	s = redact.OneLine(s)
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; c {
		case '<':
			b.WriteString("&lt;")
		case '>':
			b.WriteString("&gt;")
		case '&':
			b.WriteString("&amp;")
		case '\\', '`', '*', '_', '[', ']', '|', '~', '$', '{', '}':
			b.WriteByte('\\')
			b.WriteByte(c)
		case '@':
			b.WriteString("@" + ZeroWidth)
		case '#', '!':
			if i == 0 {
				b.WriteByte('\\') // no heading
			}
			b.WriteByte(c)
			b.WriteString(ZeroWidth)
		case '-', '+', '=':
			if i == 0 { // no list, no underline of a heading
				b.WriteByte('\\')
			}
			b.WriteByte(c)
		case '.', ')':
			if i > 0 && strings.Trim(s[:i], "0123456789") == "" { // no numbered list
				b.WriteByte('\\')
			}
			b.WriteByte(c)
		case '/':
			b.WriteByte(c)
			if strings.HasSuffix(s[:i], "/issues") || strings.HasSuffix(s[:i], "/pulls") { // a URL may refer to an issue too
				b.WriteString(ZeroWidth)
			}
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// PlainLine gives s in one line for places without Markdown, like titles, where Gitea still looks for mentions and
// references.
func PlainLine(s string, limit int) string {
	return strings.NewReplacer("@", "@"+ZeroWidth, "#", "#"+ZeroWidth, "!", "!"+ZeroWidth, "`", "'").Replace(redact.Line(s, limit))
}

func breakComments(s string) string { return strings.ReplaceAll(s, "<!--", "<"+ZeroWidth+"!--") }

// entities writes everything that means something in Markdown or HTML as an entity.
func entities(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '@' || r == '#' || r == '!':
			b.WriteRune(r)
			b.WriteString(ZeroWidth)
		case r < 0x80 && strings.ContainsRune("\\`*_[]{}<>|~$&\"'", r):
			b.WriteString("&#" + strconv.Itoa(int(r)) + ";")
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// longestRun is how often c stands in a row at most.
func longestRun(s string, c byte) int {
	longest, run := 0, 0
	for i := range len(s) {
		if s[i] != c {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return longest
}
