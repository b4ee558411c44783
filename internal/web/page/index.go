package page

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
)

// tone is the colour, sign and icon of a page, which show the overall state before a word is read.
type tone string

const (
	toneOK      tone = "ok"
	toneBad     tone = "bad"
	toneUnknown tone = "unknown"
	toneHeld    tone = "held" // people paused all paused projects
	toneWarn    tone = "warn" // everything may run, but something needs attention, or was resumed and has had no success since
	toneIdle    tone = "idle" // nothing has been reported yet
)

type frame struct {
	visit
	Title    string
	Instance string
	Tone     tone
	Headline string
	Sub      string
	Problems []string // of the bot itself
	At       moment
	Refresh  int    // seconds until the browser reloads the page; 0: never
	Again    string // what to load then; "": the same address
	Toggle   string // link that stops or starts the reloading
	Style    string // address of the style sheet
	Back     bool   // the page has a link to the front page
}

func newFrame(s status.Status, at visit) frame {
	return frame{visit: at, Instance: s.Instance, Problems: s.Problems, At: newMoment(s.At, s.At)}
}

type indexView struct {
	frame
	Stops   []stopRow // in force
	Stopped []summary // paused
	Unknown []summary
	Others  []summary // may run
	Sweep   sweepView
	Spooled string
	Foreign []link
	Fleet   string // one line; "": the state has no other host
	Hosts   []hostRow

	patterns []string // that configure projects
}

// stopRow is a stop that is in force.
type stopRow struct {
	status.Stop
	Since moment
	Ends  moment // by itself
	Holds string
}

func (v *indexView) addStops(s status.Status) {
	for _, st := range s.Stops {
		row := stopRow{Stop: st, Since: newMoment(st.Since, s.At), Holds: text.Plural(st.Holds, "project")}
		if st.Until != nil {
			row.Ends = newMoment(*st.Until, s.At)
		}
		v.Stops = append(v.Stops, row)
	}
}

// hostRow is a host that shares the state.
type hostRow struct {
	status.Host
	Label   string
	Now     string // whether it is away
	Heard   moment
	Also    string // its spool, flags and token
	Remarks []string
}

func (v *indexView) addFleet(f *status.Fleet) {
	if f == nil {
		return
	}
	v.Fleet = f.Summary()
	for _, h := range f.In(status.HostHere, status.HostAway) {
		row := hostRow{Host: h, Label: f.Label(h), Now: h.StateText(f.At), Remarks: h.Remarks()}
		row.Also = fmt.Sprintf("%s in its spool, %s missing, %s", text.Plural(h.Spooled, "result"), text.Plural(h.FlagsMissing, "flag"),
			map[bool]string{true: "reads the token of Gitea", false: "cannot read the token of Gitea"}[h.CanIssue])
		if h.Seen != nil {
			row.Heard = newMoment(*h.Seen, f.At)
		}
		v.Hosts = append(v.Hosts, row)
	}
}

// link is a text that is a link unless Link is "".
type link struct{ Text, Link string }

// summary is a project on the front page, and the top of its own page.
type summary struct {
	status.Project
	Link     string
	Since    moment
	Reason   string
	HalfOpen string
	Picture  picture
	LastRun  moment
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
	anyRun := false
	for _, p := range s.Projects {
		anyRun = anyRun || len(p.LastRuns) > 0
		sum := newSummary(p, s, at)
		for n, note := range sum.Notes {
			sum.Notes[n] = cmp.Or(short[note], note)
		}
		switch p.Paused {
		case status.Yes:
			v.Stopped = append(v.Stopped, sum)
		case status.No:
			v.Others = append(v.Others, sum)
		default:
			if isProblem(s.Problems, sum.Reason) {
				sum.Reason = "" // shown above
			}
			v.Unknown = append(v.Unknown, sum)
		}
	}
	if s.Spooled > 0 {
		v.Spooled = text.Plural(s.Spooled, "result") + " in the spool could not be stored yet. The next sweep retries."
	}
	v.setHeadline(len(s.Projects), anyRun)
	return v
}

// isProblem reports whether a reason begins one of the problems.
func isProblem(problems []string, reason string) bool {
	return slices.ContainsFunc(problems, func(p string) bool { return strings.HasPrefix(p, reason) })
}

func (v *indexView) setHeadline(projects int, anyRun bool) {
	all := fmt.Sprintf("All %d projects may run", projects)
	if projects == 1 && len(v.Others) == 1 {
		all = v.Others[0].ID + " may run"
	}
	hasNotes, failing := false, 0
	var resumed, silent []string
	for _, s := range v.Others {
		if s.Silence != nil {
			silent = append(silent, s.ID)
		}
		hasNotes = hasNotes || len(s.Notes) > 0
		if s.HalfOpen != "" {
			resumed = append(resumed, s.ID)
		}
		if s.failedLast() {
			failing++
		}
	}
	switch {
	case len(v.Stopped) > 0:
		v.setPaused(projects)
	case len(v.Unknown) > 0:
		v.Tone, v.Headline = toneUnknown, "Unknown whether "+text.Plural(len(v.Unknown), "project")+" may run"
		v.Sub = "Meanwhile, exec and gate let none of them run."
	case len(v.Stops) > 0:
		v.Tone, v.Headline = toneHeld, "A stop is in force"
		v.Sub = "It holds no project now."
	case len(v.Problems) > 0 || v.Spooled != "":
		v.Tone, v.Headline, v.Sub = toneWarn, "adfbot itself needs attention", all+"."
	case len(silent) == 1:
		v.Tone, v.Headline, v.Sub = toneWarn, all, silent[0]+" has not reported in time."
	case len(silent) > 1:
		v.Tone, v.Headline, v.Sub = toneWarn, all, text.Plural(len(silent), "project")+" have not reported in time."
	case hasNotes:
		v.Tone, v.Headline, v.Sub = toneWarn, all, "Something needs attention."
	case len(resumed) > 0:
		v.Tone, v.Headline, v.Sub = toneWarn, all, text.Plural(len(resumed), "project")+" were resumed and have had no success since."
		if len(resumed) == 1 {
			v.Sub = resumed[0] + " was resumed and has had no success since."
		}
	case projects == 0 && len(v.patterns) > 0:
		v.Tone, v.Headline = toneIdle, "No project is known yet"
		v.Sub = "The first result of a project whose id fits " + strings.Join(v.patterns, " or ") + " makes it known."
	case projects == 0:
		v.Tone, v.Headline = toneIdle, "No project is configured"
	case !anyRun:
		v.Tone, v.Headline = toneIdle, "Nothing has been reported yet"
		v.Sub = all + ". The first result appears once `adfbot exec`, `adfbot record` or the HTTP API has reported it."
	default:
		v.Tone, v.Headline, v.Sub = toneOK, all, "Nothing is wrong."
		if failing > 0 {
			v.Sub = text.Plural(failing, "project") + " failed last time."
		}
	}
}

// failedLast reports whether the last run failed, even if it does not count.
func (s summary) failedLast() bool {
	return s.Failures > 0 || len(s.LastRuns) > 0 && s.LastRuns[0].Outcome == store.Failure
}

func (v *indexView) setPaused(projects int) {
	how := "paused"
	v.Tone = toneBad
	if !slices.ContainsFunc(v.Stopped, func(s summary) bool { return !s.Held }) {
		v.Tone, how = toneHeld, "paused by hand"
	}
	verb := "are"
	if len(v.Stopped) == 1 {
		verb = "is"
	}
	v.Headline = fmt.Sprintf("%d of %s %s %s", len(v.Stopped), text.Plural(projects, "project"), verb, how)
	if projects == 1 {
		v.Headline = v.Stopped[0].ID + " is " + how
	}
	v.Sub = names(v.Stopped)
	for _, st := range v.Stops {
		if st.All() {
			v.Sub = "All projects were stopped by " + st.By + " " + st.Since.Ago + " ago"
		}
	}
	if n := len(v.Unknown); n > 0 {
		v.Sub += fmt.Sprintf(". %d more unknown", n)
	}
}

// names returns the first paused projects, with how long they have been paused.
func names(list []summary) string {
	const most = 3
	var out []string
	for _, s := range list[:min(len(list), most)] {
		if s.Since.Ago != "" {
			s.ID += " for " + s.Since.Ago
		}
		out = append(out, s.ID)
	}
	s := strings.Join(out, ", ")
	if more := len(list) - most; more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}

func newSummary(p status.Project, s status.Status, at visit) summary {
	now := s.At
	v := summary{
		Project: p, Link: at.project(p.ID), Reason: shortReason(p), HeldBy: heldBy(p, s.Stops),
		Notes: slices.Concat(p.Pending, p.Warnings), Picture: newPicture(p.LastRuns, now),
	}
	if p.Since != nil {
		v.Since = newMoment(*p.Since, now)
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
		v.Steps = strings.TrimPrefix(i.Escalation.Note(now), ", ")
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
		v.LastRun = endOf(p.LastRuns[0], now)
	}
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
