package sqlite_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
)

func TestResultsAreCountedOnceWhoeverRecordedThem(t *testing.T) {
	ctx := context.Background()
	s, _ := newStore(t)
	last, err := s.LastResult(ctx)
	require.NoError(t, err)
	require.Zero(t, last)
	counts, upTo, err := s.CountSince(ctx, last, 100)
	require.NoError(t, err)
	require.Empty(t, counts)
	require.Zero(t, upTo)

	record(t, s, result(store.Success))
	trip(t, s, "odilo")
	counts, upTo, err = s.CountSince(ctx, last, 100)
	require.NoError(t, err)
	require.ElementsMatch(t, []store.OutcomeCount{
		{Project: "odilo", Outcome: store.Success, Results: 1}, {Project: "odilo", Outcome: store.Failure, Results: 3, Trips: 1},
	}, counts)
	last, err = s.LastResult(ctx)
	require.NoError(t, err)
	require.Equal(t, last, upTo)

	counts, again, err := s.CountSince(ctx, upTo, 100)
	require.NoError(t, err)
	require.Empty(t, counts)
	require.Equal(t, upTo, again)

	// In pieces it is the same.
	total := 0
	for at := int64(0); ; {
		counts, next, err := s.CountSince(ctx, at, 1)
		require.NoError(t, err)
		if len(counts) == 0 {
			break
		}
		require.Greater(t, next, at)
		total, at = total+counts[0].Results, next
	}
	require.Equal(t, 4, total)
}

func TestCountingBeginsAnewWhereEveryResultWasPruned(t *testing.T) {
	ctx := context.Background()
	s, c := newStore(t)
	for range 5 {
		record(t, s, result(store.Success))
	}
	upTo, err := s.LastResult(ctx)
	require.NoError(t, err)
	c.pass(time.Hour)
	_, err = s.Prune(ctx, c.at, 100)
	require.NoError(t, err)
	record(t, s, result(store.Failure))
	counts, _, err := s.CountSince(ctx, upTo, 100)
	require.NoError(t, err)
	require.Equal(t, []store.OutcomeCount{{Project: "odilo", Outcome: store.Failure, Results: 1}}, counts)
}

func TestTheHistoryHasTheOutputsAndTheListOfRunsSparesThem(t *testing.T) {
	ctx := context.Background()
	s, _ := newStore(t)
	r := result(store.Failure)
	r.Output = "no space left on device\n"
	record(t, s, r)
	record(t, s, result(store.Success))
	runs, err := s.History(ctx, "odilo", 10)
	require.NoError(t, err)
	require.Len(t, runs, 2)
	require.Equal(t, []string{"", r.Output}, []string{runs[0].Output, runs[1].Output})
	runs, err = s.Runs(ctx, "odilo", 10)
	require.NoError(t, err)
	require.Empty(t, runs[1].Output)
}

func TestAStateIsWritableOrSaysWhyNot(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "adfbot.db")
	s := open(t, path, sqlite.Options{})
	require.NoError(t, s.Writable(ctx))
	require.NoError(t, s.Writable(ctx), "the lock was given back")
	readOnly := open(t, path, sqlite.Options{ReadOnly: true})
	require.ErrorIs(t, readOnly.Writable(ctx), store.ErrUnusable)
	require.NoError(t, s.Close())
	require.Error(t, s.Writable(ctx))
}

// The page and the metrics of a state with many results cost what those of one with few do.
func BenchmarkHistory(b *testing.B) {
	ctx := context.Background()
	s, _ := newStore(b)
	for n := range 5000 {
		r := result(store.Success)
		r.Project = fmt.Sprintf("p%d", n%10)
		record(b, s, r)
	}
	b.ResetTimer()
	for b.Loop() {
		_, err := s.History(ctx, "p1", 50)
		require.NoError(b, err)
	}
}
