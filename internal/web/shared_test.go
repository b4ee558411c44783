package web

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// asker returns a function that sends a request to a shared handler, as over TCP on a loopback address.
func asker(t *testing.T, d *daemon, h handler) (ask func(path string) *httptest.ResponseRecorder) {
	t.Helper()
	serve := d.server.allow(route{level: accessOpen, handle: d.server.shared(classWatch, pageWait, h)})
	return func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", path, nil)
		serve(w, r.WithContext(context.WithValue(r.Context(), setupKey{}, d.server.current)))
		return w
	}
}

// Requests that arrive before a read begins share its answer; later ones get a newer answer.
func TestSharedAnswers(t *testing.T) {
	d := newDaemon(t)
	var reads atomic.Int64
	synctest.Test(t, func(t *testing.T) {
		d.server.tcpLimits = newLimits()
		answer := make(chan struct{})
		ask := asker(t, d, func(w http.ResponseWriter, r *request) error {
			n := reads.Add(1)
			<-answer
			w.Header().Set("X-Read", fmt.Sprint(n))
			w.WriteHeader(http.StatusTeapot)
			_, err := fmt.Fprint(w, r.URL.Path)
			return err
		})
		var all sync.WaitGroup
		seen := make(chan string, 100)
		for range 100 {
			all.Go(func() {
				w := ask("/a")
				seen <- fmt.Sprint(w.Code, w.Header().Get("X-Read"), w.Body)
			})
			synctest.Wait()
		}
		close(answer)
		all.Wait()
		close(seen)
		got := map[string]int{}
		for s := range seen {
			got[s]++
		}
		require.Equal(t, map[string]int{"4181/a": 1, "4182/a": 1, "4183/a": 98}, got)
		require.Equal(t, "4", ask("/a").Header().Get("X-Read"))
	})
}

// A read of a dead file system does not return, but its requests are answered in time.
func TestNobodyWaitsForDeadFileSystem(t *testing.T) {
	d := newDaemon(t)
	before := runtime.NumGoroutine()
	synctest.Test(t, func(t *testing.T) {
		d.server.tcpLimits = newLimits()
		dead := make(chan struct{})
		ask := asker(t, d, func(http.ResponseWriter, *request) error {
			<-dead
			return nil
		})
		var all sync.WaitGroup
		for n := range 60 {
			all.Go(func() {
				began := time.Now()
				w := ask(fmt.Sprintf("/%d", n))
				require.Equal(t, http.StatusServiceUnavailable, w.Code)
				require.Contains(t, w.Body.String(), "check whether a file system hangs")
				require.LessOrEqual(t, time.Since(began), pageWait+time.Second)
			})
		}
		all.Wait()
		synctest.Wait()
		require.Empty(t, d.server.tcpLimits[classWatch].reads.next)
		require.LessOrEqual(t, runtime.NumGoroutine(), before+10, "they do not pile up")
		close(dead)
		synctest.Wait()
		require.Equal(t, http.StatusOK, ask("/").Code, "it came back")
	})
}

// Nobody waits for answers to those who have left.
func TestNoLookForWhoHasLeft(t *testing.T) {
	d := newDaemon(t)
	synctest.Test(t, func(t *testing.T) {
		d.server.tcpLimits = newLimits()
		var looked atomic.Int64
		handle := d.server.shared(classWatch, pageWait, func(http.ResponseWriter, *request) error { looked.Add(1); return nil })
		turn := d.server.tcpLimits[classWatch].reads.turn
		for range maxSharedReads {
			turn <- struct{}{}
		}
		var all sync.WaitGroup
		ask := func(ctx context.Context, path string) {
			all.Go(func() {
				r := httptest.NewRequest("GET", path, nil).WithContext(ctx)
				_ = handle(httptest.NewRecorder(), &request{Request: r, setup: d.server.current})
			})
		}
		ctx, leave := context.WithCancel(t.Context())
		for n := range 20 {
			ask(ctx, fmt.Sprintf("/%d", n))
		}
		synctest.Wait()
		ask(t.Context(), "/7")
		synctest.Wait()
		leave()
		synctest.Wait()
		<-turn
		all.Wait()
		synctest.Wait()
		require.EqualValues(t, 1, looked.Load())
	})
}

func TestPanicInSharedAnswer(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	ask := asker(t, d, func(http.ResponseWriter, *request) error { panic("oh") })
	require.Equal(t, http.StatusInternalServerError, ask("/").Code)
	require.Equal(t, http.StatusInternalServerError, ask("/").Code)
}

// While no read ends, the page still reloads itself, and /readyz says what is wrong.
func TestWatchersOfDeadFileSystem(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	d.sweep()
	for _, c := range []class{classWatch, classProbe} {
		for range maxSharedReads {
			d.server.tcpLimits[c].reads.turn <- struct{}{}
		}
	}
	get := func(path string) *httptest.ResponseRecorder {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "http://localhost"+path, nil)
		d.server.handler.ServeHTTP(w, r.WithContext(ctx))
		require.Equal(t, http.StatusServiceUnavailable, w.Code, path)
		require.Contains(t, w.Body.String(), "check whether a file system hangs", path)
		return w
	}
	for _, path := range []string{"/", "/projects/odilo"} {
		require.Contains(t, get(path).Body.String(), `http-equiv="refresh"`, path)
	}
	require.Contains(t, get("/readyz").Body.String(), `"ready":false,"checks":[{"name":"pause_dir","ok":false`)
	get("/metrics")
	require.Equal(t, http.StatusOK, d.get("/healthz").Code)
	require.Equal(t, http.StatusOK, d.get("/api/v1/projects/odilo/gate").Code)
}
