package sqlite_test

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
	"github.com/terraphim/adfbot/pause"
)

func TestCreate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "var", "lib", "adfbot")
	a := open(t, filepath.Join(dir, "a.db"), sqlite.Options{})
	b := open(t, filepath.Join(dir, "b.db"), sqlite.Options{})
	require.Regexp(t, "^[0-9a-f]{32}$", a.Installation())
	require.NotEqual(t, a.Installation(), b.Installation())
	require.NoError(t, a.Close())
	require.Equal(t, a.Installation(), open(t, a.Path(), sqlite.Options{}).Installation(), "it stays")
}

func TestInstallationFromSentinel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "adfbot.db")
	old := strings.Repeat("0123456789abcdef", 2)
	asked := 0
	sentinel := func() (string, error) { asked++; return old, nil }
	s := open(t, path, sqlite.Options{Sentinel: sentinel})
	require.Equal(t, old, s.Installation())
	require.NoError(t, s.Close())
	s = open(t, path, sqlite.Options{Sentinel: func() (string, error) { return pause.NewRandomID(), nil }})
	require.Equal(t, old, s.Installation(), "a state that is there knows its own")
	require.Equal(t, 1, asked)
}

// The sentinel may be that of a process which makes the same state at the same moment.
func TestCreatedByAnotherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "adfbot.db")
	var first *sqlite.Store
	second := open(t, path, sqlite.Options{Sentinel: func() (string, error) {
		first = open(t, path, sqlite.Options{Sentinel: func() (string, error) { return "", nil }})
		return first.Installation(), nil
	}})
	require.Equal(t, first.Installation(), second.Installation())
	require.True(t, first.Created())
	require.False(t, second.Created())
	require.NoError(t, first.Close())
	require.NoError(t, second.Close())
	require.False(t, open(t, path, sqlite.Options{}).Created())
}

func TestInstallationWithoutSentinel(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "adfbot.db"), sqlite.Options{Sentinel: func() (string, error) { return "", nil }})
	require.Regexp(t, "^[0-9a-f]{32}$", s.Installation())
}

// Otherwise the open issues of the lost state would be taken for another installation's, for ever.
func TestUnreadableSentinel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "adfbot.db")
	mount := errors.New("mount is away")
	_, err := sqlite.Open(ctx, path, sqlite.Options{Sentinel: func() (string, error) { return "", mount }})
	require.ErrorIs(t, err, mount)
	require.NotErrorIs(t, err, store.ErrUnusable, "then nothing may be run: the gate is unknown too")
	require.ErrorContains(t, err, "a new state can't be made")
	old := strings.Repeat("0123456789abcdef", 2)
	s := open(t, path, sqlite.Options{Sentinel: func() (string, error) { return old, nil }})
	require.Equal(t, old, s.Installation(), "nothing was decided by the attempt")
}

func TestEmptyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "adfbot.db")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err := sqlite.Open(ctx, path, sqlite.Options{ReadOnly: true})
	require.ErrorIs(t, err, fs.ErrNotExist, "to a reader it is as good as none")
	require.ErrorIs(t, err, store.ErrUnusable)
	trip(t, open(t, path, sqlite.Options{}), "odilo")
}

func TestReadOnlyMissing(t *testing.T) {
	dir := t.TempDir()
	_, err := sqlite.Open(ctx, filepath.Join(dir, "adfbot.db"), sqlite.Options{ReadOnly: true})
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Empty(t, names(t, dir))
}

func TestNewerVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "adfbot.db")
	require.NoError(t, open(t, path, sqlite.Options{}).Close())
	setVersion(t, path, 999)
	before := sum(t, path)
	for _, readOnly := range []bool{false, true} {
		_, err := sqlite.Open(ctx, path, sqlite.Options{ReadOnly: readOnly})
		require.ErrorIs(t, err, store.ErrNewer)
		require.ErrorIs(t, err, store.ErrUnusable)
		require.ErrorContains(t, err, path)
		require.ErrorContains(t, err, "its version is 999, this adfbot knows up to ")
	}
	require.Equal(t, before, sum(t, path))
}

func setVersion(t *testing.T, path string, version int) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	_, err = db.Exec(fmt.Sprint("PRAGMA user_version = ", version))
	require.NoError(t, err)
}

func TestCloseFoldsInTheLog(t *testing.T) {
	s := newStore(t)
	trip(t, s, "odilo")
	require.FileExists(t, s.Path()+"-wal")
	require.NoError(t, s.Close())
	require.NoFileExists(t, s.Path()+"-wal")
	require.NoFileExists(t, s.Path()+"-shm")
	list, err := open(t, s.Path(), sqlite.Options{ReadOnly: true}).IncidentPage(ctx, store.IncidentFilter{Projects: []string{"odilo"}, Limit: 9, Evidence: true})
	require.NoError(t, err)
	require.Len(t, list, 1)
}

func TestReadOnlyWritesNothing(t *testing.T) {
	s := newStore(t)
	trip(t, s, "odilo")
	require.NoError(t, s.Close())
	dir := filepath.Dir(s.Path())
	before, files := sum(t, s.Path()), names(t, dir)

	r := open(t, s.Path(), sqlite.Options{ReadOnly: true})
	require.Equal(t, s.Installation(), r.Installation())
	_, err := r.Record(ctx, result(store.Failure), limits)
	require.ErrorIs(t, err, store.ErrUnusable)
	require.Error(t, r.SetMeta(ctx, "k", "v"))
	list, err := r.Unsettled(ctx, "")
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.NoError(t, r.Check(ctx))
	require.NoError(t, r.Close())
	require.Equal(t, before, sum(t, s.Path()))
	require.Equal(t, files, names(t, dir))
}

func TestReadOnlySeesCommits(t *testing.T) {
	s := newStore(t)
	r := open(t, s.Path(), sqlite.Options{ReadOnly: true})
	i := trip(t, s, "odilo")
	require.Equal(t, i.ID, oneIncident(t, r, i.ID).ID)
}

// damages are what can have happened to a state file, and what its error must say.
var damages = map[string]func(t *testing.T, path string){
	"a corrupt header": func(t *testing.T, path string) { overwrite(t, path, 0, 100) },
	"garbage": func(t *testing.T, path string) {
		require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte("x"), 9000), 0o600))
	},
	"a truncated file":    func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 5000)) },
	"a negative version":  func(t *testing.T, path string) { setVersion(t, path, -4) },
	"the lowest version":  func(t *testing.T, path string) { setVersion(t, path, math.MinInt32) },
	"tables of version 0": func(t *testing.T, path string) { setVersion(t, path, 0) },
}

func overwrite(t *testing.T, path string, from, to int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteAt(bytes.Repeat([]byte{0xa5}, int(to-from)), from)
	require.NoError(t, errors.Join(err, f.Close()))
}

func TestDamaged(t *testing.T) {
	for what, damage := range damages {
		t.Run(what, func(t *testing.T) {
			s := newStore(t)
			trip(t, s, "odilo")
			require.NoError(t, s.Close())
			damage(t, s.Path())
			for _, readOnly := range []bool{false, true} {
				err := use(s.Path(), readOnly)
				require.ErrorIs(t, err, store.ErrUnusable)
				require.ErrorContains(t, err, s.Path())
				require.ErrorContains(t, err, "the file is damaged: stop every adfbot, move it away with its -wal and -shm")
			}
		})
	}
}

// use opens a state and does what every command does.
func use(path string, readOnly bool) error {
	s, err := sqlite.Open(ctx, path, sqlite.Options{ReadOnly: readOnly})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if _, err = s.Unsettled(ctx, ""); err != nil || readOnly {
		return errors.Join(err, s.Check(ctx))
	}
	_, err = s.Record(ctx, result(store.Failure), limits)
	return err
}

func TestCheckFindsDamage(t *testing.T) {
	s := newStore(t)
	for range 300 {
		r := result(store.Failure)
		r.Output = strings.Repeat("x", 300)
		record(t, s, r)
	}
	require.NoError(t, s.Check(ctx))
	require.NoError(t, s.Close())
	info, err := os.Stat(s.Path())
	require.NoError(t, err)
	overwrite(t, s.Path(), info.Size()/2, info.Size()/2+8192)

	s = open(t, s.Path(), sqlite.Options{})
	err = s.Check(ctx)
	require.ErrorIs(t, err, store.ErrUnusable)
	require.ErrorContains(t, err, "damaged")
	require.ErrorContains(t, err, "move it away with its -wal and -shm")
}

func TestUnusablePaths(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	for what, path := range map[string]string{
		"a directory":              dir,
		"below a file":             filepath.Join(dir, "file", "adfbot.db"),
		"a name that is too long":  filepath.Join(dir, strings.Repeat("x", 300)),
		"a link that goes nowhere": filepath.Join(dir, "link"),
	} {
		if what == "a link that goes nowhere" {
			require.NoError(t, os.Symlink(filepath.Join(dir, "no", "where"), path))
		}
		_, err := sqlite.Open(ctx, path, sqlite.Options{})
		require.ErrorIs(t, err, store.ErrUnusable, what)
		require.ErrorContains(t, err, path, what)
	}
}

func TestSpecialCharactersInPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?mode=ro#%41&x.db")
	s := open(t, path, sqlite.Options{})
	trip(t, s, "odilo")
	require.NoError(t, s.Close())
	require.FileExists(t, path)
}

func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func sum(t testing.TB, path string) [32]byte {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return sha256.Sum256(b)
}
