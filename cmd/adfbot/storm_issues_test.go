package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/giteatest"
)

// The checks of incidents, flags and issues: promises 2 to 5.

func (c *checker) incidentsAndFlags() {
	open := map[string]string{}
	for _, i := range c.incidents {
		if _, ok := c.book.seen[i.id]; !ok {
			c.book.seen[i.id] = incidentSeen{i.project, i.opened}
		}
		if i.ended.IsZero() {
			if open[i.project] != "" {
				c.book.wrong("2: %s has two open incidents, %s and %s", i.project, open[i.project], i.id)
			}
			open[i.project] = i.id
			if _, ok := c.flags[i.project]; !ok {
				c.book.wrong("5: incident %s of %s is open, and there is no pause flag", i.id, i.project)
			}
			continue
		}
		if !c.book.resumed(i) && !c.replaced(i) {
			c.book.wrong("4: incident %s of %s has ended (%s), and nobody resumed it", i.id, i.project, i.how)
		}
	}
	for project := range stormProjects {
		_, flagged := c.flags[project]
		switch {
		case flagged && open[project] == "" && !c.book.held(project, c.flags[project]):
			c.book.wrong("5: %s is paused, without an incident, and nobody paused it: %q", project, c.flags[project])
		case flagged && open[project] == "" && !c.holds[project]:
			c.book.wrong("5: %s is held, and the state does not know it", project)
		case !flagged && c.holds[project]:
			c.book.wrong("5: the state says that %s is held, and there is no flag", project)
		case !flagged && c.book.calm[project].flagged && !c.book.released(project):
			c.book.wrong("4: %s was paused before the round and is not now, and nobody resumed it", project)
		}
	}
	// Who was open in the last calm is still there, also where the state was lost meanwhile.
	for project, was := range c.book.calm {
		if was.open == "" {
			continue
		}
		known := slices.ContainsFunc(c.incidents, func(i storedIncident) bool { return i.id == was.open })
		if lost := !c.book.stateKnown(); !known && !(lost && (c.book.released(project) || c.book.goneI[was.open])) {
			c.book.wrong("1: incident %s of %s was open, and the state knows nothing of it", was.open, project)
		}
	}
}

func (b *book) resumed(i storedIncident) bool {
	first := i.opened
	if seen := b.seen[i.id]; i.rebuilt && seen.first.Before(first) {
		first = seen.first
	}
	return slices.ContainsFunc(b.resumes, func(ch *chance) bool {
		if ch.project != i.project || ch.incident != "" && ch.incident != i.id || ch.stop {
			return false
		}
		if b.jumped || i.rebuilt {
			return true // the times in the state are no times of the book
		}
		// Nothing tells when a flag was removed while nothing could be stored. The state has the earliest time that it can have been.
		begun := strings.HasSuffix(i.how, "while nothing could be stored") || !ch.from.After(i.ended.Add(time.Millisecond))
		return begun && (ch.until.IsZero() || !ch.until.Before(first.Truncate(time.Millisecond)))
	})
}

func (b *book) released(project string) bool {
	return b.endedByItself(project) || slices.ContainsFunc(b.resumes, func(ch *chance) bool {
		return ch.project == project && (ch.round == b.s.at || ch.until.IsZero()) && b.isAbout(ch)
	})
}

func (b *book) held(project, note string) bool {
	since := b.calm[project].at
	if b.calm[project].flagged && b.calm[project].open == "" && !b.endedByItself(project) {
		return true
	}
	// A flag that a person made may have served an incident since, whose state was lost.
	old := len(b.lostAt) > 0 && !strings.Contains(note, "\nincident: ")
	return slices.ContainsFunc(b.holds, func(ch *chance) bool {
		over := !b.jumped && len(b.lostAt) == 0 && !ch.expires.IsZero() && ch.expires.Before(b.swept)
		return ch.project == project && !over && (old || ch.until.IsZero() || !ch.until.Before(since))
	})
}

var (
	commentKey = expression(`(?m)^<!-- adfbot:comment (\S+) -->\s*$`)
	left       = "/left-open"
)

func (c *checker) issuesAndIncidents() {
	byIncident := map[string][]target{}
	for _, i := range c.issues {
		at := fmt.Sprintf("%s#%d", i.repo, i.Number)
		if i.Author != botLogin || c.book.isStrange(at) {
			continue
		}
		saidTwice(at, i.Issue, c.book.wrong)
		if i.marker.incident == "" {
			continue
		}
		if i.marker.installation != c.installation {
			c.book.wrong("2: %s is of installation %s, this is %s", at, i.marker.installation, c.installation)
		}
		for _, m := range carried(i.Body) {
			byIncident[m.incident] = append(byIncident[m.incident], i)
		}
	}
	c.silentIssues(byIncident)
	paused := map[string]bool{}
	for _, i := range c.incidents {
		paused[i.id] = i.ended.IsZero()
	}
	for _, i := range c.incidents {
		issues := byIncident[i.id]
		delete(byIncident, i.id)
		var open, again []string
		for _, issue := range issues {
			at := fmt.Sprintf("%s#%d", issue.repo, issue.Number)
			if issue.State != "open" {
				continue
			}
			if n := len(comments(issue.Issue, fmt.Sprint("/duplicate/", issue.Number))); n == 1 && reopened(issue.Issue) {
				again = append(again, at) // it was closed as a duplicate once, and a person wants it open
				continue
			}
			open = append(open, at)
			if carriesOne(issue.Issue, paused) {
				continue
			}
			if !reopened(issue.Issue) {
				c.book.wrong("5: incident %s of %s has ended, and its issue %s is open", i.id, i.project, at)
			} else if n := len(comments(issue.Issue, left)); n != 1 && !(n == 0 && c.book.refused(issue.repo, issue.Number)) {
				c.book.wrong("5: a person reopened %s after the end of its incident, and %d comments say that it stays so", at, n)
			}
		}
		if len(open) == 0 && len(again) > 0 {
			open = again[:1] // the other one is gone meanwhile
		}
		if i.ended.IsZero() && len(open) != 1 {
			c.book.wrong("2: incident %s of %s is open, and these of its issues are: %q", i.id, i.project, open)
		}
		if most := 1 + c.book.plantedN[i.id]; len(issues) > most {
			c.book.wrong("2: incident %s of %s has %d issues, at most %d can be right", i.id, i.project, len(issues), most)
		}
	}
	for id, issues := range byIncident {
		for _, i := range issues {
			if i.State == "open" || len(c.book.lostAt) == 0 {
				c.book.wrong("2: issue %s#%d is about incident %s, which the state does not know", i.repo, i.Number, id)
			}
		}
	}
}

func reopened(i giteatest.Issue) bool {
	for _, e := range slices.Backward(i.Timeline) {
		switch e.Type {
		case "close":
			return false
		case "reopen":
			return e.Author != botLogin
		}
	}
	return false
}

func comments(i giteatest.Issue, keyEnd string) (keys []string) {
	for _, m := range i.Comments {
		if m.Author != botLogin {
			continue
		}
		for _, k := range commentKey().FindAllStringSubmatch(m.Body, -1) {
			if strings.HasSuffix(k[1], keyEnd) {
				keys = append(keys, k[1])
			}
		}
	}
	return keys
}

func saidTwice(at string, i giteatest.Issue, wrong func(format string, args ...any)) {
	said := map[string]bool{}
	for _, k := range comments(i, "") {
		if said[k] {
			wrong("6: %s says %s twice", at, k)
		}
		said[k] = true
	}
}

func (c *checker) strangers() {
	for _, i := range c.issues {
		at := fmt.Sprintf("%s#%d", i.repo, i.Number)
		c.book.mu.Lock()
		was, strange := c.book.strangeI[at]
		c.book.mu.Unlock()
		if !strange {
			continue
		}
		// People only comment on these.
		byBot := slices.ContainsFunc(i.Timeline, func(e giteatest.Event) bool { return e.Author == botLogin })
		if byBot || i.Title != was[0] || i.Body != was[1] || i.State != "open" || len(i.Labels) > 0 || len(i.Assignees) > 0 {
			c.book.wrong("3: %s is not the bot's, and was changed", at)
		}
	}
}

func (c *checker) gates() {
	for _, d := range c.book.deeds {
		was := c.book.calm[d.Project]
		if d.Round != c.at || !was.flagged {
			continue
		}
		resumed := c.book.endedByItself(d.Project) || slices.ContainsFunc(c.book.resumes, func(ch *chance) bool {
			return ch.project == d.Project && (ch.round == c.at || ch.until.IsZero()) && !ch.from.After(d.Ended) && c.book.isAbout(ch)
		})
		if resumed {
			continue
		}
		if d.What == "gate" && d.Code == 0 {
			c.book.wrong("4: %s was paused all the time, and p%d was told that it may run", d.Project, d.N)
		}
		if d.What == "exec" && len(c.book.ran(d)) > 0 {
			c.book.wrong("4: %s was paused all the time, and p%d ran its command", d.Project, d.N)
		}
	}
}

// replaced tells whether an incident gave way to another, of which one was lost together with the state: it was taken up when
// the project was paused by a later one, or it was opened in ignorance of one that went on.
func (c *checker) replaced(i storedIncident) bool {
	return slices.ContainsFunc(c.incidents, func(other storedIncident) bool {
		return (i.rebuilt || other.rebuilt) && other.project == i.project && other.id != i.id &&
			!other.opened.After(i.ended) && (other.ended.IsZero() || !other.ended.Before(i.ended))
	})
}
