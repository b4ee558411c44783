package pause_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/terraphim/adfbot/pause"
)

func Example() {
	tmp, err := os.MkdirTemp("", "pause-example-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(tmp)
	d := pause.New(filepath.Join(tmp, "pause"))

	ask := func() {
		switch paused, err := d.Paused("odilo"); {
		case errors.Is(err, pause.ErrNoDir):
			fmt.Println("unknown: do not run")
		case err != nil:
			panic(err)
		case paused:
			flag, _ := d.Look("odilo")
			fmt.Println("paused:", flag.Note)
		default:
			fmt.Println("may run")
		}
	}
	ask()
	fmt.Println(d.Init("0123456789abcdef0123456789abcdef"))
	ask()
	fmt.Println(d.Write("odilo", "project-meta failed 3 times"))
	fmt.Println(d.Write("odilo", "project-meta failed 4 times"))
	ask()
	fmt.Println(d.Remove("odilo"))
	ask()
	// Output:
	// unknown: do not run
	// <nil>
	// may run
	// true <nil>
	// false <nil>
	// paused: project-meta failed 3 times
	// true <nil>
	// may run
}
