package page

import (
	"fmt"
	"strings"

	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/text"
)

// named is a project in the line below the headline, with how long it has been paused.
type named struct {
	ID    string
	Since moment
}

// setHeadline says whether anything is wrong, and what. It is about all projects, whatever the reader has chosen to see.
func (v *indexView) setHeadline() {
	in, anyRun := map[group][]*summary{}, false
	for _, s := range v.all {
		in[s.Group] = append(in[s.Group], s)
		anyRun = anyRun || len(s.LastRuns) > 0
	}
	projects := len(v.all)
	all := fmt.Sprintf("All %d projects may run", projects)
	if projects == 1 {
		all = v.all[0].ID + " may run"
	}
	hasNotes, failing := false, 0
	var resumed, silent []string
	for _, s := range in[groupLook] {
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
	switch unknown := len(in[groupUnknown]); {
	case len(in[groupPaused]) > 0:
		v.setPaused(in[groupPaused], projects)
		if unknown > 0 {
			v.SubMore += fmt.Sprintf(". %d more unknown", unknown)
		}
	case unknown > 0:
		v.Tone, v.Headline = toneUnknown, "Unknown whether "+text.Plural(unknown, "project")+" may run"
		v.Sub = "Where exec and gate find the same, they let none of them run."
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
	case v.hostTrouble() != "":
		v.Tone, v.Headline, v.Sub = toneWarn, all, v.hostTrouble()
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
		v.Sub = "Add one under projects: in the configuration, then reload adfbot."
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

// hostTrouble names the host of a fleet that needs somebody, "" if none does.
func (v *indexView) hostTrouble() string {
	var away, odd []string
	for _, h := range v.Hosts {
		switch {
		case h.State != status.HostHere:
			away = append(away, h.Label)
		case len(h.Remarks) > 0:
			odd = append(odd, h.Label)
		}
	}
	switch {
	case len(away) == 1:
		return away[0] + " is away."
	case len(away) > 1:
		return text.Plural(len(away), "host") + " are away."
	case len(odd) == 1:
		return "Something is wrong with " + odd[0] + "."
	case len(odd) > 1:
		return "Something is wrong with " + text.Plural(len(odd), "host") + "."
	}
	return ""
}

func (v *indexView) setPaused(paused []*summary, projects int) {
	v.Tone = toneHeld
	how, verb := "paused by hand", "are"
	for _, s := range paused {
		if !s.Held {
			v.Tone, how = toneBad, "paused"
		}
	}
	if len(paused) == 1 {
		verb = "is"
	}
	v.Headline = fmt.Sprintf("%d of %s %s %s", len(paused), text.Plural(projects, "project"), verb, how)
	if projects == 1 {
		v.Headline = paused[0].ID + " is " + how
	}
	for _, st := range v.Stops {
		if st.All() {
			v.Sub, v.SubSince = "All projects were stopped by "+st.By+" ", st.Since
			return
		}
	}
	const most = 3
	first := append([]*summary{}, paused...)
	choice{}.sort(first)
	for _, s := range first[:min(len(first), most)] {
		v.SubNames = append(v.SubNames, named{s.ID, s.Since})
	}
	if more := len(paused) - most; more > 0 {
		v.SubMore = fmt.Sprintf(" and %d more", more)
	}
}
