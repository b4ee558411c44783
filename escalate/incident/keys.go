package incident

import (
	"fmt"
	"slices"
	"strings"

	"github.com/terraphim/adfbot/escalate/tracker"
)

// The functions below return the keys of comments that are written once. A key stands in the comment's hidden marker
// (see [tracker.CommentMarker]) and in the state.

// CommandKey is the key of the reply to a command.
func CommandKey(c Command) string { return fmt.Sprintf("%s/order/%d", c.Incident, c.Comment) }

// NotOperatorKey is the key of the reply to an account that may not give commands: one reply per account and incident.
func NotOperatorKey(i Incident, a tracker.Account) string {
	return fmt.Sprintf("%s/no-operator/%d", i.ID, a.ID)
}

// ResumedKey is the key of the comment that the incident has ended.
func ResumedKey(i Incident) string { return i.ID + "/resumed" }

// LeftOpenKey is the key of the comment that an issue reopened after the end stays open.
func LeftOpenKey(i Incident) string { return i.ID + "/left-open" }

// PausedKey is the key of the comment that the pause flag of an issue headed NOT PAUSED was written.
func PausedKey(i Incident) string { return i.ID + "/paused-now" }

// UnpausedKey is the key of the comment that the project is not paused on a host, which has the given id.
func UnpausedKey(i Incident, host string) string { return i.ID + unpausedPart + host }

const unpausedPart = "/not-paused/"

// UnpausedHosts returns the ids of the hosts of which an [UnpausedKey] comment was written.
func UnpausedHosts(i Incident) (hosts []string) {
	for key, c := range i.Comments {
		if host, ok := strings.CutPrefix(key, i.ID+unpausedPart); ok && c.Done {
			hosts = append(hosts, host)
		}
	}
	slices.Sort(hosts)
	return hosts
}

// PausedThereKey is the key of the comment that the project is paused there now.
func PausedThereKey(i Incident, host string) string { return i.ID + "/paused-now/" + host }

// ReopenedKey is the key of the comment about the last reopening. It contains its time, not a count, because the count
// starts again after the state was lost.
func ReopenedKey(i Incident) string {
	var at int64
	if n := len(i.Reopens); n > 0 {
		at = i.Reopens[n-1].UnixMilli()
	}
	return fmt.Sprintf("%s/reopened/%d", i.ID, at)
}

// LateKey marks in the state alone that a command was refused, because it was written before something by the server's clock, which may
// differ from this machine's. what is the id of a hold, or a [ResumeName].
func LateKey(c Command, what string) string {
	return fmt.Sprintf("%s/late/%d/%s", c.Incident, c.Comment, what)
}

// ParseLateKey returns the comment and what it is late for.
func ParseLateKey(i Incident, key string) (comment int64, what string, ok bool) {
	_, err := fmt.Sscanf(key, i.ID+"/late/%d/%s", &comment, &what)
	return comment, what, err == nil
}

// ResumeName names the last resume on the machine.
func ResumeName(i Incident) string { return fmt.Sprintf("resume-%d", i.ResumedHere.UnixMilli()) }

// DuplicateKey is the key of the comment on a second issue of the incident.
func DuplicateKey(i Incident, d tracker.IssueRef) string {
	return fmt.Sprintf("%s/duplicate/%d", i.ID, d.Number)
}

// DuplicateClosedKey marks in the state alone that a second issue of the incident was closed.
func DuplicateClosedKey(i Incident, d tracker.IssueRef) string { return DuplicateKey(i, d) + "/closed" }
