package plan

import (
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// refWindow is the most time between a commit's reference and the closing that it causes. Gitea makes both at once.
const refWindow = 10 * time.Second

// closingWord matches the words with which a commit closes an issue in Gitea. It is compiled on first use, because few
// processes read a timeline.
var closingWord = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)\b(close[sd]?|fix(e[sd])?|resolve[sd]?)\b`)
})

// LastClosing returns who closed an issue, or false if the issue was not closed or was opened again.
//
// Gitea does not say why an issue was closed. A commit that "closes #7" leaves a commit_ref and then, at the same time,
// a close by whoever pushed it; if it was pushed to a branch first, the close follows with the merge. A pull request
// leaves a pull_ref when it is written, and a close when it is merged. A closing is a person's own only if none of
// these can have caused it.
func LastClosing(entries []tracker.TimelineEntry) (incident.Closing, bool) {
	last := -1
	for n, e := range entries {
		switch e.Type {
		case "close":
			last = n
		case "reopen":
			last = -1
		}
	}
	if last < 0 {
		return incident.Closing{}, false
	}
	c := incident.Closing{Entry: entries[last].ID, By: entries[last].By, At: entries[last].At}
	for n, e := range entries[:last] {
		switch {
		case e.Type == "commit_ref":
			caused := causedBy(e, entries[n+1:last+1])
			c.Machine = c.Machine || caused == last-n-1 || caused < 0 && closingWord().MatchString(e.Text)
		case e.Closes && (e.Merged == nil && near(c.At, e.At) || e.Merged != nil && near(c.At, *e.Merged)):
			c.Machine = true
		}
	}
	return c, true
}

// ClosedByCommit reports whether a closing at that time is the one that, according to an event, a commit caused.
func ClosedByCommit(i incident.Incident, at time.Time) bool {
	return !i.ClosedByCommit.IsZero() && near(i.ClosedByCommit, at)
}

func near(a, b time.Time) bool { return a.Sub(b).Abs() <= refWindow }

// causedBy returns the index of the closing, among the entries after a commit's reference, that the push of the commit
// caused, or -1. A commit closes an issue only once.
func causedBy(ref tracker.TimelineEntry, after []tracker.TimelineEntry) int {
	return slices.IndexFunc(after, func(e tracker.TimelineEntry) bool {
		return e.Type == "close" && e.By.ID == ref.By.ID && near(e.At, ref.At)
	})
}

// ClosedEarly reports whether the issue was closed before the flag was written. That is possible only if the issue was
// headed NOT PAUSED. Otherwise the flag precedes the issue, whatever the clocks of two machines say.
func ClosedEarly(i incident.Incident, at time.Time) bool {
	_, announced := i.Comments[incident.PausedKey(i)]
	return i.FlagWritten.IsZero() || (announced || i.HeadedNotPaused) && at.Before(i.FlagWritten.Truncate(time.Second))
}

// ClosedBeforeHold reports whether the issue was closed before a person paused the project, unless it was reopened since: clocks may differ.
func ClosedBeforeHold(i incident.Incident, at time.Time, h *incident.Hold) bool {
	return h != nil && h.After(at) && !slices.ContainsFunc(i.Reopens, h.Since.Before)
}
