package giteatest

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
)

// answer is a complete response. A nil *answer stands for a connection that breaks without one.
type answer struct {
	status int
	header http.Header
	body   []byte
	cut    bool // end the body without telling its length
}

// exchange is one request on its way through a fault to the work and back. Both ways in, ServeHTTP and Transport, meet here.
type exchange struct {
	s    *Server
	r    *http.Request // its body is spent; see body
	body []byte
	rec  *Request
}

// work does what the request asks for, once, and returns the answer to it.
func (x *exchange) work() *answer {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	a, who := x.s.handle(x.r, x.body)
	if who != nil {
		x.rec.Login = who.login
	}
	return a
}

func (s *Server) exchange(r *http.Request, body []byte) *answer {
	if s.closed() {
		return nil
	}
	s.begin()
	defer s.end()
	x := &exchange{s: s, r: r, body: body, rec: s.arrive(r)}
	do, name := s.meet(r, body)
	s.mu.Lock()
	x.rec.Fault = name
	s.mu.Unlock()
	if do == nil {
		do = (*exchange).work
	}
	a := do(x)
	if a != nil {
		s.mu.Lock()
		x.rec.Status = a.status
		s.mu.Unlock()
	}
	return a
}

// ServeHTTP answers one request of Gitea's API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// All of it is read first: only then does net/http notice, and tell the context, that the client has gone.
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			reset(w)
			return
		}
	}
	a := s.exchange(r, body)
	if a == nil {
		reset(w)
		return
	}
	for k, v := range a.header {
		w.Header()[k] = v
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a client that has gone is no concern of the server's
	if a.cut {
		// What was flushed is sent in chunks, without a Content-Length.
		_ = http.NewResponseController(w).Flush()
	}
}

// reset breaks the connection so that the client reads ECONNRESET, and not an orderly end.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // the documented way for what can't be hijacked, such as HTTP/2
	}
	raw := conn
	if t, ok := conn.(*tls.Conn); ok {
		raw = t.NetConn()
	}
	if t, ok := raw.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = raw.Close()
}

// Transport is a way to the server without a network: it calls the handler in a goroutine and gives up when the request's
// context does, while the handler goes on. It works in a testing/synctest bubble.
func (s *Server) Transport() http.RoundTripper { return transport{s} }

type transport struct{ s *Server }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	ctx := r.Context()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// The handler may outlive this call, after which the caller may change its request.
	in := r.Clone(ctx)
	in.Body = http.NoBody
	done := make(chan *answer, 1)
	go func() { done <- t.s.exchange(in, body) }()
	select {
	case a := <-done:
		if a == nil {
			return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
		}
		return a.response(r), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (a *answer) response(r *http.Request) *http.Response {
	length := int64(len(a.body))
	if a.cut {
		length = -1
	}
	h := a.header.Clone()
	if h == nil {
		h = http.Header{}
	}
	return &http.Response{
		Status:     strconv.Itoa(a.status) + " " + http.StatusText(a.status),
		StatusCode: a.status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        h,
		Body:          io.NopCloser(bytes.NewReader(a.body)),
		ContentLength: length,
		Request:       r,
	}
}
