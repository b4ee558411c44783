package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/store/sqlite"
	"github.com/terraphim/adfbot/internal/web"
)

// oldData holds a state, a spool, a pause directory and the contents of a Gitea, as adfbot wrote them in November 2026.
// testdata/old/golden.txtar holds what the program of that time printed when it was given this data. Neither is ever
// written again: they stand for the installations that are to be upgraded, and for the scripts that read what is printed.
const (
	oldData   = "../../internal/store/testdata/old"
	oldGolden = "testdata/old/golden.txtar"
	oldServer = "http://git.example.org"
	oldBot    = "adf-bot"
	oldToken  = "not-a-token"
)

// oldEvent is something that happened in the old Gitea.
type oldEvent struct {
	ID     int64     `json:"id"`
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"` // user, label, issue, comment or close
	By     string    `json:"by"`
	Repo   string    `json:"repo"`
	Number int64     `json:"number"`
	Title  string    `json:"title"`
	Text   string    `json:"text"`
}

// oldEvents returns what happened, and the time at which the data was left.
func oldEvents(t *testing.T) (events []oldEvent, now time.Time) {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join(oldData, "gitea.json"))
	require.NoError(t, err)
	var all struct {
		Now    time.Time  `json:"now"`
		Events []oldEvent `json:"events"`
	}
	require.NoError(t, json.Unmarshal(doc, &all))
	return all.Events, all.Now
}

// oldWorld is an installation with the old data, and its Gitea.
type oldWorld struct {
	t     *testing.T
	dir   string
	now   time.Time
	gitea *giteatest.Server
}

func newOldWorld(t *testing.T) *oldWorld {
	t.Helper()
	w := &oldWorld{t: t, dir: t.TempDir()}
	w.gitea = giteatest.New(func() time.Time { return w.now })
	server := httptest.NewServer(w.gitea)
	t.Cleanup(func() { server.Close(); w.gitea.Close() })
	w.gitea.SetBaseURL(server.URL)
	w.replay()

	require.NoError(t, os.CopyFS(w.path("pause"), os.DirFS(filepath.Join(oldData, "pause"))))
	flags, err := os.ReadDir(w.path("pause"))
	require.NoError(t, err)
	for _, flag := range flags {
		require.NoError(t, os.Chtimes(w.path("pause/"+flag.Name()), w.now, w.now)) // git keeps no times
	}
	require.NoError(t, os.CopyFS(w.path("state/adfbot.db.d/spool"), os.DirFS(filepath.Join(oldData, "spool"))))
	copyFile := func(from, to string, change ...string) {
		b, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(w.path(to), []byte(strings.NewReplacer(change...).Replace(string(b))), 0o600))
	}
	copyFile(filepath.Join(oldData, "adfbot.db"), "state/adfbot.db")
	copyFile("testdata/old/config.yaml", "config.yaml", "$DIR", w.dir, "$URL", server.URL)
	require.NoError(t, os.WriteFile(w.path("token"), []byte(oldToken+"\n"), 0o600))

	// The same Gitea and pause directory are somewhere else now.
	s, err := sqlite.Open(t.Context(), w.path("state/adfbot.db"), sqlite.Options{})
	require.NoError(t, err)
	require.NoError(t, s.MoveServer(t.Context(), oldServer, server.URL))
	require.NoError(t, s.SetMeta(t.Context(), "gitea_url", server.URL))
	require.NoError(t, s.SetMeta(t.Context(), "pause_dir", w.path("pause")))
	killed, err := s.Running(t.Context())
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(w.path("state/adfbot.db.d/runs"), 0o700))
	for _, r := range killed { // its file was left behind with it
		require.NoError(t, os.WriteFile(w.path("state/adfbot.db.d/runs/"+r.ID+".lock"), nil, 0o600))
	}
	require.NoError(t, s.Close())
	return w
}

func (w *oldWorld) path(name string) string { return filepath.Join(w.dir, name) }

// replay lets everything happen in Gitea again. Ids are given away in order, so everything gets the one that it had.
func (w *oldWorld) replay() {
	w.t.Helper()
	events, now := oldEvents(w.t)
	var last int64
	skip := func() { last = w.gitea.AddUser(fmt.Sprint("nobody-", last), giteatest.UserOptions{}) }
	numbers := map[string]int64{}
	for _, e := range events {
		w.now = e.At
		if _, made := numbers[e.Repo]; !made && e.Repo != "" {
			owner, name, _ := strings.Cut(e.Repo, "/")
			w.gitea.AddRepo(owner, name)
			w.gitea.SetPermission(owner, name, oldBot, giteatest.Write)
			numbers[e.Repo] = 0
			skip()
		}
		if e.Kind == "issue" {
			for numbers[e.Repo]++; numbers[e.Repo] < e.Number; numbers[e.Repo]++ {
				by := w.gitea.As(e.By)
				by.Delete(e.Repo, by.Open(e.Repo, "deleted", ""))
				skip()
			}
		}
		for last < e.ID-1 {
			skip()
		}
		id := e.ID
		switch e.Kind {
		case "user":
			id = w.gitea.AddUser(e.By, giteatest.UserOptions{})
		case "label":
			id = w.gitea.AddLabel(e.Repo, e.Title)
		case "issue":
			i, _ := w.gitea.Issue(e.Repo, w.gitea.As(e.By).Open(e.Repo, e.Title, e.Text))
			id = i.ID
		case "comment":
			id = w.gitea.As(e.By).Comment(e.Repo, e.Number, e.Text)
		case "close":
			w.gitea.As(e.By).Close(e.Repo, e.Number)
		}
		require.Equal(w.t, e.ID, id, e.Kind)
		last = id
	}
	w.now = now
	w.gitea.AddToken(oldBot, oldToken, "write:issue", "read:user", "read:repository")
}

func (w *oldWorld) getenv(name string) string {
	switch name {
	case "ADFBOT_CONFIG":
		return w.path("config.yaml")
	case "HOME":
		return w.path("home")
	}
	return ""
}

// run runs a command and returns what it prints.
func (w *oldWorld) run(code int, args ...string) string {
	w.t.Helper()
	var stdout, stderr bytes.Buffer
	got := run(w.t.Context(), args, process{
		stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, getenv: w.getenv, now: func() time.Time { return w.now },
	})
	require.Equal(w.t, code, got, "adfbot %q: %s", args, stderr.String())
	return stdout.String()
}

// golden returns the lines of a section of what the old program printed.
func golden(t *testing.T, section string) []string {
	t.Helper()
	archive, err := txtar.ParseFile(oldGolden)
	require.NoError(t, err)
	for _, f := range archive.Files {
		if f.Name == section {
			return strings.Split(strings.TrimSuffix(string(f.Data), "\n"), "\n")
		}
	}
	require.Fail(t, "no such section", section)
	return nil
}

// goldenNames fails where a JSON document lacks a name that the old program printed. Names may be added.
func goldenNames(t *testing.T, section string, docs ...string) {
	t.Helper()
	got := map[string]bool{}
	for _, doc := range docs {
		var v any
		require.NoError(t, json.Unmarshal([]byte(doc), &v), doc)
		addNames(got, "", v)
	}
	goldenIn(t, section, got)
}

// goldenIn fails where a line of a section is missing.
func goldenIn(t *testing.T, section string, got map[string]bool) {
	t.Helper()
	var missing []string
	for _, name := range golden(t, section) {
		if !got[name] {
			missing = append(missing, name)
		}
	}
	require.Empty(t, missing, "%s: these are gone", section)
}

func addNames(names map[string]bool, at string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, v := range v {
			names[at+"."+key] = true
			addNames(names, at+"."+key, v)
		}
	case []any:
		for _, v := range v {
			addNames(names, at+"[]", v)
		}
	}
}

func TestOldNamesArePrinted(t *testing.T) {
	t.Run("status", func(t *testing.T) {
		w := newOldWorld(t)
		goldenNames(t, "status --json", w.run(0, "status", "--json"))
	})
	t.Run("sweep", func(t *testing.T) {
		w := newOldWorld(t)
		goldenNames(t, "sweep --dry-run --json", w.run(0, "sweep", "--dry-run", "--json"))
		goldenNames(t, "sweep --json", w.run(0, "sweep", "--json"))
	})
	t.Run("record", func(t *testing.T) {
		w := newOldWorld(t)
		goldenNames(t, "record --json",
			w.run(0, "record", "--project", "ivy", "--agent", "worker", "--success", "--json"),
			w.run(0, "record", "--project", "alder", "--failure", "--json"))
	})
}

// serve serves the API at a socket and returns a function that asks it.
func (w *oldWorld) serve() (ask func(status int, method, path, body string) string) {
	w.t.Helper()
	ctx := w.t.Context()
	cfg, err := config.Load(w.path("config.yaml"))
	require.NoError(w.t, err)
	now := func() time.Time { return w.now }
	metrics := web.NewMetrics("", "")
	b, err := bot.Open(ctx, cfg, bot.Daemon, bot.Env{Getenv: w.getenv, Now: now, Observe: []bot.Observer{metrics}})
	require.NoError(w.t, err)
	listened, served := make(chan struct{}), make(chan error, 1)
	s, err := web.New(web.Options{Config: cfg, Bot: b, Now: now, Getenv: w.getenv, Metrics: metrics, Listened: func() { close(listened) }})
	require.NoError(w.t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	go func() { served <- s.Serve(ctx) }()
	w.t.Cleanup(func() {
		stop()
		require.NoError(w.t, <-served)
		_ = b.Close() // its state may have been taken away
	})
	<-listened
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", w.path("socket"))
	}}}
	w.t.Cleanup(client.CloseIdleConnections)
	return func(status int, method, path, body string) string {
		w.t.Helper()
		req, err := http.NewRequestWithContext(w.t.Context(), method, "http://adfbot"+path, strings.NewReader(body))
		require.NoError(w.t, err)
		if body != "" {
			req.Header.Set("Content-Type", "application/json")
		}
		resp, err := client.Do(req)
		require.NoError(w.t, err)
		defer func() { _ = resp.Body.Close() }()
		answer, err := io.ReadAll(resp.Body)
		require.NoError(w.t, err)
		require.Equal(w.t, status, resp.StatusCode, "%s %s: %s", method, path, answer)
		return string(answer)
	}
}

func TestOldNamesAreServed(t *testing.T) {
	w := newOldWorld(t)
	ask := w.serve()
	names := func(section string, docs ...string) {
		t.Helper()
		goldenNames(t, section, docs...)
	}
	get := func(path string) string { t.Helper(); return ask(http.StatusOK, http.MethodGet, path, "") }
	post := func(path, body string) string { t.Helper(); return ask(http.StatusOK, http.MethodPost, path, body) }
	const v1 = "/api/v1"
	const result = `{"project": "alder", "agent": "project-meta", "outcome": "failure", "exit_code": 1, "signal": "SIGTERM", "detail": "stopped",
		"run_id": "new", "started_at": "2026-11-22T11:20:00Z", "finished_at": "2026-11-22T11:25:00Z", "host": "builder-1", "output": "text"}`

	names("projects", get(v1+"/projects"))
	names("project", get(v1+"/projects/alder"), get(v1+"/projects/cedar"), get(v1+"/projects/oak"))
	names("incidents", get(v1+"/incidents?state=all&limit=200"), get(v1+"/incidents?limit=1"))
	names("gate", get(v1+"/projects/ivy/gate"))
	names("problem", ask(http.StatusLocked, http.MethodGet, v1+"/projects/alder/gate", ""))
	names("result", post(v1+"/results", result), post(v1+"/results", `{"project": "ivy", "agent": "worker", "outcome": "success"}`))
	names("pause", post(v1+"/projects/ivy/pause", `{"reason": "for the test"}`))
	names("resume", post(v1+"/projects/quince/resume", `{}`))
	names("readyz", ask(http.StatusServiceUnavailable, http.MethodGet, "/readyz", ""))

	series := map[string]bool{}
	label := regexp.MustCompile(`(\w+)="(?:[^"\\]|\\.)*"`)
	for line := range strings.Lines(get("/metrics")) {
		if name, _, ok := strings.Cut(line, " "); ok && strings.HasPrefix(name, "adfbot_") {
			series[label.ReplaceAllString(name, "$1")] = true
		}
	}
	goldenIn(t, "metrics", series)

	// A result for which there is no state is kept in the spool.
	require.NoError(t, os.Rename(w.path("state/adfbot.db"), w.path("state/elsewhere.db")))
	names("spooled", ask(http.StatusAccepted, http.MethodPost, v1+"/results", result))
}

// steps is what a sweep does or plans, without the words.
func (w *oldWorld) steps(args ...string) []string {
	w.t.Helper()
	var report struct {
		Actions []struct {
			Action, Project, Name string
			Quiet                 bool
			Issue                 struct {
				Repo   struct{ Owner, Name string }
				Number int64
			}
		}
	}
	require.NoError(w.t, json.Unmarshal([]byte(w.run(0, append([]string{"sweep", "--json"}, args...)...)), &report))
	var out []string
	for _, a := range report.Actions {
		line := a.Action + " " + a.Project
		if a.Name != "" {
			line += " " + a.Name
		}
		if i := a.Issue; i.Number != 0 {
			line += fmt.Sprintf(" %s/%s#%d", i.Repo.Owner, i.Repo.Name, i.Number)
		}
		if a.Quiet {
			line += " quiet"
		}
		out = append(out, line)
	}
	return out
}

func TestOldStateIsSwept(t *testing.T) {
	w := newOldWorld(t)
	require.Equal(t, golden(t, "planned"), w.steps("--dry-run"))
	require.Equal(t, golden(t, "done"), w.steps())
	for n := 0; len(w.steps("--dry-run")) > 0; n++ {
		require.Less(t, n, 10, "it comes to no end")
		w.now = w.now.Add(21 * time.Second) // until a lost answer can't come any more
		w.steps()
	}
	require.Equal(t, golden(t, "outcome"), w.outcome())
}

func TestOldStepNames(t *testing.T) {
	var names []string
	for _, kind := range []plan.Kind{
		plan.WriteFlag, plan.ConfirmFlag, plan.Resume, plan.Supersede, plan.RecordHold, plan.ReleaseHold, plan.Rebuild, plan.RebuildDone,
		plan.Create, plan.Adopt, plan.AnnouncePaused, plan.FindLost, plan.ConfirmReopened, plan.Reopen, plan.Replace, plan.ResumeClosed,
		plan.RunCommand, plan.Close, plan.CloseDuplicate, plan.LeaveOpen, plan.Settle,
	} {
		names = append(names, string(kind))
	}
	require.Equal(t, golden(t, "steps"), names)
}

// The state knows the addresses of its Gitea and its pause directory. Others are not believed before somebody confirms them.
func TestOldPlacesAreKnown(t *testing.T) {
	w := newOldWorld(t)
	const url, dir = "http://elsewhere.example.org", "/srv/elsewhere"
	s, err := sqlite.Open(t.Context(), w.path("state/adfbot.db"), sqlite.Options{})
	require.NoError(t, err)
	require.NoError(t, s.SetMeta(t.Context(), "gitea_url", url))
	require.NoError(t, s.SetMeta(t.Context(), "pause_dir", dir))
	require.NoError(t, s.Close())
	var status struct{ Problems []string }
	require.NoError(t, json.Unmarshal([]byte(w.run(0, "status", "--json")), &status))
	problems := strings.Join(status.Problems, "\n")
	require.Contains(t, problems, url)
	require.Contains(t, problems, dir)
}

var oldKey = expression(`(?m)^<!-- adfbot:comment (\S+) -->$`)

// outcome is what people see: issues with the bot's comments, and pause flags.
func (w *oldWorld) outcome() []string {
	w.t.Helper()
	var out []string
	for _, repo := range []string{"acme/fleet", "acme/twins"} {
		for _, i := range w.gitea.Issues(repo) {
			out = append(out, fmt.Sprintf("%s#%d %s", repo, i.Number, i.State))
			for _, c := range i.Comments {
				for _, key := range oldKey().FindAllStringSubmatch(c.Body, -1) {
					out = append(out, "comment "+key[1])
				}
			}
		}
	}
	flags, err := os.ReadDir(w.path("pause"))
	require.NoError(w.t, err)
	for _, f := range flags {
		out = append(out, "flag "+f.Name())
	}
	return out
}

func TestOldTextsAreRead(t *testing.T) {
	flag := func(project string, seq int, id string, failures int, opened time.Time) incident.FlagInfo {
		id = "0ddba1100000000000000000000000" + id
		return incident.FlagInfo{Project: project, Seq: seq, Incident: id, Pause: incident.Pause{ID: id}, Agent: "project-meta", Failures: failures, Opened: opened}
	}
	flags := map[string]incident.FlagInfo{ // those of people are not here
		"alder":  flag("alder", 2, "03", 3, time.Date(2026, 11, 20, 7, 45, 30, 0, time.UTC)),
		"birch":  flag("birch", 1, "0d", 3, time.Date(2026, 11, 22, 10, 48, 0, 0, time.UTC)),
		"elm":    flag("elm", 1, "06", 3, time.Date(2026, 11, 20, 8, 10, 30, 0, time.UTC)),
		"hazel":  flag("hazel", 1, "0a", 3, time.Date(2026, 11, 20, 8, 35, 0, 0, time.UTC)),
		"quince": flag("quince", 1, "05", 1, time.Date(2026, 11, 20, 8, 5, 0, 0, time.UTC)),
	}
	files, err := filepath.Glob(filepath.Join(oldData, "pause", "[a-z]*"))
	require.NoError(t, err)
	require.Len(t, files, 8)
	for _, file := range files {
		note, err := os.ReadFile(file)
		require.NoError(t, err)
		info, ok := issuetext.ParseFlagNote(string(note))
		want, ours := flags[filepath.Base(file)]
		require.Equal(t, ours, ok, file)
		require.Equal(t, want, info, file)
	}

	var markers []string
	comments := 0
	events, _ := oldEvents(t)
	for _, e := range events {
		if m, ok := tracker.ParseMarker(e.Text); ok && e.Kind == "issue" {
			require.Contains(t, strings.Split(e.Text, "\n"), m.String(), "it is written as it was")
			markers = append(markers, fmt.Sprintf("%s#%d %s %s %d %s", e.Repo, e.Number, m.Installation, m.Project, m.Seq, m.Incident))
		}
		if key := oldKey().FindStringSubmatch(e.Text); key != nil {
			require.True(t, tracker.HasCommentMarker(e.Text, key[1]), e.Text)
			require.Equal(t, key[0], tracker.CommentMarker(key[1]))
			comments++
		}
	}
	require.Equal(t, golden(t, "markers"), markers)
	require.Equal(t, 16, comments)
}
