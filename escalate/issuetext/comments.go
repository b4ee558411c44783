package issuetext

import (
	"fmt"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/markdown"
)

// The comments of the bot. Each ends with the hidden line of its key, see [tracker.CommentMarker]. They know no secret values, so
// they mask by looks.

// ResumedComment tells when and how an incident ended.
func ResumedComment(key string, i incident.Incident) string {
	if i.SupersededByEarlier() {
		return reply(key, "%s is still paused, by an earlier incident with an issue of its own. The state that knew of that one was lost, "+
			"and the project failed again before it could be taken up. This issue is closed.", markdown.CodeSpan(i.Project))
	}
	if i.Replaced {
		return reply(key, "%s is still paused, by a later incident with an issue of its own. The state that knew of this one was lost, "+
			"and the project tripped again before it could be taken up. This issue is closed.", markdown.CodeSpan(i.Project))
	}
	how := ErrorText(i.EndedHow)
	if how == "" {
		how = "how was not noticed"
	}
	return reply(key, "%s was resumed on %s: %s.\n\nIncident %s is over. It lasted %s.",
		markdown.CodeSpan(i.Project), minute(i.Ended), how, markdown.CodeSpan(i.Name()), durationText(i.Ended.Sub(i.Opened)))
}

// StillPausedComment says why an issue that was closed is open again. The hint is Markdown, or "".
func StillPausedComment(key string, i incident.Incident, pauseFlag, hint string) string {
	if hint != "" {
		hint = "\n\n" + hint
	}
	return reply(key, "This issue was closed, but %s is still paused, so it is open again.\n\n"+
		"To resume the project, remove its pause flag (%s) or run %s. The bot then closes the issue.%s",
		markdown.CodeSpan(i.Project), markdown.CodeSpan("rm "+shellPath(pauseFlag)), markdown.CodeSpan("adfbot resume "+i.Project), hint)
}

// LeftOpenComment tells that an issue which a person reopened after the end stays as it is.
func LeftOpenComment(key string, i incident.Incident) string {
	how := "was resumed on " + minute(i.Ended)
	switch {
	case i.SupersededByEarlier():
		how = "was paused by an earlier incident"
	case i.Replaced:
		how = "was paused by a later incident"
	}
	return reply(key, "This issue was reopened after its incident had ended: %s %s. "+
		"The bot leaves the issue open; close it when you are done.\n\nShould the project trip again, a new issue is opened.",
		markdown.CodeSpan(i.Project), how)
}

// DuplicateComment tells which issue of the same incident is kept.
func DuplicateComment(key string, keep tracker.IssueRef) string {
	return reply(key, "A second issue for the same incident: %s is the one that goes on. This one is closed.",
		issueLink(keep, tracker.Repo{}))
}

func reply(key, format string, args ...any) string {
	return tracker.BreakMarkers(fmt.Sprintf(format, args...)) + "\n\n" + tracker.CommentMarker(key)
}

func ErrorText(s string) string { return markdown.Text(maskLine(s, maxSentence)) }

func NowPausedComment(key string, i incident.Incident, flag string) string {
	return fmt.Sprintf("The project is paused now: the pause flag %s could be written at %s.\n\n%s\n",
		markdown.CodeSpan(flag), i.FlagWritten.UTC().Format(time.RFC3339), tracker.CommentMarker(key))
}
