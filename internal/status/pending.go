package status

import "slices"

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

// PendingGroups returns the pending work of all projects by its reason.
func (s Status) PendingGroups() []PendingGroup {
	var groups []PendingGroup
	for _, p := range s.Projects {
		for _, w := range p.waits {
			n := slices.IndexFunc(groups, func(g PendingGroup) bool { return g.Reason == w.reason })
			if n < 0 {
				n, groups = len(groups), append(groups, PendingGroup{Reason: w.reason})
			}
			g := &groups[n]
			m := slices.IndexFunc(g.Work, func(k PendingWork) bool { return k.What == w.what })
			if m < 0 {
				m, g.Work = len(g.Work), append(g.Work, PendingWork{What: w.what})
			}
			g.Work[m].Incidents = append(g.Work[m].Incidents, w.incident)
		}
	}
	return groups
}
