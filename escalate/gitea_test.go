package escalate_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/gitea"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/testworld"
)

// call is one method of the tracker on issue #1, which is open.
type call struct {
	name string
	do   func(ctx context.Context, g *gitea.Client) error
}

func calls() []call {
	repo, ref := repoOf(fleet), tracker.IssueRef{Repo: repoOf(fleet), Number: 1}
	drop := func(_ any, err error) error { return err }
	return []call{
		{name: "list", do: func(ctx context.Context, g *gitea.Client) error {
			return drop(g.List(ctx, repo, "adf-bot", false))
		}},
		{name: "get", do: func(ctx context.Context, g *gitea.Client) error { return drop(g.Get(ctx, repo, 1)) }},
		{name: "create", do: func(ctx context.Context, g *gitea.Client) error {
			return drop(g.Create(ctx, repo, tracker.NewIssue{Title: "x"}))
		}},
		{name: "close", do: func(ctx context.Context, g *gitea.Client) error { return drop(g.SetOpen(ctx, ref, false)) }},
		{name: "me", do: func(ctx context.Context, g *gitea.Client) error { return drop(g.Me(ctx)) }},
		{name: "comments", do: func(ctx context.Context, g *gitea.Client) error { return drop(g.Comments(ctx, ref, time.Time{})) }},
		{name: "comment", do: func(ctx context.Context, g *gitea.Client) error { return drop(g.AddComment(ctx, ref, "x")) }},
		{name: "labels", do: func(ctx context.Context, g *gitea.Client) error { return drop(g.Labels(ctx, repo)) }},
		{name: "add label", do: func(ctx context.Context, g *gitea.Client) error { return drop(g.AddLabel(ctx, repo, "x")) }},
		{name: "label", do: func(ctx context.Context, g *gitea.Client) error { return drop(g.LabelIssue(ctx, ref, []int64{1})) }},
		{name: "edit body", do: func(ctx context.Context, g *gitea.Client) error {
			return g.EditText(ctx, ref, func(t tracker.Text) tracker.Text { return t })
		}},
		{name: "version", do: func(ctx context.Context, g *gitea.Client) error { return drop(g.Version(ctx)) }},
	}
}

// eachCall runs a test for every method, over the fake with issue #1. There is no machine but for its tokens.
func eachCall(t *testing.T, f func(w *world, g *gitea.Client, c call)) {
	for _, c := range calls() {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{&machine{World: testworld.New(t, "", time.Now), tokens: &tokens{now: testworld.Token}}}
				w.Gitea.As(testworld.Bot).Open(fleet, "one", "")
				f(w, w.over(w.Gitea.Transport()), c)
			})
		})
	}
}

func trackerError(t require.TestingT, err error) *tracker.Error {
	var te *tracker.Error
	require.ErrorAs(t, err, &te)
	return te
}

// Every call works on a healthy server.
func TestCalls(t *testing.T) {
	eachCall(t, func(w *world, g *gitea.Client, c call) {
		require.NoError(w, c.do(w.Context(), g))
		require.Len(w, w.asked(), 1, "it is one request")
	})
}

// The error of a status says whether the request was done, and what to do.
func TestCallStatuses(t *testing.T) {
	for status, want := range map[int]struct {
		outcome tracker.Outcome
		fix     string
	}{
		301: {tracker.Refused, "is redirected to http://gitea.example/elsewhere"},
		302: {tracker.Refused, "is redirected to http://gitea.example/elsewhere"},
		307: {tracker.Refused, "is redirected to http://gitea.example/elsewhere"},
		308: {tracker.Refused, "is redirected to http://gitea.example/elsewhere"},
		400: {tracker.Refused, "Gitea refuses what was sent"},
		401: {tracker.Refused, "make a new one in Gitea"},
		403: {tracker.Refused, "the token's account may not do this"},
		404: {tracker.Refused, "gitea."},
		410: {tracker.Refused, "set gitea."},
		422: {tracker.Refused, "Gitea refuses what was sent"},
		423: {tracker.Refused, "unarchive it"},
		429: {tracker.Refused, "retried automatically"},
		500: {tracker.Lost, "retried automatically"},
		502: {tracker.Lost, "retried automatically"},
		503: {tracker.Lost, "retried automatically"},
		504: {tracker.Lost, "retried automatically"},
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			eachCall(t, func(w *world, g *gitea.Client, c call) {
				w.Gitea.Inject(giteatest.Fault{Do: giteatest.Status(status, `{"message":"no, '+testworld.Token+'","url":"http://gitea.example/api/swagger"}`, "Content-Type", "application/json", "Location", "/elsewhere", "Retry-After", "90")})
				err := c.do(w.Context(), g)
				te := trackerError(w, err)
				require.Equal(w, status, te.Status)
				require.Equal(w, want.outcome, te.Outcome)
				fix := want.fix
				if status == 423 && (c.name == "me" || c.name == "version") { // what names no repository is not of an archived one
					fix = "what stands in front of Gitea, or another program"
				}
				require.Contains(w, te.Fix(), fix)
				require.Equal(w, 90*time.Second, te.RetryAfter)
				require.Contains(w, err.Error(), fmt.Sprint("status ", status))
				require.NotContains(w, err.Error(), testworld.Token[:6])
				require.Len(w, w.asked(), 1, "nothing is followed and nothing is tried again")
			})
		})
	}
}

// The outcome is lost.
func TestCallWithoutUsableAnswer(t *testing.T) {
	for _, f := range lostAnswers {
		if strings.Contains(f.name, "server does it") || f.name == "it takes longer than the client waits" {
			continue // timeouts stand below
		}
		t.Run(f.name, func(t *testing.T) {
			eachCall(t, func(w *world, g *gitea.Client, c call) {
				w.Gitea.Inject(giteatest.Fault{Do: f.do})
				te := trackerError(w, c.do(w.Context(), g))
				require.Equal(w, tracker.Lost, te.Outcome, te)
				require.LessOrEqual(w, len(te.Error()), 800, "a whole web page is not quoted")
			})
		})
	}
}

func TestCallTimeout(t *testing.T) {
	eachCall(t, func(w *world, g *gitea.Client, c call) {
		w.Gitea.Inject(giteatest.Fault{Do: giteatest.Hang()})
		began := time.Now()
		te := trackerError(w, c.do(w.Context(), g))
		require.Equal(w, timeout, time.Since(began))
		require.Equal(w, tracker.Lost, te.Outcome)
	})
}

func TestCallContext(t *testing.T) {
	eachCall(t, func(w *world, g *gitea.Client, c call) {
		w.Gitea.Inject(giteatest.Fault{Do: giteatest.Hang()})
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		te := trackerError(w, c.do(ctx, g))
		require.Equal(w, tracker.Lost, te.Outcome)
	})
}

// A request that never reached the server was not sent.
func TestCallNotSent(t *testing.T) {
	t.Run("no token", func(t *testing.T) {
		eachCall(t, func(w *world, g *gitea.Client, c call) {
			w.tokens.err = io.ErrUnexpectedEOF
			te := trackerError(w, c.do(w.Context(), g))
			require.Equal(w, tracker.NotSent, te.Outcome)
			require.Empty(w, w.asked())
		})
	})
	t.Run("nobody listens", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		url := "http://" + l.Addr().String()
		require.NoError(t, l.Close())
		g := gitea.New(gitea.Options{URL: url, Tokens: &tokens{now: "t"}, Timeout: timeout})
		for _, c := range calls() {
			te := trackerError(t, c.do(t.Context(), g))
			require.Equal(t, tracker.NotSent, te.Outcome, c.name)
			require.Contains(t, te.Error(), "Gitea can't be reached")
		}
	})
	t.Run("the certificate is not trusted", func(t *testing.T) {
		srv := httptest.NewUnstartedServer(http.NotFoundHandler())
		srv.Config.ErrorLog = log.New(io.Discard, "", 0)
		srv.StartTLS()
		defer srv.Close()
		g := gitea.New(gitea.Options{URL: srv.URL, Tokens: &tokens{now: "t"}, Timeout: timeout})
		for _, c := range calls() {
			te := trackerError(t, c.do(t.Context(), g))
			require.Equal(t, tracker.NotSent, te.Outcome, c.name)
			require.Contains(t, te.Error(), "certificate")
		}
	})
}

func TestLostAnswerOnRealConnection(t *testing.T) {
	s := testworld.Gitea(nil)
	srv := httptest.NewServer(s)
	defer srv.Close()
	defer s.Close()
	g := gitea.New(gitea.Options{URL: srv.URL + "/", Tokens: &tokens{now: testworld.Token}, Timeout: timeout})
	defer g.CloseIdle()
	s.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1, Do: giteatest.LostAnswer()})
	_, err := g.Create(t.Context(), repoOf(fleet), tracker.NewIssue{Title: "x"})
	require.Equal(t, tracker.Lost, trackerError(t, err).Outcome)
	require.Len(t, s.Issues(fleet), 1, "Go's client did not send it twice")
	_, err = g.Create(t.Context(), repoOf(fleet), tracker.NewIssue{Title: "y"})
	require.NoError(t, err)
}

// No redirect is followed, so a POST never becomes a GET.
func TestRedirect(t *testing.T) {
	play(t, func(w *world) {
		w.Gitea.Rename(fleet, "fleet-2")
		g := w.over(w.Gitea.Transport())
		_, err := g.Create(w.Context(), repoOf(fleet), tracker.NewIssue{Title: "x"})
		te := trackerError(w, err)
		require.Equal(w, 301, te.Status)
		require.Equal(w, "/api/v1/repos/terraphim/fleet-2/issues", te.Location)
		require.Len(w, w.asked(), 1)
		require.Empty(w, w.Gitea.Issues("terraphim/fleet-2"))
	})
}

// A write whose answer shows another state is lost.
func TestWriteThatDoesNotShow(t *testing.T) {
	play(t, func(w *world) {
		w.Gitea.As("adf-bot").Open(fleet, "one", "")
		g := w.over(w.Gitea.Transport())
		for _, body := range []string{`{}`, `{"id":5,"number":2,"state":"closed"}`, `{"id":5,"number":1,"state":"open"}`} {
			w.Gitea.Inject(giteatest.Fault{Times: 1, Do: giteatest.Status(201, body)})
			_, err := g.SetOpen(w.Context(), tracker.IssueRef{Repo: repoOf(fleet), Number: 1}, false)
			require.Equal(w, tracker.Lost, trackerError(w, err).Outcome, body)
		}
		for _, body := range []string{`{}`, `{"id":5,"number":2}`} {
			w.Gitea.Inject(giteatest.Fault{Times: 1, Do: giteatest.Status(200, body)})
			_, err := g.Get(w.Context(), repoOf(fleet), 1)
			require.Equal(w, tracker.Lost, trackerError(w, err).Outcome, body)
		}
	})
}

// An answer is read up to a maximum.
func TestLongAnswer(t *testing.T) {
	var read atomic.Int64
	g := gitea.New(gitea.Options{URL: server, Tokens: &tokens{now: "t"}, Timeout: time.Minute,
		Transport: answers(func(*http.Request) *http.Response {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(&endless{n: &read})}
		})})
	_, err := g.Get(t.Context(), repoOf(fleet), 1)
	require.ErrorContains(t, err, "larger than 64 MB")
	require.LessOrEqual(t, read.Load(), int64(64<<20))
}

type answers func(*http.Request) *http.Response

func (f answers) RoundTrip(r *http.Request) (*http.Response, error) {
	resp := f(r)
	resp.Request = r
	return resp, nil
}

type endless struct{ n *atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	copy(p, bytes.Repeat([]byte{' '}, len(p)))
	e.n.Add(int64(len(p)))
	return len(p), nil
}
