package page

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/web/browsertest"
)

// sampleSite serves every sample page under its name.
func sampleSite(t *testing.T) *httptest.Server {
	t.Helper()
	return siteOf(t, samples())
}

func siteOf(t *testing.T, pages map[string]any) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	for name, facts := range pages {
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) {
			page := show(t, r.URL.RequestURI(), facts)
			for key, v := range page.Header() {
				w.Header()[key] = v
			}
			w.WriteHeader(http.StatusOK) // a browser notes other statuses as errors
			_, _ = w.Write(page.Body.Bytes())
		})
	}
	serveFiles(mux)
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	return site
}

func serveFiles(mux *http.ServeMux) {
	serve := func(w http.ResponseWriter, r *http.Request) { ServeStatic(w, r) }
	mux.HandleFunc("GET /style.css", serve)
	mux.HandleFunc("GET /page.js", serve)
	mux.HandleFunc("GET /icon/{name}", serve)
}

// contrasts finds every text whose contrast with its background is below that of WCAG AA.
const contrasts = `(() => {
	const parse = c => { const m = c.match(/[\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
	const light = ([r, g, b]) => { const f = v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }; return .2126 * f(r) + .7152 * f(g) + .0722 * f(b); };
	const ground = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] === 1) return c; } return [255, 255, 255, 1]; };
	const bad = [];
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n; n = walk.nextNode();) {
		const e = n.parentElement;
		if (!n.textContent.trim() || e.closest('svg')) continue;
		const s = getComputedStyle(e);
		const [a, b] = [light(parse(s.color)), light(ground(e))].sort((x, y) => y - x);
		if ((a + .05) / (b + .05) < 4.5) bad.push(n.textContent.trim().slice(0, 40) + ' ' + s.color + ' ' + ((a + .05) / (b + .05)).toFixed(2));
	}
	return bad;
})()`

func TestScreens(t *testing.T) {
	t.Parallel()
	pages := samples()
	if testhost.Full() {
		pages["many-300"], pages["many-3000"] = sampleMany(300), sampleMany(3000)
	}
	ctx, site := browsertest.Open(t), siteOf(t, pages)
	complaints := browsertest.Complaints(ctx)
	shots := os.Getenv("ADFBOT_TEST_SCREENSHOTS") // a directory for manual review
	thorough := []string{"one-paused", "project-month", "hostile"}
	for name := range pages {
		for n, s := range []browsertest.Screen{browsertest.Phone("light"), browsertest.Phone("dark"), browsertest.Desktop("light"), browsertest.Desktop("dark")} {
			if n > 0 && !testhost.Full() && !slices.Contains(thorough, name) {
				continue // a phone has the least space
			}
			require.NoError(t, chromedp.Do(ctx, s.Open(site.URL+"/"+name)...))
			where := name + " on " + s.Name
			require.LessOrEqual(t, browsertest.Evaluate[int64](t, ctx, `document.documentElement.scrollWidth`), s.Width, "%s is wider than its screen", where)
			require.Empty(t, browsertest.Evaluate[[]string](t, ctx, contrasts), where)
			require.Empty(t, browsertest.Evaluate[[]string](t, ctx, `[...document.querySelectorAll('svg')].filter(e => e.getBoundingClientRect().height > 160).map(e => e.ariaLabel)`),
				"%s: a picture is too high", where)
			require.Equal(t, int64(1), browsertest.Evaluate[int64](t, ctx, `document.querySelectorAll('h1').length`), where)
			require.Zero(t, browsertest.Evaluate[int64](t, ctx, `document.querySelectorAll('script:not([src*="page.js"]), form:not([method=get]), iframe, object, embed, [style], [onerror], [onmouseover], [onclick]').length`), where)
			require.NotZero(t, browsertest.Evaluate[int64](t, ctx, `document.styleSheets[0].cssRules.length`), where)
			require.Empty(t, browsertest.Evaluate[[]string](t, ctx, `[...document.querySelectorAll('a')].filter(a => !/^https?:$/.test(a.protocol)).map(a => a.href)`), where)
			if shots != "" {
				png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(filepath.Join(shots, name+"-"+s.Name+".png"), png, 0o644))
			}
		}
	}
	require.Empty(t, complaints(), "the browser complains")
}
