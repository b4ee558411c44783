package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
)

// IncidentPage returns at most Limit incidents, the newest first. Incidents that are opened meanwhile do not move a later
// page.
func (s *Store) IncidentPage(ctx context.Context, f store.IncidentFilter) ([]incident.Incident, error) {
	var where []string
	var args []any
	if f.Projects != nil {
		// json_each takes any number of ids, and none.
		where = append(where, `project IN (SELECT value FROM json_each(?))`)
		ids, err := json.Marshal(f.Projects)
		if err != nil {
			return nil, err
		}
		args = append(args, string(ids))
	}
	switch f.State {
	case store.OpenIncidents:
		where = append(where, `ended_at IS NULL`)
	case store.EndedIncidents:
		where = append(where, `ended_at IS NOT NULL`)
	}
	if f.After != "" {
		var opened int64
		err := s.db.QueryRowContext(ctx, `SELECT opened_at FROM incident WHERE id = ?`, f.After).Scan(&opened)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, store.ErrNoIncident
		}
		if err != nil {
			return nil, s.wrap(err)
		}
		where = append(where, `(opened_at, id) < (?, ?)`)
		args = append(args, opened, f.After)
	}
	query := `SELECT doc FROM incident`
	if len(where) > 0 {
		query += ` WHERE ` + strings.Join(where, ` AND `)
	}
	rows, err := s.db.QueryContext(ctx, query+` ORDER BY opened_at DESC, id DESC LIMIT ?`, append(args, f.Limit)...)
	out, err := collect(rows, err, scanIncident)
	return out, s.wrap(err)
}
