package web

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/store"
)

func TestTakesGzip(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]bool{
		"": false, "gzip": true, "gzip, deflate, br, zstd": true, "br;q=1.0, GZIP;q=0.5": true, "x-gzip": true, "*": true, "*;q=0": false,
		"gzip;q=0": false, "gzip; q=0.0": false, "*, gzip;q=0": false, "gzip;q=0, *": false, "gzip;q=x": false, "identity": false, "gzipped": false, "deflate": false, ",": false,
	} {
		require.Equal(t, want, takesGzip([]string{accept}), accept)
	}
	require.True(t, takesGzip([]string{"br", "gzip"}), "several headers are one list")
	require.False(t, takesGzip(nil))
}

func TestHasTag(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]bool{`W/"a"`: true, `"a"`: true, `"b", W/"a"`: true, `*`: true, `"b"`: false, ``: false, `a`: false} {
		require.Equal(t, want, hasTag([]string{sent}, `W/"a"`), sent)
	}
}

// askAs asks with headers, which are names and values.
func (d *daemon) askAs(method, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:9753"+path, nil)
	for n := 0; n < len(headers); n += 2 {
		r.Header.Set(headers[n], headers[n+1])
	}
	w := httptest.NewRecorder()
	d.server.handler.ServeHTTP(w, r)
	return w
}

func unpack(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	require.Equal(t, "gzip", w.Header().Get("Content-Encoding"))
	z, err := gzip.NewReader(bytes.NewReader(w.Body.Bytes()))
	require.NoError(t, err)
	doc, err := io.ReadAll(z)
	require.NoError(t, err)
	return string(doc)
}

// The page, the metrics and the API are compressed; what is short is not.
func TestAnswersAreCompressed(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	d.trip("odilo")
	for _, path := range []string{"/", "/metrics", "/style.css", "/projects/odilo?open=", "/api/v1/openapi.yaml"} {
		plain, packed := d.get(path), d.askAs(http.MethodGet, path, "Accept-Encoding", "gzip, br")
		require.Equal(t, http.StatusOK, packed.Code, path)
		require.Empty(t, plain.Header().Get("Content-Encoding"), path)
		for _, w := range []*httptest.ResponseRecorder{plain, packed} {
			require.Contains(t, w.Header().Values("Vary"), "Accept-Encoding", "%s: a cache must keep both", path)
		}
		require.Equal(t, plain.Header().Get("Content-Type"), packed.Header().Get("Content-Type"), path)
		require.Empty(t, packed.Header().Get("Content-Length"), path)
		require.Less(t, packed.Body.Len(), plain.Body.Len()/2, path)
		if doc := unpack(t, packed); path != "/metrics" { // which count themselves
			require.Equal(t, plain.Body.String(), doc, path)
		}
	}
	for _, path := range []string{"/healthz", "/nowhere", "/api/v1/projects/odilo/gate", "/icon/ok.svg"} {
		w := d.askAs(http.MethodGet, path, "Accept-Encoding", "gzip")
		require.Empty(t, w.Header().Get("Content-Encoding"), path)
		require.NotZero(t, w.Body.Len(), path)
	}
}

func TestPageIsSentOnce(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	d.trip("odilo")
	for _, path := range []string{"/", "/projects/odilo?open="} {
		first := d.askAs(http.MethodGet, path, "Accept-Encoding", "gzip")
		tag := first.Header().Get("ETag")
		require.NotEmpty(t, tag, path)
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			again := d.askAs(method, path, "If-None-Match", tag, "Accept-Encoding", "gzip")
			require.Equal(t, http.StatusNotModified, again.Code, path)
			require.Zero(t, again.Body.Len(), path)
			require.Equal(t, tag, again.Header().Get("ETag"), path)
			require.Empty(t, again.Header().Get("Content-Encoding"), path)
			require.Empty(t, again.Header().Get("Content-Length"), path)
		}
		d.record("odilo", "failure")
		require.Equal(t, http.StatusOK, d.askAs(http.MethodGet, path, "If-None-Match", tag).Code, "%s: something has happened", path)
	}
	missing := d.askAs(http.MethodGet, "/projects/odio", "If-None-Match", "*")
	require.Equal(t, http.StatusNotFound, missing.Code, "only what was found can be the same")
}

// Time that passes changes no page: all ages and what is left until something are in elements that the tag leaves out, or are said as times.
func TestPageOfTheSameFactsIsSentOnce(t *testing.T) {
	t.Parallel()
	d := daemonOf(t, `[{id: odilo}, {id: digital-twins, expect: {every: 5m, grace: 1m}}, {id: atlas}, {id: held}]
escalation: {remind: 24h, steps: [{after: 200h, assign: [alice]}]}`)
	d.record("digital-twins", store.Success)
	_, err := d.bot.PauseFor(t.Context(), "held", "a disk is changed", "alice", 0)
	require.NoError(t, err)
	d.trip("odilo")
	_, err = d.bot.PauseMany(t.Context(), bot.Many{Names: []string{"at*"}, By: "alice", For: 700 * time.Hour})
	require.NoError(t, err)
	for range 5 { // without a gap, in which nobody could report
		d.sweep()
		d.now = d.now.Add(2 * time.Minute)
	}
	// A noon, 25 hours later at least: the next sweep is overdue, and no new day begins in the chart soon.
	d.now = d.now.Add(37 * time.Hour).Truncate(24 * time.Hour).Add(12 * time.Hour)
	for path, wants := range map[string][]string{
		"/":                             {"paused by hand since", "Stops in force", "no sweep since", "step 1 of 1"},
		"/projects/odilo?open=":         {"step 1 of 1", "open for"},
		"/projects/held?open=":          {"paused by hand since"},
		"/projects/digital-twins?open=": {"has not reported since"},
	} {
		first := d.get(path)
		require.Equal(t, http.StatusOK, first.Code)
		for _, want := range wants {
			require.Contains(t, first.Body.String(), want, path)
		}
		before := d.now
		for _, later := range []time.Duration{time.Second, 7 * time.Second, 3 * time.Minute, 100 * time.Minute} {
			d.now = before.Add(later)
			again := d.get(path)
			require.Equal(t, first.Header().Get("ETag"), again.Header().Get("ETag"), "%s, %s later:\n%s\n%s", path, later, first.Body, again.Body)
		}
		d.now = before
	}
}

// A handler that panics after it has begun must not look as if it had answered.
func TestPanicWithinAnAnswer(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	for _, size := range []int{0, 10 * leastPacked} {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /broken", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusOK)
			if size > 0 {
				_, _ = io.WriteString(w, strings.Repeat("x", size))
			}
			panic("broken")
		})
		r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:9753/broken", nil)
		r.Header.Set("Accept-Encoding", "gzip")
		w := httptest.NewRecorder()
		d.server.guard(mux).ServeHTTP(w, r)
		if size == 0 {
			require.Equal(t, http.StatusInternalServerError, w.Code)
		} else {
			z, err := gzip.NewReader(bytes.NewReader(w.Body.Bytes()))
			if err == nil {
				_, err = io.ReadAll(z)
			}
			require.Error(t, err, "the end is missing")
		}
	}
}

func TestPackedWriterInPieces(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	for _, c := range []struct {
		pieces []int
		length int // Content-Length, if any
		packed bool
	}{{[]int{10, 5000}, 0, false}, {[]int{10, 5000}, 5010, true}, {[]int{5000, 10}, 0, true}, {[]int{10}, 0, false}, {nil, 0, false}} {
		rec := httptest.NewRecorder()
		w := &packedWriter{ResponseWriter: rec, request: r}
		if c.length > 0 {
			rec.Header().Set("Content-Length", fmt.Sprint(c.length))
		}
		w.WriteHeader(http.StatusAccepted)
		want := ""
		for _, n := range c.pieces {
			want += strings.Repeat("y", n)
			_, err := io.WriteString(w, strings.Repeat("y", n))
			require.NoError(t, err)
		}
		w.finish()
		require.Equal(t, http.StatusAccepted, rec.Code)
		got := rec.Body.String()
		if c.packed {
			got = unpack(t, rec)
		}
		require.Equal(t, want, got, "%v", c)
	}
}
