package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
)

// incidentTables are those of all kinds of incidents. Each is read by its own index; [newest] joins the answers.
var incidentTables = []string{`incident`, `silence`}

// newest joins two lists, the newest first, of which limit are wanted.
func newest(a, b []incident.Incident, limit int) (out []incident.Incident) {
	for len(a)+len(b) > 0 && len(out) < limit {
		from := &a
		if len(a) == 0 || len(b) > 0 && later(b[0], a[0]) {
			from = &b
		}
		out, *from = append(out, (*from)[0]), (*from)[1:]
	}
	return out
}

func later(a, b incident.Incident) bool {
	x, y := stamp(a.Opened), stamp(b.Opened) // as the lists are sorted
	return x.After(y) || x.Equal(y) && a.ID > b.ID
}

func scanWithEvidence(row Row) (i incident.Incident, err error) {
	var doc string
	var evidence sql.NullString
	if err := row.Scan(&doc, &evidence); err != nil {
		return i, err
	}
	if err := json.Unmarshal([]byte(doc), &i); err != nil || !evidence.Valid {
		return i, err
	}
	return i, json.Unmarshal([]byte(evidence.String), &i.Evidence)
}

func (s *State) IncidentPage(ctx context.Context, f store.IncidentFilter) (out []incident.Incident, err error) {
	where, args := []string{`TRUE`}, []any(nil)
	switch {
	case len(f.Projects) == 1: // there is an index
		where, args = append(where, `project = ?`), append(args, f.Projects[0])
	case f.Projects != nil:
		ids, err := json.Marshal(f.Projects)
		if err != nil {
			return nil, err
		}
		// json_each takes any number of ids, and none.
		where, args = append(where, `project IN (SELECT value FROM json_each(?))`), append(args, string(ids))
	}
	switch f.State {
	case store.OpenIncidents:
		where = append(where, `ended_at IS NULL`)
	case store.EndedIncidents:
		where = append(where, `ended_at IS NOT NULL`)
	}
	if f.After != "" {
		var opened Time
		err := First(ctx, s.db, `SELECT opened_at FROM adfbot.incident WHERE id = ? UNION ALL SELECT opened_at FROM adfbot.silence WHERE id = ?`,
			f.After, f.After).Scan(&opened)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, store.ErrNoIncident
		}
		if err != nil {
			return nil, s.db.Wrap(err)
		}
		where, args = append(where, `(opened_at, id) < (?, ?)`), append(args, stamp(opened.Time), f.After)
	}
	for _, table := range incidentTables {
		query, scan := `SELECT doc FROM adfbot.`+table, ScanDoc[incident.Incident]
		if f.Evidence {
			query, scan = `SELECT listed.doc, evidence.doc FROM adfbot.`+table+` AS listed LEFT JOIN adfbot.evidence ON evidence.incident = listed.id`, scanWithEvidence
		}
		some, err := read(ctx, s, scan, query+` WHERE `+strings.Join(where, ` AND `)+` ORDER BY opened_at DESC, id DESC LIMIT ?`, append(args, f.Limit)...)
		if err != nil {
			return nil, err
		}
		out = newest(out, some, f.Limit)
	}
	return out, nil
}

func (s *State) RunPage(ctx context.Context, f store.RunFilter) (runs []store.HistoryRun, next int64, err error) {
	if f.Look == 0 {
		f.Look = store.LookAtRuns
	}
	seen, from := []string{`id < ?`}, []any{f.Before}
	if f.Before == 0 {
		from[0] = int64(math.MaxInt64)
	}
	where, args := []string{`TRUE`}, []any(nil)
	add := func(condition string, arg any, wanted bool) {
		if wanted {
			where, args = append(where, condition), append(args, arg)
		}
	}
	switch {
	case len(f.Projects) == 1: // there is an index
		seen, from = append(seen, `project = ?`), append(from, f.Projects[0])
	case f.Projects != nil:
		ids, err := json.Marshal(f.Projects)
		if err != nil {
			return nil, 0, err
		}
		add(`project IN (SELECT value FROM json_each(?))`, string(ids), true)
	}
	add(`outcome = ?`, f.Outcome, f.Outcome != "")
	add(`class = ?`, f.Class, f.Class != "")
	add(`agent = ?`, f.Agent, f.Agent != "")
	add(`recorded_at >= ?`, stamp(f.Since), !f.Since.IsZero())
	add(`recorded_at < ?`, stamp(f.Until), !f.Until.IsZero())
	output := noOutput
	if f.Output {
		output = "output"
	}
	look := strings.Join(seen, ` AND `) + ` ORDER BY id DESC LIMIT `
	// Outputs are read of the runs that are wanted only. One more run than wanted tells whether there is a next page.
	runs, err = read(ctx, s, func(row Row) (store.HistoryRun, error) {
		var id int64
		var project string
		r, err := scanResult(row, &id, &project)
		r.Position, r.Project = id, project
		return r, err
	}, `SELECT id, project, `+ResultColumns+`, `+output+` FROM adfbot.result WHERE id IN (SELECT id FROM (
		SELECT id, project, outcome, class, agent, recorded_at FROM adfbot.result WHERE `+look+`?) AS seen
		WHERE `+strings.Join(where, ` AND `)+` ORDER BY id DESC LIMIT ?) ORDER BY id DESC`, slices.Concat(from, []any{f.Look}, args, []any{f.Limit + 1})...)
	if err != nil {
		return nil, 0, err
	}
	if len(runs) > f.Limit {
		runs = runs[:f.Limit]
		return runs, runs[f.Limit-1].Position, nil
	}
	last, err := read(ctx, s, scanID, `SELECT id FROM adfbot.result WHERE `+look+`2 OFFSET ?`, append(from, f.Look-1)...)
	if err == nil && len(last) == 2 { // and more after the last one that was looked at
		next = last[0]
	}
	return runs, next, err
}

// Lengths are of characters, in both databases.
const lastOutputs = `WITH wanted AS (SELECT DISTINCT value AS project FROM json_each(?))
	SELECT result.project, CASE WHEN length(output) > ? THEN substr(output, length(output) + 1 - ?) ELSE output END FROM wanted JOIN adfbot.result ON result.id =
		(SELECT max(last.id) FROM adfbot.result AS last WHERE last.project = wanted.project)
	WHERE output IS NOT NULL`

func (s *State) LastOutputs(ctx context.Context, projects ...string) (map[string]string, error) {
	out := map[string]string{}
	if len(projects) == 0 {
		return out, nil
	}
	list, err := json.Marshal(projects)
	if err != nil {
		return nil, err
	}
	_, err = read(ctx, s, func(row Row) (_ struct{}, err error) {
		var project, end string
		err = row.Scan(&project, &end)
		out[project] = end
		return
	}, lastOutputs, string(list), store.OutputEnd, store.OutputEnd)
	return out, err
}
