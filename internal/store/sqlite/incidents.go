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

// projectStates are the rows of [scanStates]. Each table is searched by project, so that a condition on it finds its rows by an index.
const projectStates = `
	SELECT 1 AS place, project, seq AS number, '' AS id, doc AS text, 0 AS size FROM incident WHERE settled = 0 AND %[1]s
	UNION ALL SELECT 2, project, since, id, note, 0 FROM hold WHERE %[1]s
	UNION ALL SELECT 3, project, mtime, pause, kind, size FROM host_flag WHERE %[1]s
	UNION ALL SELECT 4, id, generation, '', '', 0 FROM project WHERE %[2]s
	ORDER BY place, number`

// scanStates adds a row to the states of projects.
func scanStates(states map[string]incident.ProjectState) func(*sql.Rows) (struct{}, error) {
	return func(rows *sql.Rows) (_ struct{}, err error) {
		var place int
		var project, id, text string
		var number, size sql.NullInt64
		if err = rows.Scan(&place, &project, &number, &id, &text, &size); err != nil {
			return
		}
		s := states[project]
		switch place {
		case 1:
			var i incident.Incident
			err = json.Unmarshal([]byte(text), &i)
			s.Unsettled = append(s.Unsettled, i)
		case 2:
			s.Hold = &incident.Hold{ID: id, Project: project, Note: text, Since: timeOf(number)}
		case 3:
			s.Confirmed = incident.Confirmation{Pause: id, Identity: incident.FlagIdentity{Kind: incident.FlagKind(text), Mtime: number.Int64, Size: size.Int64}}
		default:
			s.Generation = number.Int64
		}
		states[project] = s
		return
	}
}

func (s *Store) ProjectState(ctx context.Context, project string) (incident.ProjectState, error) {
	states := map[string]incident.ProjectState{}
	_, err := read(ctx, s, scanStates(states), fmt.Sprintf(projectStates, `project = ?1`, `id = ?1`), project)
	return states[project], err
}

func (s *Store) ProjectStates(ctx context.Context) (map[string]incident.ProjectState, error) {
	states := map[string]incident.ProjectState{}
	_, err := read(ctx, s, scanStates(states), fmt.Sprintf(projectStates, `TRUE`, `TRUE`))
	return states, err
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
		if i.Ended.Equal(was.Ended) && i.Settled == was.Settled {
			return setIncidentDoc(ctx, tx, i)
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
		if err := raiseGeneration(ctx, tx, p, i.Generation); err != nil {
			return err
		}
		i.Generation = 0
		if len(i.Evidence.Runs) > 0 || i.Evidence.Output != "" {
			if len(i.Evidence.Earlier) == 0 {
				i.Evidence.Earlier, _ = earlier(ctx, tx, i.Project)
			}
			if err := putEvidence(ctx, tx, i); err != nil {
				return err
			}
		}
		return insertIncident(ctx, tx, i)
	})
	return i, err
}

func (s *Store) Resume(ctx context.Context, r incident.Resumption) (ended bool, err error) {
	err = s.tx(ctx, func(ctx context.Context, tx *txn) error {
		p, err := loadProject(ctx, tx, r.Project)
		if err != nil {
			return err
		}
		ended = r.Pause != "" && p.pause() == r.Pause // else another process has ended it
		if err := unconfirm(ctx, tx, r, ended); err != nil || !ended {
			return err
		}
		if p.open != "" {
			i, err := getIncident(ctx, tx, p.open)
			if err != nil {
				return err
			}
			i.Ended, i.EndedHow, i.NextTry = r.At.UTC(), r.How, time.Time{}
			if err := updateIncident(ctx, tx, i); err != nil {
				return err
			}
		}
		if _, err := tx.exec(ctx, `DELETE FROM hold WHERE project = ?`, r.Project); err != nil {
			return err
		}
		p.Generation++
		p.Breaker, p.HalfOpen, p.Resumed = breaker.State{}, true, r.At
		return saveProject(ctx, tx, p.Project)
	})
	return ended, err
}

// unconfirm deletes the confirmation of a pause, or keeps that its flag was removed, if that has ended it.
func unconfirm(ctx context.Context, tx *txn, r incident.Resumption, ended bool) (err error) {
	if ended && r.FlagRemoved {
		_, err = tx.exec(ctx, `UPDATE host_flag SET kind = ?, mtime = 0, size = 0 WHERE project = ? AND pause = ?`, incident.RemovedFlag, r.Project, r.Pause)
	} else {
		_, err = tx.exec(ctx, `DELETE FROM host_flag WHERE project = ? AND pause = ?`, r.Project, r.Pause)
	}
	return err
}

func getIncident(ctx context.Context, tx *txn, id string) (i incident.Incident, err error) {
	var doc string
	if err = queryRow(ctx, tx, `SELECT doc FROM incident WHERE id = ?`, id).Scan(&doc); err != nil {
		return i, fmt.Errorf("incident %s: %w", id, err)
	}
	return i, inContent(json.Unmarshal([]byte(doc), &i))
}

// insertIncident stores a new incident. If its flag was written already, that is confirmed: nobody has looked at it.
func insertIncident(ctx context.Context, tx *txn, i incident.Incident) error {
	if !i.FlagWritten.IsZero() && i.IsOpen() {
		if err := confirmFlag(ctx, tx, i.Project, incident.Confirmation{Pause: i.ID}); err != nil {
			return err
		}
	}
	return execDoc(ctx, tx, i, `INSERT INTO incident (doc, id, project, seq, opened_at, ended_at, settled) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		i.ID, i.Project, i.Seq, i.Opened.UnixMilli(), millis(i.Ended), i.Settled)
}

// setIncidentDoc is updateIncident for one whose other columns have not changed: SQLite writes the pages of each index whose columns are
// named, changed or not.
func setIncidentDoc(ctx context.Context, tx *txn, i incident.Incident) error {
	return execDoc(ctx, tx, i, `UPDATE incident SET doc = ? WHERE id = ?`, i.ID)
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
