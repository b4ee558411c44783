package issuetext

import (
	"fmt"
	"strings"

	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/markdown"
)

// Cause is why an issue lacks a part.
type Cause int

const (
	Refused      Cause = iota // the server refused the part
	Forbidden                 // the account may not
	Ignored                   // the server dropped the part without an error
	ServerFailed              // the server failed, again and again
)

const (
	mayNotWrite  = "the bot's account may not write to this repository"
	serverFailed = "Gitea failed when it was asked"
	maxNames     = 5 // in a sentence
)

// LabelsLeftOut says that labels are missing, and why.
func LabelsLeftOut(names []string, why Cause) string {
	cause := map[Cause]string{Refused: "Gitea refused", Forbidden: mayNotWrite, Ignored: "Gitea ignored the request", ServerFailed: serverFailed}[why]
	what, are := "labels", "are"
	if len(names) == 1 {
		what, are = "label", "is"
	}
	return fmt.Sprintf("The %s %s %s not set: %s.", what, quotedList(names), are, cause)
}

// quotedList returns names as in `"a", "b" and "c"`.
func quotedList(names []string) string {
	var quoted []string
	for _, name := range names[:min(len(names), maxNames)] {
		quoted = append(quoted, `"`+maskLine(name, maxName)+`"`)
	}
	if more := len(names) - maxNames; more > 0 {
		quoted = append(quoted, fmt.Sprint(more, " more"))
	}
	return andList(quoted)
}

// AssigneeLeftOut says that somebody is not assigned, and why.
func AssigneeLeftOut(login string, why Cause) string {
	cause := map[Cause]string{
		Refused:   "Gitea cannot assign this login. It may be unknown, an organisation, or without access to the repository",
		Forbidden: "this account has blocked the bot", Ignored: mayNotWrite, ServerFailed: serverFailed,
	}[why]
	return fmt.Sprintf("%s is not assigned: %s.", maskLine(login, maxName), cause)
}

// DueDateLeftOut says that the due date is missing.
func DueDateLeftOut() string { return "The issue has no due date: Gitea did not set it." }

const leftOutHeading = "\n### Left out\n\n"

// AddLeftOut adds sentences to the list of left out parts at the end of an issue's body, above the marker, and leaves
// everything else as it is. A sentence of the list is not repeated.
func AddLeftOut(body string, sentences []string) string {
	at := strings.LastIndex(body, "\n"+tracker.HiddenStart)
	if at < 0 {
		at = len(body)
	}
	head, marker := strings.TrimRight(body[:at], "\n")+"\n", body[at:]
	list := leftOutList(head)
	if list == "" {
		head += leftOutHeading
	}
	for _, s := range sentences {
		if line := "- " + markdown.Text(maskLine(s, maxSentence)) + "\n"; !strings.Contains(list, line) {
			list, head = list+line, head+line
		}
	}
	if out := head + marker; len(out) <= MaxBody {
		return out
	}
	return body
}

// leftOutList returns the list of left out parts, if that is the last thing in the text. The heading alone may stand in a
// job's output.
func leftOutList(text string) string {
	at := strings.LastIndex(text, leftOutHeading)
	if at < 0 {
		return ""
	}
	list := text[at+len(leftOutHeading):]
	for line := range strings.Lines(list) {
		if !strings.HasPrefix(line, "- ") {
			return ""
		}
	}
	return list
}
