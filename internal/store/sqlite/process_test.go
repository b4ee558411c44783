package sqlite_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
)

func TestTenProcessesThatRecordTheThirdFailureAtOnceTripOnce(t *testing.T) {
	s, _ := newStore(t)
	record(t, s, result(store.Failure))
	record(t, s, result(store.Failure))
	trips, ids := 0, ""
	for _, a := range together(t, many(10, child{Do: "fail", Times: 1, Path: s.Path()})...) {
		require.Empty(t, a.Err)
		trips += a.Trips
		ids += a.Incident
	}
	require.Equal(t, 1, trips)
	list, err := s.IncidentsOf(ctx, "odilo", 100)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, ids, list[0].ID)
	require.Equal(t, 12, project(t, s, "odilo").Breaker.Failures)
}

func TestManyTransactionsOfTenProcessesAllGetThrough(t *testing.T) {
	s, _ := newStore(t)
	const times = 50
	for _, a := range together(t, many(10, child{Do: "fail", Times: times, Path: s.Path()})...) {
		require.Empty(t, a.Err, "none is turned away as busy")
		require.Equal(t, times, a.N)
	}
	require.Equal(t, 10*times, project(t, s, "odilo").Breaker.Failures)
	runs, err := s.Runs(ctx, "odilo", 20*times)
	require.NoError(t, err)
	require.Len(t, runs, 10*times)
}

// Whatever was acknowledged is there, whenever its process dies; and two that flood one state both get their turn.
func TestResultsThatWereTakenSurviveAKillInTheMiddleOfABatch(t *testing.T) {
	s, _ := newStore(t)
	for round := range 5 {
		var taken []string
		var floods [2]*exec.Cmd
		var outs [2]*bufio.Scanner
		for n := range floods {
			floods[n] = child{Do: "flood", Path: s.Path(), Name: fmt.Sprintf("%d-%d", round, n)}.command(t)
			floods[n].Stderr = os.Stderr
			out, err := floods[n].StdoutPipe()
			require.NoError(t, err)
			outs[n] = bufio.NewScanner(out)
			require.NoError(t, floods[n].Start())
			t.Cleanup(func() { _ = floods[n].Process.Kill() })
		}
		for n, flood := range floods {
			for range 100 + 37*round {
				require.True(t, outs[n].Scan(), "each gets its turn")
				taken = append(taken, outs[n].Text())
			}
			require.NoError(t, flood.Process.Kill())
			for outs[n].Scan() { // what it said before it died
				taken = append(taken, outs[n].Text())
			}
			require.Error(t, flood.Wait())
		}
		stored := map[string]bool{}
		for _, id := range s.Texts(`SELECT run_id FROM result`) {
			stored[id] = true
		}
		for _, id := range taken {
			require.True(t, stored[id], "%s was taken", id)
		}
	}
	require.NoError(t, s.Check(ctx))
}

func TestALockKeepsOtherProcessesOutUntilItsHolderIsKilled(t *testing.T) {
	s, _ := newStore(t)
	pid, kill := child{Do: "hold", Name: "flag/odilo", Path: s.Path()}.start(t)
	_, err := s.LockHere(ctx, "flag/odilo", 20*time.Millisecond)
	var locked *hostlocal.LockTimeoutError
	require.ErrorAs(t, err, &locked)
	require.Equal(t, pid, locked.PID)

	unlock, err := s.LockHere(ctx, "flag/atlas", 0)
	require.NoError(t, err, "another lock is free")
	unlock()
	kill()
	unlock, err = s.LockHere(ctx, "flag/odilo", 10*time.Second)
	require.NoError(t, err)
	unlock()
}

func assertNoError(t *testing.T, err error) bool {
	if err != nil {
		t.Error(err)
	}
	return err == nil
}

func begin(t *testing.T, s *sqlite.Store, runID string) store.Run {
	t.Helper()
	r, err := s.BeginRun(ctx, store.Run{Project: "odilo", Agent: "project-meta", RunID: runID, Host: "host-a", Started: noon})
	require.NoError(t, err)
	return r
}

func running(t *testing.T, s *sqlite.Store) []store.Run {
	t.Helper()
	list, err := s.Running(ctx)
	require.NoError(t, err)
	return list
}

func TestARunIsNotedWithItsGenerationBeforeItBegins(t *testing.T) {
	s, _ := newStore(t)
	i := trip(t, s, "odilo")
	require.True(t, resume(t, s, "odilo", i.ID, noon))
	r := begin(t, s, "run-1")
	defer s.Release(r)
	require.Equal(t, int64(1), r.Generation)
	list := running(t, s)
	require.Len(t, list, 1)
	require.Equal(t, r.ID, list[0].ID)
	require.Equal(t, "run-1", list[0].RunID)
	require.Equal(t, noon, list[0].Started)
	require.False(t, s.Gone(ctx, list[0]), "its process is here")
}

func TestNoRunBeginsWhileAnIncidentIsOpen(t *testing.T) {
	s, _ := newStore(t)
	trip(t, s, "odilo")
	_, err := s.BeginRun(ctx, store.Run{Project: "odilo", Started: noon})
	require.ErrorIs(t, err, store.ErrPaused)
	require.Empty(t, running(t, s))
	require.Empty(t, names(t, filepath.Join(s.Path()+".d", "runs")))
}

func TestItsResultEndsARun(t *testing.T) {
	s, _ := newStore(t)
	r := begin(t, s, "run-1")
	res := result(store.Success)
	res.RunID, res.Run = "run-1", r.ID
	record(t, s, res)
	require.Empty(t, running(t, s))
	s.Release(r)
	require.Empty(t, names(t, filepath.Join(s.Path()+".d", "runs")))

	again := begin(t, s, "run-1") // the same run id once more: the result is known already
	res.Run = again.ID
	require.True(t, record(t, s, res).Known)
	require.Empty(t, running(t, s))
	s.Release(again)
}

func lost(t *testing.T, s *sqlite.Store, r store.Run) (store.Answer, bool) {
	t.Helper()
	generation := r.Generation
	a, recorded, err := s.Lost(ctx, r, store.Result{Project: r.Project, Agent: r.Agent, RunID: r.RunID, Outcome: store.Failure,
		Generation: &generation, Run: r.ID}, three)
	require.NoError(t, err)
	return a, recorded
}

func TestARunWhoseProcessWasKilledIsGoneAndLostOnce(t *testing.T) {
	s, _ := newStore(t)
	_, kill := child{Do: "run", Name: "run-1", Path: s.Path()}.start(t)
	list := running(t, s)
	require.Len(t, list, 1)
	require.False(t, s.Gone(ctx, list[0]))
	kill()
	require.True(t, s.Gone(ctx, list[0]))
	a, recorded := lost(t, s, list[0])
	require.True(t, recorded)
	require.True(t, a.Counted)
	require.Equal(t, 1, a.Failures)
	_, recorded = lost(t, s, list[0])
	require.False(t, recorded, "another process was faster")
	require.Equal(t, 1, project(t, s, "odilo").Breaker.Failures)
	require.Empty(t, running(t, s))
	require.Empty(t, names(t, filepath.Join(s.Path()+".d", "runs")))
}

func TestARunIsNotGoneWhileItsCommandLives(t *testing.T) {
	s, _ := newStore(t)
	_, kill := child{Do: "run with child", Name: "run-1", Path: s.Path()}.start(t)
	r := running(t, s)[0]
	require.Positive(t, r.ChildPID)
	require.NotEmpty(t, r.ChildStart)
	kill()
	require.False(t, s.Gone(ctx, r), "adfbot alone was killed; the command goes on")
	endProcess(t, r.ChildPID)
	require.Eventually(t, func() bool { return s.Gone(ctx, r) }, 10*time.Second, 5*time.Millisecond)
}

func TestALaterProcessOfTheSameIDIsNotTheCommand(t *testing.T) {
	s, _ := newStore(t)
	_, kill := child{Do: "run with child", Name: "run-1", Path: s.Path()}.start(t)
	r := running(t, s)[0]
	kill()
	defer endProcess(t, r.ChildPID)
	require.False(t, s.Gone(ctx, r))
	reused := r
	reused.ChildStart = "another-boot/12345"
	require.True(t, s.Gone(ctx, reused))
}

func TestARunThatWasReportedOtherwiseIsNotLost(t *testing.T) {
	for _, outcome := range []string{store.Success, store.Failure} {
		s, _ := newStore(t)
		_, kill := child{Do: "run", Name: "run-1", Path: s.Path()}.start(t)
		kill()
		r := running(t, s)[0]
		res := result(outcome) // for instance from the spool
		res.RunID = "run-1"
		record(t, s, res)
		before := project(t, s, "odilo")
		_, recorded := lost(t, s, r)
		require.False(t, recorded, "as a %s", outcome)
		require.Equal(t, before, project(t, s, "odilo"))
		require.Empty(t, running(t, s))
	}
}

func TestTheChildOfARunThatHasEndedIsNotNoted(t *testing.T) {
	s, _ := newStore(t)
	r := begin(t, s, "run-1")
	defer s.Release(r)
	require.NoError(t, s.NoteChild(ctx, r, 0x3fffffff))
	require.Zero(t, running(t, s)[0].ChildPID)
}
