package web

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/terraphim/adfbot/internal/status"
)

// tone is what a page says before anybody has read a word of it: the banner's colour, sign and icon.
type tone string

const (
	toneOK      tone = "ok"
	toneBad     tone = "bad"
	toneUnknown tone = "unknown"
	toneHeld    tone = "held" // people paused what is paused
	toneWarn    tone = "warn" // everything runs, and something needs a look
	toneIdle    tone = "idle" // there is nothing to tell yet
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
	Refresh  int    // seconds until the page is loaded again; 0: it stays as it is
	Toggle   string // the link that stops the refreshing or begins it again
	Style    string // address of the style sheet
	Project  bool   // it is a project's page, with a way back
}

type indexView struct {
	frame
	Stopped []projectView // paused
	Unknown []projectView
	Others  []projectView // may run
	Sweep   sweepView
	Spooled string
	Foreign []issueView
}

type projectView struct {
	ID       string
	Link     string
	Badge    string // e.g. Paused 3 h 12 min
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
	Issue    string // its address, if it may be linked
	Shown    string // what the link says
	NoIssue  bool   // there should be one
	TakenBy  string // who takes care of it
	TakenAt  moment
	Notes    []string
	Former   bool // it is not in the configuration
}

// indexOf makes the front page.
func indexOf(s status.Status) indexView {
	v := indexView{frame: frameOf(s), Sweep: sweepOf(s)}
	for _, f := range s.Foreign {
		v.Foreign = append(v.Foreign, issueView{Text: f, Link: webLink(f)})
	}
	var ran bool
	for _, p := range s.Projects {
		ran = ran || len(p.LastRuns) > 0
		pv := projectOf(p, s.At)
		switch p.Paused {
		case "yes":
			v.Stopped = append(v.Stopped, pv)
		case "no":
			v.Others = append(v.Others, pv)
		default:
			if said(s.Problems, pv.Reason) {
				pv.Reason = "" // the problem above says it once for all of them
			}
			v.Unknown = append(v.Unknown, pv)
		}
	}
	if s.Spooled > 0 {
		v.Spooled = plural(s.Spooled, "result") + " could not be stored and wait in the spool. The next sweep takes them in."
	}
	v.judge(len(s.Projects), ran)
	v.Title = v.Headline + " · adfbot"
	return v
}

func frameOf(s status.Status) frame {
	return frame{Instance: s.Instance, Problems: s.Problems, At: momentOf(s.At, s.At)}
}

// said tells whether a reason stands in one of the problems already.
func said(problems []string, reason string) bool {
	for _, p := range problems {
		if strings.HasPrefix(p, reason) {
			return true
		}
	}
	return false
}

// judge finds the headline: the worst of all that is true.
func (v *indexView) judge(projects int, ran bool) {
	all := fmt.Sprintf("All %d projects may run", projects)
	if projects == 1 && len(v.Others) == 1 {
		all = v.Others[0].ID + " may run"
	}
	notes := len(v.Problems)
	for _, p := range v.Others {
		notes += len(p.Notes)
	}
	switch {
	case len(v.Stopped) > 0:
		how := "paused"
		v.Tone = toneBad
		if !slices.ContainsFunc(v.Stopped, func(p projectView) bool { return !p.Held }) {
			v.Tone, how = toneHeld, "held by a person"
		}
		v.Headline = fmt.Sprintf("%d of %s %s %s", len(v.Stopped), plural(projects, "project"), are(len(v.Stopped)), how)
		if projects == 1 {
			v.Headline = v.Stopped[0].ID + " is " + how
		}
		v.Sub = names(v.Stopped)
		if n := len(v.Unknown); n > 0 {
			v.Sub += fmt.Sprintf(". Of %d more it is not known", n)
		}
	case len(v.Unknown) > 0:
		v.Tone, v.Headline = toneUnknown, "It is not known whether "+plural(len(v.Unknown), "project")+" may run"
		v.Sub = "Until it is, exec and gate let none of them run."
	case len(v.Problems) > 0 || v.Spooled != "":
		v.Tone, v.Headline, v.Sub = toneWarn, "adfbot itself needs help", all+"."
	case notes > 0:
		v.Tone, v.Headline, v.Sub = toneWarn, all, "Something needs a look."
	case projects == 0:
		v.Tone, v.Headline = toneIdle, "No project is configured"
	case !ran:
		v.Tone, v.Headline = toneIdle, "Nothing has been reported yet"
		v.Sub = all + ". The first result shows here once `adfbot exec`, `adfbot record` or the HTTP interface has reported it."
	default:
		v.Tone, v.Headline, v.Sub = toneOK, all, "Nothing is wrong."
		if n := failing(v.Others); n > 0 {
			v.Sub = plural(n, "project") + " failed last time."
		}
	}
}

// failing is how many projects have begun to fail.
func failing(list []projectView) (n int) {
	for _, p := range list {
		if p.Failing {
			n++
		}
	}
	return n
}

func are(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// names are the first few of the paused projects, with how long they have been.
func names(list []projectView) string {
	const most = 3
	var out []string
	for _, p := range list[:min(len(list), most)] {
		name := p.ID
		if p.Since.Ago != "" {
			name += " for " + p.Since.Ago
		}
		out = append(out, name)
	}
	s := strings.Join(out, ", ")
	if more := len(list) - most; more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}

// why is a project's reason without what its heading says already.
func why(p status.Project) string {
	if s, ok := strings.CutPrefix(p.Reason, p.ID+" is paused: "); ok {
		return s
	}
	if s, ok := strings.CutPrefix(p.Reason, p.ID+" is paused by "); ok {
		return "Paused by " + s
	}
	return p.Reason
}

func projectOf(p status.Project, now time.Time) projectView {
	v := projectView{
		ID: p.ID, Link: projectLink(p.ID), Held: p.Held, Reason: why(p), Failing: p.Failures > 0,
		Count: fmt.Sprintf("%d of %d", p.Failures, p.Threshold), Former: !p.Configured,
		Notes: append(append([]string{}, p.Pending...), p.Warnings...),
	}
	if p.Since != nil {
		v.Since = momentOf(*p.Since, now)
	}
	if p.HalfOpen && p.Paused == "no" {
		v.HalfOpen = "Resumed, and no success since."
	}
	switch {
	case p.Paused == "yes" && p.Held:
		v.Badge = "Held by a person"
	case p.Paused == "yes":
		v.Badge = "Paused"
	case p.Paused == "no":
		v.Badge = "May run"
	default:
		v.Badge = "Not known"
	}
	if p.Running > 0 {
		v.Running = plural(p.Running, "run") + " under way"
	}
	if i := p.Incident; i != nil {
		v.Incident, v.Issue, v.Shown, v.NoIssue = i.Name, webLink(i.Issue), issueName(i.Name, i.Issue), i.Issue == ""
		v.TakenBy, v.TakenAt = i.TakenBy, momentOf(i.TakenAt, now)
		if v.Since.Machine == "" {
			v.Since = momentOf(i.Opened, now)
		}
		if v.Reason == "" {
			v.Reason = fmt.Sprintf("%s failed %d times in a row.", i.Agent, i.Failures)
		}
	}
	var runs []picturedRun
	for _, r := range p.LastRuns {
		at := r.Finished
		if at.IsZero() {
			at = r.Started
		}
		if v.LastRun.Machine == "" {
			v.LastRun = momentOf(at, now)
		}
		runs = append(runs, picturedRun{Outcome: r.Outcome, How: howEnded(r.Outcome, r.ExitCode, r.Signal, r.Detail), Agent: r.Agent, Counted: r.Counted, At: at})
	}
	v.Picture = draw(runs, now)
	return v
}
