package sqlite_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
)

func TestReaderIsOpenedWhenTheWriterIsBusy(t *testing.T) {
	s := newStore(t)
	require.Equal(t, 1, record(t, s, result(store.Failure)).Failures)
	require.Equal(t, 1, failures(t, s, "odilo"))
	require.False(t, s.HasReader())

	done := s.Occupy()
	require.Equal(t, 1, failures(t, s, "odilo"), "it does not wait for the writer")
	require.True(t, s.HasReader())
	done()
	for n := range 10 {
		require.Equal(t, n+2, record(t, s, result(store.Failure)).Failures)
		require.Equal(t, n+2, failures(t, s, "odilo"), "a commit is seen at once")
	}
}

// While a transaction is under way, queries outside see what was before it.
func TestReaderSeesNoUncommittedChange(t *testing.T) {
	b := newBusyStore(t)
	b.meanwhile(func() { assertNoError(t, b.fail(ctx, "odilo")) })
	require.Zero(t, b.failures("odilo"))
	b.end()
	require.Equal(t, 1, b.failures("odilo"))
}

func TestReaderOfAReplacedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "adfbot.db")
	s := open(t, path, sqlite.Options{})
	record(t, s, result(store.Failure))
	for _, suffix := range []string{"", "-wal", "-shm"} {
		require.NoError(t, os.Rename(path+suffix, path+".away"+suffix))
	}
	other := open(t, path, sqlite.Options{})
	record(t, other, result(store.Failure))
	record(t, other, result(store.Failure))

	done := s.Occupy()
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	_, err := s.Project(canceled, "odilo")
	require.ErrorIs(t, err, context.Canceled, "it waits for the writer")
	require.False(t, s.HasReader())
	done()
	require.Equal(t, 1, failures(t, s, "odilo"))
}

func TestReaderOfAClosedState(t *testing.T) {
	s := newStore(t)
	done := s.Occupy()
	failures(t, s, "odilo")
	done()
	require.NoError(t, s.Close())
	require.NoFileExists(t, s.Path()+"-wal")
	_, err := s.Project(ctx, "odilo")
	require.ErrorContains(t, err, "closed")
}

// The page of a state with many results costs what that of one with few does.
func BenchmarkHistory(b *testing.B) {
	s := newStore(b)
	for n := range 5000 {
		r := result(store.Success)
		r.Project = string(rune('a' + n%10))
		record(b, s, r)
	}
	b.ResetTimer()
	for b.Loop() {
		_, err := s.History(ctx, "b", 50)
		require.NoError(b, err)
	}
}
