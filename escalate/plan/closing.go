package plan

import (
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// refWindow is how far a commit's reference and the closing that it causes may be apart. Gitea makes both in one go.
const refWindow = 10 * time.Second

// closingWord are the words with which Gitea lets a commit close an issue. As tags it is compiled when it is first used:
// most processes never look at a timeline.
var closingWord = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)\b(close[sd]?|fix(e[sd])?|resolve[sd]?)\b`)
})

// LastClosing reads from a timeline who closed the issue; false where it does not end in a closing.
//
// Gitea does not say why an issue was closed: a commit "closes #7" leaves a commit_ref and then a close by the pusher, in
// one go; a commit that was pushed to a branch first left its commit_ref then, and only the close comes with the merge; a
// pull request leaves a pull_ref when it is written, and a close when it is merged. So a closing counts as a person's own
// only if none of these can have caused it.
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

func near(a, b time.Time) bool { return a.Sub(b).Abs() <= refWindow }

// causedBy finds the closing that a commit caused when it was pushed, among the entries after its reference; -1: none. A
// commit closes once.
func causedBy(ref tracker.TimelineEntry, after []tracker.TimelineEntry) int {
	return slices.IndexFunc(after, func(e tracker.TimelineEntry) bool {
		return e.Type == "close" && e.By.ID == ref.By.ID && near(e.At, ref.At)
	})
}

// ClosedEarly tells whether the issue was closed before the flag was there. That can be only where the issue said NOT PAUSED at
// first; otherwise the flag came before the issue, and the clocks of two machines need not be compared.
func ClosedEarly(i incident.Incident, at time.Time) bool {
	_, told := i.Comments[incident.PausedKey(i)]
	return i.FlagWritten.IsZero() || (told || i.HeadedNotPaused) && at.Before(i.FlagWritten.Truncate(time.Second))
}

// byOperator plans to resume a project whose issue an operator closed. Nothing waits for that: it is an order.
func (p *planner) byOperator(i incident.Incident) bool {
	c, ok := p.o.Closings[i.ID]
	if !ok || !c.Resumes() || p.o.Flag.State != incident.FlagThere {
		return false
	}
	p.add(ResumeClosed, i, "the issue was "+c.String())
	return true
}
