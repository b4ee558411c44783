package escalate

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
)

func BenchmarkBodyOfFullSize(b *testing.B) {
	for _, size := range []int{8 << 10, 80 << 10} { // as configured by default, and more than a body takes
		b.Run(fmt.Sprintf("output=%dKiB", size>>10), func(b *testing.B) {
			line := "2026-11-23T12:00:00Z ERROR planner: model quota used up, 4711 tokens over (attempt 3 of 3)\n"
			l := testLetter()
			l.Incident.Evidence.Output = strings.Repeat(line, size/len(line))
			c := compose(b, "", "0123456789abcdef0123456789abcdef01234567")
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				c.Body(l)
			}
		})
	}
}

func BenchmarkPlanOfAThousandIncidents(b *testing.B) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	var all []plan.Observation
	for n := range 1000 {
		ref := tracker.IssueRef{Repo: tracker.Repo{Server: "https://git.example.org", Owner: "terraphim", Name: "adf-fleet"}, ID: int64(n + 1), Number: int64(n + 1)}
		i := incident.Incident{ID: fmt.Sprintf("%032x", n), Project: fmt.Sprintf("p%d", n), Seq: 1, Opened: now, FlagWritten: now, Issue: ref}
		o := plan.Observation{
			Now: now, Project: i.Project, Incidents: []incident.Incident{i}, Issues: map[string]plan.IssueState{i.ID: plan.IssueOpen}, Known: func(string) bool { return true },
			Flag: incident.FlagView{State: incident.FlagThere, Info: incident.FlagInfo{Project: i.Project, Incident: i.ID}},
			Open: []tracker.Issue{{IssueRef: ref, Open: true, Marker: tracker.Marker{Project: i.Project, Seq: 1, Incident: i.ID}}},
		}
		if n%2 == 0 {
			o.Flag = incident.FlagView{State: incident.FlagGone}
		}
		all = append(all, o)
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, o := range all {
			plan.Next(o)
		}
	}
}
