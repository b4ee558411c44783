package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/terraphim/adfbot/internal/store"
)

// The checks of results and trips: promise 1.

func (c *checker) trips() {
	known := map[string]bool{}
	for _, i := range c.incidents {
		known[i.id] = true
	}
	for n, d := range c.book.deeds {
		if a, ok := answerOf(d); ok && a.Tripped && n >= c.book.epoch && a.Incident != nil && !known[a.Incident.ID] {
			c.book.wrong("1: p%d was told of a trip, and the state does not know its incident %s", d.N, a.Incident.ID)
		}
	}
	for _, r := range c.results {
		if r.tripped && !known[r.incident] {
			c.book.wrong("1: a result of %s tripped, and the state does not know its incident %s", r.project, r.incident)
		}
	}
}

type recordAnswer struct {
	Project, Agent, Outcome string
	Counted, Tripped, Known bool
	Failures                int `json:"consecutive_failures"`
	Threshold               int
	Incident                *struct{ ID string }
}

func answerOf(d *deed) (a recordAnswer, ok bool) {
	if (d.What != "record" || d.Code != 0) && (d.What != "post" || d.Code != 200) {
		return a, false
	}
	return a, json.Unmarshal([]byte(d.Stdout), &a) == nil
}

func (c *checker) history() {
	type key struct{ project, agent, run string }
	rows := map[key][]storedResult{}
	times := map[key]int{}
	guessed := map[key]bool{}
	for _, r := range c.results {
		exact := key{r.project, r.agent, r.run}
		k := key{r.project, r.agent, strings.TrimSuffix(r.run, "/found")}                // of a run that was taken for lost
		if strings.HasPrefix(r.run, "spooled-") || strings.HasPrefix(r.run, "record-") { // it had none
			k.run = ""
		}
		rows[k] = append(rows[k], r)
		if times[exact]++; k.run != "" && times[exact] > 1 {
			c.book.wrong("1: run %s of %s in %s is in the history %d times", r.run, r.agent, r.project, times[exact])
		}
		guessed[exact] = store.IsGuess(r.detail)
		if exact.run != k.run && k.run != "" && !guessed[k] {
			c.book.wrong("1: %s of %s in %s was found, and it was never taken for lost", r.run, r.agent, r.project)
		}
	}
	unnamed := map[key][2]int{} // least and most results without a run id
	for _, d := range c.book.deeds[c.book.epoch:] {
		k := key{d.Project, d.Agent, d.Run}
		stored := len(rows[k]) > 0
		switch d.What {
		case "record", "post":
			a, ok := answerOf(d)
			n := unnamed[k]
			kept := strings.Contains(d.Stderr, "is kept in") || d.Code == 202
			switch {
			case d.What == "record" && d.Code == 0 && !ok:
				c.book.wrong("1: p%d said no JSON", d.N)
			case ok && !slices.ContainsFunc(rows[k], func(r storedResult) bool { return a.of(r) }):
				c.book.wrong("1: p%d was told that its result is recorded, and the history does not say the same: %+v, %+v", d.N, a, rows[k])
			case ok:
				unnamed[k] = [2]int{n[0] + 1, n[1] + 1}
			case d.killed(), d.What == "post" && d.Code == 0:
				unnamed[k] = [2]int{n[0], n[1] + 1}
			case strings.Contains(d.Stderr, "already recorded with another outcome"), d.Code == 409:
				if !stored {
					c.book.wrong("1: p%d was told of an earlier result, and there is none", d.N)
				}
			case kept:
				unnamed[k] = [2]int{n[0] + 1, n[1] + 1}
				if !stored {
					c.book.wrong("1: p%d spooled its result, and it did not come in", d.N)
				}
			case strings.Contains(d.Stderr, "is LOST unless"), d.Code == 503: // it was said that it is to be recorded again
			default:
				c.book.wrong("1: p%d recorded nothing: %d", d.N, d.Code)
			}
		case "exec":
			times := len(c.book.ran(d))
			switch {
			case times > 1:
				c.book.wrong("1: p%d ran its command %d times", d.N, times)
			case times == 1 && !stored && strings.Contains(d.Stderr, "is LOST unless"):
			case times == 1 && !stored && d.killed() && strings.Contains(d.Stderr, "state not usable"):
				// The run could not be noted, and nobody was left to spool its result.
			case times == 1 && !stored && d.killed() && d.Agents && c.separated(): // nobody was left to report it, and the daemon knew of no run
			case times == 1 && !stored:
				c.book.wrong("1: p%d ran its command, and there is no result of it", d.N)
			case times == 0 && !d.killed() && d.Code != 75 && d.Code != 125 && d.Code != 128+15: // ended before it could leave its id
				c.book.wrong("1: p%d ran nothing and ended with %d", d.N, d.Code)
			case times == 1 && (d.Code == 125 || d.Code == 75 && !strings.HasSuffix(d.Args[len(d.Args)-1], "exit 75")):
				c.book.wrong("4: p%d ran its command though it says %d", d.N, d.Code)
			}
		}
	}
	c.outcomes(func(d *deed) []storedResult {
		of := rows[key{d.Project, d.Agent, d.Run}]
		return of[max(len(of)-1, 0):] // the one before it was a guess
	})
	for k, n := range unnamed {
		if got := len(rows[k]); k.run == "" && (got < n[0] || got > n[1]) {
			c.book.wrong("1: %s in %s has %d results without a run id, and %d to %d were recorded", k.agent, k.project, got, n[0], n[1])
		}
	}
	for project := range stormProjects {
		c.replay(project)
	}
}

func (c *checker) outcomes(rows func(*deed) []storedResult) {
	used := map[string]int{}
	for _, d := range c.book.deeds {
		used[d.Project+d.Agent+d.Run]++
	}
	for _, d := range c.book.deeds[c.book.epoch:] {
		if d.What != "exec" || used[d.Project+d.Agent+d.Run] > 1 || d.killed() || len(c.book.ran(d)) == 0 {
			continue
		}
		if slices.Contains(d.Args, "--timeout") && d.Hit.How == "term" {
			continue // whichever came first
		}
		want := "failure"
		switch {
		case strings.Contains(d.Stderr, "ran longer than --timeout"):
		case d.Code == 0:
			want = "success"
		case d.Code == 75 && d.Project == "digital-twins", d.Hit.How == "term" && d.Code == 128+15:
			want = "ignored"
		}
		for _, r := range rows(d) {
			if d.Hit.How == "term" && r.outcome == "ignored" {
				continue // adfbot was told to end while the command ran, however that then ended
			}
			if r.outcome != want {
				c.book.wrong("1: p%d ended with %d, and its result is %s", d.N, d.Code, r.outcome)
			}
		}
	}
}

func (a recordAnswer) of(r storedResult) bool {
	return a.Outcome == r.outcome && a.Counted == r.counted && a.Tripped == r.tripped && a.Failures == r.failures && a.Threshold == r.threshold
}

func (c *checker) replay(project string) {
	limits, p := stormProjects[project], c.projects[project]
	count, tripped, resets := 0, false, 0
	say := func(r storedResult, what string) {
		c.book.wrong("1: counting the results of %s anew: run %q recorded %s says %d of %d, tripped %t, incident %q: %s", project, r.run,
			r.recorded.UTC().Format("15:04:05.000"), r.failures, r.threshold, r.tripped, r.incident, what)
	}
	for _, r := range c.results {
		if r.project != project {
			continue
		}
		counts := r.agent == "project-meta" || strings.HasPrefix(r.agent, "project-meta-")
		if r.counted && (!counts || r.outcome == "ignored") {
			say(r, "this result does not count")
		}
		want := count
		switch {
		case r.counted && r.outcome == "success":
			want = 0
		case r.counted:
			want = count + 1
		}
		// After a resume it begins again.
		if r.failures != want && r.failures == want-count {
			resets++
			tripped = false
		} else if r.failures != want {
			say(r, fmt.Sprintf("the count should be %d", want))
		}
		if r.counted && r.outcome == "success" {
			tripped = false
		}
		spoolPaused := r.counted && r.failures == r.threshold && r.threshold < limits.threshold // the spool had failures that the state has lost
		if r.threshold != limits.threshold && (r.threshold != limits.resume || p.generation == 0) && !spoolPaused {
			say(r, "no such threshold")
		}
		count = r.failures
		trips := r.counted && r.outcome == "failure" && (count >= r.threshold || r.class == stormClass) && !tripped
		if trips {
			tripped = true
		}
		if r.tripped && !trips {
			say(r, "it should not have tripped")
		}
		if trips && !r.tripped && r.incident == "" {
			say(r, "it should have tripped")
		}
	}
	if resets > p.generation {
		c.book.wrong("1: %s was reset %d times and resumed %d times", project, resets, p.generation)
	}
	if p.failures != count && (p.failures != 0 || p.generation <= resets) {
		c.book.wrong("1: the state says that %s has failed %d times in a row, its results say %d", project, p.failures, count)
	}
}
