package class

import "strings"

// part is a part of an output, and its lines that are not blank.
type part struct {
	text  string
	lines []string
}

// find returns the first line that an expression matches. Most expressions begin with fixed text, and most outputs do not have it.
func (p part) find(e *Expression) (line string, ok bool) {
	m := e.matcher()
	if prefix, _ := m.LiteralPrefix(); !strings.Contains(p.text, prefix) {
		return "", false
	}
	for _, line := range p.lines {
		if m.MatchString(line) {
			return line, true
		}
	}
	return "", false
}

// parts are an output, and its end.
type parts struct{ all, tail part }

func split(output string) parts {
	p := part{text: output}
	var at []int // where the lines begin
	for from := 0; from < len(output); {
		to := len(output)
		if n := strings.IndexByte(output[from:], '\n'); n >= 0 {
			to = from + n
		}
		if line := output[from:to]; strings.TrimSpace(line) != "" {
			p.lines, at = append(p.lines, line), append(at, from)
		}
		from = to + 1
	}
	first := max(len(p.lines)-TailLines, 0)
	if first == 0 {
		return parts{p, p}
	}
	return parts{all: p, tail: part{text: output[at[first]:], lines: p.lines[first:]}}
}

// in returns the part that a rule looks at.
func (p parts) in(rule *Rule) part {
	if rule.Anywhere {
		return p.all
	}
	return p.tail
}

// LastLine returns the last line of an output that is not blank, without white space around it; "" if there is none.
func LastLine(output string) string {
	output = strings.TrimSpace(output)
	return strings.TrimSpace(output[strings.LastIndexByte(output, '\n')+1:])
}
