package status

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/text"
)

// maxReason is how much of an error an incident keeps.
const maxReason = 500

// What is left to do for an incident.
const (
	toOpen  = "issue to be opened" // nobody is told of it yet
	toFind  = "it is to be found out whether its issue was created"
	toClose = "issue to be closed"
	toTell  = "comment on its end to be written, its issue is closed"
	toList  = "list in its closed issue to be brought in line"
)

// wait is one incident with something left to do in Gitea.
type wait struct {
	incident string // its name
	what     string // what is left to do; "" if it is not known
	reason   string // why it is not done yet; "" if nothing failed
}

// String is the entry of [Project.Pending].
func (w wait) String() string {
	s := w.incident
	for _, part := range []string{w.what, w.reason} {
		if part != "" {
			s += ": " + part
		}
	}
	return s
}

// PendingGroup is what waits for one reason: a lost repository may keep every project waiting.
type PendingGroup struct {
	Reason string
	Work   []PendingWork
}

// PendingWork is what is left to do, and for which incidents.
type PendingWork struct {
	What      string
	Incidents []string
}

// InHand reports whether the next sweep does the work by itself: nothing has failed, and each incident has an issue.
func (g PendingGroup) InHand() bool {
	return g.Reason == "" && !slices.ContainsFunc(g.Work, func(w PendingWork) bool { return w.What == toOpen })
}

// Incidents returns how many incidents wait.
func (g PendingGroup) Incidents() (n int) {
	for _, w := range g.Work {
		n += len(w.Incidents)
	}
	return n
}

// PendingGroups returns the pending work of all projects by its reason.
func (s Status) PendingGroups() []PendingGroup {
	var groups []PendingGroup
	place := map[string]int{} // in groups
	for _, p := range s.Projects {
		for _, w := range p.waits {
			general := ofAnyIssue(w.reason)
			n, ok := place[general]
			if !ok {
				n, groups = len(groups), append(groups, PendingGroup{Reason: w.reason})
				place[general] = n
			}
			g := &groups[n]
			if g.Reason != w.reason {
				g.Reason = general
			}
			m := slices.IndexFunc(g.Work, func(k PendingWork) bool { return k.What == w.what })
			if m < 0 {
				m, g.Work = len(g.Work), append(g.Work, PendingWork{What: w.what})
			}
			g.Work[m].Incidents = append(g.Work[m].Incidents, w.incident)
		}
	}
	return groups
}

// SharedReasons returns the reasons for which several incidents wait. The map short has, for each entry of [Project.Pending] with
// such a reason, the entry without it.
func (s Status) SharedReasons() (reasons []string, short map[string]string) {
	shared := map[string]bool{}
	for _, g := range s.PendingGroups() {
		if n := g.Incidents(); n > 1 && g.Reason != "" {
			reasons = append(reasons, text.Plural(n, "incident")+" wait: "+g.Reason)
			shared[ofAnyIssue(g.Reason)] = true
		}
	}
	short = map[string]string{}
	for _, p := range s.Projects {
		for _, w := range p.waits {
			if shared[ofAnyIssue(w.reason)] {
				short[w.String()] = w.incident + ": " + cmp.Or(w.what, "waits for Gitea")
			}
		}
	}
	return reasons, short
}

var issueNumber = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`#\d+`) })

// ofAnyIssue takes the numbers of issues out of a reason: each issue may meet the same cause by itself.
func ofAnyIssue(reason string) string { return issueNumber().ReplaceAllLiteralString(reason, "#…") }

// OtherProblems returns the problems that are not the reason of pending work.
func (s Status) OtherProblems() []string {
	return slices.DeleteFunc(slices.Clone(s.Problems), func(problem string) bool {
		problem = withoutSweep(problem)
		return slices.ContainsFunc(s.Projects, func(p Project) bool {
			return slices.ContainsFunc(p.waits, func(w wait) bool {
				return w.reason != "" && w.reason == redact.Line(strings.TrimPrefix(problem, w.incident+": "), maxReason)
			})
		})
	})
}
