package sqlite_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
	"github.com/terraphim/adfbot/internal/testhost"
)

func TestFullDisk(t *testing.T) {
	dir := testhost.NewDisk(t, "size=2m")
	path := filepath.Join(dir, "adfbot.db")
	s := open(t, path, sqlite.Options{})
	record(t, s, result(store.Failure))
	run, err := s.BeginRun(ctx, store.Run{ID: "run", Project: "odilo", Agent: "project-meta", RunID: "run", Started: time.Now()})
	require.NoError(t, err)
	empty := testhost.Fill(t, dir)
	// The log may have room in its last page; it is soon used up.
	recorded := 1
	for err == nil && recorded < 1000 {
		if _, err = s.Record(ctx, result(store.Failure), limits); err == nil {
			recorded++
		}
	}
	require.ErrorIs(t, err, store.ErrUnusable)
	require.ErrorContains(t, err, path)
	require.ErrorContains(t, err, "the disk is full: make room")
	require.Equal(t, recorded, failures(t, s, "odilo"), "what was there can be read")
	require.NoError(t, s.Check(ctx))
	killed := result(store.Failure)
	killed.RunID, killed.Run = run.RunID, run.ID
	_, lost, err := s.Lost(ctx, run, killed, limits)
	require.ErrorIs(t, err, store.ErrUnusable)
	require.False(t, lost, "what is not stored is not told in the log and in the sweep's report")

	empty()
	require.Equal(t, recorded+1, record(t, s, result(store.Failure)).Failures, "and it goes on once there is room")
}

func TestFullDiskConcurrent(t *testing.T) {
	dir := testhost.NewDisk(t, "size=2m")
	s := open(t, filepath.Join(dir, "adfbot.db"), sqlite.Options{})
	record(t, s, result(store.Failure))
	empty := testhost.Fill(t, dir)
	var taken, refused atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if _, err := s.Record(ctx, result(store.Failure), limits); err == nil {
					taken.Add(1)
				} else if refused.Add(1); !errors.Is(err, store.ErrUnusable) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.Positive(t, refused.Load())
	require.Equal(t, 1+int(taken.Load()), failures(t, s, "odilo"))
	runs, err := s.Runs(ctx, "odilo", 9999)
	require.NoError(t, err)
	require.Len(t, runs, 1+int(taken.Load()))
	empty()
	record(t, s, result(store.Failure))
}

func TestCreatedOnAFullDisk(t *testing.T) {
	dir := testhost.NewDisk(t, "size=256k")
	testhost.Fill(t, dir)
	_, err := sqlite.Open(ctx, filepath.Join(dir, "adfbot.db"), sqlite.Options{})
	require.ErrorIs(t, err, store.ErrUnusable)
	require.ErrorContains(t, err, "the disk is full: make room")
}

func TestDenied(t *testing.T) {
	testhost.NeedRoot(t, "to become another user")
	for what, mode := range map[string]struct{ dir, file fs.FileMode }{
		"a file that may only be read":         {0o777, 0o644},
		"a file that may not even be read":     {0o777, 0o600},
		"a directory that may only be read":    {0o755, 0o666},
		"a directory that may not be searched": {0o700, 0o666},
	} {
		t.Run(what, func(t *testing.T) {
			dir := filepath.Join(testhost.PublicDir(t), "state")
			path := filepath.Join(dir, "adfbot.db")
			s := open(t, path, sqlite.Options{})
			trip(t, s, "odilo")
			require.NoError(t, s.Close())
			require.NoError(t, os.Chmod(path, mode.file))
			require.NoError(t, os.Chmod(dir, mode.dir))
			a := newProcess(t, "fail", path, "1").as(testhost.Nobody, "").finish()
			require.True(t, a.Unusable, "%+v", a)
			require.Contains(t, a.Err, path)
			require.Contains(t, a.Err, "see `adfbot check`")
			require.Zero(t, a.N)
		})
	}
}

func TestReadOnlyFileSystem(t *testing.T) {
	dir := testhost.NewDisk(t, "size=2m")
	path := filepath.Join(dir, "adfbot.db")
	require.NoError(t, open(t, path, sqlite.Options{}).Close())
	testhost.RemountReadOnly(t, dir)
	for _, path := range []string{path, filepath.Join(dir, "new.db")} {
		_, err := sqlite.Open(ctx, path, sqlite.Options{})
		require.ErrorIs(t, err, store.ErrUnusable)
		require.ErrorIs(t, err, store.ErrDenied, "it may be read-only for this process alone, and the daemon can write it")
		require.ErrorContains(t, err, path)
		require.ErrorContains(t, err, "is mounted read-only")
		require.NotContains(t, err.Error(), "chown")
	}
	_, err := sqlite.Open(ctx, path, sqlite.Options{ReadOnly: true})
	require.ErrorContains(t, err, "is mounted read-only")
}

// crashed makes a state with one failure in dir as a crash leaves it, with its log.
func crashed(t *testing.T, dir string) (path string) {
	t.Helper()
	running := filepath.Join(t.TempDir(), "adfbot.db")
	record(t, open(t, running, sqlite.Options{}), result(store.Failure))
	path = filepath.Join(dir, "adfbot.db")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		content, err := os.ReadFile(running + suffix)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path+suffix, content, 0o644))
	}
	return path
}

// SQLite opens a state that cannot be written for reading alone, and never tries again.
func TestMustWrite(t *testing.T) {
	for what, tt := range map[string]struct {
		suffix string
		closed bool // before, so that there is no log
	}{
		"the state":               {"", false},
		"its log":                 {"-wal", false},
		"the index of its log":    {"-shm", false},
		"a state without its log": {"", true},
	} {
		t.Run(what, func(t *testing.T) {
			path := crashed(t, t.TempDir())
			if tt.closed {
				require.NoError(t, open(t, path, sqlite.Options{}).Close())
			}
			writable := testhost.ReadOnly(t, path+tt.suffix)
			_, err := sqlite.Open(ctx, path, sqlite.Options{MustWrite: true})
			require.ErrorIs(t, err, store.ErrUnusable)
			require.ErrorIs(t, err, store.ErrDenied)
			writable()
			s := open(t, path, sqlite.Options{MustWrite: true})
			require.Equal(t, 2, record(t, s, result(store.Failure)).Failures)
		})
	}
}

func TestReadOnlyFileSystemAfterCrash(t *testing.T) {
	dir := testhost.NewDisk(t, "size=2m")
	path := crashed(t, dir)
	testhost.RemountReadOnly(t, dir)
	_, err := sqlite.Open(ctx, path, sqlite.Options{MustWrite: true})
	require.ErrorIs(t, err, store.ErrUnusable)
	require.ErrorContains(t, err, "is mounted read-only")
	s := open(t, path, sqlite.Options{})
	require.Equal(t, 1, failures(t, s, "odilo"), "a run learns from it whether its project is paused")
}

// Neither a process that writes at the moment nor a full disk keeps a daemon from starting.
func TestMustWriteBesideAWriter(t *testing.T) {
	dir := testhost.NewDisk(t, "size=2m")
	path := filepath.Join(dir, "adfbot.db")
	s := open(t, path, sqlite.Options{})
	record(t, s, result(store.Failure))
	require.NoError(t, s.Do(ctx, func(context.Context) error {
		return open(t, path, sqlite.Options{MustWrite: true}).Close()
	}, `UPDATE meta SET value = value`))
	testhost.Fill(t, dir)
	require.NoError(t, open(t, path, sqlite.Options{MustWrite: true}).Close())
}
