package web

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/testhost"
)

// serving runs the station's server as the daemon does.
type serving struct {
	end  context.CancelFunc
	done chan struct{}
	err  error // once done
}

// serve returns when the server listens.
func (s *station) serve() *serving {
	s.Helper()
	ctx, end := context.WithCancel(context.Background())
	v := &serving{end: end, done: make(chan struct{})}
	listening := make(chan struct{})
	s.srv.listened = func() { close(listening) }
	go func() {
		defer close(v.done)
		v.err = s.srv.Serve(ctx)
	}()
	s.Cleanup(func() { end(); <-v.done })
	select {
	case <-listening:
	case <-v.done:
		s.Fatal(v.err)
	}
	return v
}

// listener returns the listener on TCP.
func (s *station) listener() *listener {
	s.Helper()
	s.srv.mu.Lock()
	defer s.srv.mu.Unlock()
	for at, l := range s.srv.listeners {
		if at.network == "tcp" {
			return l
		}
	}
	s.Fatal("the server does not listen over TCP")
	return nil
}

func (s *station) addr() string {
	s.Helper()
	return s.listener().Addr().String()
}

func (v *serving) stopped(t testing.TB) error {
	t.Helper()
	v.end()
	select {
	case <-v.done:
		return v.err
	case <-time.After(testhost.Patience):
		t.Fatal("the server does not end")
		return nil
	}
}

// holdIssue holds the creation of an issue back until goOn is closed. asked is closed when the bot asks for it.
func (s *station) holdIssue() (asked, goOn chan struct{}) {
	asked, goOn = make(chan struct{}), make(chan struct{})
	var first sync.Once
	hold := func(r *http.Request) {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/issues") {
			first.Do(func() { close(asked) })
			<-goOn
		}
	}
	s.beforeGitea.Store(&hold)
	return asked, goOn
}

func socketPath(t testing.TB) string {
	dir, err := os.MkdirTemp("", "adfbot-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func over(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
}

func TestServeEndsGracefully(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	v := s.serve()
	l := s.listener()
	asked, goOn := s.holdIssue()
	answer := make(chan string, 1)
	go func() {
		r, _ := http.NewRequest("POST", "http://"+l.Addr().String()+"/api/v1/results", strings.NewReader(`{"project":"digital-twins","exit_code":1}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+adminToken)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			answer <- err.Error()
			return
		}
		b, _ := io.ReadAll(res.Body)
		answer <- res.Status + " " + string(b)
	}()
	<-asked
	v.end()
	<-l.done
	_, err := net.Dial("tcp", l.Addr().String())
	require.Error(t, err, "nothing new is accepted")
	require.Empty(t, answer, "the accepted request continues")
	close(goOn)
	require.NoError(t, v.stopped(t))
	got := <-answer
	require.Contains(t, got, "200 OK")
	require.Contains(t, got, `"tripped":true`)
	require.Contains(t, got, "/issues/1")
}

func TestClientLeaves(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	asked, goOn := s.holdIssue()
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "POST", s.http.URL+"/api/v1/results", strings.NewReader(`{"project":"digital-twins","exit_code":1}`))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	as(adminToken)(r)
	go func() {
		<-asked
		leave()
	}()
	_, err = http.DefaultClient.Do(r)
	require.ErrorIs(t, err, context.Canceled)
	close(goOn)
	s.http.Close() // waits for the handler
	require.Len(t, s.gitea.Issues("terraphim/adf-fleet"), 1, "the issue is created although the client has left")
}

func TestReloadKeepsOldBotOpen(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	old := s.bot
	block, entered, left := make(chan struct{}), make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /slow", s.srv.allow(route{handle: func(_ http.ResponseWriter, r *request) error {
		close(entered)
		<-block
		if r.bot != old {
			t.Error("a request has to keep its bot")
		}
		return nil
	}}))
	slow := s.srv.guard(mux)
	go func() {
		defer close(left)
		slow.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "http://localhost/slow", nil))
	}()
	<-entered
	next, replaced := s.replacing(s.cfg)
	require.Equal(t, 1, s.fail().Failures, "the new bot is in use already")
	require.Empty(t, replaced, "the old bot is still in use")
	close(block)
	require.NoError(t, <-replaced)
	<-left
	_ = old.Close()
	s.bot = next
	require.Equal(t, 2, s.fail().Failures)
}

// slow makes the server answer /slow only when goOn is closed, or the daemon cannot wait any longer. asked gets the status of the
// answer.
func (s *station) slow() (ask func(at string) (asked chan int), goOn chan struct{}) {
	entered, goOn := make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /slow", func(_ http.ResponseWriter, r *http.Request) {
		ctx, cancel := s.srv.detached(r.Context())
		defer cancel()
		close(entered)
		select {
		case <-goOn:
		case <-ctx.Done():
		}
	})
	s.srv.handler = s.srv.guard(mux)
	return func(at string) chan int {
		asked := make(chan int, 1)
		go func() {
			res, err := http.Get("http://" + at + "/slow")
			if err != nil {
				asked <- 0
				return
			}
			_ = res.Body.Close()
			asked <- res.StatusCode
		}()
		<-entered
		return asked
	}, goOn
}

// replacing begins a reload and returns when the new bot is in force.
func (s *station) replacing(cfg *config.Config) (next *bot.Bot, replaced chan error) {
	s.Helper()
	next, replaced = s.open(cfg), make(chan error, 1)
	s.srv.replacing.Lock()
	finish, err := s.srv.swap(cfg, next)
	require.NoError(s, err)
	go func() {
		defer s.srv.replacing.Unlock()
		finish()
		replaced <- nil
	}()
	return next, replaced
}

func TestServeEndsDuringReload(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	ask, goOn := s.slow()
	v := s.serve()
	l := s.listener()
	asked := ask(l.Addr().String())
	next, replaced := s.replacing(s.cfg)
	defer func() { _ = next.Close() }()
	v.end()
	<-l.done
	_, err := net.Dial("tcp", l.Addr().String())
	require.Error(t, err, "nothing new is accepted")
	require.Empty(t, asked, "the accepted request continues")
	close(goOn)
	require.Equal(t, http.StatusOK, <-asked)
	require.NoError(t, <-replaced)
	require.NoError(t, v.stopped(t))
}

func TestServeEndStopsOldRequests(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	s.srv.drainTimeout = 50 * time.Millisecond // in place of a minute
	ask, _ := s.slow()
	v := s.serve()
	asked := ask(s.addr())
	next, replaced := s.replacing(s.config("  listen: LISTEN\n", "  socket: "+socketPath(t)+"\n"))
	defer func() { _ = next.Close() }()
	require.Empty(t, replaced, "the old bot is still in use")
	require.NoError(t, s.srv.base.Err(), "for a reload nobody has to hurry")
	require.NoError(t, v.stopped(t))
	require.NoError(t, <-replaced)
	require.Equal(t, http.StatusOK, <-asked)
	require.Contains(t, s.log.String(), "requests took too long to end")
}

func TestReloadsUnderLoad(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 10 {
				s.result(`{"project":"quiet","agent":"developer","exit_code":0}`)
			}
		})
	}
	for range 5 {
		s.replaceBot()
	}
	all.Wait()
	require.Equal(t, http.StatusOK, s.get("/api/v1/projects/quiet", as(adminToken)).StatusCode)
}

func TestReloadToOtherAddresses(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	v := s.serve()
	first := s.addr()
	socket := socketPath(t)
	cfg := s.config("  listen: LISTEN\n", "  socket: "+socket+"\n")
	require.NoError(t, s.srv.Replace(cfg, s.bot))
	_, err := net.Dial("tcp", first)
	require.Error(t, err)
	res, err := over(socket).Get("http://x/api/v1/projects")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode, "the tests' own user may do everything at the socket")

	taken := s.config("LISTEN", strings.TrimPrefix(s.http.URL, "http://"))
	require.ErrorContains(t, s.srv.Replace(taken, s.bot), "another process listens there")
	res, err = over(socket).Get("http://x/api/v1/projects")
	require.NoError(t, err, "what can't be moved stays as it was")
	require.NoError(t, res.Body.Close())

	require.NoError(t, s.srv.Replace(s.cfg, s.bot))
	require.NoFileExists(t, socket)
	require.NotEmpty(t, s.addr())
	require.NoError(t, v.stopped(t))
}

func TestReloadToOverlappingAddress(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	v := s.serve()
	at := s.addr()
	_, port, err := net.SplitHostPort(at)
	require.NoError(t, err)
	err = s.srv.Replace(s.config("LISTEN", "0.0.0.0:"+port), s.bot)
	require.ErrorContains(t, err, "http.listen: listen tcp 0.0.0.0:"+port)
	require.ErrorContains(t, err, "this daemon itself listens on "+at+", and a reload opens the new address before it closes the old one: restart it")
	require.NotContains(t, err.Error(), "another process")
	require.Equal(t, at, s.addr(), "what can't be moved stays as it was")
	require.NoError(t, v.stopped(t))
}

func TestListenErrors(t *testing.T) {
	t.Parallel()
	socket := socketPath(t)
	for what, says := range map[string]string{"missing directory": "no such file or directory: the directory is missing: create it for the daemon's user", "no socket": "is no socket", "in use": "another `adfbot serve`"} {
		t.Run(what, func(t *testing.T) {
			path := socket
			switch what {
			case "missing directory":
				path = filepath.Join(socket, "below")
			case "no socket":
				path += "-file"
				require.NoError(t, os.WriteFile(path, []byte("kept"), 0o600))
			case "in use":
				l, err := net.Listen("unix", path)
				require.NoError(t, err)
				defer func() { _ = l.Close() }()
			}
			s := newStation(t, "  listen: LISTEN\n", "  socket: "+path+"\n")
			require.ErrorContains(t, s.srv.Serve(t.Context()), says)
		})
	}
	b, err := os.ReadFile(socket + "-file")
	require.NoError(t, err)
	require.Equal(t, "kept", string(b))
}

func TestStaleSocket(t *testing.T) {
	t.Parallel()
	socket := socketPath(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket})
	require.NoError(t, err)
	l.SetUnlinkOnClose(false)
	require.NoError(t, l.Close())
	require.FileExists(t, socket)

	s := newStation(t, "  listen: LISTEN\n", "  socket: "+socket+"\n")
	v := s.serve()
	res, err := over(socket).Get("http://x/api/v1/projects")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode)
	info, err := os.Stat(socket)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o666), info.Mode().Perm(), "whose process connects decides, not who may open the file")
	require.NoError(t, v.stopped(t))
	require.NoFileExists(t, socket)
}

// Its directory may have been emptied or made anew, for example by the end of another unit with the same RuntimeDirectory=.
func TestRemovedSocket(t *testing.T) {
	t.Parallel()
	socket := socketPath(t)
	s := newStation(t, "  listen: LISTEN\n", "  socket: "+socket+"\n")
	s.srv.socketCheck = time.Millisecond // in place of a minute
	v := s.serve()
	changes := testhost.NewChanges()
	stop, err := changes.Watch(filepath.Dir(socket))
	require.NoError(t, err)
	defer stop()
	require.NoError(t, os.Remove(socket))
	require.NoError(t, changes.Await(func() string {
		res, err := over(socket).Get("http://x/healthz")
		if err != nil {
			return err.Error()
		}
		_ = res.Body.Close()
		return ""
	}))
	require.Contains(t, s.log.String(), "the socket was removed or replaced")
	require.NoError(t, v.stopped(t))
	require.NoFileExists(t, socket)
}

func TestReplacedSocketIsLeftAlone(t *testing.T) {
	t.Parallel()
	socket := socketPath(t)
	s := newStation(t, "  listen: LISTEN\n", "  socket: "+socket+"\n")
	v := s.serve()
	require.NoError(t, os.Remove(socket))
	other, err := net.Listen("unix", socket)
	require.NoError(t, err)
	defer func() { _ = other.Close() }()
	require.ErrorContains(t, s.srv.Replace(s.cfg, s.bot), "is in use by another process", "a reload says so")
	require.NoError(t, v.stopped(t))
	_, err = net.Dial("unix", socket)
	require.NoError(t, err, "it is another daemon's")
}

func TestHangingFlagReads(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	for range maxFlagReads {
		s.srv.flagReads <- struct{}{}
	}
	require.Contains(t, s.problem(s.get("/api/v1/projects/odilo/gate"), 503), "check whether a file system hangs")
	s.srv.current.cfg.State = "postgres://adfbot@db.example.org/adfbot"
	require.Contains(t, s.problem(s.get("/api/v1/projects/odilo/gate"), 503), "check whether the database of the state or a file system hangs")
}

func TestPanic(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(http.ResponseWriter, *http.Request) { panic("secret") })
	s.http.Config.Handler = s.srv.guard(mux)
	says := s.problem(s.get("/x"), 500)
	require.NotContains(t, says, "secret")
	require.Contains(t, s.log.String(), "a handler panicked")
}

func TestSlowClient(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	f, err := s.srv.listen(address{"tcp", "127.0.0.1:0"})
	require.NoError(t, err)
	f.server.ReadHeaderTimeout = 50 * time.Millisecond // in place of 10 s
	require.NotZero(t, f.server.ReadTimeout)
	require.NotZero(t, f.server.IdleTimeout)
	require.NotZero(t, f.server.MaxHeaderBytes)
	defer func() { _ = f.server.Close() }()
	c, err := net.Dial("tcp", f.Addr().String())
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	_, err = c.Write([]byte("POST /api/v1/results HTTP/1.1\r\nHost: localhost\r\n"))
	require.NoError(t, err)
	go s.srv.run(f) // only now: its time begins with the connection
	require.NoError(t, c.SetReadDeadline(time.Now().Add(testhost.Patience)))
	_, err = io.ReadAll(c)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the server has ended the connection")
}

func TestIncompleteBody(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	// ask returns the answer to a request whose body is incomplete, or "" if the server had no time to read the rest of it.
	ask := func(readTimeout time.Duration) string {
		f, err := s.srv.listen(address{"tcp", "127.0.0.1:0"})
		require.NoError(t, err)
		f.server.ReadTimeout = readTimeout // in place of 30 s
		defer func() { _ = f.server.Close() }()
		c, err := net.Dial("tcp", f.Addr().String())
		require.NoError(t, err)
		defer func() { _ = c.Close() }()
		_, err = c.Write([]byte("POST /api/v1/results HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + adminToken +
			"\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"))
		require.NoError(t, err)
		go s.srv.run(f)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(testhost.Patience)))
		answer, err := io.ReadAll(c)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
		return string(answer)
	}
	answer := ""
	for readTimeout := 100 * time.Millisecond; answer == "" && readTimeout < testhost.Patience; readTimeout *= 2 { // a busy machine needs longer
		answer = ask(readTimeout)
	}
	require.Contains(t, answer, "400 Bad Request")
	require.Contains(t, answer, "did not arrive complete")
	require.Empty(t, s.project("odilo").LastRuns)
}
