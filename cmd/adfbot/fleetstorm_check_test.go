package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/testhost"
)

// The checker of the fleet's storm asks the bot for nothing: it reads the tables, the directories and Gitea.

type fleetProject struct {
	ID, Pause  string
	Generation int64
}

type fleetIncident struct {
	ID, Project string
	Opened      time.Time
	Ended       bool
	Settled     bool
	Rebuilt     bool
}

type fleetResult struct {
	Project, Agent, Run, Outcome, Incident string
	Counted, Tripped                       bool
	Failures, Threshold                    int
	Recorded                               time.Time
}

func (s *fleetStorm) projects() map[string]fleetProject {
	out := map[string]fleetProject{}
	for id := range stormProjects {
		out[id] = fleetProject{ID: id}
	}
	for _, p := range queryFleet[fleetProject](s, `SELECT id, coalesce(pause, ''), generation FROM adfbot.project`) {
		out[p.ID] = p
	}
	return out
}

func (s *fleetStorm) incidents() []fleetIncident {
	return queryFleet[fleetIncident](s, `SELECT id, project, opened_at, ended_at IS NOT NULL, settled, coalesce((doc::json->>'Rebuilt')::bool, false)
		FROM adfbot.incident ORDER BY project, seq`)
}

// disagreement returns what is different between the state and the directories, or left to be recorded; "" if there is nothing.
func (s *fleetStorm) disagreement() string {
	projects := s.projects()
	for _, h := range s.hosts {
		for id, p := range projects {
			_, err := os.Lstat(h.path("pause/" + id))
			switch {
			case err != nil && !errors.Is(err, fs.ErrNotExist):
				return err.Error()
			case err != nil && p.Pause != "":
				return fmt.Sprintf("%s is paused by %s, and %s has no flag", id, p.Pause, h.name)
			case err == nil && p.Pause == "":
				return fmt.Sprintf("nothing pauses %s, and %s has a flag", id, h.name)
			}
		}
		if files := h.spooled(); len(files) > 0 {
			return fmt.Sprintf("results wait on %s: %q", h.name, files)
		}
	}
	return ""
}

// spooled are the files of results that wait on a host.
func (h *fleetHost) spooled() []string {
	files, _ := filepath.Glob(h.path("local/spool/*"))
	return slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, ".ready") || strings.HasSuffix(f, ".tmp") })
}

// unfinished returns what is left to do in Gitea, or to be known of runs.
func (s *fleetStorm) unfinished() string {
	n := queryFleet[struct{ Runs, Commands int }](s, `SELECT (SELECT count(*)::int FROM adfbot.run), (SELECT count(*)::int FROM adfbot.command WHERE NOT done)`)[0]
	if n.Runs+n.Commands > 0 {
		return fmt.Sprintf("%d runs have no result, %d commands are not carried out", n.Runs, n.Commands)
	}
	issues := s.issuesByIncident()
	incidents := s.incidents()
	needed := neededBy(incidents)
	for _, i := range slices.Concat(incidents, s.silences()) {
		if !i.Ended && len(s.plan.Steps) > 0 && time.Since(i.Opened) < s.plan.Steps[len(s.plan.Steps)-1]+time.Second {
			return fmt.Sprintf("a step about incident %s of %s is still to come", i.ID, i.Project)
		}
		if i.Ended && !i.Settled && !slices.ContainsFunc(issues[i.ID], needed) {
			return fmt.Sprintf("incident %s of %s has ended, and is not settled", i.ID, i.Project)
		}
		if !i.Ended && len(issues[i.ID]) == 0 {
			return fmt.Sprintf("incident %s of %s has no issue", i.ID, i.Project)
		}
	}
	return ""
}

// neededBy returns whether an issue is about an incident that is open.
func neededBy(incidents []fleetIncident) func(giteatest.Issue) bool {
	open := map[string]bool{}
	for _, i := range incidents {
		open[i.ID] = !i.Ended
	}
	return func(i giteatest.Issue) bool { return carriesOne(i, open) }
}

func (s *fleetStorm) issuesByIncident() map[string][]giteatest.Issue {
	out := map[string][]giteatest.Issue{}
	for _, repo := range []string{theRepo, otherRepo} {
		for _, i := range s.Issues(repo) {
			for _, m := range carried(i.Body) {
				out[m.incident] = append(out[m.incident], i)
			}
		}
	}
	return out
}

// fleetChecker holds what was done in a storm against the promises.
type fleetChecker struct {
	*fleetStorm
	events    []fleetEvent
	incidents []fleetIncident
	results   []fleetResult
}

// check reports whether all promises hold after a round. If not it says which, and tells the whole story.
func (s *fleetStorm) check() bool {
	c := &fleetChecker{fleetStorm: s, events: s.events(), incidents: s.incidents()}
	c.results = queryFleet[fleetResult](s, `SELECT project, agent, coalesce(run_id, ''), outcome, coalesce(incident, ''), counted, tripped, failures, threshold, recorded_at
		FROM adfbot.result ORDER BY id`)
	if why := s.disagreement(); why != "" {
		s.book.wrong("5: %s", why)
	}
	c.resumes()
	c.removals()
	c.holds()
	c.recorded()
	c.trips()
	c.stops()
	c.inForce()
	c.silence()
	c.issues()
	c.steps()
	c.gates()
	if len(s.book.faults) == 0 {
		return true
	}
	var issues strings.Builder
	for _, repo := range []string{theRepo, otherRepo} {
		for _, i := range s.Issues(repo) {
			fmt.Fprintf(&issues, "%s#%d %s %v\n", repo, i.Number, i.State, carried(i.Body))
		}
	}
	s.t.Errorf("seed %d, round %d:\n%s\n\nthe plan:\n%s\nthe story:\n%s\nthe issues:\n%s\nthe incidents: %+v", s.plan.Seed, s.at,
		strings.Join(s.book.faults, "\n"), s.plan, s.book.story(c.events), issues.String(), c.incidents)
	return false
}

// slack is how long a transaction may take to come to its end after its command was killed.
const slack = 5 * time.Second

// ordered reports whether a command, or an operator's comment, can have done something to a project.
func (c *fleetChecker) ordered(what, project, app string, at time.Time) bool {
	return slices.ContainsFunc(c.book.deeds, func(d *fleetDeed) bool {
		until := d.Ended.Add(slack)
		if d.killed { // the daemon finds what it has done to a flag
			until = until.Add(testhost.Patience)
		}
		return d.What == what && d.names(project) && !d.order().stop && d.host.name == app && !d.Begun.After(at) && !until.Before(at)
	}) || slices.ContainsFunc(c.book.orders, func(e *episode) bool {
		return e.what == what && e.project == project && !e.begun.After(at) && !e.stop
	})
}

// resumes: each has a removal of that pause on that host, or a command. One removal ends one pause.
func (c *fleetChecker) resumes() {
	for _, r := range c.book.removed {
		r.used = false
	}
	first := map[string]time.Time{} // when a pause began
	last := map[string]time.Time{}  // when it ended
	same := map[string]int64{}      // the generation of a pause
	for _, e := range c.events {    // also holds that were made while the project had an incident
		if _, ok := first[e.Pause]; !ok && e.Pause != "" && (e.What == "pause" || e.What == "hold") {
			first[e.Pause], same[e.Pause] = e.At, e.Generation
		}
	}
	byStop := c.heldByStops()
	for _, e := range c.events {
		if e.What != "pause" {
			continue
		}
		last[e.Was] = e.At
		if byStop[e.Was] && c.stopped("resume", e.Project, e.At) || c.withIncidents(e.Project, e.At) {
			continue
		}
		if e.Was == "" || e.Pause == e.Was || e.Pause != "" && e.Generation == same[e.Was] || c.ordered("resume", e.Project, e.App, e.At) {
			continue
		}
		because := slices.IndexFunc(c.book.removed, func(r *removal) bool {
			known, ok := same[r.pause]
			pause := r.pause
			if end, ended := last[pause]; ended && end.Before(r.begun) { // the flag was put back, which is another pause
				pause = ""
			}
			return r.host.name == e.App && r.project == e.Project && !r.used && !r.begun.After(e.At) &&
				(r.local || pause == e.Was || ok && known == same[e.Was] || pause == "" && !first[e.Was].After(r.ended.Add(slack)))
		})
		if because < 0 {
			c.book.wrong("4: %s was resumed by %s at %s, and nobody had removed the flag of %s there", e.Project, e.App, moment(e.At), e.Was)
			continue
		}
		c.book.removed[because].used = true
	}
}

// removals: none of a confirmed flag is without effect, unless somebody made another flag or replaced the directory. Nor does one count in
// a directory that has no sentinel, perhaps since whoever filled it was killed: there the gate does not know whether a project without a
// flag is paused, and restore, which has to write all flags again, says which.
func (c *fleetChecker) removals() {
	for _, r := range c.book.removed {
		confirmed, confirmedAt := "", time.Time{}
		ended := map[string]bool{}
		for _, e := range c.events {
			switch {
			case e.Project != r.project:
			case e.What == "pause" && e.Was != "" && e.Was != e.Pause:
				ended[e.Was] = true
			case e.Host == r.host.id && e.What == "flag" && (e.Kind == "bot" || e.Kind == "person") && e.At.Before(r.begun):
				confirmed, confirmedAt = e.Pause, e.At
			case e.Host == r.host.id && (e.What == "flag" || e.What == "unflag") && e.At.Before(r.begun):
				confirmed = ""
			}
		}
		if confirmed == "" || ended[confirmed] || r.empty {
			continue
		}
		since := func(t time.Time) func(*episode) bool {
			return func(e *episode) bool {
				return e.host == r.host && (e.project == "" || e.project == r.project) && e.round == r.round && !e.ended.Before(t)
			}
		}
		// A directory that was put in place after the confirmation does not have the flag that was confirmed.
		if !slices.ContainsFunc(c.book.touched, since(r.begun)) && !slices.ContainsFunc(c.book.dirs, since(confirmedAt)) {
			c.book.wrong("5: somebody removed the flag of %s on %s at %s, and it is still paused by %s", r.project, r.host.name, moment(r.begun), confirmed)
		}
	}
}

// holds: each has somebody who made or touched a flag on that host, or a command. No stop takes over what was paused by hand.
func (c *fleetChecker) holds() {
	byStop := c.heldByStops()
	for _, e := range c.events {
		if e.What == "hold" && e.Was != "" && e.Kind != "" && !byStop[e.Was] {
			c.book.wrong("4: %s was paused by hand, and stop %s took that over at %s", e.Project, e.Kind, moment(e.At))
		}
		if e.What != "hold" || e.Pause == "" || c.ordered("pause", e.Project, e.App, e.At) || e.Kind != "" && c.stopped("pause", e.Project, e.At) {
			continue
		}
		by := func(t *episode) bool {
			return t.host.name == e.App && (t.project == "" || t.project == e.Project) && !t.begun.After(e.At)
		}
		if !slices.ContainsFunc(c.book.touched, by) && !slices.ContainsFunc(c.book.dirs, by) {
			c.book.wrong("4: %s was held by %s at %s, and nobody made a flag there", e.Project, e.App, moment(e.At))
		}
	}
}

// recorded: what was answered is in the state exactly once, and so is what was spooled.
func (c *fleetChecker) recorded() {
	type key struct{ project, agent, run string }
	rows := map[key][]fleetResult{}
	for _, r := range c.results {
		k := key{r.Project, r.Agent, r.Run}
		if rows[k] = append(rows[k], r); len(rows[k]) == 2 {
			c.book.wrong("1: run %s of %s in %s is in the history twice", r.Run, r.Agent, r.Project)
		}
	}
	for _, d := range c.book.deeds {
		stored := rows[key{d.Project, d.Agent, d.Run}]
		switch d.What {
		case "record":
			var a recordAnswer
			switch {
			case d.killed, strings.Contains(d.Stderr, "is LOST unless"), d.Code == 128+15:
			case len(stored) == 0:
				c.book.wrong("1: p%d ended with %d, and its result is not in the history", d.N, d.Code)
			case strings.Contains(d.Stderr, "already recorded with another outcome"): // the command of an exec was killed, and it is repeated
			case d.Code != 0 && !strings.Contains(d.Stderr, "is kept in"):
				c.book.wrong("1: p%d recorded nothing: %d", d.N, d.Code)
			case strings.Contains(d.Stderr, "is kept in"):
			case json.Unmarshal([]byte(d.Stdout), &a) != nil:
				c.book.wrong("1: p%d said no JSON", d.N)
			case a.Failures != stored[0].Failures || a.Tripped != stored[0].Tripped:
				c.book.wrong("1: p%d was answered %+v, and the history says %+v", d.N, a, stored[0])
			}
		case "exec":
			times := len(c.book.ran(d))
			switch {
			case times > 1:
				c.book.wrong("1: p%d ran its command %d times", d.N, times)
			case times == 1 && len(stored) == 0 && !strings.Contains(d.Stderr, "is LOST unless") && !(d.killed && strings.Contains(d.Stderr, "not usable")):
				c.book.wrong("1: p%d ran its command, and there is no result of it", d.N)
			case times == 1 && (d.Code == 75 || d.Code == 125):
				c.book.wrong("4: p%d ran its command though it says %d", d.N, d.Code)
			case times == 0 && !d.killed && d.Code != 75 && d.Code != 125 && d.Code != 128+15:
				c.book.wrong("1: p%d ran nothing and ended with %d", d.N, d.Code)
			}
		}
	}
}

// trips: each has one incident, and each incident has one trip.
func (c *fleetChecker) trips() {
	trips := map[string]int{}
	for _, r := range c.results {
		if r.Tripped {
			trips[r.Incident]++
		}
	}
	for _, i := range c.incidents {
		kept := slices.ContainsFunc(c.book.deeds, func(d *fleetDeed) bool {
			return d.Project == i.Project && strings.Contains(d.Stderr, "is kept in")
		})
		if n := trips[i.ID]; n != 1 && !(n == 0 && (i.Rebuilt || kept)) {
			c.book.wrong("2: incident %s of %s has %d trips", i.ID, i.Project, n)
		}
		delete(trips, i.ID)
	}
	for id := range trips {
		c.book.wrong("1: a result tripped, and the state does not know its incident %s", id)
	}
}

// issues: one for each incident, open as long as that is.
func (c *fleetChecker) issues() {
	issues := c.issuesByIncident()
	for _, repo := range []string{theRepo, otherRepo} {
		for _, i := range c.Issues(repo) {
			saidTwice(fmt.Sprintf("%s#%d", repo, i.Number), i, c.book.wrong)
		}
	}
	c.silentIssues(issues)
	needed := neededBy(c.incidents)
	for _, i := range c.incidents {
		var open []int64
		for _, issue := range issues[i.ID] {
			if issue.State == "open" && (!i.Ended || !needed(issue)) {
				open = append(open, issue.Number)
			}
		}
		switch n := len(issues[i.ID]); {
		case n > 1:
			c.book.wrong("2: incident %s of %s has %d issues", i.ID, i.Project, n)
		case i.Ended && len(open) > 0:
			c.book.wrong("5: incident %s of %s has ended, and its issue %d is open", i.ID, i.Project, open)
		case !i.Ended && len(open) != 1:
			c.book.wrong("2: incident %s of %s is open, and of its %d issues these are: %d", i.ID, i.Project, n, open)
		}
		delete(issues, i.ID)
	}
	for id, of := range issues {
		c.book.wrong("2: issue %d is about incident %q, which the state does not know", of[0].Number, id)
	}
}

// gates: in the end they agree with the state. As long as a host had confirmed a flag, and nobody removed it and nothing resumed the project, nothing was let run there.
func (c *fleetChecker) gates() {
	for id, p := range c.projects() {
		for _, h := range c.hosts {
			want := 0
			if p.Pause != "" {
				want = bot.ExitPaused
			}
			if out, code := h.inProcess("gate", id); code != want {
				c.book.wrong("4: the gate of %s on %s ends with %d, not %d: %s", id, h.name, code, want, out)
			}
		}
	}
	for _, d := range c.book.deeds {
		let := d.What == "gate" && d.Code == 0 || d.What == "exec" && len(c.book.ran(d)) > 0
		if !let {
			continue
		}
		var since time.Time
		pause := ""
		for _, e := range c.events {
			switch {
			case e.Project != d.Project:
			case e.What == "pause" && e.Was == pause && e.At.Before(d.Ended):
				pause = ""
			case e.Host != d.host.id || !e.At.Before(d.Begun):
			case e.What == "flag" && (e.Kind == "bot" || e.Kind == "person"):
				pause, since = e.Pause, e.At
			default:
				pause = ""
			}
		}
		if pause == "" || slices.ContainsFunc(c.book.deeds, func(r *fleetDeed) bool { // it removes the flag first
			return r.What == "resume" && r.names(d.Project) && (r.host == d.host || r.order().stop) && r.Begun.Before(d.Ended) && r.Ended.Add(slack).After(since)
		}) {
			continue
		}
		meanwhile := func(e *episode) bool {
			return e.host == d.host && (e.project == "" || e.project == d.Project) && !e.ended.Before(since.Add(-slack)) && !e.begun.After(d.Ended) // a pass sees a flag before it confirms it
		}
		if !slices.ContainsFunc(c.book.removed, func(r *removal) bool { return meanwhile(&r.episode) }) && !slices.ContainsFunc(c.book.dirs, meanwhile) {
			c.book.wrong("4: %s was paused on %s all the time by %s, and p%d was let run", d.Project, d.host.name, pause, d.N)
		}
	}
}
