// Package web is the HTTP side of the daemon: it takes results in, shows what the bot knows, and receives Gitea's webhook.
//
//	TCP or Unix socket ─► guard (limits, headers) ─► allow (who is it, and may they) ─► handler ─► internal/bot
//
// It stores nothing itself. The answer to a result is sent after internal/bot has it on disk, so a client that gets none sends
// the result again under its run id. What the state or the pause directory can't tell is reported as unknown.
//
// # Reload
//
// One setup (configuration, bot, tokens) is in force at a time, see [Server.Replace]. A request uses the setup that was in
// force when it arrived, to its end. An old bot is closed only after the last request that uses it.
//
// # Locks
//
// Server.mu guards the setup in force and the listeners, and is held for moments. Server.replacing serializes changes of both
// and is held until the last request with the old setup has ended.
package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
)

// Options for [New]. Config and Bot are required.
type Options struct {
	Config *config.Config
	Bot    *bot.Bot
	Log    *slog.Logger
	Now    func() time.Time
	Getenv func(string) string

	Metrics  *Metrics // that observe the bot, see [bot.Env]; nil: new ones, which count no sweeps
	Listened func()   // called once all listeners are open; may be nil
}

// Server serves HTTP for one daemon. It is safe for concurrent use.
type Server struct {
	log     *slog.Logger
	now     func() time.Time
	getenv  func(string) string
	handler http.Handler
	hints   *hints // projects to sweep because of an event from Gitea

	tcpRequests    semaphore // requests over TCP
	socketRequests semaphore // requests at the socket, which the network must not keep out
	webhookEvents  semaphore // events from Gitea
	flagLooks      semaphore // looks at the pause directory, see askGate

	metrics  *Metrics
	listened func()

	// base ends when requests that outlive their client must stop.
	base         context.Context
	stop         context.CancelCauseFunc
	drainTimeout time.Duration // the constant of that name, except in tests

	mu        sync.Mutex
	current   *setup
	serving   bool
	listeners []*listener

	replacing sync.Mutex
	failed    chan error // the first listener that broke
}

// setup is what a reload replaces. Server.mu guards refs and retired.
type setup struct {
	cfg     *config.Config
	bot     *bot.Bot
	keys    *keys
	refs    int
	retired bool
	idle    chan struct{} // closed when it is retired and refs is 0
}

// New reads the token files and returns a server that listens on nothing before [Server.Serve].
func New(o Options) (*Server, error) {
	s := &Server{
		log: o.Log, now: o.Now, getenv: o.Getenv, failed: make(chan error, 1), drainTimeout: drainTimeout,
		tcpRequests: make(semaphore, maxRequests), socketRequests: make(semaphore, maxRequests),
		webhookEvents: make(semaphore, maxEvents), flagLooks: make(semaphore, maxFlagLooks),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.getenv == nil {
		s.getenv = os.Getenv
	}
	if s.metrics = o.Metrics; s.metrics == nil {
		s.metrics = NewMetrics("", "")
	}
	if s.listened = o.Listened; s.listened == nil {
		s.listened = func() {}
	}
	if o.Config == nil || o.Bot == nil {
		return nil, errors.New("web: a server needs a configuration and a bot")
	}
	s.base, s.stop = context.WithCancelCause(context.Background())
	first, err := s.newSetup(o.Config, o.Bot)
	if err != nil {
		return nil, err
	}
	s.current = first
	s.count(o.Config, o.Bot)
	s.hints = newHints(s.sweepHinted)
	mux := http.NewServeMux()
	s.routes(mux)
	s.handler = s.guard(mux)
	return s, nil
}

func (s *Server) newSetup(cfg *config.Config, b *bot.Bot) (*setup, error) {
	k, err := readKeys(cfg, s.getenv)
	if err != nil {
		return nil, err
	}
	for _, w := range k.warnings {
		s.log.Warn(w)
	}
	return &setup{cfg: cfg, bot: b, keys: k, idle: make(chan struct{})}, nil
}

// count counts the results of a bot's state so far, so that the next scrape has only new ones to count.
func (s *Server) count(cfg *config.Config, b *bot.Bot) {
	if err := s.metrics.count(s.base, cfg, b); err != nil {
		s.log.Warn("metrics: results are counted from the next scrape on", "err", err)
	}
}

// routes registers all handlers, each wrapped in [Server.allow].
func (s *Server) routes(mux *http.ServeMux) {
	s.apiRoutes(mux)
	s.pageRoutes(mux)
	s.watchRoutes(mux)
	s.webhookRoutes(mux)
}

// Handler serves requests over TCP.
func (s *Server) Handler() http.Handler { return s.handler }

// SocketHandler serves requests at the Unix socket. Its http.Server needs [PeerContext] as ConnContext: without it no peer is
// known, and everything but health is refused.
func (s *Server) SocketHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.handler.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), socketKey{}, true)))
	})
}

// Replace puts another configuration and bot in force, and listens on other addresses where these have changed. It returns when
// the last request with the old bot has ended, so that the caller can close that. On an error the old ones stay in force.
func (s *Server) Replace(cfg *config.Config, b *bot.Bot) error {
	s.replacing.Lock()
	defer s.replacing.Unlock()
	next, err := s.newSetup(cfg, b)
	if err != nil {
		return err
	}
	retire, err := s.listenOn(cfg.HTTP)
	if err != nil {
		return err
	}
	s.count(cfg, b)
	s.mu.Lock()
	old := s.current
	s.current = next
	old.retired = true
	if old.refs == 0 {
		close(old.idle)
	}
	s.mu.Unlock()
	retire()
	<-old.idle
	return nil
}

// use returns the bot that a request works with. The bot stays open until release is called, which may be after the end of the
// request, and more than once.
func (s *Server) use(r *http.Request) (b *bot.Bot, release func()) {
	p := s.hold(setupOf(r))
	return p.bot, sync.OnceFunc(func() { s.release(p) })
}

// config returns the configuration of the bot of [Server.use].
func (s *Server) config(r *http.Request) *config.Config {
	if p := setupOf(r); p != nil {
		return p.cfg
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current.cfg
}

// hold keeps a setup from being retired: the wanted one if anybody still uses it, else the one in force.
func (s *Server) hold(want *setup) *setup {
	s.mu.Lock()
	defer s.mu.Unlock()
	if want == nil || want.retired && want.refs == 0 {
		want = s.current
	}
	want.refs++
	return want
}

func (s *Server) release(p *setup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.refs--; p.refs == 0 && p.retired {
		close(p.idle)
	}
}

type (
	setupKey  struct{}
	socketKey struct{}
)

func setupOf(r *http.Request) *setup {
	p, _ := r.Context().Value(setupKey{}).(*setup)
	return p
}

// detached returns a context for work that has to be finished although the client may leave. It ends when the daemon can't wait
// any longer.
func (s *Server) detached(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	stop := context.AfterFunc(s.base, func() { cancel(context.Cause(s.base)) })
	return ctx, func() { stop(); cancel(nil) }
}
