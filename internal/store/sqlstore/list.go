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

func (s *State) IncidentsOf(ctx context.Context, project string, limit int) ([]incident.Incident, error) {
	const from = `SELECT incident.doc, evidence.doc FROM adfbot.incident LEFT JOIN adfbot.evidence ON evidence.incident = incident.id `
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

func (s *State) IncidentPage(ctx context.Context, f store.IncidentFilter) ([]incident.Incident, error) {
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
		err := First(ctx, s.db, `SELECT opened_at FROM adfbot.incident WHERE id = ?`, f.After).Scan(&opened)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, store.ErrNoIncident
		}
		if err != nil {
			return nil, s.db.Wrap(err)
		}
		where, args = append(where, `(opened_at, id) < (?, ?)`), append(args, stamp(opened.Time), f.After)
	}
	return read(ctx, s, ScanDoc[incident.Incident],
		`SELECT doc FROM adfbot.incident WHERE `+strings.Join(where, ` AND `)+` ORDER BY opened_at DESC, id DESC LIMIT ?`, append(args, f.Limit)...)
}
