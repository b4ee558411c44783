package web

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
	"github.com/terraphim/adfbot/pause"
)

const hookSecret = "s3cret" // of the recordings

// recordedEvent is a delivery as a real Gitea made it.
type recordedEvent struct {
	Headers map[string]string
	Secret  string
	RawBody string `json:"raw_body"`
}

func loadEvent(t testing.TB, name string) recordedEvent {
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "gitea-recordings", name))
	require.NoError(t, err)
	var e recordedEvent
	require.NoError(t, json.Unmarshal(b, &e))
	require.Equal(t, hookSecret, e.Secret)
	return e
}

func sign(body, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

// swept remembers which projects an event had swept.
type swept struct {
	mu       sync.Mutex
	projects []string
}

func (s *swept) sweep(_ context.Context, project string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.projects = append(s.projects, project)
}

func (s *swept) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.projects)
}

// hooked is a station that takes events, and knows the issue that the recordings are about as odilo's.
func hooked(t *testing.T, edits ...string) (*station, *swept) {
	t.Helper()
	s := newStation(t, append([]string{"http:\n", "operators: [alex]\nhttp:\n  webhook_secret_file: DIR/hook-secret\n"}, edits...)...)
	require.NoError(t, os.WriteFile(s.path("hook-secret"), []byte(hookSecret+"\n"), 0o600))
	st, err := sqlite.Open(t.Context(), s.path("state/adfbot.db"), sqlite.Options{})
	require.NoError(t, err)
	defer st.Close()
	require.NoError(t, st.AddAccount(t.Context(), stationGitea, tracker.Account{ID: 2, Login: "adf-bot"}))
	_, err = st.Insert(t.Context(), incident.Incident{ID: pause.NewRandomID(), Project: "odilo", Seq: 1, Opened: time.Now(), Issue: tracker.IssueRef{
		Repo: tracker.Repo{Server: stationGitea, Owner: "terraphim", Name: "rec"}, ID: 421, Number: 1}})
	require.NoError(t, err)
	w := &swept{}
	s.srv.hints.sweep = w.sweep
	return s, w
}

func (s *station) event(event, body, signature string, how ...asked) answered {
	s.Helper()
	return s.do("POST", "/webhooks/gitea", body, append([]asked{header("Content-Type", "application/json"),
		header("X-Gitea-Event", event), header("X-Gitea-Signature", signature)}, how...)...)
}

// settled waits until no hint is worked on.
func (s *station) settled() { s.srv.hints.idle.Wait() }

func TestRecordedEvents(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{
		"webhook-issue_comment-created-by-bot.json":  http.StatusNoContent,
		"webhook-issue_comment-created-command.json": http.StatusAccepted,
		"webhook-issues-closed-by-bot.json":          http.StatusNoContent,
		"webhook-issues-closed-by-person.json":       http.StatusAccepted,
		"webhook-issues-deleted.json":                http.StatusNoContent, // of another issue
		"webhook-issues-label_updated.json":          http.StatusNoContent, // by the bot
		"webhook-issues-opened.json":                 http.StatusNoContent, // by the bot
		"webhook-issues-reopened.json":               http.StatusAccepted,
	} {
		t.Run(name, func(t *testing.T) {
			s, w := hooked(t)
			e := loadEvent(t, name)
			var how []asked
			for k, v := range e.Headers {
				how = append(how, header(k, v))
			}
			a := s.do("POST", "/webhooks/gitea", e.RawBody, how...)
			require.Equal(t, want, a.StatusCode, a.body)
			s.settled()
			if want == http.StatusAccepted {
				require.Equal(t, []string{"odilo"}, w.all())
			} else {
				require.Empty(t, w.all())
			}
		})
	}
}

// Gitea's API does not show an edit within a comment's second; its event does.
func TestRecordedEditKeepsCommandFromRunning(t *testing.T) {
	t.Parallel()
	s, w := hooked(t)
	e := loadEvent(t, "webhook-issue_comment-edited.json")
	repo := tracker.Repo{Server: stationGitea, Owner: "terraphim", Name: "rec2"}
	st, err := sqlite.Open(t.Context(), s.path("state/adfbot.db"), sqlite.Options{})
	require.NoError(t, err)
	defer st.Close()
	i, err := st.Insert(t.Context(), incident.Incident{ID: pause.NewRandomID(), Project: "quiet", Seq: 1, Opened: time.Now(),
		Issue: tracker.IssueRef{Repo: repo, ID: 671, Number: 1}})
	require.NoError(t, err)

	written := time.Now().UTC().Truncate(time.Second).Add(-time.Hour) // an old one is worth no answer
	edited := strings.ReplaceAll(e.RawBody, "2026-11-28T08:55:21Z", written.Format(time.RFC3339))
	require.NotEqual(t, e.RawBody, edited)
	created := strings.Replace(edited, `"action": "edited"`, `"action": "created"`, 1)
	require.Equal(t, 202, s.event("issue_comment", created, sign(created, hookSecret)).StatusCode)
	pending, err := st.PendingCommands(t.Context(), stationGitea, "")
	require.NoError(t, err)
	require.Empty(t, pending, "a comment that is written is only a hint")

	for range 2 {
		require.Equal(t, 202, s.event("issue_comment", edited, sign(edited, hookSecret)).StatusCode)
	}
	s.settled()
	require.Contains(t, w.all(), "quiet")
	pending, err = st.PendingCommands(t.Context(), stationGitea, "")
	require.NoError(t, err)
	require.Equal(t, []incident.Command{{Comment: 2520, Issue: i.Issue, Incident: i.ID, Project: "quiet", By: tracker.Account{ID: 4, Login: "alice"},
		At: written, Refused: incident.RefusedEdited}}, pending)
}

// Gitea's API does not show that a commit closed an issue if the bot may not read its repository; the event names the commit.
func TestRecordedClosingByCommit(t *testing.T) {
	t.Parallel()
	s, _ := hooked(t)
	e := loadEvent(t, "webhook-issues-closed-by-person.json")
	st, err := sqlite.Open(t.Context(), s.path("state/adfbot.db"), sqlite.Options{})
	require.NoError(t, err)
	defer st.Close()
	for _, tt := range []struct{ commit, want string }{{"", "0001-01-01T00:00:00Z"}, {"6ca44e6327c8d3f6258aede1eb31d195589fe897", "2026-11-23T09:06:04Z"}} {
		body := strings.Replace(e.RawBody, `"commit_id": ""`, `"commit_id": "`+tt.commit+`"`, 1)
		require.Equal(t, 202, s.event("issues", body, sign(body, hookSecret)).StatusCode)
		s.settled()
		known, err := st.Unsettled(t.Context(), "odilo")
		require.NoError(t, err)
		require.Equal(t, tt.want, known[0].ClosedByCommit.Format(time.RFC3339))
	}
}

// An edit of the bot's own comment is nobody's command.
func TestEditOfTheBotsComment(t *testing.T) {
	t.Parallel()
	s, _ := hooked(t)
	st, err := sqlite.Open(t.Context(), s.path("state/adfbot.db"), sqlite.Options{})
	require.NoError(t, err)
	defer st.Close()
	for name, by := range map[string]tracker.Account{"the bot": {ID: 2, Login: "adf-bot"}, "alex": {ID: 3, Login: "alex"}} {
		project, err := s.bot.AcceptEvent(t.Context(), bot.IssueEvent{Owner: "terraphim", Repo: "rec", Number: 1, Edited: true,
			Comment: tracker.Comment{ID: by.ID, Number: 1, By: by, Body: "/adf resume", Created: time.Now()}})
		require.NoError(t, err)
		require.Equal(t, "odilo", project)
		pending, err := st.PendingCommands(t.Context(), stationGitea, "")
		require.NoError(t, err)
		if name == "alex" {
			require.Len(t, pending, 1)
		}
		require.False(t, slices.ContainsFunc(pending, func(c incident.Command) bool { return c.By.ID == 2 }))
	}
}

// An account that the bot has left may be an operator's: what it does is an event like others.
func TestEventOfFormerAccount(t *testing.T) {
	t.Parallel()
	s, _ := hooked(t)
	st, err := sqlite.Open(t.Context(), s.path("state/adfbot.db"), sqlite.Options{})
	require.NoError(t, err)
	defer st.Close()
	require.NoError(t, st.AddAccount(t.Context(), stationGitea, tracker.Account{ID: 9, Login: "new-bot"}))
	was := tracker.Account{ID: 2, Login: "adf-bot"}
	project, err := s.bot.AcceptEvent(t.Context(), bot.IssueEvent{Owner: "terraphim", Repo: "rec", Number: 1, Sender: was, Edited: true,
		Comment: tracker.Comment{ID: 5, Number: 1, By: was, Body: "/adf resume", Created: time.Now()}})
	require.NoError(t, err)
	require.Equal(t, "odilo", project)
	pending, err := st.PendingCommands(t.Context(), stationGitea, "")
	require.NoError(t, err)
	require.Len(t, pending, 1)
}

func TestRefusedEvents(t *testing.T) {
	t.Parallel()
	e := loadEvent(t, "webhook-issues-closed-by-person.json")
	right := e.Headers["X-Gitea-Signature"]
	large := `{"x":"` + strings.Repeat("x", 1<<20) + `"}`
	for name, tt := range map[string]struct {
		body, signature string
		how             []asked
		want            int
		says            string
	}{
		"a wrong signature":        {e.RawBody, strings.Repeat("0", 64), nil, 403, "http.webhook_secret_file; where systemd provides the file, restart the bot after the secret was replaced"},
		"another secret":           {e.RawBody, sign(e.RawBody, "other"), nil, 403, "Wrong signature"},
		"no signature":             {e.RawBody, "", nil, 403, "Wrong signature"},
		"no hexadecimal signature": {e.RawBody, "sha256=" + right, nil, 403, "Wrong signature"},
		"half a signature":         {e.RawBody, right[:32], nil, 403, "Wrong signature"},
		"two signatures":           {e.RawBody, right, []asked{func(r *http.Request) { r.Header.Add("X-Gitea-Signature", right) }}, 403, "Wrong signature"},
		"a truncated body":         {e.RawBody[:len(e.RawBody)/2], right, nil, 403, "Wrong signature"},
		"a truncated, signed body": {e.RawBody[:len(e.RawBody)/2], sign(e.RawBody[:len(e.RawBody)/2], hookSecret), nil, 400, "no event of Gitea's"},
		"one byte more":            {e.RawBody + " ", right, nil, 403, "Wrong signature"},
		"too large":                {large, sign(large, hookSecret), nil, 413, "at most 1 MiB"},
		"a form":                   {"payload=%7B%7D", right, []asked{header("Content-Type", "application/x-www-form-urlencoded")}, 415, "application/json in Gitea"},
		"no JSON":                  {"hello", sign("hello", hookSecret), nil, 400, "no event of Gitea's"},
		"nothing":                  {"", sign("", hookSecret), nil, 400, "no event of Gitea's"},
	} {
		t.Run(name, func(t *testing.T) {
			s, w := hooked(t)
			a := s.event("issues", tt.body, tt.signature, tt.how...)
			require.Equal(t, tt.want, a.StatusCode, a.body)
			require.Contains(t, a.body, tt.says)
			require.Equal(t, "application/problem+json", a.Header.Get("Content-Type"))
			require.NotContains(t, a.body, hookSecret)
			s.settled()
			require.Empty(t, w.all())
		})
	}
}

func TestOtherEvents(t *testing.T) {
	t.Parallel()
	s, w := hooked(t)
	e := loadEvent(t, "webhook-issues-closed-by-person.json")
	require.Equal(t, 204, s.event("push", e.RawBody, e.Headers["X-Gitea-Signature"]).StatusCode)
	require.Equal(t, 204, s.event("", e.RawBody, e.Headers["X-Gitea-Signature"]).StatusCode)
	require.Equal(t, 403, s.event("push", e.RawBody, "00").StatusCode, "the signature comes first")
	require.Equal(t, 405, s.do("GET", "/webhooks/gitea", "").StatusCode)
	s.settled()
	require.Empty(t, w.all())
}

func TestSlowEvents(t *testing.T) {
	t.Parallel()
	s, w := hooked(t)
	e := loadEvent(t, "webhook-issues-closed-by-person.json")
	post := func() int { return s.event("issues", e.RawBody, e.Headers["X-Gitea-Signature"]).StatusCode }
	var slow []*net.TCPConn
	for range maxRequests {
		c, err := net.Dial("tcp", s.http.Listener.Addr().String())
		require.NoError(t, err)
		defer func() { _ = c.Close() }()
		_, err = c.Write([]byte("POST /webhooks/gitea HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n" +
			"Expect: 100-continue\r\n\r\n"))
		require.NoError(t, err)
		answer, err := bufio.NewReader(c).ReadString('\n')
		require.NoError(t, err)
		require.Contains(t, answer, "100 Continue", "the body is being read")
		slow = append(slow, c.(*net.TCPConn))
	}
	require.Equal(t, 202, post(), "slow senders block nobody")
	require.Equal(t, 200, s.get("/api/v1/projects/quiet/gate").StatusCode)
	require.Equal(t, 200, s.get("/metrics").StatusCode)
	require.Equal(t, 1, s.fail().Failures)
	for _, c := range slow {
		require.NoError(t, c.CloseWrite())
		_, err := io.Copy(io.Discard, c)
		require.NoError(t, err, "the request has ended")
	}
	require.Equal(t, 202, post())
	s.settled()
	require.Contains(t, w.all(), "odilo")
}

func TestNoWebhookSecret(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	e := loadEvent(t, "webhook-issues-closed-by-person.json")
	a := s.event("issues", e.RawBody, sign(e.RawBody, ""))
	require.Equal(t, 404, a.StatusCode)
	require.Contains(t, a.body, "set http.webhook_secret_file")
}

func TestUnreadableWebhookSecret(t *testing.T) {
	t.Parallel()
	s, w := hooked(t)
	e := loadEvent(t, "webhook-issues-closed-by-person.json")
	require.NoError(t, os.Remove(s.path("hook-secret")))
	a := s.event("issues", e.RawBody, e.Headers["X-Gitea-Signature"])
	require.Equal(t, 503, a.StatusCode)
	require.NotContains(t, a.body, s.dir)
	require.Equal(t, 503, s.event("issues", e.RawBody, sign(e.RawBody, "")).StatusCode)
	require.NoError(t, os.WriteFile(s.path("hook-secret"), []byte("next\n"), 0o600))
	require.Equal(t, 403, s.event("issues", e.RawBody, e.Headers["X-Gitea-Signature"]).StatusCode)
	require.Equal(t, 202, s.event("issues", e.RawBody, sign(e.RawBody, "next")).StatusCode)
	s.settled()
	require.Equal(t, []string{"odilo"}, w.all())
}

func TestReplacedSecretIsMasked(t *testing.T) {
	t.Parallel()
	s, _ := hooked(t)
	e := loadEvent(t, "webhook-issues-closed-by-person.json")
	require.Equal(t, 202, s.event("issues", e.RawBody, sign(e.RawBody, hookSecret)).StatusCode)
	require.NoError(t, os.WriteFile(s.path("hook-secret"), []byte("replaced-secret\n"), 0o600))
	require.Equal(t, 202, s.event("issues", e.RawBody, sign(e.RawBody, "replaced-secret")).StatusCode)
	require.Equal(t, "[masked] [masked]", s.bot.Redactor().Redact(hookSecret+" replaced-secret"))
}

func TestRepeatedEvents(t *testing.T) {
	t.Parallel()
	s, _ := hooked(t)
	begun, goOn := make(chan struct{}, 10), make(chan struct{})
	n := 0
	s.srv.hints.sweep = func(context.Context, string) {
		n++
		begun <- struct{}{}
		<-goOn
	}
	e := loadEvent(t, "webhook-issues-closed-by-person.json")
	post := func() int { return s.event("issues", e.RawBody, e.Headers["X-Gitea-Signature"]).StatusCode }
	require.Equal(t, 202, post())
	<-begun
	for range 20 {
		require.Equal(t, 202, post(), "answered while the sweep is going on")
	}
	close(goOn)
	s.settled()
	require.Equal(t, 2, n, "the one that was going on may have read too early; one more serves all the others")
}

func TestHints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHints(func(ctx context.Context, _ string) { <-ctx.Done() })
		require.True(t, h.add("first"))
		synctest.Wait()
		for n := range maxHints {
			require.True(t, h.add(fmt.Sprint(n)))
		}
		require.False(t, h.add("one more"))
		require.True(t, h.add("7"), "this one stands there already")
		begun := time.Now()
		h.end()
		h.idle.Wait()
		require.Zero(t, time.Since(begun), "a sweep is told to end at once, as the one by the schedule is")
		require.False(t, h.add("late"))
	})
}

func TestPanicInHintedSweep(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	s.srv.current.bot = nil // what it is called on is not there
	s.srv.sweepHinted(t.Context(), "odilo")
	require.Contains(t, s.log.String(), "a sweep by a webhook panicked")
	s.srv.current.bot = s.bot
}

// delivered makes the event that Gitea would send about an issue of the fake's.
func (s *station) delivered(event, action, sender string, number int64) answered {
	s.Helper()
	i, ok := s.gitea.Issue("terraphim/adf-fleet", number)
	require.True(s, ok)
	id := s.gitea.AddUser(sender, giteatest.UserOptions{})
	body, err := json.Marshal(map[string]any{
		"action":     action,
		"issue":      map[string]any{"number": i.Number, "body": i.Body, "user": map[string]any{"id": i.AuthorID, "login": i.Author}},
		"repository": map[string]any{"name": "adf-fleet", "owner": map[string]any{"login": "terraphim"}},
		"sender":     map[string]any{"id": id, "login": sender},
	})
	require.NoError(s, err)
	return s.event(event, string(body), sign(string(body), hookSecret))
}

func TestEventRunsCommand(t *testing.T) {
	t.Parallel()
	s := newStation(t, "http:\n", "operators: [alex]\non_issue_closed: resume\nhttp:\n  webhook_secret_file: DIR/hook-secret\n")
	require.NoError(t, os.WriteFile(s.path("hook-secret"), []byte(hookSecret), 0o600))
	s.gitea.AddUser("alex", giteatest.UserOptions{})
	s.gitea.SetPermission("terraphim", "adf-fleet", "alex", giteatest.Write)
	trip := func() int64 {
		r, err := s.bot.Record(t.Context(), store.Result{Project: "digital-twins", Agent: "project-meta", Outcome: store.Failure, ExitCode: 1})
		require.NoError(t, err)
		require.True(t, r.Tripped)
		return r.Incident.Issue.Number
	}
	paused := func() bool {
		f, err := pause.New(s.cfg.PauseDir).Look("digital-twins")
		require.NoError(t, err)
		return f.Present
	}

	n := trip()
	s.gitea.As("alex").Comment("terraphim/adf-fleet", n, "/adf status")
	require.Equal(t, 202, s.delivered("issue_comment", "created", "alex", n).StatusCode)
	s.settled()
	i, _ := s.gitea.Issue("terraphim/adf-fleet", n)
	require.Len(t, i.Comments, 2)
	require.Contains(t, i.Comments[1].Body, "`digital-twins` has been paused since ")
	require.Contains(t, i.Comments[1].Body, "- Failures in a row: 1; it trips at 1")
	require.Contains(t, i.Comments[1].Body, "Last runs, the newest first: ✘")

	require.Equal(t, 204, s.delivered("issue_comment", "created", "adfbot", n).StatusCode, "its own answer comes back as an event")

	s.gitea.As("alex").Comment("terraphim/adf-fleet", n, "/adf resume disk")
	for range 3 { // repeated
		require.Equal(t, 202, s.delivered("issue_comment", "created", "alex", n).StatusCode)
	}
	s.settled()
	require.False(t, paused())
	i, _ = s.gitea.Issue("terraphim/adf-fleet", n)
	require.Equal(t, "closed", i.State)
	require.Len(t, i.Comments, 4)

	n = trip()
	s.gitea.As("alex").Close("terraphim/adf-fleet", n)
	require.Equal(t, 202, s.delivered("issues", "closed", "alex", n).StatusCode)
	s.settled()
	require.False(t, paused())

	n = trip() // forged and replayed events say what is not so
	require.Equal(t, 202, s.delivered("issues", "closed", "alex", n).StatusCode)
	require.Equal(t, 202, s.delivered("issue_comment", "created", "alex", n).StatusCode)
	s.settled()
	require.True(t, paused())
}

func TestForgedMarker(t *testing.T) {
	t.Parallel()
	s, _ := hooked(t)
	status, err := s.bot.Status(t.Context(), "")
	require.NoError(t, err)
	m := tracker.Marker{Installation: status.Installation, Project: "odilo", Incident: strings.Repeat("a", 32), Seq: 9}
	for name, tt := range map[string]struct {
		hint bot.IssueEvent
		want string
	}{
		"ours":                       {bot.IssueEvent{Author: tracker.Account{ID: 2}, Body: m.String()}, "odilo"},
		"by somebody else":           {bot.IssueEvent{Author: tracker.Account{ID: 3}, Body: m.String()}, ""},
		"of another installation":    {bot.IssueEvent{Author: tracker.Account{ID: 2}, Body: strings.Replace(m.String(), m.Installation, strings.Repeat("b", 32), 1)}, ""},
		"of an unknown project":      {bot.IssueEvent{Author: tracker.Account{ID: 2}, Body: strings.Replace(m.String(), "odilo", "nobody", 1)}, ""},
		"no marker, known issue":     {bot.IssueEvent{Owner: "Terraphim", Repo: "REC", Number: 1}, "odilo"},
		"no marker, unknown issue":   {bot.IssueEvent{Owner: "terraphim", Repo: "rec", Number: 2}, ""},
		"the bot itself, by its id":  {bot.IssueEvent{Sender: tracker.Account{ID: 2}, Author: tracker.Account{ID: 2}, Body: m.String()}, ""},
		"nothing that is an issue":   {bot.IssueEvent{Owner: "terraphim", Repo: "rec"}, ""},
		"another login, known issue": {bot.IssueEvent{Sender: tracker.Account{ID: 7, Login: "adf-bot"}, Owner: "terraphim", Repo: "rec", Number: 1}, "odilo"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := s.bot.AcceptEvent(t.Context(), tt.hint)
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
}

func FuzzWebhook(f *testing.F) {
	for _, name := range []string{"webhook-issues-closed-by-person.json", "webhook-issue_comment-created-command.json", "webhook-issues-deleted.json"} {
		f.Add([]byte(loadEvent(f, name).RawBody), "issues", "00")
	}
	f.Add([]byte(`{"issue":{"number":-1,"body":"<!-- adfbot:v1 installation=x -->"}}`), "issue_comment", "")
	f.Fuzz(func(t *testing.T, body []byte, event, signature string) {
		if signed(body, hookSecret, signature) {
			require.True(t, strings.EqualFold(sign(string(body), hookSecret), signature))
		}
		require.True(t, signed(body, hookSecret, sign(string(body), hookSecret)))
		require.False(t, signed(append(slices.Clone(body), 'x'), hookSecret, sign(string(body), hookSecret)))
		hint, err := parseEvent(body)
		if err != nil {
			var no *problem
			require.ErrorAs(t, err, &no)
			require.Equal(t, http.StatusBadRequest, no.Status)
			return
		}
		if m, ok := tracker.ParseMarker(hint.Body); ok {
			require.NoError(t, pause.CheckID(m.Project), "a project's id is safe before anything looks at a file")
		}
	})
}

// An event that a run of a project's workflow has ended has that project swept. The recorded runs are those of agent.yaml in terraphim/rec2.
func TestRecordedWorkflowEvents(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, workflow string
		code           int
	}{
		{"completed", "agent.yaml", http.StatusAccepted},
		{"requested", "agent.yaml", http.StatusNoContent},
		{"completed", "other.yaml", http.StatusNoContent},
	} {
		s, w := hooked(t, "  - id: quiet\n", "  - id: quiet\n    actions: {repo: terraphim/rec2, workflow: "+c.workflow+"}\n")
		e := loadEvent(t, "webhook-workflow_run-"+c.name+".json")
		var how []asked
		for k, v := range e.Headers {
			how = append(how, header(k, v))
		}
		a := s.do("POST", "/webhooks/gitea", e.RawBody, how...)
		require.Equal(t, c.code, a.StatusCode, a.body)
		s.settled()
		if c.code == http.StatusAccepted {
			require.Equal(t, []string{"quiet"}, w.all())
		} else {
			require.Empty(t, w.all())
		}
		require.Equal(t, http.StatusForbidden, s.event("workflow_run", e.RawBody, "00").StatusCode)
		require.Equal(t, http.StatusBadRequest, s.event("workflow_run", "[]", sign("[]", hookSecret)).StatusCode)
	}
}
