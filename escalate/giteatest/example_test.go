package giteatest_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/terraphim/adfbot/escalate/giteatest"
)

// newGitea returns a server with a user, a token and a repository.
func newGitea() *giteatest.Server {
	s := giteatest.New(func() time.Time { return time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC) })
	s.AddUser("adf-bot", giteatest.UserOptions{})
	s.AddToken("adf-bot", "secret", "write:issue")
	s.AddRepo("terraphim", "adf-fleet")
	return s
}

// openIssue is the client under test.
func openIssue(c *http.Client, url string) error {
	body := strings.NewReader(`{"title":"odilo failed"}`)
	r, err := http.NewRequestWithContext(context.Background(), "POST", url+"/api/v1/repos/terraphim/adf-fleet/issues", body)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "token secret")
	resp, err := c.Do(r)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func ExampleNewServer() {
	_ = func(t *testing.T) { // a test
		s := giteatest.NewServer(t)
		s.AddUser("adf-bot", giteatest.UserOptions{})
		s.AddToken("adf-bot", "secret", "write:issue")
		s.AddRepo("terraphim", "adf-fleet")

		if err := openIssue(http.DefaultClient, s.URL()); err != nil {
			t.Fatal(err)
		}
		if n := len(s.Issues("terraphim/adf-fleet")); n != 1 {
			t.Fatalf("%d issues", n)
		}
	}
}

func ExampleServer() {
	s := newGitea()
	defer s.Close()
	client := &http.Client{Transport: s.Transport()}

	fmt.Println("error:", openIssue(client, s.URL()))
	s.As("adf-bot").Comment("terraphim/adf-fleet", 1, "looking into it")

	i, _ := s.Issue("terraphim/adf-fleet", 1)
	fmt.Printf("%s: %q by %s, %d comment\n", i.State, i.Title, i.Author, len(i.Comments))
	for _, r := range s.Requests() {
		fmt.Println(r.Method, r.Path, r.Status)
	}
	// Output:
	// error: <nil>
	// open: "odilo failed" by adf-bot, 1 comment
	// POST /api/v1/repos/terraphim/adf-fleet/issues 201
}

// The answer to a request is lost although the server has done the work: a client that simply repeats the request
// creates a second issue.
func ExampleServer_Inject() {
	s := newGitea()
	defer s.Close()
	client := &http.Client{Transport: s.Transport()}
	s.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1, Do: giteatest.LostAnswer()})

	fmt.Println("failed:", openIssue(client, s.URL()) != nil)
	fmt.Println("failed:", openIssue(client, s.URL()) != nil)
	fmt.Println("issues:", len(s.Issues("terraphim/adf-fleet")))
	// Output:
	// failed: true
	// failed: false
	// issues: 2
}

func ExampleRoutes() {
	for _, route := range giteatest.Routes()[:5] {
		fmt.Println(route)
	}
	// Output:
	// GET /api/v1/version
	// GET /api/v1/settings/api
	// GET /api/v1/user
	// GET /api/v1/users/{username}
	// GET /api/v1/orgs/{org}/labels
}
