package plan_test

import (
	"fmt"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
)

// A project is paused and has no issue yet. Later, someone removes the pause flag.
func ExampleNext() {
	o := plan.Observation{
		Now: time.Now(), Project: "odilo", Flag: incident.FlagView{State: incident.FlagThere},
		Incidents: []incident.Incident{{ID: "0a", Project: "odilo", Seq: 1}}, Confirmed: incident.Confirmation{Pause: "0a"},
		Known: func(id string) bool { return id == "0a" },
	}
	for _, a := range plan.Next(o) {
		fmt.Printf("%s %s: %s\n", a.Kind, a.Name, a.Why)
	}
	o.Flag.State = incident.FlagGone
	for _, a := range plan.Next(o) {
		fmt.Printf("%s %s: %s\n", a.Kind, a.Name, a.Why)
	}
	// Output:
	// create odilo#1: the incident has no issue yet
	// resume odilo#1: the pause flag was removed
}
