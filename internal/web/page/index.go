package page

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
)

// indexView is the front page, from top to bottom.
type indexView struct {
	frame
	Spooled string
	Stops   []stopRow // in force
	Finder  *finder   // nil: there are so few projects that nobody searches
	Groups  []section // of projects; those that have none are left out
	Pager   *pager    // nil: all are on one page
	Nothing string    // why no project is listed
	Fleet   string    // one line; "": the state has no other host
	Hosts   []hostRow
	Sweep   sweepView
	Foreign []link

	all      []*summary // projects, in the order of the configuration
	patterns []string   // that configure projects
}

// section is the projects of a group.
type section struct {
	Group group
	Title string
	Cards []card
	Rows  []*summary
}

// card is one paused project, or those that share an issue.
type card struct {
	*summary            // the one whose issue it is or, if that is not on the page, the first
	Members  []*summary // of a storm
	Storm    string     // e.g. "7 projects"; "": it is one project
	More     int        // how many others share the issue: behind those named, on another page, or not in the list that the reader has chosen
}

const (
	maxCards   = 24  // the projects behind them become rows
	maxMembers = 100 // that a card names
	maxListed  = 300 // projects on a page
	fewest     = 9   // projects that need a finder
)

// summary is a project on the front page, and the top of its own page.
type summary struct {
	status.Project
	Group    group
	Link     string
	Since    moment
	Until    moment // when it resumes by itself
	Reason   string
	HalfOpen string
	Picture  picture // only on the front page
	LastRun  moment
	LastHow  string // how the last run ended; "" for a plain success
	LastLine string // of its output, if it failed
	Running  string
	Issue    link   // of the incident
	Class    string // of its failure; "" if it says nothing
	TakenAt  moment // when somebody took the incident
	Steps    string // how far its steps are
	Silent   link   // issue of the project that does not report; zero: it does
	HeldBy   string // what pauses it without an issue
	Notes    []string
}

func newIndex(s status.Status, at visit) indexView {
	v := indexView{frame: newFrame(s, at), Sweep: newSweep(s), patterns: s.Patterns}
	for _, f := range s.Foreign {
		v.Foreign = append(v.Foreign, link{Text: f, Link: webLink(f)})
	}
	v.addFleet(s.Fleet)
	v.addStops(s)
	shared, short := s.SharedReasons()
	if len(shared) > 0 {
		v.Problems = append(s.OtherProblems(), shared...)
	}
	v.all = make([]*summary, 0, len(s.Projects))
	for _, p := range s.Projects {
		sum := newSummary(p, s, at)
		for n, note := range sum.Notes {
			sum.Notes[n] = cmp.Or(short[note], note)
		}
		if sum.Group == groupUnknown && isProblem(s.Problems, sum.Reason) {
			sum.Reason = "" // shown above
		}
		v.all = append(v.all, &sum)
	}
	if s.Spooled > 0 {
		v.Spooled = text.Plural(s.Spooled, "result") + " in the spool could not be stored yet. The next sweep retries."
	}
	v.setHeadline()
	v.list(at, s.At)
	return v
}

// list adds the projects that the reader has chosen.
func (v *indexView) list(at visit, now time.Time) {
	c := at.list
	if len(v.all) >= fewest || c.Find != "" || c.Group != "" {
		v.Finder = newFinder(v.all, at)
	}
	found := slices.DeleteFunc(slices.Clone(v.all), func(s *summary) bool { return !c.includes(s) })
	c.sort(found)
	if len(found) == 0 && len(v.all) > 0 {
		v.Nothing = "No project fits. "
	}
	if pages := (len(found) + maxListed - 1) / maxListed; pages > 1 {
		c.page = min(c.page, pages-1)
		v.Pager = newPager(c, len(found), at)
		found = found[c.page*maxListed : min((c.page+1)*maxListed, len(found))]
	}
	for _, s := range found {
		s.Picture = newPicture(s.LastRuns, now)
	}
	sharing := map[string]int{} // how many are paused, by the incident whose issue it is
	for _, s := range v.all {
		if s.Group == groupPaused {
			sharing[s.lead()]++
		}
	}
	for _, g := range groups {
		var one section
		for _, s := range found {
			if s.Group == g {
				one.Rows = append(one.Rows, s)
			}
		}
		if len(one.Rows) == 0 {
			continue
		}
		if one.Group, one.Title = g, g.title(); g == groupPaused {
			one.Cards, one.Rows = newCards(one.Rows, sharing)
		}
		v.Groups = append(v.Groups, one)
	}
}

// lead returns the incident whose issue is about this one and others, or "".
func (s *summary) lead() string {
	if s.Incident != nil && (s.Incident.Lead != "" || s.Incident.Carries > 0) {
		return cmp.Or(s.Incident.Lead, s.Incident.Name)
	}
	return ""
}

// newCards makes cards of paused projects: one for all that share an issue. What is behind the last card stays a row. Sharing says how many
// there are for each lead: the issue also names those that were resumed.
func newCards(paused []*summary, sharing map[string]int) (cards []card, rest []*summary) {
	at := map[string]int{} // by lead
	for _, s := range paused {
		lead := s.lead()
		if sharing[lead] < 2 {
			lead = ""
		}
		n, known := at[lead]
		switch {
		case lead != "" && known:
			if s.Incident.Lead == "" {
				cards[n].summary = s
			}
			cards[n].Members = append(cards[n].Members, s)
		case len(cards) == maxCards:
			rest = append(rest, s)
		default:
			c := card{summary: s}
			if lead != "" {
				at[lead], c.Members = len(cards), []*summary{s}
			}
			cards = append(cards, c)
		}
	}
	for lead, n := range at {
		c := &cards[n]
		c.Storm, c.More = text.Plural(sharing[lead], "project"), sharing[lead]-len(c.Named())
	}
	return cards, rest
}

// Named returns the members that the card names.
func (c card) Named() []*summary { return c.Members[:min(len(c.Members), maxMembers)] }

// isProblem reports whether a reason begins one of the problems.
func isProblem(problems []string, reason string) bool {
	return slices.ContainsFunc(problems, func(p string) bool { return strings.HasPrefix(p, reason) })
}

// failedLast reports whether the last run failed, even if it does not count.
func (s *summary) failedLast() bool {
	return s.Failures > 0 || len(s.LastRuns) > 0 && s.LastRuns[0].Outcome == store.Failure
}

func newSummary(p status.Project, s status.Status, at visit) summary {
	now := s.At
	v := summary{
		Project: p, Link: at.project(p.ID), Reason: shortReason(p), HeldBy: heldBy(p, s.Stops),
		Notes: slices.Concat(p.Pending, p.Warnings),
	}
	if p.Since != nil {
		v.Since = newMoment(*p.Since, now)
	}
	if p.Until != nil {
		v.Until = newMoment(*p.Until, now)
	}
	if p.HalfOpen && p.Paused == status.No {
		v.HalfOpen = "Resumed, no success since."
	}
	if p.Running > 0 {
		v.Running = text.Plural(p.Running, "run") + " in progress"
	}
	if i := p.Incident; i != nil {
		v.Class = knownClass(i.Class)
		v.Issue, v.TakenAt = link{issueName(i.Name, i.Issue), webLink(i.Issue)}, newMoment(i.TakenAt, now)
		v.Steps = strings.TrimPrefix(i.Escalation.TimedNote(), ", ")
		if p.Since == nil {
			v.Since = newMoment(i.Opened, now)
		}
		v.Reason = cmp.Or(v.Reason, i.Agent+" "+text.Failed(i.Failures)+".")
	}
	if s := p.Silence; s != nil {
		v.Silent = link{s.Name + ": no issue yet", ""}
		if s.Issue != "" {
			v.Silent = link{issueName(s.Name, s.Issue), webLink(s.Issue)}
			if s.Closed {
				v.Silent.Text += " (closed)"
			}
		}
	}
	if len(p.LastRuns) > 0 {
		r := p.LastRuns[0]
		v.LastRun, v.LastHow = endOf(r, now), howEnded(r.Outcome, r.ExitCode, r.Signal, r.Detail)
		v.LastLine, v.Class = r.LastLine, cmp.Or(v.Class, knownClass(r.Class))
	}
	v.Group = v.group()
	return v
}

// heldBy says what pauses a project by hand.
func heldBy(p status.Project, stops []status.Stop) string {
	if p.Stop == "" {
		return "hand"
	}
	for _, s := range stops {
		if s.ID == p.Stop {
			return "the stop of " + s.What
		}
	}
	return "a stop" // which an earlier state knew, or that is just over
}

// shortReason returns a project's reason without the part that its heading repeats.
func shortReason(p status.Project) string {
	if s, ok := strings.CutPrefix(p.Reason, p.ID+" is paused: "); ok {
		return s
	}
	if s, ok := strings.CutPrefix(p.Reason, p.ID+" is paused by "); ok {
		return "Paused by " + s
	}
	if s, ok := strings.CutPrefix(p.Reason, p.ID+" is paused with "); ok {
		return "Paused with " + s
	}
	return p.Reason
}
