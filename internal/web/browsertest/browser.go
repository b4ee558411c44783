// Package browsertest shows pages to a headless Chromium in tests.
package browsertest

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// browser is the one that all tests of a process share, because starting one costs a second or two. Each test has a tab of its own.
var browser struct {
	mu    sync.Mutex
	users int
	ctx   context.Context
	stop  func()
}

// Open opens a tab, which is closed with the test. If no browser is installed, the test is skipped, or fails if ADFBOT_REQUIRE_BROWSER is 1.
func Open(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		const missing = "no browser: install the Debian package chromium"
		if os.Getenv("ADFBOT_REQUIRE_BROWSER") == "1" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	ctx, cancel := chromedp.NewContext(join(t, path))
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(cancel)
	require.NoError(t, chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
		return err
	})))
	return ctx
}

// join returns the shared browser. It starts with its first user, with a home directory of its own, and ends with its last one.
func join(t *testing.T, path string) context.Context {
	t.Helper()
	browser.mu.Lock()
	defer browser.mu.Unlock()
	if browser.users == 0 {
		home, err := os.MkdirTemp("", "browser")
		require.NoError(t, err)
		var end context.CancelFunc
		browser.ctx, end = start(path, home)
		browser.stop = func() {
			end()
			_ = os.RemoveAll(home)
		}
		if err := chromedp.Do(browser.ctx); err != nil {
			browser.stop()
			require.NoError(t, err)
		}
	}
	browser.users++
	t.Cleanup(func() {
		browser.mu.Lock()
		defer browser.mu.Unlock()
		if browser.users--; browser.users == 0 {
			browser.stop()
		}
	})
	return browser.ctx
}

func start(path, home string) (context.Context, context.CancelFunc) {
	opts := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.Env("HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home), chromedp.UserDataDir(home + "/profile"), chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.Headless,
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WSURLReadTimeout(time.Minute),
	}
	for _, name := range []string{"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync",
		"disable-extensions", "disable-default-apps", "disable-domain-reliability", "disable-dev-shm-usage"} {
		opts = append(opts, chromedp.Flag(name, true))
	}
	ctx, endProcess := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, endTab := chromedp.NewContext(ctx)
	return ctx, func() {
		endTab()
		endProcess()
	}
}

// WithoutScript returns the action that turns off the scripts of the pages that are loaded from then on.
func WithoutScript() chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	})
}

// Complaints collects the browser's messages from now on: console errors and violations of a page's policy.
func Complaints(ctx context.Context) (list func() []string) {
	var mu sync.Mutex
	var all []string
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			mu.Lock()
			all = append(all, m.URL+" "+m.String())
			mu.Unlock()
		}
	}()
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string{}, all...)
	}
}

// Evaluate runs a script in the page, whose policy does not apply to it. If the script returns a promise, Evaluate waits for it.
func Evaluate[T any](t *testing.T, ctx context.Context, script string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	require.NoError(t, err)
	return v
}

// Screen is a device that shows a page.
type Screen struct {
	Name          string
	Width, Height int64
	Scheme        string // light or dark
}

// Phone returns a small screen.
func Phone(scheme string) Screen { return Screen{"phone-" + scheme, 360, 740, scheme} }

// Desktop returns a large screen.
func Desktop(scheme string) Screen { return Screen{"desktop-" + scheme, 1280, 800, scheme} }

// Open returns the actions that set up this screen and load an address.
func (s Screen) Open(address string) []chromedp.Action[chromedp.Void] {
	var opts []chromedp.EmulateViewportOption
	if s.Width < 500 {
		opts = append(opts, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	scheme := chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: s.Scheme}}})
		return err
	})
	return []chromedp.Action[chromedp.Void]{chromedp.EmulateViewport(s.Width, s.Height, opts...), scheme, chromedp.Navigate(address)}
}
