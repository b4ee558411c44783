package sqlite_test

import (
	"context"
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
	"github.com/terraphim/adfbot/internal/testhost"
)

// A daemon, or an exec whose command takes an hour, has the file open while somebody takes it away. SQLite does not mind, and
// what is stored from then on would be gone with the process.
func TestMoved(t *testing.T) {
	for what, take := range map[string]func(t *testing.T, dir string){
		"its directory was moved away": func(t *testing.T, dir string) { require.NoError(t, os.Rename(dir, dir+".away")) },
		"its directory was removed":    func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(dir)) },
		"the file was removed":         func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "adfbot.db"))) },
		"a file is in the place of its directory": func(t *testing.T, dir string) {
			require.NoError(t, os.RemoveAll(dir))
			require.NoError(t, os.WriteFile(dir, nil, 0o600))
		},
		"another state was put there": func(t *testing.T, dir string) {
			require.NoError(t, os.RemoveAll(dir))
			require.NoError(t, open(t, filepath.Join(dir, "adfbot.db"), sqlite.Options{}).Close())
		},
	} {
		t.Run(what, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state", "adfbot.db")
			s := open(t, path, sqlite.Options{})
			record(t, s, result(store.Failure))
			require.NoError(t, s.Moved())
			take(t, filepath.Dir(path))
			want := path + ": it was removed while adfbot had it open: put it back; else begin with what is there now"
			if _, err := os.Stat(path + "-wal"); err == nil { // without it, nothing begins over the log
				want = path + ": it was removed while adfbot had it open: put it back; to begin anew, move its log " + path + "-wal away"
			}
			if _, err := os.Stat(path); err == nil {
				want = path + ": it was replaced while adfbot had it open: if its log, the file named -wal, was left beside it, it is damaged by that"
			}
			_, err := s.Record(ctx, result(store.Failure), limits)
			for _, err := range []error{err, s.Moved(), s.Writable(ctx), s.SetMeta(ctx, "x", "y")} {
				require.ErrorIs(t, err, store.ErrUnusable)
				require.NotErrorIs(t, err, store.ErrDenied)
				require.ErrorContains(t, err, want)
			}
		})
	}
}

// Somebody takes the files beside an open state for leftovers and removes them. No other process can open the state before the one
// that has it open has closed it, which saves what the files hold.
func TestLogRemoved(t *testing.T) {
	for what, suffixes := range map[string][]string{"log": {"-wal"}, "index": {"-shm"}, "both": {"-wal", "-shm"}} {
		t.Run(what, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "adfbot.db")
			s, err := sqlite.Open(ctx, path, sqlite.Options{})
			require.NoError(t, err)
			record(t, s, result(store.Failure))
			for _, suffix := range suffixes {
				require.NoError(t, os.Remove(path+suffix))
			}
			record(t, s, result(store.Failure))
			err = s.Moved()
			require.ErrorIs(t, err, store.ErrUnusable)
			require.ErrorIs(t, err, store.ErrLogGone)
			require.ErrorContains(t, err, suffixes[0]+" was removed while adfbot had it open")
			require.NotEmpty(t, together(t, 1, "try", path, "")[0].Err)
			require.NoError(t, s.Close())
			require.Empty(t, together(t, 1, "fail", path, "1")[0].Err)
			require.Equal(t, 3, failures(t, open(t, path, sqlite.Options{}), "odilo"))
		})
	}
}

func TestMovedBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "adfbot.db")
	dir := filepath.Dir(path)
	s := open(t, path, sqlite.Options{})
	require.NoError(t, os.Rename(dir, dir+".away"))
	require.Error(t, s.Moved())
	require.NoError(t, os.Rename(dir+".away", dir))
	require.Equal(t, 1, record(t, s, result(store.Failure)).Failures)
}

func TestNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "adfbot.db")
	require.NoError(t, os.Mkdir(path, 0o700))
	_, err := sqlite.Open(ctx, path, sqlite.Options{})
	require.ErrorIs(t, err, store.ErrUnusable)
	require.NotErrorIs(t, err, store.ErrDenied, "no other user could open it")
	require.ErrorContains(t, err, "this is not a regular file")
}

func TestWritable(t *testing.T) {
	s := newStore(t)
	require.NoError(t, s.Writable(ctx))
	require.NoError(t, s.Writable(ctx), "it gave the lock back")
	readOnly := open(t, s.Path(), sqlite.Options{ReadOnly: true})
	require.ErrorIs(t, readOnly.Writable(ctx), store.ErrUnusable)
}

// Whoever asks for readiness does not wait as long as a result does.
func TestWritableWhileLocked(t *testing.T) {
	s := newStore(t)
	db, err := sql.Open("sqlite", s.Path())
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	other, err := db.Conn(ctx)
	require.NoError(t, err)
	_, err = other.ExecContext(ctx, "BEGIN IMMEDIATE")
	require.NoError(t, err)
	brief, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	err = s.Writable(brief)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, s.Path()+": another process holds it: look for a stopped adfbot")
	require.NoError(t, other.Close())
}

func TestWritableOnAFullDisk(t *testing.T) {
	dir := testhost.NewDisk(t, "size=2m")
	s := open(t, filepath.Join(dir, "adfbot.db"), sqlite.Options{})
	require.NoError(t, s.Writable(ctx))
	empty := testhost.Fill(t, dir)
	require.ErrorContains(t, s.Writable(ctx), "the disk is full: make room (0 bytes are free)")
	empty()
	require.NoError(t, s.Writable(ctx))
}

func TestWritableWithoutInodes(t *testing.T) {
	dir := testhost.NewDisk(t, "nr_inodes=30")
	s := open(t, filepath.Join(dir, "adfbot.db"), sqlite.Options{})
	trip(t, s, "atlas")
	many := filepath.Join(dir, "many")
	require.NoError(t, os.Mkdir(many, 0o700))
	for n := 1; os.WriteFile(filepath.Join(many, strings.Repeat("x", n)), nil, 0o600) == nil; n++ {
	}
	require.ErrorContains(t, s.Writable(ctx), "no inodes left, see `df -i`")
	require.True(t, trip(t, s, "odilo").IsOpen(), "the file needs no new ones")
}

// After an error of a disk Linux stops all writing, also to files that are open, and neither access(2) nor the mount's flags
// need tell.
func TestDiskError(t *testing.T) {
	dir := testhost.Ext4(t)
	s := open(t, filepath.Join(dir, "adfbot.db"), sqlite.Options{})
	record(t, s, result(store.Failure))
	require.NoError(t, s.Writable(ctx))
	require.Empty(t, hostlocal.DiskProblem(dir, 1))
	require.NoError(t, exec.Command("mount", "-o", "remount,abort", dir).Run())
	_, err := s.Record(ctx, result(store.Failure), limits)
	for _, err := range []error{err, s.Writable(ctx)} {
		require.ErrorIs(t, err, store.ErrUnusable)
		require.ErrorContains(t, err, "read-only, which Linux does by itself after a disk error: see `dmesg`")
		require.ErrorContains(t, err, "or restart the unit if the directory was made after it started")
		require.NotContains(t, err.Error(), "chown")
	}
	require.Contains(t, hostlocal.DiskProblem(dir, 1), "see `dmesg`")
	_ = s.Close() // before the disk goes
}
