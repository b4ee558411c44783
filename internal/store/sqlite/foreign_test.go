package sqlite_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
)

// A database of another program is left as it is, whatever its version.
func TestForeignDatabase(t *testing.T) {
	for what, statements := range map[string]string{
		"without a version":                "CREATE TABLE cookies (id INTEGER)",
		"with a version that adfbot has":   "CREATE TABLE cookies (id INTEGER); PRAGMA user_version = 3",
		"with one that it does not have":   "CREATE TABLE cookies (id INTEGER); PRAGMA user_version = 999",
		"with a negative one":              "CREATE TABLE cookies (id INTEGER); PRAGMA user_version = -1",
		"with an application id":           "CREATE TABLE cookies (id INTEGER); PRAGMA application_id = 252006673",
		"with nothing else":                "PRAGMA application_id = -1",
		"with tables that are named alike": "CREATE TABLE meta (id INTEGER); CREATE TABLE result (id INTEGER); PRAGMA user_version = 3",
	} {
		t.Run(what, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "places.sqlite")
			execSQL(t, path, statements)
			before := sum(t, path)
			for _, readOnly := range []bool{false, true} {
				_, err := sqlite.Open(ctx, path, sqlite.Options{ReadOnly: readOnly})
				require.ErrorIs(t, err, store.ErrUnusable)
				require.ErrorContains(t, err, path)
				require.ErrorContains(t, err, "this is not a state of adfbot: set `state` to another path")
			}
			require.Equal(t, before, sum(t, path))
			require.Equal(t, []string{"places.sqlite"}, names(t, filepath.Dir(path)))
		})
	}
}

func TestApplicationID(t *testing.T) {
	s := newStore(t)
	id, err := s.Texts(ctx, `PRAGMA application_id`)
	require.NoError(t, err)
	require.Equal(t, []string{"1633969762"}, id)
}

func execSQL(t testing.TB, path, statements string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	_, err = db.Exec(statements)
	require.NoError(t, err)
	require.NoError(t, db.Close())
}

// Any member of the group could plant a link beside the state, for root to follow.
func TestNoLinkIsFollowed(t *testing.T) {
	elsewhere := func(t *testing.T) string {
		s := newStore(t)
		record(t, s, result(store.Failure))
		require.NoError(t, s.Close())
		return s.Path()
	}
	for what, plant := range map[string]func(path, target string) error{
		"to another state": func(path, target string) error { return os.Symlink(target, path) },
		"to nothing":       func(path, target string) error { return os.Symlink(target+".gone", path) },
		"to a directory":   func(path, target string) error { return os.Symlink(filepath.Dir(target), path) },
		"in the directory": func(path, target string) error { return os.Symlink(filepath.Base(path)+".other", path) },
	} {
		t.Run(what, func(t *testing.T) {
			target, path := elsewhere(t), filepath.Join(t.TempDir(), "adfbot.db")
			before := sum(t, target)
			require.NoError(t, plant(path, target))
			for _, readOnly := range []bool{false, true} {
				_, err := sqlite.Open(ctx, path, sqlite.Options{ReadOnly: readOnly})
				require.ErrorIs(t, err, store.ErrUnusable)
				require.ErrorContains(t, err, path+": this is a symbolic link")
			}
			require.Equal(t, before, sum(t, target))
			require.Len(t, names(t, filepath.Dir(target)), 1)
			require.Len(t, names(t, filepath.Dir(path)), 1)
		})
	}
	t.Run("just before SQLite opens it", func(t *testing.T) {
		target, path := elsewhere(t), filepath.Join(t.TempDir(), "adfbot.db")
		require.NoError(t, os.Symlink(target, path))
		require.ErrorIs(t, sqlite.Connect(ctx, path), store.ErrUnusable)
		require.NoError(t, sqlite.Connect(ctx, target))
	})
	t.Run("while it is open", func(t *testing.T) {
		s := newStore(t)
		record(t, s, result(store.Failure))
		require.NoError(t, os.Rename(s.Path(), s.Path()+".moved"))
		require.NoError(t, os.Symlink(s.Path()+".moved", s.Path()))
		_, err := s.Record(ctx, result(store.Failure), limits)
		require.ErrorIs(t, err, store.ErrUnusable)
	})
	for _, suffix := range []string{"-wal", "-shm"} {
		t.Run(suffix, func(t *testing.T) {
			target, path := filepath.Join(t.TempDir(), "target"), elsewhere(t)
			require.NoError(t, os.WriteFile(target, []byte("precious"), 0o600))
			require.NoError(t, os.Symlink(target, path+suffix))
			for _, readOnly := range []bool{false, true} {
				err := use(path, readOnly)
				require.ErrorIs(t, err, store.ErrUnusable)
				require.ErrorContains(t, err, path+suffix+": this is a symbolic link, which adfbot does not follow: remove it")
			}
			text, err := os.ReadFile(target)
			require.NoError(t, err)
			require.Equal(t, "precious", string(text))
		})
	}
}

// A directory of the state may be a link: its parent is not the group's to write.
func TestLinkedDirectory(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(dir, link))
	s := open(t, filepath.Join(link, "adfbot.db"), sqlite.Options{})
	record(t, s, result(store.Failure))
	require.NoError(t, s.Close())
	require.FileExists(t, filepath.Join(dir, "adfbot.db"))
}

// What is no file is said to be none.
func TestUnusualFiles(t *testing.T) {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		for what, create := range map[string]func(path string) error{
			"a FIFO":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
			"a directory": func(path string) error { return os.MkdirAll(filepath.Join(path, "x"), 0o700) },
		} {
			t.Run(what+" as "+suffix, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "adfbot.db")
				if suffix != "" {
					require.NoError(t, open(t, path, sqlite.Options{}).Close())
				}
				require.NoError(t, create(path+suffix))
				for _, readOnly := range []bool{false, true} {
					err := use(path, readOnly)
					require.ErrorIs(t, err, store.ErrUnusable)
					require.ErrorContains(t, err, path+suffix+": this is not a regular file")
				}
			})
		}
	}
}
