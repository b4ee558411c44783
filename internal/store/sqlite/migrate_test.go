package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
)

func TestMigrateFirstVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "adfbot.db")
	s := open(t, path, sqlite.Options{})
	i := trip(t, s, "odilo")
	known, err := s.Evidence(ctx, i.ID)
	require.NoError(t, err)
	require.Len(t, known.Runs, 3)
	require.NoError(t, s.Close())
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	_, err = db.Exec(`UPDATE incident SET doc = json_set(doc, '$.Evidence', json((SELECT evidence.doc FROM evidence WHERE incident = incident.id)));
		DROP INDEX result_output; DROP TABLE evidence; DROP TABLE operator; DROP TABLE scan; DROP TABLE command; PRAGMA user_version = 1`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	s = open(t, path, sqlite.Options{})
	require.Equal(t, i, oneIncident(t, s, i.ID))
	migrated, err := s.Evidence(ctx, i.ID)
	require.NoError(t, err)
	require.Equal(t, known, migrated)
	require.NoError(t, s.AcceptCommand(ctx, incident.Command{Comment: 1, Project: "odilo"}))
}

// A newer version may have tables that this one would leave out.
func TestUpgradedWhileOpen(t *testing.T) {
	s := newStore(t)
	record(t, s, result(store.Failure))
	setVersion(t, s.Path(), 999)
	for what, write := range map[string]func() error{
		"a result": func() error { _, err := s.Record(ctx, result(store.Failure), limits); return err },
		"a run": func() error {
			_, err := s.BeginRun(ctx, store.Run{ID: "1", Project: "odilo", Agent: "project-meta"})
			return err
		},
		"meta":         func() error { return s.SetMeta(ctx, "k", "v") },
		"the probe":    func() error { return s.Writable(ctx) },
		"a new server": func() error { return s.MoveServer(ctx, "a", "b") },
	} {
		err := write()
		require.ErrorIs(t, err, store.ErrNewer, what)
		require.ErrorIs(t, err, store.ErrUnusable, "%s: so a result is spooled", what)
		require.ErrorContains(t, err, s.Path(), what)
		require.ErrorContains(t, err, "adfbot help upgrade", what)
	}
	require.Equal(t, 1, failures(t, s, "odilo"), "nothing was stored")
	require.NoError(t, s.Close())
}

// Earlier versions kept every output.
func TestMigrateOutputs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "adfbot.db")
	s := open(t, path, sqlite.Options{})
	failed := result(store.Failure)
	failed.Output = "it failed"
	record(t, s, failed)
	require.NoError(t, s.Close())
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	_, err = db.Exec(`DROP INDEX result_output; PRAGMA user_version = 3;
		INSERT INTO result (project, agent, outcome, counted, exit_code, signal, detail, host, recorded_at, failures, threshold, tripped, output)
		SELECT project, agent, outcome, counted, exit_code, signal, detail, host, recorded_at, failures, threshold, tripped, output
		FROM result, json_each('[' || substr(replace(hex(zeroblob(25)), '0', ',0'), 2) || ']')`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	s = open(t, path, sqlite.Options{})
	for range 3 {
		record(t, s, failed)
	}
	runs, err := s.History(ctx, "odilo", 100)
	require.NoError(t, err)
	require.Len(t, runs, 54)
	kept := slices.DeleteFunc(runs, func(r store.HistoryRun) bool { return r.Output == "" })
	require.Len(t, kept, store.KeptOutputs)
}
