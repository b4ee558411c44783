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

// response is a complete response. A nil *response stands for a connection that breaks without one.
type response struct {
	status int
	header http.Header
	body   []byte
	cut    bool // send the body without a Content-Length
}

// exchange is a request that passes a fault, is worked on and gets a response. ServeHTTP and Transport both use it.
type exchange struct {
	s    *Server
	r    *http.Request // its body has been read into body
	body []byte
	rec  *Request
}

// work does what the request asks for and returns the response.
func (x *exchange) work() *response {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	resp, who := x.s.handle(x.r, x.body)
	if who != nil {
		x.rec.Login = who.login
	}
	return resp
}

func (s *Server) exchange(r *http.Request, body []byte) *response {
	if s.closed() {
		return nil
	}
	s.begin()
	defer s.end()
	x := &exchange{s: s, r: r, body: body, rec: s.logRequest(r)}
	do, name := s.findFault(r, body)
	s.mu.Lock()
	x.rec.Fault = name
	s.mu.Unlock()
	if do == nil {
		do = (*exchange).work
	}
	resp := do(x)
	if resp != nil {
		s.mu.Lock()
		x.rec.Status = resp.status
		s.mu.Unlock()
	}
	return resp
}

// ServeHTTP handles a request to Gitea's API, see [Routes].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Read the whole body: only then does net/http cancel the context when the client goes away.
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			reset(w)
			return
		}
	}
	resp := s.exchange(r, body)
	if resp == nil {
		reset(w)
		return
	}
	for k, v := range resp.header {
		w.Header()[k] = v
	}
	w.WriteHeader(resp.status)
	_, _ = w.Write(resp.body) // the client may have gone
	if resp.cut {
		// A flushed body is sent in chunks, without a Content-Length.
		_ = http.NewResponseController(w).Flush()
	}
}

// reset breaks the connection so that the client gets ECONNRESET and not an orderly end.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // for connections that cannot be hijacked, such as HTTP/2
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

// Transport returns a transport that reaches the server without a network and works in a testing/synctest bubble. It
// calls the handler in a goroutine, and returns when the request's context ends although the handler goes on.
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
	// The handler may outlive this call, and the caller may then change its request.
	in := r.Clone(ctx)
	in.Body = http.NoBody
	done := make(chan *response, 1)
	go func() { done <- t.s.exchange(in, body) }()
	select {
	case resp := <-done:
		if resp == nil {
			return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
		}
		return resp.httpResponse(r), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (resp *response) httpResponse(r *http.Request) *http.Response {
	length := int64(len(resp.body))
	if resp.cut {
		length = -1
	}
	h := resp.header.Clone()
	if h == nil {
		h = http.Header{}
	}
	return &http.Response{
		Status:     strconv.Itoa(resp.status) + " " + http.StatusText(resp.status),
		StatusCode: resp.status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        h,
		Body:          io.NopCloser(bytes.NewReader(resp.body)),
		ContentLength: length,
		Request:       r,
	}
}
