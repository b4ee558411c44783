// Package client asks the daemon whether a project is paused and reports results to it, through its Unix socket, for users of
// `adfbot exec` and `adfbot record` who do not own the state.
//
// A result that the daemon does not accept now is kept as a file in a directory of the user's own, with mode 0700, and is sent
// before the user's next result. A file is removed only after the daemon has answered, so a crash in between sends it twice. That
// is safe, because every reported result has a run id, under which the daemon records it once. For the same reason there are no
// locks.
package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
)

const (
	dialTimeout = 5 * time.Second
	// sendTimeout limits one report. After a trip the daemon waits for Gitea before it answers, which may take longer: the result
	// is then kept here, and a later answer reports it as known.
	sendTimeout = 30 * time.Second
	maxAnswer   = 1 << 20

	turnTimeout = 20 * time.Second      // for a daemon that takes no more results of this user now
	leastPause  = 50 * time.Millisecond // before it is asked again
)

// Client asks and reports for one user.
type Client struct {
	http   *http.Client
	socket string
	lost   func(store.Result, error) string
	spools hostlocal.OwnSpools
	place  func() string
	now    func() time.Time
	uptime func() incident.Uptime

	gateTimeout, briefly time.Duration // the constants of these names, except in tests
}

// New returns a client for the daemon at a socket. It keeps results in the first writable directory of spools; see [SpoolDirs].
// lost says how somebody records a result that could not be kept either; see [status.LostText]. place returns the [hostlocal.Place] of the
// pause directory.
func New(socket string, lost func(store.Result, error) string, spools hostlocal.OwnSpools, place func() string, now func() time.Time) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "unix", socket)
	}
	return &Client{
		http:   &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dial}},
		socket: socket, lost: lost, spools: spools, place: place, now: now, uptime: hostlocal.MachineUptime(), gateTimeout: gateTimeout, briefly: briefly,
	}
}

func (c *Client) moment() store.Moment { return store.Moment{Time: c.now(), Uptime: c.uptime()} }

// Report sends the kept results, and then r, which has a run id. It keeps r if the daemon does not accept it now, or if kept results
// of its project are left, or if the daemon has answered to none.
func (c *Client) Report(ctx context.Context, r store.Result) status.Reported {
	var m messages
	var recorded *status.ResultView
	var says string
	keep := sync.OnceValues(func() (string, error) {
		kept := r
		now := c.moment()
		kept.Kept = &now
		return c.spools.Add(kept)
	})
	left, silent := c.sendKept(ctx, &m)
	err := cmp.Or(left[r.Project], silent)
	if err == nil {
		recorded, says, err = c.sendInTurn(ctx, r, keep)
	}
	var no *refusal
	switch {
	case err == nil && says != "":
		m.addf("%s", says)
	case errors.As(err, &no) && !no.temporary():
		m.addf("the result is not recorded: %v", err)
	case err != nil:
		m.addf("%v", err)
		if file, err := keep(); err == nil {
			m.addf("the result is kept in %s; adfbot sends it before this user's next result: do not record it again", file)
		} else {
			m.addf("%s", c.lost(r, err))
		}
	}
	return status.Reported{Result: recorded, Messages: m}
}

// SendKept sends the kept results, and leaves what a daemon that hangs does not take. It returns sentences for the user.
func (c *Client) SendKept(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, c.briefly)
	defer cancel()
	var m messages
	_, _ = c.sendKept(ctx, &m)
	return m
}

// sendInTurn is send, but waits for a daemon that takes no more results of this user now. Meanwhile r is kept: this process may end,
// and the user's next result must not overtake it.
func (c *Client) sendInTurn(ctx context.Context, r store.Result, keep func() (string, error)) (recorded *status.ResultView, says string, err error) {
	waiting, cancel := context.WithTimeout(ctx, turnTimeout)
	defer cancel()
	recorded, says, err = c.send(ctx, r)
	no, ok := errors.AsType[*refusal](err)
	if !ok || no.pause == 0 {
		return recorded, says, err
	}
	file, _ := keep()
	for ok && no.pause > 0 {
		select {
		case <-time.After(no.pause):
		case <-waiting.Done():
			return nil, "", err
		}
		recorded, says, err = c.send(ctx, r)
		no, ok = errors.AsType[*refusal](err)
	}
	if err == nil || ok && !no.temporary() {
		_ = os.Remove(file) // what is left is sent twice, which is safe
	}
	if recorded != nil {
		recorded.Known = false // another command of this user may have sent what was kept
	}
	return recorded, says, err
}

type messages []string

func (m *messages) addf(format string, args ...any) { *m = append(*m, fmt.Sprintf(format, args...)) }

// refusal is the daemon's answer to a result that it did not accept.
type refusal struct {
	status        int
	title, detail string
	pause         time.Duration // after which a daemon that takes no more results of this user may be asked again; else 0
}

func (e *refusal) Error() string {
	return fmt.Sprintf("the daemon refused it: %s: %s", e.title, strings.Replace(e.detail, status.SendAgain, "", 1))
}

// temporary reports whether the daemon may accept the same result later: after a repair, or with another configuration.
func (e *refusal) temporary() bool {
	return e.status >= 500 || slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusTooManyRequests}, e.status)
}

// send reports one result. If the daemon has spooled it, recorded is nil, and says is its reason. A *refusal is the daemon's answer;
// any other error means that there was none.
func (c *Client) send(ctx context.Context, r store.Result) (recorded *status.ResultView, says string, err error) {
	body, err := json.Marshal(fieldsOf(r))
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://adfbot/api/v1/results", bytes.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	c.tellPlace(req)
	res, err := c.http.Do(req)
	if errors.Is(err, fs.ErrPermission) {
		return nil, "", fmt.Errorf("this user may not reach the daemon's socket: let others enter its directory (chmod o+x): %w", errors.Unwrap(err))
	}
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return nil, "", fmt.Errorf("told to end before the daemon at %s had answered", c.socket)
	}
	if err != nil {
		hint := "is `adfbot serve` running?"
		if errors.Is(err, fs.ErrNotExist) {
			hint += " It opens a new http.socket when it is reloaded"
		}
		return nil, "", fmt.Errorf("the daemon does not answer at %s (%s): %w", c.socket, hint, errors.Unwrap(err))
	}
	defer func() { _ = res.Body.Close() }()
	doc, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, "", fmt.Errorf("read the daemon's answer at %s: %w", c.socket, err)
	}
	switch res.StatusCode {
	case http.StatusOK:
		recorded = new(status.ResultView)
		if err := json.Unmarshal(doc, recorded); err != nil {
			return nil, "", fmt.Errorf("the server at %s is not adfbot: %w", c.socket, err)
		}
		if res.Header.Get(status.PlaceHeader) != "" {
			says = "the pause flag is not where it is looked for: " + status.ErrOtherPlace.Error()
		}
		return recorded, says, nil
	case http.StatusAccepted:
		var v status.SpooledView
		if err := json.Unmarshal(doc, &v); err == nil && v.Spooled {
			return nil, v.Why, nil
		}
	}
	problem := struct{ Title, Detail string }{Title: res.Status}
	_ = json.Unmarshal(doc, &problem) // the status remains if the body is no problem
	no := &refusal{status: res.StatusCode, title: problem.Title, detail: problem.Detail}
	if after, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && no.status == http.StatusTooManyRequests {
		no.pause = max(time.Duration(after)*time.Second, leastPause)
	}
	return nil, "", no
}

// tellPlace tells the daemon which pause directory this user sees.
func (c *Client) tellPlace(req *http.Request) {
	if place := c.place(); place != "" {
		req.Header.Set(status.PlaceHeader, place)
	}
}

// fieldsOf returns a result as the API takes it.
func fieldsOf(r store.Result) map[string]any {
	fields := map[string]any{
		"project": r.Project, "agent": r.Agent, "outcome": r.Reported(), "exit_code": r.ExitCode, "signal": r.Signal, "detail": r.Detail,
		"run_id": r.RunID, "host": r.Host, "output": r.Output,
	}
	if r.Decide == store.DecideOutcome {
		delete(fields, "outcome") // the daemon decides it from the exit code
	}
	if r.Ended && r.Signal == "" {
		fields["signal"] = "SIGTERM" // which the command has caught; the API has no other way to say that the run was ended
	}
	// The old names of these: a daemon of the last release knows no others.
	for name, t := range map[string]time.Time{"started_at": r.Started, "finished_at": r.Finished} {
		if !t.IsZero() {
			fields[name] = t
		}
	}
	return fields
}
