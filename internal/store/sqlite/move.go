package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
)

func (s *Store) MoveServer(ctx context.Context, from, to string) error {
	return s.tx(ctx, func(ctx context.Context, tx *txn) error {
		if err := moveIncidents(ctx, tx, from, to); err != nil {
			return err
		}
		if err := moveEvidence(ctx, tx, from, to); err != nil {
			return err
		}
		if err := moveCommands(ctx, tx, from, to); err != nil {
			return err
		}
		for _, table := range []string{"label", "account", "operator", "scan", "command"} {
			if _, err := tx.exec(ctx, `UPDATE OR REPLACE `+table+` SET server = ? WHERE server = ?`, to, from); err != nil {
				return err
			}
		}
		return nil
	})
}

func moveIncidents(ctx context.Context, tx *txn, from, to string) error {
	incidents, err := list(ctx, tx, scanDoc[incident.Incident], `SELECT doc FROM incident`)
	if err != nil {
		return err
	}
	for _, i := range incidents {
		i.Target = moved(i.Target, from, to)
		i.Issue = movedRef(i.Issue, from, to)
		for n := range i.Lost {
			i.Lost[n] = movedRef(i.Lost[n], from, to)
		}
		if err := updateIncident(ctx, tx, i); err != nil {
			return err
		}
	}
	return nil
}

// moveEvidence moves the issues of earlier incidents.
func moveEvidence(ctx context.Context, tx *txn, from, to string) error {
	type row struct {
		incident string
		incident.Evidence
	}
	rows, err := list(ctx, tx, func(rows *sql.Rows) (r row, err error) {
		var doc string
		if err := rows.Scan(&r.incident, &doc); err != nil {
			return r, err
		}
		return r, json.Unmarshal([]byte(doc), &r.Evidence)
	}, `SELECT incident, doc FROM evidence`)
	if err != nil {
		return err
	}
	for _, r := range rows {
		for n := range r.Earlier {
			r.Earlier[n].Issue = movedRef(r.Earlier[n].Issue, from, to)
		}
		if err := execDoc(ctx, tx, r.Evidence, `UPDATE evidence SET doc = ? WHERE incident = ?`, r.incident); err != nil {
			return err
		}
	}
	return nil
}

func moveCommands(ctx context.Context, tx *txn, from, to string) error {
	commands, err := list(ctx, tx, scanDoc[incident.Command], `SELECT doc FROM command WHERE server = ?`, from)
	if err != nil {
		return err
	}
	for _, c := range commands {
		c.Issue = movedRef(c.Issue, from, to)
		if err := execDoc(ctx, tx, c, `UPDATE command SET doc = ? WHERE server = ? AND comment = ?`, from, c.Comment); err != nil {
			return err
		}
	}
	return nil
}

func moved(r tracker.Repo, from, to string) tracker.Repo {
	if r.Server == from {
		r.Server = to
	}
	return r
}

func movedRef(r tracker.IssueRef, from, to string) tracker.IssueRef {
	r.Repo = moved(r.Repo, from, to)
	if rest, ok := strings.CutPrefix(r.URL, from); ok && from != "" {
		r.URL = to + rest
	}
	return r
}
