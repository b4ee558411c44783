package testpg

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Proxy passes on what a client and the server send each other.
type Proxy struct {
	listener net.Listener
	dir      string
	wait     sync.WaitGroup

	mu       sync.Mutex
	toServer Filter
	toClient Filter
	cuts     []func() // of all connections
}

// Filter sees what is about to be sent and returns what is sent in its place. If cut is true, both connections are closed after that.
type Filter func(data []byte) (send []byte, cut bool)

// Proxy starts a proxy before the server.
func (s *Server) Proxy(t testing.TB) *Proxy {
	t.Helper()
	dir, err := os.MkdirTemp("", "proxy")
	require.NoError(t, err)
	p := &Proxy{dir: dir}
	p.listener, err = net.Listen("unix", filepath.Join(dir, filepath.Base(s.Socket())))
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = p.listener.Close()
		p.Cut()
		p.wait.Wait()
		_ = os.RemoveAll(dir)
	})
	p.wait.Go(func() {
		for {
			client, err := p.listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("unix", s.Socket())
			if err != nil {
				_ = client.Close()
				continue
			}
			p.join(client, server)
		}
	})
	return p
}

// URL is that of the superuser. Connections to a server that does not answer fail soon.
func (p *Proxy) URL() string { return socketURL(p.dir) }

// SetFilters sets the filters of both directions; nil passes on everything.
func (p *Proxy) SetFilters(toServer, toClient Filter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.toServer, p.toClient = toServer, toClient
}

// Cut closes all connections. New ones pass, unless a filter cuts them.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, cut := range p.cuts {
		cut()
	}
	p.cuts = nil
}

func (p *Proxy) join(client, server net.Conn) {
	cut := func() { _, _ = client.Close(), server.Close() }
	p.mu.Lock()
	p.cuts = append(p.cuts, cut)
	p.mu.Unlock()
	pass := func(to, from net.Conn, filter func() Filter) {
		defer cut()
		buffer := make([]byte, 1<<16)
		for {
			n, err := from.Read(buffer)
			if n > 0 && !passOn(to, buffer[:n], filter()) || err != nil {
				return
			}
		}
	}
	p.wait.Go(func() { pass(server, client, func() Filter { p.mu.Lock(); defer p.mu.Unlock(); return p.toServer }) })
	p.wait.Go(func() { pass(client, server, func() Filter { p.mu.Lock(); defer p.mu.Unlock(); return p.toClient }) })
}

func passOn(to io.Writer, data []byte, filter Filter) (goOn bool) {
	cut := false
	if filter != nil {
		data, cut = filter(data)
	}
	_, err := to.Write(data)
	return err == nil && !cut
}
