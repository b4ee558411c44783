package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/giteatest"
)

// What TestStorm's book and checker know of stops, silence and steps.

// look notes that somebody looks for silence again soon after the last look: at the beginning of a round, or at its end.
func (b *book) look(round int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.looks[round] = true
}

// many notes that a command may pause or resume projects, each in its way.
func (b *book) many(d *deed) (over func(*deed)) {
	o := orderOf(d.Args)
	var mine []*chance
	for _, project := range o.projects {
		to, did := &b.resumes, "resumed"
		if d.What == "pause" {
			to, did = &b.holds, "paused"
		}
		_ = b.chance(to, project, "", fmt.Sprintf("p%d %s", d.N, did))
		b.mu.Lock()
		c := (*to)[len(*to)-1]
		c.stop, c.lasts = o.stop && !o.incidents, o.lasts
		b.mu.Unlock()
		mine = append(mine, c)
	}
	return func(d *deed) {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, c := range mine {
			c.until = b.s.now()
			c.sure = d.Code == 0
			if c.lasts > 0 {
				c.expires = c.until.Add(c.lasts)
			}
			if c.stop && d.What == "pause" { // it also pauses whoever it finds later
				c.until = time.Time{}
			}
		}
	}
}

// aboutAll notes an operator's order about all projects, and reports whether a comment is one.
func (b *book) aboutAll(who, text string) bool {
	to := &b.holds
	switch {
	case strings.HasPrefix(text, "/adf resume all"):
		to = &b.resumes
	case !strings.HasPrefix(text, "/adf pause all"):
		return false
	}
	for project := range stormProjects {
		_ = b.chance(to, project, "", who+" wrote "+text)
		b.mu.Lock()
		(*to)[len(*to)-1].stop = true
		b.mu.Unlock()
	}
	return true
}

// answer has somebody answer to the latest incident that has an issue, before the sweeps of the calm: those in which steps come due.
// After the first ones, whoever has taken the incident is assigned no more, which takes back no word: that is for later to do.
func (s *storm) answer(text string) (later func()) {
	all := s.targets("")
	slices.Reverse(all)
	n := slices.IndexFunc(all, func(i target) bool { return i.State == "open" && !i.Locked && !i.marker.silent })
	if text == "" || n < 0 {
		return func() {}
	}
	i, who := all[n], operator
	if text == assigns {
		who = stranger // the bot assigns the operator
		s.book.assign(who, i)
		s.As(who).Assign(i.repo, i.Number, who)
	} else {
		s.book.tell(who, i, text, s.As(who).Comment(i.repo, i.Number, text))
	}
	at := fmt.Sprintf("%s#%d", i.repo, i.Number)
	s.book.note(s.now(), who, "in the calm "+text, at)
	return func() {
		if text == "/adf ack" {
			s.As(who).Assign(i.repo, i.Number)
			s.book.note(s.now(), who, "in the calm assigns nobody", at)
		}
	}
}

// assign notes that somebody is assigned whom no step assigns.
func (b *book) assign(who string, i target) {
	if who == stranger {
		b.addTold(i, assigns, 0)
	}
}

// tell notes what an operator wrote about steps.
func (b *book) tell(who string, i target, text string, comment int64) {
	if b.s.plan.Operators && who != stranger {
		b.addTold(i, text, comment)
	}
}

func (b *book) addTold(i target, text string, comment int64) {
	t := told{at: fmt.Sprintf("%s#%d", i.repo, i.Number), comment: comment, written: b.s.now(), text: text}
	for _, m := range carried(i.Body) {
		t.incidents = append(t.incidents, m.incident)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = append(b.told, t)
}

// isAbout tells whether a resume can have resumed what was paused in the last calm: the end of a stop resumes what that holds.
func (b *book) isAbout(ch *chance) bool { return !ch.stop || b.calm[ch.project].stop != "" }

// endedByItself tells whether a project was held in the last calm for a time that is over.
func (b *book) endedByItself(project string) bool {
	was := b.calm[project]
	return was.open == "" && !was.until.IsZero() && !was.until.After(b.s.now())
}

// stops: what was paused for certain is paused until somebody resumes it or its time is over, and the end of a stop is no reason where
// that had not paused the project.
func (c *checker) stops() {
	for _, h := range c.book.holds {
		if !h.sure || c.book.jumped || len(c.book.lostAt) > 0 || !h.expires.IsZero() && h.from.Add(h.lasts).Before(c.now()) {
			continue
		}
		if !c.isKnown(h.project) {
			continue
		}
		resumed := slices.ContainsFunc(c.book.resumes, func(ch *chance) bool {
			return ch.project == h.project && (ch.until.IsZero() || !ch.until.Before(h.from)) && (h.stop || !ch.stop)
		})
		if _, flagged := c.flags[h.project]; !flagged && !resumed {
			c.book.wrong("4: %s is not paused, although %s, and nobody resumed that", h.project, h.why)
		}
	}
	var known []string
	for project := range stormProjects {
		if c.isKnown(project) {
			known = append(known, project)
		}
	}
	for _, s := range c.inForce {
		switch {
		case c.book.jumped:
		case !s.until.IsZero() && s.until.Before(c.book.swept):
			c.book.wrong("5: stop %s is over since %s, and nobody has ended it", s.id, moment(s.until))
		case len(s.left(known)) > 0:
			c.book.wrong("5: stop %s is in force, and has left out %q", s.id, s.left(known))
		}
	}
	for project, h := range c.held {
		if c.book.jumped || len(c.book.lostAt) > 0 {
			continue
		}
		if !h.until.IsZero() && h.until.Before(c.book.swept) {
			c.book.wrong("5: the hold of %s is over since %s", project, moment(h.until))
		}
		if !slices.ContainsFunc(c.book.holds, func(ch *chance) bool { return ch.project == project && ch.endsAt(h.until) }) && h.stop == "" {
			c.book.wrong("5: nobody paused %s until %s", project, moment(h.until))
		}
	}
}

// isKnown tells whether a project is configured by its id, or the state knows it.
func (c *checker) isKnown(project string) bool {
	_, known := c.projects[project]
	return known || project != "digital-twins" || !strings.Contains(c.plan.Config, "match: \"digital-*\"")
}

// endsAt tells whether a hold that was made then ends at that time.
func (ch *chance) endsAt(until time.Time) bool {
	if ch.lasts == 0 || until.IsZero() {
		return ch.lasts == 0 && until.IsZero()
	}
	return !until.Before(ch.from.Add(ch.lasts-time.Second)) && (ch.expires.IsZero() || !until.After(ch.expires.Add(time.Second)))
}

// silences: each is opened and ended for a reason, and none is left out.
func (c *checker) silences() {
	open := map[string]bool{}
	for _, i := range c.silent {
		if !c.plan.Expect || i.project == "night-watch" {
			c.book.wrong("8: nothing is expected of %s, and it is said to be silent: %s", i.project, i.id)
		}
		_, flagged := c.flags[i.project]
		reported := slices.IndexFunc(c.results, func(r storedResult) bool {
			return r.project == i.project && r.counted && r.recorded.After(i.opened)
		})
		if i.ended.IsZero() {
			open[i.project] = true
			switch {
			case flagged:
				c.book.wrong("8: %s is paused, and silence %s is open", i.project, i.id)
			case reported >= 0 && !i.rebuilt && !c.book.jumped:
				c.book.wrong("8: %s has reported at %s, and silence %s is open", i.project, moment(c.results[reported].recorded), i.id)
			}
		} else if reported < 0 && !c.wasPaused(i) && len(c.book.lostAt) == 0 && !c.book.jumped {
			c.book.wrong("8: silence %s of %s has ended (%s), and nothing was reported or paused", i.id, i.project, i.how)
		}
		if i.rebuilt || c.book.jumped {
			continue
		}
		for _, r := range c.results {
			if ago := i.opened.Sub(r.recorded); r.project == i.project && r.counted && ago > time.Second && ago < expectIn-time.Second {
				c.book.wrong("8: %s has reported at %s, and is said to be silent at %s", i.project, moment(r.recorded), moment(i.opened))
			}
		}
		if _, known := c.book.seen[i.id]; !known && !c.book.looks[c.at] {
			c.book.wrong("8: %s is said to be silent at %s, and nobody had looked before that", i.project, moment(i.opened))
		}
	}
	for _, i := range c.silent {
		c.book.seen[i.id] = incidentSeen{i.project, i.opened}
	}
	for project, was := range c.book.calm {
		if was.silent != "" && !slices.ContainsFunc(c.silent, func(i storedIncident) bool { return i.id == was.silent }) &&
			!(len(c.book.lostAt) > 0 && (c.book.goneI[was.silent] || c.reportedNow(project))) {
			c.book.wrong("1: silence %s of %s was open, and the state knows nothing of it", was.silent, project)
		}
	}
	if !c.plan.Expect || !c.plan.Rounds[c.at].Look {
		return
	}
	for project := range stormProjects {
		_, flagged := c.flags[project]
		if c.isKnown(project) && !flagged && !open[project] && project != "night-watch" {
			c.book.wrong("8: nothing was heard of %s for %s, and nobody says so", project, lookAgain)
		}
	}
}

func (c *checker) reportedNow(project string) bool {
	return slices.ContainsFunc(c.results, func(r storedResult) bool { return r.project == project && r.counted })
}

// wasPaused tells whether a project may have been paused while an incident was open.
func (c *checker) wasPaused(i storedIncident) bool {
	return slices.ContainsFunc(c.incidents, func(of storedIncident) bool {
		return of.project == i.project && !of.opened.After(i.ended) && (of.ended.IsZero() || !of.ended.Before(i.opened))
	}) || slices.ContainsFunc(c.book.holds, func(ch *chance) bool {
		return ch.project == i.project && !ch.from.After(i.ended) && (ch.until.IsZero() || !ch.until.Before(i.opened))
	}) || c.book.calm[i.project].flagged
}

// silentIssues: each silence has one issue, which is open as long as it is unless a person closed it (2, 5).
func (c *checker) silentIssues(byIncident map[string][]target) {
	for _, i := range c.silent {
		issues := byIncident[i.id]
		delete(byIncident, i.id)
		var open []string
		for _, issue := range issues {
			at := fmt.Sprintf("%s#%d", issue.repo, issue.Number)
			if len(carried(issue.Body)) > 1 || !issue.marker.silent {
				c.book.wrong("2: %s tells of silence %s and of more", at, i.id)
			}
			if issue.State != "open" || len(comments(issue.Issue, fmt.Sprint("/duplicate/", issue.Number))) == 1 && reopened(issue.Issue) {
				continue
			}
			open = append(open, at)
			if !i.ended.IsZero() && !reopened(issue.Issue) {
				c.book.wrong("5: silence %s of %s has ended, and its issue %s is open", i.id, i.project, at)
			}
		}
		if most := 1 + c.book.plantedN[i.id]; len(issues) > most {
			c.book.wrong("2: silence %s of %s has %d issues, at most %d can be right", i.id, i.project, len(issues), most)
		}
		if i.ended.IsZero() && len(open) != 1 && !(len(open) == 0 && c.book.goneI[i.id]) {
			c.book.wrong("8: silence %s of %s is open, and these of its issues are: %q", i.id, i.project, open)
		}
	}
}

// steps: see stepsChecker.
func (c *checker) steps() {
	check := stepsChecker{quietPlan: c.plan.quietPlan, now: c.book.swept, slack: 5 * time.Second, told: c.book.told, lost: len(c.book.lostAt) > 0, pages: c.pager.pages(), wrong: c.book.wrong}
	check.unsure = func(from string) bool {
		d := c.from[from] // none: the sweep in the calm
		return len(c.book.lostAt) > 0 || c.plan.Denied || d != nil && (d.signaled || d.What == "serve" || d.Hit.How != "")
	}
	for _, i := range c.incidents {
		first := i.opened
		check.waiting = append(check.waiting, waiting{id: i.id, project: i.project, opened: first, open: i.ended.IsZero(),
			vague: i.rebuilt || c.book.jumped || len(c.book.lostAt) > 0})
	}
	for _, i := range c.issues {
		if i.Author == botLogin && !c.book.isStrange(fmt.Sprintf("%s#%d", i.repo, i.Number)) {
			check.issues = append(check.issues, i.Issue)
		}
	}
	check.excused = func(w waiting, i giteatest.Issue) bool {
		return c.book.goneI[w.id] || c.book.plantedN[w.id] > 0 || i.Locked || c.book.refused(theRepo, i.Number) || c.book.refused(otherRepo, i.Number)
	}
	check.check()
}
