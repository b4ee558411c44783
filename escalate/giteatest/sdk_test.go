package giteatest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"code.gitea.io/sdk/gitea"
	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
)

func sdk(t *testing.T, url string, c *http.Client, token string) *gitea.Client {
	t.Helper()
	client, err := gitea.NewClient(url, gitea.SetToken(token), gitea.SetHTTPClient(c))
	require.NoError(t, err)
	return client
}

func TestSDK(t *testing.T) {
	s := withLabels(t)
	srv := httptest.NewServer(s)
	defer srv.Close()
	c := sdk(t, srv.URL, srv.Client(), "bot")

	me, _, err := c.GetMyUserInfo()
	require.NoError(t, err)
	require.Equal(t, "adf-bot", me.UserName)
	repo, _, err := c.GetRepo("terraphim", "rec")
	require.NoError(t, err)
	require.True(t, repo.Permissions.Push)
	ls, _, err := c.ListRepoLabels("terraphim", "rec", gitea.ListLabelsOptions{})
	require.NoError(t, err)
	require.Len(t, ls, 2)

	due := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	for n := range 120 {
		_, _, err := c.CreateIssue("terraphim", "rec", gitea.CreateIssueOption{
			Title: fmt.Sprint(n), Labels: []int64{ls[0].ID}, Assignees: []string{"adf-bot"}, Deadline: &due,
		})
		require.NoError(t, err)
	}
	var all []*gitea.Issue
	for page := 1; page != 0; {
		is, resp, err := c.ListRepoIssues("terraphim", "rec", gitea.ListIssueOption{
			ListOptions: gitea.ListOptions{Page: page, PageSize: 50}, Type: gitea.IssueTypeIssue, CreatedBy: "adf-bot",
		})
		require.NoError(t, err)
		all = append(all, is...)
		page = resp.NextPage
	}
	require.Len(t, all, 120)
	require.EqualValues(t, 120, all[0].Index)
	require.Equal(t, "adf", all[0].Labels[0].Name)
	require.Equal(t, "adf-bot", all[0].Assignees[0].UserName)
	require.Equal(t, "terraphim", all[0].Repository.Owner)

	said, _, err := c.CreateIssueComment("terraphim", "rec", 7, gitea.CreateIssueCommentOption{Body: "hello"})
	require.NoError(t, err)
	require.Equal(t, me.ID, said.Poster.ID)
	closed := gitea.StateClosed
	i, _, err := c.EditIssue("terraphim", "rec", 7, gitea.EditIssueOption{State: &closed})
	require.NoError(t, err)
	require.Equal(t, gitea.StateClosed, i.State)
	require.NotNil(t, i.Closed)
	require.Equal(t, 1, i.Comments)
	cs, _, err := c.ListIssueComments("terraphim", "rec", 7, gitea.ListIssueCommentOptions{})
	require.NoError(t, err)
	require.Equal(t, "hello", cs[0].Body)

	// The SDK expects a list of labels, but Gitea sends an object.
	tl, _, err := c.ListIssueTimeline("terraphim", "rec", 7, gitea.ListIssueCommentOptions{})
	var wrong *json.UnmarshalTypeError
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, "label", wrong.Field)
	require.Equal(t, "close", tl[len(tl)-1].Type)

	_, resp, err := c.GetIssue("terraphim", "rec", 4242)
	require.EqualError(t, err, "not found")
	require.Equal(t, 404, resp.StatusCode)
}

func TestTransportInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := giteatest.New(nil)
		s.AddUser("bot", giteatest.UserOptions{})
		s.AddToken("bot", "bot")
		s.AddRepo("terraphim", "rec")
		c := sdk(t, "http://gitea.example", &http.Client{Transport: s.Transport(), Timeout: 10 * time.Second}, "bot")
		time.Sleep(time.Hour)
		i, _, err := c.CreateIssue("terraphim", "rec", gitea.CreateIssueOption{Title: "t"})
		require.NoError(t, err)
		require.Equal(t, time.Now().UTC(), i.Created, "the bubble's clock")

		s.Inject(giteatest.Fault{Match: giteatest.ListIssues(), Times: 1, Do: giteatest.LateWork(time.Minute)})
		start := time.Now()
		_, _, err = c.ListRepoIssues("terraphim", "rec", gitea.ListIssueOption{})
		require.Error(t, err)
		require.Equal(t, 10*time.Second, time.Since(start))
		s.Wait()
		require.Equal(t, 70*time.Second, time.Since(start))
	})
}

func TestConcurrentClients(t *testing.T) {
	s := withLabels(t)
	s.ResetRequests()
	srv := httptest.NewServer(s)
	defer srv.Close()
	remove := s.Inject(giteatest.Fault{Match: giteatest.ListIssues(), Do: giteatest.Latency(time.Millisecond)})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			c := sdk(t, srv.URL, srv.Client(), "bot")
			for range 10 {
				i, _, err := c.CreateIssue("terraphim", "rec", gitea.CreateIssueOption{Title: "t"})
				if err != nil {
					t.Error(err)
					return
				}
				_, _, _ = c.ListRepoIssues("terraphim", "rec", gitea.ListIssueOption{})
				s.As("reader").Comment(rec, i.Index, "b")
				s.Requests()
				s.Issues(rec)
			}
		})
	}
	wg.Wait()
	remove()
	require.Len(t, s.Issues(rec), 80)
	for n, i := range s.Issues(rec) {
		require.EqualValues(t, n+1, i.Number)
		require.Len(t, i.Comments, 1)
	}
	require.Equal(t, 8+2*80, s.Operations())
}
