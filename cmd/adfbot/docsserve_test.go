package main

import (
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testpg"
	"github.com/terraphim/adfbot/internal/testworld"
)

// serveHere runs serve in this process, and returns a client of its socket and its log.
func serveHere(t *testing.T, w *world) (*http.Client, *testworld.Log) {
	t.Helper()
	dir, err := os.MkdirTemp("", "adfbot-docs-") // the path of a socket has to be short
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "socket")
	text := document(t, w.path("config.yaml")) + "http:\n  socket: " + socket + "\n"
	require.NoError(t, os.WriteFile(w.path("config.yaml"), []byte(text), 0o644))

	w.ok("record", "--project", "odilo", "--success")
	w.ok("sweep") // the daemon may be asked before its own first sweep has ended

	m := newManager(t, filepath.Join(dir, "notify"))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	log := &testworld.Log{}
	go func() {
		ended <- run(ctx, []string{"serve"}, process{stdin: strings.NewReader(""), stdout: log, stderr: log, getenv: func(name string) string {
			if name == "NOTIFY_SOCKET" {
				return filepath.Join(dir, "notify")
			}
			return w.getenv(name)
		}})
	}()
	t.Cleanup(func() {
		stop()
		require.Zero(t, <-ended, log.String())
	})
	m.await("READY=1")
	return over(socket), log
}

// over returns a client of a socket.
func over(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
}

// fetch gets a path, or posts a body to it, requires this status, and returns the answer.
func fetch(t *testing.T, client *http.Client, status int, path, body string) string {
	t.Helper()
	var resp *http.Response
	var err error
	if body == "" {
		resp, err = client.Get("http://adfbot" + path)
	} else {
		resp, err = client.Post("http://adfbot"+path, "application/json", strings.NewReader(body))
	}
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, status, resp.StatusCode, string(b))
	return string(b)
}

type metricRow struct{ kind, labels string }

// documentedMetrics returns the metrics of a daemon whose state is a file, and those that it has besides where hosts share the state.
func documentedMetrics(t *testing.T) (alone, shared map[string]metricRow) {
	rows := func(text string) map[string]metricRow {
		out := map[string]metricRow{}
		for _, m := range regexp.MustCompile("(?m)^\\| `(adfbot_[a-z_]+)` \\| (\\w+) \\| ([a-z, ]*)\\|").FindAllStringSubmatch(text, -1) {
			out[m[1]] = metricRow{m[2], strings.TrimSpace(m[3])}
		}
		return out
	}
	first, second, ok := strings.Cut(topic(t, "metrics"), "## Hosts that share a state")
	require.True(t, ok)
	return rows(first), rows(second)
}

// servedMetrics returns the bot's own metrics of a scrape.
func servedMetrics(page string) map[string]metricRow {
	served := map[string]metricRow{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (adfbot_\w+) (\w+)$`).FindAllStringSubmatch(page, -1) {
		samples := submatches(`(?m)^`+m[1]+`(?:_bucket)?\{(.*)\}`, page)
		labels := strings.Join(submatches(`(?:^|,|\{)([a-z]+)=`, strings.Join(samples, ",")), ", ")
		served[m[1]] = metricRow{m[2], strings.Trim(strings.ReplaceAll(", "+labels+",", ", le,", ","), ", ")}
	}
	return served
}

func TestDocsMetricsOfAFleet(t *testing.T) {
	t.Parallel()
	url := testpg.Database(t)
	w := newWorld(t)
	config := document(t, w.path("config.yaml"))
	config = regexp.MustCompile(`(?m)^state: .*$`).ReplaceAllString(config, "state: "+url+"\nlocal_dir: "+w.path("local"))
	require.NoError(t, os.WriteFile(w.path("config.yaml"), []byte(config), 0o644))
	client, _ := serveHere(t, w)
	fetch(t, client, http.StatusOK, "/api/v1/results", `{"project":"quick","exit_code":1}`)
	alone, want := documentedMetrics(t)
	require.NotEmpty(t, want)
	maps.Copy(want, alone)
	require.Eventually(t, func() bool { // the first heartbeat
		return maps.Equal(want, servedMetrics(fetch(t, client, http.StatusOK, "/metrics", "")))
	}, testhost.Patience, 50*time.Millisecond)
	checkExpressions(t, fetch(t, client, http.StatusOK, "/metrics", ""), nil)
}

func TestDocsHTTP(t *testing.T) {
	t.Parallel()
	client, _ := serveHere(t, newWorld(t))
	fetch(t, client, http.StatusOK, "/api/v1/results", `{"project":"quick","exit_code":1}`) // a trip, so there are requests to Gitea to count

	t.Run("metrics", func(t *testing.T) {
		text := topic(t, "metrics")
		alone, shared := documentedMetrics(t)
		page := fetch(t, client, http.StatusOK, "/metrics", "")
		require.Equal(t, servedMetrics(page), alone)
		checkExpressions(t, page, shared)
		for path, text := range documents(t) {
			for _, name := range submatches(`\b(adfbot_[a-z_]+)\b`, text) {
				if base := strings.TrimSuffix(name, "_bucket"); shared[base] == (metricRow{}) {
					require.Contains(t, alone, base, path)
				}
			}
		}
		for _, prefix := range []string{"go_", "process_"} {
			require.Contains(t, page, "\n"+prefix)
			require.Contains(t, text, "`"+prefix+"`")
		}
	})

	t.Run("endpoints", func(t *testing.T) {
		var api struct {
			Paths map[string]map[string]any `yaml:"paths"`
		}
		require.NoError(t, yaml.Unmarshal([]byte(fetch(t, client, http.StatusOK, "/api/v1/openapi.yaml", "")), &api))
		require.NotEmpty(t, api.Paths)
		text := topic(t, "http")
		for path, methods := range api.Paths {
			for method := range methods {
				if method != "parameters" {
					require.Contains(t, text, "`"+strings.ToUpper(method)+" "+path+"`")
				}
			}
		}
	})
}
