package plan

import (
	"fmt"
	"slices"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// Limits of reopening, so that the bot does not fight a person or another bot all day. After MaxReopens in one window it
// waits for a window each time and reopens without a comment, until the issue has stayed open for reopenCalm.
const (
	MaxReopens   = 3
	reopenWindow = time.Hour
	reopenCalm   = 2 * reopenWindow
)

// Waits between attempts.
const (
	firstWait   = 30 * time.Second
	maxWait     = 15 * time.Minute
	longestWait = tracker.MaxRetryAfter + maxWait
)

// RetryWait returns how long to wait after the given number of consecutive failures: 30 s, doubled each time up to 15
// min. A jitter from 0 to 1 takes off up to a fifth, so that many incidents do not retry in step.
func RetryWait(tries int, jitter float64) time.Duration {
	d := maxWait
	if tries < 6 {
		d = min(firstWait<<max(tries-1, 0), maxWait)
	}
	return d - time.Duration(jitter*float64(d)/5)
}

// due reports whether the incident's next try may be made.
func (p *planner) due(i *incident.Incident) bool { return p.o.Force || Due(p.o.Now, *i) }

// Due reports whether the wait before the next try is over. A longer wait than the one that was set comes from a clock that was
// set back since; firstWait allows for clocks that differ a little.
func Due(now time.Time, i incident.Incident) bool { return TimeCome(now, i.NextTry, i.Wait) }

// TimeCome is [Due] for any next try and the wait before it.
func TimeCome(now, nextTry time.Time, wait time.Duration) bool {
	left := nextTry.Sub(now)
	if wait == 0 { // an earlier version has set it
		return left <= 0 || left > longestWait
	}
	return left <= 0 || left > wait+firstWait
}

// ReplaceWait returns how long to wait before an issue takes the place of the last of several of an incident that were lost. Somebody
// may delete one by mistake; what takes the marker out of each new issue may do so for ever.
func ReplaceWait(lost int) time.Duration {
	const most = 24 * time.Hour
	switch {
	case lost < 2:
		return 0
	case lost > 12:
		return most
	}
	return firstWait << (lost - 1)
}

func (p *planner) adopt(i *incident.Incident) bool {
	issue := p.oldest(i.ID)
	if !i.Issue.IsZero() || issue == nil || i.Leads() && issue.Marker.Incident != i.ID {
		return false
	}
	p.add(Adopt, i, "the incident's issue exists, and the state does not know it").Issue = issue.IssueRef
	return true
}

// open plans for an incident that pauses the project.
func (p *planner) open(i *incident.Incident) {
	due := p.due(i)
	switch {
	case p.adopt(i):
	case i.Issue.IsZero():
		if due && p.o.Joins && i.MayJoin() {
			p.add(Join, i, "the issue of another incident of the same cause may carry it")
		}
		if due {
			p.add(Create, i, "the incident has no issue yet")
		}
	case p.o.Flag.State == incident.FlagUnknown:
		if is := p.o.Issues[i.ID]; due && (is == IssueOpen || is == IssueUnknown) {
			p.carried(i) // that follows from the state
		}
	case p.o.Issues[i.ID] == IssueOpen && (due || p.o.Refused[i.ID]):
		if i.ReopenPending {
			p.add(ConfirmReopened, i, "the issue is open again")
		}
		if i.HeadedNotPaused && !i.FlagWritten.IsZero() && i.IsOpen() {
			p.add(AnnouncePaused, i, "the issue says NOT PAUSED, and the pause flag was written since")
		}
		p.carried(i)
		p.escalation(i)
		for _, m := range p.o.Carried(i) {
			if m.ID != i.ID && (!m.IsOpen() || !i.HasShown(m.ID)) {
				continue
			}
			if m.Issue = i.Issue; m.IsOpen() {
				p.elsewhere(&m)
			}
			if m.Incomplete && p.due(&m) {
				p.add(Complete, &m, "the issue lacks labels, assignees or its due date")
			}
		}
		if i.NamedFlag != "" {
			p.add(NameFlag, i, fmt.Sprintf("the issue names the pause flag %s, and the pause directory has moved", i.NamedFlag))
		}
	case p.o.Issues[i.ID] == IssueUnknown && due: // a visit has not looked: these steps do
		p.carried(i)
	case p.o.Issues[i.ID] == IssueClosed:
		p.closed(i, due)
	case p.o.Issues[i.ID] == IssueLost && due:
		p.add(Replace, i, fmt.Sprintf("issue %s was deleted, or is no longer the bot's", i.Issue))
	}
}

// elsewhere plans the comments on hosts of the fleet that cannot write the flag, and on those that could later: one of each for a host.
func (p *planner) elsewhere(i *incident.Incident) {
	if p.o.Unpaused == nil {
		return
	}
	unpaused := p.o.Unpaused.Projects[i.Project]
	for _, h := range unpaused {
		if !i.Comments[incident.UnpausedKey(*i, h.ID)].Done {
			p.add(AnnounceUnpaused, i, "the project is not paused on "+h.Name).Host = h
		}
	}
	for _, id := range incident.UnpausedHosts(*i) {
		still := slices.ContainsFunc(unpaused, func(h incident.UnpausedHost) bool { return h.ID == id })
		if name, known := p.o.Unpaused.Names[id]; known && !still && !i.Comments[incident.PausedThereKey(*i, id)].Done {
			p.add(AnnouncePausedThere, i, "the project is paused on "+name+" now").Host = incident.UnpausedHost{ID: id, Name: name}
		}
	}
}

// closed plans for a paused project whose issue was closed: an operator's closing resumes it, without any wait.
func (p *planner) closed(i *incident.Incident, due bool) {
	c, ok := p.o.Closings[i.ID]
	if i.Leads() && ok && slices.ContainsFunc(p.o.Carried(i), func(m incident.Incident) bool { return Resumes(c, *i, m) }) ||
		!i.Leads() && ok && c.Resumes() && p.o.Flag.State == incident.FlagThere && !ClosedBeforeHold(*i, c.At, p.o.Hold) {
		p.add(ResumeClosed, i, "the issue was "+c.String())
		return
	}
	if quiet, now := reopening(p.o.Now, *i); now && due {
		p.add(Reopen, i, "the issue was closed, but the project is still paused").Quiet = quiet
	}
}

// reopening reports whether to reopen a closed issue now, and whether without a comment.
func reopening(now time.Time, i incident.Incident) (quiet, due bool) {
	if i.ReopenPending {
		return i.ReopenQuiet, true
	}
	// A time in the future comes from a wrong clock.
	past := slices.DeleteFunc(slices.Clone(i.Reopens), func(t time.Time) bool { return t.After(now) })
	n := len(past)
	if n == 0 {
		return false, true
	}
	since := now.Sub(past[n-1])
	tooMany := n >= MaxReopens && past[n-1].Sub(past[n-MaxReopens]) < reopenWindow
	if since >= reopenCalm || !tooMany && !i.ReopenQuiet {
		return false, true
	}
	return true, since >= reopenWindow
}

// ReopenAt returns when a closed issue may be reopened; the zero time means now.
func ReopenAt(now time.Time, i incident.Incident) time.Time {
	if _, due := reopening(now, i); due {
		return time.Time{}
	}
	past := slices.DeleteFunc(slices.Clone(i.Reopens), func(t time.Time) bool { return t.After(now) })
	return past[len(past)-1].Add(reopenWindow)
}

// ended plans for an incident that has ended.
func (p *planner) ended(i *incident.Incident) {
	open := p.o.Issues[i.ID] == IssueOpen
	switch {
	case p.o.Flag.State == incident.FlagUnknown:
	case p.adopt(i):
	case i.Settled && open && !i.LeftOpen && p.due(i):
		p.add(LeaveOpen, i, "the issue was reopened after its incident had ended")
	case i.Settled:
	case i.Issue.IsZero() && i.Create.At.IsZero():
		p.add(Settle, i, "the incident ended before it had an issue")
	case !p.due(i):
	case i.Issue.IsZero():
		p.add(FindLost, i, "the incident ended before it was known whether its issue was created")
	case i.IssueClosed && i.EndUntold():
		p.add(Close, i, "the incident has ended, and the comment on that is missing in its closed issue")
	case i.IssueClosed:
		p.add(Close, i, "the incident has ended, and the list in its closed issue does not say so yet")
	default:
		p.add(Close, i, "the incident has ended")
	}
}

// duplicates plans to close all open issues of an incident except the one that the state knows. For an open incident,
// that one must be seen open first, so that the last open issue of a paused project is never closed.
func (p *planner) duplicates(i *incident.Incident) {
	if i.Issue.IsZero() || p.o.Flag.State == incident.FlagUnknown || !p.due(i) || p.needed(i) && p.o.Issues[i.ID] != IssueOpen {
		return
	}
	for _, d := range p.o.Open {
		known := d.ID == i.Issue.ID && d.Number == i.Issue.Number
		if d.Marker.Incident == i.ID && !known && !i.Comments[incident.DuplicateClosedKey(*i, d.IssueRef)].Done {
			p.add(CloseDuplicate, i, fmt.Sprintf("a second issue of the incident; %s is kept", i.Issue)).Issue = d.IssueRef
		}
	}
}
