package giteatest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
)

// wires runs a test over a connection, and over the Transport in a synctest bubble.
func wires(t *testing.T, test func(t *testing.T, s *scene, c *http.Client, url string)) {
	t.Run("over a connection", func(t *testing.T) {
		s := empty()
		srv := httptest.NewServer(s)
		defer srv.Close()
		defer s.Close() // first, because it ends hanging requests
		test(t, s, srv.Client(), srv.URL)
	})
	t.Run("over the transport", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := empty()
			defer s.Close()
			test(t, s, &http.Client{Transport: s.Transport()}, recorded)
		})
	})
}

// delay is long enough to be measured.
const delay = 50 * time.Millisecond

// giveUp sends a request that meets the effect, and cancels it when it has arrived.
func giveUp(t *testing.T, s *scene, c *http.Client, url string, do giteatest.Effect) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.Inject(giteatest.Fault{Times: 1, Do: do, Match: func(*http.Request) bool { cancel(); return true }})
	_, _, err := createWith(ctx, t, c, url)
	// Some effects break the connection at the same time.
	require.True(t, errors.Is(err, context.Canceled) || errors.Is(err, syscall.ECONNRESET), "%v", err)
}

// create creates an issue and returns the response and its body.
func create(t *testing.T, c *http.Client, url string) (*http.Response, string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return createWith(ctx, t, c, url)
}

func createWith(ctx context.Context, t *testing.T, c *http.Client, url string) (*http.Response, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, "POST", url+"/api/v1/repos/"+rec+"/issues",
		strings.NewReader(`{"title":"t","body":"`+strings.Repeat("b", 1000)+`"}`))
	require.NoError(t, err)
	r.Header.Set("Authorization", "token bot")
	resp, err := c.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

func TestEffectsWithoutWork(t *testing.T) {
	wires(t, func(t *testing.T, s *scene, c *http.Client, url string) {
		for _, f := range []struct {
			do   giteatest.Effect
			code int
			body string
			key  string
			val  string
		}{
			{giteatest.Status(500, `{"message":""}`), 500, `{"message":""}`, "Content-Type", "application/json;charset=utf-8"},
			{giteatest.Status(502, "<h1>Bad Gateway</h1>", "Content-Type", "text/html"), 502, "<h1>Bad Gateway</h1>", "Content-Type", "text/html"},
			{giteatest.RetryAfter(503, 7), 503, "Service Unavailable", "Retry-After", "7"},
			{giteatest.RetryAfter(429, 1), 429, "Too Many Requests", "Retry-After", "1"},
			{giteatest.HTML(), 200, "<!DOCTYPE html>", "Content-Type", "text/html; charset=utf-8"},
		} {
			remove := s.Inject(giteatest.Fault{Name: "it", Match: giteatest.CreateIssue(), Do: f.do})
			resp, body, err := create(t, c, url)
			require.NoError(t, err)
			require.Equal(t, f.code, resp.StatusCode)
			require.Contains(t, body, f.body)
			require.Equal(t, f.val, resp.Header.Get(f.key))
			remove()
			require.Empty(t, s.Issues(rec))
		}
		require.Equal(t, 429, s.Requests()[3].Status)
		require.Equal(t, "it", s.Requests()[3].Fault)
	})
}

func TestEffectsAfterWork(t *testing.T) {
	wires(t, func(t *testing.T, s *scene, c *http.Client, url string) {
		for n, f := range []struct {
			do    giteatest.Effect
			code  int
			check func(body string)
		}{
			{giteatest.Truncated(), 201, func(b string) {
				require.True(t, strings.HasPrefix(b, `{"id":`))
				require.NotContains(t, b, "pin_order")
			}},
			{giteatest.HTMLAfterWork(), 200, func(b string) { require.Contains(t, b, "<html>") }},
			{giteatest.NullBody(), 201, func(b string) { require.Equal(t, "null\n", b) }},
			{giteatest.EmptyBody(), 201, func(b string) { require.Empty(t, b) }},
		} {
			s.Inject(giteatest.Fault{Times: 1, Do: f.do})
			resp, body, err := create(t, c, url)
			require.NoError(t, err)
			require.Equal(t, f.code, resp.StatusCode)
			f.check(body)
			if n == 0 {
				require.EqualValues(t, -1, resp.ContentLength)
			}
			require.Len(t, s.Issues(rec), n+1)
		}
	})
}

func TestReset(t *testing.T) {
	wires(t, func(t *testing.T, s *scene, c *http.Client, url string) {
		s.Inject(giteatest.Fault{Times: 1, Do: giteatest.Reset()})
		_, _, err := create(t, c, url)
		require.ErrorIs(t, err, syscall.ECONNRESET)
		require.Empty(t, s.Issues(rec))

		s.Inject(giteatest.Fault{Times: 1, Do: giteatest.LostAnswer()})
		_, _, err = create(t, c, url)
		require.ErrorIs(t, err, syscall.ECONNRESET)
		require.Len(t, s.Issues(rec), 1)
		require.Zero(t, s.Requests()[1].Status)
	})
}

func TestLateWork(t *testing.T) {
	wires(t, func(t *testing.T, s *scene, c *http.Client, url string) {
		start := time.Now()
		giveUp(t, s, c, url, giteatest.LateWork(delay))
		s.Wait()
		require.GreaterOrEqual(t, time.Since(start), delay)
		require.Len(t, s.Issues(rec), 1)
		require.Zero(t, s.Requests()[0].Status)

		giveUp(t, s, c, url, giteatest.LateWork(0))
		s.Wait()
		require.Len(t, s.Issues(rec), 2)
	})
}

func TestHang(t *testing.T) {
	wires(t, func(t *testing.T, s *scene, c *http.Client, url string) {
		giveUp(t, s, c, url, giteatest.Hang())
		s.Wait()
		require.Empty(t, s.Issues(rec))
		require.Equal(t, 1, s.Operations())
	})
}

func TestLatency(t *testing.T) {
	wires(t, func(t *testing.T, s *scene, c *http.Client, url string) {
		remove := s.Inject(giteatest.Fault{Do: giteatest.Latency(delay)})
		start := time.Now()
		resp, _, err := create(t, c, url)
		require.NoError(t, err)
		require.Equal(t, 201, resp.StatusCode)
		require.GreaterOrEqual(t, time.Since(start), delay)
		remove()

		start = time.Now()
		giveUp(t, s, c, url, giteatest.Latency(delay))
		s.Wait()
		require.GreaterOrEqual(t, time.Since(start), delay)
		require.Len(t, s.Issues(rec), 2, "the work is done although the client has gone")
	})
}

func TestClose(t *testing.T) {
	wires(t, func(t *testing.T, s *scene, c *http.Client, url string) {
		giveUp(t, s, c, url, giteatest.LateWork(time.Hour))

		arrived := make(chan struct{})
		s.Inject(giteatest.Fault{Do: giteatest.Hang(), Match: func(*http.Request) bool { close(arrived); return true }})
		ended := make(chan error)
		go func() {
			_, _, err := create(t, c, url)
			ended <- err
		}()
		<-arrived
		s.Close()
		require.ErrorIs(t, <-ended, syscall.ECONNRESET)
		_, _, err := create(t, c, url)
		require.Error(t, err)
		require.Empty(t, s.Issues(rec), "late work is dropped")
		require.Equal(t, 2, s.Operations())
	})
}

func TestFaultLimits(t *testing.T) {
	s := withFirst(t)
	s.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), After: 1, Times: 2, Do: giteatest.Status(500, "")})
	last := s.Inject(giteatest.Fault{
		Match: giteatest.All(giteatest.Method("POST"), giteatest.PathHas("/issues"), giteatest.BodyHas("odilo")),
		Do:    giteatest.Status(503, ""),
	})
	var codes []int
	for range 5 {
		codes = append(codes, s.ask("bot", "POST", "issues", `{"title":"odilo"}`).Code)
	}
	require.Equal(t, []int{503, 500, 500, 503, 503}, codes, "requests that the first fault lets through meet the second")
	last()
	last()
	require.Equal(t, 201, s.ask("bot", "POST", "issues", `{"title":"odilo"}`).Code)
}

func TestMatchers(t *testing.T) {
	s := withFirst(t)
	var hits []string
	for _, m := range []struct {
		name  string
		match func(*http.Request) bool
	}{
		{"create", giteatest.CreateIssue()},
		{"list", giteatest.ListIssues()},
		{"get", giteatest.GetIssue()},
		{"edit", giteatest.EditIssue()},
		{"close", giteatest.CloseIssue()},
		{"reopen", giteatest.ReopenIssue()},
		{"comment", giteatest.CommentIssue()},
		{"timeline", giteatest.ListTimeline()},
		{"label", giteatest.CreateLabel()},
	} {
		s.Inject(giteatest.Fault{Match: func(r *http.Request) bool {
			if m.match(r) {
				hits = append(hits, m.name)
			}
			return false
		}})
	}
	for _, q := range []struct{ method, path, body, want string }{
		{"POST", "issues", `{"title":"t"}`, "create"},
		{"GET", "issues?state=all", "", "list"},
		{"GET", "issues/1", "", "get"},
		{"PATCH", "issues/1", `{"body":"b"}`, "edit"},
		{"PATCH", "issues/1", `{"state":"closed"}`, "edit close"},
		{"PATCH", "issues/1", `{"state":"open"}`, "edit reopen"},
		{"POST", "issues/1/comments", `{"body":"b"}`, "comment"},
		{"GET", "issues/1/comments", "", ""},
		{"GET", "issues/1/timeline", "", "timeline"},
		{"POST", "labels", `{"name":"n","color":"#ffffff"}`, "label"},
	} {
		hits = nil
		require.Less(t, s.ask("bot", q.method, q.path, q.body).Code, 300)
		require.Equal(t, q.want, strings.Join(hits, " "), q.path)
	}
}

func TestMeanwhileAndAfterwards(t *testing.T) {
	s := withFirst(t)
	s.Inject(giteatest.Fault{Match: giteatest.CommentIssue(), Do: giteatest.Meanwhile(func() { s.As("root1").Close(rec, 1) })})
	s.Inject(giteatest.Fault{Match: giteatest.CloseIssue(), Do: giteatest.Afterwards(func() { s.As("root1").Reopen(rec, 1) })})
	s.ask("bot", "POST", "issues/1/comments", `{"body":"b"}`)
	s.As("root1").Reopen(rec, 1)
	require.Equal(t, "closed", s.ask("bot", "PATCH", "issues/1", `{"state":"closed"}`).one["state"])
	i, _ := s.Issue(rec, 1)
	require.Equal(t, []string{"label", "label", "close", "comment", "reopen", "close", "reopen"}, kinds(i))
}

func TestResetWithoutHijack(t *testing.T) {
	s := empty()
	s.Inject(giteatest.Fault{Do: giteatest.Reset()})
	defer func() {
		err, _ := recover().(error)
		require.True(t, errors.Is(err, http.ErrAbortHandler))
	}()
	s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/api/v1/version", nil))
}

func TestResetTLS(t *testing.T) {
	s := empty()
	srv := httptest.NewTLSServer(s)
	defer srv.Close()
	s.Inject(giteatest.Fault{Do: giteatest.Reset()})
	_, _, err := create(t, srv.Client(), srv.URL)
	require.ErrorIs(t, err, syscall.ECONNRESET)
}
