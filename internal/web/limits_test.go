package web

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/testhost"
)

// slowBodies sends the head of n results as odilo, and returns when the server waits for their bodies. size is that of each body.
func (s *station) slowBodies(n, size int) {
	s.Helper()
	for range n {
		c, err := net.Dial("tcp", s.http.Listener.Addr().String())
		require.NoError(s, err)
		s.Cleanup(func() { _ = c.Close() })
		_, err = fmt.Fprintf(c, "POST /api/v1/results HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"+
			"Content-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", odiloToken, size)
		require.NoError(s, err)
		line, err := bufio.NewReader(c).ReadString('\n')
		require.NoError(s, err)
		require.Contains(s, line, "100 Continue")
	}
}

// othersGoOn requires that probes, page and gate, and the results of others are answered at once.
func (s *station) othersGoOn() {
	s.Helper()
	for _, path := range []string{"/", "/projects/odilo", "/healthz", "/metrics"} {
		require.Equal(s, 200, s.get(path).StatusCode, path)
	}
	require.Equal(s, 503, s.get("/readyz").StatusCode)
	require.Contains(s, s.get("/readyz").body, "no sweep has ended yet")
	for _, token := range []string{adminToken, odiloToken} {
		require.Equal(s, 200, s.get("/api/v1/projects/odilo/gate", as(token)).StatusCode)
	}
	require.Equal(s, 200, s.get("/api/v1/projects/quiet/gate").StatusCode)
	s.result(`{"project":"quiet","exit_code":0}`)
	require.Equal(s, 200, s.post("/api/v1/results", `{"project":"digital-twins","exit_code":0}`, as(twinsToken)).StatusCode)
}

func TestSlowBodies(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	s.slowBodies(maxRequests, 100)
	s.othersGoOn()
	require.Equal(t, 200, s.post("/api/v1/results", `{"project":"odilo","exit_code":0}`, as(odiloToken)).StatusCode, "none holds a place")
}

// A caller whose bodies fill its share waits and is refused; nobody else notices.
func TestSlowLargeBodies(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	s.srv.placeWait = 50 * time.Millisecond
	s.slowBodies(bodyShare/maxBody-1, maxBody)
	s.othersGoOn()
	body := `{"project":"odilo","exit_code":1,"output":"` + strings.Repeat("x", maxBody-100) + `"}`
	a := s.post("/api/v1/results", body, as(odiloToken))
	require.Contains(t, s.problem(a, 503), "too many requests of the token of odilo")
	require.Equal(t, "2", a.Header.Get("Retry-After"))
	require.Equal(t, 200, s.post("/api/v1/results", `{"project":"odilo","exit_code":0}`, as(odiloToken)).StatusCode, "a small one fits")
}

func TestPlacesPerCaller(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	s.srv.placeWait = 50 * time.Millisecond
	fill := func(c class, payer string) (n int) {
		for {
			if ok, _ := s.srv.tcpLimits[c].places.try(payer, 1); !ok {
				return n
			}
			n++
		}
	}
	require.Less(t, fill(classWork, "the token of odilo"), maxRequests/2)
	a := s.post("/api/v1/results", `{"project":"odilo","exit_code":0}`, as(odiloToken))
	require.Contains(t, s.problem(a, 503), "try again")
	require.Equal(t, "2", a.Header.Get("Retry-After"))
	s.spec = nil
	s.othersGoOn()

	for n := range 10 { // many callers
		fill(classWork, fmt.Sprint(n))
	}
	require.Contains(t, s.problem(s.get("/api/v1/projects", as(adminToken)), 503), "of all callers")
	require.Equal(t, 200, s.get("/api/v1/projects/odilo/gate", as(adminToken)).StatusCode, "the gate has its own places")
	require.Equal(t, 200, s.get("/metrics").StatusCode, "and so have probes")
	require.Equal(t, 200, s.get("/").StatusCode)
	fill(classGate, "somebody")
	require.Equal(t, 200, s.get("/api/v1/projects/odilo/gate").StatusCode)
	fill(classWatch, "somebody")
	require.Equal(t, 200, s.get("/metrics").StatusCode)
	fill(classWatch, "127.0.0.1") // slow readers on this machine
	require.Equal(t, 503, s.get("/").StatusCode)
	require.Contains(t, s.get("/readyz").body, "no sweep has ended yet")
}

// Gitea hangs while the whole fleet fails: all of it is counted and paused at once.
func TestTripsWaitForGiteaWithoutPlaces(t *testing.T) {
	t.Parallel()
	s := newStation(t, "  - id: quiet\n", "  - id: quiet\n    threshold: 1\n").described()
	s.srv.tcpLimits[classWork].places = newQuota(1, 1)
	answer := make(chan struct{})
	hang := func(*http.Request) { <-answer }
	s.beforeGitea.Store(&hang)
	var trips sync.WaitGroup
	defer trips.Wait()
	end := sync.OnceFunc(func() { close(answer) })
	defer end()
	for _, project := range []string{"digital-twins", "quiet"} {
		trips.Go(func() { s.post("/api/v1/results", `{"project":"`+project+`","exit_code":1}`, as(adminToken)) })
		require.Eventually(t, func() bool { return s.get("/api/v1/projects/"+project+"/gate").StatusCode == 423 }, testhost.Patience, time.Millisecond, project)
	}
	require.Equal(t, 1, s.fail().Failures)
	end()
	trips.Wait()
	require.Empty(t, s.srv.tcpLimits[classWork].places.by)
}

func TestTripIsAnsweredWhileGiteaHangs(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	s.srv.tripWait = 50 * time.Millisecond
	hang := func(r *http.Request) { <-r.Context().Done() }
	s.beforeGitea.Store(&hang)
	v := s.result(`{"project":"digital-twins","exit_code":1}`)
	require.True(t, v.Tripped)
	require.NotEmpty(t, v.Problems)
	require.NotNil(t, v.Incident)
	require.Equal(t, 423, s.get("/api/v1/projects/digital-twins/gate").StatusCode)
}

func TestSocketHasItsOwnLimits(t *testing.T) {
	t.Parallel()
	socket := socketPath(t)
	s := newStation(t, "  listen: LISTEN\n", "  listen: LISTEN\n  socket: "+socket+"\n")
	s.serve()
	s.srv.placeWait = 50 * time.Millisecond
	for n := range 10 {
		for ok := true; ok; ok, _ = s.srv.tcpLimits[classWork].places.try(fmt.Sprint(n), 1) {
		}
	}
	require.Equal(t, 503, s.get("/api/v1/projects", as(adminToken)).StatusCode)
	res, err := over(socket).Get("http://x/api/v1/projects")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode)
}

// A burst waits for its turn instead of being refused.
func TestBurstOfLargeResults(t *testing.T) {
	s := newStation(t)
	s.srv.placeWait = time.Hour // a slow machine needs longer for all of them than one may wait
	body := `{"project":"quiet","exit_code":0,"output":"` + strings.Repeat("x", maxBody-100) + `"}`
	var all sync.WaitGroup
	codes := make(chan int, 20)
	for range cap(codes) {
		all.Go(func() { codes <- s.post("/api/v1/results", body, as(adminToken)).StatusCode })
	}
	all.Wait()
	for range cap(codes) {
		require.Equal(t, 200, <-codes)
	}
	require.Empty(t, s.srv.tcpLimits[classWork].bodies.by, "all memory is given back")
	require.Empty(t, s.srv.tcpLimits[classWork].places.by)
}

// 200 bodies of 1 MiB whose last byte never comes are not kept in memory.
func TestMemoryOfSlowBodies(t *testing.T) {
	s := newStation(t)
	heap := func() int {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	body := append([]byte(fmt.Sprintf("POST /api/v1/results HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n", odiloToken, maxBody)), bytes.Repeat([]byte("x"), maxBody-1)...)
	before := heap()
	var writers sync.WaitGroup
	defer writers.Wait()
	for range 200 {
		c, err := net.Dial("tcp", s.http.Listener.Addr().String())
		require.NoError(t, err)
		defer func() { _ = c.Close() }()
		writers.Go(func() { _, _ = c.Write(body) }) // waits for the server, or for the end
	}
	require.Eventually(t, func() bool {
		_, waits := s.srv.tcpLimits[classWork].bodies.try("the token of odilo", maxBody)
		return waits != nil
	}, testhost.Patience, time.Millisecond)
	s.othersGoOn()
	require.Less(t, heap()-before, 40<<20)
}
