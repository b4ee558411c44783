package web

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/terraphim/adfbot/internal/config"
)

// How long a client may take. The body is read within readTimeout of the request's first byte; a result has at most 1 MiB.
const (
	headerTimeout = 10 * time.Second
	readTimeout   = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 32 << 10

	// drainTimeout is how long the daemon's end waits for requests that it has accepted; what they began in Gitea is then
	// left to the next sweep. systemd waits 90 s.
	drainTimeout = 60 * time.Second
	stopTimeout  = 5 * time.Second // after that, for them to notice
)

// front is one listener with its http.Server.
type front struct {
	network, addr string // as the configuration has them
	listener      net.Listener
	server        *http.Server
	done          chan struct{} // closed when Serve of it has returned
}

// Serve listens on http.listen and http.socket until ctx ends, and follows [Server.Replace] to other addresses. With
// neither it only waits. At the end nothing new is accepted, and what was accepted is finished; requests that take more
// than a minute are told to stop. Serve is called once. An error says what could not be listened on, or which listener
// broke.
func (s *Server) Serve(ctx context.Context) error {
	s.replacing.Lock()
	s.mu.Lock()
	s.serving = true
	want := s.current.cfg.HTTP
	s.mu.Unlock()
	_, err := s.move(want)
	s.replacing.Unlock()
	if err == nil {
		s.listened()
		select {
		case <-ctx.Done():
		case err = <-s.failed:
		}
	}
	// From here on nothing new is accepted, and by a Replace neither. One that is under way has s.replacing until the last
	// request with the old bot has ended: it is waited for only while there is somebody to tell that request to stop.
	s.mu.Lock()
	s.serving = false
	fronts := s.fronts
	s.fronts = nil
	s.mu.Unlock()
	late := time.AfterFunc(s.drainTimeout, func() {
		s.log.Warn("requests took too long to end, they are told to stop", "waited", s.drainTimeout)
		s.stop(errors.New("the daemon ends"))
	})
	defer late.Stop()
	s.hints.end()
	drain(s.base, fronts)
	s.replacing.Lock()
	defer s.replacing.Unlock()
	s.hints.idle.Wait()
	return err
}

// drain ends listeners: what they accepted is finished. Once base has ended, that gets stopTimeout more.
func drain(base context.Context, fronts []*front) {
	var all sync.WaitGroup
	for _, f := range fronts {
		all.Go(func() {
			defer func() { <-f.done }()
			if f.server.Shutdown(base) == nil {
				return
			}
			ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
			defer cancel()
			_ = f.server.Shutdown(ctx)
			_ = f.server.Close()
		})
	}
	all.Wait()
}

// move listens on what is wanted and not yet listened on. It returns what ends the rest; until then both are served. On an
// error nothing has changed. s.replacing is held.
func (s *Server) move(want config.HTTP) (retire func(), err error) {
	s.mu.Lock()
	serving, have := s.serving, s.fronts
	s.mu.Unlock()
	if !serving {
		return func() {}, nil
	}
	var keep, fresh []*front
	for _, a := range []struct{ network, addr string }{{"tcp", want.Listen}, {"unix", want.Socket}} {
		if a.addr == "" {
			continue
		}
		f := find(have, a.network, a.addr)
		if f == nil {
			if f, err = s.newFront(a.network, a.addr); err != nil {
				closeAll(fresh)
				return nil, err
			}
			fresh = append(fresh, f)
		}
		keep = append(keep, f)
	}
	s.mu.Lock()
	if serving = s.serving; serving {
		s.fronts = keep
	}
	s.mu.Unlock()
	if !serving {
		closeAll(fresh)
		return nil, errors.New("the daemon ends")
	}
	for _, f := range fresh {
		s.log.Info("serving HTTP", "listen", f.listener.Addr().String())
		go s.run(f)
	}
	return func() {
		var gone []*front
		for _, f := range have {
			if find(keep, f.network, f.addr) == nil {
				s.log.Info("no longer serving HTTP", "listen", f.addr)
				gone = append(gone, f)
			}
		}
		drain(s.base, gone)
	}, nil
}

// closeAll ends listeners that nothing was accepted from.
func closeAll(fronts []*front) {
	for _, f := range fronts {
		_ = f.listener.Close()
	}
}

func find(fronts []*front, network, addr string) *front {
	for _, f := range fronts {
		if f.network == network && f.addr == addr {
			return f
		}
	}
	return nil
}

func (s *Server) newFront(network, addr string) (*front, error) {
	f := &front{network: network, addr: addr, done: make(chan struct{})}
	f.server = &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	var err error
	if network == "unix" {
		f.server.Handler, f.server.ConnContext = s.SocketHandler(), PeerContext
		if f.listener, err = listenUnix(addr); err != nil {
			return nil, fmt.Errorf("http.socket: %w", err)
		}
		return f, nil
	}
	if f.listener, err = net.Listen(network, addr); err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			err = fmt.Errorf("%w: %s", err, s.whoListens(addr))
		}
		return nil, fmt.Errorf("http.listen: %w", err)
	}
	return f, nil
}

// whoListens says who keeps an address from being listened on, and what to do. A listener on all addresses and one on any of
// them exclude each other.
func (s *Server) whoListens(addr string) string {
	want, err := net.ResolveTCPAddr("tcp", addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.fronts {
		own, ok := f.listener.Addr().(*net.TCPAddr)
		if ok && err == nil && own.Port == want.Port && (own.IP.Equal(want.IP) || own.IP.IsUnspecified() || want.IP == nil || want.IP.IsUnspecified()) {
			return fmt.Sprintf("this daemon itself listens on %s, and a reload opens the new address before it closes the old one: restart it", own)
		}
	}
	return "another process listens there; `ss -ltnp` shows which"
}

func (s *Server) run(f *front) {
	defer close(f.done)
	if err := f.server.Serve(f.listener); !errors.Is(err, http.ErrServerClosed) {
		select {
		case s.failed <- fmt.Errorf("serving HTTP on %s: %w", f.addr, err):
		default: // another one was first
		}
	}
}

// listenUnix makes the socket. Anybody may connect: it is the peer's user that counts. A socket that a dead daemon left is
// removed, one that answers is not, and neither is anything that is no socket.
func listenUnix(path string) (net.Listener, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case info.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("%s is there and is no socket: move it away, or set another path", path)
	default:
		c, err := net.DialTimeout("unix", path, time.Second)
		if err == nil {
			_ = c.Close()
			return nil, fmt.Errorf("%s is answered by another process, probably another `adfbot serve`: end that first", path)
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("whether another process still uses the socket can't be told: %w", err)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("removing the socket that an earlier daemon left: %w", err)
		}
	}
	l, err := net.Listen("unix", path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: make its directory, or set RuntimeDirectory= in the unit", err)
	}
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o666); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}
