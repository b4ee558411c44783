package escalate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/gitea"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/redact"
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
		{name: "comments", do: func(ctx context.Context, g *gitea.Client) error { return drop(g.Comments(ctx, ref, 1)) }},
		{name: "comment", do: func(ctx context.Context, g *gitea.Client) error { return g.AddComment(ctx, ref, "x") }},
		{name: "labels", do: func(ctx context.Context, g *gitea.Client) error { return drop(g.Labels(ctx, repo)) }},
		{name: "add label", do: func(ctx context.Context, g *gitea.Client) error { return drop(g.AddLabel(ctx, repo, "x")) }},
		{name: "repository", do: func(ctx context.Context, g *gitea.Client) error {
			_, _, _, err := g.Repository(ctx, repo)
			return err
		}},
		{name: "version", do: func(ctx context.Context, g *gitea.Client) error { return drop(g.Version(ctx)) }},
	}
}

// eachCall runs a test for every method, over the fake with issue #1. There is no machine but for its tokens.
func eachCall(t *testing.T, f func(w *world, g *gitea.Client, c call)) {
	for _, c := range calls() {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newGitea(t)
				s.As("adf-bot").Open(fleet, "one", "")
				w := &world{T: t, gitea: s, machine: &machine{t: t, gitea: s, tokens: &tokens{now: "s3cret-token"}}}
				f(w, w.over(s.Transport()), c)
			})
		})
	}
}

func trackerError(t require.TestingT, err error) *tracker.Error {
	var te *tracker.Error
	require.ErrorAs(t, err, &te)
	return te
}

func TestEveryCallWorksOnAServerThatIsWell(t *testing.T) {
	eachCall(t, func(w *world, g *gitea.Client, c call) {
		require.NoError(w, c.do(w.Context(), g))
		require.Len(w, w.asked(), 1, "it is one request")
	})
}

func TestAStatusTellsWhetherItWasDoneAndWhatToDo(t *testing.T) {
	for status, want := range map[int]struct {
		outcome tracker.Outcome
		fix     string
	}{
		301: {tracker.Refused, "set gitea.owner and gitea.repo"},
		302: {tracker.Refused, "moved to /elsewhere"},
		307: {tracker.Refused, "moved to /elsewhere"},
		308: {tracker.Refused, "moved to /elsewhere"},
		400: {tracker.Refused, ""},
		401: {tracker.Refused, "make a new one in Gitea"},
		403: {tracker.Refused, "write:issue"},
		404: {tracker.Refused, "check gitea.owner"},
		410: {tracker.Refused, "the repository is gone"},
		422: {tracker.Refused, ""},
		423: {tracker.Refused, "unarchive it"},
		429: {tracker.Refused, "retried automatically"},
		500: {tracker.Lost, ""},
		502: {tracker.Lost, ""},
		503: {tracker.Lost, ""},
		504: {tracker.Lost, ""},
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			eachCall(t, func(w *world, g *gitea.Client, c call) {
				w.gitea.Inject(giteatest.Fault{Do: giteatest.Status(status, `{"message":"no, s3cret-token"}`, "Location", "/elsewhere", "Retry-After", "90")})
				err := c.do(w.Context(), g)
				te := trackerError(w, err)
				require.Equal(w, status, te.Status)
				require.Equal(w, want.outcome, te.Outcome)
				require.Contains(w, te.Fix(), want.fix)
				require.Equal(w, want.fix == "", te.Fix() == "")
				require.Equal(w, 90*time.Second, te.RetryAfter)
				require.Contains(w, err.Error(), fmt.Sprint("status ", status))
				require.NotContains(w, err.Error(), "s3cret")
				require.Len(w, w.asked(), 1, "nothing is followed and nothing is tried again")
			})
		})
	}
}

func TestAnAnswerThatIsNoneIsLost(t *testing.T) {
	for _, f := range lostAnswers {
		if strings.Contains(f.name, "server does it") || f.name == "it takes longer than the client waits" {
			continue // timeouts stand below
		}
		t.Run(f.name, func(t *testing.T) {
			eachCall(t, func(w *world, g *gitea.Client, c call) {
				w.gitea.Inject(giteatest.Fault{Do: f.do})
				te := trackerError(w, c.do(w.Context(), g))
				require.Equal(w, tracker.Lost, te.Outcome, te)
				require.LessOrEqual(w, len(te.Error()), 800, "a whole web page is not quoted")
			})
		})
	}
}

func TestACallGivesUpAfterItsTimeout(t *testing.T) {
	eachCall(t, func(w *world, g *gitea.Client, c call) {
		w.gitea.Inject(giteatest.Fault{Do: giteatest.Hang()})
		began := time.Now()
		te := trackerError(w, c.do(w.Context(), g))
		require.Equal(w, timeout, time.Since(began))
		require.Equal(w, tracker.Lost, te.Outcome)
	})
}

func TestACallEndsWithItsContext(t *testing.T) {
	eachCall(t, func(w *world, g *gitea.Client, c call) {
		w.gitea.Inject(giteatest.Fault{Do: giteatest.Hang()})
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		te := trackerError(w, c.do(ctx, g))
		require.Equal(w, tracker.Lost, te.Outcome)
	})
}

func TestWhatNeverReachedTheServerWasNotSent(t *testing.T) {
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

func TestOverARealConnectionWhatWasSentAndNotAnsweredIsLost(t *testing.T) {
	s := giteatest.New(nil)
	s.AddUser("adf-bot", giteatest.UserOptions{})
	s.AddToken("adf-bot", "t")
	s.AddRepo("terraphim", "adf-fleet")
	srv := httptest.NewServer(s)
	defer srv.Close()
	defer s.Close()
	g := gitea.New(gitea.Options{URL: srv.URL + "/", Tokens: &tokens{now: "t"}, Timeout: timeout})
	defer g.CloseIdle()
	s.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1, Do: giteatest.LostAnswer()})
	_, err := g.Create(t.Context(), repoOf(fleet), tracker.NewIssue{Title: "x"})
	require.Equal(t, tracker.Lost, trackerError(t, err).Outcome)
	require.Len(t, s.Issues(fleet), 1, "Go's client did not send it twice")
	_, err = g.Create(t.Context(), repoOf(fleet), tracker.NewIssue{Title: "y"})
	require.NoError(t, err)
}

func TestARedirectIsNeverFollowedSoAPostNeverBecomesAGet(t *testing.T) {
	play(t, func(w *world) {
		w.gitea.Rename(fleet, "fleet-2")
		g := w.over(w.gitea.Transport())
		_, err := g.Create(w.Context(), repoOf(fleet), tracker.NewIssue{Title: "x"})
		te := trackerError(w, err)
		require.Equal(w, 301, te.Status)
		require.Equal(w, "/api/v1/repos/terraphim/fleet-2/issues", te.Location)
		require.Len(w, w.asked(), 1)
		require.Empty(w, w.gitea.Issues("terraphim/fleet-2"))
	})
}

func TestAWriteThatDoesNotShowItsStateIsLost(t *testing.T) {
	play(t, func(w *world) {
		w.gitea.As("adf-bot").Open(fleet, "one", "")
		g := w.over(w.gitea.Transport())
		for _, body := range []string{`{}`, `{"id":5,"number":2,"state":"closed"}`, `{"id":5,"number":1,"state":"open"}`} {
			w.gitea.Inject(giteatest.Fault{Times: 1, Do: giteatest.Status(201, body)})
			_, err := g.SetOpen(w.Context(), tracker.IssueRef{Repo: repoOf(fleet), Number: 1}, false)
			require.Equal(w, tracker.Lost, trackerError(w, err).Outcome, body)
		}
		for _, body := range []string{`{}`, `{"id":5,"number":2}`} {
			w.gitea.Inject(giteatest.Fault{Times: 1, Do: giteatest.Status(200, body)})
			_, err := g.Get(w.Context(), repoOf(fleet), 1)
			require.Equal(w, tracker.Lost, trackerError(w, err).Outcome, body)
		}
	})
}

func TestAnAnswerIsReadUpToABoundOnly(t *testing.T) {
	var read atomic.Int64
	g := gitea.New(gitea.Options{URL: server, Tokens: &tokens{now: "t"}, Timeout: time.Minute,
		Transport: answers(func(*http.Request) *http.Response {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(&endless{n: &read})}
		})})
	_, err := g.List(t.Context(), repoOf(fleet), "adf-bot", false)
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

// without drops headers from answers, as proxies do.
func without(next http.RoundTripper, headers ...string) http.RoundTripper {
	return answers(func(r *http.Request) *http.Response {
		resp, err := next.RoundTrip(r)
		if err != nil {
			panic(err)
		}
		for _, h := range headers {
			resp.Header.Del(h)
		}
		return resp
	})
}

func TestAListHasAllPagesWhateverHeadersAProxyDrops(t *testing.T) {
	for _, dropped := range [][]string{nil, {"Link"}, {"X-Total-Count"}, {"Link", "X-Total-Count"}} {
		for _, n := range []int{0, 1, 49, 50, 51, 100, 120} {
			t.Run(fmt.Sprint(n, " issues without ", dropped), func(t *testing.T) {
				play(t, func(w *world) {
					for k := range n {
						w.gitea.As("adf-bot").Open(fleet, fmt.Sprint(k), "")
					}
					g := w.over(without(w.gitea.Transport(), dropped...))
					all, err := g.List(w.Context(), repoOf(fleet), "adf-bot", false)
					require.NoError(w, err)
					require.Len(w, all, n)
				})
			})
		}
	}
}

func TestAllLabelsAreListedWhereAServerGivesShorterPages(t *testing.T) {
	for _, dropped := range [][]string{nil, {"X-Total-Count"}} {
		play(t, func(w *world) {
			w.gitea.SetMaxItems(20)
			for k := range 45 {
				w.gitea.AddLabel(other, fmt.Sprint("label-", k))
			}
			ids, err := w.over(without(w.gitea.Transport(), dropped...)).Labels(w.Context(), repoOf(other))
			require.NoError(w, err)
			require.Len(w, ids, 45)
			require.Len(w, w.asked(), 3)
		})
	}
}

func TestAListThatIsNullIsNotTakenForAnEmptyOne(t *testing.T) {
	eachCall(t, func(w *world, _ *gitea.Client, c call) {
		if c.name == "list" || c.name == "comments" || c.name == "labels" {
			w.gitea.Inject(giteatest.Fault{Do: giteatest.NullBody()})
			te := trackerError(w, c.do(w.Context(), w.over(without(w.gitea.Transport(), "Link", "X-Total-Count"))))
			require.Equal(w, tracker.Lost, te.Outcome)
			require.Len(w, w.asked(), 1)
		}
	})
}

func TestAListThatShiftsWhileItIsReadIsReadAgain(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(w *world, n int64)
		all  bool
	}{
		{"an issue of the first page is deleted", func(w *world, n int64) { w.gitea.As("alex").Delete(fleet, n) }, true},
		{"an issue of the first page is closed", func(w *world, n int64) { w.gitea.As("alex").Close(fleet, n) }, false},
		{"an issue is opened", func(w *world, _ int64) { w.gitea.As("adf-bot").Open(fleet, "new", "") }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(w *world) {
				for n := range 60 {
					w.gitea.As("adf-bot").Open(fleet, fmt.Sprint(n), "")
				}
				w.gitea.Inject(giteatest.Fault{Match: giteatest.ListIssues(), Times: 1, Do: giteatest.Afterwards(func() { c.do(w, 55) })})
				found, err := w.over(w.gitea.Transport()).List(w.Context(), repoOf(fleet), "adf-bot", c.all)
				require.NoError(w, err)
				var got, want []int64
				for _, i := range found {
					got = append(got, i.Number)
				}
				for _, i := range w.issues(fleet) {
					if c.all || i.State == "open" {
						want = append(want, i.Number)
					}
				}
				require.ElementsMatch(w, want, got, "none is missing, and none is there that is not")
			})
		})
	}
	t.Run("again and again", func(t *testing.T) {
		play(t, func(w *world) {
			for n := range 60 {
				w.gitea.As("adf-bot").Open(fleet, fmt.Sprint(n), "")
			}
			n := int64(60)
			w.gitea.Inject(giteatest.Fault{Match: giteatest.ListIssues(), Do: giteatest.Afterwards(func() {
				n--
				w.gitea.As("alex").Delete(fleet, n)
			})})
			_, err := w.over(w.gitea.Transport()).List(w.Context(), repoOf(fleet), "adf-bot", true)
			require.ErrorContains(w, err, "the list changed while it was read")
			require.Len(w, w.asked(), 6)
		})
	})
}

func TestAPageThatFailsFailsTheList(t *testing.T) {
	play(t, func(w *world) {
		for n := range 60 {
			w.gitea.As("adf-bot").Open(fleet, fmt.Sprint(n), "")
		}
		w.gitea.Inject(giteatest.Fault{Match: giteatest.ListIssues(), After: 1, Times: 1, Do: giteatest.Status(500, "")})
		all, err := w.over(w.gitea.Transport()).List(w.Context(), repoOf(fleet), "adf-bot", false)
		require.Error(w, err)
		require.Empty(w, all, "it is everything or an error")
	})
}

func TestATokenIsReadAgainAfterA401AndTriedOnce(t *testing.T) {
	eachCall(t, func(w *world, g *gitea.Client, c call) {
		if c.name == "version" {
			return // it needs no token
		}
		w.gitea.RevokeToken("s3cret-token")
		err := c.do(w.Context(), g)
		require.Equal(w, 401, trackerError(w, err).Status)
		require.Len(w, w.asked(), 1, "the same token is not tried twice")

		w.gitea.AddToken("adf-bot", "new-token")
		w.tokens.next = "new-token"
		require.NoError(w, c.do(w.Context(), g))
		require.Len(w, w.asked(), 2)
		require.NoError(w, c.do(w.Context(), g))
		require.Len(w, w.asked(), 1)
	})
}

func TestRequestsThatMeetTheRotationTogetherAllGoOnWithTheNewToken(t *testing.T) {
	eachCall(t, func(w *world, _ *gitea.Client, c call) {
		const atOnce = 3
		var sent, done sync.WaitGroup
		sent.Add(atOnce)
		g := w.over(way(func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("Authorization") == "token s3cret-token" {
				sent.Done()
				sent.Wait() // all are under way before the first is answered
			}
			return w.gitea.Transport().RoundTrip(r)
		}))
		w.gitea.RevokeToken("s3cret-token")
		w.gitea.AddToken("adf-bot", "new-token")
		w.tokens.next = "new-token"
		errs := make([]error, atOnce)
		for n := range errs {
			done.Go(func() { errs[n] = c.do(w.Context(), g) })
		}
		done.Wait()
		require.NoError(w, errors.Join(errs...))
	})
}

func TestATokenIsMaskedBeforeItIsSent(t *testing.T) {
	eachCall(t, func(w *world, _ *gitea.Client, c call) {
		if c.name == "version" {
			return // it needs no token
		}
		redactor, sent := redact.New(), []string(nil)
		g := gitea.New(gitea.Options{URL: server, Tokens: w.tokens, Timeout: timeout, Redact: redactor,
			Transport: way(func(r *http.Request) (*http.Response, error) {
				sent = append(sent, redactor.Redact(strings.TrimPrefix(r.Header.Get("Authorization"), "token ")))
				return w.gitea.Transport().RoundTrip(r)
			})})
		w.gitea.RevokeToken("s3cret-token")
		w.gitea.AddToken("adf-bot", "new-token")
		w.tokens.next = "new-token"
		require.NoError(w, c.do(w.Context(), g))
		require.Equal(w, []string{"[masked]", "[masked]"}, sent)
		require.Equal(w, "[masked] [masked]", redactor.Redact("s3cret-token new-token"), "the old one is a secret still")
	})
}

func TestAnErrorNeverShowsTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, text := range []string{"s3cret-token", "Authorization: token s3cret-token", "https://adf-bot:s3cret-token@git.example.org"} {
			g := gitea.New(gitea.Options{URL: server, Tokens: &tokens{now: "s3cret-token"}, Timeout: timeout,
				Redact: redact.New("s3cret-token"),
				Transport: answers(func(*http.Request) *http.Response {
					return &http.Response{StatusCode: 302, Header: http.Header{"Location": {"/login?t=" + text}}, Body: io.NopCloser(strings.NewReader(text))}
				})})
			for _, c := range calls() {
				err := c.do(t.Context(), g)
				require.Error(t, err)
				require.NotContains(t, err.Error(), "s3cret", c.name)
			}
		}
	})
}
