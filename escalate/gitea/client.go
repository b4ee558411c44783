// Package gitea implements [tracker.Client] for a Gitea server. It is the only package that imports Gitea's SDK.
//
// It closes three traps of the SDK. A redirect is never followed: Go would turn a redirected POST into a GET that
// answers 200. Every request has a timeout. An answer is read up to a limit only.
package gitea

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/redact"
)

const (
	maxConcurrent = 8  // requests of one process; others use the server, too
	pageSize      = 50 // Gitea's own maximum (recording settings-api.json)
	maxPages      = 2000
	maxListTime   = 2 * time.Minute // for all pages; 2,000 of them take 70 s
	maxListWait   = 5 * time.Minute // after a Retry-After, which may be a guess: meanwhile nobody sees what people write
	maxAnswer     = 64 << 20        // bytes; 50 issues of the bot take at most 3 MB, but people may edit bodies
	maxBeginning  = 16 << 10        // bytes of a new comment that are read
	maxObjects    = 200_000         // in an answer; 64 MB of comments hold some 110,000
)

// TokenSource provides the token for each request. Reload reads it again after a refusal and reports whether it changed.
// Both may be called concurrently.
type TokenSource interface {
	Token() (string, error)
	Reload() (changed bool, err error)
}

// StaticToken is a [TokenSource] for a token that never changes.
type StaticToken string

func (t StaticToken) Token() (string, error) { return string(t), nil }

func (t StaticToken) Reload() (changed bool, err error) { return false, nil }

// Options configure a [Client]. URL, Tokens and Timeout are required.
type Options struct {
	URL       string // base URL of the server
	Tokens    TokenSource
	Timeout   time.Duration     // of each request
	Roots     *x509.CertPool    // nil: the system's
	Transport http.RoundTripper // nil: the network
	Redact    *redact.Redactor  // masks errors; learns each token before it is sent; may be nil
	// Observe, if not nil, is called after each request with the operation (without issue number or label name), the
	// HTTP status (0 without an answer) and the duration. Calls are concurrent.
	Observe func(op string, status int, took time.Duration)
}

// Client is a [tracker.Client] for a Gitea server. It is safe for concurrent use. A 2xx answer that cannot be read
// counts as [tracker.Lost], because the server did the work.
type Client struct {
	opt   Options
	http  *http.Client
	slots chan struct{}
	busy  atomic.Pointer[busyServer] // nil: the server has never asked to wait
}

var _ tracker.Client = (*Client)(nil)

// New returns a client. It sends no request.
func New(o Options) *Client {
	next := o.Transport
	if next == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.TLSClientConfig = &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12}
		t.MaxIdleConnsPerHost = maxConcurrent
		t.OnProxyConnectResponse = proxyRefusal
		next = t
	}
	o.URL = strings.TrimSuffix(o.URL, "/")
	return &Client{opt: o, slots: make(chan struct{}, maxConcurrent), http: &http.Client{
		Transport:     &authTransport{tokens: o.Tokens, redact: o.Redact, next: next},
		Timeout:       o.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// proxyRefusal returns an error that [adviseConnection] recognizes if a proxy does not open a tunnel: Go's own error is only the
// text of the status.
func proxyRefusal(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return &net.OpError{Op: "proxyconnect", Net: "tcp", Err: errors.New(resp.Status)}
}

// CloseIdle closes idle connections.
func (g *Client) CloseIdle() { g.http.CloseIdleConnections() }

type slotKey struct{} // of a context that holds a slot

// Reserve implements [tracker.Limiter]. Reserve a slot before recording that a request is about to be sent: otherwise
// the record ages while the request waits.
func (g *Client) Reserve(ctx context.Context) (held context.Context, release func()) {
	if ctx.Value(slotKey{}) != nil {
		return ctx, func() {}
	}
	select {
	case g.slots <- struct{}{}:
		return context.WithValue(ctx, slotKey{}, true), sync.OnceFunc(func() { <-g.slots })
	case <-ctx.Done():
		return ctx, func() {}
	}
}
