package gitea

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/terraphim/adfbot/internal/redact"
)

// authTransport sets the token and limits the size of the answer. After a refusal that another token may not get, it reads the token
// again and, if it changed, repeats the request: replacing a token needs no restart.
type authTransport struct {
	tokens TokenSource
	redact *redact.Redactor
	next   http.RoundTripper
}

// ofToken are the statuses with which Gitea refuses a token: one that is wrong or revoked; one that lacks a scope; one that is limited to
// public repositories, or whose account does not see what was asked for. With the last two, the earlier token stays valid.
var ofToken = []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound}

func (t *authTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := t.tokens.Token()
	if err != nil {
		return nil, &tokenError{err}
	}
	resp, err := t.once(r, token)
	if err != nil || !slices.Contains(ofToken, resp.StatusCode) || (r.Body != nil && r.GetBody == nil) {
		return resp, err
	}
	// Another request may have reloaded the token since this one was sent, so compare tokens instead of asking Reload.
	_, _ = t.tokens.Reload()
	reloaded, err := t.tokens.Token()
	if err != nil || reloaded == token {
		return resp, nil
	}
	again := r.Clone(r.Context())
	if r.GetBody != nil {
		if again.Body, err = r.GetBody(); err != nil {
			return resp, nil
		}
	}
	_ = resp.Body.Close()
	return t.once(again, reloaded)
}

func (t *authTransport) once(r *http.Request, token string) (*http.Response, error) {
	t.redact.Learn(token) // before the token can appear in an error
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "token "+token)
	r.Header.Set("User-Agent", "adfbot")
	resp, err := t.next.RoundTrip(r)
	if err == nil {
		resp.Body = &limitedBody{ReadCloser: resp.Body, left: maxAnswer}
		markForeign(resp)
	}
	return resp, err
}

// foreignHeader marks an answer for [isForeign].
const foreignHeader = "Adfbot-Foreign"

// maxRefusal is how much of an answer is read to know whose it is.
const maxRefusal = 64 << 10

// markForeign marks a 403 in JSON that is not written as those of Gitea and Forgejo, and an empty one. Of what is asked here, Gitea answers so
// only to whoever changes somebody else's issue, Forgejo also to whoever may not set labels. What checks requests in front of them does, too.
func markForeign(resp *http.Response) {
	resp.Header.Del(foreignHeader)
	if resp.StatusCode != http.StatusForbidden {
		return
	}
	if resp.Header.Get("Content-Type") == "" {
		resp.Header.Set(foreignHeader, "yes")
	}
	if !isJSON(resp) {
		return
	}
	read, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	var said struct {
		Message *string
		URL     *string // of the description of the API
	}
	if json.Unmarshal(read, &said) != nil || said.Message == nil || said.URL == nil {
		resp.Header.Set(foreignHeader, "yes")
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(read), resp.Body), resp.Body}
}

// isForeign reports whether a refusal is another program's than Gitea. It has no reason of Gitea's either: those of its checks of
// an account stand alone.
func isForeign(resp *http.Response, err error) bool {
	return resp.Header.Get(foreignHeader) != "" && ownWords(err.Error()).words == ""
}

// tokenError means that there is no token, so no request was sent.
type tokenError struct{ error }

func (e *tokenError) Unwrap() error { return e.error }

var (
	errTooLarge = fmt.Errorf("the answer is larger than %d MB", maxAnswer>>20)
	errTooMany  = fmt.Errorf("the answer holds more than %d objects, as none of Gitea's does", maxObjects)
)

// limitedBody is an [io.LimitedReader] that fails at the limit instead of ending. It also limits the objects of JSON: an empty one
// takes three bytes here and hundreds when it is decoded.
type limitedBody struct {
	io.ReadCloser
	left    int64
	objects int

	inString, escaped bool
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if b.count(p[:n]); b.objects > maxObjects {
		return 0, errTooMany
	}
	return n, err
}

// count counts the objects that begin outside of strings.
func (b *limitedBody) count(p []byte) {
	for len(p) > 0 {
		if b.escaped {
			b.escaped, p = false, p[1:]
			continue
		}
		n := bytes.IndexByte(p, '"')
		quoted := n >= 0
		if !quoted {
			n = len(p)
		}
		if b.inString {
			// Of backslashes in a row, each second one stands for itself.
			slashes := n - len(bytes.TrimRight(p[:n], `\`))
			b.escaped = slashes%2 == 1
			b.inString = !quoted || b.escaped
		} else {
			b.objects += bytes.Count(p[:n], []byte{'{'})
			b.inString = quoted
		}
		if p = p[n:]; quoted && !b.escaped {
			p = p[1:]
		}
	}
}
