package escalate_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/gitea"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/pause"
)

// An issue is opened when a project is paused, and closed when somebody has removed the pause flag.
func Example() {
	ctx := context.Background()
	fake, stop := exampleServer()
	defer stop()
	dir, _ := os.MkdirTemp("", "pause-")
	defer func() { _ = os.RemoveAll(dir) }()

	id, flags := pause.NewRandomID(), pause.New(dir)
	_ = flags.Init(id)
	repo := tracker.Repo{Server: fake.URL(), Owner: "acme", Name: "ops"}
	rec, err := escalate.New(escalate.Options{
		Installation: id, State: escalate.NewMemory(), Dir: flags, Projects: []string{"odilo"},
		Server: fake.URL(), Timeout: 10 * time.Second,
		Tracker: gitea.New(gitea.Options{URL: fake.URL(), Tokens: gitea.StaticToken("s3cret"), Timeout: 10 * time.Second}),
		Target:  func(string) escalate.Target { return escalate.Target{Repo: repo} },
	})
	if err != nil {
		panic(err)
	}
	t, err := rec.Open(ctx, incident.Incident{Project: "odilo", Agent: "project-meta", Failures: 3, Threshold: 3})
	fmt.Println(t.Incident.Issue, err)

	_, _ = flags.Remove("odilo") // somebody has fixed the cause
	report, err := rec.Sweep(ctx, escalate.SweepOptions{})
	for _, a := range report.Actions {
		fmt.Println(a.Kind, a.Name)
	}
	fmt.Println(err)
	// Output:
	// acme/ops#1 <nil>
	// resume odilo#1
	// close odilo#1
	// <nil>
}

// cleanups are what an example has to undo; in a test that is a testing.T.
type cleanups []func()

func (c *cleanups) Cleanup(f func()) { *c = append(*c, f) }

// exampleServer is a fake Gitea with the repository acme/ops and a token.
func exampleServer() (*giteatest.Server, func()) {
	var c cleanups
	s := giteatest.NewServer(&c)
	s.AddUser("adf-bot", giteatest.UserOptions{})
	s.AddToken("adf-bot", "s3cret")
	s.AddRepo("acme", "ops")
	s.SetPermission("acme", "ops", "adf-bot", giteatest.Write)
	return s, func() {
		for _, f := range c {
			f()
		}
	}
}
