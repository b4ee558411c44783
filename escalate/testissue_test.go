package escalate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/gitea"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/testworld"
)

// testIssue runs a test of the tracker and returns its parts, those that failed with an exclamation mark, and their errors.
func (m *machine) testIssue(ctx context.Context) (parts []string, failures []string) {
	m.Helper()
	target := m.rec.Options().Target(project)
	err := m.rec.TestIssue(ctx, target, "adfbot test-issue", func(r escalate.TestResult) {
		if r.Err != nil {
			r.Part += "!"
			failures = append(failures, r.Err.Error())
		}
		parts = append(parts, r.Part)
	})
	require.Equal(m, len(failures) > 0, err != nil)
	return parts, failures
}

func TestTestIssue(t *testing.T) {
	playNew(t, func(w *world) {
		parts, failures := w.testIssue(w.Context())
		require.Empty(w, failures)
		require.Equal(w, []string{"open", "label", "comment", "close", "list"}, parts)
		i := w.issue()
		require.Equal(w, "closed", i.State)
		require.Equal(w, issuetext.TrialTitle, i.Title)
		require.ElementsMatch(w, []string{"adf", "circuit-breaker", "priority/high"}, i.Labels)
		require.Len(w, i.Comments, 1)
		require.Contains(w, i.Body, "Nothing has failed")

		// The labels are there now, and another test makes none.
		w.Gitea.ResetRequests()
		_, failures = w.testIssue(w.Context())
		require.Empty(w, failures)
		require.Len(w, w.Gitea.Requests(), 5)
		require.Len(w, w.issues(fleet), 2)
	})
}

// A label that was deleted since the state learned its id is made again.
func TestTestIssueWithDeletedLabel(t *testing.T) {
	play(t, func(w *world) {
		ids, err := w.store.Labels(w.Context(), repoOf(fleet))
		require.NoError(w, err)
		ids["adf"] = 4711
		require.NoError(w, w.store.SetLabels(w.Context(), repoOf(fleet), ids))
		_, failures := w.testIssue(w.Context())
		require.Empty(w, failures)
		require.Contains(w, w.issue().Labels, "adf")
	})
}

// A server that says yes and labels nothing is found out.
func TestTestIssueLabelsDropped(t *testing.T) {
	play(t, func(w *world) {
		labels := func(r *http.Request) bool {
			return r.Method == "POST" && strings.HasSuffix(r.URL.Path, "/issues/1/labels")
		}
		defer w.Gitea.Inject(giteatest.Fault{Match: labels, Do: giteatest.Status(200, `[]`)})()
		parts, failures := w.testIssue(w.Context())
		require.Equal(w, []string{"open", "label!", "comment", "close", "list"}, parts)
		require.Contains(w, failures[0], "terraphim/adf-fleet#1 has none named adf, circuit-breaker, priority/high: give the token's account write access")
	})
}

// killed is a client whose process ends before a request.
type killed struct {
	tracker.Client
	before string
}

func (k killed) LabelIssue(ctx context.Context, ref tracker.IssueRef, ids []int64) ([]string, error) {
	if k.before == "label" {
		panic("killed")
	}
	return k.Client.LabelIssue(ctx, ref, ids)
}

func (k killed) SetOpen(ctx context.Context, ref tracker.IssueRef, open bool) (tracker.Issue, error) {
	if k.before == "close" {
		panic("killed")
	}
	return k.Client.SetOpen(ctx, ref, open)
}

// An issue that an interrupted test has left is closed by the next one, and is nobody's incident until then, even for a bot that has lost
// its state. Those of other people and of other installations stay.
func TestTestIssueLeftOpen(t *testing.T) {
	for _, before := range []string{"label", "close"} {
		t.Run(before, func(t *testing.T) {
			play(t, func(w *world) {
				w.rec.Options().Tracker = killed{w.rec.Options().Tracker, before}
				require.Panics(w, func() { w.testIssue(w.Context()) })
				left := w.issue()
				require.Equal(w, "open", left.State)
				other := strings.ReplaceAll(left.Body, w.store.Installation(), strings.Repeat("ab", 16))
				require.NotEqual(w, left.Body, other)
				w.Gitea.As(testworld.Bot).Open(fleet, left.Title, other)
				w.Gitea.As(testworld.Alex).Open(fleet, left.Title, left.Body)

				lost := w.withoutState()
				for range 2 {
					require.NoError(w, lost.force())
					require.Equal(w, left, w.issues(fleet)[0], "a sweep does not touch it")
					states, err := lost.store.ProjectStates(w.Context())
					require.NoError(w, err)
					require.Empty(w, states, "it is no incident")
				}
				parts, failures := lost.testIssue(w.Context())
				require.Empty(w, failures)
				require.Equal(w, []string{"open", "label", "comment", "close", "list", "close"}, parts)
				var states []string
				for _, i := range w.Gitea.Issues(fleet) {
					states = append(states, i.State)
				}
				require.Equal(w, []string{"closed", "open", "open", "closed"}, states)
			})
		})
	}
}

// Who interrupts a test is left with no open issue.
func TestTestIssueInterrupted(t *testing.T) {
	play(t, func(w *world) {
		ctx, cancel := context.WithCancel(w.Context())
		defer w.Gitea.Inject(giteatest.Fault{Match: giteatest.CommentIssue(), Do: giteatest.Afterwards(cancel)})()
		w.testIssue(ctx)
		require.Error(w, ctx.Err())
		require.Equal(w, "closed", w.issue().State)
	})
}

// The answer to the creation is lost: the next test closes the issue.
func TestTestIssueLostAnswer(t *testing.T) {
	play(t, func(w *world) {
		end := w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Do: giteatest.LostAnswer()})
		parts, failures := w.testIssue(w.Context())
		end()
		require.Equal(w, []string{"open!"}, parts)
		require.Contains(w, failures[0], "the next test closes it")
		require.Equal(w, "open", w.issue().State)
		_, failures = w.testIssue(w.Context())
		require.Empty(w, failures)
		for _, i := range w.issues(fleet) {
			require.Equal(w, "closed", i.State)
		}
	})
}

// refusals are the recorded answers of a real Gitea that are none of success.
func refusals(t *testing.T) map[string]giteatest.Effect {
	t.Helper()
	files, err := filepath.Glob("../testdata/gitea-recordings/*.json")
	require.NoError(t, err)
	all := map[string]giteatest.Effect{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		var r struct {
			Response struct {
				Status  int
				Headers map[string]string
				Body    json.RawMessage
			}
		}
		require.NoError(t, json.Unmarshal(data, &r), file)
		if r.Response.Status < 300 {
			continue
		}
		var header []string
		for name, value := range r.Response.Headers {
			header = append(header, name, value)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".json")] = giteatest.Status(r.Response.Status, string(r.Response.Body), header...)
	}
	require.Greater(t, len(all), 20)
	return all
}

// Whatever Gitea refuses, in each part: the failure says what failed and what to do, the parts after it are done, and the next test leaves
// nothing open.
func TestTestIssueRefusals(t *testing.T) {
	at := func(method, path string) func(*http.Request) bool {
		re := regexp.MustCompile(path + "$")
		return func(r *http.Request) bool { return r.Method == method && re.MatchString(r.URL.Path) }
	}
	parts := map[string]struct {
		match func(*http.Request) bool
		want  []string
	}{
		"open":         {giteatest.CreateIssue(), []string{"open!"}},
		"read labels":  {at("GET", "/adf-fleet/labels"), []string{"open", "label!", "comment", "close", "list"}},
		"create label": {giteatest.CreateLabel(), []string{"open", "label!", "comment", "close", "list"}},
		"label":        {at("POST", `/issues/\d+/labels`), []string{"open", "label!", "comment", "close", "list"}},
		"comment":      {giteatest.CommentIssue(), []string{"open", "label", "comment!", "close", "list"}},
		"close":        {giteatest.CloseIssue(), []string{"open", "label", "comment", "close!", "list"}},
		"list":         {giteatest.ListIssues(), []string{"open", "label", "comment", "close", "list!"}},
	}
	playNew(t, func(w *world) {
		for name, refusal := range refusals(t) {
			for part, c := range parts {
				what := fmt.Sprintf("%s at %s", name, part)
				require.NoError(w, w.rec.ForgetLabels(w.Context(), repoOf(fleet)))
				if part == "create label" {
					ids, err := w.rec.Options().Tracker.Labels(w.Context(), repoOf(fleet))
					require.NoError(w, err)
					for _, id := range ids {
						require.NoError(w, w.rec.Options().Tracker.DeleteLabel(w.Context(), repoOf(fleet), id))
					}
				}
				end := w.Gitea.Inject(giteatest.Fault{Match: c.match, Do: refusal})
				got, failures := w.testIssue(w.Context())
				end()
				require.Equal(w, c.want, got, what)
				require.Len(w, failures, 1, what)
				require.Regexp(w, `: status \d+( \(.*\))?: \S.{20,}`, failures[0], "%s: no advice", what)
				require.NotContains(w, failures[0], "retried automatically", what)
				require.NotContains(w, failures[0], testworld.Token[:6])
				got, failures = w.testIssue(w.Context())
				require.Empty(w, failures, what)
				if part == "close" {
					require.Equal(w, []string{"open", "label", "comment", "close", "list", "close"}, got, what)
				}
			}
		}
		for _, i := range w.issues(fleet) {
			require.Equal(w, "closed", i.State)
		}
	})
}

// A token that cannot be read makes no request.
func TestTestIssueWithoutAccess(t *testing.T) {
	play(t, func(w *world) {
		w.rec.SetTrackerError(fmt.Errorf("token: %w", os.ErrPermission))
		parts, failures := w.testIssue(w.Context())
		require.Equal(w, []string{"open!"}, parts)
		require.Contains(w, failures[0], "permission denied")
		require.Empty(w, w.Gitea.Requests())
	})
}

// Whoever tests may wait for Gitea in vain: nobody tests again for them.
func TestAdviceOfTestGoesOnByItself(t *testing.T) {
	g := gitea.New(gitea.Options{URL: "http://127.0.0.1:1", Tokens: gitea.StaticToken("t"), Timeout: 5 * time.Second})
	_, err := g.Version(t.Context())
	require.ErrorContains(t, err, "adfbot goes on by itself when Gitea is back")
	require.ErrorContains(t, escalate.AdviseTest(err), "correct gitea.url if it is wrong; else test again when Gitea is back")
}

// What the fake does, a real Gitea does.
func TestContractTestIssue(t *testing.T) {
	contract(t, func(s *side) {
		body := issuetext.TrialBody(strings.Repeat("0123456789abcdef", 2), "contract test", "adfbot test-issue")
		i := s.open(tracker.NewIssue{Title: issuetext.TrialTitle, Body: body})
		require.Equal(s, strings.Repeat("0123456789abcdef", 2), i.Test)
		require.True(s, i.Marker.IsZero())
		got, err := s.gitea.Get(s.Context(), s.repo, i.Number)
		require.NoError(s, err)
		require.Equal(s, i.Test, got.Test)
	})
}
