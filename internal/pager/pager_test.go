package pager_test

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/pager"
)

const secret = "T0KEN-of-0123456789"

// receiver is a webhook, and the client that knows its URL.
func receiver(t *testing.T, start func(http.Handler) *httptest.Server, answer http.HandlerFunc) (*pager.Client, *httptest.Server, *[]bool) {
	t.Helper()
	s := start(answer)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	if cert := s.Certificate(); cert != nil {
		roots.AddCert(cert)
	}
	sent := &[]bool{}
	c := pager.New(func(file string) (string, error) {
		require.Equal(t, "pager-url", path.Base(file))
		return s.URL + "/hooks/" + secret + "?key=" + secret, nil
	}, roots, func(ok bool) { *sent = append(*sent, ok) })
	t.Cleanup(c.CloseIdle)
	return c, s, sent
}

func TestSend(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(http.Handler) *httptest.Server{"http": httptest.NewServer, "https": httptest.NewTLSServer} {
		t.Run(name, func(t *testing.T) {
			var got *http.Request
			var body []byte
			c, _, sent := receiver(t, start, func(w http.ResponseWriter, r *http.Request) {
				got = r
				body, _ = io.ReadAll(r.Body)
				w.WriteHeader(http.StatusNoContent)
			})
			wait, err := c.Send(t.Context(), "/etc/adfbot/pager-url", "abc/step/3600", []byte(`{"version":1}`))
			require.NoError(t, err)
			require.Zero(t, wait)
			require.Equal(t, []bool{true}, *sent)
			require.Equal(t, "POST", got.Method)
			require.Equal(t, "/hooks/"+secret+"?key="+secret, got.RequestURI)
			require.Equal(t, "application/json", got.Header.Get("Content-Type"))
			require.Equal(t, "abc/step/3600", got.Header.Get("Idempotency-Key"))
			require.JSONEq(t, `{"version":1}`, string(body))
		})
	}
}

func TestSendFails(t *testing.T) {
	t.Parallel()
	status := func(code int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for n := 0; n+1 < len(header); n += 2 {
				w.Header().Set(header[n], header[n+1])
			}
			http.Error(w, "no hook "+r.RequestURI, code)
		}
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
		wait   time.Duration
	}{
		"gone":           {status(404), "the webhook in /etc/adfbot/pager-url answers with status 404: correct the URL in the file", 0},
		"down":           {status(503), "answers with status 503: this is retried automatically", 0},
		"busy":           {status(429, "Retry-After", "120"), "answers with status 429: this is retried automatically", 2 * time.Minute},
		"busy for years": {status(429, "Retry-After", "99999999"), "status 429", time.Hour},
		"a redirect":     {status(302, "Location", "/elsewhere"), "status 302: redirects are not followed", 0},
		"no answer": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			"the webhook in /etc/adfbot/pager-url does not answer: EOF; this is retried automatically", 0},
	} {
		t.Run(name, func(t *testing.T) {
			client, _, sent := receiver(t, httptest.NewServer, c.answer)
			wait, err := client.Send(t.Context(), "/etc/adfbot/pager-url", "e", []byte(`{}`))
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), secret)
			require.NotContains(t, err.Error(), "hooks")
			require.Equal(t, c.wait, wait)
			require.Equal(t, []bool{false}, *sent)
		})
	}
}

// systemd gives the daemon the file as it was when the daemon was started.
func TestSendOfCredential(t *testing.T) {
	t.Parallel()
	for _, code := range []int{302, 404, 503} {
		client, _, _ := receiver(t, httptest.NewServer, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
		_, err := client.Send(t.Context(), "$CREDENTIALS_DIRECTORY/pager-url", "e", nil)
		require.ErrorContains(t, err, "; if the URL is corrected, restart the daemon, which has it from LoadCredential=")
	}
}

func TestSendNotReached(t *testing.T) {
	t.Parallel()
	c, s, _ := receiver(t, httptest.NewServer, nil)
	s.Close()
	_, err := c.Send(t.Context(), "/etc/adfbot/pager-url", "e", nil)
	require.ErrorContains(t, err, "connection refused")
	require.NotContains(t, err.Error(), secret)

	c = pager.New(func(string) (string, error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { _ = l.Close() })
		return "https://" + l.Addr().String() + "/" + secret, nil
	}, nil, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = c.Send(ctx, "/etc/adfbot/pager-url", "e", nil)
	require.ErrorContains(t, err, "does not answer")
	require.NotContains(t, err.Error(), secret)
}

// Another certificate is not taken.
func TestSendToStranger(t *testing.T) {
	t.Parallel()
	_, s, _ := receiver(t, httptest.NewTLSServer, func(http.ResponseWriter, *http.Request) { t.Error("it got the document") })
	c := pager.New(func(string) (string, error) { return s.URL + "/" + secret, nil }, x509.NewCertPool(), nil)
	_, err := c.Send(t.Context(), "f", "e", nil)
	require.ErrorContains(t, err, "certificate")
	require.NotContains(t, err.Error(), secret)
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"https://hooks.example/" + secret:      "",
		"http://user:" + secret + "@localhost": "",
		"hooks.example/" + secret:              "must hold a URL that begins with https:// or http://",
		"ftp://hooks.example/" + secret:        "must hold a URL that begins with https://",
		"https:" + secret:                      "must hold a URL",
		"https://":                             "must hold a URL",
		"https://hooks example/" + secret:      "holds no URL",
		"%" + secret:                           "holds no URL",
	} {
		c := pager.New(func(string) (string, error) { return content, nil }, nil, nil)
		err := c.Check("/etc/adfbot/pager-url")
		if want == "" {
			require.NoError(t, err, content)
			continue
		}
		require.ErrorContains(t, err, want, content)
		require.NotContains(t, err.Error(), secret)
		_, sendErr := c.Send(t.Context(), "/etc/adfbot/pager-url", "e", nil)
		require.Equal(t, err, sendErr)
	}
	c := pager.New(func(string) (string, error) { return "", errors.New("it is open to every user") }, nil, nil)
	require.ErrorContains(t, c.Check("f"), "open to every user")
}
