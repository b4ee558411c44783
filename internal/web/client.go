package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
)

const (
	// sendTimeout bounds one report. A trip is answered when Gitea has been asked, which may take longer; the result is then
	// on the daemon's disk already, and is kept here too until a later answer says so.
	sendTimeout  = 30 * time.Second
	flushTimeout = 20 * time.Second // for all results that wait
	maxAnswer    = 1 << 20
)

// Client brings results to the daemon's Unix socket, for users to whom the state does not belong. It is a [bot.Courier].
// What can't be sent waits in a folder of the user's own, mode 0700, and is sent before the user's next result.
type Client struct {
	http   *http.Client
	path   string
	now    func() time.Time
	spools []string // folders in which results may wait, the preferred one first
}

var _ bot.Courier = (*Client)(nil)

// NewClient makes a client for the daemon at the socket. It does not connect.
func NewClient(socket string, getenv func(string) string, now func() time.Time) *Client {
	return &Client{
		path:   socket,
		now:    now,
		spools: spoolDirs(getenv),
		http: &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "unix", socket)
			},
		}},
	}
}

// Deliver is [bot.Courier.Deliver].
func (c *Client) Deliver(ctx context.Context, r store.Result) bot.Delivery {
	var d bot.Delivery
	say := func(format string, args ...any) { d.Said = append(d.Said, fmt.Sprintf(format, args...)) }
	c.flush(ctx, say)
	view, err := c.send(ctx, r)
	var no *sendError
	switch {
	case err == nil:
		d.View = &view
		return d
	case errors.As(err, &no) && no.spooled:
		say("%s", no.detail)
		return d
	case errors.As(err, &no) && !no.later():
		say("the result is not recorded: %v", err)
		return d
	}
	say("%v", err)
	file, err := c.keep(r)
	if err == nil {
		say("the result is kept in %s and is sent before the next one of this user; do not record it again", file)
		return d
	}
	say("%s (it could not be kept: %v)", status.LostText(r), err)
	return d
}

// flush sends what waits, the oldest first. Two processes may do it at once: a run id is recorded once.
func (c *Client) flush(ctx context.Context, say func(string, ...any)) {
	waiting := c.waiting()
	if len(waiting) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	sent := 0
	refused := map[string]bool{} // projects for which nothing is taken from this user now
	for _, e := range waiting {
		if e.Err != nil {
			say("the kept result %s can't be read, it is left there: %v", e.File, e.Err)
			continue
		}
		if refused[e.Result.Project] {
			continue
		}
		_, err := c.send(ctx, notAfter(e.Result, c.now()))
		var no *sendError
		switch {
		case err == nil, errors.As(err, &no) && no.spooled:
			sent++
		case !errors.As(err, &no), no.status >= 500:
			return // the new result will say so
		case no.later():
			refused[e.Result.Project] = true
			continue
		case no.status == http.StatusConflict:
			say("the kept result %s contradicts the recorded one, it is dropped: %v", e.File, err)
		default:
			say("the daemon does not take the kept result %s, it is set aside: %v", e.File, err)
			if os.Rename(e.File, strings.TrimSuffix(e.File, ".json")+".refused") == nil {
				continue
			}
		}
		if err := e.Remove(); err != nil {
			say("%v", err)
		}
	}
	if sent > 0 {
		say("%d kept results were sent", sent)
	}
}

// notAfter is a result whose times are not in the future: the clock was set back while it waited, and the daemon, which has
// the same clock, would refuse it for ever.
func notAfter(r store.Result, now time.Time) store.Result {
	if r.Finished.After(now) {
		r.Finished = now
	}
	if r.Started.After(now) {
		r.Started = now
	}
	return r
}

// sendError is the daemon's refusal.
type sendError struct {
	status  int
	title   string
	detail  string
	spooled bool // the daemon has it on disk and counts it later
}

func (e *sendError) Error() string { return fmt.Sprintf("the daemon says: %s: %s", e.title, e.detail) }

// later tells whether the same result may be taken another time: after a repair, or a change of the configuration.
func (e *sendError) later() bool {
	switch e.status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusTooManyRequests:
		return true
	}
	return e.status >= 500
}

// resultJSON is the body of POST /api/v1/results.
type resultJSON struct {
	Project  string     `json:"project"`
	Agent    string     `json:"agent"`
	Outcome  string     `json:"outcome"`
	ExitCode int        `json:"exit_code"`
	Signal   string     `json:"signal,omitempty"`
	Detail   string     `json:"detail,omitempty"`
	RunID    string     `json:"run_id"`
	Started  *time.Time `json:"started_at,omitempty"`
	Finished *time.Time `json:"finished_at,omitempty"`
	Host     string     `json:"host,omitempty"`
	Output   string     `json:"output,omitempty"`
}

// send reports one result. A *sendError is what the daemon answered; with any other error it did not answer.
func (c *Client) send(ctx context.Context, r store.Result) (status.ResultView, error) {
	var view status.ResultView
	body, err := json.Marshal(resultJSON{
		Project: r.Project, Agent: r.Agent, Outcome: r.Outcome, ExitCode: r.ExitCode, Signal: r.Signal, Detail: r.Detail, RunID: r.RunID,
		Started: given(r.Started), Finished: given(r.Finished), Host: r.Host, Output: r.Output,
	})
	if err != nil {
		return view, err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://adfbot/api/v1/results", bytes.NewReader(body))
	if err != nil {
		return view, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return view, fmt.Errorf("the daemon does not answer at %s (is `adfbot serve` running?): %w", c.path, errors.Unwrap(err))
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return view, fmt.Errorf("the daemon's answer at %s broke off: %w", c.path, err)
	}
	switch res.StatusCode {
	case http.StatusOK:
		if err := json.Unmarshal(answer, &view); err != nil {
			return view, fmt.Errorf("what answers at %s is no adfbot: %w", c.path, err)
		}
		return view, nil
	case http.StatusAccepted:
		var s spooledJSON
		err := json.Unmarshal(answer, &s)
		return view, &sendError{status: res.StatusCode, title: "accepted", detail: s.Why, spooled: s.Spooled && err == nil}
	}
	p := problem{Title: res.Status}
	_ = json.Unmarshal(answer, &p) // what is no problem has its status at least
	return view, &sendError{status: res.StatusCode, title: p.Title, detail: p.Detail}
}

func given(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
