package markdown

import "strings"

// Unclosed returns what closes the fenced block and the <details> that s leaves open.
func Unclosed(s string) string {
	fence, details := "", 0
	for line := range strings.SplitSeq(s, "\n") {
		mark := fenceOf(line)
		switch {
		case fence != "":
			if strings.HasPrefix(mark, fence) && strings.Trim(line, " \t"+fence[:1]) == "" {
				fence = ""
			}
		case mark != "":
			fence = mark
		default:
			low := strings.ToLower(line)
			details = max(details+strings.Count(low, "<details")-strings.Count(low, "</details"), 0)
		}
	}
	end := ""
	if fence != "" {
		end = "\n" + fence
	}
	return end + strings.Repeat("\n\n</details>", min(details, 100))
}

// fenceOf returns the backticks or tildes of a line that can open a fenced block, or close one if nothing follows them.
func fenceOf(line string) string {
	s := strings.TrimLeft(line, " ")
	if len(line)-len(s) > 3 || s == "" || s[0] != '`' && s[0] != '~' {
		return ""
	}
	rest := strings.TrimLeft(s, s[:1])
	if len(s)-len(rest) < 3 || s[0] == '`' && strings.Contains(rest, "`") {
		return ""
	}
	return s[:len(s)-len(rest)]
}
