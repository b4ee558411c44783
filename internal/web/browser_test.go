package web

import (
	"net/http/httptest"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/web/browsertest"
)

func TestBrowser(t *testing.T) {
	d := newDaemon(t)
	d.record("digital-twins", store.Success)
	d.trip("odilo")
	site := httptest.NewServer(d.server.handler)
	t.Cleanup(site.Close)
	ctx := browsertest.Open(t)
	complaints := browsertest.Complaints(ctx)
	require.NoError(t, chromedp.Do(ctx, browsertest.Phone("dark").Open(site.URL+"/")...))
	require.Equal(t, "1 of 2 projects is paused", browsertest.Evaluate[string](t, ctx, `document.querySelector('h1').textContent`))
	require.NoError(t, chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`a[href="/projects/odilo"]`)), chromedp.WaitVisible(chromedp.ID("incident-1"))))
	require.Contains(t, browsertest.Evaluate[string](t, ctx, `document.querySelector('#incident-1 pre').textContent`), "no space left on device")
	require.NoError(t, chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`header a`)), chromedp.WaitVisible(chromedp.ID("paused"))))
	require.Equal(t, site.URL+"/", browsertest.Evaluate[string](t, ctx, `location.href`))
	require.Empty(t, complaints(), "the guard's headers and the page's go together")
}
