// Package web is the daemon's HTTP side: it takes results in, shows what the bot knows, and hears Gitea's hints.
//
//	TCP or Unix socket ─► guard (limits, headers) ─► allow (who asks, and may they) ─► handler ─► internal/bot
//
// It keeps nothing of its own. A result is answered after internal/bot has it on disk, and what the state or the pause
// directory can't tell is said to be unknown.
//
// # Reload
//
// One set-up (configuration, bot, tokens) is in force at a time, see [Server.Replace]. A request works with the set-up
// that was in force when it arrived, to its end; an old bot is closed only after the last request that uses it.
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

// Options for [New]. Config and Bot are needed; the zero value of the others is that of production.
type Options struct {
	Config *config.Config
	Bot    *bot.Bot
	Log    *slog.Logger
	Now    func() time.Time
	Getenv func(string) string

	Metrics  *Metrics // the bot is observed by them, see [bot.Env]; nil: some of its own, that hear of no sweep
	Listened func()   // called once, when everything is listened on; nil: nobody wants to know
}

// Server serves HTTP for one daemon. It is safe for concurrent use.
type Server struct {
	log     *slog.Logger
	now     func() time.Time
	getenv  func(string) string
	handler http.Handler
	flight  chan struct{} // one place for each request over TCP that is being worked on
	agents  chan struct{} // for each one at the socket: who comes over the network keeps no agent out
	events  chan struct{} // and for each event from Gitea
	looks   chan struct{} // and one for each look at a pause directory, see look
	hints   *hints        // projects to be swept because of an event from Gitea

	metrics  *Metrics
	listened func()

	// base ends when requests that go on after their client has left must stop too.
	base         context.Context
	stop         context.CancelCauseFunc
	drainTimeout time.Duration // the constant of that name, but in tests

	mu      sync.Mutex
	current *setup
	serving bool
	fronts  []*front // what is listened on

	replacing sync.Mutex // one Replace at a time
	failed    chan error // the first listener that broke
}

// setup is what a reload replaces. The server's mu guards refs and retired.
type setup struct {
	cfg     *config.Config
	bot     *bot.Bot
	keys    *keys
	refs    int
	retired bool
	idle    chan struct{} // closed when it is retired and nobody uses it
}

// New makes a server; nothing is listened on before [Server.Serve]. It reads the token files, and an error names the file
// and what to do.
func New(o Options) (*Server, error) {
	s := &Server{log: o.Log, now: o.Now, getenv: o.Getenv, flight: make(chan struct{}, maxInFlight),
		agents: make(chan struct{}, maxInFlight), events: make(chan struct{}, maxEvents), looks: make(chan struct{}, maxLooks), failed: make(chan error, 1),
		drainTimeout: drainTimeout}
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

// count begins to count the results of a bot's state, where it is another one than before.
func (s *Server) count(cfg *config.Config, b *bot.Bot) {
	if err := s.metrics.count(s.base, cfg, b); err != nil {
		s.log.Warn("metrics: results are counted from the next scrape on", "err", err)
	}
}

// routes hangs in everything that is served. Each handler is wrapped in [Server.allow].
func (s *Server) routes(mux *http.ServeMux) {
	s.apiRoutes(mux)
	s.pageRoutes(mux)
	s.watchRoutes(mux)
	s.webhookRoutes(mux)
}

// Handler serves what comes over TCP.
func (s *Server) Handler() http.Handler { return s.handler }

// SocketHandler serves what comes over the Unix socket. The http.Server around it needs [PeerContext] as its ConnContext:
// without it nobody is known, and everything but health is refused.
func (s *Server) SocketHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.handler.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), socketKey{}, true)))
	})
}

// Replace puts another configuration and bot in force, also other addresses to listen on. It returns when the last request
// that used the old bot has ended, so that the caller can close that. On an error the old ones stay in force.
func (s *Server) Replace(cfg *config.Config, b *bot.Bot) error {
	s.replacing.Lock()
	defer s.replacing.Unlock()
	next, err := s.newSetup(cfg, b)
	if err != nil {
		return err
	}
	retire, err := s.move(cfg.HTTP)
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

// use gives the bot that this request works with, also after the request has ended. The bot is not closed before release
// was called; release does no harm when it is called twice.
func (s *Server) use(r *http.Request) (b *bot.Bot, release func()) {
	p := s.hold(setupOf(r))
	return p.bot, sync.OnceFunc(func() { s.release(p) })
}

// config is the configuration that belongs to the bot of [Server.use], for a request that is being served.
func (s *Server) config(r *http.Request) *config.Config {
	if p := setupOf(r); p != nil {
		return p.cfg
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current.cfg
}

// hold takes a share in a set-up: the wanted one as long as anybody has it, else the one in force.
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

// lasting is a context for work that has to be finished although the client has left. It ends when the daemon can't wait
// any longer.
func (s *Server) lasting(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	stop := context.AfterFunc(s.base, func() { cancel(context.Cause(s.base)) })
	return ctx, func() { stop(); cancel(nil) }
}
