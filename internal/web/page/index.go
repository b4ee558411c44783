package page

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/text"
)

// tone is the colour, sign and icon of a page, which say the most important thing before a word is read.
type tone string

const (
	toneOK      tone = "ok"
	toneBad     tone = "bad"
	toneUnknown tone = "unknown"
	toneHeld    tone = "held" // people paused what is paused
	toneWarn    tone = "warn" // everything may run, and something needs a look
	toneIdle    tone = "idle" // nothing was reported yet
)

// frame is what all pages have.
type frame struct {
	Title    string
	Instance string
	Tone     tone
	Headline string
	Sub      string
	Problems []string // of the bot itself
	At       moment
	Refresh  int    // seconds until the browser loads the page again; 0: never
	Toggle   string // the link that stops the refreshing or starts it again
	Style    string // address of the style sheet
	Project  bool   // it is the page of a project, with a link back
}

func newFrame(s status.Status) frame {
	return frame{Instance: s.Instance, Problems: s.Problems, At: newMoment(s.At, s.At)}
}

type indexView struct {
	frame
	Stopped []summary // paused
	Unknown []summary
	Others  []summary // may run
	Sweep   sweepView
	Spooled string
	Foreign []link
}

// link is a text that is a link where Link is not "".
type link struct{ Text, Link string }

// summary is a project on the front page, and the top of its own page.
type summary struct {
	ID       string
	Link     string
	Badge    string // e.g. Paused
	Held     bool
	Since    moment
	Reason   string
	Count    string // e.g. 1 of 3
	Failing  bool   // the count is not zero
	HalfOpen string
	Picture  picture
	LastRun  moment
	Running  string
	Incident string // e.g. odilo#3
	Issue    string // address of its issue, where that may be a link
	Shown    string // what the link says
	NoIssue  bool   // it has none yet
	TakenBy  string // who takes care of it
	TakenAt  moment
	Notes    []string
	Former   bool // it is not in the configuration
}

func newIndex(s status.Status) indexView {
	v := indexView{frame: newFrame(s), Sweep: newSweep(s)}
	for _, f := range s.Foreign {
		v.Foreign = append(v.Foreign, link{Text: f, Link: webLink(f)})
	}
	anyRun := false
	for _, p := range s.Projects {
		anyRun = anyRun || len(p.LastRuns) > 0
		sum := newSummary(p, s.At)
		switch p.Paused {
		case status.Yes:
			v.Stopped = append(v.Stopped, sum)
		case status.No:
			v.Others = append(v.Others, sum)
		default:
			if isProblem(s.Problems, sum.Reason) {
				sum.Reason = "" // said once, above
			}
			v.Unknown = append(v.Unknown, sum)
		}
	}
	if s.Spooled > 0 {
		v.Spooled = text.Plural(s.Spooled, "result") + " could not be stored and wait in the spool. The next sweep takes them in."
	}
	v.setHeadline(len(s.Projects), anyRun)
	return v
}

// isProblem reports whether one of the problems begins with a reason.
func isProblem(problems []string, reason string) bool {
	return slices.ContainsFunc(problems, func(p string) bool { return strings.HasPrefix(p, reason) })
}

// setHeadline says the worst of all that is true.
func (v *indexView) setHeadline(projects int, anyRun bool) {
	all := fmt.Sprintf("All %d projects may run", projects)
	if projects == 1 && len(v.Others) == 1 {
		all = v.Others[0].ID + " may run"
	}
	hasNotes := slices.ContainsFunc(v.Others, func(s summary) bool { return len(s.Notes) > 0 })
	switch {
	case len(v.Stopped) > 0:
		v.setPaused(projects)
	case len(v.Unknown) > 0:
		v.Tone, v.Headline = toneUnknown, "It is not known whether "+text.Plural(len(v.Unknown), "project")+" may run"
		v.Sub = "Until it is, exec and gate let none of them run."
	case len(v.Problems) > 0 || v.Spooled != "":
		v.Tone, v.Headline, v.Sub = toneWarn, "adfbot itself needs help", all+"."
	case hasNotes:
		v.Tone, v.Headline, v.Sub = toneWarn, all, "Something needs a look."
	case projects == 0:
		v.Tone, v.Headline = toneIdle, "No project is configured"
	case !anyRun:
		v.Tone, v.Headline = toneIdle, "Nothing has been reported yet"
		v.Sub = all + ". The first result shows here once `adfbot exec`, `adfbot record` or the HTTP interface has reported it."
	default:
		v.Tone, v.Headline, v.Sub = toneOK, all, "Nothing is wrong."
		failing := 0
		for _, s := range v.Others {
			if s.Failing {
				failing++
			}
		}
		if failing > 0 {
			v.Sub = text.Plural(failing, "project") + " failed last time."
		}
	}
}

func (v *indexView) setPaused(projects int) {
	how := "paused"
	v.Tone = toneBad
	if !slices.ContainsFunc(v.Stopped, func(s summary) bool { return !s.Held }) {
		v.Tone, how = toneHeld, "held by a person"
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
	if n := len(v.Unknown); n > 0 {
		v.Sub += fmt.Sprintf(". Of %d more it is not known", n)
	}
}

// names returns the first paused projects, with how long they have been paused.
func names(list []summary) string {
	const most = 3
	var out []string
	for _, s := range list[:min(len(list), most)] {
		name := s.ID
		if s.Since.Ago != "" {
			name += " for " + s.Since.Ago
		}
		out = append(out, name)
	}
	s := strings.Join(out, ", ")
	if more := len(list) - most; more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}

func newSummary(p status.Project, now time.Time) summary {
	v := summary{
		ID: p.ID, Link: projectLink(p.ID), Badge: badge(p), Held: p.Held, Reason: shortReason(p), Failing: p.Failures > 0,
		Count: fmt.Sprintf("%d of %d", p.Failures, p.Threshold), Former: !p.Configured,
		Notes: append(append([]string{}, p.Pending...), p.Warnings...),
	}
	if p.Since != nil {
		v.Since = newMoment(*p.Since, now)
	}
	if p.HalfOpen && p.Paused == status.No {
		v.HalfOpen = "Resumed, and no success since."
	}
	if p.Running > 0 {
		v.Running = text.Plural(p.Running, "run") + " under way"
	}
	if p.Incident != nil {
		v.addIncident(*p.Incident, now)
	}
	runs := make([]pictureRun, len(p.LastRuns))
	for n, r := range p.LastRuns {
		at := r.Finished
		if at.IsZero() {
			at = r.Started
		}
		if v.LastRun.Machine == "" {
			v.LastRun = newMoment(at, now)
		}
		how := howEnded(r.Outcome, r.ExitCode, r.Signal, r.Detail)
		runs[n] = pictureRun{Outcome: r.Outcome, How: how, Agent: r.Agent, Counted: r.Counted, At: at}
	}
	v.Picture = newPicture(runs, now)
	return v
}

func (v *summary) addIncident(i status.Incident, now time.Time) {
	v.Incident, v.Issue, v.Shown, v.NoIssue = i.Name, webLink(i.Issue), issueName(i.Name, i.Issue), i.Issue == ""
	v.TakenBy, v.TakenAt = i.TakenBy, newMoment(i.TakenAt, now)
	if v.Since.Machine == "" {
		v.Since = newMoment(i.Opened, now)
	}
	if v.Reason == "" {
		v.Reason = fmt.Sprintf("%s failed %d times in a row.", i.Agent, i.Failures)
	}
}

func badge(p status.Project) string {
	switch {
	case p.Paused == status.Yes && p.Held:
		return "Held by a person"
	case p.Paused == status.Yes:
		return "Paused"
	case p.Paused == status.No:
		return "May run"
	}
	return "Not known"
}

// shortReason returns a project's reason without what its heading says.
func shortReason(p status.Project) string {
	if s, ok := strings.CutPrefix(p.Reason, p.ID+" is paused: "); ok {
		return s
	}
	if s, ok := strings.CutPrefix(p.Reason, p.ID+" is paused by "); ok {
		return "Paused by " + s
	}
	return p.Reason
}
