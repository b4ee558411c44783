package sqlite_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
)

// live makes a state with two failures in its log and returns its path. It stays open, so the log stays there.
func live(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "was", "adfbot.db")
	s := open(t, path, sqlite.Options{})
	record(t, s, result(store.Failure))
	record(t, s, result(store.Failure))
	return path
}

func move(t *testing.T, from, to string) {
	t.Helper()
	require.NoError(t, os.Rename(from, to))
}

func requireRefused(t *testing.T, path string, words ...string) {
	t.Helper()
	for _, readOnly := range []bool{true, false, false} {
		_, err := sqlite.Open(ctx, path, sqlite.Options{ReadOnly: readOnly})
		require.ErrorIs(t, err, store.ErrUnusable)
		require.ErrorContains(t, err, path)
		for _, w := range append(words, "adfbot help files") {
			require.ErrorContains(t, err, w)
		}
	}
}

func TestMovedWithoutItsLog(t *testing.T) {
	was, is := live(t), filepath.Join(t.TempDir(), "adfbot.db")
	move(t, was, is)
	requireRefused(t, is, "it was moved here from "+was+" without its log", "move "+was+"-wal to "+is+"-wal")
	move(t, was+"-wal", is+"-wal")
	s := open(t, is, sqlite.Options{})
	require.Equal(t, 3, record(t, s, result(store.Failure)).Failures, "nothing was lost")
}

// A new state in the place of the old one would have SQLite delete the log.
func TestMovedFromItsLog(t *testing.T) {
	was, is := live(t), filepath.Join(t.TempDir(), "adfbot.db")
	move(t, was, is)
	requireRefused(t, was, "its log "+was+"-wal, with the latest results, is there", "put the file back", "the file is missing or empty")
	require.NoError(t, os.WriteFile(was, nil, 0o600)) // as a copy onto a full disk leaves it
	requireRefused(t, was, "its log "+was+"-wal, with the latest results, is there", "put the file back", "the file is missing or empty")
	move(t, is, was)
	require.Equal(t, 2, failures(t, open(t, was, sqlite.Options{}), "odilo"), "nothing was lost")
}

func TestMovedWithoutItsSpool(t *testing.T) {
	was, is := live(t), filepath.Join(t.TempDir(), "adfbot.db")
	r := result(store.Failure)
	r.RunID, r.Finished = "r", time.Now()
	file, err := hostlocal.Beside(was).Spool().Add(r)
	require.NoError(t, err)
	move(t, was, is)
	move(t, was+"-wal", is+"-wal")
	requireRefused(t, is, "it was moved here from "+was+" without its spool", "move "+was+".d to "+is+".d, or remove")
	require.NoError(t, os.MkdirAll(is+".d/spool", 0o700)) // as whoever keeps a result makes it
	requireRefused(t, is, "it was moved here from "+was+" without its spool", "move "+was+".d/spool/*.json to "+is+".d/spool, or remove")
	require.NoError(t, os.Remove(file))
	require.Equal(t, 2, failures(t, open(t, is, sqlite.Options{}), "odilo"))
}

func TestMovedAsAWhole(t *testing.T) {
	was, dir := live(t), t.TempDir()
	move(t, filepath.Dir(was), filepath.Join(dir, "is"))
	is := filepath.Join(dir, "is", "adfbot.db")
	require.Equal(t, 2, failures(t, open(t, is, sqlite.Options{}), "odilo"))
}

// A copy of a state that is in use is no state that was moved.
func TestCopy(t *testing.T) {
	was, is := live(t), filepath.Join(t.TempDir(), "adfbot.db")
	content, err := os.ReadFile(was)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(is, content, 0o600))
	open(t, is, sqlite.Options{})
}

// Earlier versions kept the beginning of a state in its log alone.
func TestEmptyButForItsLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "adfbot.db")
	execSQL(t, path, "PRAGMA journal_mode = WAL; CREATE TABLE t (x)")
	execSQL(t, path, "DROP TABLE t; VACUUM")
	requireRefused(t, path, "if the file was moved, see first whether its log")
}

func TestLogBesideAnIncompleteFile(t *testing.T) {
	is := filepath.Join(t.TempDir(), "adfbot.db")
	s := newStore(t)
	trip(t, s, "odilo")
	require.NoError(t, s.Close()) // everything is in the file
	s = open(t, s.Path(), sqlite.Options{})
	record(t, s, result(store.Success))
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(s.Path() + suffix)
		require.NoError(t, err)
		if suffix == "" {
			content = content[:4096]
		}
		require.NoError(t, os.WriteFile(is+suffix, content, 0o600))
	}
	for _, readOnly := range []bool{true, false} {
		err := use(is, readOnly)
		require.ErrorIs(t, err, store.ErrUnusable)
		require.ErrorContains(t, err, "if the file was moved, see first whether its log, the file named -wal, was left behind")
	}
}
