package status

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
)

// Rank says how much a project needs a person.
type Rank int

// Ranks, those first that need somebody most.
const (
	RankUnknown Rank = iota // nobody knows whether it is paused; nothing runs
	RankPaused              // by an incident
	RankHeld                // by a person
	RankLook                // it may run, and something is not as it should be
	RankFine
)

// Rank returns how much the project needs a person.
func (p Project) Rank() Rank {
	switch {
	case p.Paused == Unknown:
		return RankUnknown
	case p.Paused == Yes && p.Held:
		return RankHeld
	case p.Paused == Yes:
		return RankPaused
	case len(p.Warnings) > 0, len(p.Pending) > 0, p.Silence != nil, p.Failures > 0, p.HalfOpen, len(p.LastRuns) > 0 && p.LastRuns[0].Outcome == store.Failure:
		return RankLook
	}
	return RankFine
}

// Ranked returns the projects by their rank. Of those that are paused, the latest pause comes first; else the order stays.
func (s Status) Ranked() []Project {
	ranked := slices.Clone(s.Projects)
	slices.SortStableFunc(ranked, func(a, b Project) int {
		order := cmp.Compare(a.Rank(), b.Rank())
		if order == 0 && a.Since != nil && b.Since != nil {
			order = b.Since.Compare(*a.Since)
		}
		return order
	})
	return ranked
}

// Totals says how many projects have each rank.
type Totals struct {
	Projects int `json:"projects"`
	Unknown  int `json:"unknown"`
	Paused   int `json:"paused"` // by incidents
	Held     int `json:"held"`
	Look     int `json:"need_a_look"`
	Fine     int `json:"fine"`
	Running  int `json:"running"` // how many projects have a run that has not ended
}

func newTotals(projects []Project) (t Totals) {
	of := map[Rank]*int{RankUnknown: &t.Unknown, RankPaused: &t.Paused, RankHeld: &t.Held, RankLook: &t.Look, RankFine: &t.Fine}
	for _, p := range projects {
		t.Projects++
		*of[p.Rank()]++
		if p.Running > 0 {
			t.Running++
		}
	}
	return t
}

// String says how many there are, e.g. "300 projects: 2 paused, 1 held, 3 need a look, 294 fine; running now: 5".
func (t Totals) String() string {
	var parts []string
	look := "need a look"
	if t.Look == 1 {
		look = "needs a look"
	}
	for _, p := range []struct {
		n     int
		words string
	}{{t.Unknown, "UNKNOWN"}, {t.Paused, "paused"}, {t.Held, "held"}, {t.Look, look}, {t.Fine, "fine"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.words))
		}
	}
	s := text.Plural(t.Projects, "project")
	if len(parts) > 0 {
		s += ": " + strings.Join(parts, ", ")
	}
	if t.Running > 0 {
		s += fmt.Sprintf("; running now: %d", t.Running)
	}
	return s
}

// Keep returns the status with some of its projects.
func (s Status) Keep(wanted func(Project) bool) Status {
	s.Projects = slices.DeleteFunc(slices.Clone(s.Projects), func(p Project) bool { return !wanted(p) })
	s.Totals = newTotals(s.Projects)
	return s
}
