package web

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var everyRoute = []struct{ method, path string }{
	{"POST", "/api/v1/results"}, {"GET", "/api/v1/projects"}, {"GET", "/api/v1/projects/odilo"}, {"GET", "/api/v1/incidents"},
	{"GET", "/api/v1/hosts"}, {"POST", "/api/v1/projects/odilo/pause"}, {"POST", "/api/v1/projects/odilo/resume"},
	{"POST", "/api/v1/pause"}, {"POST", "/api/v1/resume"},
}

func TestTokenRequired(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	for _, r := range everyRoute {
		a := s.do(r.method, r.path, `{"project":"odilo","exit_code":1}`)
		why := s.problem(a, 401)
		require.Contains(t, why, "Authorization: Bearer", r.path)
		require.Equal(t, s.do(r.method, r.path, `{"project":"odilo","exit_code":0}`, as(odiloToken)).StatusCode != 403,
			strings.Contains(why, "the project's token_file"), "only a token that is permitted is named: %s", r.path)
		require.Contains(t, a.Header.Values("WWW-Authenticate")[0], "Bearer")
	}
	require.Equal(t, http.StatusOK, s.get("/api/v1/projects/odilo/gate").StatusCode)
	require.Len(t, s.project("odilo").LastRuns, 1, "that of the request with a token")
}

func TestWrongToken(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	for _, wrong := range []string{"Bearer nonsense", "Bearer " + adminToken + "x", "Bearer " + adminToken[1:], "Bearer", "Bearer ", "Basic !!", "Basic Og==", "token " + adminToken, adminToken} {
		for _, r := range everyRoute {
			why := s.problem(s.do(r.method, r.path, `{}`, header("Authorization", wrong)), 401)
			require.Contains(t, why, "Authorization: Bearer TOKEN", wrong)
		}
		if !strings.HasPrefix(wrong, "Basic Og") {
			s.problem(s.get("/api/v1/projects/odilo/gate", header("Authorization", wrong)), 401)
		}
	}
	r, err := http.NewRequest("GET", s.http.URL+"/api/v1/projects", nil)
	require.NoError(t, err)
	r.Header["Authorization"] = []string{"Bearer " + adminToken, "Bearer " + adminToken}
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	s.problem(s.read(r, res), 401)
}

func TestBearerAndBasic(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	for _, how := range []asked{
		as(adminToken), header("Authorization", "bearer "+adminToken),
		func(r *http.Request) { r.SetBasicAuth("anybody", adminToken) },
	} {
		require.Equal(t, http.StatusOK, s.get("/api/v1/projects", how).StatusCode)
	}
}

func TestProjectToken(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	require.Equal(t, http.StatusOK, s.post("/api/v1/results", `{"project":"odilo","exit_code":1}`, as(odiloToken)).StatusCode)
	require.Equal(t, http.StatusOK, s.get("/api/v1/projects/odilo", as(odiloToken)).StatusCode)
	require.Equal(t, http.StatusOK, s.get("/api/v1/projects/odilo/gate", as(odiloToken)).StatusCode)
	for _, a := range []answered{
		s.post("/api/v1/results", `{"project":"digital-twins","exit_code":1}`, as(odiloToken)),
		s.get("/api/v1/projects/digital-twins", as(odiloToken)),
		s.get("/api/v1/projects/digital-twins/gate", as(odiloToken)),
		s.get("/api/v1/projects/nobody", as(odiloToken)),
		s.get("/api/v1/incidents?project=digital-twins", as(odiloToken)),
		s.post("/api/v1/projects/odilo/pause", `{}`, as(odiloToken)),
		s.post("/api/v1/projects/odilo/resume", `{}`, as(odiloToken)),
	} {
		require.Contains(t, s.problem(a, 403), "the token of odilo")
	}
	s.result(`{"project":"digital-twins","exit_code":1}`)
	var incidents incidentsJSON
	s.get("/api/v1/incidents", as(odiloToken)).json(t, &incidents)
	require.Empty(t, incidents.Incidents)
	s.get("/api/v1/incidents", as(twinsToken)).json(t, &incidents)
	require.Len(t, incidents.Incidents, 1)
	var all projectsJSON
	s.get("/api/v1/projects", as(odiloToken)).json(t, &all)
	require.Len(t, all.Projects, 1)
	require.Equal(t, "odilo", all.Projects[0].ID)
}

const noTokens = "  token_file: DIR/api-token\nprojects:\n  - id: odilo\n    token_file: DIR/odilo-token\n"

func TestNoTokenConfigured(t *testing.T) {
	t.Parallel()
	s := newStation(t, noTokens, "projects:\n  - id: odilo\n", "    token_file: DIR/twins-token\n", "").described()
	for _, r := range everyRoute {
		require.Contains(t, s.problem(s.do(r.method, r.path, `{}`), 403), "http.token_file")
		s.problem(s.do(r.method, r.path, `{}`, as(adminToken)), 401)
	}
	require.Equal(t, http.StatusOK, s.get("/api/v1/projects/odilo/gate").StatusCode)
}

func TestGateOnPublicAddress(t *testing.T) {
	t.Parallel()
	s := newStation(t, "LISTEN", "0.0.0.0:0").described()
	a := s.get("/api/v1/projects/odilo/gate")
	s.problem(a, 401)
	require.Contains(t, strings.Join(a.Header.Values("WWW-Authenticate"), "\n"), "Basic", "so that a browser asks for it")
	s.problem(s.get("/api/v1/projects/odilo/gate", as(twinsToken)), 403)
	require.Equal(t, http.StatusOK, s.get("/api/v1/projects/odilo/gate", as(odiloToken)).StatusCode)
	require.Equal(t, http.StatusOK, s.get("/api/v1/projects/odilo/gate", as(adminToken)).StatusCode)
}

func TestHostHeader(t *testing.T) {
	t.Parallel()
	s := newStation(t, "LISTEN", "localhost:0\n  hosts: [Adfbot.Example.org]")
	own, err := os.Hostname()
	require.NoError(t, err)
	for _, name := range []string{"localhost", "localhost:9753", "LOCALHOST.", "127.0.0.1", "127.0.0.1:80", "[::1]:9753", "192.0.2.7", own, own + ":9753",
		"adfbot.example.org", "ADFBOT.example.org.:443"} {
		require.Equal(t, http.StatusOK, s.get("/api/v1/projects/odilo/gate", host(name)).StatusCode, name)
		require.Equal(t, http.StatusOK, s.get("/", host(name)).StatusCode, name)
	}
	for _, name := range []string{"evil.example", "evil.example:9753", "localhost.evil.example", "127.0.0.1.evil.example", "xlocalhost", "x.adfbot.example.org"} {
		for _, path := range []string{"/api/v1/projects/odilo/gate", "/", "/projects/odilo", "/metrics", "/readyz"} {
			a := s.get(path, host(name))
			require.Contains(t, s.problem(a, 401), "http.hosts", name)
			require.Contains(t, a.Header.Values("WWW-Authenticate")[1], "Basic", "so that a browser behind a proxy asks for it")
		}
		require.Equal(t, http.StatusOK, s.get("/api/v1/projects/odilo/gate", host(name), as(adminToken)).StatusCode)
		require.Equal(t, http.StatusOK, s.get("/", host(name), func(r *http.Request) { r.SetBasicAuth("ops", adminToken) }).StatusCode)
	}
}

// Where no token could help, the answer names the key that does.
func TestHostHeaderWithoutToken(t *testing.T) {
	t.Parallel()
	s := newStation(t, noTokens, "projects:\n  - id: odilo\n", "    token_file: DIR/twins-token\n", "")
	for _, path := range []string{"/api/v1/projects/odilo/gate", "/", "/metrics"} {
		require.Contains(t, s.problem(s.get(path, host("adfbot.example.org")), 421), `add "adfbot.example.org" to http.hosts`)
		require.Contains(t, s.problem(s.unnamed(path), 421), "send the header Host, e.g. localhost")
	}
}

// A proxy with a login of its own may add a token of its own, as oauth2-proxy does.
func TestForeignTokenWhereNoneIsNeeded(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	const says = "if a proxy adds the header Authorization, let it leave that out"
	require.Contains(t, s.problem(s.get("/", as("eyJhbGciOi.J9.x")), 401), says)
	require.NotContains(t, s.problem(s.get("/api/v1/projects", as("eyJhbGciOi.J9.x")), 401), says)
}

// A name in http.hosts opens the page and the gate alone, on a loopback address. Where there is no login in front of adfbot, it opens them to everybody.
func TestWhereHostsHelp(t *testing.T) {
	t.Parallel()
	login := func(r *http.Request) { r.SetBasicAuth("alice", "her password at the proxy") }
	s := newStation(t)
	for _, how := range [][]asked{{}, {login}, {as("eyJhbGciOi.J9.x")}} {
		for _, r := range everyRoute {
			require.NotContains(t, s.problem(s.do(r.method, r.path, `{}`, append(how, host("adfbot.example.org"))...), 401), "http.hosts", r.path)
		}
		require.Contains(t, s.problem(s.get("/", append(how, host("adfbot.example.org"))...), 401),
			`if a proxy asks for a login in front of the bot, add "adfbot.example.org" to http.hosts instead`)
	}
	s = newStation(t, "LISTEN", "0.0.0.0:0")
	require.NotContains(t, s.problem(s.get("/", host("adfbot.example.org")), 401), "http.hosts")
}

// Nobody can send a token that is not configured.
func TestTokenThatIsNotConfigured(t *testing.T) {
	t.Parallel()
	s := newStation(t, "  token_file: DIR/api-token\n", "")
	const resume = "/api/v1/projects/odilo/resume"
	for _, how := range [][]asked{{}, {as("eyJhbGciOi.J9.x")}} {
		require.Contains(t, s.problem(s.post(resume, `{}`, how...), 401), "http.token_file, which is not set (set it and reload the bot)")
	}
	require.Contains(t, s.problem(s.post(resume, `{}`, as(odiloToken)), 403), "set http.token_file and reload the bot")
	require.NotContains(t, s.problem(s.get("/api/v1/projects"), 401), "from http.token_file")
	const add = `add "adfbot.example.org" to http.hosts`
	require.Contains(t, s.problem(s.get("/", host("adfbot.example.org"), as(odiloToken)), 421), add)
	says := s.problem(s.get("/", host("adfbot.example.org"), as("eyJhbGciOi.J9.x")), 421)
	require.Contains(t, says, add)
	require.Contains(t, says, "if a proxy adds the header Authorization, let it leave that out")
}

// A browser sends the password that it has until it is asked for another one.
func TestPageWithProjectToken(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	login := func(r *http.Request) { r.SetBasicAuth("ops", odiloToken) }
	a := s.get("/", host("adfbot.example.org"), login)
	require.Contains(t, s.problem(a, 401), "the token of odilo may report for odilo and ask about it, and nothing else: send that of http.token_file")
	require.Contains(t, a.Header.Values("WWW-Authenticate")[1], "Basic")
	s.problem(s.get("/", host("adfbot.example.org"), as(odiloToken)), 403)
}

// unnamed asks as a client of HTTP/1.0 may: without a Host, which Go's client always sends.
func (s *station) unnamed(path string) answered {
	s.Helper()
	c, err := net.Dial("tcp", s.http.Listener.Addr().String())
	require.NoError(s, err)
	defer func() { _ = c.Close() }()
	_, err = fmt.Fprintf(c, "GET %s HTTP/1.0\r\n\r\n", path)
	require.NoError(s, err)
	a, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(s, err)
	defer func() { _ = a.Body.Close() }()
	body, err := io.ReadAll(a.Body)
	require.NoError(s, err)
	return answered{a, string(body)}
}

// A token of a project opens the gate, but no page: asking for one there would be in vain.
func TestHostHeaderWithProjectTokenOnly(t *testing.T) {
	t.Parallel()
	s := newStation(t, "  token_file: DIR/api-token\n", "")
	s.problem(s.get("/", host("adfbot.example.org")), 421)
	s.problem(s.get("/api/v1/projects/odilo/gate", host("adfbot.example.org")), 401)
}

// A load balancer asks with any name, and a proxy may send its own credentials.
func TestHealthBehindProxy(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{"127.0.0.1:0", "0.0.0.0:0"} {
		s := newStation(t, "LISTEN", listen)
		require.Equal(t, http.StatusOK, s.get("/healthz", host("adfbot.example.org")).StatusCode)
		require.Equal(t, http.StatusOK, s.get("/healthz", host("adfbot.example.org"), header("Authorization", "Basic cHJveHk6cHJveHk=")).StatusCode)
		a := s.get("/", host("adfbot.example.org"))
		s.problem(a, 401)
		require.Contains(t, a.Header.Values("WWW-Authenticate")[1], "Basic")
	}
}

// A proxy that asks for a login passes it on. adfbot does not know its passwords, and asking for another one would be in vain.
func TestLoginOfProxy(t *testing.T) {
	t.Parallel()
	s := newStation(t, "LISTEN", "127.0.0.1:0\n  hosts: [adfbot.example.org]")
	login := func(r *http.Request) { r.SetBasicAuth("alice", "her password at the proxy") }
	others := []asked{header("Authorization", "Negotiate YIIC"), header("Authorization", `Digest username="alice", response="0"`)}
	for _, name := range []string{"adfbot.example.org", "127.0.0.1"} {
		for _, path := range []string{"/", "/metrics", "/api/v1/projects/odilo/gate"} {
			for _, how := range append(others, login) {
				require.Equal(t, http.StatusOK, s.get(path, host(name), how).StatusCode, path)
			}
		}
	}
	for _, how := range append(others, login) {
		s.problem(s.get("/", host("evil.example"), how), 401)
		s.problem(s.get("/api/v1/projects", how), 401)
	}
	s.problem(s.get("/", host("adfbot.example.org"), as("nonsense")), 401)
	for _, r := range everyRoute {
		s.problem(s.do(r.method, r.path, `{}`, host("adfbot.example.org"), login), 401)
	}
	s = newStation(t, "LISTEN", "0.0.0.0:0\n  hosts: [adfbot.example.org]")
	s.problem(s.get("/", host("adfbot.example.org"), login), 401)
}

func TestCrossOriginPost(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	for _, how := range []asked{header("Sec-Fetch-Site", "cross-site"), header("Origin", "https://evil.example")} {
		s.problem(s.post("/api/v1/results", `{"project":"odilo","exit_code":1}`, as(adminToken), how), 403)
	}
	require.Empty(t, s.project("odilo").LastRuns)
}

func TestUnusableTokenFiles(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	try := func(name, content string, mode os.FileMode, says string) {
		require.NoError(t, os.WriteFile(s.path(name), []byte(content), mode))
		require.NoError(t, os.Chmod(s.path(name), mode))
		_, err := New(Options{Config: s.cfg, Bot: s.bot, Now: time.Now, Getenv: s.getenv})
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), adminToken)
		require.ErrorContains(t, s.srv.Replace(s.cfg, s.bot), says, "nor does a reload take it")
		require.Equal(t, http.StatusOK, s.get("/api/v1/projects", as(adminToken)).StatusCode, "the old tokens stay in force")
	}
	try("odilo-token", adminToken, 0o600, "give the project one of its own")
	try("odilo-token", odiloToken, 0o644, "chmod o-rw")
	require.NoError(t, os.Chmod(s.path("odilo-token"), 0o600))
	try("api-token", "", 0o600, "http.token_file")
}

func TestReloadReplacesTokens(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	require.NoError(t, os.WriteFile(s.path("api-token"), []byte("another-token-for-the-tests-1"), 0o600))
	require.Contains(t, s.problem(s.get("/api/v1/projects", as("another-token-for-the-tests-1")), 401), "a token that was replaced there is valid after the bot's next reload, or restart where systemd provides the file")
	s.replaceBot()
	s.problem(s.get("/api/v1/projects", as(adminToken)), 401)
	require.Equal(t, http.StatusOK, s.get("/api/v1/projects", as("another-token-for-the-tests-1")).StatusCode)
}

func TestShortTokenWarning(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	require.NoError(t, os.WriteFile(s.path("odilo-token"), []byte("short"), 0o600))
	s.replaceBot()
	require.Contains(t, s.log.String(), "can be guessed")
}

// A token of many projects does not fill every refusal with their names.
func TestTokenOfManyProjects(t *testing.T) {
	t.Parallel()
	var projects strings.Builder
	for n := range 300 {
		fmt.Fprintf(&projects, "  - id: p%d\n    token_file: DIR/odilo-token\n", n)
	}
	s := newStation(t, "  - id: quiet\n", projects.String()+"  - id: quiet\n").described()
	require.Contains(t, s.problem(s.get("/api/v1/projects/quiet", as(odiloToken)), 403),
		"the token of odilo, p0, p1, p2, p3 and 296 more may report for odilo, p0, p1, p2, p3 and 296 more and ask about it")
	require.Equal(t, http.StatusOK, s.get("/api/v1/projects/p299", as(odiloToken)).StatusCode)
	require.Equal(t, `there is no project "p3000": the nearest names are p30, p100, p200`, s.problem(s.get("/api/v1/projects/p3000", as(adminToken)), 404))
}
