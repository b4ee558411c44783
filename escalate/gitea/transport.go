package gitea

import (
	"fmt"
	"io"
	"net/http"

	"github.com/terraphim/adfbot/internal/redact"
)

// authTransport sets the token and caps the answer. After a 401 it reads the token again and, if it is another one, asks
// once more: a rotated token needs no restart.
type authTransport struct {
	tokens TokenSource
	redact *redact.Redactor
	next   http.RoundTripper
}

func (t *authTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := t.tokens.Token()
	if err != nil {
		return nil, &tokenError{err}
	}
	resp, err := t.once(r, token)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || (r.Body != nil && r.GetBody == nil) {
		return resp, err
	}
	// What Reload tells does not count: another request may have taken the new token over since this one was sent.
	_, _ = t.tokens.Reload()
	fresh, err := t.tokens.Token()
	if err != nil || fresh == token {
		return resp, nil
	}
	again := r.Clone(r.Context())
	if r.GetBody != nil {
		if again.Body, err = r.GetBody(); err != nil {
			return resp, nil
		}
	}
	_ = resp.Body.Close()
	return t.once(again, fresh)
}

func (t *authTransport) once(r *http.Request, token string) (*http.Response, error) {
	t.redact.Learn(token) // it may have been rotated since: nothing that comes of using it may show it
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "token "+token)
	r.Header.Set("User-Agent", "adfbot")
	resp, err := t.next.RoundTrip(r)
	if err == nil {
		resp.Body = &cappedBody{ReadCloser: resp.Body, left: maxAnswer}
	}
	return resp, err
}

// tokenError: there is no token to send, so nothing was sent.
type tokenError struct{ err error }

func (e *tokenError) Error() string { return e.err.Error() }
func (e *tokenError) Unwrap() error { return e.err }

type cappedBody struct {
	io.ReadCloser
	left int64
}

func (b *cappedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the answer is larger than %d MB: an issue of the bot has grown too large, shorten its body", maxAnswer>>20)
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	return n, err
}

// StaticToken is a [TokenSource] for a token that never changes.
type StaticToken string

// Token implements [TokenSource].
func (t StaticToken) Token() (string, error) { return string(t), nil }

// Reload implements [TokenSource].
func (t StaticToken) Reload() (changed bool, err error) { return false, nil }
