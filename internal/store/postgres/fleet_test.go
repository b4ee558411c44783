package postgres_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/postgres"
	"github.com/terraphim/adfbot/internal/store/storetest"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testpg"
	"github.com/terraphim/adfbot/pause"
)

func TestFleet(t *testing.T) {
	t.Parallel()
	storetest.RunFleet(t, func(t testing.TB) storetest.Fleet {
		p := newPlace(t)
		return func(host string) storetest.FleetState { return p.openAs(t, host) }
	})
}

// Hosts confirm all flags that they know of beside results, resumes, holds and reads of the same projects. No call fails, nobody has to
// try again because of a deadlock, and who has ended a pause on a host has no confirmation of it there.
func testConfirmAllBesideOthers(t *testing.T, server *testpg.Server) {
	p := place{server.URL(), "confirm"}
	var projects []string
	for n := range 12 {
		projects = append(projects, fmt.Sprint("p", n))
	}
	identity := incident.FlagIdentity{Kind: incident.BotFlag, Mtime: 1, Size: 1}
	var wg sync.WaitGroup
	var confirmations, ended, retired atomic.Int64
	begin := time.Now()
	goesOn := func() bool { // a busy machine takes longer
		enough := time.Since(begin) > 700*time.Millisecond && confirmations.Load() > 20 && ended.Load() > 5 && retired.Load() > 1
		return !enough && time.Since(begin) < testhost.Patience
	}
	for n, s := range hosts(t, p, 3) {
		require.NoError(t, s.Void(ctx, incident.DirMark{Epoch: "e", Seq: 1}))
		run := func(seed uint64, do func(random *rand.Rand)) {
			wg.Go(func() {
				for random := rand.New(rand.NewPCG(uint64(n), seed)); goesOn(); {
					do(random)
				}
			})
		}
		confirm := func(random *rand.Rand) {
			found, err := s.HostFlags(ctx)
			require.NoError(t, err)
			var list []incident.FlagConfirmation
			for project, state := range found.States { // in any order
				if id := state.Pause().ID; id != "" {
					list = append(list, incident.FlagConfirmation{Project: project, Confirmation: incident.Confirmation{Pause: id, Identity: identity}})
				}
			}
			require.NoError(t, s.ConfirmAll(ctx, time.Now(), list))
			confirmations.Add(int64(len(list)))
			require.NoError(t, s.SetMark(ctx, incident.DirMark{Epoch: "e", Seq: random.Int64N(100)}))
			require.NoError(t, s.Beat(ctx, store.Host{Name: fmt.Sprint(n)}))
		}
		run(1, confirm)
		run(2, confirm)
		run(3, func(random *rand.Rand) {
			r := result(store.Failure)
			r.Project = projects[random.IntN(len(projects))]
			_, err := s.Record(ctx, r, limits)
			require.NoError(t, err)
		})
		run(4, func(random *rand.Rand) {
			project := projects[random.IntN(len(projects))]
			_, err := s.AddHold(ctx, incident.Hold{ID: pause.NewRandomID(), Project: project, Since: time.Now()}, identity, 0)
			require.NoError(t, err)
			state, err := s.ProjectState(ctx, project)
			require.NoError(t, err)
			if open := state.Open(); open != nil {
				_, err := s.Change(ctx, open.ID, func(i *incident.Incident) { i.Tries++ })
				require.NoError(t, err)
			}
			require.NoError(t, s.FlagFailed(ctx, project, state.Pause().ID, fmt.Sprint(random.IntN(9))))
		})
		run(5, func(random *rand.Rand) {
			project := projects[random.IntN(len(projects))]
			state, err := s.ProjectState(ctx, project)
			require.NoError(t, err)
			id := state.Pause().ID
			was, err := s.Resume(ctx, incident.Resumption{Project: project, Pause: id, How: "h", At: time.Now(), FlagRemoved: random.IntN(2) == 0})
			require.NoError(t, err)
			if state, err = s.ProjectState(ctx, project); was {
				ended.Add(1)
				require.False(t, state.Confirmed.Stands() && state.Confirmed.Pause == id, "nobody else on this host has ended it")
			}
			require.NoError(t, err)
		})
	}
	boss := p.openAs(t, pause.NewRandomID())
	wg.Go(func() { // hosts with runs of all projects are retired
		for goesOn() {
			id := pause.NewRandomID()
			gone := p.openAs(t, id)
			require.NoError(t, gone.Beat(ctx, store.Host{Name: "gone"}))
			for _, project := range projects {
				if _, err := gone.BeginRun(ctx, store.Run{ID: pause.NewRandomID(), Project: project, Agent: "a", Started: time.Now()}); err != nil {
					require.ErrorIs(t, err, store.ErrPaused)
				}
			}
			was, err := boss.Retire(ctx, id)
			require.NoError(t, err)
			require.True(t, was)
			retired.Add(1)
		}
	})
	wg.Wait()
	require.Equal(t, "0", testpg.Text(t, p.url, `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`))
	require.Equal(t, "0", wrongCounts(t, p))
	t.Logf("%d confirmations, %d resumes, %d hosts retired", confirmations.Load(), ended.Load(), retired.Load())
	require.NotZero(t, ended.Load())
}

// A host is retired while it confirms flags and begins runs. Whatever it does later is refused, and nothing of it is left.
func TestRetiredWhileAtWork(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	other := p.open(t)
	require.NoError(t, other.SetHold(ctx, incident.Hold{ID: "h", Project: "odilo", Since: time.Now()}))
	for range 5 {
		host := pause.NewRandomID()
		s := p.openAs(t, host)
		require.NoError(t, s.Beat(ctx, store.Host{Name: "x"}))
		var wg, begun sync.WaitGroup
		for n := range 3 {
			begun.Add(1)
			first := sync.OnceFunc(begun.Done)
			wg.Go(func() {
				for err := error(nil); err == nil; first() {
					if n == 0 {
						err = s.ConfirmAll(ctx, time.Now(), []incident.FlagConfirmation{{Project: "odilo", Confirmation: incident.Confirmation{Pause: "h"}}})
					} else {
						_, err = s.BeginRun(ctx, store.Run{ID: pause.NewRandomID(), Project: fmt.Sprint("p", n), Agent: "a", Started: time.Now()})
					}
					if err != nil {
						require.ErrorIs(t, err, store.ErrRetired)
					}
				}
			})
		}
		begun.Wait()
		was, err := other.Retire(ctx, host)
		require.NoError(t, err)
		require.True(t, was)
		wg.Wait()
		require.Equal(t, "0 0", testpg.Text(t, p.url, fmt.Sprintf(`SELECT (SELECT count(*) FROM %[1]s.run WHERE host_id = '%[2]s') || ' ' ||
			(SELECT count(*) FROM %[1]s.host_flag WHERE host = '%[2]s')`, p.schema, host)))
	}
}

func TestOpenedAsRetired(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	require.NoError(t, p.open(t).Beat(ctx, store.Host{Name: "a"}))
	was, err := p.openAs(t, hostB).Retire(ctx, hostA)
	require.NoError(t, err)
	require.True(t, was)
	err = p.try(t, postgres.Options{})
	require.ErrorIs(t, err, store.ErrRetired)
	require.ErrorIs(t, err, store.ErrUnusable)
	require.NoError(t, p.try(t, postgres.Options{ReadOnly: true}))
}

// listen listens until the end of the test, and returns what it is woken by and how it ends.
func listen(t *testing.T, s *postgres.Store) (woken chan struct{}, done chan error) {
	t.Helper()
	woken, done = make(chan struct{}, 100), make(chan error, 1)
	until, cancel := context.WithCancel(ctx)
	t.Cleanup(cancel)
	go func() { done <- s.Listen(until, func() { woken <- struct{}{} }) }()
	select {
	case <-woken:
	case err := <-done:
		done <- err
	}
	return woken, done
}

// The tests that need a server of their own share it.
func TestFleetOnItsServer(t *testing.T) {
	t.Parallel()
	server := testpg.New(t)
	for _, c := range []struct {
		name string
		test func(*testing.T, *testpg.Server)
	}{
		{"flags confirmed beside others", testConfirmAllBesideOthers},
		{"nobody answers a listener", testListenToNobody},
		{"the listener's session ends", testListenEnds},
		{"a failover while listening", testListenAfterFailover},
		{"listening behind a pooler", testListenBehindPooler},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, server) })
	}
}

// A connection on which nothing is heard is asked whether it is still there.
func testListenToNobody(t *testing.T, server *testpg.Server) {
	proxy := server.Proxy(t)
	s := place{proxy.URL(), "quiet"}.open(t)
	s.SetPings(50*time.Millisecond, testhost.Patience)
	var pings atomic.Int64
	proxy.SetFilters(func(data []byte) ([]byte, bool) { pings.Add(1); return data, false }, nil)
	woken, done := listen(t, s)
	before := pings.Load()
	require.Eventually(t, func() bool { return pings.Load() > before+2 }, testhost.Patience, time.Millisecond)
	require.Empty(t, done)
	trip(t, s, "odilo")
	<-woken

	proxy.SetFilters(nil, nil)
	s = place{proxy.URL(), "quiet"}.open(t)
	s.SetPings(50*time.Millisecond, 50*time.Millisecond)
	_, done = listen(t, s)
	swallow := func([]byte) ([]byte, bool) { return nil, false }
	proxy.SetFilters(swallow, swallow)
	err := <-done
	require.ErrorIs(t, err, store.ErrUnusable)
	require.ErrorContains(t, err, "listening for pauses and resumes")
	require.ErrorContains(t, err, "the server does not answer")
}

func testListenEnds(t *testing.T, server *testpg.Server) {
	s := place{server.URL(), "ends"}.open(t)
	_, done := listen(t, s)
	testpg.Exec(t, server.URL(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'`)
	require.ErrorIs(t, <-done, store.ErrUnusable)
	trip(t, s, "odilo")
}

// A server that is no primary any more notifies nobody.
func testListenAfterFailover(t *testing.T, server *testpg.Server) {
	s := place{server.URL(), "failover"}.open(t)
	s.SetPings(10*time.Millisecond, 5*time.Second)
	_, done := listen(t, s)
	testpg.Exec(t, server.URL(), `ALTER SYSTEM SET default_transaction_read_only = on`)
	testpg.Exec(t, server.URL(), `SELECT pg_reload_conf()`)
	err := <-done
	require.ErrorIs(t, err, store.ErrUnusable)
	require.ErrorContains(t, err, "primary")
	testpg.Exec(t, testpg.WithParameter(t, server.URL(), "default_transaction_read_only", "off"), `ALTER SYSTEM RESET default_transaction_read_only`)
	testpg.Exec(t, server.URL(), `SELECT pg_reload_conf()`)
	require.Eventually(t, func() bool { return testpg.Text(t, server.URL(), `SHOW default_transaction_read_only`) == "off" }, testhost.Patience, time.Millisecond)
}

// Behind a pooler nothing would be heard. The server itself may have another address.
func testListenBehindPooler(t *testing.T, server *testpg.Server) {
	pooler := server.Pooler(t)
	s := place{pooler, "adfbot"}.open(t)
	_, done := listen(t, s)
	err := <-done
	require.ErrorIs(t, err, store.ErrUnusable)
	require.ErrorContains(t, err, "a pooler stands before the server")
	require.ErrorContains(t, err, "`state_listen`")

	s, err = postgres.Open(ctx, pooler, postgres.Options{Host: hostB, ListenURL: server.URL()})
	require.NoError(t, err)
	defer s.Close()
	woken, _ := listen(t, s)
	trip(t, s, "odilo")
	<-woken

	_, err = postgres.Open(ctx, pooler, postgres.Options{Host: hostB, ListenURL: "mysql://h"})
	require.ErrorContains(t, err, "`state_listen`")
}

// The name of a schema may be as long as the server allows.
func TestListenInALongSchema(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.schema += strings.Repeat("x", 63-len(p.schema))
	s := p.open(t)
	woken, _ := listen(t, s)
	trip(t, s, "odilo")
	<-woken
}

// A state of the first version has results of which neither generation nor age is known.
func TestUpgradedFromTheFirstVersion(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	first, err := os.ReadFile("migrations/1.sql")
	require.NoError(t, err)
	testpg.Exec(t, p.url, `CREATE SCHEMA `+p.schema)
	exec := func(statements string) {
		for statement := range strings.SplitSeq(strings.ReplaceAll(statements, "adfbot.", p.schema+"."), ";\n") {
			testpg.Exec(t, p.url, statement)
		}
	}
	exec(regexp.MustCompile("--.*").ReplaceAllString(string(first), ""))
	exec(`INSERT INTO adfbot.meta VALUES ('schema_version', '1'), ('installation', '` + pause.NewRandomID() + `');
INSERT INTO adfbot.project (id, generation, failures, resumed_at) VALUES ('odilo', 1, 1, now() - interval '1 h');
INSERT INTO adfbot.result (project, agent, outcome, counted, exit_code, signal, detail, host, recorded_at, failures, threshold, tripped)
SELECT 'odilo', 'project-meta', 'failure', TRUE, 1, '', '', 'h', now() - ago, 1, 3, FALSE FROM (VALUES (interval '2 h'), ('1 min')) AS v (ago)`)
	s := p.open(t)
	r := result(store.Failure)
	r.Age = 30 * time.Minute
	generation := int64(1)
	r.Generation = &generation
	require.Equal(t, 2, record(t, s, r).Failures, "the one from before the resume counts no more")
	hosts, err := s.Hosts(ctx)
	require.NoError(t, err)
	require.Empty(t, hosts)
}

// The clock is the server's, whatever this host's says, and goes on between answers.
func TestClock(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.open(t)
	first := s.Now()
	require.Eventually(t, func() bool { return s.Now().After(first) }, testhost.Patience, time.Millisecond)
	record(t, s, result(store.Success))
	recorded := testpg.Text(t, p.url, `SELECT max(recorded_at) FROM `+p.schema+`.result`)
	at, err := time.Parse("2006-01-02 15:04:05.999-07", recorded)
	require.NoError(t, err)
	require.False(t, s.Now().Before(at))
	fixed, err := postgres.Open(ctx, p.url, postgres.Options{Schema: p.schema, Host: hostA, Now: func() time.Time { return time.Unix(7, 0) }})
	require.NoError(t, err)
	defer fixed.Close()
	require.Equal(t, time.Unix(7, 0), fixed.Now())
}

func TestLateResults(t *testing.T) {
	t.Parallel()
	storetest.RunLate(t, func(t testing.TB, now func() time.Time) storetest.Fleet {
		p := newPlace(t)
		return func(host string) storetest.FleetState {
			s, err := postgres.Open(ctx, p.url, postgres.Options{Schema: p.schema, Host: host, Now: now})
			require.NoError(t, err)
			t.Cleanup(func() { _ = s.Close() })
			return s
		}
	})
}
