package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
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

func (s *State) IncidentsOf(ctx context.Context, project string, limit int) (out []incident.Incident, err error) {
	for _, table := range incidentTables {
		some, err := s.incidentsIn(ctx, table, project, limit)
		if err != nil {
			return nil, err
		}
		out = newest(out, some, limit)
	}
	return out, nil
}

func (s *State) incidentsIn(ctx context.Context, table, project string, limit int) ([]incident.Incident, error) {
	from := `SELECT listed.doc, evidence.doc FROM adfbot.` + table + ` AS listed LEFT JOIN adfbot.evidence ON evidence.incident = listed.id `
	query, args := from+`ORDER BY opened_at DESC, id LIMIT ?`, []any{limit}
	if project != "" {
		query, args = from+`WHERE project = ? ORDER BY seq DESC LIMIT ?`, []any{project, limit}
	}
	return read(ctx, s, func(row Row) (i incident.Incident, err error) {
		var doc string
		var evidence sql.NullString
		if err := row.Scan(&doc, &evidence); err != nil {
			return i, err
		}
		if err := json.Unmarshal([]byte(doc), &i); err != nil || !evidence.Valid {
			return i, err
		}
		return i, json.Unmarshal([]byte(evidence.String), &i.Evidence)
	}, query, args...)
}

func (s *State) IncidentPage(ctx context.Context, f store.IncidentFilter) (out []incident.Incident, err error) {
	where, args := []string{`TRUE`}, []any(nil)
	if f.Projects != nil {
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
		some, err := read(ctx, s, ScanDoc[incident.Incident], `SELECT doc FROM adfbot.`+table+` WHERE `+strings.Join(where, ` AND `)+
			` ORDER BY opened_at DESC, id DESC LIMIT ?`, append(args, f.Limit)...)
		if err != nil {
			return nil, err
		}
		out = newest(out, some, f.Limit)
	}
	return out, nil
}
