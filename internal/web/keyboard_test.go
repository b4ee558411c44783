package web

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

	"github.com/terraphim/adfbot/internal/store"
)

// tab presses the key and returns what has the focus then: its address, or its element.
func tab(t *testing.T, ctx context.Context) string {
	t.Helper()
	require.NoError(t, chromedp.Do(ctx, chromedp.KeyEvent(kb.Tab)))
	return evaluate[string](t, ctx, `(e => e.getAttribute('href') || e.tagName.toLowerCase())(document.activeElement)`)
}

func TestThePageIsUsedByKeyboard(t *testing.T) {
	ctx, site := browser(t), sampleSite(t)
	require.NoError(t, chromedp.Do(ctx, screens()[2].open(site.URL+"/one-paused")...))
	var order []string
	for range 6 {
		order = append(order, tab(t, ctx))
		require.NotEqual(t, "none", evaluate[string](t, ctx, `getComputedStyle(document.activeElement).outlineStyle`), "the focus on %s is seen", order[len(order)-1])
		require.True(t, evaluate[bool](t, ctx, `(r => r.width > 0 && r.left >= 0 && r.top >= 0)(document.activeElement.getBoundingClientRect())`),
			"%s can be seen while it has the focus", order[len(order)-1])
	}
	require.Equal(t, []string{"#main", "/projects/odilo", sampleIssue, "/projects/digital-twins", "/projects/fleet", "/one-paused?refresh=off"}, order)

	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(site.URL+"/project-paused")))
	require.Equal(t, "#main", tab(t, ctx))
	require.NoError(t, chromedp.Do(ctx, chromedp.KeyEvent(kb.Enter)))
	require.Equal(t, "main", evaluate[string](t, ctx, `document.activeElement.id`), "the skip link skips")
	require.Equal(t, sampleIssue, tab(t, ctx), "and the next stop is the first link behind it")
	require.Equal(t, "summary", tab(t, ctx))
	shown := evaluate[bool](t, ctx, `document.activeElement.parentElement.open`)
	require.NoError(t, chromedp.Do(ctx, chromedp.KeyEvent(kb.Enter)))
	require.Equal(t, !shown, evaluate[bool](t, ctx, `document.activeElement.parentElement.open`), "outputs open and close by key")
}

func TestThePageLoadsItselfAgainWhereItsReaderIs(t *testing.T) {
	ctx := browser(t)
	pages := newPages(pageServer())
	pages.refresh = 1
	var loads atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		loads.Add(1)
		pages.showProject(w, r, sampleDetail(paused("odilo", "---", sampleIssue), strings.Repeat("+-", 25), sampleIncidents()...))
	})
	mux.HandleFunc("GET /style.css", serveStyle)
	mux.HandleFunc("GET /icon/{name}", serveIcon)
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	require.NoError(t, chromedp.Do(ctx, screens()[0].open(site.URL+"/")...))
	evaluate[bool](t, ctx, `(window.scrollTo(0, 900), true)`)
	seen := loads.Load()
	require.Eventually(t, func() bool { return loads.Load() >= seen+2 }, 30*time.Second, 50*time.Millisecond)
	require.Eventually(t, func() bool {
		y, err := chromedp.Run(ctx, chromedp.Evaluate[float64](`window.scrollY`))
		return err == nil && y == 900
	}, 10*time.Second, 50*time.Millisecond, "it stays where it was scrolled to")

	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(site.URL+"/?refresh=off")))
	require.True(t, evaluate[bool](t, ctx, `!document.querySelector('meta[http-equiv]')`), "it stays as it is when its reader wants that")
	require.Equal(t, site.URL+"/", evaluate[string](t, ctx, `document.querySelector('footer a').href`))
}

func TestADaemonInABrowser(t *testing.T) {
	d := newDaemon(t)
	d.record("digital-twins", store.Success)
	d.trip("odilo")
	site := httptest.NewServer(d.server.Handler())
	t.Cleanup(site.Close)
	ctx := browser(t)
	said := complaints(t, ctx)
	require.NoError(t, chromedp.Do(ctx, screens()[1].open(site.URL+"/")...))
	require.Equal(t, "1 of 2 projects is paused", evaluate[string](t, ctx, `document.querySelector('h1').textContent`))
	require.NoError(t, chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`a[href="/projects/odilo"]`)), chromedp.WaitVisible(chromedp.ID("incident-1"))))
	require.Contains(t, evaluate[string](t, ctx, `document.querySelector('#incident-1 pre').textContent`), "no space left on device")
	require.NoError(t, chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`header a`)), chromedp.WaitVisible(chromedp.ID("paused"))))
	require.Equal(t, site.URL+"/", evaluate[string](t, ctx, `location.href`))
	require.Empty(t, said(), "the guard's headers and the page's go together")
}
