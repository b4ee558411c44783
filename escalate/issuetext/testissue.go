package issuetext

import (
	"fmt"

	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/markdown"
	"github.com/terraphim/adfbot/internal/redact"
)

// TrialTitle is the title of an issue that tests what the bot may do. It does not begin with [ADF], by which people and programs know the
// issues of incidents.
const TrialTitle = "adfbot test issue: nothing is wrong"

// TrialBody returns the text of such an issue. instance is what people call the bot; command closes an issue that was left open.
func TrialBody(installation, instance, command string) string {
	return fmt.Sprintf("Somebody tests whether adfbot (%s) may open, label, comment on and close issues here. Nothing has failed, and no project is paused.\n\n"+
		"adfbot closes this issue at once. If it stays open, the test was interrupted: close it, or run %s, which closes it, too.\n\n%s",
		markdown.Text(redact.Line(instance, maxName)), markdown.CodeSpan(command), tracker.TestMarker(installation))
}

// TrialComment is the comment on a test issue.
const TrialComment = "This comment is a part of the test. There is nothing to do."
