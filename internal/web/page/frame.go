package page

import (
	"fmt"

	"github.com/terraphim/adfbot/internal/status"
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

// frame is what all pages have.
type frame struct {
	visit
	Title    string
	Instance string
	Version  string // of the bot
	Tone     tone
	Headline string
	For      moment  // since when what the headline says is so
	Sub      string  // the line below the headline, up to a time
	SubSince moment  // that time
	SubNames []named // likewise, projects
	SubMore  string
	Problems []string // of the bot itself
	At       moment
	Refresh  int    // seconds until the page is loaded again; 0: never
	Again    string // what to load then; "": the same address
	Toggle   string // link that stops or starts the reloading
	Style    string // address of the style sheet
	Script   string // address of the script
	Back     bool   // the page has a link to the front page
}

func newFrame(s status.Status, at visit) frame {
	return frame{visit: at, Instance: s.Instance, Problems: s.Problems, At: newMoment(s.At, s.At)}
}

// stopRow is a stop that is in force.
type stopRow struct {
	status.Stop
	Since   moment
	Ends    moment // by itself
	Holds   string
	Besides string // what the command resumes, too
}

func (v *indexView) addStops(s status.Status) {
	for _, st := range s.Stops {
		row := stopRow{Stop: st, Since: newMoment(st.Since, s.At), Holds: text.Plural(st.Holds, "project")}
		if st.Besides > 0 {
			row.Besides = fmt.Sprintf("%d that another stop holds", st.Besides)
		}
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
			map[bool]string{true: "reads the token of Gitea", false: "has no valid token of Gitea"}[h.CanIssue])
		if h.Seen != nil {
			row.Heard = newMoment(*h.Seen, f.At)
		}
		v.Hosts = append(v.Hosts, row)
	}
}

// link is a text that is a link unless Link is "".
type link struct{ Text, Link string }
