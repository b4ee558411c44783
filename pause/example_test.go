package pause_test

import (
	"errors"
	"fmt"
	"os"

	"github.com/terraphim/adfbot/breaker"
	"github.com/terraphim/adfbot/pause"
)

// must returns the value and panics after an error.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func Example() {
	dir := must(os.MkdirTemp("", "pause-example-"))
	defer os.RemoveAll(dir)
	d := pause.New(dir)

	_, err := d.Paused("odilo")
	fmt.Println("before Init it is unknown:", errors.Is(err, pause.ErrNoSentinel))

	fmt.Println("init:", d.Init(pause.NewRandomID()))
	fmt.Println("paused:", must(d.Paused("odilo")))
	fmt.Println("created:", must(d.Write("odilo", "project-meta failed 3 times")))
	fmt.Println("created:", must(d.Write("odilo", "the first writer wins")))
	fmt.Println("paused:", must(d.Paused("odilo")), must(d.Look("odilo")).Note)
	fmt.Println("removed:", must(d.Remove("odilo")))
	fmt.Println("paused:", must(d.Paused("odilo")))
	// Output:
	// before Init it is unknown: true
	// init: <nil>
	// paused: false
	// created: true
	// created: false
	// paused: true project-meta failed 3 times
	// removed: true
	// paused: false
}

// A scheduler pauses a project when its breaker trips. A person resumes the
// project by removing the flag. The scheduler then resets the breaker: otherwise
// it could not trip again before a success.
func Example_breaker() {
	dir := must(os.MkdirTemp("", "pause-example-"))
	defer os.RemoveAll(dir)
	flags, counter := pause.New(dir), breaker.New(2)
	must(0, flags.Init(pause.NewRandomID()))

	for run := 1; run <= 7; run++ {
		if must(flags.Paused("odilo")) {
			fmt.Println(run, "not started; a person resumes odilo")
			must(flags.Remove("odilo"))
			continue
		}
		if counter.Tripped("odilo") { // resumed since
			counter.Reset("odilo")
		}
		trips := counter.Record("odilo", false) // run the agent: it fails
		fmt.Println(run, "failed, trips:", trips)
		if trips {
			must(flags.Write("odilo", "project-meta failed twice"))
		}
	}
	// Output:
	// 1 failed, trips: false
	// 2 failed, trips: true
	// 3 not started; a person resumes odilo
	// 4 failed, trips: false
	// 5 failed, trips: true
	// 6 not started; a person resumes odilo
	// 7 failed, trips: false
}

func ExampleCheckID() {
	fmt.Println(pause.CheckID("odilo"))
	fmt.Println(pause.CheckID("../odilo"))
	// Output:
	// <nil>
	// bad project id: "../odilo" must begin with a letter, a digit or an underscore
}

func ExampleNewRandomID() {
	id := pause.NewRandomID()
	fmt.Println(len(id), pause.IsRandomID(id), pause.IsRandomID("odilo"))
	// Output:
	// 32 true false
}

func ExampleWriteFileDurable() {
	dir := must(os.MkdirTemp("", "pause-example-"))
	defer os.RemoveAll(dir)
	root := must(os.OpenRoot(dir))
	defer root.Close()

	fmt.Println(pause.WriteFileDurable(root, "result.json", []byte(`{"outcome":"failure"}`), 0o600))
	fmt.Println(string(must(root.ReadFile("result.json"))))
	// Output:
	// <nil>
	// {"outcome":"failure"}
}
