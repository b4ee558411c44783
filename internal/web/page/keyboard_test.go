package page

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/web/browsertest"
)

// tab presses the key and returns the address or the element that then has the focus.
func tab(t *testing.T, ctx context.Context) string {
	t.Helper()
	require.NoError(t, chromedp.Do(ctx, chromedp.KeyEvent(kb.Tab)))
	return browsertest.Evaluate[string](t, ctx, `(e => e.getAttribute('href') || e.tagName.toLowerCase())(document.activeElement)`)
}

func TestKeyboard(t *testing.T) {
	ctx, site := browsertest.Open(t), sampleSite(t)
	require.NoError(t, chromedp.Do(ctx, browsertest.Desktop("light").Open(site.URL+"/one-paused")...))
	var order []string
	for range 6 {
		order = append(order, tab(t, ctx))
		require.NotEqual(t, "none", browsertest.Evaluate[string](t, ctx, `getComputedStyle(document.activeElement).outlineStyle`), "the focus on %s is visible", order[len(order)-1])
		require.True(t, browsertest.Evaluate[bool](t, ctx, `(r => r.width > 0 && r.left >= 0 && r.top >= 0)(document.activeElement.getBoundingClientRect())`),
			"%s is visible while it has the focus", order[len(order)-1])
	}
	require.Equal(t, []string{"#main", "./projects/odilo", sampleIssue, "./projects/digital-twins", "./projects/fleet", "?refresh=off"}, order)

	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(site.URL+"/project-paused")))
	require.Equal(t, "#main", tab(t, ctx))
	require.NoError(t, chromedp.Do(ctx, chromedp.KeyEvent(kb.Enter)))
	require.Equal(t, "main", browsertest.Evaluate[string](t, ctx, `document.activeElement.id`), "the skip link works")
	require.Equal(t, sampleIssue, tab(t, ctx), "and the next stop is the first link behind it")
	require.Equal(t, "summary", tab(t, ctx))
	shown := browsertest.Evaluate[bool](t, ctx, `document.activeElement.parentElement.open`)
	require.NoError(t, chromedp.Do(ctx, chromedp.KeyEvent(kb.Enter)))
	require.Equal(t, !shown, browsertest.Evaluate[bool](t, ctx, `document.activeElement.parentElement.open`), "outputs open and close by key")
}

func TestReloadKeepsScrollPosition(t *testing.T) {
	ctx := browsertest.Open(t)
	now := func() time.Time { return seven }
	quick, last := New(now), New(now)
	quick.refresh, last.refresh = 1, 3600
	var loads atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		pages := quick
		if loads.Add(1) > 2 {
			pages = last
		}
		_ = pages.Project(w, r, sampleDetail(paused("odilo", "---", sampleIssue), strings.Repeat("+-", 25), sampleIncidents()...))
	})
	serveFiles(mux)
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	require.NoError(t, chromedp.Do(ctx, browsertest.Phone("light").Open(site.URL+"/")...))
	browsertest.Evaluate[bool](t, ctx, `(window.scrollTo(0, 900), true)`)
	require.NoError(t, chromedp.Do(ctx, chromedp.WaitReady(chromedp.CSS(`meta[http-equiv="refresh"][content="3600"]`))))
	require.Equal(t, int64(900), browsertest.Evaluate[int64](t, ctx, `new Promise(done => {
		const check = () => { if (scrollY === 900) done(scrollY); };
		addEventListener('scroll', check);
		check();
	})`), "the browser restores the position after each reload")

	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(site.URL+"/?refresh=off")))
	require.True(t, browsertest.Evaluate[bool](t, ctx, `!document.querySelector('meta[http-equiv]')`), "a reader can stop the reloading")
	require.Equal(t, site.URL+"/?refresh=on", browsertest.Evaluate[string](t, ctx, `document.querySelector("footer a").href`))
}
