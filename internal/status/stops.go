package status

import (
	"fmt"
	"slices"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/text"
)

// Stop is a pause of many projects at once that is in force.
type Stop struct {
	ID       string     `json:"id"`
	Patterns []string   `json:"patterns"` // of project ids; * for all
	Reason   string     `json:"reason"`
	By       string     `json:"by"`
	Since    time.Time  `json:"since"`
	Until    *time.Time `json:"until,omitempty"` // when it ends by itself; missing: it does not
	Holds    int        `json:"holds"`           // projects that its end resumes, unless an incident or another stop pauses them
	Besides  int        `json:"-"`               // projects that other stops hold, and that the command resumes, too
	Resume   string     `json:"-"`               // the command that ends it, on this machine
	What     string     `json:"-"`               // for people, e.g. "all projects"
}

// All reports whether the stop is one of all projects.
func (s Stop) All() bool { return slices.Contains(s.Patterns, incident.EveryProject) }

// Summary says what the stop is, in one line.
func (s Stop) Summary(now time.Time) string {
	line := s.What + " stopped by " + s.By + " " + text.Duration(max(now.Sub(s.Since), 0).Truncate(time.Second)) + " ago"
	if s.Until != nil {
		line += ", until " + minute(*s.Until)
	}
	if s.Reason != "" {
		line += ": " + s.Reason
	}
	return line
}

// HowToResume says which command ends the stop, and what that resumes.
func (s Stop) HowToResume() string {
	besides := ""
	if s.Besides > 0 {
		besides = fmt.Sprintf(", and %d that another stop holds", s.Besides)
	}
	return fmt.Sprintf("to resume the %s that it holds%s: %s", text.Plural(s.Holds, "project"), besides, s.Resume)
}

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// stopsOf returns the stops in force: those that are about a project, or all if it is "".
func (r *Reader) stopsOf(only string, s snapshot) []Stop {
	var out []Stop
	for _, st := range s.stops {
		if only != "" && !st.About(only, config.Matches) {
			continue
		}
		v := Stop{ID: st.ID, Patterns: st.Patterns, Reason: st.Reason, By: st.By, Since: st.Since, Until: known(st.Until), What: st.What(),
			Resume: r.from.Reconciler.HowToEnd(st)}
		for _, h := range s.holds {
			switch {
			case h.Stop == st.ID:
				v.Holds++
			case h.Stop != "" && !st.All() && st.About(h.Project, config.Matches):
				v.Besides++
			}
		}
		out = append(out, v)
	}
	return out
}

// addHold adds when a pause by hand ends, and which stop it is a part of.
func (p *Project) addHold(h incident.Hold, held bool) {
	if !held || p.Paused != Yes {
		return
	}
	if p.Stop = h.Stop; h.Until != incident.AtOnce {
		p.Until = known(h.Until)
	}
}
