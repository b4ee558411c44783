package web

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/pause"
)

// Limits of what a client may take. readTimeout is for a whole request, from its first byte.
const (
	headerTimeout = 10 * time.Second
	readTimeout   = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 32 << 10

	// drainTimeout is how long a daemon that ends waits for accepted requests. What they leave undone in Gitea is done by the
	// next sweep. systemd waits 90 s.
	drainTimeout = 60 * time.Second
	stopTimeout  = 5 * time.Second // for them to end after that

	socketCheck = time.Minute // how often to look whether the socket is still there
)

// address is where to listen, as in the configuration.
type address struct{ network, addr string }

type listener struct {
	net.Listener
	at     address
	server *http.Server
	done   chan struct{} // closed when server.Serve has returned
}

// lost reports whether nobody can connect any more, because the socket was removed or replaced.
func (l *listener) lost() bool {
	s, ok := l.Listener.(*socket)
	return ok && !s.there()
}

// socket is a Unix socket that is removed when it is closed, unless another one is in its place by then.
type socket struct {
	*net.UnixListener
	file os.FileInfo
}

func (s *socket) there() bool {
	info, err := os.Lstat(s.Addr().String())
	return err == nil && os.SameFile(info, s.file)
}

func (s *socket) Close() error {
	if s.there() {
		_ = os.Remove(s.Addr().String())
	}
	return s.UnixListener.Close()
}

// Serve listens on http.listen and http.socket until ctx ends, and follows [Server.Replace] to other addresses. With neither
// it only waits. At the end it accepts nothing new and finishes what it has accepted; requests that take more than a minute are
// told to stop. Serve is called once. An error says which address it could not listen on, or which listener broke.
func (s *Server) Serve(ctx context.Context) error {
	s.replacing.Lock()
	s.mu.Lock()
	s.listeners = map[address]*listener{}
	want := s.current.cfg.HTTP
	s.mu.Unlock()
	_, err := s.listenOn(want)
	s.replacing.Unlock()
	if err == nil {
		if s.listened != nil {
			s.listened()
		}
		var watch sync.WaitGroup
		defer watch.Wait() // after drain, as a Replace
		watching, end := context.WithCancel(ctx)
		defer end()
		watch.Go(func() { s.watchSocket(watching) })
		select {
		case <-ctx.Done():
		case err = <-s.failed:
		}
	}
	// From here on, Replace opens no listener. A Replace in progress holds s.replacing until the last request with the old bot has
	// ended, so Serve waits for it only after drain, which tells that request to stop.
	s.mu.Lock()
	open := slices.Collect(maps.Values(s.listeners))
	s.listeners = nil
	s.mu.Unlock()
	late := time.AfterFunc(s.drainTimeout, func() {
		s.log.Warn("requests took too long to end, they are told to stop", "waited", s.drainTimeout)
		s.stop(errors.New("the daemon ends"))
	})
	defer late.Stop()
	s.hints.end()
	drain(s.base, open)
	s.replacing.Lock()
	defer s.replacing.Unlock()
	s.hints.idle.Wait()
	return err
}

// watchSocket makes the socket again when somebody has removed it: agents could not report any more.
func (s *Server) watchSocket(ctx context.Context) {
	check := time.NewTicker(s.socketCheck)
	defer check.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-check.C:
		}
		s.replacing.Lock()
		s.mu.Lock()
		lost := slices.ContainsFunc(slices.Collect(maps.Values(s.listeners)), (*listener).lost)
		want := s.current.cfg.HTTP
		s.mu.Unlock()
		if lost {
			s.log.Warn("the socket was removed or replaced, making it again", "socket", want.Socket)
			if retire, err := s.listenOn(want); err == nil {
				retire()
			} else if ctx.Err() == nil {
				s.log.Error("nobody can report through the socket", "err", err)
			}
		}
		s.replacing.Unlock()
	}
}

// drain closes listeners and waits for the requests that they have accepted; once base has ended, at most for stopTimeout.
func drain(base context.Context, list []*listener) {
	var all sync.WaitGroup
	for _, l := range list {
		all.Go(func() {
			defer func() { <-l.done }()
			if l.server.Shutdown(base) == nil {
				return
			}
			ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
			defer cancel()
			_ = l.server.Shutdown(ctx)
			_ = l.server.Close()
		})
	}
	all.Wait()
}

// listenOn opens the wanted listeners that are not open yet. It returns a function that closes the others: until then both
// are served. On an error nothing has changed. The caller holds s.replacing.
func (s *Server) listenOn(want config.HTTP) (retire func(), err error) {
	s.mu.Lock()
	open := s.listeners
	s.mu.Unlock()
	if open == nil {
		return func() {}, nil
	}
	keep := map[address]*listener{}
	var added []*listener
	defer func() {
		if err != nil {
			for _, l := range added {
				_ = l.Close() // it has accepted nothing
			}
		}
	}()
	for _, a := range []address{{"tcp", want.Listen}, {"unix", want.Socket}} {
		if a.addr == "" {
			continue
		}
		l := open[a]
		if l == nil || l.lost() {
			if l, err = s.listen(a); err != nil {
				return nil, err
			}
			added = append(added, l)
		}
		keep[a] = l
	}
	s.mu.Lock()
	ended := s.listeners == nil
	if !ended {
		s.listeners = keep
	}
	s.mu.Unlock()
	if ended {
		return nil, errors.New("the daemon ends")
	}
	for _, l := range added {
		s.log.Info("serving HTTP", "listen", l.Addr().String())
		go s.run(l)
	}
	return func() {
		var gone []*listener
		for a, l := range open {
			if keep[a] != l {
				s.log.Info("no longer serving HTTP", "listen", a.addr)
				gone = append(gone, l)
			}
		}
		drain(s.base, gone)
	}, nil
}

func (s *Server) listen(at address) (*listener, error) {
	l := &listener{at: at, done: make(chan struct{}), server: &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}}
	var err error
	if at.network == "unix" {
		l.server.ConnContext = peerContext
		if l.Listener, err = listenUnix(at.addr); err != nil {
			return nil, fmt.Errorf("http.socket: %w", err)
		}
		return l, nil
	}
	if l.Listener, err = net.Listen(at.network, at.addr); errors.Is(err, syscall.EADDRINUSE) {
		err = fmt.Errorf("%w: %s", err, s.whoListens(at.addr))
	} else if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w: %s", err, bot.PortAdvice)
	}
	if err != nil {
		return nil, fmt.Errorf("http.listen: %w", err)
	}
	return l, nil
}

// whoListens explains who occupies an address, and the fix. A listener on all addresses and one on any of them exclude each
// other.
func (s *Server) whoListens(addr string) string {
	want, err := net.ResolveTCPAddr("tcp", addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		own, ok := l.Addr().(*net.TCPAddr)
		if ok && err == nil && own.Port == want.Port && (own.IP.Equal(want.IP) || own.IP.IsUnspecified() || want.IP == nil || want.IP.IsUnspecified()) {
			return fmt.Sprintf("this daemon itself listens on %s, and a reload opens the new address before it closes the old one: restart it", own)
		}
	}
	return "another process listens there; `ss -ltnp`, run as root, shows which"
}

func (s *Server) run(l *listener) {
	defer close(l.done)
	if err := l.server.Serve(l.Listener); !errors.Is(err, http.ErrServerClosed) {
		select {
		case s.failed <- fmt.Errorf("serving HTTP on %s: %w", l.at.addr, err):
		default: // another one was first
		}
	}
}

// listenUnix opens the socket. Anyone may connect: [Server.allow] checks who the peer is. It replaces a socket that a dead daemon
// has left, but no socket that answers, and no other file.
func listenUnix(path string) (net.Listener, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil && pause.Closed(path) != nil:
		return nil, fmt.Errorf("%w: %w", err, pause.Closed(path))
	case err != nil:
		return nil, err
	case info.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("%s exists and is no socket: move it away, or set another path", path)
	default:
		c, err := net.DialTimeout("unix", path, time.Second)
		if err == nil {
			_ = c.Close()
			return nil, fmt.Errorf("%s is in use by another process, probably another `adfbot serve`: end that first", path)
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("check whether another process uses the socket: %w", err)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("remove the socket that an earlier daemon left: %w", err)
		}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the directory is missing: %s", err, bot.MakeSocketDir(filepath.Dir(path), os.Getenv("XDG_RUNTIME_DIR")))
	}
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	err = os.Chmod(path, 0o666)
	if err == nil {
		info, err = os.Lstat(path)
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(path), l.Close())
	}
	return &socket{l, info}, nil
}
