package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
)

// The checker holds what is there against the promises of the design, and against the book. It reads flags, issues and the
// database itself; it asks the bot for nothing.

// checker looks at one world in the calm after a round.
type checker struct {
	*storm
	installation string
	incidents    []storedIncident
	projects     map[string]storedProject
	holds        map[string]bool
	results      []storedResult
	runs         int
	flags        map[string]string // notes by project
	issues       []target          // all of both repositories
}

type storedIncident struct {
	id, project   string
	opened, ended time.Time // ended: zero while it is open
	rebuilt       bool
	how           string
}

type storedProject struct {
	generation, failures int
	tripped, halfOpen    bool
}

type storedResult struct {
	project, agent, run, outcome, incident, output string
	counted, tripped                               bool
	failures, threshold                            int
	recorded                                       time.Time
}

// check tells whether all promises hold after a round; where not it says which, and tells the whole story.
func (s *storm) check(round int) bool {
	c := &checker{storm: s, projects: map[string]storedProject{}, holds: map[string]bool{}, flags: map[string]string{}}
	c.look()
	c.leftovers()
	c.incidentsAndFlags()
	c.issuesAndIncidents()
	c.strangers()
	c.trips()
	c.history()
	c.gates()
	c.secrets()
	if len(s.book.faults) > 0 {
		s.t.Errorf("seed %d, round %d:\n%s\n\nthe plan:\n%s\nthe story:\n%s\nthe issues:\n%s\nthe state:\n%s", s.plan.Seed, round,
			strings.Join(s.book.faults, "\n"), s.plan, s.book, s.book.issues(), c)
		return false
	}
	c.remember()
	return s.again()
}

// again sweeps once more: after the calm there is nothing left to do.
func (s *storm) again() bool {
	s.book.writes = nil
	out, code := s.inProcess("sweep")
	if code == 0 && len(s.book.writes) == 0 {
		return true
	}
	s.t.Errorf("seed %d: one sweep was not enough: the next ended with %d and did %q\n%s\nthe plan:\n%s\nthe story:\n%s\nthe issues:\n%s", s.plan.Seed, code,
		s.book.writes, out, s.plan, s.book, s.book.issues())
	return false
}

// look reads everything.
func (c *checker) look() {
	for _, repo := range []string{theRepo, otherRepo} {
		for _, i := range c.Issues(repo) {
			c.issues = append(c.issues, target{repo, i, markerOf(i.Body)})
		}
	}
	entries, err := os.ReadDir(c.path("pause"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.book.wrong("the pause directory: %v", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			b, err := os.ReadFile(c.path("pause/" + e.Name()))
			require.NoError(c.t, err)
			c.flags[e.Name()] = string(b)
		}
	}
	if info, err := os.Stat(c.path("state/adfbot.db-wal")); err == nil && info.Size() > 0 {
		c.book.wrong("7: the write-ahead log was not folded in, it has %d bytes", info.Size())
	}
	db, err := sql.Open("sqlite", "file:"+c.path("state/adfbot.db")+"?immutable=1")
	require.NoError(c.t, err)
	defer func() { _ = db.Close() }()
	c.query(db, `SELECT value FROM meta WHERE key = 'installation'`, func(r *sql.Rows) error { return r.Scan(&c.installation) })
	c.query(db, `SELECT count(*) FROM run`, func(r *sql.Rows) error { return r.Scan(&c.runs) })
	c.query(db, `SELECT id, project, opened_at, ended_at, json_extract(doc, '$.Rebuilt'), json_extract(doc, '$.EndedHow') FROM incident ORDER BY project, seq`,
		func(r *sql.Rows) error {
			var i storedIncident
			var opened int64
			var ended sql.NullInt64
			if err := r.Scan(&i.id, &i.project, &opened, &ended, &i.rebuilt, &i.how); err != nil {
				return err
			}
			i.opened = time.UnixMilli(opened)
			if ended.Valid {
				i.ended = time.UnixMilli(ended.Int64)
			}
			c.incidents = append(c.incidents, i)
			return nil
		})
	c.query(db, `SELECT project FROM hold`, func(r *sql.Rows) error {
		var id string
		defer func() { c.holds[id] = true }()
		return r.Scan(&id)
	})
	c.query(db, `SELECT id, generation, failures, tripped, half_open FROM project`, func(r *sql.Rows) error {
		var id string
		var p storedProject
		if err := r.Scan(&id, &p.generation, &p.failures, &p.tripped, &p.halfOpen); err != nil {
			return err
		}
		c.projects[id] = p
		return nil
	})
	c.query(db, `SELECT project, agent, run_id, outcome, counted, failures, threshold, incident, tripped, recorded_at FROM result ORDER BY id`,
		func(r *sql.Rows) error {
			var x storedResult
			var run, incident sql.NullString
			var recorded int64
			if err := r.Scan(&x.project, &x.agent, &run, &x.outcome, &x.counted, &x.failures, &x.threshold, &incident, &x.tripped, &recorded); err != nil {
				return err
			}
			x.run, x.incident, x.recorded = run.String, incident.String, time.UnixMilli(recorded)
			c.results = append(c.results, x)
			return nil
		})
}

func (c *checker) query(db *sql.DB, text string, row func(*sql.Rows) error) {
	rows, err := db.Query(text)
	if err != nil {
		c.book.wrong("the state can't be read: %v", err)
		return
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		require.NoError(c.t, row(rows))
	}
	require.NoError(c.t, rows.Err())
}

func (c *checker) String() string {
	var b strings.Builder
	for _, i := range c.incidents {
		fmt.Fprintf(&b, "%s %s opened %s ended %s, rebuilt %t, %s\n", i.project, i.id, i.opened.UTC().Format("02T15:04:05.000"), i.ended.UTC().Format("02T15:04:05.000"), i.rebuilt, i.how)
	}
	for id, p := range c.projects {
		fmt.Fprintf(&b, "%s %+v, held %t\n", id, p, c.holds[id])
	}
	for _, r := range c.results {
		fmt.Fprintf(&b, "%s %s %s %q %s counted %t failures %d of %d tripped %t incident %s\n", r.recorded.UTC().Format("02T15:04:05.000"), r.project, r.agent, r.run, r.outcome, r.counted, r.failures, r.threshold, r.tripped, r.incident)
	}
	for project, note := range c.flags {
		fmt.Fprintf(&b, "flag %s: %s\n", project, strings.ReplaceAll(strings.TrimSpace(note), "\n", " / "))
	}
	return b.String()
}

// leftovers: nothing is left behind by anybody (7).
func (c *checker) leftovers() {
	if c.runs > 0 {
		c.book.wrong("7: %d runs are noted, and no process runs", c.runs)
	}
	_ = filepath.WalkDir(c.path("state"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(c.path("state"), path)
		switch dir, name := filepath.Split(rel); {
		case dir == "" && slices.Contains([]string{"adfbot.db", "adfbot.db-wal", "adfbot.db-shm"}, name):
		case dir == "adfbot.db.d/spool/" && strings.HasSuffix(name, ".ready"):
		case dir == "adfbot.db.d/locks/":
			l := flock.New(path)
			if ok, err := l.TryLock(); !ok || err != nil {
				c.book.wrong("7: the lock %s is held by nobody who runs: %v", rel, err)
			}
			_ = l.Close()
		default:
			c.book.wrong("7: %s was left behind", rel)
		}
		return nil
	})
	entries, _ := os.ReadDir(c.path("pause"))
	for _, e := range entries {
		// A killed writer's file goes after an hour, when the next flag is written; so does that of one whose rights went.
		if strings.HasPrefix(e.Name(), ".tmp") && !c.book.deadly() && !c.plan.Denied {
			c.book.wrong("7: %s was left in the pause directory, and nobody was killed", e.Name())
		}
	}
}

func (b *book) deadly() bool {
	return slices.ContainsFunc(b.deeds, func(d *deed) bool { return d.signaled })
}

// incidentsAndFlags: what is open has its flag, and what has ended was ended by somebody (4, 5).
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
		if !c.book.resumed(i) {
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

// resumed tells whether somebody can have ended the incident while it was open.
func (b *book) resumed(i storedIncident) bool {
	first := i.opened
	if seen := b.seen[i.id]; i.rebuilt && seen.first.Before(first) {
		first = seen.first
	}
	return slices.ContainsFunc(b.resumes, func(ch *chance) bool {
		if ch.project != i.project || ch.incident != "" && ch.incident != i.id {
			return false
		}
		if b.jumped || i.rebuilt {
			return true // the times in the state are no times of the book
		}
		return !ch.until.Before(first.Truncate(time.Millisecond)) && !ch.from.After(i.ended.Add(time.Millisecond)) || ch.until.IsZero() && !ch.from.After(i.ended.Add(time.Millisecond))
	})
}

// released tells whether somebody resumed the project in this round.
func (b *book) released(project string) bool {
	return slices.ContainsFunc(b.resumes, func(ch *chance) bool {
		return ch.project == project && (ch.round == b.s.at || ch.until.IsZero())
	})
}

// held tells whether somebody paused the project since it was last seen running in a calm.
func (b *book) held(project, note string) bool {
	since := b.calm[project].at
	if b.calm[project].flagged && b.calm[project].open == "" {
		return true
	}
	// A flag that a person made may have served an incident since, whose state was lost.
	old := len(b.lostAt) > 0 && !strings.Contains(note, "\nincident: ")
	return slices.ContainsFunc(b.holds, func(ch *chance) bool {
		return ch.project == project && (old || ch.until.IsZero() || !ch.until.Before(since))
	})
}

var (
	commentKey = regexp.MustCompile(`(?m)^<!-- adfbot:comment (\S+) -->\s*$`)
	left       = "/left-open"
)

// issuesAndIncidents: one issue for each incident, open as long as it is (2, 5), and nothing is said twice.
func (c *checker) issuesAndIncidents() {
	byIncident := map[string][]target{}
	for _, i := range c.issues {
		at := fmt.Sprintf("%s#%d", i.repo, i.Number)
		if i.Author != botLogin || c.book.isStrange(at) {
			continue
		}
		c.saidTwice(at, i.Issue)
		if i.marker.incident == "" {
			continue
		}
		if i.marker.installation != c.installation {
			c.book.wrong("2: %s is of installation %s, this is %s", at, i.marker.installation, c.installation)
		}
		byIncident[i.marker.incident] = append(byIncident[i.marker.incident], i)
	}
	for _, i := range c.incidents {
		issues := byIncident[i.id]
		delete(byIncident, i.id)
		var open []string
		for _, issue := range issues {
			at := fmt.Sprintf("%s#%d", issue.repo, issue.Number)
			if issue.State != "open" {
				continue
			}
			if n := len(comments(issue.Issue, fmt.Sprint("/duplicate/", issue.Number))); n == 1 && reopened(issue.Issue) {
				continue // it was closed as a duplicate once, and a person wants it open
			}
			open = append(open, at)
			if !i.ended.IsZero() && !reopened(issue.Issue) {
				c.book.wrong("5: incident %s of %s has ended, and its issue %s is open", i.id, i.project, at)
			} else if n := len(comments(issue.Issue, left)); !i.ended.IsZero() && n != 1 && !(n == 0 && c.book.refused(issue.repo, issue.Number)) {
				c.book.wrong("5: a person reopened %s after the end of its incident, and %d comments say that it stays so", at, n)
			}
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

// reopened tells whether a person has opened the issue last.
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
		for _, k := range commentKey.FindAllStringSubmatch(m.Body, -1) {
			if strings.HasSuffix(k[1], keyEnd) {
				keys = append(keys, k[1])
			}
		}
	}
	return keys
}

func (c *checker) saidTwice(at string, i giteatest.Issue) {
	said := map[string]bool{}
	for _, k := range comments(i, "") {
		if said[k] {
			c.book.wrong("6: %s says %s twice", at, k)
		}
		said[k] = true
	}
}

// strangers: what is not the bot's is as people left it (3).
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

// trips: what was acknowledged is there (1).
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

// answerOf is what record --json said.
func answerOf(d *deed) (a recordAnswer, ok bool) {
	if (d.What != "record" || d.Code != 0) && (d.What != "post" || d.Code != 200) {
		return a, false
	}
	return a, json.Unmarshal([]byte(d.Stdout), &a) == nil
}

// history: each result that was acknowledged stands there once, and the counts follow from the results (1).
func (c *checker) history() {
	type key struct{ project, agent, run string }
	rows := map[key][]storedResult{}
	for _, r := range c.results {
		k := key{r.project, r.agent, r.run}
		if strings.HasPrefix(r.run, "spooled-") { // it had none
			k.run = ""
		}
		rows[k] = append(rows[k], r)
		if k.run != "" && len(rows[k]) > 1 {
			c.book.wrong("1: run %s of %s in %s is in the history %d times", r.run, r.agent, r.project, len(rows[k]))
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
			case strings.Contains(d.Stderr, "already with another outcome"), d.Code == 409:
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
			case times == 1 && !stored:
				c.book.wrong("1: p%d ran its command, and there is no result of it", d.N)
			case times == 0 && !d.killed() && d.Code != 75 && d.Code != 125 && d.Code != 128+15: // ended before it could leave its id
				c.book.wrong("1: p%d ran nothing and ended with %d", d.N, d.Code)
			case times == 1 && (d.Code == 125 || d.Code == 75 && !strings.HasSuffix(d.Args[len(d.Args)-1], "exit 75")):
				c.book.wrong("4: p%d ran its command though it says %d", d.N, d.Code)
			}
		}
	}
	c.outcomes(func(d *deed) []storedResult { return rows[key{d.Project, d.Agent, d.Run}] })
	for k, n := range unnamed {
		if got := len(rows[k]); k.run == "" && (got < n[0] || got > n[1]) {
			c.book.wrong("1: %s in %s has %d results without a run id, and %d to %d were recorded", k.agent, k.project, got, n[0], n[1])
		}
	}
	for project := range stormProjects {
		c.replay(project)
	}
}

// outcomes: what exec recorded is how its command ended.
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
		case d.Code == 0:
			want = "success"
		case d.Code == 75 && d.Project == "digital-twins", d.Hit.How == "term" && d.Code == 128+15:
			want = "ignored"
		}
		for _, r := range rows(d) {
			if r.outcome != want {
				c.book.wrong("1: p%d ended with %d, and its result is %s", d.N, d.Code, r.outcome)
			}
		}
	}
}

func (a recordAnswer) of(r storedResult) bool {
	return a.Outcome == r.outcome && a.Counted == r.counted && a.Tripped == r.tripped && a.Failures == r.failures && a.Threshold == r.threshold
}

// replay counts a project's results anew. A resume is seen by a count that begins again; there are at most as many as the
// project has generations.
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
		if r.threshold != limits.threshold && (r.threshold != limits.resume || p.generation == 0) {
			say(r, "no such threshold")
		}
		count = r.failures
		trips := r.counted && r.outcome == "failure" && count >= r.threshold && !tripped
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

// gates: a project that was paused before the round, and that nobody resumed, was not let run (4).
func (c *checker) gates() {
	for _, d := range c.book.deeds {
		was := c.book.calm[d.Project]
		if d.Round != c.at || !was.flagged {
			continue
		}
		resumed := slices.ContainsFunc(c.book.resumes, func(ch *chance) bool {
			return ch.project == d.Project && (ch.round == c.at || ch.until.IsZero()) && !ch.from.After(d.Ended)
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

// secrets stand nowhere (6).
func (c *checker) secrets() {
	for _, i := range c.issues {
		at := fmt.Sprintf("issue %s#%d", i.repo, i.Number)
		c.book.heard(at, i.Title+"\n"+i.Body)
		for _, m := range i.Comments {
			c.book.heard("a comment of "+at, m.Body)
		}
	}
	for _, dir := range []string{"state", "pause"} {
		_ = filepath.WalkDir(c.path(dir), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return nil
			}
			b, err := os.ReadFile(path)
			for _, secret := range secrets {
				if err == nil && bytes.Contains(b, []byte(secret)) {
					c.book.wrong("6: %s holds a secret: %s", path, secret)
				}
			}
			return nil
		})
	}
}

// remember keeps what the next round begins with.
func (c *checker) remember() {
	c.book.mu.Lock()
	defer c.book.mu.Unlock()
	for project := range stormProjects {
		now := projectCalm{at: c.now()}
		_, now.flagged = c.flags[project]
		for _, i := range c.incidents {
			if i.project == project && i.ended.IsZero() {
				now.open = i.id
			}
		}
		c.book.calm[project] = now
	}
	if slices.Contains(c.book.lostAt, c.at) {
		_ = context.Background()
	}
}
