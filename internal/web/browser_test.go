package web

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/web/browsertest"
)

func TestBrowser(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	d.record("digital-twins", store.Success)
	d.trip("odilo")
	site := httptest.NewServer(d.server.handler)
	t.Cleanup(site.Close)
	ctx := browsertest.Open(t)
	complaints := browsertest.Complaints(ctx)
	require.NoError(t, chromedp.Do(ctx, browsertest.Phone("dark").Open(site.URL+"/")...))
	require.Equal(t, "1 of 2 projects is paused", browsertest.Evaluate[string](t, ctx, `document.querySelector('h1').textContent`))
	require.NoError(t, chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`a[href="./projects/odilo"]`)), chromedp.WaitVisible(chromedp.ID("incident-1"))))
	require.Contains(t, browsertest.Evaluate[string](t, ctx, `document.querySelector('#run-list pre').textContent`), "no space left on device")
	require.NoError(t, chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`header a`)), chromedp.WaitVisible(chromedp.ID("paused"))))
	require.Equal(t, site.URL+"/", browsertest.Evaluate[string](t, ctx, `location.href`))
	require.Empty(t, complaints(), "the guard's headers and the page's go together")
}

// lockedList is the statuses of the pages that were sent.
type lockedList struct {
	mu   *sync.Mutex
	sent *[]int
}

func (l *lockedList) read() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(*l.sent)
}

// renew has the script renew the page, as it does every 30 s, and returns the status of the answer.
func (l *lockedList) renew(t *testing.T, ctx context.Context) int {
	t.Helper()
	before := len(l.read())
	browsertest.Evaluate[bool](t, ctx, `(dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true})), true)`)
	require.Eventually(t, func() bool { return len(l.read()) > before }, testhost.Patience, time.Millisecond)
	return l.read()[before]
}

// Somebody reads the page, types and opens something, while it is renewed.
func TestScriptRenewsInPlace(t *testing.T) {
	t.Parallel()
	var projects strings.Builder
	for n := range 12 {
		fmt.Fprintf(&projects, "{id: p%d}, ", n)
	}
	d := daemonOf(t, "["+projects.String()+"]")
	var mu sync.Mutex
	var sent []int // the status of each page
	down, failing, updated := false, false, false
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if down {
			panic(http.ErrAbortHandler)
		}
		if failing { // the proxy before adfbot, which says so in a page of its own
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, "<html><body><h1>502 Bad Gateway</h1></body></html>")
			return
		}
		if updated && r.URL.Path == "/" {
			doc := strings.ReplaceAll(d.get(r.URL.RequestURI()).Body.String(), `page.js?v=`, `page.js?v=other`)
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, doc)
			sent = append(sent, http.StatusOK)
			return
		}
		a := &statusWriter{ResponseWriter: w, rc: http.NewResponseController(w)}
		d.server.handler.ServeHTTP(a, r)
		if strings.Contains(r.Header.Get("Accept"), "text/html") {
			sent = append(sent, a.status)
		}
	}))
	t.Cleanup(site.Close)
	ctx := browsertest.Open(t)
	complaints := browsertest.Complaints(ctx)
	text := func(query string) string {
		return browsertest.Evaluate[string](t, ctx, `document.querySelector('`+query+`').innerText`)
	}
	require.NoError(t, chromedp.Do(ctx, browsertest.Desktop("light").Open(site.URL+"/")...))
	browsertest.Evaluate[bool](t, ctx, `(window.title0 = document.querySelector('h1'), document.querySelector('#help').open = true, document.querySelector('[type=search]').focus(), true)`)
	one := &lockedList{&mu, &sent}
	require.Equal(t, []int{http.StatusOK}, one.read())
	require.Equal(t, http.StatusOK, one.renew(t, ctx), "the script does not know the tag yet")
	require.Eventually(t, func() bool { return one.renew(t, ctx) == http.StatusNotModified }, testhost.Patience, time.Millisecond)
	mu.Lock()
	d.trip("p7")
	mu.Unlock()
	require.Equal(t, http.StatusOK, one.renew(t, ctx))
	require.NoError(t, chromedp.Do(ctx, chromedp.WaitVisible(chromedp.CSS(`#p-p7 .why`))))
	require.Equal(t, "1 of 12 projects is paused", text("h1"))
	require.Equal(t, "1 of 12 projects is paused · adfbot", browsertest.Evaluate[string](t, ctx, `document.title`))
	require.Equal(t, "1 of 12 projects is paused · adfbot", browsertest.Evaluate[string](t, ctx, `document.querySelector('#news').textContent`))
	require.Equal(t, "./icon/bad.svg", browsertest.Evaluate[string](t, ctx, `document.querySelector('#icon').getAttribute('href')`))
	require.True(t, browsertest.Evaluate[bool](t, ctx, `title0.isConnected && document.querySelector('#help').open && document.activeElement.name === 'find'`),
		"nothing else was replaced")

	require.NoError(t, chromedp.Do(ctx, chromedp.KeyEvent("P1"), chromedp.WaitReady(chromedp.CSS(`body:not(:has(#p-p7))`))))
	require.Equal(t, "p1\np10\np11", browsertest.Evaluate[string](t, ctx, `[...document.querySelectorAll('tbody a')].map(a => a.innerText).join('\n')`), "the list is searched while somebody types")
	require.Equal(t, "?find=P1", browsertest.Evaluate[string](t, ctx, `location.search`))
	require.Equal(t, "P1", browsertest.Evaluate[string](t, ctx, `document.activeElement.value`))
	require.NoError(t, chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`.tabs a[href*="show=paused"]`)), chromedp.WaitVisible(chromedp.ID("nothing"))))
	require.Equal(t, "?find=P1&show=paused", browsertest.Evaluate[string](t, ctx, `location.search`))
	browsertest.Evaluate[bool](t, ctx, `(history.back(), true)`)
	require.NoError(t, chromedp.Do(ctx, chromedp.WaitReady(chromedp.ID("p-p10"))))
	require.True(t, browsertest.Evaluate[bool](t, ctx, `title0.isConnected`), "it is the same document still")
	require.Empty(t, complaints())

	mu.Lock()
	down = true
	mu.Unlock()
	browsertest.Evaluate[bool](t, ctx, `(dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true})), true)`)
	require.NoError(t, chromedp.Do(ctx, chromedp.WaitVisible(chromedp.ID("stale"))))
	require.Contains(t, text("#stale"), "adfbot does not answer. This page shows what was known at 20")
	mu.Lock()
	down = false
	mu.Unlock()
	one.renew(t, ctx)
	require.NoError(t, chromedp.Do(ctx, chromedp.WaitReady(chromedp.CSS(`#stale[hidden]`))))

	mu.Lock()
	failing = true
	mu.Unlock()
	browsertest.Evaluate[bool](t, ctx, `(dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true})), true)`)
	require.NoError(t, chromedp.Do(ctx, chromedp.WaitVisible(chromedp.ID("stale"))))
	require.Equal(t, "1 of 12 projects is paused", text("h1"), "not what the proxy says")

	// An update brings another script, which belongs to the pages from then on.
	mu.Lock()
	failing, updated = false, true
	mu.Unlock()
	one.renew(t, ctx)
	require.NoError(t, chromedp.Do(ctx, chromedp.WaitReady(chromedp.CSS(`script[src*="v=other"]`))))
	require.True(t, browsertest.Evaluate[bool](t, ctx, `!window.title0`), "the page was loaded again")
}

// Without the script, forms and links do the same.
func TestFinderWithoutScript(t *testing.T) {
	t.Parallel()
	d := daemonOf(t, "[{id: a}, {id: b}, {id: c}, {id: d}, {id: e}, {id: f}, {id: g}, {id: h}, {id: twins-1}, {id: twins-2}]")
	d.trip("twins-2")
	site := httptest.NewServer(d.server.handler)
	t.Cleanup(site.Close)
	ctx := browsertest.Open(t)
	require.NoError(t, chromedp.Do(ctx, browsertest.WithoutScript()))
	require.NoError(t, chromedp.Do(ctx, browsertest.Phone("light").Open(site.URL+"/?refresh=off&show=well")...))
	require.NoError(t, chromedp.Do(ctx, chromedp.Focus(chromedp.CSS(`[type=search]`)), chromedp.KeyEvent("twins-*"), chromedp.KeyEvent(kb.Enter),
		chromedp.WaitReady(chromedp.CSS(`body:not(:has(#p-a))`))))
	require.Equal(t, "?show=well&refresh=off&find=twins-*&sort=", browsertest.Evaluate[string](t, ctx, `location.search`))
	require.Equal(t, "twins-1", browsertest.Evaluate[string](t, ctx, `[...document.querySelectorAll('tbody a')].map(a => a.innerText).join()`))
	require.NoError(t, chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`.tabs a`)), chromedp.WaitReady(chromedp.ID("p-twins-2"))))
}

// Behind a proxy that serves the bot under a path of its own, everything works without its knowing.
func TestBrowserUnderSubPath(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	d.trip("odilo")
	mux := http.NewServeMux()
	mux.Handle("/ops/adfbot/", http.StripPrefix("/ops/adfbot", d.server.handler))
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	ctx := browsertest.Open(t)
	complaints := browsertest.Complaints(ctx)
	styled := func() {
		t.Helper()
		require.NotZero(t, browsertest.Evaluate[int64](t, ctx, `document.styleSheets[0].cssRules.length`))
		require.Empty(t, browsertest.Evaluate[[]string](t, ctx,
			`[...document.querySelectorAll('a[href], link[href]')].map(e => e.href).filter(h => h.startsWith(location.origin) && !h.startsWith(location.origin + '/ops/adfbot/'))`))
	}
	require.NoError(t, chromedp.Do(ctx, browsertest.Phone("dark").Open(site.URL+"/ops/adfbot/")...))
	styled()
	require.NoError(t, chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`.card h3 a`)), chromedp.WaitVisible(chromedp.ID("incident-1"))))
	styled()
	require.NoError(t, chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`header a`)), chromedp.WaitVisible(chromedp.ID("paused"))))
	require.Equal(t, site.URL+"/ops/adfbot/", browsertest.Evaluate[string](t, ctx, `location.href`))
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(site.URL+"/ops/adfbot/projects/odilo?refresh=off")))
	styled()
	require.NoError(t, chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`footer a`)), chromedp.WaitReady(chromedp.CSS(`main[data-refresh]`))))
	require.Equal(t, "/ops/adfbot/projects/odilo", browsertest.Evaluate[string](t, ctx, `location.pathname`))
	require.Empty(t, complaints())
}
