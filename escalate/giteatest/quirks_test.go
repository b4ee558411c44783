package giteatest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
)

// got is a response. one holds a JSON object, many a list.
type got struct {
	*httptest.ResponseRecorder
	one  map[string]any
	many []map[string]any
}

// ask sends a request to the handler. A path without a leading slash is relative to the recorded repository.
func (s *scene) ask(token, method, path, body string) got {
	if !strings.HasPrefix(path, "/") {
		path = "/repos/" + rec + "/" + path
	}
	r := httptest.NewRequest(method, "/api/v1"+path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "token "+token)
	}
	g := got{ResponseRecorder: httptest.NewRecorder()}
	s.ServeHTTP(g.ResponseRecorder, r)
	if json.Unmarshal(g.Body.Bytes(), &g.one) != nil {
		_ = json.Unmarshal(g.Body.Bytes(), &g.many)
	}
	return g
}

func TestLabelFilter(t *testing.T) {
	s := withEight(t)
	require.Len(t, s.ask("bot", "GET", "issues?labels=adf", "").many, 4)
	require.Len(t, s.ask("bot", "GET", "issues?labels=adf,priority/high", "").many, 1, "an issue must have all labels")
	require.Len(t, s.ask("bot", "GET", "issues?labels=nonsense", "").many, 8)
	require.Len(t, s.ask("bot", "GET", "issues?labels=adf,nonsense", "").many, 4)
	s.AddLabel(rec, "adf")
	require.Empty(t, s.ask("bot", "GET", "issues?labels=adf", "").many)
	s.DeleteLabel(rec, "adf")
	require.Len(t, s.ask("bot", "GET", "issues?labels=adf", "").many, 8)
	i, _ := s.Issue(rec, 1)
	require.Equal(t, []string{"priority/high"}, i.Labels)
}

func TestPages(t *testing.T) {
	s := empty()
	open("adf-bot", 120)(s)
	for query, want := range map[string]int{"": 30, "?limit=7": 7, "?limit=500": 50, "?limit=50&page=3": 20, "?limit=50&page=4": 0} {
		g := s.ask("bot", "GET", "issues"+query, "")
		require.Len(t, g.many, want, query)
		require.Equal(t, "120", g.Header().Get("X-Total-Count"), query)
	}
	g := s.ask("bot", "GET", "issues?limit=50&page=3", "")
	require.NotContains(t, g.Header().Get("Link"), `rel="next"`)
	require.Contains(t, g.Header().Get("Link"), `page=2>; rel="prev"`)
	g = s.ask("bot", "GET", "issues", "")
	require.Equal(t, 120.0, g.many[0]["number"], "newest first")
	require.Contains(t, g.Header().Get("Link"), `page=4>; rel="last"`)
}

func TestListFilters(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := &scene{Server: giteatest.New(func() time.Time { return at })}
	for _, u := range []string{"ann", "bob"} {
		s.AddUser(u, giteatest.UserOptions{})
	}
	s.AddRepo("terraphim", "rec")
	s.As("ann").Open(rec, "one", "")
	at = at.Add(time.Hour)
	s.As("bob").Open(rec, "two", "")
	s.As("bob").Close(rec, 2)
	for query, want := range map[string]string{
		"":                                       "[1]",
		"?type=issues":                           "[1]",
		"?type=pulls":                            "[]",
		"?type=":                                 "[1]",
		"?state=open":                            "[1]",
		"?state=closed":                          "[2]",
		"?state=all":                             "[2 1]",
		"?state=all&created_by=Ann":              "[1]",
		"?state=all&since=2026-01-01T01:00:00Z":  "[2]",
		"?state=all&since=2026-01-01T00:00:00Z":  "[2 1]",
		"?state=all&before=2026-01-01T00:59:59Z": "[1]",
	} {
		numbers := []any{}
		for _, i := range s.ask("", "GET", "issues"+query, "").many {
			numbers = append(numbers, i["number"])
		}
		require.Equal(t, want, fmt.Sprint(numbers), query)
	}
	require.Equal(t, 422, s.ask("", "GET", "issues?since=yesterday", "").Code)
	require.Equal(t, 404, s.ask("", "GET", "issues?created_by=nobody", "").Code)
}

func TestCreateAsReader(t *testing.T) {
	s := withLabels(t)
	body := fmt.Sprintf(`{"title":"t","labels":[%d],"assignees":["nobody"],"due_date":"2026-12-01T10:00:00Z"}`, s.adf)
	require.Equal(t, 201, s.ask("reader", "POST", "issues", body).Code)
	i, _ := s.Issue(rec, 1)
	require.Empty(t, i.Labels)
	require.Empty(t, i.Assignees)
	require.Zero(t, i.Due)
	require.Equal(t, 422, s.ask("bot", "POST", "issues", body).Code)
	require.Len(t, s.Issues(rec), 1, "no issue is created")
}

func TestAssigneesAndDueDate(t *testing.T) {
	s := withLabels(t)
	g := s.ask("bot", "POST", "issues", `{"title":"t","assignees":["reader"],"due_date":"2026-12-01T10:00:00Z"}`)
	require.Equal(t, 201, g.Code)
	require.Equal(t, "2026-12-01T23:59:59Z", g.one["due_date"])
	require.Equal(t, "reader", g.one["assignee"].(map[string]any)["login"])
	g = s.ask("bot", "PATCH", "issues/1", `{"assignees":["root1","adf-bot"],"unset_due_date":true}`)
	require.Equal(t, 201, g.Code)
	require.Len(t, g.one["assignees"], 2)
	require.Nil(t, g.one["due_date"])
	require.Equal(t, 500, s.ask("bot", "PATCH", "issues/1", `{"assignees":["nobody"]}`).Code)
	i, _ := s.Issue(rec, 1)
	require.Equal(t, []string{"root1", "adf-bot"}, i.Assignees)
	require.Equal(t, 500, s.ask("bot", "PATCH", "issues/1", `{"assignees":["terraphim"]}`).Code)
	i, _ = s.Issue(rec, 1)
	require.Empty(t, i.Assignees, "for one who exists the others were removed")
	require.Equal(t, 500, s.ask("bot", "POST", "issues", `{"title":"t","assignees":["terraphim"]}`).Code)
	require.Len(t, s.Issues(rec), 1)
	require.Nil(t, s.ask("bot", "PATCH", "issues/1", `{"assignees":[]}`).one["assignees"])
}

func TestAddIssueLabels(t *testing.T) {
	s := withFirst(t)
	other, org := s.AddLabel(rec, "other"), s.AddOrgLabel("terraphim", "org")
	body := fmt.Sprintf(`{"labels":[%d,%d,99999]}`, other, org)
	refused := s.ask("reader", "POST", "issues/1/labels", body)
	require.Equal(t, 403, refused.Code)
	require.Equal(t, "write permission is required", refused.one["message"])
	require.Len(t, s.ask("bot", "POST", "issues/1/labels", body).many, 4)
	require.Len(t, s.ask("bot", "GET", "/orgs/terraphim/labels", "").many, 1)
	require.Equal(t, 403, s.ask("write-issue", "GET", "/orgs/terraphim/labels", "").Code)
	require.Equal(t, 422, s.ask("bot", "POST", "labels", `{"name":"x","color":"reddish"}`).Code)
}

func TestRenamedRepo(t *testing.T) {
	s := withFirst(t)
	s.Rename(rec, "moved")
	for method, path := range map[string]string{"GET": "issues/1", "POST": "issues/1/comments", "PATCH": "issues/1"} {
		g := s.ask("bot", method, path, `{"body":"x"}`)
		require.Equal(t, 301, g.Code, method)
		require.Equal(t, "/api/v1/repos/terraphim/moved/"+path, g.Header().Get("Location"))
	}
	require.Empty(t, s.Issues(rec))
	require.Len(t, s.Issues("terraphim/moved"), 1)
	s.Rename("terraphim/moved", "reader/again")
	require.Equal(t, "/api/v1/repos/reader/again/issues/1", s.ask("bot", "GET", "issues/1", "").Header().Get("Location"))
	s.AddRepo("terraphim", "rec")
	require.Equal(t, 404, s.ask("bot", "GET", "issues/1", "").Code)
	require.Equal(t, 200, s.ask("bot", "GET", "issues", "").Code)
	s.DeleteRepo("reader/again")
	require.Equal(t, 404, s.ask("bot", "GET", "/repos/terraphim/moved/issues", "").Code)
}

func TestRenamedRepoOfARenamedUser(t *testing.T) {
	s := withFirst(t)
	s.Rename(rec, "moved")
	s.RenameUser("terraphim", "terra")
	path := "/repos/" + rec + "/issues"
	for _, status := range []int{307, 301} {
		g := s.ask("bot", "GET", path, "")
		require.Equal(t, status, g.Code)
		path = strings.TrimPrefix(g.Header().Get("Location"), "/api/v1")
	}
	require.Equal(t, "/repos/terra/moved/issues", path)
	require.Equal(t, 200, s.ask("bot", "GET", path, "").Code)
}

func TestRenamedUser(t *testing.T) {
	s := withFirst(t)
	s.RenameUser("reader", "again")
	g := s.ask("bot", "GET", "/users/Reader", "")
	require.Equal(t, 307, g.Code)
	require.Equal(t, "/api/v1/users/again", g.Header().Get("Location"))
	require.Equal(t, 404, s.ask("bot", "GET", "issues?created_by=reader", "").Code)
	require.Equal(t, 500, s.ask("bot", "PATCH", "issues/1", `{"assignees":["reader"]}`).Code)
	s.AddUser("reader", giteatest.UserOptions{})
	require.Equal(t, 200, s.ask("bot", "GET", "/users/reader", "").Code)
}

func TestArchivedRepo(t *testing.T) {
	s := withFirst(t)
	s.Archive(rec)
	require.Equal(t, 423, s.ask("bot", "POST", "issues", `{"title":"t"}`).Code)
	require.Equal(t, 423, s.ask("bot", "POST", "issues/1/comments", `{"body":"b"}`).Code)
	require.Equal(t, 201, s.ask("bot", "PATCH", "issues/1", `{"state":"closed"}`).Code)
	require.Equal(t, true, s.ask("bot", "GET", "/repos/"+rec, "").one["archived"])
	s.Unarchive(rec)
	require.Equal(t, 201, s.ask("bot", "POST", "issues", `{"title":"t"}`).Code)
}

func TestIssuesDisabled(t *testing.T) {
	s := withFirst(t)
	s.DisableIssues(rec)
	require.Equal(t, 404, s.ask("bot", "GET", "issues?type=issues", "").Code)
	require.Equal(t, 404, s.ask("bot", "GET", "issues/1", "").Code)
	pulls := s.ask("bot", "GET", "issues", "")
	require.Equal(t, 200, pulls.Code)
	require.Empty(t, pulls.many)
	require.Equal(t, 403, s.ask("bot", "POST", "issues", `{"title":"t"}`).Code)
	require.Equal(t, 404, s.ask("bot", "POST", "issues/1/comments", `{"body":"b"}`).Code)
	require.Equal(t, false, s.ask("bot", "GET", "/repos/"+rec, "").one["has_issues"])
	s.EnableIssues(rec)
	require.Len(t, s.ask("bot", "GET", "issues", "").many, 1)
}

func TestScopes(t *testing.T) {
	s := withFirst(t)
	require.Equal(t, 401, s.ask("wrong", "GET", "/version", "").Code)
	require.Equal(t, 403, s.ask("write-issue", "GET", "/repos/terraphim/missing", "").Code)
	require.Equal(t, 403, s.ask("write-issue", "GET", "/users/root1", "").Code)
	require.Equal(t, 200, s.ask("write-issue", "GET", "issues", "").Code, "write implies read")
	require.Equal(t, 403, s.ask("read-only", "PATCH", "issues/1", `{"state":"closed"}`).Code)
	s.AddToken("adf-bot", "several", "read:user", "write:repository", "read:repository", "write:issue")
	require.Contains(t, s.ask("several", "GET", "/orgs/terraphim/labels", "").one["message"],
		"required=[read:organization], token scope=write:issue,write:repository,read:user")
	s.RevokeToken("bot")
	require.Equal(t, 401, s.ask("bot", "GET", "issues", "").Code)
	require.Panics(t, func() { s.AddToken("adf-bot", "x", "issue") })
}

func TestTokenPlaces(t *testing.T) {
	s := empty()
	for _, set := range []func(*http.Request){
		func(r *http.Request) { r.Header.Set("Authorization", "Bearer bot") },
		func(r *http.Request) { r.SetBasicAuth("adf-bot", "bot") },
		func(r *http.Request) { r.SetBasicAuth("bot", "x-oauth-basic") },
	} {
		r, w := httptest.NewRequest("GET", "/api/v1/user", nil), httptest.NewRecorder()
		set(r)
		s.ServeHTTP(w, r)
		require.Equal(t, 200, w.Code)
	}
}

func TestAnonymous(t *testing.T) {
	s := withFirst(t)
	require.Len(t, s.ask("", "GET", "issues", "").many, 1)
	require.Equal(t, 401, s.ask("", "POST", "issues", `{"title":"t"}`).Code)
	require.Equal(t, 401, s.ask("", "GET", "/user", "").Code)
	s.SetPrivate(rec, true)
	require.Equal(t, 404, s.ask("", "GET", "issues", "").Code)
	require.Equal(t, 404, s.ask("reader", "GET", "issues", "").Code)
	require.Equal(t, 200, s.ask("bot", "GET", "issues", "").Code)
	require.Equal(t, 200, s.ask("root", "GET", "issues", "").Code)
	require.Equal(t, 422, s.ask("bot", "POST", "issues", `{"title":"t","assignees":["reader"]}`).Code)
	s.SetPermission("terraphim", "rec", "reader", giteatest.Read)
	require.Equal(t, 200, s.ask("reader", "GET", "issues", "").Code)
}

func TestEditRights(t *testing.T) {
	s := withFirst(t)
	n := s.As("reader").Open(rec, "mine", "")
	mine := fmt.Sprintf("issues/%d", n)
	require.Equal(t, "closed", s.ask("reader", "PATCH", mine, `{"state":"closed"}`).one["state"])
	require.Equal(t, "open", s.ask("bot", "PATCH", mine, `{"state":"open","title":"ours"}`).one["state"])
	g := s.ask("reader", "PATCH", "issues/1", `{"state":"closed"}`)
	require.Equal(t, 403, g.Code)
	require.Empty(t, g.Body.String())
	require.Equal(t, 412, s.ask("bot", "PATCH", mine, `{"state":"shut"}`).Code)
	require.Equal(t, 403, s.ask("bot", "DELETE", mine, "").Code)
	require.Equal(t, 403, s.ask("reader", "PUT", mine+"/lock", "").Code)
	i, _ := s.Issue(rec, n)
	require.Equal(t, "ours", i.Title)
	require.Equal(t, "reader", i.Author)
}

func TestCloseTwice(t *testing.T) {
	s := withFirst(t)
	for range 2 {
		require.Equal(t, 201, s.ask("bot", "PATCH", "issues/1", `{"state":"closed"}`).Code)
	}
	i, _ := s.Issue(rec, 1)
	require.Equal(t, []string{"label", "label", "close"}, kinds(i))
}

func kinds(i giteatest.Issue) []string {
	var ks []string
	for _, e := range i.Timeline {
		ks = append(ks, e.Type)
	}
	return ks
}

func TestBlock(t *testing.T) {
	s := withTen(t)
	s.As("root1").Block(rec, 9, 10)
	g := s.ask("bot", "PATCH", "issues/9", `{"state":"closed"}`)
	require.Equal(t, 412, g.Code)
	require.Contains(t, g.one["message"], "open dependencies")
	s.As("root1").Close(rec, 10)
	require.Equal(t, 201, s.ask("bot", "PATCH", "issues/9", `{"state":"closed"}`).Code)
}

func TestLockedIssue(t *testing.T) {
	s := withFirst(t)
	require.Equal(t, 403, s.ask("bot", "PUT", "issues/1/lock", "").Code, "only administrators may lock")
	require.Equal(t, 204, s.ask("root", "PUT", "issues/1/lock", "").Code)
	require.Equal(t, 403, s.ask("reader", "POST", "issues/1/comments", `{"body":"b"}`).Code)
	require.Equal(t, 201, s.ask("bot", "POST", "issues/1/comments", `{"body":"b"}`).Code)
	require.Equal(t, 204, s.ask("root", "DELETE", "issues/1/lock", "").Code)
	require.Equal(t, 201, s.ask("reader", "POST", "issues/1/comments", `{"body":"b"}`).Code)
	s.As("root1").Lock(rec, 1)
	i, _ := s.Issue(rec, 1)
	require.True(t, i.Locked)
}

func TestEditComment(t *testing.T) {
	s := withFirst(t)
	id := s.As("reader").Comment(rec, 1, "/adf resume")
	path := fmt.Sprintf("issues/comments/%d", id)
	require.Equal(t, 200, s.ask("bot", "PATCH", path, `{"body":"/adf resume"}`).Code)
	i, _ := s.Issue(rec, 1)
	require.Equal(t, i.Comments[0].Created, i.Comments[0].Updated, "the same text is not an edit")
	g := s.ask("bot", "PATCH", path, `{"body":"no"}`)
	require.Equal(t, "reader", g.one["user"].(map[string]any)["login"])
	require.Greater(t, g.one["updated_at"], g.one["created_at"])
	require.Equal(t, "no", s.ask("", "GET", path, "").one["body"])
	mine := s.As("adf-bot").Comment(rec, 1, "b")
	require.Equal(t, 403, s.ask("reader", "PATCH", fmt.Sprintf("issues/comments/%d", mine), `{"body":"x"}`).Code)
	require.Equal(t, 404, s.ask("bot", "PATCH", "issues/comments/424242", `{"body":"x"}`).Code)
	s.As("root1").EditComment(rec, mine, "c")
	i, _ = s.Issue(rec, 1)
	require.Equal(t, "adf-bot", i.Comments[1].Author)
	require.True(t, i.Comments[1].Updated.After(i.Comments[1].Created))
	s.As("root1").EditCommentAtOnce(rec, mine, "d")
	i, _ = s.Issue(rec, 1)
	require.Equal(t, "d", i.Comments[1].Body)
	require.Equal(t, i.Comments[1].Created, i.Comments[1].Updated)
	require.Len(t, s.ask("", "GET", "issues/1/comments", "").many, 2)
}

func TestEditBody(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := giteatest.New(func() time.Time { return at })
	s.AddUser("ann", giteatest.UserOptions{})
	s.AddRepo("terraphim", "rec")
	n := s.As("ann").Open(rec, "t", "before")
	at = at.Add(time.Minute)
	s.As("ann").EditBody(rec, n, "after")
	s.As("ann").EditTitle(rec, n, "u")
	i, ok := s.Issue(rec, n)
	require.True(t, ok)
	require.Equal(t, "after", i.Body)
	require.Equal(t, "u", i.Title)
	require.Equal(t, at, i.Updated)
}

func TestDeleteIssue(t *testing.T) {
	s := withFirst(t)
	s.As("root1").Delete(rec, 1)
	for method, path := range map[string]string{"GET": "issues/1", "PATCH": "issues/1", "POST": "issues/1/comments"} {
		require.Equal(t, 404, s.ask("bot", method, path, `{"body":"x"}`).Code, method)
	}
	_, ok := s.Issue(rec, 1)
	require.False(t, ok)
	require.EqualValues(t, 2, s.As("root1").Open(rec, "t", ""))
}

func TestTimeline(t *testing.T) {
	s := withFirst(t)
	p := s.As("reader")
	p.SetLabels(rec, 1, "adf", "new")
	p.CloseByCommit(rec, 1, "abc", "fix <it>, closes #1\n\nlong")
	p.Reopen(rec, 1)
	p.Assign(rec, 1, "root1")
	i, _ := s.Issue(rec, 1)
	require.Equal(t, []string{"label", "label", "label", "label", "commit_ref", "close", "reopen", "assignees"}, kinds(i))
	require.Equal(t, []string{"adf", "new"}, i.Labels)
	require.Equal(t, "priority/high", i.Timeline[2].Label)
	require.Equal(t, "abc", i.Timeline[4].SHA)
	require.Equal(t, `<a href="/terraphim/rec/commit/abc">fix &lt;it&gt;, closes #1</a>`, i.Timeline[4].Body)
	require.Equal(t, "reader", i.Timeline[5].Author)
	require.Equal(t, []string{"adf", "priority/high", "new"}, s.Labels(rec))
	require.Len(t, s.ask("", "GET", "issues/1/timeline", "").many, 8)
	require.Len(t, s.ask("", "GET", "issues/1/timeline?page=2&limit=5", "").many, 3)
}

func TestCommitsAndPulls(t *testing.T) {
	s := withFirst(t)
	s.As("reader").MentionInCommit(rec, 1, "abc", "see #1")
	merge := s.As("reader").CloseInPull(rec, 1)
	i, _ := s.Issue(rec, 1)
	require.Equal(t, "open", i.State)
	merge(s.As("root1"))
	i, _ = s.Issue(rec, 1)
	require.Equal(t, "closed", i.State)
	require.Equal(t, []string{"commit_ref", "pull_ref", "close"}, kinds(i)[2:])
	require.Equal(t, "root1", i.Timeline[4].Author)
	pull := s.ask("", "GET", "issues/1/timeline", "").many[3]
	require.Equal(t, "closes", pull["ref_action"])
	require.Equal(t, true, pull["ref_issue"].(map[string]any)["pull_request"].(map[string]any)["merged"])
}

func TestLargeBody(t *testing.T) {
	s := withLabels(t)
	b, err := json.Marshal(map[string]string{"title": "t", "body": strings.Repeat("x", 5<<20)})
	require.NoError(t, err)
	require.Equal(t, 201, s.ask("bot", "POST", "issues", string(b)).Code)
	require.Greater(t, s.ask("bot", "GET", "issues", "").Body.Len(), 5<<20)
}

func TestTitle(t *testing.T) {
	s := empty()
	require.Equal(t, 422, s.ask("bot", "POST", "issues", `{"body":"b"}`).Code)
	require.Equal(t, 422, s.ask("bot", "POST", "issues", `{`).Code)
	require.Equal(t, 201, s.ask("bot", "POST", "issues", `{"title":" "}`).Code)
}

func TestMissingObjects(t *testing.T) {
	s := empty()
	for _, path := range []string{"issues/7", "issues/seven", "/repos/no/repo/issues", "/users/nobody", "/orgs/reader/labels"} {
		require.Equal(t, 404, s.ask("bot", "GET", path, "").Code, path)
	}
	require.Panics(t, func() { s.As("nobody") })
	require.Panics(t, func() { s.Archive("no/repo") })
}

func TestRoutes(t *testing.T) {
	s := withFirst(t)
	values := strings.NewReplacer(
		"/api/v1", "", "{owner}/{repo}", rec, "{index}", "1", "{id}", "1", "{username}", "root1", "{org}", "terraphim",
		"{run}", "1", "{workflow_id}", "agent.yaml")
	routes := giteatest.Routes()
	require.Len(t, routes, 33)
	require.Contains(t, routes, "GET /api/v1/repos/{owner}/{repo}/issues/{index}")
	for _, route := range routes {
		method, path, _ := strings.Cut(route, " ")
		path = values.Replace(path)
		require.NotContains(t, path, "{")
		require.NotEqual(t, 501, s.ask("bot", method, path, "{}").Code, route)
	}
	for _, other := range []string{"GET /milestones", "DELETE issues", "PATCH labels/1", "GET /", "POST issues/1/lock"} {
		method, path, _ := strings.Cut(other, " ")
		g := s.ask("bot", method, path, "{}")
		require.Equal(t, 501, g.Code, other)
		require.Contains(t, g.one["message"], "giteatest does not handle "+method)
	}
}

func TestIDs(t *testing.T) {
	s := withEight(t)
	seen := map[int64]bool{s.AddUser("reader", giteatest.UserOptions{}): true, s.adf: true, s.high: true}
	for _, i := range s.Issues(rec) {
		require.False(t, seen[i.ID])
		require.NotEqual(t, i.ID, i.Number)
		seen[i.ID] = true
		for _, e := range i.Timeline {
			require.False(t, seen[e.ID])
			seen[e.ID] = true
		}
	}
}
