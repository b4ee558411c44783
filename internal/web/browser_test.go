package web

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
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
