package web

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/web/browsertest"
)

// The README shows the page as it looks on a morning when one project is paused and another is held.
const (
	screenshot = "../../testdata/page.png"
	readme     = "../../README.md"
	maxPicture = 150 << 10

	pictureHeight = 960 // what is below it is about the bot
)

const screenshotConfig = `
instance: bigbox
pause_dir: DIR/pause
state: DIR/adfbot.db
gitea: {url: https://git.example.org, token_file: DIR/gitea-token, owner: terraphim, repo: adf-fleet}
operators: [alice]
http: {listen: 127.0.0.1:0, token_file: DIR/api-token}
projects: [{id: odilo}, {id: digital-twins}, {id: atlas}, {id: ledger}, {id: fleet-docs}, {id: polaris}, {id: zenith}]
`

var update = flag.Bool("update", false, "take the README's picture again")

// TestScreenshot checks the README's picture; with -update it takes a new one.
func TestScreenshot(t *testing.T) {
	t.Parallel()
	if *update {
		require.NoError(t, os.WriteFile(screenshot, takeScreenshot(t), 0o644))
	}
	data, err := os.ReadFile(screenshot)
	require.NoError(t, err)
	require.Less(t, len(data), maxPicture)
	picture, err := png.Decode(bytes.NewReader(data))
	require.NoError(t, err)
	size := picture.Bounds().Size()
	require.True(t, size.X >= 800 && size.X <= 2000 && size.Y >= 400 && size.Y <= 2000, "%s", size)
	text, err := os.ReadFile(readme)
	require.NoError(t, err)
	require.True(t, strings.Contains(string(text), "](testdata/page.png)"), "the README does not show %s", screenshot)
}

func takeScreenshot(t *testing.T) []byte {
	site := httptest.NewServer(troubledMorning(t).handler)
	t.Cleanup(site.Close)
	ctx := browsertest.Open(t)
	desktop := browsertest.Desktop("light")
	desktop.Width = 1000
	require.NoError(t, chromedp.Do(ctx, desktop.Open(site.URL+"/?refresh=off")...))
	data, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	require.NoError(t, err)
	picture, err := png.Decode(bytes.NewReader(data))
	require.NoError(t, err)
	top, ok := picture.(interface {
		SubImage(image.Rectangle) image.Image
	})
	require.True(t, ok)
	var small bytes.Buffer
	require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, top.SubImage(image.Rect(0, 0, 1000, pictureHeight))))
	return small.Bytes()
}

// troubledMorning is a daemon with five hours of history, at seven in the morning.
func troubledMorning(t *testing.T) *Server {
	dir := t.TempDir()
	var now atomic.Int64
	now.Store(time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC).UnixMilli())
	clock := func() time.Time { return time.UnixMilli(now.Add(3)).UTC() }
	wait := func(d time.Duration) { now.Add(d.Milliseconds()) }

	gitea := giteatest.New(clock)
	t.Cleanup(gitea.Close)
	gitea.SetBaseURL("https://git.example.org")
	gitea.AddUser("adf-bot", giteatest.UserOptions{})
	gitea.AddUser("alice", giteatest.UserOptions{})
	gitea.AddToken("adf-bot", giteaToken)
	gitea.AddRepo("terraphim", "adf-fleet")
	gitea.SetPermission("terraphim", "adf-fleet", "adf-bot", giteatest.Write)
	gitea.SetPermission("terraphim", "adf-fleet", "alice", giteatest.Write)

	for name, text := range map[string]string{
		"gitea-token": giteaToken, "api-token": adminToken, "config.yaml": strings.ReplaceAll(screenshotConfig, "DIR", dir),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	cfg, err := config.Load(filepath.Join(dir, "config.yaml"))
	require.NoError(t, err)
	cfg.Path = config.DefaultPath // as commands are shown where the bot is installed
	b, err := bot.Open(t.Context(), cfg, bot.Daemon, bot.Env{Now: clock, Transport: gitea.Transport()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	server, err := New(Options{Config: cfg, Bot: b, Now: clock, Getenv: os.Getenv, Metrics: NewMetrics("v1.0.0", "")})
	require.NoError(t, err)

	post := func(path, body string) {
		t.Helper()
		r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+adminToken)
		w := httptest.NewRecorder()
		server.handler.ServeHTTP(w, r)
		require.Equal(t, http.StatusOK, w.Code, w.Body)
	}
	result := func(project, exitCode string) {
		t.Helper()
		output := "$ claude -p plan.md\nClaude usage limit reached. Your limit will reset at 9am.\n"
		if project != "odilo" {
			output = "$ make check\nmake: *** [check] Error 1\n"
		}
		post("/api/v1/results", fmt.Sprintf(`{"project":%q,"exit_code":%s,"host":"host-a","started_at":%q,"output":%q}`, project, exitCode,
			clock().Add(-95*time.Second).Format(time.RFC3339), output))
	}
	sweep := func() {
		t.Helper()
		_, err := b.Sweep(t.Context(), escalate.SweepOptions{})
		require.NoError(t, err)
	}

	flag := func(project string) string { return filepath.Join(dir, "pause", project) }
	require.NoError(t, os.WriteFile(flag("zenith"), []byte("The database moves to its new host. Back on Tuesday. Alice\n"), 0o644))
	require.NoError(t, os.Chtimes(flag("zenith"), clock(), clock().Add(-9*time.Hour)))
	// Each line is one round of runs, with their exit codes. A paused project has none.
	for _, round := range []string{
		"odilo 0 digital-twins 0 atlas 0 ledger 0 fleet-docs 0 polaris 0",
		"odilo 0 digital-twins 0 atlas 0 ledger 0 fleet-docs 0 polaris 1",
		"odilo 0 digital-twins 1 atlas 0 ledger 0 fleet-docs 0 polaris 0",
		"odilo 1 digital-twins 0 atlas 0 ledger 0 fleet-docs 1 polaris 0",
		"odilo 1 digital-twins 0 atlas 0 ledger 0 fleet-docs 1 polaris 0",
		"odilo 1 digital-twins 0 atlas 0 ledger 0 fleet-docs 1 polaris 0",
		"digital-twins 0 atlas 0 ledger 0 polaris 0",
		"digital-twins 0 atlas 0 ledger 1 polaris 0",
		"digital-twins 1 atlas 0 ledger 1 polaris 0",
	} {
		for f := strings.Fields(round); len(f) > 0; f = f[2:] {
			result(f[0], f[1])
			wait(3 * time.Second)
		}
		sweep()
		wait(30 * time.Minute)
	}
	require.NoError(t, os.Chtimes(flag("odilo"), clock(), clock().Add(-2*time.Hour))) // the file system has a clock of its own
	post("/api/v1/projects/fleet-docs/resume", "")
	wait(12 * time.Minute)
	result("fleet-docs", "0")
	gitea.As("alice").Comment("terraphim/adf-fleet", 1, "/adf ack")
	sweep()
	wait(40 * time.Second)
	return server
}
