package plan

import (
	"fmt"
	"testing"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
)

func BenchmarkNext(b *testing.B) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	var all []Observation
	for n := range 1000 {
		ref := tracker.IssueRef{Repo: tracker.Repo{Server: "https://git.example.org", Owner: "terraphim", Name: "adf-fleet"}, ID: int64(n + 1), Number: int64(n + 1)}
		i := incident.Incident{ID: fmt.Sprintf("%032x", n), Project: fmt.Sprintf("p%d", n), Seq: 1, Opened: now, FlagWritten: now, Issue: ref}
		o := Observation{
			Now: now, Project: i.Project, Incidents: []incident.Incident{i}, Issues: map[string]IssueState{i.ID: IssueOpen}, Known: func(string) bool { return true },
			Confirmed: incident.Confirmation{Pause: i.ID},
			Flag:      incident.FlagView{State: incident.FlagThere, Info: incident.FlagInfo{Project: i.Project, Incident: i.ID}},
			Open:      []tracker.Issue{{IssueRef: ref, Open: true, Marker: tracker.Marker{Project: i.Project, Seq: 1, Incident: i.ID}}},
		}
		if n%2 == 0 {
			o.Flag = incident.FlagView{State: incident.FlagGone}
		}
		all = append(all, o)
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, o := range all {
			Next(o)
		}
	}
}
