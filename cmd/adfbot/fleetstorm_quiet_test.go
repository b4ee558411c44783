package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/testpg"
)

// What TestFleetStorm's book and checker know of stops, silence and steps.

// later makes what decides about silence older, while no process runs: a fleet has the database's clock, which cannot be set.
func (s *fleetStorm) later() {
	begun := time.Now()
	seconds := int(lookAgain.Seconds())
	testpg.Exec(s.t, s.pg.URL(), strings.ReplaceAll(`
UPDATE adfbot.result SET finished_at = coalesce(finished_at, recorded_at) - interval '$N s';
UPDATE adfbot.project SET resumed_at = resumed_at - interval '$N s';
UPDATE adfbot.silence SET ended_at = ended_at - interval '$N s';
UPDATE adfbot.meta SET value = jsonb_set(value::jsonb, '{since}', to_jsonb((value::jsonb->>'since')::timestamptz - interval '$N s'))::text WHERE key = 'silence';
UPDATE adfbot.meta SET value = (SELECT jsonb_object_agg(k, v::timestamptz - interval '$N s') FROM jsonb_each_text(value::jsonb) AS e (k, v))::text
	WHERE key = 'silence_projects'`, "$N", fmt.Sprint(seconds)))
	s.book.shifted = append(s.book.shifted, begun)
	s.book.note(begun, "storm", fmt.Sprint("all is ", lookAgain, " older"), "")
}

// lookTogether has all hosts look for silence at once, when it can be found. The first sweep makes sure that somebody has looked before.
func (s *fleetStorm) lookTogether() {
	if out, code := s.hosts[0].inProcess("sweep"); code != 0 {
		s.book.note(time.Now(), "storm", "nobody looks before", out)
	}
	s.later()
	var all sync.WaitGroup
	for _, h := range s.hosts {
		all.Go(func() { h.inProcess("sweep") })
	}
	all.Wait()
}

// tell notes what an operator wrote about steps.
func (b *fleetBook) tell(m move, i giteatest.Issue, comment int64) {
	if m.Who == stranger {
		return
	}
	t := told{at: fmt.Sprintf("%s#%d", fleetRepo(m.Project), i.Number), comment: comment, written: time.Now(), text: m.Args[0]}
	for _, of := range carried(i.Body) {
		t.incidents = append(t.incidents, of.incident)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = append(b.told, t)
}

// heldByStops returns the holds that are part of a stop.
func (c *fleetChecker) heldByStops() map[string]bool {
	held := map[string]bool{}
	for _, e := range c.events {
		if e.What == "hold" && e.Pause != "" && e.Kind != "" {
			held[e.Pause] = true
		}
	}
	return held
}

// stopped reports whether somebody may have begun or ended a stop of a project. Any host carries it out, sooner or later.
func (c *fleetChecker) stopped(what, project string, at time.Time) bool {
	return slices.ContainsFunc(c.book.deeds, func(d *fleetDeed) bool {
		return d.What == what && d.names(project) && d.order().stop && !d.Begun.After(at)
	}) || slices.ContainsFunc(c.book.orders, func(e *episode) bool {
		return e.what == what && e.project == project && e.stop && !e.begun.After(at)
	})
}

// withIncidents reports whether somebody has resumed all projects, whatever pauses them.
func (c *fleetChecker) withIncidents(project string, at time.Time) bool {
	return slices.ContainsFunc(c.book.deeds, func(d *fleetDeed) bool {
		return d.What == "resume" && d.names(project) && d.order().incidents && !d.Begun.After(at) && !d.Ended.Add(slack).Before(at)
	})
}

// stops: what was paused for certain, and nobody may have resumed since, is paused.
func (c *fleetChecker) stops() {
	projects := c.projects()
	for _, d := range c.book.deeds {
		if d.What != "pause" || d.Code != 0 {
			continue
		}
		for _, project := range d.order().projects {
			since := func(e *episode) bool {
				return (e.project == "" || e.project == project) && !e.ended.Before(d.Begun.Add(-slack))
			}
			resumed := slices.ContainsFunc(c.book.deeds, func(r *fleetDeed) bool {
				// Which end of a stop is the end of this one is not looked at.
				return r.What == "resume" && r.names(project) && (d.order().stop || !r.order().stop || r.order().incidents) && !r.Ended.Add(slack).Before(d.Begun)
			}) || slices.ContainsFunc(c.book.orders, func(e *episode) bool {
				return e.what == "resume" && since(e) && (d.order().stop || !e.stop)
			}) || slices.ContainsFunc(c.book.removed, func(r *removal) bool { return since(&r.episode) }) || slices.ContainsFunc(c.book.dirs, since)
			if projects[project].Pause == "" && !resumed {
				c.book.wrong("4: p%d paused %s, which is not paused now, and nobody resumed that", d.N, project)
			}
		}
	}
}

// inForce: no stop has left out a project.
func (c *fleetChecker) inForce() {
	rows := queryFleet[struct{ ID, Doc, Covered string }](c.fleetStorm, `SELECT id, doc,
		coalesce((SELECT string_agg(project, ' ') FROM adfbot.stop_project WHERE stop = stop.id), '') FROM adfbot.stop WHERE ended_at IS NULL`)
	for _, r := range rows {
		s, err := newStopInForce(r.ID, r.Doc, r.Covered)
		if left := s.left(slices.Sorted(maps.Keys(stormProjects))); err != nil || len(left) > 0 {
			c.book.wrong("5: stop %s is in force, and has left out %q: %v", s.id, left, err)
		}
	}
}

func (s *fleetStorm) silences() []fleetIncident {
	return queryFleet[fleetIncident](s, `SELECT id, project, opened_at, ended_at IS NOT NULL, settled, coalesce((doc::json->>'Rebuilt')::bool, false)
		FROM adfbot.silence ORDER BY project, seq`)
}

// silence: each is opened and ended for a reason, and none is left out.
func (c *fleetChecker) silence() {
	projects := c.projects()
	open := map[string]bool{}
	for _, i := range c.silences() {
		if !c.plan.Expect || i.Project == "night-watch" {
			c.book.wrong("8: nothing is expected of %s, and it is said to be silent: %s", i.Project, i.ID)
		}
		// How long nothing was heard when it was opened: since the last result before that, or since there is a fleet.
		heard, reported := c.begun, false
		for _, r := range c.results {
			if r.Project == i.Project && r.Counted {
				if r.Recorded.After(i.Opened) {
					reported = true
				} else if r.Recorded.After(heard) && i.Opened.Sub(r.Recorded) > time.Second { // both may have begun at once
					heard = r.Recorded
				}
			}
		}
		age := i.Opened.Sub(heard)
		for _, at := range c.book.shifted {
			if at.After(heard) && at.Before(i.Opened) {
				age += lookAgain
			}
		}
		if age < expectIn-time.Second {
			c.book.wrong("8: %s is said to be silent at %s, and nothing was heard of it for %s only", i.Project, moment(i.Opened), age)
		}
		if c.pausedThen(i.Project, i.Opened) {
			c.book.wrong("8: %s is said to be silent at %s, when it was paused", i.Project, moment(i.Opened))
		}
		paused := slices.ContainsFunc(c.events, func(e fleetEvent) bool {
			return e.Project == i.Project && e.What == "pause" && e.Pause != "" && e.At.After(i.Opened)
		})
		switch now := projects[i.Project].Pause; {
		case i.Ended && !reported && !paused:
			c.book.wrong("8: silence %s of %s has ended, and nothing was reported or paused", i.ID, i.Project)
		case !i.Ended && now != "":
			c.book.wrong("8: %s is paused by %s, and silence %s is open", i.Project, now, i.ID)
		case !i.Ended && reported:
			c.book.wrong("8: %s has reported, and silence %s is open", i.Project, i.ID)
		}
		open[i.Project] = open[i.Project] || !i.Ended
	}
	if !c.plan.Expect || !c.plan.Rounds[c.at].Look {
		return
	}
	looked := c.book.shifted[len(c.book.shifted)-1]
	for id, p := range projects {
		if id != "night-watch" && p.Pause == "" && !open[id] && !slices.ContainsFunc(c.results, func(r fleetResult) bool {
			return r.Project == id && r.Recorded.After(looked)
		}) && !c.resumedSince(id, looked) {
			c.book.wrong("8: nothing was heard of %s for %s, and nobody says so", id, lookAgain)
		}
	}
}

// pausedThen tells whether a project was paused at a moment, and for a while before and after it.
func (c *fleetChecker) pausedThen(project string, at time.Time) (paused bool) {
	for _, e := range c.events {
		if e.Project == project && e.What == "pause" && e.At.Before(at.Add(time.Second)) {
			paused = e.Pause != "" && (e.At.Before(at.Add(-time.Second)) || paused)
		}
	}
	return paused
}

// resumedSince tells whether a project was resumed after a moment: it has time to report then.
func (c *fleetChecker) resumedSince(project string, at time.Time) bool {
	return slices.ContainsFunc(c.events, func(e fleetEvent) bool {
		return e.Project == project && e.What == "pause" && e.Pause == "" && e.At.After(at)
	})
}

// silentIssues: each silence has one issue, which is open as long as it is, unless a person closed it.
func (c *fleetChecker) silentIssues(issues map[string][]giteatest.Issue) {
	for _, i := range c.silences() {
		of := issues[i.ID]
		delete(issues, i.ID)
		open := 0
		for _, issue := range of {
			if issue.State == "open" {
				open++
			}
			if len(carried(issue.Body)) > 1 || !markerOf(issue.Body).silent {
				c.book.wrong("2: issue %d tells of silence %s and of more", issue.Number, i.ID)
			}
		}
		switch {
		case len(of) > 1:
			c.book.wrong("2: silence %s of %s has %d issues", i.ID, i.Project, len(of))
		case i.Ended && open > 0:
			c.book.wrong("5: silence %s of %s has ended, and its issue %d is open", i.ID, i.Project, of[0].Number)
		case !i.Ended && open == 0 && !(len(of) == 1 && closedByPerson(of[0])):
			c.book.wrong("8: silence %s of %s is open, and no issue says so", i.ID, i.Project)
		}
	}
}

func closedByPerson(i giteatest.Issue) bool {
	return slices.ContainsFunc(i.Timeline, func(e giteatest.Event) bool { return e.Type == "close" && e.Author != botLogin })
}

// steps: see stepsChecker.
func (c *fleetChecker) steps() {
	check := stepsChecker{quietPlan: c.plan.quietPlan, now: time.Now(), slack: slack, told: c.book.told, pages: c.pager.pages(), wrong: c.book.wrong}
	broken := false // connections to the state
	for _, r := range c.plan.Rounds {
		broken = broken || slices.ContainsFunc(r.Moves, func(m fleetMove) bool {
			return slices.Contains([]string{"cut", "hole", "slow", "answers lost", "postgres killed", "removed while cut off"}, m.What)
		})
	}
	check.unsure = func(from string) bool {
		return broken || slices.ContainsFunc(c.book.deeds, func(d *fleetDeed) bool {
			return d.address() == from && (d.killed || d.What == "serve" || d.Hit.How != "")
		})
	}
	for _, i := range c.incidents {
		check.waiting = append(check.waiting, waiting{id: i.ID, project: i.Project, opened: i.Opened, open: !i.Ended, vague: i.Rebuilt})
	}
	requests := c.Requests()
	for _, repo := range []string{theRepo, otherRepo} {
		check.issues = append(check.issues, c.Issues(repo)...)
	}
	check.excused = func(w waiting, i giteatest.Issue) bool {
		return closedByPerson(i) || refusedComment(requests, theRepo, i.Number) || refusedComment(requests, otherRepo, i.Number)
	}
	check.check()
}
