package web

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
)

// daemon is a bot with its server, as serve joins them, without a network.
type daemon struct {
	t      *testing.T
	dir    string
	cfg    *config.Config
	bot    *bot.Bot
	server *Server
	now    time.Time
	gitea  func(*http.Request) (*http.Response, error)
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func newDaemon(t *testing.T) *daemon {
	t.Helper()
	return daemonOf(t, "[{id: odilo}, {id: digital-twins, threshold: 5}]")
}

func daemonOf(t *testing.T, projects string) *daemon {
	t.Helper()
	d := &daemon{t: t, dir: t.TempDir(), now: time.Now().UTC().Truncate(time.Second)}
	d.gitea = func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }
	require.NoError(t, os.WriteFile(d.path("token"), []byte("a-token-of-the-bot\n"), 0o600))
	text := fmt.Sprintf(`
instance: bigbox
pause_dir: %s
state: %s
gitea: {url: "http://gitea.test", token_file: %s, owner: terraphim, repo: adf-fleet, login: adf}
http: {listen: "127.0.0.1:0"}
projects: %s
`, d.path("pause"), d.path("adfbot.db"), d.path("token"), projects)
	require.NoError(t, os.WriteFile(d.path("config.yaml"), []byte(text), 0o600))
	var err error
	d.cfg, err = config.Load(d.path("config.yaml"))
	require.NoError(t, err)
	metrics := NewMetrics("v1.2.3", "abc")
	now := func() time.Time { return d.now }
	d.bot, err = bot.Open(t.Context(), d.cfg, bot.Daemon, bot.Env{
		Now: now, Observe: []bot.Observer{metrics}, Transport: roundTrip(func(r *http.Request) (*http.Response, error) { return d.gitea(r) }),
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = d.bot.Close() })
	d.server, err = New(Options{Config: d.cfg, Bot: d.bot, Now: now, Getenv: os.Getenv, Metrics: metrics})
	require.NoError(t, err)
	return d
}

func (d *daemon) path(name string) string { return filepath.Join(d.dir, name) }

func (d *daemon) record(project, outcome string) {
	d.t.Helper()
	_, err := d.bot.Record(d.t.Context(), store.Result{Project: project, Agent: "project-meta", Outcome: outcome, Started: d.now, Finished: d.now,
		Output: "error: no space left on device\n"})
	require.NoError(d.t, err)
}

func (d *daemon) trip(project string) {
	d.t.Helper()
	for range 3 {
		d.record(project, store.Failure)
	}
}

func (d *daemon) sweep() { _, _ = d.bot.Sweep(d.t.Context(), escalate.SweepOptions{}) }

// get asks as a browser on this machine does.
func (d *daemon) get(path string) *httptest.ResponseRecorder { return d.ask(http.MethodGet, path) }

func (d *daemon) ask(method, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:9753"+path, nil)
	w := httptest.NewRecorder()
	d.server.handler.ServeHTTP(w, r)
	return w
}

// head asks over a real connection and checks that the answer has no body.
func (d *daemon) head(path string) *http.Response {
	d.t.Helper()
	site := httptest.NewServer(d.server.handler)
	defer site.Close()
	c, err := net.Dial("tcp", site.Listener.Addr().String())
	require.NoError(d.t, err)
	defer func() { _ = c.Close() }()
	_, err = fmt.Fprintf(c, "HEAD %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path)
	require.NoError(d.t, err)
	in := bufio.NewReader(c)
	res, err := http.ReadResponse(in, &http.Request{Method: http.MethodHead})
	require.NoError(d.t, err)
	rest, err := io.ReadAll(in)
	require.NoError(d.t, err)
	require.Empty(d.t, rest)
	return res
}

func TestPage(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	page := d.get("/")
	require.Equal(t, http.StatusOK, page.Code)
	require.Contains(t, page.Body.String(), "<h1>Nothing has been reported yet</h1>")
	require.Contains(t, page.Body.String(), "There has been none yet.")

	d.record("odilo", store.Success)
	d.sweep()
	require.Contains(t, d.get("/").Body.String(), "adfbot itself needs attention", "Gitea is down")

	d.trip("odilo")
	d.now = d.now.Add(90 * time.Minute)
	page = d.get("/")
	require.Contains(t, page.Body.String(), "<h1>1 of 2 projects is paused</h1>")
	require.Regexp(t, `<p>odilo for <time [^>]*>1h (29|30)m</time></p>`, page.Body.String())
	require.Contains(t, page.Body.String(), "odilo#1 has no issue yet")
	require.Contains(t, page.Body.String(), "connection refused")
	require.Contains(t, page.Body.String(), "there was no sweep since ")

	page = d.get("/projects/odilo")
	require.Equal(t, http.StatusSeeOther, page.Code, "to the address with the outputs that are open")
	page = d.get("/projects/odilo" + page.Header().Get("Location"))
	require.Equal(t, http.StatusOK, page.Code)
	require.Contains(t, page.Body.String(), "no space left on device")
	require.Contains(t, page.Body.String(), d.path("pause/odilo"))
	require.Contains(t, page.Body.String(), `id="incident-1"`)

	require.Equal(t, http.StatusOK, d.get("/projects/digital-twins").Code)
}

func TestPageNotFound(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	for _, path := range []string{"/projects/odio", "/projects/..%2Fescaped", "/projects/%00", "/projects/a%20b", "/projects/" + strings.Repeat("a", 200)} {
		page := d.get(path)
		require.Equal(t, http.StatusNotFound, page.Code, path)
		require.Equal(t, "text/html; charset=utf-8", page.Header().Get("Content-Type"), path)
		require.Contains(t, page.Body.String(), "<h1>There is no such project</h1>", path)
		require.NotContains(t, page.Body.String(), "http-equiv", "it will not come by itself")
	}
	require.Contains(t, d.get("/projects/odio").Body.String(), `<a href="../projects/odilo">odilo</a>`)
	require.Equal(t, http.StatusNotFound, d.get("/icon/other.svg").Code)
	require.Equal(t, http.StatusMethodNotAllowed, d.ask(http.MethodPost, "/").Code)
	for _, c := range []struct{ method, target, detail string }{
		{http.MethodConnect, "gitea.example:443", "this is the bot and no proxy; see /api/v1/openapi.yaml"},
		{"BREW", "/", `\"/\" takes GET, HEAD, not BREW; see`},
		{strings.Repeat("B", 1000), "/", "not " + strings.Repeat("B", 80) + "…; see"},
	} {
		w := httptest.NewRecorder()
		d.server.handler.ServeHTTP(w, httptest.NewRequest(c.method, c.target, nil))
		require.Equal(t, http.StatusMethodNotAllowed, w.Code)
		require.Contains(t, w.Header().Get("Allow"), "GET")
		require.Contains(t, w.Body.String(), c.detail)
	}
}

// Every run can be reached, to the oldest.
func TestPageOfOlderRuns(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	const runs = 120
	for n := range runs {
		_, err := d.bot.Record(t.Context(), store.Result{Project: "odilo", Agent: "developer", Outcome: store.Success, RunID: fmt.Sprintf("r%03d", n)})
		require.NoError(t, err)
	}
	seen, path := 0, "/projects/odilo"
	for pages := 1; path != ""; pages++ {
		require.LessOrEqual(t, pages, 3)
		doc := d.get(path).Body.String()
		for range regexp.MustCompile(`· run r\d+`).FindAllString(doc, -1) {
			seen++
		}
		next := regexp.MustCompile(`href="(\?before=\d+)#runs" rel="next"`).FindStringSubmatch(doc)
		path = ""
		if next != nil {
			path = "/projects/odilo" + next[1]
		}
	}
	require.Equal(t, runs, seen)
}

// So can every incident, with its evidence.
func TestPageOfEarlierIncidents(t *testing.T) {
	t.Parallel()
	d := daemonOf(t, "[{id: odilo, threshold: 1, resume_threshold: 1}]")
	const incidents = status.MaxIncidents + 3
	for range incidents {
		d.now = d.now.Add(time.Second)
		d.record("odilo", store.Failure)
		d.now = d.now.Add(time.Second)
		_, err := d.bot.Resume(t.Context(), "odilo")
		require.NoError(t, err)
	}
	first := d.get("/projects/odilo?open=").Body.String()
	require.Equal(t, status.MaxIncidents, strings.Count(first, `<article class="card" id="incident-`))
	next := regexp.MustCompile(`href="(\?after=[0-9a-f]{32})#incidents" rel="next"`).FindStringSubmatch(first)
	require.NotNil(t, next)
	last := d.get("/projects/odilo" + next[1] + "&open=incident-1").Body.String()
	for n := range incidents {
		id := fmt.Sprintf(`id="incident-%d"`, n+1)
		require.NotEqual(t, strings.Contains(first, id), strings.Contains(last, id), "%s is on one of the pages", id)
	}
	require.Contains(t, last, "Runs before the trip", "the evidence")
	require.NotContains(t, last, `#incidents" rel="next"`)
	require.Contains(t, last, "Latest incidents")
	require.Contains(t, d.get("/projects/odilo?open=&after=nobody").Body.String(), `id="incident-`+strconv.Itoa(incidents)+`"`)
}

// Who types a wrong address into a browser gets a page, whatever is wrong with it. Programs get JSON.
func TestPageForProblems(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	for path, code := range map[string]int{"/nowhere": 404, "/projects/odilo/x/y": 404, "//": 404, "/icon/other.svg": 404, "/api": 404} {
		page := d.askAs(http.MethodGet, path, "Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
		require.Equal(t, code, page.Code, path)
		require.Equal(t, "text/html; charset=utf-8", page.Header().Get("Content-Type"), path)
		require.Contains(t, page.Header().Get("Content-Security-Policy"), "script-src 'self'", path)
		require.Contains(t, page.Body.String(), "<h1>Not found</h1>", path)
		require.Contains(t, page.Body.String(), ">All projects</a>", path)
		require.NotContains(t, page.Body.String(), "bigbox", "%s: who may see that is not known", path)
		for _, accept := range []string{"", "*/*", "application/json"} {
			require.Equal(t, "application/problem+json", d.askAs(http.MethodGet, path, "Accept", accept).Header().Get("Content-Type"), path)
		}
	}
	require.Contains(t, d.askAs(http.MethodGet, "/a/b/c", "Accept", "text/html").Body.String(), `href="../../style.css?v=`)
	for _, path := range []string{"/api/v1/nowhere", "/api/v1/projects", "/metrics/x", "/webhooks/x"} {
		require.Equal(t, "application/problem+json", d.askAs(http.MethodGet, path, "Accept", "text/html").Header().Get("Content-Type"), path)
	}
	r := httptest.NewRequest(http.MethodGet, "http://evil.example/", nil)
	r.Header.Set("Accept", "text/html")
	w := httptest.NewRecorder()
	d.server.handler.ServeHTTP(w, r)
	require.Equal(t, http.StatusMisdirectedRequest, w.Code)
	require.Contains(t, w.Body.String(), "<h1>Unknown host</h1>")
	require.NotContains(t, w.Body.String(), "odilo")
	require.Equal(t, "application/problem+json", d.askAs(http.MethodPost, "/", "Accept", "text/html").Header().Get("Content-Type"))
}

func TestFooterNamesVersion(t *testing.T) {
	t.Parallel()
	require.Contains(t, newDaemon(t).get("/").Body.String(), "<p>adfbot v1.2.3</p>")
}

func TestPageOfFormerProject(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	require.NoError(t, os.WriteFile(d.path("pause/guest"), nil, 0o600))
	page := d.get("/projects/guest")
	require.Equal(t, http.StatusOK, page.Code)
	require.Contains(t, page.Body.String(), "guest is paused by hand")
	require.Contains(t, page.Body.String(), "not configured")
	require.Contains(t, d.get("/").Body.String(), "1 of 3 projects is paused by hand")

	require.NoError(t, os.Remove(d.path("pause/guest")))
	require.Equal(t, http.StatusNotFound, d.get("/projects/guest").Code)
	d.record("guest", store.Success)
	require.Equal(t, http.StatusOK, d.get("/projects/guest").Code, "of its runs there is something to tell")
}

// A flag that is not there cannot be removed.
func TestPageWithoutFlag(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	require.NoError(t, os.Rename(d.path("pause"), d.path("elsewhere")))
	d.trip("odilo")
	require.Contains(t, d.get("/").Body.String(), "no pause flag was ever written here: adfbot serve creates the directory when it starts, and so does adfbot restore")
	require.NoError(t, os.Rename(d.path("elsewhere"), d.path("pause")))
	page := d.get("/projects/odilo").Body.String()
	require.Contains(t, page, "its pause flag is not written")
	require.Contains(t, page, "<span>adfbot</span> <span>resume</span> <span>odilo</span>")
	require.NotContains(t, page, "or remove")
	d.sweep()
	require.Contains(t, d.get("/projects/odilo").Body.String(), "or remove <code>"+d.path("pause/odilo"))
}

func TestPageWithUnusableState(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	require.NoError(t, d.bot.Close())
	for _, path := range []string{"/", "/projects/odilo"} {
		page := d.get(path)
		require.Equal(t, http.StatusServiceUnavailable, page.Code, path)
		require.Contains(t, page.Body.String(), "<h1>adfbot cannot read its state</h1>", path)
		require.Contains(t, page.Body.String(), "http-equiv", path)
	}
}

func TestPageHeaders(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	d.trip("odilo")
	for _, path := range []string{"/", "/projects/odilo", "/projects/odio"} {
		page := d.get(path)
		h := page.Header()
		require.Equal(t, "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
			h.Get("Content-Security-Policy"), path)
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), path)
		require.Equal(t, "no-referrer", h.Get("Referrer-Policy"), path)
		require.Equal(t, "no-store", h.Get("Cache-Control"), path)
		require.Equal(t, fmt.Sprint(page.Body.Len()), h.Get("Content-Length"), path)

		head := d.head(path)
		require.Equal(t, page.Code, head.StatusCode, path)
		require.Equal(t, h.Get("Content-Type"), head.Header.Get("Content-Type"), path)
	}
	script := d.get("/page.js?v=1")
	require.Equal(t, "text/javascript; charset=utf-8", script.Header().Get("Content-Type"))
	require.Contains(t, script.Header().Get("Cache-Control"), "immutable")
	style := d.get("/style.css?v=1")
	require.Equal(t, "text/css; charset=utf-8", style.Header().Get("Content-Type"))
	require.Contains(t, style.Header().Get("Cache-Control"), "immutable")
	require.NotContains(t, style.Body.String(), "url(", "nothing from outside")
	for _, name := range []string{"ok", "bad", "held", "unknown", "warn", "idle"} {
		require.Equal(t, "image/svg+xml", d.get("/icon/"+name+".svg").Header().Get("Content-Type"))
	}
}

// Behind a proxy that serves the bot under a path of its own, an absolute redirect would lead out of it.
func TestNoRedirects(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	for _, path := range []string{"//", "/projects//odilo", "/projects/./odilo", "/x/../projects/odilo", "/projects/odilo/", "/api//v1/projects"} {
		page := d.get(path)
		require.Equal(t, http.StatusNotFound, page.Code, path)
		require.Empty(t, page.Header().Get("Location"), path)
	}
}

// The front page shows a reason that all incidents share only once.
func TestPageShowsSharedReasonOnce(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	d.trip("odilo")
	require.Equal(t, 1, strings.Count(d.get("/").Body.String(), "create issue in"), "on the card")
	for range 2 {
		d.trip("digital-twins")
	}
	d.sweep()
	doc := d.get("/").Body.String()
	require.Equal(t, 1, strings.Count(doc, "create issue in"), "above the cards")
	require.Contains(t, doc, "2 incidents wait: gitea:")
	require.Contains(t, doc, `<li class="lines">odilo#1: issue to be opened</li>`)
	require.Contains(t, d.get("/projects/odilo").Body.String(), "odilo#1: issue to be opened: gitea:")
}
