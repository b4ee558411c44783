package escalate_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/gitea"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/testworld"
)

// The client's token.

// After a 401 the token is read again and tried once.
func TestRotatedToken(t *testing.T) {
	eachCall(t, func(w *world, g *gitea.Client, c call) {
		if c.name == "version" {
			return // it needs no token
		}
		w.Gitea.RevokeToken(testworld.Token)
		err := c.do(w.Context(), g)
		require.Equal(w, 401, trackerError(w, err).Status)
		require.Len(w, w.asked(), 1, "the same token is not tried twice")

		w.Gitea.AddToken("adf-bot", "new-token")
		w.tokens.next = "new-token"
		require.NoError(w, c.do(w.Context(), g))
		require.Len(w, w.asked(), 2)
		require.NoError(w, c.do(w.Context(), g))
		require.Len(w, w.asked(), 1)
	})
}

// A token that lacks a scope, is limited to public repositories or is of an account that does not see the repository stays valid when
// somebody puts another one into the file.
func TestBetterToken(t *testing.T) {
	for _, status := range []int{http.StatusForbidden, http.StatusNotFound} {
		eachCall(t, func(w *world, _ *gitea.Client, c call) {
			w.Gitea.AddToken("adf-bot", "new-token")
			sent := 0
			g := w.over(way(func(r *http.Request) (*http.Response, error) {
				if sent++; r.Header.Get("Authorization") != "token "+testworld.Token {
					return w.Gitea.Transport().RoundTrip(r)
				}
				return &http.Response{StatusCode: status, Request: r, Header: http.Header{"Content-Type": {"application/json"}},
					Body: io.NopCloser(strings.NewReader(`{"message":"no"}`))}, nil
			}))
			require.Equal(w, status, trackerError(w, c.do(w.Context(), g)).Status)
			require.Equal(w, 1, sent, "the same token is not tried twice")

			w.tokens.next = "new-token"
			require.NoError(w, c.do(w.Context(), g))
			require.Equal(w, 3, sent)
			require.NoError(w, c.do(w.Context(), g))
			require.Equal(w, 4, sent)
		})
	}
}

// All of them go on with the new token.
func TestRequestsDuringTokenRotation(t *testing.T) {
	eachCall(t, func(w *world, _ *gitea.Client, c call) {
		const atOnce = 3
		var sent, done sync.WaitGroup
		sent.Add(atOnce)
		g := w.over(way(func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("Authorization") == "token "+testworld.Token {
				sent.Done()
				sent.Wait() // all are under way before the first is answered
			}
			return w.Gitea.Transport().RoundTrip(r)
		}))
		w.Gitea.RevokeToken(testworld.Token)
		w.Gitea.AddToken("adf-bot", "new-token")
		w.tokens.next = "new-token"
		errs := make([]error, atOnce)
		for n := range errs {
			done.Go(func() { errs[n] = c.do(w.Context(), g) })
		}
		done.Wait()
		require.NoError(w, errors.Join(errs...))
	})
}

func TestTokenMaskedBeforeUse(t *testing.T) {
	eachCall(t, func(w *world, _ *gitea.Client, c call) {
		if c.name == "version" {
			return // it needs no token
		}
		redactor, sent := redact.New(), []string(nil)
		g := gitea.New(gitea.Options{URL: server, Tokens: w.tokens, Timeout: timeout, Redact: redactor,
			Transport: way(func(r *http.Request) (*http.Response, error) {
				sent = append(sent, redactor.Redact(strings.TrimPrefix(r.Header.Get("Authorization"), "token ")))
				return w.Gitea.Transport().RoundTrip(r)
			})})
		w.Gitea.RevokeToken(testworld.Token)
		w.Gitea.AddToken("adf-bot", "new-token")
		w.tokens.next = "new-token"
		require.NoError(w, c.do(w.Context(), g))
		require.Equal(w, []string{"[masked]", "[masked]"}, sent)
		require.Equal(w, "[masked] [masked]", redactor.Redact(testworld.Token+" new-token"), "the old one is a secret still")
	})
}

// No error shows the token.
func TestTokenInErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, text := range []string{testworld.Token, "Authorization: token " + testworld.Token, "https://adf-bot:" + testworld.Token + "@git.example.org"} {
			g := gitea.New(gitea.Options{URL: server, Tokens: &tokens{now: testworld.Token}, Timeout: timeout,
				Redact: redact.New(testworld.Token),
				Transport: answers(func(*http.Request) *http.Response {
					return &http.Response{StatusCode: 302, Header: http.Header{"Location": {"/login?t=" + text}}, Body: io.NopCloser(strings.NewReader(text))}
				})})
			for _, c := range calls() {
				err := c.do(t.Context(), g)
				require.Error(t, err)
				require.NotContains(t, err.Error(), testworld.Token[:6], c.name)
			}
		}
	})
}
