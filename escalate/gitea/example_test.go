package gitea_test

import (
	"context"
	"fmt"
	"time"

	"github.com/terraphim/adfbot/escalate/gitea"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// cleanups replaces the testing.T of a test.
type cleanups []func()

func (c *cleanups) Cleanup(f func()) { *c = append(*c, f) }

func (c *cleanups) run() {
	for _, f := range *c {
		f()
	}
}

func Example() {
	ctx := context.Background()
	var t cleanups
	defer t.run()
	server := giteatest.NewServer(&t)
	server.AddUser("adf-bot", giteatest.UserOptions{})
	server.AddToken("adf-bot", "s3cret", "write:issue")
	server.AddRepo("acme", "ops")

	client := gitea.New(gitea.Options{URL: server.URL(), Tokens: gitea.StaticToken("s3cret"), Timeout: 10 * time.Second})
	repo := tracker.Repo{Server: server.URL(), Owner: "acme", Name: "ops"}
	issue, err := client.Create(ctx, repo, tracker.NewIssue{Title: "odilo failed"})
	fmt.Println(issue.IssueRef, err)
	issue, err = client.SetOpen(ctx, issue.IssueRef, false)
	fmt.Println("open:", issue.Open, err)
	// Output:
	// acme/ops#1 <nil>
	// open: false <nil>
}
