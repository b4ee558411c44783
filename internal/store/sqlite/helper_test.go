package sqlite_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
	"github.com/terraphim/adfbot/internal/testhost"
)

// noon is when most tests begin: whole milliseconds, as the state keeps them.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

var three = store.Limits{Threshold: 3, Resume: 3, Instance: "bigbox", Host: "host-a"}

// clock is a clock that tests set.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func (c *clock) pass(d time.Duration) { c.at = c.at.Add(d) }

func open(t testing.TB, path string, o sqlite.Options) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(context.Background(), path, o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// newStore makes a state of its own, with its clock.
func newStore(t testing.TB) (*sqlite.Store, *clock) {
	t.Helper()
	c := &clock{at: noon}
	return open(t, filepath.Join(t.TempDir(), "adfbot.db"), sqlite.Options{Now: c.now}), c
}

func result(outcome string) store.Result {
	return store.Result{Project: "odilo", Agent: "project-meta", Outcome: outcome}
}

func record(t testing.TB, s *sqlite.Store, r store.Result) store.Answer {
	t.Helper()
	a, err := s.Record(context.Background(), r, three)
	require.NoError(t, err)
	return a
}

// trip records failures until the breaker trips, and returns the incident.
func trip(t testing.TB, s *sqlite.Store, project string) incident.Incident {
	t.Helper()
	for range 10 {
		r := result(store.Failure)
		r.Project = project
		if a := record(t, s, r); a.Tripped {
			return theIncident(t, s, a.Incident)
		}
	}
	require.Fail(t, "it did not trip")
	return incident.Incident{}
}

func theIncident(t testing.TB, s *sqlite.Store, id string) incident.Incident {
	t.Helper()
	list, err := s.Incidents(context.Background(), id)
	require.NoError(t, err)
	require.Len(t, list, 1)
	return list[0]
}

func evidence(t testing.TB, s *sqlite.Store, id string) incident.Evidence {
	t.Helper()
	e, err := s.Evidence(context.Background(), id)
	require.NoError(t, err)
	return e
}

func project(t testing.TB, s *sqlite.Store, id string) store.Project {
	t.Helper()
	p, err := s.Project(context.Background(), id)
	require.NoError(t, err)
	return p
}

func resume(t testing.TB, s *sqlite.Store, project, incident string, at time.Time) bool {
	t.Helper()
	ended, err := s.Resume(context.Background(), project, incident, "for the test", at)
	require.NoError(t, err)
	return ended
}

// child is what another process is to do: this test binary, started again.
type child struct {
	Do      string
	Path    string
	Name    string
	Times   int
	UID     int // become this user first; 0: stay who we are
	Umask   int
	Go      string // wait until this file is there, so that many begin at once
	Comment string
}

// said is what a child tells.
type said struct {
	Trips    int
	Incident string
	ID       string
	Unusable bool
	Err      string
	N        int
}

const childEnv = "ADFBOT_STORE_TEST_CHILD"

func TestMain(m *testing.M) {
	if spec := os.Getenv(childEnv); spec != "" {
		var c child
		if err := json.Unmarshal([]byte(spec), &c); err != nil {
			panic(err)
		}
		c.run()
		return
	}
	os.Exit(m.Run())
}

func (c child) run() {
	if c.Umask != 0 {
		syscall.Umask(c.Umask)
	}
	if c.UID != 0 {
		if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(c.UID), syscall.Setuid(c.UID)); err != nil {
			panic(err)
		}
	}
	for c.Go != "" {
		if _, err := os.Stat(c.Go); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	a, err := c.do(context.Background())
	if err != nil {
		a.Err, a.Unusable = err.Error(), errors.Is(err, store.ErrUnusable)
	}
	if err := json.NewEncoder(os.Stdout).Encode(a); err != nil {
		panic(err)
	}
}

func (c child) do(ctx context.Context) (a said, err error) {
	s, err := sqlite.Open(ctx, c.Path, sqlite.Options{})
	if err != nil {
		return a, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	a.ID = s.Installation()
	switch c.Do {
	case "open":
	case "fail": // record failures
		for range c.Times {
			got, err := s.Record(ctx, result(store.Failure), three)
			if err != nil {
				return a, err
			}
			if got.Tripped {
				a.Trips++
				a.Incident = got.Incident
			}
			a.N++
		}
	case "flood": // record as much as goes, from several goroutines, and say which results were taken, until killed
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for n := 0; ; n++ {
					r := result(store.Success)
					r.Project, r.RunID = fmt.Sprint("p", g%3), fmt.Sprintf("%s-%d-%d", c.Name, g, n)
					if _, err := s.Record(ctx, r, three); err != nil {
						panic(err)
					}
					_, _ = os.Stdout.WriteString(r.RunID + "\n")
				}
			})
		}
		wg.Wait()
	case "hold": // take a lock, say so, and keep it until killed
		if _, err := s.LockHere(ctx, c.Name, time.Second); err != nil {
			return a, err
		}
		hang()
	case "run", "run with child": // begin a run and never end it
		r, err := s.BeginRun(ctx, store.Run{Project: "odilo", Agent: "project-meta", RunID: c.Name, Host: "host-a", Started: noon})
		if err != nil {
			return a, err
		}
		if c.Do == "run with child" {
			cmd := exec.Command("sleep", "60")
			if err := cmd.Start(); err != nil {
				return a, err
			}
			if err := s.NoteChild(ctx, r, cmd.Process.Pid); err != nil {
				return a, err
			}
		}
		hang()
	case "take": // take the spool in
		list, err := s.Spooled()
		if err != nil {
			return a, err
		}
		for _, e := range list {
			got, err := s.Record(ctx, e.Result, three)
			if err = errors.Join(err, s.Taken(e)); err != nil {
				return a, err
			}
			if !got.Known {
				a.N++
			}
		}
	default:
		panic("unknown: " + c.Do)
	}
	return a, nil
}

// hang tells the parent that the child is ready, and waits to be killed.
func hang() {
	_, _ = os.Stdout.WriteString("ready\n")
	select {}
}

func (c child) command(t testing.TB) *exec.Cmd {
	t.Helper()
	spec, err := json.Marshal(c)
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	if c.UID != 0 {
		self = testhost.PublicCopy(t, self)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childEnv+"="+string(spec), "GORACE=atexit_sleep_ms=0")
	return cmd
}

// finish runs a child to its end.
func (c child) finish(t testing.TB) said {
	t.Helper()
	cmd := c.command(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%+v: %s", c, stderr.String())
	return answerOf(t, c, out)
}

func answerOf(t testing.TB, c child, out []byte) said {
	t.Helper()
	var a said
	require.NoError(t, json.Unmarshal(out, &a), "%+v: %s", c, out)
	return a
}

// start starts a child that hangs, waits until it is ready, and returns what kills it and waits for its end.
func (c child) start(t testing.TB) (pid int, kill func()) {
	t.Helper()
	cmd := c.command(t)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	ended := false
	kill = func() {
		if !ended {
			ended = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(kill)
	line := make([]byte, len("ready\n"))
	_, err = out.Read(line)
	require.NoError(t, err)
	require.Equal(t, "ready\n", string(line))
	return cmd.Process.Pid, kill
}

// together runs children that all begin at the same moment.
func together(t testing.TB, children ...child) []said {
	t.Helper()
	gate := filepath.Join(t.TempDir(), "go")
	var cmds []*exec.Cmd
	var outs []*bytes.Buffer
	for _, c := range children {
		c.Go = gate
		cmd := c.command(t)
		out := &bytes.Buffer{}
		cmd.Stdout, cmd.Stderr = out, os.Stderr
		require.NoError(t, cmd.Start())
		cmds, outs = append(cmds, cmd), append(outs, out)
	}
	require.NoError(t, os.WriteFile(gate, nil, 0o644))
	var all []said
	for n, cmd := range cmds {
		require.NoError(t, cmd.Wait())
		all = append(all, answerOf(t, children[n], outs[n].Bytes()))
	}
	return all
}

func many(n int, c child) []child {
	list := make([]child, n)
	for i := range list {
		list[i] = c
	}
	return list
}

// endProcess ends a process that a child of ours left behind.
func endProcess(t testing.TB, pid int) {
	t.Helper()
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
}
