package gitea

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	sdk "code.gitea.io/sdk/gitea"

	"github.com/terraphim/adfbot/escalate/tracker"
)

// request describes a request, e.g. {"read issue", "#7", "terraphim/adf-fleet"}.
type request struct{ op, object, where string }

func number(n int64) string { return "#" + strconv.FormatInt(n, 10) }

var errAnswer = errors.New("the answer does not contain what was requested")

// A call is one method call of the SDK.
type call[T any] func(*sdk.Client) (T, *sdk.Response, error)

// A pageCall requests one page of a list.
type pageCall[T any] func(*sdk.Client, sdk.ListOptions) ([]*T, *sdk.Response, error)

// do sends one request through the SDK. An answer that valid rejects is an error. With an error the result is zero.
func do[T any](ctx context.Context, g *Client, r request, valid func(T) bool, f call[T]) (T, error) {
	var answer, zero T
	err := g.send(ctx, r, func(ctx context.Context) (*http.Response, error) {
		// The SDK binds the context to its client, hence a client for each request. They share g.http's connections.
		// With its version set, NewClient sends no request and cannot fail.
		client, _ := sdk.NewClient(g.opt.URL, sdk.SetGiteaVersion(""), sdk.SetContext(ctx), sdk.SetHTTPClient(g.http))
		var resp *sdk.Response
		var err error
		answer, resp, err = f(client)
		if err == nil && !valid(answer) {
			err = errAnswer
		}
		if resp == nil {
			return nil, err
		}
		return resp.Response, err
	})
	if err != nil {
		return zero, err
	}
	return answer, nil
}

// list reads all pages of a list and calls each for every item. It returns the server's count of the items with the
// first and with the last page, -1 if it sent none.
//
// An answer may link to the next page. Without a link (a proxy may drop headers) the server's count decides whether
// there is one, and without a count, whether the page is as long as those before: the server chooses the length.
//
// Where the last list that failed was told to wait, no request is made until then, see [maxListWait].
func list[T any](ctx context.Context, g *Client, r request, f pageCall[T], each func(*T)) (first, last int, err error) {
	if busy := g.busy.Load(); busy != nil && time.Now().Before(busy.until) {
		e := busy.Error
		e.Op, e.Where, e.RetryAfter = r.op, r.where, time.Until(busy.until)
		return 0, 0, &e
	}
	longest, got, pages, size := 0, 0, 0, pageSize
	var before []*T
	began := time.Now()
	for page := 1; page <= maxPages; {
		if time.Since(began) > maxListTime {
			return 0, 0, r.slow(pages)
		}
		pages++
		var resp *sdk.Response
		var cause error
		items, err := do(ctx, g, r, notNull, func(c *sdk.Client) (items []*T, _ *sdk.Response, err error) {
			items, resp, err = f(c, sdk.ListOptions{Page: page, PageSize: size})
			cause = err
			return items, resp, err
		})
		if errors.Is(cause, errTooLarge) && size > 2 { // 50, 10, 2 at once: each page begins where one of the longer ones did
			size /= 5
			page = got/size + 1
			got, longest, before = (page-1)*size, 0, nil
			continue
		}
		if err != nil {
			var te *tracker.Error
			if errors.As(err, &te) && te.RetryAfter > 0 && (te.Status == http.StatusTooManyRequests || te.Status == http.StatusServiceUnavailable) {
				g.busy.Store(&busyServer{*te, time.Now().Add(min(te.RetryAfter, maxListWait))})
			}
			return 0, 0, err
		}
		for _, item := range items {
			if item != nil {
				each(item)
			}
		}
		if pages > 1 && len(items) > 0 && reflect.DeepEqual(items, before) {
			return 0, 0, g.repeated(r, fmt.Sprintf("page %d repeats page %d", pages, pages-1))
		}
		before = items
		got += len(items)
		longest = max(longest, len(items))
		if last, err = strconv.Atoi(resp.Header.Get("X-Total-Count")); err != nil {
			last = -1
		}
		if page == 1 {
			first = last
		}
		switch {
		case resp.NextPage > page:
			page = resp.NextPage
		case len(items) > 0 && (got < last || last < 0 && len(items) == longest):
			page++
		default:
			return first, last, nil
		}
	}
	return 0, 0, r.lost("more than " + strconv.Itoa(maxPages) + " pages")
}

// busyServer is the answer of a server that asks to wait.
type busyServer struct {
	tracker.Error
	until time.Time
}

// notNull accepts an empty list, which Gitea sends as []. A null is no list.
func notNull[T any](list []T) bool { return list != nil }

// send waits for a slot and makes one request. Its timeout begins after the wait. A failure is a [*tracker.Error].
func (g *Client) send(ctx context.Context, r request, f func(context.Context) (*http.Response, error)) error {
	ctx, release := g.Reserve(ctx)
	defer release()
	started, whole := time.Now(), ctx
	ctx, cancel := context.WithTimeout(ctx, g.opt.Timeout)
	defer cancel()
	var written, lookup atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart:     func(httptrace.DNSStartInfo) { lookup.Store(true) },
		DNSDone:      func(done httptrace.DNSDoneInfo) { lookup.Store(isTimeout(done.Err)) },
		WroteHeaders: func() { written.Store(true) },
	})
	resp, err := f(ctx)
	if g.opt.Observe != nil {
		status := 0
		if resp != nil {
			status = resp.StatusCode
		}
		g.opt.Observe(r.op, status, time.Since(started))
	}
	if err == nil {
		return nil
	}
	e := r.lost(g.opt.Redact.Line(detail(resp, err), 300))
	if resp == nil {
		e.Advice = g.opt.Redact.Line(adviseConnection(g.opt.URL, err), 300)
		traced := g.opt.Transport == nil // otherwise the transport may not report what it has written
		var noToken *tokenError
		var network *net.OpError
		if errors.As(err, &noToken) || errors.As(err, &network) && network.Op == "dial" || traced && !written.Load() {
			e.Outcome = tracker.NotSent
			if e.Advice == "" && isTimeout(err) && whole.Err() == nil {
				e.Advice = g.adviseSilence(lookup.Load())
			}
		} else if e.Advice == "" && !errors.Is(err, context.Canceled) {
			e.Advice = adviceFault
		}
		return e
	}
	e.Status = resp.StatusCode
	e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"))
	e.Location = g.opt.Redact.Line(resp.Header.Get("Location"), 200)
	e.Advice = g.opt.Redact.Line(adviseAnswer(r, g.opt.URL, resp, err), 300)
	switch {
	case (e.Status == http.StatusNotFound || e.Status == http.StatusGone) && !isJSON(resp):
		// A proxy has no route to Gitea, perhaps because Gitea is being started: nothing is known of what was asked for.
		e.Outcome = tracker.NotSent
	case e.Status/100 == 3 || e.Status/100 == 4:
		e.Outcome, e.Refusal = tracker.Refused, refusalOf(g.opt.URL, resp, err)
	}
	return e
}

func (r request) lost(detail string) *tracker.Error {
	return &tracker.Error{Op: strings.TrimSpace(r.op + " " + r.object), Where: r.where, Outcome: tracker.Lost, Detail: detail}
}

func (r request) slow(pages int) *tracker.Error {
	return r.lost(fmt.Sprintf("Gitea is slow: after %s the list has not ended, with %d pages read", maxListTime, pages))
}

// repeated is the error of a list whose pages were cut or repeated on the way from the server.
func (g *Client) repeated(r request, detail string) *tracker.Error {
	e := r.lost(detail)
	e.Advice = "a proxy or cache in front of Gitea cuts or repeats the pages: let requests to " + g.opt.URL + "/api/v1/ through unchanged"
	return e
}

// retryAfter reads the header of that name: seconds or a date.
func retryAfter(h string) time.Duration {
	var d time.Duration
	if n, err := strconv.Atoi(h); err == nil {
		d = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(h); err == nil {
		d = time.Until(at)
	}
	return min(max(d, 0), tracker.MaxRetryAfter)
}
