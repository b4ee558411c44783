package incident

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/terraphim/adfbot/escalate/tracker"
)

// Several incidents of one cause may share an issue: that of their lead. The lead lists them, itself first; the others name it. A lead has
// no lead.

// Member is an incident in the list of the one that leads it.
type Member struct {
	ID     string    `json:"id"`
	Shown  Shown     `json:"shown,omitempty"`
	Listed time.Time `json:"listed,omitzero"` // since when the text of the issue has it
	Told   time.Time `json:"told,omitzero"`   // when the comment that tells of its joining was begun, see [JoinedKey]; zero: not yet
}

// Shown is what the text of an issue says of a member. The values are stored.
type Shown string

const (
	NotShown       Shown = ""
	ShownPaused    Shown = "paused"
	ShownNotPaused Shown = "not-paused" // its flag is not written
	ShownEnded     Shown = "ended"
	ShownBefore    Shown = "before" // something: the issue was reopened since, and a state that is an older copy does not know what
)

// Shows returns what the issue has to say of an incident.
func (i Incident) Shows() Shown {
	switch {
	case !i.IsOpen():
		return ShownEnded
	case i.FlagWritten.IsZero():
		return ShownNotPaused
	}
	return ShownPaused
}

// Show notes what the issue says of a member by now.
func (m *Member) Show(what Shown, now time.Time) {
	if m.Shown == NotShown {
		m.Listed = now
	}
	m.Shown = what
}

// Unlist notes that the issue, as it is now, has forgotten members of whom it told: the tracker was restored from a backup.
func (i *Incident) Unlist(issue tracker.Issue) {
	i.Members = slices.Clone(i.Members)
	for n, m := range i.Members {
		if !issue.Carries(m.ID) {
			i.Members[n].Shown = NotShown
		}
	}
}

// Lists reports whether an issue carries all of whom the issue of i has told.
func (i Incident) Lists(issue tracker.Issue) bool {
	return !slices.ContainsFunc(i.Members, func(m Member) bool { return m.Shown != NotShown && !issue.Carries(m.ID) })
}

// Leads reports whether the incident's issue carries others, too.
func (i Incident) Leads() bool { return len(i.Members) > 0 }

// MayJoin reports whether another incident's issue may still carry this one. One of its own whose creation was refused is looked for before.
func (i Incident) MayJoin() bool {
	return i.IsOpen() && i.Lead == "" && !i.OwnIssue && !i.Leads() && i.Issue.IsZero() && (i.Create.At.IsZero() || i.Create.Refused()) && len(i.Lost) == 0
}

// MemberIDs returns the ids of the incidents that i leads, itself first; none if it leads none.
func (i Incident) MemberIDs() (ids []string) {
	for _, m := range i.Members {
		ids = append(ids, m.ID)
	}
	return ids
}

// TakeIn adds an incident that joins i, which decides that i keeps an issue of its own. See [Joining] for continues.
func (i *Incident) TakeIn(joined Incident, continues string) {
	if i.MayJoin() {
		i.Continues = continues
	}
	i.AddMember(joined.ID, joined.Opened)
}

// AddMember adds an incident to the list of i, and i itself if it is the first one.
func (i *Incident) AddMember(id string, opened time.Time) {
	has := func(id string) bool {
		return slices.ContainsFunc(i.Members, func(m Member) bool { return m.ID == id })
	}
	if id == i.ID || has(id) {
		return
	}
	i.Members = slices.Clone(i.Members)
	if !i.Leads() {
		i.Members = append(i.Members, Member{ID: i.ID, Told: i.Opened}) // nobody need be told of it
	}
	i.Members = append(i.Members, Member{ID: id})
	if opened.After(i.Joined) {
		i.Joined = opened
	}
}

// JoinLead has the issue of another incident carry i. What kept i from an issue of its own does not matter any more.
func (i *Incident) JoinLead(lead string) {
	i.Lead, i.Continues, i.Create, i.Target = lead, "", Attempt{}, tracker.Repo{}
	i.Tries, i.NextTry, i.LastErr = 0, time.Time{}, ""
}

// KeepOwn has i keep an issue of its own, which others may join.
func (i *Incident) KeepOwn(continues string) { i.OwnIssue, i.Continues = true, continues }

// Joining is whose issue carries an incident.
type Joining struct {
	Lead      string // id of the one whose issue does; "": its own will
	Continues string // id of a lead that it, or Lead if that has not decided yet, would have joined, if that had room; "": none
}

// JoinedKey is the key of the comment that tells of the joins up to a time.
func JoinedKey(i Incident, at time.Time) string {
	return fmt.Sprintf("%s/joined/%d", i.ID, at.UnixMilli())
}

// HasShown reports whether the issue of i carries an incident by now.
func (i Incident) HasShown(id string) bool {
	return slices.ContainsFunc(i.Members, func(m Member) bool { return m.ID == id && m.Shown != NotShown })
}

// ListedBefore reports whether the issue of i told of an incident that it carries before something was done in the tracker, by the second.
// Who did that in the same second may not have seen it.
func (i Incident) ListedBefore(id string, at time.Time) bool {
	return id == i.ID || slices.ContainsFunc(i.Members, func(m Member) bool {
		return m.ID == id && m.Shown != NotShown && m.Listed.Before(at)
	})
}

// Views are incidents as people are shown them: Issue is the one that carries the incident, and LeadName is set if that is another one's.
type Views struct {
	List []Incident
	Kept map[string]bool // ids of those that have ended and whose issue others keep open

	known map[string]Incident
}

// Carried returns the incidents that the issue of one in the list carries, the one that leads first.
func (v Views) Carried(i Incident) []Incident {
	lead, ok := v.known[i.Lead]
	if !ok {
		lead = v.known[i.ID]
	}
	out := []Incident{lead}
	for _, id := range lead.MemberIDs() {
		if m, ok := v.known[id]; ok && m.Lead == lead.ID {
			out = append(out, m)
		}
	}
	return out
}

// View reads whose issues carry incidents. It reads nothing if each has its own.
func View(ctx context.Context, state IncidentReader, list []Incident) (v Views, err error) {
	known := map[string]Incident{}
	for _, i := range list {
		known[i.ID] = i
	}
	for range 2 { // the leads, then all that they lead
		var missing []string
		for _, i := range known {
			for _, id := range append(i.MemberIDs(), i.Lead) {
				if _, ok := known[id]; id != "" && !ok && !slices.Contains(missing, id) {
					missing = append(missing, id)
				}
			}
		}
		if len(missing) == 0 {
			break
		}
		found, err := state.Incidents(ctx, missing...)
		if err != nil {
			return v, err
		}
		for _, i := range found {
			known[i.ID] = i
		}
	}
	v = Views{List: slices.Clone(list), Kept: map[string]bool{}, known: known}
	for n, i := range v.List {
		if lead, ok := known[i.Lead]; ok {
			v.List[n].Issue, v.List[n].LeadName = lead.Issue, lead.Name()
		}
		v.Kept[i.ID] = !i.IsOpen() && slices.ContainsFunc(i.MemberIDs(), func(id string) bool { m, ok := known[id]; return ok && m.IsOpen() })
	}
	return v, nil
}
