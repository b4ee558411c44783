// Package client reports results to the daemon through its Unix socket, for the users of `adfbot exec` and `adfbot record` to
// whom the state does not belong.
//
// A result that the daemon does not take now is kept in a folder of the user's own, mode 0700, one file each, and is sent
// before the user's next result. A file is removed only after the daemon has answered, so a crash in between sends it twice:
// that is safe, because a result reported here has a run id, under which the daemon records it once. There are no locks, for
// the same reason.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
)

const (
	dialTimeout = 5 * time.Second
	// sendTimeout limits one report. After a trip the daemon asks Gitea before it answers, which may take longer: the result
	// is kept here then, and a later answer says that it is known.
	sendTimeout = 30 * time.Second
	maxAnswer   = 1 << 20
)

// Client reports results for one user.
type Client struct {
	http   *http.Client
	socket string
	spools []string
	now    func() time.Time
}

// New returns a client for the daemon at a socket. It keeps results in the first of the folders that can be written; see
// [SpoolDirs].
func New(socket string, spools []string, now func() time.Time) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "unix", socket)
	}
	return &Client{
		http:   &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dial}},
		socket: socket, spools: spools, now: now,
	}
}

// Report sends the results that were kept, and then r, which has a run id. It keeps r where the daemon does not take it now.
func (c *Client) Report(ctx context.Context, r store.Result) status.Reported {
	var m messages
	c.sendKept(ctx, &m)
	a, err := c.send(ctx, r)
	var no *refusal
	switch {
	case err == nil && a.recorded != nil:
	case err == nil:
		m.addf("%s", a.spooled)
	case errors.As(err, &no) && !no.temporary():
		m.addf("the result is not recorded: %v", err)
	default:
		m.addf("%v", err)
		if file, err := c.keep(r); err == nil {
			m.addf("the result is kept in %s and is sent before the next one of this user; do not record it again", file)
		} else {
			m.addf("%s", status.LostText(r, err))
		}
	}
	return status.Reported{Result: a.recorded, Messages: m}
}

// messages are for the person who reads stderr.
type messages []string

func (m *messages) addf(format string, args ...any) { *m = append(*m, fmt.Sprintf(format, args...)) }

// answer is how the daemon took a result.
type answer struct {
	recorded *status.ResultView // nil: it is spooled
	spooled  string             // says so
}

// refusal is the daemon's answer to a result that it did not take.
type refusal struct {
	status        int
	title, detail string
}

func (e *refusal) Error() string { return fmt.Sprintf("the daemon says: %s: %s", e.title, e.detail) }

// temporary reports whether the daemon may take the same result later: after a repair, or with another configuration.
func (e *refusal) temporary() bool {
	switch e.status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusTooManyRequests:
		return true
	}
	return e.status >= 500
}

// resultJSON is the body of POST /api/v1/results.
type resultJSON struct {
	Project  string    `json:"project"`
	Agent    string    `json:"agent"`
	Outcome  string    `json:"outcome"`
	ExitCode int       `json:"exit_code"`
	Signal   string    `json:"signal,omitempty"`
	Detail   string    `json:"detail,omitempty"`
	RunID    string    `json:"run_id"`
	Started  time.Time `json:"started_at,omitzero"`
	Finished time.Time `json:"finished_at,omitzero"`
	Host     string    `json:"host,omitempty"`
	Output   string    `json:"output,omitempty"`
}

// send reports one result. A *refusal is the daemon's answer; with any other error there was none.
func (c *Client) send(ctx context.Context, r store.Result) (answer, error) {
	body, err := json.Marshal(resultJSON{
		Project: r.Project, Agent: r.Agent, Outcome: r.Outcome, ExitCode: r.ExitCode, Signal: r.Signal, Detail: r.Detail, RunID: r.RunID,
		Started: r.Started, Finished: r.Finished, Host: r.Host, Output: r.Output,
	})
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://adfbot/api/v1/results", bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("the daemon does not answer at %s (is `adfbot serve` running?): %w", c.socket, errors.Unwrap(err))
	}
	defer func() { _ = res.Body.Close() }()
	doc, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return answer{}, fmt.Errorf("the daemon's answer at %s broke off: %w", c.socket, err)
	}
	switch res.StatusCode {
	case http.StatusOK:
		var v status.ResultView
		if err := json.Unmarshal(doc, &v); err != nil {
			return answer{}, fmt.Errorf("what answers at %s is no adfbot: %w", c.socket, err)
		}
		return answer{recorded: &v}, nil
	case http.StatusAccepted:
		var v status.SpooledView
		if err := json.Unmarshal(doc, &v); err == nil && v.Spooled {
			return answer{spooled: v.Why}, nil
		}
	}
	var problem struct{ Title, Detail string }
	_ = json.Unmarshal(doc, &problem) // what is no problem has a status all the same
	if problem.Title == "" {
		problem.Title = res.Status
	}
	return answer{}, &refusal{status: res.StatusCode, title: problem.Title, detail: problem.Detail}
}
