package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// browser starts a headless Chromium with a profile of its own. Without one the test is skipped, or fails where
// ADFBOT_REQUIRE_BROWSER=1 says that there has to be one.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		const say = "no browser: install the Debian package chromium"
		if os.Getenv("ADFBOT_REQUIRE_BROWSER") == "1" {
			t.Fatal(say)
		}
		t.Skip(say)
	}
	opts := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.Headless,
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WSURLReadTimeout(time.Minute),
	}
	for _, name := range []string{"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync",
		"disable-extensions", "disable-default-apps", "disable-domain-reliability", "disable-dev-shm-usage"} {
		opts = append(opts, chromedp.Flag(name, true))
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(cancel)
	require.NoError(t, chromedp.Do(ctx))
	return ctx
}

// sampleSite serves every sample page under its name.
func sampleSite(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	for name, facts := range samples() {
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) {
			page := show(t, r.URL.RequestURI(), facts)
			for key, v := range page.Header() {
				w.Header()[key] = v
			}
			w.WriteHeader(http.StatusOK) // a browser notes other statuses as errors
			_, _ = w.Write(page.Body.Bytes())
		})
	}
	mux.HandleFunc("GET /style.css", serveStyle)
	mux.HandleFunc("GET /icon/{name}", serveIcon)
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	return site
}

// complaints collects what the browser has to say: errors of the console and violations of the policy.
func complaints(t *testing.T, ctx context.Context) func() []string {
	t.Helper()
	var mu sync.Mutex
	var list []string
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			mu.Lock()
			list = append(list, m.URL+" "+m.String())
			mu.Unlock()
		}
	}()
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string{}, list...)
	}
}

// evaluate runs a script in the page. The page's policy is for the page: what is sent this way is not held by it.
func evaluate[T any](t *testing.T, ctx context.Context, script string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script))
	require.NoError(t, err)
	return v
}

type screen struct {
	name          string
	width, height int64
	scheme        string
}

func screens() []screen {
	return []screen{{"phone-light", 360, 740, "light"}, {"phone-dark", 360, 740, "dark"}, {"desktop-light", 1280, 800, "light"}, {"desktop-dark", 1280, 800, "dark"}}
}

func (s screen) open(address string) []chromedp.Action[chromedp.Void] {
	var opts []chromedp.EmulateViewportOption
	if s.width < 500 {
		opts = append(opts, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	scheme := chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: s.scheme}}})
		return err
	})
	return []chromedp.Action[chromedp.Void]{chromedp.EmulateViewport(s.width, s.height, opts...), scheme, chromedp.Navigate(address)}
}

// contrasts finds every text whose contrast with its ground is below that of WCAG AA.
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

func TestEveryPageIsSoundInABrowser(t *testing.T) {
	ctx, site := browser(t), sampleSite(t)
	said := complaints(t, ctx)
	shots := os.Getenv("ADFBOT_TEST_SCREENSHOTS") // a directory, for people to look at
	for name := range samples() {
		for _, s := range screens() {
			require.NoError(t, chromedp.Do(ctx, s.open(site.URL+"/"+name)...))
			where := name + " on " + s.name
			require.LessOrEqual(t, evaluate[int64](t, ctx, `document.documentElement.scrollWidth`), s.width, "%s is wider than its screen", where)
			require.Empty(t, evaluate[[]string](t, ctx, contrasts), where)
			require.Equal(t, int64(1), evaluate[int64](t, ctx, `document.querySelectorAll('h1').length`), where)
			require.Zero(t, evaluate[int64](t, ctx, `document.querySelectorAll('script, form, iframe, object, embed, [style], [onerror], [onmouseover], [onclick]').length`), where)
			require.NotZero(t, evaluate[int64](t, ctx, `document.styleSheets[0].cssRules.length`), where)
			require.Empty(t, evaluate[[]string](t, ctx, `[...document.querySelectorAll('a')].filter(a => !/^https?:$/.test(a.protocol)).map(a => a.href)`), where)
			if shots != "" {
				png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(filepath.Join(shots, name+"-"+s.name+".png"), png, 0o644))
			}
		}
	}
	require.Empty(t, said(), "the browser complains")
}
