package web

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"sync"
	"time"
)

// sharedReads runs the handlers that only read the state and the pause directory. Requests for the same answer share one read if they
// arrive before it begins: many pages may be open, and with thousands of projects an answer takes a second and megabytes. A read of
// a dead file system ends when that comes back; the requests that wait for it are answered before.
type sharedReads struct {
	turn semaphore // held by the reads that run

	mu   sync.Mutex
	next map[readKey]*sharedRead // those that wait for their turn
}

type readKey struct {
	setup       *setup
	caller, uri string
}

// sharedRead is an answer, which is complete when done is closed.
type sharedRead struct {
	*recorder
	err     error
	done    chan struct{}
	waiting int // who waits for it; guarded by sharedReads.mu
}

const maxSharedReads = 2 // of a class at once

func newSharedReads() *sharedReads {
	return &sharedReads{turn: make(semaphore, maxSharedReads), next: map[readKey]*sharedRead{}}
}

// shared returns a handler that shares the answers of h between requests, and waits for h at most about as long as wait.
func (s *Server) shared(c class, wait time.Duration, h handler) handler {
	return func(w http.ResponseWriter, r *request) error {
		ctx, cancel := context.WithTimeout(r.Context(), wait+time.Second) // h has to end a second earlier, and its error says more
		defer cancel()
		one := s.join(r, c, wait, h)
		select {
		case <-one.done:
		case <-ctx.Done():
			l := s.limitOf(r, c).reads
			l.mu.Lock()
			one.waiting--
			l.mu.Unlock()
			return noAnswer(r, wait)
		}
		if one.err != nil {
			return one.err
		}
		maps.Copy(w.Header(), one.header)
		w.WriteHeader(one.status)
		_, _ = w.Write(one.body.Bytes())
		return nil
	}
}

func noAnswer(r *request, wait time.Duration) error {
	return refused(http.StatusServiceUnavailable, "No answer",
		"the pause directory or the state did not answer in %s: %s, and how busy the machine is", wait, whatHangs(r.cfg))
}

// join returns the read that waits for its turn to answer the same request, or a new one.
func (s *Server) join(r *request, c class, wait time.Duration, h handler) *sharedRead {
	l, key := s.limitOf(r, c).reads, readKey{r.setup, r.caller.name, r.URL.RequestURI()}
	l.mu.Lock()
	defer l.mu.Unlock()
	if one, ok := l.next[key]; ok {
		one.waiting++
		return one
	}
	one := &sharedRead{recorder: newRecorder(), done: make(chan struct{}), waiting: 1}
	l.next[key] = one
	r.uses.Add(1)
	go func() {
		defer r.uses.Done()
		defer close(one.done)
		asked := context.WithoutCancel(r.Context()) // others may still wait when this client leaves
		waiting, cancel := context.WithTimeout(asked, wait)
		defer cancel()
		select {
		case l.turn <- struct{}{}:
			defer func() { <-l.turn }()
		case <-waiting.Done():
			one.err = noAnswer(r, wait)
		}
		l.mu.Lock()
		delete(l.next, key)
		left := one.waiting == 0
		l.mu.Unlock()
		if one.err != nil || left {
			return
		}
		defer s.recoverPanic(&statusWriter{ResponseWriter: one.recorder, rc: http.NewResponseController(one.recorder)}, r.Request, r.setup)
		ctx, cancel := context.WithTimeout(asked, wait)
		defer cancel()
		own := *r
		own.Request = r.WithContext(ctx)
		one.err = h(one.recorder, &own)
	}()
	return one
}

// recorder is an http.ResponseWriter that keeps the answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func newRecorder() *recorder { return &recorder{header: http.Header{}, status: http.StatusOK} }

func (a *recorder) Header() http.Header         { return a.header }
func (a *recorder) WriteHeader(status int)      { a.status = status }
func (a *recorder) Write(p []byte) (int, error) { return a.body.Write(p) }
