package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
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
		DROP TABLE evidence; DROP TABLE operator; DROP TABLE scan; DROP TABLE command; PRAGMA user_version = 1`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	s = open(t, path, sqlite.Options{})
	require.Equal(t, i, oneIncident(t, s, i.ID))
	migrated, err := s.Evidence(ctx, i.ID)
	require.NoError(t, err)
	require.Equal(t, known, migrated)
	require.NoError(t, s.AcceptCommand(ctx, incident.Command{Comment: 1, Project: "odilo"}))
}
