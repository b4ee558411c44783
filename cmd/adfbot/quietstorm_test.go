package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/terraphim/adfbot/escalate/giteatest"
)

// What both storms draw and check of steps until somebody answers, of silence, and of stops. It comes from numbers of its own, so that
// the rest of a seed does what it did before.

// quietPlan is what a seed has of these.
type quietPlan struct {
	Steps  []time.Duration // after which there is a step; none: no escalation
	Calls  time.Duration   // steps from this on call a webhook
	Remind time.Duration   // 0: nobody is reminded
	Expect bool            // results of all projects but night-watch are expected
	Stops  bool            // people stop many projects at once
}

func (q quietPlan) String() string {
	return fmt.Sprintf("steps %s, webhook from %s, reminders %s, expect %t, stops %t", q.Steps, q.Calls, q.Remind, q.Expect, q.Stops)
}

// expectEvery and expectGrace are the shortest that there are. Who looks when both are over finds silence.
const (
	expectIn  = 2 * time.Minute
	expectKey = "    expect: {every: 1m, grace: 1m}\n"
	lookAgain = 150 * time.Second // later; at 3 minutes the bot would count as having been off
)

// pagerPath is the secret part of a webhook's URL.
const pagerPath = "hook-of-the-pager-3391"

// configure adds what is drawn to a configuration that has an escalation.
func (q quietPlan) configure(config string) string {
	var lines strings.Builder
	if len(q.Steps) > 0 {
		lines.WriteString("  steps:\n")
	}
	for n, after := range q.Steps {
		does := []string{"mention: [" + person + "]", "labels: [waiting]", "assign: [" + operator + "]"}[n%3]
		if after >= q.Calls {
			does += ", webhook_file: $WORK/pager-url"
		}
		fmt.Fprintf(&lines, "    - {after: %s, %s}\n", after, does)
	}
	if q.Remind > 0 {
		fmt.Fprintf(&lines, "  remind: %s\n", q.Remind)
	}
	config = strings.Replace(config, "escalation:\n", "escalation:\n"+lines.String(), 1)
	if q.Expect {
		for _, entry := range []string{"  - id: odilo\n", "  - id: quick\n", "  - id: digital-twins\n", "  - match: \"digital-*\"\n"} {
			config = strings.Replace(config, entry, entry+expectKey, 1)
		}
	}
	return config
}

// quietDrawer draws from other numbers than the rest of a seed.
func quietDrawer(seed uint64) *drawer { return &drawer{Rand: rng(seed ^ 0x9e3779b97f4a7c15)} }

// stop draws a pause or a resume of several projects, or of one for a time.
func (d *drawer) stop(most int, deadly int) move {
	m := move{At: d.ms(0, most), Hit: d.hit(deadly)}
	lasts := pick(d, "", "", "1m", "2h", "3h", "5h")
	m.What = pick(d, "pause", "pause", "resume")
	switch k := d.IntN(100); {
	case k < 50:
		m.Args = []string{"--all"}
	case k < 70:
		m.Args = []string{"digital-*"}
	case k < 85:
		m.Args = []string{pick(d, "odilo", "digital-twins"), pick(d, "quick", "night-watch")}
	default:
		m.Args = []string{d.project()}
	}
	switch {
	case m.What == "pause" && lasts != "":
		m.Args = append(m.Args, "--for", lasts)
	case m.What == "resume" && m.Args[0] == "--all" && d.chance(10):
		m.Args = append(m.Args, "--incidents")
	}
	m.Args = append([]string{m.What}, m.Args...)
	if m.order().stop && d.chance(deadly) { // half done is what is of interest
		step := pick(d, "stop-noted", "stop-covered")
		if m.What == "resume" {
			step = "stop-ended"
		}
		m.Hit = hit{How: pick(d, "kill", "kill", "stop-kill"), When: "step", Step: step, N: 1, For: d.ms(60, 300)}
	}
	return m
}

// pausedBeforeStop draws a project that is paused by hand, and then a stop of all and its end.
func (d *drawer) pausedBeforeStop(most int) move {
	return move{At: d.ms(0, most), What: "paused before a stop", Project: pick(d, "odilo", "digital-twins", "quick", "night-watch"), Pick: d.IntN(3)}
}

// pausedBeforeStop runs its commands, one after the other.
func (m move) pausedBeforeStop(run func(n int, m move)) {
	for n, args := range [][]string{{"pause", m.Project}, {"pause", "--all"}, {"resume", "--all"}} {
		run(n, move{What: args[0], Args: args})
	}
}

// whileCommenting draws the end of a process when its comment is there, and it does not know that yet.
func (d *drawer) whileCommenting(q quietPlan) hit {
	h := hit{How: pick(d, "kill", "kill", "stop-kill"), When: "request", Step: "comment", N: 2, For: d.ms(60, 300)}
	if len(q.Steps) > 0 && d.chance(60) {
		h.Step = "comment of a step"
	}
	return h
}

// order draws a comment about steps or stops.
func (d *drawer) order(q quietPlan, most int) move {
	m := move{At: d.ms(30, most+100), What: "comment", Project: d.project(), Who: pick(d, person, operator, operator, stranger), Pick: d.IntN(6)}
	var texts []string
	if len(q.Steps) > 0 {
		texts = append(texts, "/adf ack", "/adf snooze 4h", "/adf snooze 90m", "/adf snooze")
	}
	if q.Stops {
		texts = append(texts, "/adf pause all", "/adf pause all for 2h the provider is down", "/adf resume all", "/adf resume all")
	}
	m.Args = []string{pick(d, texts...)}
	return m
}

// manyOrder is what a command about several projects says.
type manyOrder struct {
	projects  []string
	stop      bool // by a pattern
	incidents bool // of a resume: these, too
	lasts     time.Duration
}

// orderOf reads the arguments of pause and resume in its own way.
func orderOf(args []string) (o manyOrder) {
	for n := 1; n < len(args); n++ {
		switch a := args[n]; a {
		case "--all":
			o.stop = true
			for project := range stormProjects {
				o.projects = append(o.projects, project)
			}
		case "--incidents":
			o.incidents = true
		case "--for":
			n++
			o.lasts, _ = time.ParseDuration(args[n])
		case "--reason":
			n++
		case "digital-*":
			o.stop = true
			o.projects = append(o.projects, "digital-twins")
		default:
			o.projects = append(o.projects, a)
		}
	}
	return o
}

// order is what a pause or a resume says.
func (m move) order() manyOrder {
	if m.What != "pause" && m.What != "resume" {
		return manyOrder{}
	}
	return orderOf(m.Args)
}

// names tells whether a pause or a resume is about a project.
func (m move) names(project string) bool { return slices.Contains(m.order().projects, project) }

// stopInForce is a stop that nobody has ended, and which of the projects it has covered.
type stopInForce struct {
	id       string
	patterns []string
	since    time.Time
	until    time.Time // zero: it does not end by itself
	covered  []string
}

func newStopInForce(id, doc, covered string) (s stopInForce, err error) {
	var d struct {
		Patterns     []string
		Since, Until time.Time
	}
	err = json.Unmarshal([]byte(doc), &d)
	return stopInForce{id, d.Patterns, d.Since, d.Until, strings.Fields(covered)}, err
}

// left returns the projects that the stop is about and does not cover, of those that are known.
func (s stopInForce) left(known []string) (left []string) {
	for _, project := range known {
		about := slices.Contains(s.patterns, "*") || slices.Contains(s.patterns, "digital-*") && project == "digital-twins"
		if about && !slices.Contains(s.covered, project) {
			left = append(left, project)
		}
	}
	return left
}

// refusedComment tells whether Gitea has refused to take a comment on an issue: then it is gone on without.
func refusedComment(requests []giteatest.Request, repo string, number int64) bool {
	return slices.ContainsFunc(requests, func(r giteatest.Request) bool {
		return r.Method == http.MethodPost && r.Path == fmt.Sprintf("/api/v1/repos/%s/issues/%d/comments", repo, number) && r.Status/100 == 4
	})
}

// pager receives the documents of steps.
type pager struct {
	*httptest.Server

	mu   sync.Mutex
	mood string // what it answers: "": it takes the document; "500"; "lost": it takes the document, and nobody hears so
	got  []page
}

// page is a document that arrived.
type page struct {
	at    time.Time
	from  string // address
	event string
	heard bool // the sender was told
	doc   struct {
		Version           int
		ID, Text, Project string
		Incident          struct{ ID string }
		Step              int
		After             int64 `json:"after_seconds"`
	}
	text string
}

func newPager(t *testing.T, now func() time.Time) *pager {
	p := &pager{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		from, _, _ := strings.Cut(r.RemoteAddr, ":")
		got := page{at: now(), from: from, event: r.Header.Get("Idempotency-Key"), text: string(text)}
		_ = json.Unmarshal(text, &got.doc) // the checker sees what is missing
		p.mu.Lock()
		mood := p.mood
		got.heard = mood == ""
		if mood != "500" {
			p.got = append(p.got, got)
		}
		p.mu.Unlock()
		switch mood {
		case "500":
			w.WriteHeader(http.StatusInternalServerError)
		case "lost":
			panic(http.ErrAbortHandler)
		}
	}))
	p.Config.ErrorLog = nil
	t.Cleanup(p.Close)
	return p
}

func (p *pager) turn(mood string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mood = mood
}

// change lets the pager do as a move says for a while.
func (p *pager) change(m move) {
	p.turn(map[string]string{"pager down": "500", "pager lost": "lost"}[m.What])
	time.Sleep(m.For) // how long it lasts is drawn: there is no event to wait for
	p.turn("")
}

func (p *pager) pages() []page {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got)
}

// waiting is an incident of which somebody has to hear.
type waiting struct {
	id, project string
	opened      time.Time
	open        bool
	vague       bool // when it was opened, or what was said of it, is not known well: the state was lost
}

// assigns stands for what is not written: somebody is assigned whom no step assigns.
const assigns = "assigns"

// told is what an operator wrote about steps, or [assigns], and the incidents of the issue.
type told struct {
	at        string // issue
	comment   int64
	written   time.Time
	text      string
	incidents []string
}

// stepsChecker holds steps and reminders against the promises: each is done once and not too early, of several that are overdue only the
// latest, none after an answer or during a snooze, and none is left out.
type stepsChecker struct {
	quietPlan
	now     time.Time // of the last sweep
	slack   time.Duration
	waiting []waiting
	issues  []giteatest.Issue
	told    []told
	pages   []page
	// unsure tells whether the sender with that address may not have stored that a document arrived. excused: what is left out has a reason
	// in the book.
	unsure  func(from string) bool
	lost    bool // a state was lost, and perhaps incidents that had ended with it
	excused func(waiting, giteatest.Issue) bool
	wrong   func(format string, args ...any)
}

var stepKey = expression(`^([0-9a-f]{32})/(step|reminder)/(\d+)$`)

// said is a comment of a step or a reminder.
type said struct {
	id, kind string
	after    time.Duration
	at       time.Time
	issue    int // its place
}

func (c *stepsChecker) check() {
	if len(c.Steps) == 0 && c.Remind == 0 {
		return
	}
	byID := map[string]waiting{}
	for _, w := range c.waiting {
		byID[w.id] = w
	}
	all := c.said()
	times := map[string]int{}
	for _, s := range all {
		key := fmt.Sprintf("%s/%s/%s", s.id, s.kind, s.after)
		if times[key]++; times[key] == 2 {
			c.wrong("6: %s is done twice", key)
		}
		w, known := byID[s.id]
		if !known && !c.lost {
			c.wrong("6: %s is about an incident that the state does not know", key)
		}
		if !known || w.vague {
			continue
		}
		age := s.at.Sub(w.opened)
		if s.kind == "step" && !slices.Contains(c.Steps, s.after) {
			c.wrong("6: there is no such step: %s", key)
		}
		if age < s.after-time.Second { // a comment's time is in whole seconds
			c.wrong("6: %s was done when the incident was %s old", key, age)
		}
		if last := c.due(age - c.slack); s.kind == "step" && s.after < last && !c.snoozed(s.id) {
			c.wrong("6: %s was done when the incident was %s old, and that of %s was due", key, age, last)
		}
		c.unwanted(s, key)
	}
	c.overTooSoon(byID)
	c.pagesOnce(byID)
	c.unsaid(all)
}

// overTooSoon: no snooze is said to be over before its time.
func (c *stepsChecker) overTooSoon(byID map[string]waiting) {
	for _, t := range c.told {
		lasts, _ := strings.CutPrefix(t.text, "/adf snooze ")
		d, err := time.ParseDuration(lasts)
		if err != nil || slices.ContainsFunc(t.incidents, func(id string) bool { return byID[id].vague }) {
			continue
		}
		for _, i := range c.issues {
			if m, found := answerTo(i, t.comment); found && strings.Contains(m.Body, "that was over at") && m.Created.Before(t.written.Add(d-2*time.Second)) {
				c.wrong("6: a snooze for %s, written at %s, is said to be over at %s", d, moment(t.written), moment(m.Created))
			}
		}
	}
}

// assigned returns when the person was assigned to an issue who still is.
func (c *stepsChecker) assigned(id string, i giteatest.Issue) (at time.Time, ok bool) {
	for _, t := range c.told {
		if t.text == assigns && slices.Contains(t.incidents, id) && strings.HasSuffix(t.at, fmt.Sprint("#", i.Number)) {
			at, ok = t.written, slices.Contains(i.Assignees, stranger)
		}
	}
	return at, ok
}

// due returns the latest step at an age, 0 if there is none.
func (c *stepsChecker) due(age time.Duration) (last time.Duration) {
	for _, after := range c.Steps {
		if after <= age {
			last = after
		}
	}
	return last
}

func (c *stepsChecker) said() (all []said) {
	for n, i := range c.issues {
		for _, s := range saidIn(i) {
			s.issue = n
			all = append(all, s)
		}
	}
	return all
}

// saidIn returns the bot's comments of steps and reminders on an issue.
func saidIn(i giteatest.Issue) (all []said) {
	for _, m := range i.Comments {
		if m.Author != botLogin {
			continue
		}
		for _, k := range commentKey().FindAllStringSubmatch(m.Body, -1) {
			if parts := stepKey().FindStringSubmatch(k[1]); parts != nil {
				seconds, _ := strconv.Atoi(parts[3])
				all = append(all, said{id: parts[1], kind: parts[2], after: time.Duration(seconds) * time.Second, at: m.Created})
			}
		}
	}
	return all
}

// answerTo returns the bot's answer to a comment.
func answerTo(i giteatest.Issue, comment int64) (giteatest.Comment, bool) {
	end := fmt.Sprintf("/order/%d -->", comment)
	for _, m := range i.Comments {
		if m.Author == botLogin && strings.Contains(m.Body, end) {
			return m, true
		}
	}
	return giteatest.Comment{}, false
}

// taken returns when the bot said that somebody has taken an incident.
func (c *stepsChecker) taken(id string) (at time.Time, ok bool) {
	for _, t := range c.told {
		for _, i := range c.issues {
			if m, found := answerTo(i, t.comment); found && slices.Contains(t.incidents, id) && strings.HasPrefix(t.text, "/adf ack") &&
				strings.Contains(m.Body, " takes incident ") && (!ok || m.Created.Before(at)) {
				at, ok = m.Created, true
			}
		}
	}
	return at, ok
}

// snoozes returns when an issue was to be quiet, as the bot said.
func (c *stepsChecker) snoozes(issue int) (times [][2]time.Time) {
	for _, t := range c.told {
		lasts, ok := strings.CutPrefix(t.text, "/adf snooze ")
		m, found := answerTo(c.issues[issue], t.comment)
		if d, err := time.ParseDuration(lasts); ok && found && err == nil && strings.Contains(m.Body, "wait until") {
			times = append(times, [2]time.Time{m.Created, t.written.Add(d)})
		}
	}
	return times
}

// snoozed tells whether somebody has put off the steps of an incident: its later ones come later.
func (c *stepsChecker) snoozed(id string) bool {
	return slices.ContainsFunc(c.told, func(t told) bool {
		return strings.HasPrefix(t.text, "/adf snooze ") && slices.Contains(t.incidents, id)
	})
}

// unwanted: nothing is said after an answer or during a snooze. A process may have begun before that.
func (c *stepsChecker) unwanted(s said, key string) {
	if at, ok := c.taken(s.id); ok && s.kind == "step" && s.at.After(at.Add(c.slack)) {
		c.wrong("6: %s was done at %s, and the incident was taken at %s", key, moment(s.at), moment(at))
	}
	if at, ok := c.assigned(s.id, c.issues[s.issue]); ok && s.kind == "step" && s.at.After(at.Add(c.slack)) {
		c.wrong("6: %s was done at %s, and %s was assigned at %s", key, moment(s.at), stranger, moment(at))
	}
	for _, t := range c.snoozes(s.issue) {
		if s.at.After(t[0].Add(c.slack)) && s.at.Before(t[1].Add(-c.slack)) {
			c.wrong("6: %s was done at %s, snoozed from %s to %s", key, moment(s.at), moment(t[0]), moment(t[1]))
		}
	}
}

// pagesOnce: each document belongs to a step whose time had come, and is sent again only if nobody can have known that it arrived.
func (c *stepsChecker) pagesOnce(byID map[string]waiting) {
	heard := map[string]bool{} // by somebody who must have stored it
	for _, p := range c.pages {
		after := time.Duration(p.doc.After) * time.Second
		n := slices.Index(c.Steps, after)
		id, _, _ := strings.Cut(p.event, "/")
		w, known := byID[id] // the incident whose step it is
		named, namedKnown := byID[p.doc.Incident.ID]
		_, taken := c.taken(id)
		switch {
		case p.event != fmt.Sprintf("%s/step/%d", id, p.doc.After) || p.doc.ID != p.event:
			c.wrong("6: a document with the id %q says of itself: %s", p.event, p.text)
		case named.id != id && known && w.open && !taken: // else it names another one that the issue carries
			c.wrong("6: a document of %s, which waits, names another incident: %s", id, p.text)
		case n < 0 || after < c.Calls || p.doc.Step != n+1 || p.doc.Version != 1 || p.doc.Text == "":
			c.wrong("6: there is no such step, or it calls nobody: %s", p.text)
		case (!known || !namedKnown) && c.lost:
		case !known || !namedKnown || p.doc.Project != named.project:
			c.wrong("6: the document is about an incident that the state does not know: %s", p.text)
		case !w.vague && p.at.Sub(w.opened) < after-time.Millisecond:
			c.wrong("6: the document was sent when the incident was %s old: %s", p.at.Sub(w.opened), p.text)
		}
		// A lost state knows no more who has taken the incident, once they are assigned no more; and one that is rebuilt after the
		// answer, as its flag was put back only then, starts its own steps.
		if at, ok := c.taken(p.doc.Incident.ID); ok && !w.vague && p.at.After(at.Add(c.slack)) {
			c.wrong("6: the document was sent at %s, and the incident was taken at %s: %s", moment(p.at), moment(at), p.text)
		}
		if heard[p.event] {
			c.wrong("6: a receiver that answered got the document again: %s", p.text)
		}
		heard[p.event] = heard[p.event] || p.heard && !c.unsure(p.from)
	}
}

// unsaid: what is due has been done, also its document.
func (c *stepsChecker) unsaid(all []said) {
	for _, i := range c.issues {
		about := carried(i.Body)
		n := slices.IndexFunc(c.waiting, func(w waiting) bool { return len(about) == 1 && w.id == about[0].incident })
		if n < 0 || i.State != "open" {
			continue
		}
		w := c.waiting[n]
		_, taken := c.taken(w.id)
		// Who is assigned is an answer, unless the step that assigns them has been taken.
		byStep := slices.ContainsFunc(all, func(s said) bool { return s.id == w.id && slices.Index(c.Steps, s.after)%3 == 2 })
		assigned := slices.ContainsFunc(i.Assignees, func(who string) bool { return !byStep || who != operator })
		if !w.open || w.vague || taken || assigned || c.snoozed(w.id) || c.excused(w, i) {
			continue
		}
		age := c.now.Sub(w.opened)
		if last := c.due(age); last > 0 {
			if !slices.ContainsFunc(all, func(s said) bool { return s.id == w.id && s.kind == "step" && s.after == last }) {
				c.wrong("6: %s of %s is %s old, and the step after %s was not taken", w.id, w.project, age, last)
			}
			event := fmt.Sprintf("%s/step/%d", w.id, last/time.Second)
			if last >= c.Calls && !slices.ContainsFunc(c.pages, func(p page) bool { return p.event == event }) {
				c.wrong("6: %s of %s is %s old, and the webhook of the step after %s was not called", w.id, w.project, age, last)
			}
		}
		if c.Remind > 0 && age >= c.Remind && !slices.ContainsFunc(all, func(s said) bool { return s.id == w.id && s.kind == "reminder" }) {
			c.wrong("6: %s of %s is %s old, and nobody was reminded", w.id, w.project, age)
		}
	}
}
