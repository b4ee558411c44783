package gitea

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// answering is a client of a server that gives every request one answer.
func answering(t *testing.T, value any) *Client {
	b, err := json.Marshal(value)
	require.NoError(t, err)
	return New(Options{URL: recordedIssue.Repo.Server, Tokens: StaticToken("t"), Timeout: time.Second,
		Transport: transportFunc(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}, "X-Total-Count": {"1"}},
				Body: io.NopCloser(strings.NewReader(string(b))), Request: r}, nil
		})})
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// The address of an issue is printed, logged and linked. One that is no plain web address is replaced by what it should be.
func TestIssueURL(t *testing.T) {
	const usual = "http://127.0.0.1:3000/terraphim/rec/issues/11"
	for given, want := range map[string]string{
		"https://git.example.org/terraphim/rec/issues/11":    "https://git.example.org/terraphim/rec/issues/11",
		"http://10.0.0.1:3000/git/a%20b/rec/issues/11?x=y#z": "http://10.0.0.1:3000/git/a%20b/rec/issues/11?x=y#z",
		"": usual,
		"https://git.example.org/\x1b]0;owned\a\x1b[2J":               usual,
		"https://git.example.org/a\nFAIL everything is lost":          usual,
		"https://git.example.org/a b":                                 usual,
		"https://git.example.org/\u202eexe.gpj":                       usual,
		"https://git.example.org/\u200b":                              usual,
		"https://git.example.org/<script>":                            usual,
		"https://git.example.org/)[x](https://evil.example":           usual,
		"https://git.example.org/`x`":                                 usual,
		"javascript:alert(1)":                                         usual,
		"/terraphim/rec/issues/11":                                    usual,
		"https:///terraphim":                                          usual,
		"https://git.example.org@evil.example/terraphim/rec/issues/1": usual,
		"https://git.example.org/" + strings.Repeat("a", 1000):        usual,
	} {
		g := answering(t, map[string]any{"id": 5, "number": 11, "html_url": given, "state": "open"})
		i, err := g.Get(t.Context(), recordedIssue.Repo, 11)
		require.NoError(t, err)
		require.Equal(t, want, i.URL, "%q", given)
	}
}

// Nothing that a server sends reaches anybody with control characters, and no login looks like another one.
func TestHostileNames(t *testing.T) {
	ctx := context.Background()
	evil := func(s string) string { return s + "\x1b[2J\n\u202e" }
	user := map[string]any{"id": 7, "login": evil("kim"), "username": evil("kim")}
	plain := func(s string) {
		t.Helper()
		require.NotContains(t, s, "\x1b")
		require.NotContains(t, s, "\n")
		require.NotContains(t, s, "\u202e")
	}
	g := answering(t, map[string]any{"id": 5, "number": 11, "title": evil("title"), "user": user, "state": "open",
		"labels": []any{map[string]any{"id": 1, "name": evil("adf")}}, "assignees": []any{user}})
	i, err := g.Get(ctx, recordedIssue.Repo, 11)
	require.NoError(t, err)
	for _, s := range []string{i.Title, i.Author, i.Labels[0], i.Assignees[0].Login} {
		plain(s)
		require.NotEmpty(t, s)
	}
	require.NotEqual(t, "kim", i.Author)

	account, err := answering(t, user).Me(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 7, account.ID)
	plain(account.Login)
	require.NotEqual(t, "kim", account.Login)

	entries := answering(t, []any{map[string]any{"id": 1, "type": evil("close"), "user": user, "body": "<a>" + evil("fix") + "&#27;[2J</a>"}})
	timeline, err := entries.Timeline(ctx, recordedIssue)
	require.NoError(t, err)
	for _, s := range []string{timeline[0].Type, timeline[0].By.Login, timeline[0].Text} {
		plain(s)
	}
	require.NotEqual(t, "close", timeline[0].Type)
	require.NotEqual(t, "kim", timeline[0].By.Login)

	list, err := answering(t, []any{map[string]any{"id": 1, "user": user, "body": "b"}}).Comments(ctx, recordedIssue, time.Time{})
	require.NoError(t, err)
	plain(list[0].By.Login)

	names, err := answering(t, []any{map[string]any{"id": 1, "name": evil("adf")}}).LabelIssue(ctx, recordedIssue, []int64{1})
	require.NoError(t, err)
	plain(names[0])
	require.NotEqual(t, []string{"adf"}, names)
	ids, err := answering(t, []any{map[string]any{"id": 1, "name": evil("adf")}}).Labels(ctx, recordedIssue.Repo)
	require.NoError(t, err)
	require.NotContains(t, ids, "adf")
}

// A list of millions of empty objects would take some hundred times its length in memory.
func TestManyObjects(t *testing.T) {
	many := strings.Repeat("{},", 8<<20/3) + "{}"
	for name, body := range map[string]string{"issues": "[" + many + "]", "in an issue": `[{"title":"a\\\"b","labels":[` + many + "]}]"} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := answering(t, json.RawMessage(body)).List(t.Context(), recordedIssue.Repo, "", true)
			runtime.ReadMemStats(&after)
			require.ErrorContains(t, err, "more than 200000 objects")
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(300<<20))
		})
	}
	_, err := answering(t, []any{map[string]any{"id": 1, "body": strings.Repeat(`\"{{`, 1<<20)}}).Comments(t.Context(), recordedIssue, time.Time{})
	require.NoError(t, err, "text may hold what it likes")
}

// What stands in strings is no object, wherever the pieces of an answer end.
func TestObjectsAreCounted(t *testing.T) {
	const answer = `[{"a":"{ \" { \\","b":{}},{"c{":"\\\"{"}]`
	for size := 1; size <= len(answer); size++ {
		var b limitedBody
		for at := 0; at < len(answer); at += size {
			b.count([]byte(answer[at:min(at+size, len(answer))]))
		}
		require.Equal(t, 3, b.objects, "pieces of %d bytes", size)
	}
}
