package page

import (
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
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
	t.Parallel()
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
	hide := ""
	for range 4 { // the issue and the deleted issue of the incident are before it
		if hide = tab(t, ctx); strings.HasPrefix(hide, "?open=") {
			break
		}
	}
	require.Equal(t, "true", browsertest.Evaluate[string](t, ctx, `document.activeElement.ariaExpanded`))
	require.NoError(t, chromedp.Do(ctx, chromedp.KeyEvent(kb.Enter), chromedp.WaitReady(chromedp.CSS(`a[aria-expanded=false][href$="`+hide[strings.Index(hide, "#"):]+`"]`))),
		"outputs open and close by key")
	require.True(t, browsertest.Evaluate[bool](t, ctx, `document.activeElement.ariaExpanded === 'false'`), "and the focus stays there")
}

// scripts runs a test in a browser with and without the page's script.
func scripts(t *testing.T, test func(t *testing.T, ctx context.Context)) {
	for _, name := range []string{"with a script", "without a script"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := browsertest.Open(t)
			if name != "with a script" {
				require.NoError(t, chromedp.Do(ctx, browsertest.WithoutScript()))
			}
			test(t, ctx)
		})
	}
}

// An output that somebody reads stays open, whatever is reported meanwhile.
func TestReloadKeepsOutputsOpen(t *testing.T) { scripts(t, testReloadKeepsOutputsOpen) }

// wholePage selects what follows all else on the last page of a test, which is reloaded no more: a browser shows a page while it still reads it.
const wholePage = `main[data-refresh="3600"] + footer`

func testReloadKeepsOutputsOpen(t *testing.T, ctx context.Context) {
	now := func() time.Time { return seven }
	first, quick, last := New(now, ""), New(now, ""), New(now, "")
	first.refresh, quick.refresh, last.refresh = 7200, 1, 3600 // a click on a page that is just reloaded would be lost
	var reloads atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /projects/odilo", func(w http.ResponseWriter, r *http.Request) {
		p, pages, runs, incidents := running("odilo", "--"), first, sampleRuns("---++"), sampleIncidents()
		p.Failures = 2
		runs[0].Recorded, runs[0].Output = seven, "a newer failure"
		runs = runs[1:]
		if strings.Contains(r.URL.RawQuery, "incident-2") { // after the clicks below
			pages = quick
			switch reloads.Add(1) {
			case 1:
			case 2:
				p.Failures, runs = 3, append(sampleRuns("-")[:1], runs...)
			default:
				p.Failures, runs, pages = 0, append(sampleRuns("+"), runs...), last
				incidents[0].Ended = seven
			}
		}
		_ = pages.Project(w, r, sampleDetailOf(p, runs, incidents))
	})
	serveFiles(mux)
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	shown := func() []string {
		return browsertest.Evaluate[[]string](t, ctx, `[...document.querySelectorAll('a[aria-expanded=true]')].map(a => a.hash)`)
	}
	require.NoError(t, chromedp.Do(ctx, browsertest.Phone("light").Open(site.URL+"/projects/odilo?open=")...))
	require.Empty(t, shown())
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(site.URL+"/projects/odilo")))
	usual := shown()
	require.Len(t, usual, 2, "the last failed output, and the evidence of the open incident")
	require.NoError(t, chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`a[href$="#incident-2"]`)), chromedp.WaitReady(chromedp.CSS(wholePage))))
	require.ElementsMatch(t, append(usual, "#incident-2"), shown())
	require.GreaterOrEqual(t, reloads.Load(), int64(3))
}

// Who has stopped the reloading is not asked again on the next page.
func TestStoppedReloadingIsKept(t *testing.T) {
	for name, facts := range samples() {
		doc := show(t, "/projects/odilo?refresh=off", facts).Body.String()
		require.NotContains(t, doc, "http-equiv", name)
		for _, m := range regexp.MustCompile(`<a href="([^"]*)"`).FindAllStringSubmatch(doc, -1) {
			if href := m[1]; !strings.HasPrefix(href, "http") && !strings.HasPrefix(href, "#") && !strings.HasSuffix(href, ".yaml") && !strings.Contains(doc, `<a href="`+href+`">Renew it`) {
				require.Contains(t, href, "refresh=off", name)
			}
		}
	}
	require.Contains(t, show(t, "/?refresh=off", samples()["all-well"]).Body.String(), `<a href="./projects/odilo?refresh=off">`)
}

// The address keeps what is open, so the page leads to the address with what is open first.
func TestOpenOutputsAreInTheAddress(t *testing.T) {
	facts := samples()["project-paused"]
	first := show(t, "/projects/odilo", facts)
	require.Equal(t, http.StatusSeeOther, first.Code)
	to := first.Header().Get("Location")
	require.Regexp(t, `^\?open=run-[a-z0-9]+,incident-3$`, to)
	second := show(t, "/projects/odilo"+to, facts)
	require.Equal(t, http.StatusOK, second.Code)
	require.Equal(t, second.Body.String(), first.Body.String())
	require.Contains(t, second.Body.String(), `http-equiv="refresh" content="30; url=`+to+`"`, "without a fragment, which would only scroll")

	none := show(t, "/projects/odilo?open=", facts)
	require.Equal(t, http.StatusOK, none.Code)
	require.NotContains(t, none.Body.String(), "<pre")
	require.NotContains(t, show(t, "/projects/odilo?open=incident-99,%22onclick", facts).Body.String(), "onclick", "what is not there is dropped")
	require.Equal(t, "?open=run-"+strings.TrimPrefix(strings.Split(to, ",")[0], "?open=run-")+",incident-3&refresh=off",
		show(t, "/projects/odilo?refresh=off", facts).Header().Get("Location"))
	require.Equal(t, http.StatusOK, show(t, "/projects/odilo", samples()["project-nothing"]).Code)
}

func TestReloadKeepsScrollPosition(t *testing.T) { scripts(t, testReloadKeepsScrollPosition) }

func testReloadKeepsScrollPosition(t *testing.T, ctx context.Context) {
	now := func() time.Time { return seven }
	quick, last := New(now, ""), New(now, "")
	quick.refresh, last.refresh = 1, 3600
	var loads atomic.Int64
	scrolled := make(chan struct{}) // until then, nothing is reloaded
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		pages := quick
		load := loads.Add(1)
		if load > 2 { // the first one leads to the second one's address
			<-scrolled
		}
		if load > 3 {
			pages = last
		}
		_ = pages.Project(w, r, sampleDetail(paused("odilo", "---", sampleIssue), strings.Repeat("+-", 25), sampleIncidents()...))
	})
	serveFiles(mux)
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	release := sync.OnceFunc(func() { close(scrolled) })
	t.Cleanup(release)
	require.NoError(t, chromedp.Do(ctx, browsertest.Phone("light").Open(site.URL+"/")...))
	browsertest.Evaluate[bool](t, ctx, `(window.scrollTo(0, 900), window.seen = document.elementFromPoint(180, 370), window.top0 = seen.getBoundingClientRect().top, true)`)
	release()
	require.NoError(t, chromedp.Do(ctx, chromedp.WaitReady(chromedp.CSS(wholePage))))
	// The browser restores the position after each reload. The script moves nothing that the reader sees, whatever becomes longer above.
	require.True(t, browsertest.Evaluate[bool](t, ctx, `new Promise(done => {
		const check = () => { if (window.seen ? seen.isConnected && Math.abs(seen.getBoundingClientRect().top - top0) < 2 : scrollY === 900) done(true); };
		addEventListener('scroll', check);
		setTimeout(() => done(false), 20000);
		check();
	})`))

	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(site.URL+"/?refresh=off")))
	require.True(t, browsertest.Evaluate[bool](t, ctx, `!document.querySelector('main[data-refresh]')`), "a reader can stop the reloading")
	require.Regexp(t, `/\?open=[^&]+$`, browsertest.Evaluate[string](t, ctx, `document.querySelector("footer a").href`))
}

func TestRunsOfOneMoment(t *testing.T) {
	d := sampleDetail(running("odilo", "--"), "--")
	d.Runs[1].Recorded = d.Runs[0].Recorded
	doc := show(t, "/projects/odilo?open=", d).Body.String()
	soundHTML(t, doc)
	older := regexp.MustCompile(`id="(run-[0-9a-f]+)"`).FindStringSubmatch(doc)[1]
	require.Equal(t, 1, strings.Count(show(t, "/projects/odilo?open="+older, d).Body.String(), "<pre "))
	require.Contains(t, doc, `id="`+older+`-2"`)
}
