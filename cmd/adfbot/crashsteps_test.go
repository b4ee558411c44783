package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
)

// stepFlows are flows of the escalation.
var stepFlows = []flow{
	{
		name:   "a step with all that it can do",
		before: func(w *world) { w.steps(); w.trip(); w.clock += 2 * time.Hour },
		act:    []string{"sweep"},
		end:    []string{theRepo + "#1 open, 1 comments", paused[1], paused[2], paused[3]},
	}, {
		name: "somebody is assigned before a step",
		before: func(w *world) {
			w.steps()
			w.calls = nil
			w.trip()
			w.As(person).Assign(theRepo, 1, person)
			w.clock += 2 * time.Hour
		},
		act: []string{"sweep"},
		end: paused,
	}, {
		name:   "a reminder",
		before: func(w *world) { w.configure("escalation: {remind: 1h}"); w.trip(); w.clock += 90 * time.Minute },
		act:    []string{"sweep"},
		end:    []string{theRepo + "#1 open, 1 comments", paused[1], paused[2], paused[3]},
	}, {
		name:   "an operator's order to snooze",
		before: func(w *world) { w.operators(); w.trip(); w.As(person).Comment(theRepo, 1, "/adf snooze 4h") },
		act:    []string{"sweep"},
		end:    []string{theRepo + "#1 open, 2 comments", paused[1], paused[2], paused[3]},
	},
}

// events are the ids of the documents that a webhook got.
type events struct {
	mu  sync.Mutex
	ids map[string]bool
}

// steps configures a step with a webhook, which has to be called in the end.
func (w *world) steps() {
	w.calls = &events{ids: map[string]bool{}}
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if w.calls != nil {
			w.calls.mu.Lock()
			defer w.calls.mu.Unlock()
			w.calls.ids[r.Header.Get("Idempotency-Key")] = true
		}
	}))
	w.t.Cleanup(func() {
		s.Close()
		if w.calls != nil && !w.t.Failed() {
			require.Len(w.t, w.calls.ids, 1, "the webhook was called, each time with the same id")
		}
	})
	require.NoError(w.t, os.WriteFile(w.path("pager-url"), []byte(s.URL+"/hook\n"), 0o600))
	w.configure(fmt.Sprintf("escalation:\n  steps: [{after: 1h, mention: [%s], assign: [%[1]s], labels: [page], webhook_file: %q}]", person, w.path("pager-url")))
}

// configure adds lines to the configuration.
func (w *world) configure(lines string) {
	f, err := os.OpenFile(w.path("config.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(w.t, err)
	_, err = f.WriteString("\n" + lines + "\n")
	require.NoError(w.t, errors.Join(err, f.Close()))
}
