package issuetext

import (
	"fmt"
	"strconv"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/markdown"
)

// trend says what happened before an incident, e.g. "3rd incident in 7 days; the last two with the same error as `odilo#2`"; "" if nothing
// did.
func trend(t incident.Trend) string {
	same, count := "", ""
	if t.Nth > incident.TrendOf {
		count = fmt.Sprintf("More than %d incidents in 7 days", incident.TrendOf)
	} else if t.Nth > 1 {
		count = ordinal(t.Nth) + " incident in 7 days"
	}
	switch as := "the same error as " + markdown.CodeSpan(t.As); {
	case t.Same == 1 && count == "":
		return "T" + as[1:]
	case t.Same == 1:
		return count + ", with " + as
	case t.Same > 1 && count == "":
		return "The last " + number(t.Same) + " incidents had " + as
	case t.Same > 1:
		same = "; the last " + number(t.Same) + " with " + as
	}
	return count + same
}

// ordinal returns 1st, 2nd, 3rd and so on.
func ordinal(n int) string {
	suffix := "th"
	if n/10%10 != 1 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return strconv.Itoa(n) + suffix
}

// number returns a small number as a word.
func number(n int) string {
	words := []string{2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine"}
	if n < len(words) && words[n] != "" {
		return words[n]
	}
	return strconv.Itoa(n)
}
