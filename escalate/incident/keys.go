package incident

import (
	"fmt"

	"github.com/terraphim/adfbot/escalate/tracker"
)

func CommandKey(o Command) string { return fmt.Sprintf("%s/order/%d", o.Incident, o.Comment) }

// NotOperatorKey has no comment in it: a person gets one such answer per incident.
func NotOperatorKey(i Incident, a tracker.Account) string {
	return fmt.Sprintf("%s/no-operator/%d", i.ID, a.ID)
}

// Keys of the comments that are made once. They stand hidden in the comment, and in the state.
func ResumedKey(i Incident) string { return i.ID + "/resumed" }

func LeftOpenKey(i Incident) string { return i.ID + "/left-open" }

func PausedKey(i Incident) string { return i.ID + "/paused-now" }

// ReopenedKey names the last reopening by its time: a state that was lost and rebuilt begins to count anew.
func ReopenedKey(i Incident) string {
	var at int64
	if n := len(i.Reopens); n > 0 {
		at = i.Reopens[n-1].UnixMilli()
	}
	return fmt.Sprintf("%s/reopened/%d", i.ID, at)
}

func DuplicateKey(i Incident, d tracker.IssueRef) string {
	return fmt.Sprintf("%s/duplicate/%d", i.ID, d.Number)
}

func DuplicateClosedKey(i Incident, d tracker.IssueRef) string { return DuplicateKey(i, d) + "/closed" }
