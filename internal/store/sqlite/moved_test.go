package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
	"github.com/terraphim/adfbot/internal/store/sqlstore"
)

const elsewhere = "postgres://adfbot@db.example.org/o'brien"

func TestMoveMarksTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "adfbot.db")
	open := func(o sqlite.Options) error {
		s, err := sqlite.Open(t.Context(), path, o)
		if err == nil {
			_ = s.Close()
		}
		return err
	}
	at := time.Date(2026, 11, 29, 2, 0, 0, 0, time.UTC)
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{Now: func() time.Time { return at }})
	require.NoError(t, err)
	running, err := sqlite.Open(t.Context(), path, sqlite.Options{}) // a daemon that was not stopped
	require.NoError(t, err)
	defer func() { _ = running.Close() }()
	oldest, err := sql.Open("sqlite", path) // a process of a version that does not look at the version again
	require.NoError(t, err)
	defer func() { _ = oldest.Close() }()
	r := result(store.Failure)
	_, err = running.Record(t.Context(), r, limits)
	require.NoError(t, err)

	broken := errors.New("the server has gone away")
	require.ErrorIs(t, s.Move(t.Context(), elsewhere, func(context.Context, sqlstore.Querier) error { return broken }), broken)
	_, err = running.Record(t.Context(), r, limits)
	require.NoError(t, err, "nothing has changed")

	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, s.Move(ctx, elsewhere, func(ctx context.Context, q sqlstore.Querier) error {
		var n int
		err := sqlstore.First(ctx, q, `SELECT count(*) FROM adfbot.result`).Scan(&n)
		require.Equal(t, 2, n)
		cancel() // once it is copied, it is marked
		return err
	}))
	require.NoError(t, s.Close())

	isMoved := func(err error) {
		t.Helper()
		var moved *sqlite.MovedError
		require.ErrorAs(t, err, &moved)
		require.Equal(t, sqlite.MovedError{To: elsewhere, At: at}, *moved)
		require.ErrorIs(t, err, store.ErrUnusable)
		require.ErrorContains(t, err, path+": this file is not used any more: set `state` to the new place")
		require.ErrorContains(t, err, "moved to "+elsewhere+" at 2026-11-29 02:00:00 UTC")
	}
	_, err = running.Record(t.Context(), r, limits)
	isMoved(err)
	isMoved(running.Writable(t.Context()))
	isMoved(open(sqlite.Options{}))
	isMoved(open(sqlite.Options{ReadOnly: true}))
	for _, change := range []string{
		`INSERT INTO result (project, agent, outcome, counted, exit_code, signal, detail, host, recorded_at, failures, threshold, tripped)
			VALUES ('odilo', 'project-meta', 'failure', 1, 1, '', '', '', 0, 1, 3, 0)`,
		`INSERT OR IGNORE INTO meta (key, value) VALUES ('flags_written', '1')`,
		`UPDATE project SET failures = 0`,
		`DELETE FROM result`,
	} {
		_, err = oldest.Exec(change)
		require.ErrorContains(t, err, "moved to "+elsewhere, change)
	}
	var version int
	require.NoError(t, oldest.QueryRow(`PRAGMA user_version`).Scan(&version))
	require.Greater(t, version, 1000, "the version before takes it for one of a newer version")
}

func TestMoveLetsNobodyRecordMeanwhile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "adfbot.db")
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	require.NoError(t, err)
	other, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	require.NoError(t, err)
	defer func() { _ = other.Close() }()
	recorded := make(chan error, 1)
	require.NoError(t, s.Move(t.Context(), elsewhere, func(context.Context, sqlstore.Querier) error {
		go func() {
			_, err := other.Record(ctx, result(store.Failure), limits)
			recorded <- err
		}()
		select {
		case err := <-recorded:
			require.NoError(t, err, "it did not wait")
			require.Fail(t, "it was stored")
		case <-time.After(20 * time.Millisecond):
		}
		return nil
	}))
	require.NoError(t, s.Close())
	var moved *sqlite.MovedError
	require.ErrorAs(t, <-recorded, &moved)
}
