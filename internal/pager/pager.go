// Package pager posts documents to webhooks: a receiver of chat messages, or a service that wakes somebody.
//
// The URL of a webhook is a secret, so it is read from a file for each request, and no error shows it. A redirect is not followed: the
// request would go on without its document. Every request has a timeout.
package pager

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/terraphim/adfbot/internal/redact"
)

const (
	timeout   = 10 * time.Second
	maxAnswer = 64 << 10  // bytes that are read of an answer, so that its connection can be used again
	maxWait   = time.Hour // that a receiver may ask for
)

// Client is an escalate.WebhookSender. It is safe for concurrent use.
type Client struct {
	read    func(file string) (string, error)
	observe func(ok bool)
	http    *http.Client
}

// New returns a client. read returns the secret in a file; observe is called after each request and may be nil; roots are the
// certificates to trust, nil for the system's.
func New(read func(file string) (string, error), roots *x509.CertPool, observe func(ok bool)) *Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return &Client{read: read, observe: observe, http: &http.Client{
		Transport: t, Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// CloseIdle closes idle connections.
func (c *Client) CloseIdle() { c.http.CloseIdleConnections() }

// Check returns why a file holds no URL that a document can be posted to.
func (c *Client) Check(file string) error {
	_, err := c.url(file)
	return err
}

func (c *Client) url(file string) (*url.URL, error) {
	secret, err := c.read(file)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(secret)
	switch {
	case err != nil: // which shows it
		return nil, fmt.Errorf("%s holds no URL: write https://… to it", file)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Opaque != "":
		return nil, fmt.Errorf("%s must hold a URL that begins with https:// or http:// and has a host", file)
	}
	return u, nil
}

// Send posts a document to the URL in a file. The receiver gets the id of the event as the Idempotency-Key, too. With an error it returns
// how long the receiver asks to wait, 0 if it does not.
func (c *Client) Send(ctx context.Context, file, event string, document []byte) (wait time.Duration, err error) {
	u, err := c.url(file)
	if err != nil {
		return 0, err
	}
	if c.observe != nil {
		defer func() { c.observe(err == nil) }()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(document))
	if err != nil {
		return 0, fmt.Errorf("%s holds no URL: write https://… to it", file)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "adfbot")
	req.Header.Set("Idempotency-Key", event)
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, fmt.Errorf("the webhook in %s does not answer: %s; this is retried automatically%s", file, cause(err, u), restart(file))
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode/100 == 2 {
		return 0, nil
	}
	return retryAfter(resp), fmt.Errorf("the webhook in %s answers with status %d: %s%s", file, resp.StatusCode, fix(resp.StatusCode), restart(file))
}

// cause returns why there is no answer, without the URL.
func cause(err error, u *url.URL) string {
	var e *url.Error
	if errors.As(err, &e) {
		if err = e.Err; e.Timeout() {
			return fmt.Sprintf("it took more than %s", timeout)
		}
	}
	password, _ := u.User.Password()
	return redact.New(u.String(), u.RequestURI(), password).Line(err.Error(), 200)
}

// fix says what to do about a status.
func fix(status int) string {
	switch {
	case status/100 == 3:
		return "redirects are not followed, so write the URL to which it redirects into the file"
	case status == http.StatusTooManyRequests || status/100 == 5:
		return "this is retried automatically"
	}
	return "correct the URL in the file; this is retried automatically"
}

// restart says what another URL in the file needs, if systemd has given the daemon the file as it was when the daemon was started.
func restart(file string) string {
	if !strings.HasPrefix(file, "$CREDENTIALS_DIRECTORY/") {
		return ""
	}
	return "; if the URL is corrected, restart the daemon, which has it from LoadCredential="
}

// retryAfter returns how long the receiver asks to wait.
func retryAfter(resp *http.Response) time.Duration {
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxWait)
}
