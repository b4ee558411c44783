// Package gitea is the [tracker.Client] for a Gitea server, through its SDK. No other package imports the SDK.
package gitea

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"code.gitea.io/sdk/gitea"

	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/redact"
)

const (
	// inFlight is how many requests of one process may be under way at once: a Gitea has other users, too.
	inFlight = 8
	pageSize = 50 // Gitea cuts a larger limit to 50 (recording settings-api.json)
	maxPages = 2000
	// maxAnswer bounds what is read of one answer. A page of 50 issues of ours is at most 3 MB; people may edit bodies.
	maxAnswer = 64 << 20
)

// TokenSource gives the token for each request. Reload reads it again after a 401 and tells whether it is another one.
type TokenSource interface {
	Token() (string, error)
	Reload() (changed bool, err error)
}

// Client is the tracker on a real Gitea, through its SDK. It is safe for concurrent use.
//
// Three traps of the SDK are shut here: a redirect is never followed (Go turns a redirected POST into a GET that answers
// 200), every request has a timeout, and an answer is read up to a bound only. A 2xx whose body can't be read counts as
// [tracker.Lost]: the server did the work.
type Client struct {
	url    string
	client *http.Client
	tokens TokenSource
	redact *redact.Redactor
	limit  time.Duration
	traced bool // the transport tells when a request's headers were written
	slots  chan struct{}

	observe func(op string, status int, took time.Duration)
}

// Options are what a [Client] needs. Transport replaces the network in tests and in the demo.
type Options struct {
	URL       string
	Tokens    TokenSource
	Timeout   time.Duration
	Roots     *x509.CertPool // nil: the system's
	Transport http.RoundTripper
	Redact    *redact.Redactor // learns every token before it is sent
	// Observe is told of every request after its end: what it was for (without the issue's number or the label's name), the
	// status, 0 where there was no answer, and how long it took. nil: nobody is. It is called from several goroutines.
	Observe func(op string, status int, took time.Duration)
}

// New asks nothing of the server.
func New(o Options) *Client {
	g := &Client{url: strings.TrimSuffix(o.URL, "/"), tokens: o.Tokens, redact: o.Redact, limit: o.Timeout, observe: o.Observe,
		slots: make(chan struct{}, inFlight)}
	next := o.Transport
	if next == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.TLSClientConfig = &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12}
		t.MaxIdleConnsPerHost = inFlight
		next, g.traced = t, true
	}
	g.client = &http.Client{
		Transport:     &authTransport{tokens: o.Tokens, redact: o.Redact, next: next},
		Timeout:       o.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return g
}

// reserved is the key of a context whose requests have their place already.
type reserved struct{}

// Reserve waits until a request may be made, and keeps its place until release is called: requests with the context that it
// returns, one after the other, wait no more. It is for who notes first that a request is about to be made: the note must
// not grow old in a queue. Where ctx ends meanwhile, no place is needed: no request with it is sent any more.
func (g *Client) Reserve(ctx context.Context) (held context.Context, release func()) {
	if ctx.Value(reserved{}) != nil {
		return ctx, func() {}
	}
	select {
	case g.slots <- struct{}{}:
		return context.WithValue(ctx, reserved{}, true), sync.OnceFunc(func() { <-g.slots })
	case <-ctx.Done():
		return ctx, func() {}
	}
}

// call is one request. The SDK ties the context to the client, so a client is made for each call; connections are
// shared all the same, since they belong to the transport.
type call struct {
	g     *Client
	op    string
	where string
	begun time.Time
	sent  atomic.Bool
}

func (g *Client) begin(ctx context.Context, op, where string) (*call, *gitea.Client, context.CancelFunc) {
	c, ctx, cancel := g.call(ctx, op, where)
	// No version is asked for (SetGiteaVersion("")), so NewClient can't fail and needs no server.
	client, _ := gitea.NewClient(g.url, gitea.SetGiteaVersion(""), gitea.SetContext(ctx), gitea.SetHTTPClient(g.client))
	return c, client, cancel
}

// call begins a call that the SDK has no part in. It gives the context to make the request with.
func (g *Client) call(ctx context.Context, op, where string) (*call, context.Context, context.CancelFunc) {
	ctx, release := g.Reserve(ctx) // the timeout is the server's, it begins after that
	c := &call{g: g, op: op, where: where, begun: time.Now()}
	ctx, cancel := context.WithTimeout(ctx, g.limit)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaders: func() { c.sent.Store(true) },
	})
	return c, ctx, func() { cancel(); release() }
}

// kind is the operation without what differs from call to call.
func (c *call) kind() string {
	op, _, _ := strings.Cut(c.op, " #")
	if strings.HasPrefix(op, "make label ") {
		op = "make label"
	}
	return op
}

// fail ends a call: it turns what the SDK gave back into a TrackerError; nil where all went well.
func (c *call) fail(resp *gitea.Response, err error) error {
	if resp == nil {
		return c.end(nil, err)
	}
	return c.end(resp.Response, err)
}

// end is fail for an answer that the SDK has no part in.
func (c *call) end(resp *http.Response, err error) error {
	if c.g.observe != nil {
		status := 0
		if resp != nil {
			status = resp.StatusCode
		}
		c.g.observe(c.kind(), status, time.Since(c.begun))
	}
	if err == nil {
		return nil
	}
	e := &tracker.Error{Op: c.op, Where: c.where, Outcome: tracker.Lost, Detail: redact.Line(c.g.redact.Redact(err.Error()), 300)}
	if resp == nil {
		var noToken *tokenError
		var dial *net.OpError
		if errors.As(err, &noToken) || (errors.As(err, &dial) && dial.Op == "dial") || (c.g.traced && !c.sent.Load()) {
			e.Outcome = tracker.NotSent
		}
		return e
	}
	e.Status = resp.StatusCode
	e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"))
	switch {
	case resp.StatusCode/100 == 3:
		e.Outcome = tracker.Refused
		e.Location = redact.Line(c.g.redact.Redact(resp.Header.Get("Location")), 200)
	case resp.StatusCode/100 == 4:
		e.Outcome = tracker.Refused
	}
	return e
}

// lost is for a 2xx answer that does not say what it must.
func (c *call) lost(resp *gitea.Response, detail string) error {
	e := &tracker.Error{Op: c.op, Where: c.where, Outcome: tracker.Lost, Detail: detail}
	if resp != nil && resp.Response != nil {
		e.Status = resp.StatusCode
	}
	return e
}

// noList: Gitea says [] where there is nothing. What says null has not looked.
const noList = "the answer is no list"

func retryAfter(h string) time.Duration {
	if h == "" {
		return 0
	}
	var d time.Duration
	if n, err := strconv.Atoi(h); err == nil {
		d = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(h); err == nil {
		d = time.Until(at)
	}
	return min(max(d, 0), tracker.MaxRetryAfter)
}

func (g *Client) List(ctx context.Context, repo tracker.Repo, login string, all bool) ([]tracker.Issue, error) {
	state := gitea.StateOpen
	if all {
		state = gitea.StateAll
	}
	// The pages of a list shift when an issue is deleted or closed while they are read. The server's own count tells.
	for range 3 {
		issues, short, err := g.listOnce(ctx, repo, login, state)
		if err != nil || !short {
			return issues, err
		}
	}
	return nil, &tracker.Error{Op: "list issues", Where: repo.String(), Outcome: tracker.Lost,
		Detail: "the list changed while it was read, three times; it is read again at the next sweep"}
}

func (g *Client) listOnce(ctx context.Context, repo tracker.Repo, login string, state gitea.StateType) (issues []tracker.Issue, short bool, err error) {
	seen := map[int64]bool{}
	first := 0 // how many there were when the first page was read
	var pages unlinked
	for page := 1; page <= maxPages; {
		c, client, cancel := g.begin(ctx, "list issues", repo.String())
		found, resp, err := client.ListRepoIssues(repo.Owner, repo.Name, gitea.ListIssueOption{
			ListOptions: gitea.ListOptions{Page: page, PageSize: pageSize},
			State:       state, Type: gitea.IssueTypeIssue, CreatedBy: login,
		})
		cancel()
		if err := c.fail(resp, err); err != nil {
			var te *tracker.Error
			if errors.As(err, &te) && te.Status == http.StatusNotFound && login != "" {
				te.Detail += fmt.Sprintf(", or nobody has the login %q", login)
			}
			return nil, false, err
		}
		if found == nil {
			return nil, false, c.lost(resp, noList)
		}
		for _, i := range found {
			if i == nil || seen[i.ID] {
				continue
			}
			seen[i.ID] = true
			issues = append(issues, g.issue(repo, i))
		}
		total, err := strconv.Atoi(resp.Header.Get("X-Total-Count"))
		if page == 1 {
			first = total
		}
		more := pages.more(resp, len(found))
		switch {
		case resp.NextPage > page:
			page = resp.NextPage
		case more: // a proxy has dropped the links
			page++
		default:
			return issues, err == nil && (total != first || len(seen) < total), nil
		}
	}
	return nil, false, &tracker.Error{Op: "list issues", Where: repo.String(), Outcome: tracker.Lost,
		Detail: fmt.Sprintf("more than %d pages", maxPages)}
}

// unlinked tells when a list whose answers have no links ends. It goes by the server's count, and where a proxy has dropped
// that too, by the first page that is empty or shorter than the first: how long pages are is the server's choice
// ([api] MAX_RESPONSE_ITEMS).
type unlinked struct{ first, seen int }

func (u *unlinked) more(resp *gitea.Response, got int) bool {
	u.first = max(u.first, got)
	u.seen += got
	if total, err := strconv.Atoi(resp.Header.Get("X-Total-Count")); err == nil {
		return got > 0 && u.seen < total
	}
	return got > 0 && got >= u.first
}

func (g *Client) issue(repo tracker.Repo, i *gitea.Issue) tracker.Issue {
	out := tracker.Issue{
		IssueRef: tracker.IssueRef{Repo: repo, ID: i.ID, Number: i.Index, URL: i.HTMLURL},
		Title:    i.Title, Open: i.State == gitea.StateOpen, Created: i.Created, Updated: i.Updated,
	}
	if i.Poster != nil {
		out.AuthorID, out.Author = i.Poster.ID, i.Poster.UserName
	}
	out.Marker, _ = tracker.ParseMarker(i.Body)
	for _, l := range i.Labels {
		if l != nil {
			out.Labels = append(out.Labels, l.Name)
		}
	}
	for _, u := range i.Assignees {
		if u != nil {
			out.Assignees = append(out.Assignees, tracker.Account{ID: u.ID, Login: u.UserName})
		}
	}
	return out
}

func (g *Client) Get(ctx context.Context, repo tracker.Repo, number int64) (tracker.Issue, error) {
	c, client, cancel := g.begin(ctx, fmt.Sprintf("read issue #%d", number), repo.String())
	defer cancel()
	i, resp, err := client.GetIssue(repo.Owner, repo.Name, number)
	if err := c.fail(resp, err); err != nil {
		return tracker.Issue{}, err
	}
	if i == nil || i.Index != number {
		return tracker.Issue{}, c.lost(resp, "the answer names no issue")
	}
	return g.issue(repo, i), nil
}

// Readable lists one issue, of issues alone: where these are switched off, Gitea would go on to list pull requests.
func (g *Client) Readable(ctx context.Context, repo tracker.Repo) error {
	c, client, cancel := g.begin(ctx, "list issues", repo.String())
	defer cancel()
	found, resp, err := client.ListRepoIssues(repo.Owner, repo.Name, gitea.ListIssueOption{
		ListOptions: gitea.ListOptions{Page: 1, PageSize: 1}, State: gitea.StateAll, Type: gitea.IssueTypeIssue,
	})
	if err := c.fail(resp, err); err != nil {
		return err
	}
	if found == nil {
		return c.lost(resp, noList)
	}
	return nil
}

func (g *Client) Create(ctx context.Context, repo tracker.Repo, n tracker.NewIssue) (tracker.Issue, error) {
	c, client, cancel := g.begin(ctx, "create issue", repo.String())
	defer cancel()
	opt := gitea.CreateIssueOption{Title: n.Title, Body: n.Body, Labels: n.Labels, Assignees: n.Assignees}
	if !n.Due.IsZero() {
		opt.Deadline = &n.Due
	}
	i, resp, err := client.CreateIssue(repo.Owner, repo.Name, opt)
	if err := c.fail(resp, err); err != nil {
		return tracker.Issue{}, err
	}
	if i == nil || i.Index == 0 {
		return tracker.Issue{}, c.lost(resp, "the answer names no issue")
	}
	return g.issue(repo, i), nil
}

func (g *Client) SetOpen(ctx context.Context, ref tracker.IssueRef, open bool) (tracker.Issue, error) {
	op, state := "close issue", gitea.StateClosed
	if open {
		op, state = "reopen issue", gitea.StateOpen
	}
	c, client, cancel := g.begin(ctx, fmt.Sprintf("%s #%d", op, ref.Number), ref.Repo.String())
	defer cancel()
	i, resp, err := client.EditIssue(ref.Repo.Owner, ref.Repo.Name, ref.Number, gitea.EditIssueOption{State: &state})
	if err := c.fail(resp, err); err != nil {
		return tracker.Issue{}, err
	}
	if i == nil || i.Index != ref.Number || i.State != state {
		return tracker.Issue{}, c.lost(resp, "the answer does not show the issue as "+string(state))
	}
	return g.issue(ref.Repo, i), nil
}

func (g *Client) Me(ctx context.Context) (tracker.Account, error) {
	c, client, cancel := g.begin(ctx, "read the token's account", g.url)
	defer cancel()
	u, resp, err := client.GetMyUserInfo()
	if err := c.fail(resp, err); err != nil {
		return tracker.Account{}, err
	}
	if u == nil || u.ID == 0 {
		return tracker.Account{}, c.lost(resp, "the answer names no user")
	}
	return tracker.Account{ID: u.ID, Login: u.UserName}, nil
}

func (g *Client) Comments(ctx context.Context, ref tracker.IssueRef, author int64) ([]tracker.Comment, error) {
	// This endpoint has no pages: it answers with every comment (recording repo-comments-since.json is its sibling).
	c, client, cancel := g.begin(ctx, fmt.Sprintf("list comments of #%d", ref.Number), ref.Repo.String())
	defer cancel()
	list, resp, err := client.ListIssueComments(ref.Repo.Owner, ref.Repo.Name, ref.Number, gitea.ListIssueCommentOptions{})
	if err := c.fail(resp, err); err != nil {
		return nil, err
	}
	if list == nil {
		return nil, c.lost(resp, noList)
	}
	var out []tracker.Comment
	for _, m := range list {
		if m != nil && m.Poster != nil && m.Poster.ID == author {
			out = append(out, comment(m))
		}
	}
	return out, nil
}

func comment(m *gitea.Comment) tracker.Comment {
	return tracker.Comment{ID: m.ID, Number: issueNumber(m.IssueURL), By: tracker.Account{ID: m.Poster.ID, Login: m.Poster.UserName},
		Body: m.Body, Created: m.Created, Updated: m.Updated}
}

func (g *Client) AddComment(ctx context.Context, ref tracker.IssueRef, body string) error {
	c, client, cancel := g.begin(ctx, fmt.Sprintf("comment on #%d", ref.Number), ref.Repo.String())
	defer cancel()
	m, resp, err := client.CreateIssueComment(ref.Repo.Owner, ref.Repo.Name, ref.Number, gitea.CreateIssueCommentOption{Body: body})
	if err := c.fail(resp, err); err != nil {
		return err
	}
	if m == nil || m.ID == 0 {
		return c.lost(resp, "the answer names no comment")
	}
	return nil
}

func (g *Client) Labels(ctx context.Context, repo tracker.Repo) (map[string]int64, error) {
	ids := map[string]int64{}
	var pages unlinked
	for page := 1; page <= maxPages; page++ {
		c, client, cancel := g.begin(ctx, "list labels", repo.String())
		list, resp, err := client.ListRepoLabels(repo.Owner, repo.Name, gitea.ListLabelsOptions{
			ListOptions: gitea.ListOptions{Page: page, PageSize: pageSize}})
		cancel()
		if err := c.fail(resp, err); err != nil {
			return nil, err
		}
		if list == nil {
			return nil, c.lost(resp, noList)
		}
		for _, l := range list {
			if l == nil {
				continue
			}
			if old, ok := ids[l.Name]; !ok || cmp.Less(l.ID, old) {
				ids[l.Name] = l.ID
			}
		}
		if !pages.more(resp, len(list)) {
			break
		}
	}
	return ids, nil
}

// labelColours are those of Gitea's own default label sets, so that the bot's labels look at home.
var labelColours = map[string]string{"adf": "#ee0701", "circuit-breaker": "#fbca04", "priority/high": "#d93f0b"}

func (g *Client) AddLabel(ctx context.Context, repo tracker.Repo, name string) (int64, error) {
	c, client, cancel := g.begin(ctx, "make label "+name, repo.String())
	defer cancel()
	opt := gitea.CreateLabelOption{Name: name, Color: cmp.Or(labelColours[name], "#ededed"), Exclusive: strings.Contains(name, "/")}
	if name == "adf" {
		opt.Description = "AI dark factory escalation"
	}
	l, resp, err := client.CreateLabel(repo.Owner, repo.Name, opt)
	if err := c.fail(resp, err); err != nil {
		return 0, err
	}
	if l == nil || l.ID == 0 {
		return 0, c.lost(resp, "the answer names no label")
	}
	return l.ID, nil
}

// Repository asks about the repository itself; it needs the scope read:repository, which the bot can do without.
func (g *Client) Repository(ctx context.Context, repo tracker.Repo) (archived, hasIssues, mayWrite bool, err error) {
	c, client, cancel := g.begin(ctx, "read repository", repo.String())
	defer cancel()
	r, resp, err := client.GetRepo(repo.Owner, repo.Name)
	if err := c.fail(resp, err); err != nil {
		return false, false, false, err
	}
	if r == nil || r.ID == 0 {
		return false, false, false, c.lost(resp, "the answer names no repository")
	}
	return r.Archived, r.HasIssues, r.Permissions != nil && (r.Permissions.Push || r.Permissions.Admin), nil
}

// Version asks for the server's version. It needs no right at all.
func (g *Client) Version(ctx context.Context) (string, error) {
	c, client, cancel := g.begin(ctx, "read version", g.url)
	defer cancel()
	v, resp, err := client.ServerVersion()
	if err := c.fail(resp, err); err != nil {
		return "", err
	}
	if v == "" {
		return "", c.lost(resp, "the answer names no version")
	}
	return redact.Line(v, 40), nil
}

// CloseIdle closes the connections that nobody uses.
func (g *Client) CloseIdle() { g.client.CloseIdleConnections() }

func (g *Client) CommentsSince(ctx context.Context, repo tracker.Repo, since time.Time) ([]tracker.Comment, error) {
	var out []tracker.Comment
	var pages unlinked
	for page := 1; page <= maxPages; page++ {
		c, client, cancel := g.begin(ctx, "list new comments", repo.String())
		list, resp, err := client.ListRepoIssueComments(repo.Owner, repo.Name, gitea.ListIssueCommentOptions{
			ListOptions: gitea.ListOptions{Page: page, PageSize: pageSize}, Since: since.UTC()})
		cancel()
		if err := c.fail(resp, err); err != nil {
			return nil, err
		}
		if list == nil {
			return nil, c.lost(resp, noList)
		}
		for _, m := range list {
			if m != nil && m.Poster != nil {
				out = append(out, comment(m))
			}
		}
		// Comments that come meanwhile are on later pages, because the oldest come first.
		if !pages.more(resp, len(list)) {
			break
		}
	}
	return out, nil
}

func (g *Client) User(ctx context.Context, login string) (tracker.Account, error) {
	c, client, cancel := g.begin(ctx, "look up user "+redact.Line(login, 60), g.url)
	defer cancel()
	u, resp, err := client.GetUserInfo(login)
	if err := c.fail(resp, err); err != nil {
		return tracker.Account{}, err
	}
	if u == nil || u.ID == 0 {
		return tracker.Account{}, c.lost(resp, "the answer names no user")
	}
	return tracker.Account{ID: u.ID, Login: u.UserName}, nil
}

func (g *Client) Assign(ctx context.Context, ref tracker.IssueRef, logins []string) error {
	c, client, cancel := g.begin(ctx, fmt.Sprintf("assign #%d", ref.Number), ref.Repo.String())
	defer cancel()
	i, resp, err := client.EditIssue(ref.Repo.Owner, ref.Repo.Name, ref.Number, gitea.EditIssueOption{Assignees: logins})
	if err := c.fail(resp, err); err != nil {
		return err
	}
	if i == nil || i.Index != ref.Number {
		return c.lost(resp, "the answer names no issue")
	}
	return nil
}
