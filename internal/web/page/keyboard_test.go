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

// tab presses the key and returns what has the focus then: its address, or its element.
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
		require.NotEqual(t, "none", browsertest.Evaluate[string](t, ctx, `getComputedStyle(document.activeElement).outlineStyle`), "the focus on %s is seen", order[len(order)-1])
		require.True(t, browsertest.Evaluate[bool](t, ctx, `(r => r.width > 0 && r.left >= 0 && r.top >= 0)(document.activeElement.getBoundingClientRect())`),
			"%s can be seen while it has the focus", order[len(order)-1])
	}
	require.Equal(t, []string{"#main", "/projects/odilo", sampleIssue, "/projects/digital-twins", "/projects/fleet", "/one-paused?refresh=off"}, order)

	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(site.URL+"/project-paused")))
	require.Equal(t, "#main", tab(t, ctx))
	require.NoError(t, chromedp.Do(ctx, chromedp.KeyEvent(kb.Enter)))
	require.Equal(t, "main", browsertest.Evaluate[string](t, ctx, `document.activeElement.id`), "the skip link skips")
	require.Equal(t, sampleIssue, tab(t, ctx), "and the next stop is the first link behind it")
	require.Equal(t, "summary", tab(t, ctx))
	shown := browsertest.Evaluate[bool](t, ctx, `document.activeElement.parentElement.open`)
	require.NoError(t, chromedp.Do(ctx, chromedp.KeyEvent(kb.Enter)))
	require.Equal(t, !shown, browsertest.Evaluate[bool](t, ctx, `document.activeElement.parentElement.open`), "outputs open and close by key")
}

func TestRefreshKeepsThePlace(t *testing.T) {
	ctx := browsertest.Open(t)
	pages := New(func() time.Time { return seven })
	pages.refresh = 1
	var loads atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		loads.Add(1)
		_ = pages.Project(w, r, sampleDetail(paused("odilo", "---", sampleIssue), strings.Repeat("+-", 25), sampleIncidents()...))
	})
	serveFiles(mux)
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	require.NoError(t, chromedp.Do(ctx, browsertest.Phone("light").Open(site.URL+"/")...))
	browsertest.Evaluate[bool](t, ctx, `(window.scrollTo(0, 900), true)`)
	seen := loads.Load()
	require.Eventually(t, func() bool { return loads.Load() >= seen+2 }, 30*time.Second, 50*time.Millisecond)
	require.Eventually(t, func() bool {
		y, err := chromedp.Run(ctx, chromedp.Evaluate[float64](`window.scrollY`))
		return err == nil && y == 900
	}, 10*time.Second, 50*time.Millisecond, "it stays where it was scrolled to")

	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(site.URL+"/?refresh=off")))
	require.True(t, browsertest.Evaluate[bool](t, ctx, `!document.querySelector('meta[http-equiv]')`), "it stays as it is when its reader wants that")
	require.Equal(t, site.URL+"/", browsertest.Evaluate[string](t, ctx, `document.querySelector('footer a').href`))
}
