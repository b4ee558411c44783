package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/terraphim/adfbot/breaker"
	"github.com/terraphim/adfbot/escalate/incident"
)

func (s *Store) Unsettled(ctx context.Context, project string) ([]incident.Incident, error) {
	if project == "" {
		return read(ctx, s, scanDoc[incident.Incident], `SELECT doc FROM incident WHERE settled = 0 ORDER BY project, seq`)
	}
	return read(ctx, s, scanDoc[incident.Incident], `SELECT doc FROM incident WHERE settled = 0 AND project = ? ORDER BY seq`, project)
}

func (s *Store) Incidents(ctx context.Context, ids ...string) ([]incident.Incident, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	return read(ctx, s, scanDoc[incident.Incident], `SELECT doc FROM incident WHERE id IN (SELECT value FROM json_each(?))`, string(list))
}

func (s *Store) ProjectState(ctx context.Context, project string) (unsettled []incident.Incident, hold *incident.Hold, err error) {
	_, err = read(ctx, s, func(rows *sql.Rows) (_ struct{}, err error) {
		var seq, since, written sql.NullInt64
		var text string
		if err = rows.Scan(&seq, &text, &since, &written); err != nil {
			return
		}
		if !seq.Valid {
			hold = &incident.Hold{Project: project, Note: text, Since: timeOf(since), FlagWritten: timeOf(written)}
			return
		}
		var i incident.Incident
		err = json.Unmarshal([]byte(text), &i)
		unsettled = append(unsettled, i)
		return
	}, `SELECT seq AS place, doc, NULL, NULL FROM incident WHERE settled = 0 AND project = ?1
		UNION ALL SELECT NULL, note, since, flag_written FROM hold WHERE project = ?1 ORDER BY place`, project)
	return unsettled, hold, err
}

func (s *Store) Evidence(ctx context.Context, id string) (e incident.Evidence, err error) {
	list, err := read(ctx, s, scanDoc[incident.Evidence], `SELECT doc FROM evidence WHERE incident = ?`, id)
	if len(list) > 0 {
		e = list[0]
	}
	return e, err
}

func (s *Store) Change(ctx context.Context, id string, f func(*incident.Incident)) (i incident.Incident, err error) {
	err = s.tx(ctx, func(ctx context.Context, tx *txn) (err error) {
		if i, err = getIncident(ctx, tx, id); err != nil {
			return err
		}
		was := i
		f(&i)
		if was.FlagWritten.IsZero() {
			if err := setFlagsWritten(ctx, tx, i.FlagWritten); err != nil {
				return err
			}
		}
		if i.Ended.Equal(was.Ended) && i.Settled == was.Settled {
			// SQLite writes the pages of each index whose columns are named, changed or not.
			return execDoc(ctx, tx, i, `UPDATE incident SET doc = ? WHERE id = ?`, i.ID)
		}
		return updateIncident(ctx, tx, i)
	})
	return i, err
}

func (s *Store) Insert(ctx context.Context, i incident.Incident) (incident.Incident, error) {
	err := s.tx(ctx, func(ctx context.Context, tx *txn) error {
		if old, err := getIncident(ctx, tx, i.ID); err == nil {
			i = old
			return nil
		} else if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		p, err := loadProject(ctx, tx, i.Project)
		if err != nil {
			return err
		}
		if i.IsOpen() && p.open != "" {
			return fmt.Errorf("project %s: %w", i.Project, incident.ErrOpenIncident)
		}
		var next int
		var taken bool
		if err := queryRow(ctx, tx, `SELECT coalesce(max(seq), 0) + 1, coalesce(max(seq = ?), 0) FROM incident WHERE project = ?`,
			i.Seq, i.Project).Scan(&next, &taken); err != nil {
			return err
		}
		if taken || i.Seq <= 0 {
			i.Seq = next
		}
		if err := setFlagsWritten(ctx, tx, i.FlagWritten); err != nil {
			return err
		}
		if len(i.Evidence.Runs) > 0 || i.Evidence.Output != "" {
			if err := putEvidence(ctx, tx, i); err != nil {
				return err
			}
		}
		return insertIncident(ctx, tx, i)
	})
	return i, err
}

func (s *Store) Resume(ctx context.Context, project, incident, how string, at time.Time) (ended bool, err error) {
	err = s.tx(ctx, func(ctx context.Context, tx *txn) error {
		p, err := loadProject(ctx, tx, project)
		if err != nil {
			return err
		}
		if incident != "" {
			if p.open != incident {
				return nil // another process has ended it
			}
			i, err := getIncident(ctx, tx, incident)
			if err != nil {
				return err
			}
			i.Ended, i.EndedHow, i.NextTry = at.UTC(), how, time.Time{}
			if err := updateIncident(ctx, tx, i); err != nil {
				return err
			}
		}
		if _, err := tx.exec(ctx, `DELETE FROM hold WHERE project = ?`, project); err != nil {
			return err
		}
		ended = incident != "" || p.held && p.open == ""
		if !ended {
			return nil
		}
		p.Generation++
		p.Breaker, p.HalfOpen, p.Resumed = breaker.State{}, true, at
		return saveProject(ctx, tx, p.Project)
	})
	return ended, err
}

func getIncident(ctx context.Context, tx *txn, id string) (i incident.Incident, err error) {
	var doc string
	if err = queryRow(ctx, tx, `SELECT doc FROM incident WHERE id = ?`, id).Scan(&doc); err != nil {
		return i, fmt.Errorf("incident %s: %w", id, err)
	}
	return i, inContent(json.Unmarshal([]byte(doc), &i))
}

func insertIncident(ctx context.Context, tx *txn, i incident.Incident) error {
	return execDoc(ctx, tx, i, `INSERT INTO incident (doc, id, project, seq, opened_at, ended_at, settled) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		i.ID, i.Project, i.Seq, i.Opened.UnixMilli(), millis(i.Ended), i.Settled)
}

func updateIncident(ctx context.Context, tx *txn, i incident.Incident) error {
	return execDoc(ctx, tx, i, `UPDATE incident SET doc = ?, ended_at = ?, settled = ? WHERE id = ?`, millis(i.Ended), i.Settled, i.ID)
}

func putEvidence(ctx context.Context, tx *txn, i incident.Incident) error {
	return execDoc(ctx, tx, i.Evidence, `INSERT INTO evidence (doc, incident) VALUES (?, ?)`, i.ID)
}

// earlier returns the last few ended incidents of a project, for the issue of the next one.
func earlier(ctx context.Context, tx *txn, project string) (out []incident.EarlierIncident, err error) {
	ended, err := list(ctx, tx, scanDoc[incident.Incident],
		`SELECT doc FROM incident WHERE project = ? AND ended_at IS NOT NULL ORDER BY seq DESC LIMIT 5`, project)
	for _, i := range ended {
		out = append(out, incident.EarlierIncident{Seq: i.Seq, Opened: i.Opened, Ended: i.Ended, Issue: i.Issue})
	}
	return out, err
}
