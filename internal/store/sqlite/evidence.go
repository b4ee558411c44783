package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/terraphim/adfbot/escalate/incident"
)

// Evidence is [escalate.Ledger.Evidence].
func (s *Store) Evidence(ctx context.Context, id string) (e incident.Evidence, err error) {
	var doc string
	err = s.db.QueryRowContext(ctx, `SELECT doc FROM evidence WHERE incident = ?`, id).Scan(&doc)
	if errors.Is(err, sql.ErrNoRows) {
		return e, nil
	}
	if err != nil {
		return e, s.wrap(err)
	}
	return e, json.Unmarshal([]byte(doc), &e)
}

func putEvidence(ctx context.Context, tx *txn, id string, e incident.Evidence) error {
	doc, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO evidence (incident, doc) VALUES (?, ?) ON CONFLICT (incident) DO UPDATE SET doc = excluded.doc`, id, string(doc))
	return err
}

// IncidentsOf returns a project's incidents, or all where project is "", newest first, with their evidence.
func (s *Store) IncidentsOf(ctx context.Context, project string, most int) ([]incident.Incident, error) {
	const from = `SELECT incident.doc, evidence.doc FROM incident LEFT JOIN evidence ON evidence.incident = incident.id `
	query, args := from+`ORDER BY opened_at DESC, id LIMIT ?`, []any{most}
	if project != "" {
		query, args = from+`WHERE project = ? ORDER BY seq DESC LIMIT ?`, []any{project, most}
	}
	rows, err := s.db.QueryContext(ctx, query, args...)
	out, err := collect(rows, err, func(rows *sql.Rows) (i incident.Incident, err error) {
		var doc string
		var evidence sql.NullString
		if err := rows.Scan(&doc, &evidence); err != nil {
			return i, err
		}
		if err := json.Unmarshal([]byte(doc), &i); err != nil || !evidence.Valid {
			return i, err
		}
		return i, json.Unmarshal([]byte(evidence.String), &i.Evidence)
	})
	return out, s.wrap(err)
}

// moveEvidence is the part of [Store.MoveServer] that concerns the issues of earlier incidents.
func moveEvidence(ctx context.Context, tx *txn, from, to string) error {
	type row struct {
		incident string
		incident.Evidence
	}
	rows, err := tx.QueryContext(ctx, `SELECT incident, doc FROM evidence`)
	list, err := collect(rows, err, func(rows *sql.Rows) (r row, err error) {
		var doc string
		if err := rows.Scan(&r.incident, &doc); err != nil {
			return r, err
		}
		return r, json.Unmarshal([]byte(doc), &r.Evidence)
	})
	if err != nil {
		return err
	}
	for _, r := range list {
		for n := range r.Earlier {
			r.Earlier[n].Issue = movedRef(r.Earlier[n].Issue, from, to)
		}
		if err := putEvidence(ctx, tx, r.incident, r.Evidence); err != nil {
			return err
		}
	}
	return nil
}
