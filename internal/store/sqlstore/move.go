package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
)

func (s *State) MoveServer(ctx context.Context, from, to string) error {
	if from == to {
		return nil
	}
	return s.db.Tx(ctx, func(ctx context.Context, tx Tx) error {
		if err := moveIncidents(ctx, tx, "", from, to); err != nil {
			return err
		}
		if err := moveEvidence(ctx, tx, from, to); err != nil {
			return err
		}
		if err := moveCommands(ctx, tx, from, to); err != nil {
			return err
		}
		for _, t := range []struct{ name, key string }{
			{"label", "owner, repo, name"}, {"account", "user_id"}, {"operator", "login"}, {"scan", "owner, repo"}, {"command", "comment"},
		} {
			// What was known under the new address gives way.
			if err := tx.Exec(ctx, fmt.Sprintf(`DELETE FROM adfbot.%[1]s WHERE server = ? AND (%[2]s) IN (SELECT %[2]s FROM adfbot.%[1]s WHERE server = ?)`,
				t.name, t.key), to, from); err != nil {
				return err
			}
			if err := tx.Exec(ctx, `UPDATE adfbot.`+t.name+` SET server = ? WHERE server = ?`, to, from); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *State) MoveUnfinished(ctx context.Context, from, to string) error {
	return s.db.Tx(ctx, func(ctx context.Context, tx Tx) error { return moveIncidents(ctx, tx, ` WHERE NOT settled`, from, to) })
}

func moveIncidents(ctx context.Context, tx Tx, where, from, to string) error {
	incidents, err := List(ctx, tx, ScanDoc[incident.Incident], `SELECT doc FROM adfbot.incident`+where+` FOR UPDATE`)
	if err != nil {
		return err
	}
	silent, err := List(ctx, tx, ScanDoc[incident.Incident], `SELECT doc FROM adfbot.silence`+where+` FOR UPDATE`)
	if err != nil {
		return err
	}
	moving := append(incidents, silent...)
	for n := range moving {
		i := &moving[n]
		i.Target, i.Repo = moved(i.Target, from, to), moved(i.Repo, from, to)
		i.Issue = movedRef(i.Issue, from, to)
		for lost := range i.Lost {
			i.Lost[lost] = movedRef(i.Lost[lost], from, to)
		}
		if err := updateIncident(ctx, tx, i); err != nil {
			return err
		}
	}
	return nil
}

// moveEvidence moves the issues of earlier incidents.
func moveEvidence(ctx context.Context, tx Tx, from, to string) error {
	type row struct {
		incident string
		incident.Evidence
	}
	rows, err := List(ctx, tx, func(row Row) (r row, err error) {
		var doc string
		if err := row.Scan(&r.incident, &doc); err != nil {
			return r, err
		}
		return r, json.Unmarshal([]byte(doc), &r.Evidence)
	}, `SELECT incident, doc FROM adfbot.evidence`)
	if err != nil {
		return err
	}
	for _, r := range rows {
		for n := range r.Earlier {
			r.Earlier[n].Issue = movedRef(r.Earlier[n].Issue, from, to)
		}
		if err := execDoc(ctx, tx, r.Evidence, `UPDATE adfbot.evidence SET doc = ? WHERE incident = ?`, r.incident); err != nil {
			return err
		}
	}
	return nil
}

func moveCommands(ctx context.Context, tx Tx, from, to string) error {
	commands, err := List(ctx, tx, ScanDoc[incident.Command], `SELECT doc FROM adfbot.command WHERE server = ?`, from)
	if err != nil {
		return err
	}
	for _, c := range commands {
		c.Issue = movedRef(c.Issue, from, to)
		if err := execDoc(ctx, tx, c, `UPDATE adfbot.command SET doc = ? WHERE server = ? AND comment = ?`, from, c.Comment); err != nil {
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
