package breaker_test

import (
	"fmt"

	"github.com/terraphim/adfbot/breaker"
)

func ExampleCounter() {
	c := breaker.New(breaker.DefaultThreshold)
	for run := 1; run <= 4; run++ {
		if c.Record("odilo", false) {
			fmt.Printf("run %d: pause odilo after %d failures\n", run, c.Count("odilo"))
			continue
		}
		fmt.Printf("run %d: %d failures, tripped: %v\n", run, c.Count("odilo"), c.Tripped("odilo"))
	}
	c.Record("odilo", true)
	fmt.Printf("a success: %d failures, tripped: %v\n", c.Count("odilo"), c.Tripped("odilo"))
	// Output:
	// run 1: 1 failures, tripped: false
	// run 2: 2 failures, tripped: false
	// run 3: pause odilo after 3 failures
	// run 4: 4 failures, tripped: true
	// a success: 0 failures, tripped: false
}

func ExampleState_Next() {
	var s breaker.State // loaded from a database, for example
	for _, success := range []bool{false, true, false, false} {
		var trips bool
		s, trips = s.Next(2, success)
		fmt.Printf("%+v trips: %v\n", s, trips)
	}
	// Output:
	// {Failures:1 Tripped:false} trips: false
	// {Failures:0 Tripped:false} trips: false
	// {Failures:1 Tripped:false} trips: false
	// {Failures:2 Tripped:true} trips: true
}

// A half-open breaker trusts a resumed project less than others: until the
// project's next success, the caller passes a lower threshold.
func ExampleState_Next_halfOpen() {
	s, threshold := breaker.State{}, 2
	for _, event := range []string{"failure", "failure", "resume", "failure", "resume", "success", "failure"} {
		trips := false
		switch event {
		case "failure":
			s, trips = s.Next(threshold, false)
		case "success":
			s, _ = s.Next(threshold, true)
			threshold = 2
		case "resume":
			s, threshold = breaker.State{}, 1
		}
		fmt.Printf("%s, threshold %d, trips: %v\n", event, threshold, trips)
	}
	// Output:
	// failure, threshold 2, trips: false
	// failure, threshold 2, trips: true
	// resume, threshold 1, trips: false
	// failure, threshold 1, trips: true
	// resume, threshold 1, trips: false
	// success, threshold 2, trips: false
	// failure, threshold 2, trips: false
}

func ExampleCounts() {
	for _, agent := range []string{"project-meta", "project-meta-odilo", "project-metadata", "fleet-meta"} {
		fmt.Println(agent, breaker.Counts(agent))
	}
	// Output:
	// project-meta true
	// project-meta-odilo true
	// project-metadata false
	// fleet-meta false
}
