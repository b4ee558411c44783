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
	var s breaker.State // as it was loaded; closed at first
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

// A resumed project may be given less credit than one that has a clean record:
// after the resume the caller starts from the zero State and passes a lower
// threshold, until a success restores the usual one. With a threshold of one
// the first run is the probe of a half-open breaker.
func ExampleState_Next_halfOpen() {
	const threshold, resumeThreshold = 3, 1

	var s breaker.State
	probing := false
	run := func(success bool) {
		limit := threshold
		if probing {
			limit = resumeThreshold
		}
		var trips bool
		s, trips = s.Next(limit, success)
		probing = probing && !success
		fmt.Printf("success: %-5v threshold: %d trips: %v\n", success, limit, trips)
	}
	resume := func() {
		s, probing = breaker.State{}, true
		fmt.Println("resumed")
	}

	run(false)
	run(false)
	run(false)
	resume()
	run(false) // the probe fails: paused again at once
	resume()
	run(true) // the probe succeeds: full credit again
	run(false)
	// Output:
	// success: false threshold: 3 trips: false
	// success: false threshold: 3 trips: false
	// success: false threshold: 3 trips: true
	// resumed
	// success: false threshold: 1 trips: true
	// resumed
	// success: true  threshold: 1 trips: false
	// success: false threshold: 3 trips: false
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
