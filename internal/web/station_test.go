package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/status"
)

const (
	stationGitea = "https://git.example.org"
	giteaToken   = "0123456789abcdef0123456789abcdef01234567"
	adminToken   = "admin-token-for-the-tests-7f1f6d"
	odiloToken   = "odilo-token-for-the-tests-91cc0e"
	twinsToken   = "twins-token-for-the-tests-55ab37"
)

// station is a daemon without sweeps: one installation, its Gitea, and the server in front of both.
type station struct {
	testing.TB
	dir   string
	gitea *giteatest.Server
	log   *lines
	cfg   *config.Config
	bot   *bot.Bot
	srv   *Server
	http  *httptest.Server
	spec  validator.Validator // nil: answers are not checked against the description

	beforeGitea atomic.Pointer[func(*http.Request)] // called before each request to Gitea, unless nil
}

const stationConfig = `
instance: bigbox
pause_dir: DIR/pause
state: DIR/state/adfbot.db
gitea:
  url: https://git.example.org
  token_file: DIR/gitea-token
  owner: terraphim
  repo: adf-fleet
escalation:
  redact_env: [DEPLOY_KEY]
  output_tail: 2000
http:
  listen: LISTEN
  token_file: DIR/api-token
projects:
  - id: odilo
    token_file: DIR/odilo-token
    users: ["4711"]
  - id: digital-twins
    threshold: 1
    ignore_exit_codes: [75]
    token_file: DIR/twins-token
  - id: quiet
`

// newStation applies edits, pairs of old and new text, to stationConfig.
func newStation(t testing.TB, edits ...string) *station {
	t.Helper()
	s := &station{TB: t, dir: t.TempDir(), log: &lines{}, gitea: giteatest.New(nil)}
	t.Cleanup(s.gitea.Close)
	s.gitea.SetBaseURL(stationGitea)
	s.gitea.AddUser("adfbot", giteatest.UserOptions{})
	s.gitea.AddToken("adfbot", giteaToken, "write:issue", "read:user", "read:repository")
	s.gitea.AddRepo("terraphim", "adf-fleet")
	s.gitea.SetPermission("terraphim", "adf-fleet", "adfbot", giteatest.Write)
	for name, secret := range map[string]string{"gitea-token": giteaToken, "api-token": adminToken, "odilo-token": odiloToken, "twins-token": twinsToken} {
		require.NoError(t, os.WriteFile(s.path(name), []byte(secret+"\n"), 0o600))
	}
	s.cfg = s.config(edits...)
	s.bot = s.open(s.cfg)
	t.Cleanup(func() { _ = s.bot.Close() })
	var err error
	s.srv, err = New(Options{Config: s.cfg, Bot: s.bot, Log: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Now: time.Now, Getenv: s.getenv})
	require.NoError(t, err)
	s.http = httptest.NewServer(s.srv.handler)
	t.Cleanup(s.http.Close)
	return s
}

func (s *station) path(name string) string { return filepath.Join(s.dir, name) }

func (s *station) getenv(name string) string {
	return map[string]string{"DEPLOY_KEY": "the-deploy-key-of-the-tests"}[name]
}

func (s *station) config(edits ...string) *config.Config {
	s.Helper()
	text := strings.NewReplacer(edits...).Replace(stationConfig)
	text = strings.NewReplacer("DIR", s.dir, "LISTEN", "127.0.0.1:0").Replace(text)
	require.NoError(s, os.WriteFile(s.path("config.yaml"), []byte(text), 0o600))
	cfg, err := config.Load(s.path("config.yaml"))
	require.NoError(s, err)
	return cfg
}

func (s *station) open(cfg *config.Config) *bot.Bot {
	s.Helper()
	b, err := bot.Open(context.Background(), cfg, bot.Daemon, bot.Env{Getenv: s.getenv, Transport: roundTrip(s.askGitea)})
	require.NoError(s, err)
	return b
}

func (s *station) askGitea(r *http.Request) (*http.Response, error) {
	if f := s.beforeGitea.Load(); f != nil {
		(*f)(r)
	}
	return s.gitea.Transport().RoundTrip(r)
}

// described checks every answer from now on against the OpenAPI description.
func (s *station) described() *station {
	s.Helper()
	var err error
	s.spec, err = description()
	require.NoError(s, err)
	return s
}

// description validates by the OpenAPI description. To make it takes longer than most tests.
var description = sync.OnceValues(func() (validator.Validator, error) {
	doc, err := libopenapi.NewDocument(openAPI)
	if err != nil {
		return nil, err
	}
	v, errs := validator.NewValidator(doc)
	return v, errors.Join(errs...)
})

// asked changes a request before it is sent.
type asked func(*http.Request)

func as(token string) asked {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

func header(name, value string) asked { return func(r *http.Request) { r.Header.Set(name, value) } }
func host(name string) asked          { return func(r *http.Request) { r.Host = name } }

// answered is a response with its body.
type answered struct {
	*http.Response
	body string
}

func (s *station) do(method, path, body string, how ...asked) answered {
	s.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	r, err := http.NewRequest(method, s.http.URL+path, in)
	require.NoError(s, err)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, f := range how {
		f(r)
	}
	res, err := s.http.Client().Do(r)
	require.NoError(s, err)
	return s.read(r, res)
}

func (s *station) read(r *http.Request, res *http.Response) answered {
	s.Helper()
	b, err := io.ReadAll(res.Body)
	require.NoError(s, err)
	require.NoError(s, res.Body.Close())
	require.Equal(s, "nosniff", res.Header.Get("X-Content-Type-Options"))
	require.Equal(s, "no-store", res.Header.Get("Cache-Control"))
	require.Empty(s, res.Header.Get("Access-Control-Allow-Origin"))
	for _, secret := range []string{giteaToken, adminToken, odiloToken, twinsToken} {
		require.NotContains(s, string(b), secret)
		require.NotContains(s, s.log.String(), secret)
	}
	if s.spec != nil {
		res.Body = io.NopCloser(bytes.NewReader(b))
		_, bad := s.spec.ValidateHttpResponse(r, res)
		for _, e := range bad {
			for _, d := range e.SchemaValidationErrors {
				s.Log(d.Reason, d.FieldPath)
			}
			s.Errorf("%s %s: %d is not as described: %s: %s\n%s", r.Method, r.URL, res.StatusCode, e.Message, e.Reason, b)
		}
	}
	return answered{res, string(b)}
}

func (s *station) get(path string, how ...asked) answered {
	s.Helper()
	return s.do(http.MethodGet, path, "", how...)
}

func (s *station) post(path, body string, how ...asked) answered {
	s.Helper()
	return s.do(http.MethodPost, path, body, how...)
}

// result posts a result as the administrator and expects success.
func (s *station) result(body string, how ...asked) status.ResultView {
	s.Helper()
	a := s.post("/api/v1/results", body, append([]asked{as(adminToken)}, how...)...)
	require.Equal(s, http.StatusOK, a.StatusCode, a.body)
	var v status.ResultView
	a.json(s, &v)
	return v
}

// fail reports a failure of odilo.
func (s *station) fail() status.ResultView {
	s.Helper()
	return s.result(`{"project":"odilo","exit_code":1}`)
}

// projectsJSON is the answer of GET /api/v1/projects.
type projectsJSON struct{ Projects []status.Project }

func (s *station) project(id string) status.Project {
	s.Helper()
	a := s.get("/api/v1/projects/"+id, as(adminToken))
	require.Equal(s, http.StatusOK, a.StatusCode, a.body)
	var p status.Project
	a.json(s, &p)
	return p
}

func (a answered) json(t require.TestingT, to any) {
	require.Equal(t, "application/json", a.Header.Get("Content-Type"))
	require.NoError(t, json.Unmarshal([]byte(a.body), to), a.body)
}

// problem checks the form of an error and returns its detail.
func (s *station) problem(a answered, status int) string {
	s.Helper()
	require.Equal(s, status, a.StatusCode, a.body)
	require.Equal(s, "application/problem+json", a.Header.Get("Content-Type"))
	var p problem
	require.NoError(s, json.Unmarshal([]byte(a.body), &p), a.body)
	require.Equal(s, "about:blank", p.Type)
	require.Equal(s, status, p.Status)
	require.NotEmpty(s, p.Title)
	require.NotEmpty(s, p.Detail, "an error says what to do")
	return p.Detail
}

// lines keeps the log.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func inAnHour() string { return time.Now().Add(time.Hour).Format(time.RFC3339) }

func quoted(s string) string { return fmt.Sprintf("%q", s) }
