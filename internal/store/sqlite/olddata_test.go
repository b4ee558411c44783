package sqlite_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/terraphim/adfbot/breaker"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
	"github.com/terraphim/adfbot/pause"
)

// The state in testdata/old was written by adfbot as of November 2026 and is never written again. Every
// row, column and JSON field has a value somewhere. These tests show that the present code still reads all of it.

const oldServer = "http://git.example.org"

var (
	oldRepo = tracker.Repo{Server: oldServer, Owner: "acme", Name: "fleet"}
	oldNow  = at("2026-11-22T11:30:00Z")
)

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

// oldID is the n-th id that the old program gave away.
func oldID(n string) string { return "0ddba11000000000000000000000000"[:32-len(n)] + n }

func oldIssue(id, number int64) tracker.IssueRef {
	return tracker.IssueRef{Repo: oldRepo, ID: id, Number: number, URL: fmt.Sprint(oldServer, "/acme/fleet/issues/", number)}
}

// oldState copies the old state and returns the file.
func oldState(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "adfbot.db")
	doc, err := os.ReadFile("../testdata/old/adfbot.db")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, doc, 0o600))
	return path
}

func openOld(t *testing.T, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(context.Background(), path, sqlite.Options{Now: func() time.Time { return oldNow }})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// ok returns a value that comes without an error.
func ok[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		require.NoError(t, err)
		return v
	}
}

// oldRows reads all tables without the store: table, row, column. JSON is decoded.
func oldRows(t *testing.T, path string) map[string][]map[string]any {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	defer func() { _ = db.Close() }()
	var tables []string
	rows, err := db.Query(`SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name`)
	require.NoError(t, err)
	for rows.Next() {
		var name string
		require.NoError(t, rows.Scan(&name))
		tables = append(tables, name)
	}
	require.NoError(t, rows.Err())
	all := map[string][]map[string]any{}
	for _, table := range tables {
		rows, err := db.Query(`SELECT * FROM ` + table)
		require.NoError(t, err)
		columns, err := rows.Columns()
		require.NoError(t, err)
		for rows.Next() {
			values, into := make([]any, len(columns)), make([]any, len(columns))
			for n := range values {
				into[n] = &values[n]
			}
			require.NoError(t, rows.Scan(into...))
			row := map[string]any{}
			for n, column := range columns {
				row[column] = decoded(values[n])
			}
			all[table] = append(all[table], row)
		}
		require.NoError(t, rows.Err())
	}
	return all
}

func decoded(v any) any {
	s, isText := v.(string)
	var doc map[string]any
	if isText && json.Unmarshal([]byte(s), &doc) == nil {
		return doc
	}
	return v
}

// asJSON is what the present code would store of a value.
func asJSON(t *testing.T, v any) any {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return decoded(string(b))
}

// values returns the values in a decoded document that are not zero. A zero value need not be stored: a field that is
// missing is read as one, by earlier versions too.
func values(doc any) any {
	switch v := doc.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, field := range v {
			if field = values(field); field != nil {
				out[key] = field
			}
		}
		if len(out) > 0 {
			return out
		}
	case []any:
		var out []any
		for _, e := range v {
			out = append(out, values(e))
		}
		if len(out) > 0 {
			return out
		}
	case string:
		if v != "" && v != "0001-01-01T00:00:00Z" {
			return v
		}
	case float64:
		if v != 0 {
			return v
		}
	case bool:
		if v {
			return v
		}
	default:
		return v
	}
	return nil
}

func TestOldDocumentsStayAsTheyAre(t *testing.T) {
	path, ctx := oldState(t), context.Background()
	before := oldRows(t, path)
	require.Len(t, before["incident"], 12)
	require.Len(t, before["evidence"], 11)
	require.Len(t, before["command"], 9)

	s := openOld(t, path)
	for _, row := range before["incident"] {
		id := row["id"].(string)
		require.Equal(t, values(row["doc"]), values(asJSON(t, ok[[]incident.Incident](t)(s.Incidents(ctx, id))[0])), "read")
		_, err := s.Change(ctx, id, func(*incident.Incident) {})
		require.NoError(t, err)
	}
	for _, row := range before["evidence"] {
		require.Equal(t, values(row["doc"]), values(asJSON(t, ok[incident.Evidence](t)(s.Evidence(ctx, row["incident"].(string))))), "read")
	}
	for _, row := range before["command"] {
		var c incident.Command
		b, err := json.Marshal(row["doc"])
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(b, &c))
		_, err = s.ChangeCommand(ctx, c, nil, func(*incident.Command) error { return nil })
		require.NoError(t, err)
	}
	// This stores all documents again, the evidence too.
	require.NoError(t, s.MoveServer(ctx, "http://elsewhere.example.org", "http://somewhere.example.org"))
	require.NoError(t, s.Close())

	after := oldRows(t, path)
	after["meta"] = slices.DeleteFunc(after["meta"], func(row map[string]any) bool { return row["key"] == "path" }) // new
	for table, rows := range before {
		require.Len(t, after[table], len(rows), table)
		for n, row := range rows {
			for column, value := range row {
				require.Equal(t, values(value), values(after[table][n][column]), "%s.%s of row %d", table, column, n)
			}
		}
	}
}

func TestOldIncidentsLoad(t *testing.T) {
	s, ctx := openOld(t, oldState(t)), context.Background()
	read := func(id string) incident.Incident {
		return ok[[]incident.Incident](t)(s.Incidents(ctx, oldID(id)))[0]
	}
	up := func(d time.Duration) incident.Uptime {
		return incident.Uptime{Boot: "11111111-2222-3333-4444-555555555555", For: d}
	}
	done := func(s string, d time.Duration) incident.Comment {
		return incident.Comment{Attempted: at(s), Up: up(d), Done: true}
	}

	t.Run("open, with every kind of comment", func(t *testing.T) {
		key := func(s string) string { return oldID("3") + "/" + s }
		i := read("3")
		require.Equal(t, "alder#2", i.Name())
		require.True(t, i.IsOpen())
		require.WithinRange(t, i.NextTry, at("2026-11-22T10:02:31Z"), at("2026-11-22T10:03:00Z"))
		require.Equal(t, incident.Incident{
			ID: oldID("3"), Project: "alder", Seq: 2, Agent: "project-meta", Opened: at("2026-11-20T07:45:30Z"), Failures: 3, Threshold: 3,
			Host: "builder-1", Instance: "bigbox", FlagWritten: at("2026-11-20T07:45:30Z"),
			Issue: oldIssue(29, 3), Lost: []tracker.IssueRef{oldIssue(22, 2)},
			Tries: 1, NextTry: i.NextTry, LastErr: "gitea: reopen issue #3 in acme/fleet: status 500 (out of order)",
			ReopenPending: true, Reopens: []time.Time{at("2026-11-20T07:47:30Z"), at("2026-11-22T10:02:30Z")}, IgnoredClosing: 86,
			Comments: map[string]incident.Comment{
				key("duplicate/4"):            done("2026-11-20T07:49:30Z", 1669770*time.Second),
				key("duplicate/4/closed"):     done("2026-11-20T07:49:30Z", 1669770*time.Second),
				key("no-operator/4"):          done("2026-11-20T07:49:30Z", 1669770*time.Second),
				key("order/34"):               done("2026-11-20T07:49:30Z", 1669770*time.Second),
				key("order/35"):               done("2026-11-20T07:49:30Z", 1669770*time.Second),
				key("order/42"):               done("2026-11-20T07:50:30Z", 1669830*time.Second),
				key("reopened/1795160850000"): done("2026-11-20T07:47:30Z", 1669650*time.Second),
				key("reopened/1795341750000"): done("2026-11-22T10:02:30Z", 1850550*time.Second),
			},
			Ack: &incident.Ack{By: tracker.Account{ID: 3, Login: "sam"}, At: at("2026-11-22T10:08:30Z")},
		}, i)
		command, duplicate := incident.Command{Incident: i.ID, Comment: 34}, oldIssue(36, 4)
		for _, key := range []string{incident.DuplicateKey(i, duplicate), incident.DuplicateClosedKey(i, duplicate), incident.CommandKey(command),
			incident.NotOperatorKey(i, tracker.Account{ID: 4}), incident.ReopenedKey(i)} {
			require.Contains(t, i.Comments, key)
		}
	})
	t.Run("its creation is in doubt", func(t *testing.T) {
		i := read("d")
		require.Equal(t, "birch#1", i.Name())
		require.Equal(t, incident.Attempt{At: at("2026-11-22T10:48:00Z"), Up: up(1853280 * time.Second)}, i.Create)
		require.Equal(t, oldRepo, i.Target)
		require.True(t, i.Issue.IsZero())

		i = read("e")
		require.Equal(t, "juniper#1", i.Name())
		require.False(t, i.IsOpen())
		require.Equal(t, tracker.Repo{Server: oldServer, Owner: "acme", Name: "twins"}, i.Target)
	})
	t.Run("its flag could not be written", func(t *testing.T) {
		i := read("f")
		require.Equal(t, "oak#1", i.Name())
		require.Equal(t, "project-meta-nightly", i.Agent)
		require.Equal(t, 1, i.Threshold)
		require.True(t, i.HeadedNotPaused)
		require.Contains(t, i.FlagError, "read-only file system")
		require.True(t, i.FlagWritten.IsZero())
	})
	t.Run("ended and settled", func(t *testing.T) {
		i := read("2")
		require.Equal(t, "alder#1", i.Name())
		require.Equal(t, at("2026-11-20T06:38:30Z"), i.Ended)
		require.Equal(t, "the pause flag was removed; noticed 2026-11-20T06:38:30Z", i.EndedHow)
		require.True(t, i.Settled)
		require.True(t, i.LeftOpen)
		require.True(t, i.Comments[incident.LeftOpenKey(i)].Done)
		require.Equal(t, &incident.Ack{By: tracker.Account{ID: 2, Login: "alex"}, At: at("2026-11-20T06:17:30Z")}, i.Ack)
	})
	t.Run("ended, and its comment in doubt", func(t *testing.T) {
		i := read("9")
		require.Equal(t, "maple#1", i.Name())
		require.False(t, i.IsOpen())
		require.False(t, i.Settled)
		c := i.Comments[incident.ResumedKey(i)]
		require.False(t, c.Attempted.IsZero())
		require.False(t, c.Done)
	})
	t.Run("closed too often", func(t *testing.T) {
		i := read("a")
		require.Equal(t, "hazel#1", i.Name())
		require.True(t, i.ReopenQuiet)
		require.Len(t, i.Reopens, 4)
	})
	t.Run("its flag came later", func(t *testing.T) {
		i := read("5")
		require.Equal(t, "quince#1", i.Name())
		require.Equal(t, at("2026-11-20T08:06:00Z"), i.FlagWritten)
		require.True(t, i.Comments[incident.PausedKey(i)].Done)
	})
	t.Run("rebuilt and replaced", func(t *testing.T) {
		i := read("6")
		require.Equal(t, "elm#2", i.Name())
		require.True(t, i.Rebuilt)

		i = read("7")
		require.Equal(t, "elm#1", i.Name())
		require.True(t, i.Replaced)
		require.True(t, i.SupersededByEarlier())
	})
	t.Run("lists", func(t *testing.T) {
		names := func(list []incident.Incident) (out []string) {
			for _, i := range list {
				out = append(out, i.Name())
			}
			return out
		}
		require.Equal(t, []string{"alder#2", "birch#1", "dogwood#1", "elm#2", "hazel#1", "juniper#1", "maple#1", "oak#1", "quince#1"},
			names(ok[[]incident.Incident](t)(s.Unsettled(ctx, ""))))
		page := func(state string) []string {
			return names(ok[[]incident.Incident](t)(s.IncidentPage(ctx, store.IncidentFilter{State: state, Limit: 20})))
		}
		require.Equal(t, []string{"oak#1", "birch#1", "hazel#1", "elm#2", "quince#1", "alder#2"}, page(store.OpenIncidents))
		require.Equal(t, []string{"juniper#1", "maple#1", "dogwood#1", "elm#1", "cedar#1", "alder#1"}, page(store.EndedIncidents))
	})
	t.Run("evidence", func(t *testing.T) {
		e := ok[incident.Evidence](t)(s.Evidence(ctx, oldID("3")))
		require.Len(t, e.Runs, 7)
		require.Equal(t, incident.Run{
			Outcome: store.Failure, Started: at("2026-11-20T07:44:10Z"), Finished: at("2026-11-20T07:45:29Z"), ExitCode: 3, Host: "builder-1", RunID: "run-007",
		}, e.Runs[0])
		require.Equal(t, "timed out after 1h0m0s", e.Runs[1].Detail)
		require.Equal(t, "SIGKILL", e.Runs[2].Signal)
		require.Equal(t, "planning the next step\nerror: the model quota is used up\n", e.Output)
		earlier := incident.EarlierIncident{Seq: 1, Opened: at("2026-11-20T06:05:30Z"), Ended: at("2026-11-20T06:38:30Z"), Issue: oldIssue(11, 1)}
		require.Equal(t, []incident.EarlierIncident{earlier}, e.Earlier)
		require.Equal(t, e, ok[[]incident.Incident](t)(s.IncidentPage(ctx, store.IncidentFilter{Projects: []string{"alder"}, Limit: 1, Evidence: true}))[0].Evidence)
	})
}

func TestOldCommandsLoad(t *testing.T) {
	s, ctx := openOld(t, oldState(t)), context.Background()
	pending := ok[[]incident.Command](t)(s.PendingCommands(ctx, oldServer, ""))
	require.Equal(t, []incident.Command{
		{
			Comment: 90, Issue: oldIssue(29, 3), Incident: oldID("3"), Project: "alder",
			By: tracker.Account{ID: 3, Login: "sam"}, At: at("2026-11-22T10:07:30Z"),
			Steps: []incident.Step{
				{Line: incident.CommandLine{Verb: incident.AckVerb, Reason: "for the weekend", Written: "ack"}, Begun: true, Target: oldID("3")},
				{Line: incident.CommandLine{Verb: incident.StatusVerb, Written: "status"}},
			},
		}, {
			Comment: 91, Issue: oldIssue(63, 8), Incident: oldID("8"), Project: "dogwood",
			By: tracker.Account{ID: 2, Login: "alex"}, At: at("2026-11-22T10:07:30Z"),
			Steps: []incident.Step{{
				Line:  incident.CommandLine{Verb: incident.ResumeVerb, Reason: "it was the quota", Written: "resume"},
				Begun: true, Target: oldID("8"), Answer: "`dogwood` is resumed.", Ended: true,
			}},
		},
	}, pending)
	require.Empty(t, ok[[]incident.Command](t)(s.PendingCommands(ctx, oldServer, "cedar")))

	// Those that are done are known by their comment and its time.
	then := at("2026-11-20T07:48:30Z")
	written := map[int64]time.Time{33: then, 34: then, 35: then.Add(time.Second), 90: at("2026-11-22T10:07:30Z")}
	require.Equal(t, []int64{35}, ok[[]int64](t)(s.NewComments(ctx, oldServer, written)))
}

func TestOldProjectsAndResultsLoad(t *testing.T) {
	s, ctx := openOld(t, oldState(t)), context.Background()
	project := func(id string) store.Project { return ok[store.Project](t)(s.Project(ctx, id)) }
	require.Equal(t, store.Project{
		ID: "alder", Generation: 1, Breaker: breaker.State{Failures: 3, Tripped: true}, Resumed: at("2026-11-20T06:38:30Z"),
	}, project("alder"))
	require.Equal(t, store.Project{
		ID: "cedar", Generation: 1, Breaker: breaker.State{Failures: 1}, HalfOpen: true, Resumed: at("2026-11-20T08:01:00Z"),
	}, project("cedar"))
	require.Equal(t, store.Project{ID: "ivy", Ignored: 3}, project("ivy"))

	failed := func(id, started, finished, recorded string) store.HistoryRun {
		return store.HistoryRun{
			Run:   incident.Run{Outcome: store.Failure, Started: at(started), Finished: at(finished), Host: "builder-1", RunID: id},
			Agent: "project-meta", Counted: true, Recorded: at(recorded),
		}
	}
	first := failed("run-001", "2026-11-20T06:01:10Z", "2026-11-20T06:02:29Z", "2026-11-20T06:02:30Z")
	first.ExitCode, first.Signal = 137, "SIGKILL"
	second := failed("run-002", "2026-11-20T06:02:40Z", "2026-11-20T06:03:59Z", "2026-11-20T06:04:00Z")
	second.ExitCode, second.Detail = 1, "timed out after 1h0m0s"
	third := failed("run-003", "2026-11-20T06:04:10Z", "2026-11-20T06:05:29Z", "2026-11-20T06:05:30Z")
	third.ExitCode, third.Output = 3, "planning the next step\nerror: the model quota is used up\n"
	runs := ok[[]store.HistoryRun](t)(s.History(ctx, "alder", 50))
	require.Len(t, runs, 7)
	require.Equal(t, []store.HistoryRun{third, second, first}, runs[4:])

	runs = ok[[]store.HistoryRun](t)(s.Runs(ctx, "ivy", 50))
	require.Len(t, runs, 4)
	require.Equal(t, "worker", runs[0].Agent)
	require.Equal(t, incident.Run{Outcome: store.Ignored, Finished: at("2026-11-20T08:20:00Z"), ExitCode: 75, Host: "builder-2"}, runs[1].Run)
	require.False(t, runs[1].Counted)

	// The answer is stored with the result.
	again := func(project, run string) store.Answer {
		r := store.Result{Project: project, Agent: "project-meta", RunID: run, Outcome: store.Failure}
		return ok[store.Answer](t)(s.Record(ctx, r, store.Limits{Threshold: 9, Resume: 9}))
	}
	require.Equal(t, store.Answer{
		Outcome: store.Failure, Counted: true, Failures: 3, Threshold: 3, Tripped: true, Incident: oldID("2"), Known: true,
		Started: at("2026-11-20T06:04:10Z"),
	}, again("alder", "run-003"))
	earlier := again("alder", "run-002")
	require.Equal(t, store.Answer{Outcome: store.Failure, Counted: true, Failures: 2, Threshold: 3, Known: true, Started: earlier.Started}, earlier)

	counts, last, err := s.CountSince(ctx, 0, 1000)
	require.NoError(t, err)
	require.Contains(t, counts, store.OutcomeCount{Project: "alder", Outcome: store.Failure, Results: 6, Trips: 2})
	require.Contains(t, counts, store.OutcomeCount{Project: "ivy", Outcome: store.Ignored, Results: 3})
	require.Equal(t, ok[int64](t)(s.LastResult(ctx)), last)
}

func TestOldRowsLoad(t *testing.T) {
	path, ctx := oldState(t), context.Background()
	s := openOld(t, path)
	require.Equal(t, oldID("1"), s.Installation())
	require.NoError(t, s.Check(ctx))
	require.True(t, ok[bool](t)(s.FlagsWritten(ctx)))
	for key, want := range map[string]string{
		"gitea_url": oldServer, "pause_dir": "/srv/adfbot/pause", "last_sweep": `"took_ns":81000000,"taken_in":1,"lost_runs":1,"pruned":0,`,
	} {
		require.Contains(t, ok[string](t)(s.Meta(ctx, key)), want)
	}

	const note = "rowan is paused by alex (bigbox, 2026-11-22 10:54 UTC).\nReason: it eats the disk\n" +
		"To resume, remove this file or run: adfbot resume rowan\n"
	rowan := incident.Hold{Project: "rowan", Note: note, Since: at("2026-11-22T10:54:00Z")}
	holds := ok[[]incident.Hold](t)(s.Holds(ctx))
	require.Len(t, holds, 4)
	larch := incident.Hold{Project: "larch", Since: at("2026-11-22T08:36:00Z")}
	for n, h := range holds {
		require.True(t, pause.IsRandomID(h.ID), "each got an id")
		require.False(t, slices.ContainsFunc(holds[:n], func(o incident.Hold) bool { return o.ID == h.ID }))
	}
	larch.ID, rowan.ID = holds[2].ID, holds[3].ID
	require.Equal(t, []incident.Hold{larch, rowan}, holds[2:])
	require.Equal(t, &rowan, ok[*incident.Hold](t)(s.Hold(ctx, "rowan")))
	state := ok[incident.ProjectState](t)(s.ProjectState(ctx, "rowan"))
	require.Equal(t, incident.ProjectState{Hold: &rowan, Generation: state.Generation}, state, "its flag was never written")
	state = ok[incident.ProjectState](t)(s.ProjectState(ctx, "larch"))
	require.Equal(t, incident.Confirmation{Pause: larch.ID}, state.Confirmed, "nobody has looked at the flag since the upgrade")
	for project, state := range ok[map[string]incident.ProjectState](t)(s.ProjectStates(ctx)) {
		if open := state.Open(); open != nil {
			require.Equal(t, !open.FlagWritten.IsZero(), state.Confirmed == incident.Confirmation{Pause: open.ID}, project)
		}
	}

	require.Equal(t, []incident.Operator{
		{Login: "alex", ID: 2, Asked: at("2026-11-20T06:01:00Z")},
		{Login: "sam", ID: 3, Asked: at("2026-11-20T06:01:00Z")},
		{Login: "nobody", Asked: at("2026-11-22T10:02:30Z"),
			Problem: `operator "nobody": nobody at ` + oldServer + ` has this login: correct operators in the configuration`},
	}, ok[[]incident.Operator](t)(s.Operators(ctx, oldServer)))
	require.Equal(t, at("2026-11-22T10:07:30Z"), ok[time.Time](t)(s.CommentsRead(ctx, oldRepo)))
	require.Equal(t, map[string]int64{"adf": 8, "circuit-breaker": 9, "priority/high": 10}, ok[map[string]int64](t)(s.Labels(ctx, oldRepo)))
	accounts := ok[[]tracker.Account](t)(s.Accounts(ctx, oldServer))
	require.Equal(t, []tracker.Account{{ID: 999, Login: "adf-bot-before"}, {ID: 1, Login: "adf-bot"}}, accounts)

	running := ok[[]store.Run](t)(s.Running(ctx))
	require.Equal(t, []store.Run{{
		ID: oldID("10"), Project: "cedar", Agent: "project-meta", RunID: "cedar-7", Generation: 1, Host: "builder-1",
		Started: at("2026-11-22T10:55:30Z"), ChildPID: 4711, ChildStart: "11111111-2222-3333-4444-555555555555/4242",
	}}, running)
	local := hostlocal.Beside(path)
	require.NoError(t, local.Create(ctx))
	require.True(t, local.Gone(running[0]))

	require.NoError(t, s.Close())
	s, err := sqlite.Open(ctx, path, sqlite.Options{ReadOnly: true})
	require.NoError(t, err)
	require.Equal(t, oldID("1"), s.Installation())
	require.NoError(t, s.Close())
}
