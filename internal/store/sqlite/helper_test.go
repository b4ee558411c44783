package sqlite_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
	"github.com/terraphim/adfbot/internal/testhost"
)

var ctx = context.Background()

var limits = store.Limits{Threshold: 3, Resume: 3, Instance: "bigbox", Host: "host-a"}

func open(t testing.TB, path string, o sqlite.Options) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(ctx, path, o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func newStore(t testing.TB) *sqlite.Store {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "adfbot.db"), sqlite.Options{})
}

func result(outcome string) store.Result {
	return store.Result{Project: "odilo", Agent: "project-meta", Outcome: outcome}
}

func record(t testing.TB, s *sqlite.Store, r store.Result) store.Answer {
	t.Helper()
	a, err := s.Record(ctx, r, limits)
	require.NoError(t, err)
	return a
}

// trip records failures until the breaker trips, and returns the incident as it is stored.
func trip(t testing.TB, s *sqlite.Store, project string) incident.Incident {
	t.Helper()
	for range 10 {
		r := result(store.Failure)
		r.Project = project
		if a := record(t, s, r); a.Tripped {
			return oneIncident(t, s, a.Incident)
		}
	}
	require.Fail(t, "it did not trip")
	return incident.Incident{}
}

func oneIncident(t testing.TB, s *sqlite.Store, id string) incident.Incident {
	t.Helper()
	list, err := s.Incidents(ctx, id)
	require.NoError(t, err)
	require.Len(t, list, 1)
	return list[0]
}

func failures(t testing.TB, s *sqlite.Store, project string) int {
	t.Helper()
	p, err := s.Project(ctx, project)
	require.NoError(t, err)
	return p.Breaker.Failures
}

// said is what a child prints.
type said struct {
	N        int
	Trips    int
	Incident string
	ID       string
	Unusable bool
	Err      string
}

// Functions of children. Their arguments are the path of the state and a number or name.
func TestMain(m *testing.M) {
	testhost.Main(m, testhost.Funcs{
		"open":       child(func(context.Context, *sqlite.Store, string, *said) error { return nil }),
		"try":        try,
		"fail":       child(fail),
		"flood":      child(flood),
		"take spool": child(takeSpool),
		"read":       read,
	})
}

const (
	umaskVar  = "ADFBOT_TEST_UMASK"
	memberVar = "ADFBOT_TEST_MEMBER" // the id of the group of which a child becomes a member, as a user who has another one
)

func child(do func(ctx context.Context, s *sqlite.Store, arg string, out *said) error) func(testhost.Self) int {
	return func(self testhost.Self) int {
		if umask, err := strconv.ParseInt(os.Getenv(umaskVar), 8, 0); err == nil {
			syscall.Umask(int(umask))
		}
		if group, err := strconv.Atoi(os.Getenv(memberVar)); err == nil {
			if err := errors.Join(syscall.Setgroups([]int{group}), syscall.Setresgid(4711, 4711, 4711), syscall.Setresuid(4711, 4711, 4711)); err != nil {
				panic(err)
			}
		}
		self.Ready()
		out := said{}
		s, err := sqlite.Open(ctx, os.Args[1], sqlite.Options{})
		if err == nil {
			out.ID = s.Installation()
			err = errors.Join(do(ctx, s, os.Args[2], &out), s.Close())
		}
		if err != nil {
			out.Err, out.Unusable = err.Error(), errors.Is(err, store.ErrUnusable)
		}
		if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
			panic(err)
		}
		return 0
	}
}

func fail(ctx context.Context, s *sqlite.Store, times string, out *said) error {
	n, err := strconv.Atoi(times)
	if err != nil {
		return err
	}
	for range n {
		a, err := s.Record(ctx, result(store.Failure), limits)
		if err != nil {
			return err
		}
		if a.Tripped {
			out.Trips++
			out.Incident = a.Incident
		}
		out.N++
	}
	return nil
}

// flood records as much as it can, from several goroutines, and prints the results that were taken, until it is killed.
func flood(ctx context.Context, s *sqlite.Store, name string, _ *said) error {
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for n := 0; ; n++ {
				r := result(store.Success)
				r.Project, r.RunID = fmt.Sprint("p", g%3), fmt.Sprintf("%s-%d-%d", name, g, n)
				if _, err := s.Record(ctx, r, limits); err != nil {
					panic(err)
				}
				_, _ = os.Stdout.WriteString(r.RunID + "\n")
			}
		})
	}
	wg.Wait()
	return nil
}

// takeSpool records what is in the spool, and counts what was new.
func takeSpool(ctx context.Context, s *sqlite.Store, _ string, out *said) error {
	list, err := hostlocal.Beside(s.Path()).Spool().List()
	if err != nil {
		return err
	}
	for _, e := range list {
		a, err := s.Record(ctx, e.Result, limits)
		if err = errors.Join(err, e.Remove()); err != nil {
			return err
		}
		if !a.Known {
			out.N++
		}
	}
	return nil
}

// try opens a state, but waits only briefly for another process.
func try(self testhost.Self) int {
	self.Ready()
	ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	out := said{}
	s, err := sqlite.Open(ctx, os.Args[1], sqlite.Options{})
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		out.Err = err.Error()
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		panic(err)
	}
	return 0
}

// read opens a state as status does.
func read(self testhost.Self) int {
	self.Ready()
	out := said{}
	s, err := sqlite.Open(ctx, os.Args[1], sqlite.Options{ReadOnly: true})
	if err == nil {
		out.N, err = 1, s.Close()
	}
	if err != nil {
		out.Err, out.Unusable = err.Error(), errors.Is(err, store.ErrDenied)
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		panic(err)
	}
	return 0
}

// process is a child whose output is kept.
type process struct {
	*testhost.Child
	t   testing.TB
	out bytes.Buffer
}

func newProcess(t testing.TB, do, path, arg string) *process {
	p := &process{Child: testhost.Command(t, do, path, arg), t: t}
	p.Stdout, p.Stderr = &p.out, os.Stderr
	return p
}

// as makes the child another user, with a umask.
func (p *process) as(uid int, umask string) *process {
	p.Path = testhost.PublicCopy(p.t, p.Path)
	p.Env = append(p.Env, fmt.Sprint(testhost.UIDVar, "=", uid), umaskVar+"="+umask)
	return p
}

func (p *process) said() said {
	p.t.Helper()
	var s said
	require.NoError(p.t, json.Unmarshal(p.out.Bytes(), &s), p.out.String())
	return s
}

// finish runs the child to its end.
func (p *process) finish() said {
	p.t.Helper()
	require.NoError(p.t, p.Run())
	return p.said()
}

// together runs n children that begin at the same moment.
func together(t testing.TB, n int, do, path, arg string) (all []said) {
	t.Helper()
	var processes []*process
	var children []*testhost.Child
	for range n {
		p := newProcess(t, do, path, arg)
		processes, children = append(processes, p), append(children, p.Child)
	}
	testhost.StartTogether(children...)
	for _, p := range processes {
		require.NoError(t, p.Wait())
		all = append(all, p.said())
	}
	return all
}
