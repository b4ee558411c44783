// Package web is the HTTP side of the daemon: it accepts results, shows the status, and receives Gitea's webhook.
//
//	TCP or Unix socket ─► guard (headers) ─► allow (authentication, rights, body, limits) ─► handler ─► internal/bot
//
// The package stores nothing itself. A result is answered after internal/bot has it on disk; a client that gets no answer
// sends it again under the same run id. What cannot be read from the state or the pause directory is reported as unknown.
//
// # Reload
//
// One setup (configuration, bot, tokens) is in force at a time, see [Server.Replace]. A request keeps the setup that was in
// force when it arrived. An old bot is closed after the last request that uses it.
//
// # Locks
//
// Server.mu guards the setup in force and the listeners, and is held only for moments. Server.replacing serializes changes of
// both, and is held until the last request with the old setup has ended.
package web

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/web/page"
)

// Options for [New]. Only Config and Bot are required.
type Options struct {
	Config *config.Config
	Bot    *bot.Bot

	Now      func() time.Time    // nil: time.Now
	Getenv   func(string) string // nil: os.Getenv
	Log      *slog.Logger        // nil: logs nothing
	Metrics  *Metrics            // that observe the bot, see [bot.Env]; nil: new ones, which count no sweeps
	Listened func()              // called once all listeners are open; may be nil
}

// Server serves HTTP for one daemon. It is safe for concurrent use.
type Server struct {
	log      *slog.Logger
	now      func() time.Time
	getenv   func(string) string
	metrics  *Metrics
	listened func()
	pages    *page.Pages
	handler  http.Handler
	hints    *hints // projects to sweep because of an event from Gitea

	tcpLimits    [numClasses]limit
	socketLimits [numClasses]limit
	placeWait    time.Duration // the constant of that name, except in tests
	tripWait     time.Duration // likewise
	storeWait    time.Duration // likewise
	operateWait  time.Duration // likewise
	parsing      semaphore     // bodies of results that are being parsed and masked
	flagReads    semaphore     // reads of the pause directory, see mayRun
	resultRates  resultRates
	holding      semaphore   // new projects under a stop that are being made known, see holdNew
	holdRates    resultRates // of them
	unread       unread

	// base ends when requests that outlive their client must stop.
	base         context.Context
	stop         context.CancelCauseFunc
	drainTimeout time.Duration // the constant of that name, except in tests
	socketCheck  time.Duration // likewise

	mu        sync.Mutex
	current   *setup
	listeners map[address]*listener // nil: not serving

	replacing sync.Mutex
	failed    chan error // the first listener that broke
}

// setup is what a reload replaces.
type setup struct {
	cfg  *config.Config
	bot  *bot.Bot
	keys keys
	uses sync.WaitGroup // from zero, it grows only while the setup is in force
}

// New reads the token files and returns a server that does not listen before [Server.Serve].
func New(o Options) (*Server, error) {
	s := &Server{
		log: cmp.Or(o.Log, slog.New(slog.DiscardHandler)), now: o.Now, getenv: o.Getenv,
		metrics: cmp.Or(o.Metrics, NewMetrics("", "")), listened: o.Listened,
		failed: make(chan error, 1), drainTimeout: drainTimeout, socketCheck: socketCheck,
		tcpLimits: newLimits(), socketLimits: newLimits(), placeWait: placeWait, tripWait: tripWait, storeWait: storeWait, operateWait: operateWait,
		parsing: make(semaphore, maxParsing), flagReads: make(semaphore, maxFlagReads),
		resultRates: resultRates{of: map[string]*callerRate{}}, holding: make(semaphore, maxHolding), holdRates: resultRates{of: map[string]*callerRate{}},
		unread: unread{most: maxUnread},
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.getenv == nil {
		s.getenv = os.Getenv
	}
	s.base, s.stop = context.WithCancelCause(context.Background())
	s.pages, s.hints = page.New(s.now, s.metrics.version), newHints(s.sweepHinted)
	var err error
	if s.current, err = s.newSetup(o.Config, o.Bot); err != nil {
		return nil, err
	}
	s.count(s.current)
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.HandleFunc(r.pattern, s.allow(r))
	}
	s.handler = s.guard(mux)
	return s, nil
}

type route struct {
	pattern string
	level   access
	class   class
	body    bodyKind
	handle  handler
}

func (s *Server) routes() []route {
	return []route{
		{"GET /api/v1/openapi.yaml", accessOpen, classFree, bodyNone, s.getOpenAPI},
		{"POST /api/v1/results", accessReport, classWork, bodyObject, s.postResult},
		{"GET /api/v1/projects", accessReport, classWork, bodyNone, s.shared(classWork, pageWait, s.getProjects)},
		{"GET /api/v1/projects/{id}", accessReport, classWork, bodyNone, s.shared(classWork, pageWait, s.getProject)},
		{"GET /api/v1/projects/{id}/runs", accessReport, classWork, bodyNone, s.getRuns},
		{"GET /api/v1/projects/{id}/gate", accessGate, classGate, bodyNone, s.getGate},
		{"POST /api/v1/projects/{id}/pause", accessAdmin, classWork, bodyObject, s.postPause},
		{"POST /api/v1/projects/{id}/resume", accessAdmin, classWork, bodyObject, s.postResume},
		{"POST /api/v1/pause", accessAdmin, classWork, bodyObject, s.postPauseMany},
		{"POST /api/v1/resume", accessAdmin, classWork, bodyObject, s.postResumeMany},
		{"GET /api/v1/hosts", accessAdmin, classWork, bodyNone, s.shared(classWork, pageWait, s.getHosts)},
		{"GET /api/v1/incidents", accessReport, classWork, bodyNone, s.getIncidents},

		{"GET " + pingPath, accessKey, classWork, bodyOutput, s.ping},
		{"POST " + pingPath, accessKey, classWork, bodyOutput, s.ping},
		{"GET " + pingPath + "/{signal}", accessKey, classWork, bodyOutput, s.ping},
		{"POST " + pingPath + "/{signal}", accessKey, classWork, bodyOutput, s.ping},
		{"GET " + pingPath + "/{$}", accessKey, classWork, bodyOutput, s.ping},
		{"POST " + pingPath + "/{$}", accessKey, classWork, bodyOutput, s.ping},

		{"GET /{$}", accessPublic, classWatch, bodyNone, s.getPage},
		{"GET /projects/{id}", accessPublic, classWatch, bodyNone, s.getPage},
		{"GET /style.css", accessPublic, classWatch, bodyNone, s.getStatic},
		{"GET /page.js", accessPublic, classWatch, bodyNone, s.getStatic},
		{"GET /icon/{name}", accessPublic, classWatch, bodyNone, s.getStatic},

		{"GET /healthz", accessOpen, classFree, bodyNone, s.getHealth},
		{"GET /readyz", accessPublic, classProbe, bodyNone, s.getReady},
		{"GET /metrics", accessPublic, classWatch, bodyNone, s.shared(classWatch, watchWait, s.getMetrics)},
		{"POST " + webhookPath, accessSigned, classEvents, bodyEvent, s.postEvent},
	}
}

func (s *Server) newSetup(cfg *config.Config, b *bot.Bot) (*setup, error) {
	k, warnings, err := readKeys(cfg, s.getenv)
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		s.log.Warn(w)
	}
	return &setup{cfg: cfg, bot: b, keys: k}, nil
}

// count counts the results of a bot's state so far, so that the next scrape has only new ones to count.
func (s *Server) count(p *setup) {
	if err := s.metrics.count(s.base, p); err != nil {
		s.log.Warn("metrics: results are counted from the next scrape on", "err", err)
	}
}

// Replace puts another configuration and bot in force, and moves to other addresses if these have changed. It returns when the
// last request with the old bot has ended, so that the caller can close that. On an error the old ones stay in force.
func (s *Server) Replace(cfg *config.Config, b *bot.Bot) error {
	s.replacing.Lock()
	defer s.replacing.Unlock()
	finish, err := s.swap(cfg, b)
	if err == nil {
		finish()
	}
	return err
}

// swap is Replace until the new bot is in force; finish is the rest. The caller holds s.replacing.
func (s *Server) swap(cfg *config.Config, b *bot.Bot) (finish func(), err error) {
	next, err := s.newSetup(cfg, b)
	if err != nil {
		return nil, err
	}
	retire, err := s.listenOn(cfg.HTTP)
	if err != nil {
		return nil, err
	}
	s.count(next)
	s.mu.Lock()
	old := s.current
	s.current = next
	s.mu.Unlock()
	return func() {
		retire()
		old.uses.Wait()
	}, nil
}

// use returns the setup in force. Its bot stays open until setup.uses.Done is called.
func (s *Server) use() *setup {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current.uses.Add(1)
	return s.current
}

// detached returns a context for work that must be finished even if the client leaves. It ends when the daemon cannot wait any
// longer.
func (s *Server) detached(r context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r))
	stop := context.AfterFunc(s.base, func() { cancel(context.Cause(s.base)) })
	return ctx, func() { stop(); cancel(nil) }
}
