package issuetext

import (
	"fmt"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/markdown"
	"github.com/terraphim/adfbot/internal/text"
)

// Each comment below ends with the hidden line of its key, see [tracker.CommentMarker]. Comments are masked without a
// list of known secrets.

// ResumedComment says when and how an incident ended.
func ResumedComment(key string, i incident.Incident) string {
	const replaced = "%s is still paused, by %s incident that has its own issue. The bot had lost its state and did not know %s incident " +
		"when the project failed again. This issue is closed."
	switch project := markdown.CodeSpan(i.Project); {
	case i.SupersededByEarlier():
		return reply(key, replaced, project, "an earlier", "that")
	case i.Replaced:
		return reply(key, replaced, project, "a later", "this")
	}
	how, lasted := ErrorText(i.EndedHow), ""
	if how == "" {
		how = "it is not known how"
	}
	if d := i.Ended.Sub(i.Opened); d > 0 {
		lasted = " after " + text.Duration(d)
	}
	how = strings.TrimPrefix(how, "resumed ")
	return reply(key, "%s was resumed on %s: %s.\n\nIncident %s ended%s.",
		markdown.CodeSpan(i.Project), minute(i.Ended), how, markdown.CodeSpan(i.Name()), lasted)
}

// StillPausedComment says why a closed issue was reopened. The hint is Markdown, or "".
func StillPausedComment(key string, i incident.Incident, resume Resume, hint string) string {
	if hint != "" {
		hint = "\n\n" + hint
	}
	return reply(key, "This issue was closed, but %s is still paused, so the bot reopens it.\n\n"+
		"To resume the project, run %s or remove its pause flag %s. The bot then closes the issue.%s",
		markdown.CodeSpan(i.Project), markdown.CodeSpan(resume.Command), markdown.CodeSpan(resume.Flag), hint)
}

// LeftOpenComment says that an issue which a person reopened after the end stays open.
func LeftOpenComment(key string, i incident.Incident) string {
	if i.IsSilent() {
		return silentLeftOpen(key, i)
	}
	how := "was resumed on " + minute(i.Ended)
	switch {
	case i.SupersededByEarlier():
		how = "was paused by an earlier incident"
	case i.Replaced:
		how = "was paused by a later incident"
	}
	return reply(key, "This issue was reopened after its incident had ended: %s %s. "+
		"The bot leaves the issue open; close it when you are done.\n\nIf the project trips again, the bot opens a new issue.",
		markdown.CodeSpan(i.Project), how)
}

// DuplicateComment says which issue of the incident is kept.
func DuplicateComment(key string, keep tracker.IssueRef) string {
	return reply(key, "This is a second issue for the same incident. %s is kept; this one is closed.", issueLink(keep, tracker.Repo{}))
}

// NowPausedComment says that the pause flag of an issue headed NOT PAUSED was written.
func NowPausedComment(key string, i incident.Incident, flag string) string {
	return reply(key, "The project is paused now: the pause flag %s was written at %s.",
		markdown.CodeSpan(flag), i.FlagWritten.UTC().Format(time.RFC3339))
}

// UnpausedComment says that the project is not paused on a host of the fleet.
func UnpausedComment(key string, i incident.Incident, h incident.UnpausedHost) string {
	return reply(key, "# NOT PAUSED on %s\n\n%s has no pause flag on the host %s: %s\n\nWork may still be dispatched there. Stop it by hand.",
		markdown.Text(maskLine(h.Name, maxName)), markdown.CodeSpan(i.Project), markdown.Text(maskLine(h.Name, maxName)), ErrorText(h.Why))
}

// PausedThereComment says that the flag was written there since.
func PausedThereComment(key string, i incident.Incident, h incident.UnpausedHost) string {
	return reply(key, "%s is paused on the host %s, too, now.", markdown.CodeSpan(i.Project), markdown.Text(maskLine(h.Name, maxName)))
}

func reply(key, format string, args ...any) string {
	return tracker.BreakMarkers(fmt.Sprintf(format, args...)) + "\n\n" + tracker.CommentMarker(key)
}

// ErrorText returns an error message as masked plain text for Markdown.
func ErrorText(s string) string { return markdown.Text(maskLine(s, maxSentence)) }
