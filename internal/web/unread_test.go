package web

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whoever reads large answers slowly fills no memory: the oldest answer is cut as soon as there are too many.
func TestSlowReaders(t *testing.T) {
	const large = 8 << 20 // more than the buffers of a connection
	s := newStation(t)
	s.srv.unread.most = 2*large + large/2
	mux := http.NewServeMux()
	mux.HandleFunc("GET /large", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte("x"), large)) })
	srv := httptest.NewServer(s.srv.guard(mux))
	t.Cleanup(srv.Close)
	read := func() *http.Response {
		c, err := net.Dial("tcp", srv.Listener.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		_, err = io.WriteString(c, "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
		require.NoError(t, err)
		a, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		require.Equal(t, 200, a.StatusCode)
		return a
	}
	first, second, third := read(), read(), read()
	for range 2 { // of others, who read at once
		n, err := io.Copy(io.Discard, read().Body)
		require.NoError(t, err)
		require.EqualValues(t, large, n)
	}
	for _, slow := range []*http.Response{first, second} {
		_, err := io.Copy(io.Discard, slow.Body)
		require.Error(t, err, "it was cut")
	}
	n, err := io.Copy(io.Discard, third.Body)
	require.NoError(t, err)
	require.EqualValues(t, large, n)
	require.Zero(t, s.srv.unread.size())
}

// An answer that several read is in memory once.
func TestUnreadIsShared(t *testing.T) {
	t.Parallel()
	u := unread{most: 10}
	cut := 0
	shared := make([]byte, 8)
	done := []func(){u.add(shared, func() { cut++ }), u.add(shared, func() { cut++ })}
	require.Equal(t, 8, u.size())
	done[0]()
	require.Equal(t, 8, u.size())
	done = append(done, u.add(make([]byte, 2), func() { cut++ }))
	require.Zero(t, cut)
	done = append(done, u.add(make([]byte, 100), func() { cut++ }))
	require.Equal(t, 2, cut, "the newest stays, however large")
	for _, d := range done {
		d()
	}
	require.Zero(t, u.size())
}
