package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
	"github.com/terraphim/adfbot/pause"
)

// undoStops brings the tables from version 8 back to 7.
const undoStops = `DROP TABLE stop; DROP TABLE stop_project; DROP INDEX hold_stop; ALTER TABLE hold DROP COLUMN until; ALTER TABLE hold DROP COLUMN stop; `

// undoFlags brings the tables of flags from version 5, and what is newer, back to 4.
const undoFlags = undoSilence + `ALTER TABLE result DROP COLUMN class; DROP TABLE host_flag; ALTER TABLE run DROP COLUMN host_id; ALTER TABLE hold DROP COLUMN id; `

// undoSilence brings the tables from version 8 back to 6.
const undoSilence = undoStops + `DROP TABLE silence; `

// The flags that an earlier version knew are confirmed; nobody has looked at them since.
func TestMigrateFlags(t *testing.T) {
	path := filepath.Join(t.TempDir(), "adfbot.db")
	s := open(t, path, sqlite.Options{})
	written, never := trip(t, s, "written"), trip(t, s, "never")
	_, err := s.Change(ctx, written.ID, func(i *incident.Incident) { i.FlagWritten = time.Now() })
	require.NoError(t, err)
	for _, project := range []string{"held", "held-never", "written"} {
		require.NoError(t, s.SetHold(ctx, incident.Hold{ID: pause.NewRandomID(), Project: project, Since: time.Now()}))
	}
	require.NoError(t, s.Close())
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	_, err = db.Exec(undoFlags + `UPDATE hold SET flag_written = 1 WHERE project IN ('held', 'written');
		UPDATE incident SET doc = json_set(doc, '$.FlagWritten', '0001-01-01T00:00:00Z') WHERE project = 'never'; PRAGMA user_version = 4`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	s = open(t, path, sqlite.Options{})
	states, err := s.ProjectStates(ctx)
	require.NoError(t, err)
	require.Equal(t, incident.Confirmation{Pause: written.ID}, states["written"].Confirmed, "the incident pauses the project")
	require.Zero(t, states["never"].Confirmed)
	require.Equal(t, never.ID, states["never"].Pause().ID)
	require.Equal(t, incident.Confirmation{Pause: states["held"].Hold.ID}, states["held"].Confirmed)
	require.True(t, pause.IsRandomID(states["held"].Hold.ID))
	require.Zero(t, states["held-never"].Confirmed)
}

// Of what was recorded before there were classes, none is known.
func TestMigrateClasses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "adfbot.db")
	s := open(t, path, sqlite.Options{})
	i := trip(t, s, "odilo")
	require.NoError(t, s.Close())
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	_, err = db.Exec(undoSilence + `ALTER TABLE result DROP COLUMN class; PRAGMA user_version = 5`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	s = open(t, path, sqlite.Options{})
	require.Equal(t, i, oneIncident(t, s, i.ID))
	runs, err := s.Runs(ctx, "odilo", 10)
	require.NoError(t, err)
	require.Len(t, runs, 3)
	require.Empty(t, runs[0].Class)
	counts, _, err := s.CountSince(ctx, 0, 100)
	require.NoError(t, err)
	require.Equal(t, []store.OutcomeCount{{Project: "odilo", Outcome: store.Failure, Results: 3, Trips: 1}}, counts)
}

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
		DROP INDEX result_output; DROP TABLE evidence; DROP TABLE operator; DROP TABLE scan; DROP TABLE command; ` + undoFlags + `PRAGMA user_version = 1`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	s = open(t, path, sqlite.Options{})
	require.Equal(t, i, oneIncident(t, s, i.ID))
	migrated, err := s.Evidence(ctx, i.ID)
	require.NoError(t, err)
	require.Equal(t, known, migrated)
	require.NoError(t, s.AcceptCommand(ctx, incident.Command{Comment: 1, Project: "odilo"}))
}

// No method writes to the state of a newer version, which may have tables that this version does not know.
func TestUpgradedWhileOpen(t *testing.T) {
	s := newStore(t)
	i := trip(t, s, "odilo")
	command := incident.Command{Comment: 1, Project: "odilo"}
	require.NoError(t, s.AcceptCommand(ctx, command))
	run, err := s.BeginRun(ctx, store.Run{ID: "1", Project: "atlas", Agent: "project-meta"})
	require.NoError(t, err)
	before, err := s.Texts(ctx, everything)
	require.NoError(t, err)
	setVersion(t, s.Path(), 999)

	var repo tracker.Repo
	writes := map[string]func() error{
		"Record":       func() error { _, err := s.Record(ctx, result(store.Failure), limits); return err },
		"RecordIfIdle": func() error { _, _, err := s.RecordIfIdle(ctx, result(store.Failure), limits); return err },
		"BeginCount":   func() error { _, err := s.BeginCount(ctx, "atlas", time.Now()); return err },
		"Lost":         func() error { _, _, err := s.Lost(ctx, run, result(store.Failure), limits); return err },
		"BeginRun": func() error {
			_, err := s.BeginRun(ctx, store.Run{ID: "2", Project: "atlas", Agent: "project-meta"})
			return err
		},
		"BeginReported": func() error {
			return s.BeginReported(ctx, store.Run{ID: "3", Project: "atlas", Agent: "project-meta"})
		},
		"SetChild": func() error { return s.SetChild(ctx, store.Run{ID: run.ID, ChildPID: 4711}) },
		"EndRun":   func() error { return s.EndRun(ctx, run) },
		"Prune":    func() error { _, err := s.Prune(ctx, time.Now().Add(time.Hour), 100); return err },
		"Change":   func() error { _, err := s.Change(ctx, i.ID, func(i *incident.Incident) { i.Failures = 9 }); return err },
		"Join": func() error {
			_, err := s.Join(ctx, i.ID, func(incident.Incident, []incident.Incident) incident.Joining { return incident.Joining{Continues: "x"} })
			return err
		},
		"OpenSilent": func() error {
			_, _, err := s.OpenSilent(ctx, incident.Incident{ID: "1", Kind: incident.Silent, Project: "new"})
			return err
		},
		"EndSilent": func() error { _, _, err := s.EndSilent(ctx, i.ID, "it reported", time.Now()); return err },
		"Insert":    func() error { _, err := s.Insert(ctx, incident.Incident{ID: "1", Project: "atlas"}); return err },
		"Resume": func() error {
			_, err := s.Resume(ctx, incident.Resumption{Project: "odilo", Pause: i.ID, At: time.Now()})
			return err
		},
		"Confirm": func() error {
			_, err := s.Confirm(ctx, "odilo", incident.Confirmation{Pause: i.ID}, time.Now())
			return err
		},
		"Unconfirm": func() error { return s.Unconfirm(ctx, "odilo", i.ID) },
		"AddStop":   func() error { return s.AddStop(ctx, incident.Stop{ID: "1", Since: time.Now()}) },
		"Cover": func() error {
			_, err := s.Cover(ctx, "1", []string{"atlas"}, func(project string) incident.Hold { return incident.Hold{Project: project} })
			return err
		},
		"EndStop": func() error { _, err := s.EndStop(ctx, "", "it is over", time.Now()); return err },
		"EndHold": func() error {
			_, err := s.EndHold(ctx, incident.Resumption{Project: "odilo", Pause: i.ID, At: time.Now()}, func([]incident.Stop) *incident.Hold { return nil })
			return err
		},
		"MakeKnown": func() error {
			_, err := s.MakeKnown(ctx, "new")
			return err
		},
		"AddHold": func() error {
			_, err := s.AddHold(ctx, incident.Hold{Project: "atlas"}, incident.FlagIdentity{}, 0)
			return err
		},
		"SetHold":         func() error { return s.SetHold(ctx, incident.Hold{Project: "atlas"}) },
		"DropHold":        func() error { return s.DropHold(ctx, "odilo") },
		"SetLabels":       func() error { return s.SetLabels(ctx, repo, map[string]int64{"adf": 1}) },
		"AddAccount":      func() error { return s.AddAccount(ctx, "", tracker.Account{ID: 1, Login: "adfbot"}) },
		"SetOperators":    func() error { return s.SetOperators(ctx, "", []incident.Operator{{Login: "alex", ID: 2}}) },
		"AcceptCommand":   func() error { return s.AcceptCommand(ctx, incident.Command{Comment: 2, Project: "odilo"}) },
		"SetCommentsRead": func() error { return s.SetCommentsRead(ctx, repo, time.Now()) },
		"ChangeCommand": func() error {
			_, err := s.ChangeCommand(ctx, command, &incident.Hold{Project: "atlas"}, func(c *incident.Command) error { c.Done = true; return nil })
			return err
		},
		"SetMeta":        func() error { return s.SetMeta(ctx, "k", "v") },
		"MoveServer":     func() error { return s.MoveServer(ctx, "", "b") },
		"MoveUnfinished": func() error { return s.MoveUnfinished(ctx, "", "b") },
		"Writable":       func() error { return s.Writable(ctx) },
	}
	for what, write := range writes {
		err := write()
		require.ErrorIs(t, err, store.ErrNewer, what)
		require.ErrorIs(t, err, store.ErrUnusable, "%s: so a result is spooled", what)
		require.ErrorContains(t, err, s.Path(), what)
		require.ErrorContains(t, err, "adfbot help upgrade", what)
	}
	for m := range reflect.TypeFor[store.State]().Methods() {
		require.True(t, writes[m.Name] != nil || slices.Contains(reading, m.Name), "%s: it belongs to one of the two lists", m.Name)
	}
	after, err := s.Texts(ctx, everything)
	require.NoError(t, err)
	require.Equal(t, before, after)
}

// reading lists the methods of a state that change nothing.
var reading = []string{"Accounts", "Check", "Close", "CommentsRead", "CountSince", "Covered", "Evidence", "File", "FlagsWritten", "History", "Hold",
	"CountKnown", "Holds", "Hourly", "IncidentPage", "Incidents", "Installation", "KnownProjects", "Labels", "LastOutputs", "LastResult", "Meta", "Moved", "NewComments",
	"Operators", "Overview", "Path", "PendingCommands", "Project", "ProjectState", "ProjectStates", "ReportedRuns", "Reports", "RunPage", "Running", "Runs", "Silent", "Stops", "Unsettled"}

// everything is a query for all that methods write, as text.
const everything = `SELECT json_array(id, failures) FROM result UNION ALL SELECT doc FROM incident UNION ALL SELECT doc FROM silence UNION ALL SELECT doc FROM stop UNION ALL SELECT doc FROM command
	UNION ALL SELECT json_array(id, child_pid) FROM run UNION ALL SELECT project FROM hold UNION ALL SELECT pause FROM host_flag UNION ALL SELECT key FROM meta
	UNION ALL SELECT name FROM label UNION ALL SELECT login FROM account UNION ALL SELECT login FROM operator UNION ALL SELECT up_to || '' FROM scan`

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
	_, err = db.Exec(undoFlags + `DROP INDEX result_output; PRAGMA user_version = 3;
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
