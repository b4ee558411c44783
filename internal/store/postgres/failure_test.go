package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/testpg"
)

// The server is killed while results are recorded. Those that were answered are there once it runs again, each of them once.
func TestServerKilled(t *testing.T) {
	t.Parallel()
	server := testpg.New(t)
	p := place{server.URL(), "adfbot"}
	s := p.open(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var answered []string
	var stop atomic.Bool
	progress := make(chan struct{}, 1<<16)
	for g := range 8 {
		wg.Go(func() {
			for n := 0; !stop.Load(); n++ {
				r := result(store.Success)
				r.Project, r.RunID = fmt.Sprint("p", g%3), fmt.Sprintf("%d-%d", g, n)
				if _, err := s.Record(ctx, r, limits); err != nil {
					require.ErrorIs(t, err, store.ErrUnusable)
					time.Sleep(time.Millisecond) // a caller would spool it
					continue
				}
				mu.Lock()
				answered = append(answered, r.RunID)
				mu.Unlock()
				progress <- struct{}{}
			}
		})
	}
	for range 3 {
		for range 100 {
			<-progress
		}
		server.Kill()
		server.Start(t)
	}
	for range 100 {
		<-progress
	}
	stop.Store(true)
	wg.Wait()
	stored := map[string]bool{}
	for _, id := range strings.Fields(testpg.Text(t, p.url, `SELECT string_agg(run_id, ' ') FROM adfbot.result`)) {
		require.False(t, stored[id], "%s is there twice", id)
		stored[id] = true
	}
	for _, id := range answered {
		require.True(t, stored[id], "%s was answered and is gone", id)
	}
	t.Logf("%d results were answered, %d are stored", len(answered), len(stored))
}

// The connection breaks at COMMIT, before the server gets it or before its answer arrives. The caller cannot know which, spools the
// result, and records it again: it counts once.
func TestConnectionBreaksAtCommit(t *testing.T) {
	t.Parallel()
	server := testpg.New(t)
	for name, arrives := range map[string]bool{"before": false, "after": true} {
		t.Run(name, func(t *testing.T) {
			proxy := server.Proxy(t)
			p := place{proxy.URL(), name}
			s := p.open(t)
			r := result(store.Failure)
			r.RunID = "run-0"
			record(t, s, r) // now all statements are prepared, and their texts are not sent any more
			// The statement that inserts the result is sent together with COMMIT.
			commits := func(data []byte) bool {
				return bytes.Contains(data, []byte("run-1")) && bytes.Contains(data, []byte("failure"))
			}
			toServer := func(data []byte) ([]byte, bool) {
				if commits(data) {
					proxy.SetFilters(nil, nil) // once
					return nil, true
				}
				return data, false
			}
			toClient := func(data []byte) ([]byte, bool) { return data, false }
			if arrives {
				toServer = nil
				toClient = func(data []byte) ([]byte, bool) {
					if bytes.Contains(data, []byte("COMMIT\x00")) {
						proxy.SetFilters(nil, nil)
						return nil, true
					}
					return data, false
				}
			}
			proxy.SetFilters(toServer, toClient)
			r.RunID = "run-1"
			_, err := s.Record(ctx, r, limits)
			require.ErrorIs(t, err, store.ErrUnusable)
			a := record(t, s, r)
			require.Equal(t, arrives, a.Known)
			require.Equal(t, 2, a.Failures)
			project, err := s.Project(ctx, "odilo")
			require.NoError(t, err)
			require.Equal(t, 2, project.Breaker.Failures)
		})
	}
}

// Connections that broke while nobody used them are replaced, and nobody notices.
func TestConnectionsBreakWhileIdle(t *testing.T) {
	t.Parallel()
	server := testpg.New(t)
	p := place{server.URL(), "adfbot"}
	s := p.open(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { record(t, s, result(store.Success)) })
	}
	wg.Wait()
	server.Stop()
	server.Start(t)
	record(t, s, result(store.Success))
	testpg.Exec(t, p.url, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'adfbot'`)
	_, err := s.Project(ctx, "odilo")
	require.NoError(t, err)
}

// A pooler in transaction mode gives each transaction another session.
func TestPooler(t *testing.T) {
	t.Parallel()
	server := testpg.New(t)
	p := place{server.Pooler(t), "adfbot"}
	a, b := p.openAs(t, hostA), p.openAs(t, hostB)
	var wg sync.WaitGroup
	var trips atomic.Int64
	for n := range 12 {
		wg.Go(func() {
			s := a
			if n%2 == 0 {
				s = b
			}
			for k := range 20 {
				r := result(store.Failure)
				r.RunID = fmt.Sprint(n, k)
				answer, err := s.Record(ctx, r, limits)
				require.NoError(t, err)
				if answer.Tripped {
					trips.Add(1)
				}
				_, err = s.ProjectStates(ctx)
				require.NoError(t, err)
				flags, err := s.HostFlags(ctx)
				require.NoError(t, err)
				for project, state := range flags.States {
					require.NoError(t, s.ConfirmAll(ctx, time.Now(), []incident.FlagConfirmation{
						{Project: project, Confirmation: incident.Confirmation{Pause: state.Pause().ID}},
					}))
				}
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, trips.Load())
	require.Equal(t, "0", wrongCounts(t, p))
	id := testpg.Text(t, server.URL(), `SELECT pause FROM adfbot.project`)
	require.True(t, resume(t, b, "odilo", id))
	require.Equal(t, "10s/0", testpg.Text(t, server.URL(), `SELECT '10s/' || setting FROM pg_settings WHERE name = 'statement_timeout'`))
	require.Equal(t, "0", testpg.Text(t, p.url, `SELECT count(*) FROM pg_prepared_statements`))
}

// A transaction that has stopped in the middle keeps its project locked for a while only.
func TestAbandonedTransaction(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.open(t)
	require.Equal(t, "10s 10s", s.InTx(ctx, `SELECT current_setting('idle_in_transaction_session_timeout') || ' ' || current_setting('statement_timeout')`))
	require.Equal(t, "0 0", s.Outside(ctx, `SELECT current_setting('idle_in_transaction_session_timeout') || ' ' || current_setting('statement_timeout')`))
}

// Whatever is in a text, it can be stored, and found again.
func TestAnyText(t *testing.T) {
	t.Parallel()
	s := newPlace(t).open(t)
	r := result(store.Failure)
	r.RunID, r.Output, r.Detail = "a\x00b\xff", "\x00\xff", "\u2028\U0010ffff"
	require.False(t, record(t, s, r).Known)
	require.True(t, record(t, s, r).Known)
	runs, err := s.History(ctx, "odilo", 9)
	require.NoError(t, err)
	require.Equal(t, "\ufffd\ufffd", runs[0].Output)
	require.Equal(t, r.Detail, runs[0].Detail)
}

// A result that gets a lower number may be stored after one with a higher number. It is counted all the same.
func TestCountWaitsForLowerNumbers(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.open(t)
	record(t, s, result(store.Success))
	testpg.Exec(t, p.url, `SELECT nextval('`+p.schema+`.result_id_seq')`) // as a transaction does that is not committed yet
	record(t, s, result(store.Failure))
	counts, upTo, err := s.CountSince(ctx, 0, 100)
	require.NoError(t, err)
	require.Equal(t, []store.OutcomeCount{{Project: "odilo", Outcome: store.Success, Results: 1}}, counts)
	testpg.Exec(t, p.url, `UPDATE `+p.schema+`.result SET recorded_at = recorded_at - interval '11 s'`) // it never committed
	counts, upTo, err = s.CountSince(ctx, upTo, 100)
	require.NoError(t, err)
	require.Equal(t, []store.OutcomeCount{{Project: "odilo", Outcome: store.Failure, Results: 1}}, counts)
	require.EqualValues(t, 3, upTo)

	testpg.Exec(t, p.url, `SELECT nextval('`+p.schema+`.result_id_seq')`)
	record(t, s, result(store.Failure))
	testpg.Exec(t, p.url, `UPDATE `+p.schema+`.result SET recorded_at = recorded_at + interval '1 hour'`) // the server's clock was set back
	_, upTo, err = s.CountSince(ctx, upTo, 100)
	require.NoError(t, err)
	require.EqualValues(t, 5, upTo)
}

// The server stops answering. A caller whose time is up spools; one that was told to end does not call the state unusable.
func TestServerStopsAnswering(t *testing.T) {
	t.Parallel()
	server := testpg.New(t)
	proxy := server.Proxy(t)
	s := place{proxy.URL(), "adfbot"}.open(t)
	record(t, s, result(store.Success))
	swallow := func([]byte) ([]byte, bool) { return nil, false }
	proxy.SetFilters(swallow, swallow)
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	_, err := s.Project(short, "odilo")
	require.ErrorIs(t, err, store.ErrUnusable)
	require.ErrorContains(t, err, "the server does not answer")
	_, err = s.Record(short, result(store.Success), limits) // its context has ended before the transaction begins
	require.ErrorIs(t, err, store.ErrUnusable)

	told, end := context.WithCancel(ctx)
	time.AfterFunc(20*time.Millisecond, end)
	_, err = s.Project(told, "odilo")
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, store.ErrUnusable)
	proxy.SetFilters(nil, nil)
	record(t, s, result(store.Success))
}

// Whoever has given up may have kept the result elsewhere.
func TestCanceledBefore(t *testing.T) {
	t.Parallel()
	s := newPlace(t).open(t)
	gone, leave := context.WithCancel(ctx)
	leave()
	for range 50 {
		_, err := s.Record(gone, result(store.Failure), limits)
		require.ErrorIs(t, err, context.Canceled)
	}
	runs, err := s.Runs(ctx, "odilo", 9)
	require.NoError(t, err)
	require.Empty(t, runs)
}
