package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/terraphim/adfbot/breaker"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
)

var (
	_ incident.State        = (*Store)(nil)
	_ incident.CommandState = (*Store)(nil)
)

func scanIncident(rows *sql.Rows) (i incident.Incident, err error) {
	var doc string
	if err = rows.Scan(&doc); err != nil {
		return i, err
	}
	return i, json.Unmarshal([]byte(doc), &i)
}

// Unsettled is [escalate.Ledger.Unsettled].
func (s *Store) Unsettled(ctx context.Context, project string) ([]incident.Incident, error) {
	query, args := `SELECT doc FROM incident WHERE settled = 0 ORDER BY project, seq`, []any(nil)
	if project != "" {
		query, args = `SELECT doc FROM incident WHERE settled = 0 AND project = ? ORDER BY seq`, []any{project}
	}
	rows, err := s.db.QueryContext(ctx, query, args...)
	out, err := collect(rows, err, scanIncident)
	return out, s.wrap(err)
}

// Incidents is [escalate.Ledger.Incidents].
func (s *Store) Incidents(ctx context.Context, ids ...string) ([]incident.Incident, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	rows, err := s.db.QueryContext(ctx, `SELECT doc FROM incident WHERE id IN (SELECT value FROM json_each(?))`, string(list))
	out, err := collect(rows, err, scanIncident)
	return out, s.wrap(err)
}

// Change is [escalate.Ledger.Change].
func (s *Store) Change(ctx context.Context, id string, f func(*incident.Incident)) (incident.Incident, error) {
	var i incident.Incident
	err := s.tx(ctx, func(ctx context.Context, tx *txn) error {
		var err error
		if i, err = getIncident(ctx, tx, id); err != nil {
			return err
		}
		noted := !i.FlagWritten.IsZero()
		f(&i)
		if !noted {
			if err := noteFlag(ctx, tx, i.FlagWritten); err != nil {
				return err
			}
		}
		return putIncident(ctx, tx, i)
	})
	return i, err
}

func getIncident(ctx context.Context, tx *txn, id string) (i incident.Incident, err error) {
	var doc string
	if err = tx.QueryRowContext(ctx, `SELECT doc FROM incident WHERE id = ?`, id).Scan(&doc); err != nil {
		return i, fmt.Errorf("incident %s: %w", id, err)
	}
	return i, json.Unmarshal([]byte(doc), &i)
}

func putIncident(ctx context.Context, tx *txn, i incident.Incident) error {
	doc, err := json.Marshal(i)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO incident (id, project, seq, opened_at, ended_at, settled, doc) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET ended_at = excluded.ended_at, settled = excluded.settled, doc = excluded.doc`,
		i.ID, i.Project, i.Seq, i.Opened.UnixMilli(), stamp(i.Ended), i.Settled, string(doc))
	return err
}

// ProjectState is [incident.State.Standing].
func (s *Store) ProjectState(ctx context.Context, project string) (unsettled []incident.Incident, hold *incident.Hold, err error) {
	rows, err := s.db.QueryContext(ctx, `SELECT seq AS place, doc, NULL, NULL FROM incident WHERE settled = 0 AND project = ?1
		UNION ALL SELECT NULL, note, since, flag_written FROM hold WHERE project = ?1 ORDER BY place`, project)
	_, err = collect(rows, err, func(rows *sql.Rows) (_ struct{}, err error) {
		var place, since, written sql.NullInt64
		var text string
		if err = rows.Scan(&place, &text, &since, &written); err != nil {
			return
		}
		if !place.Valid {
			hold = &incident.Hold{Project: project, Note: text, Since: unstamp(since), FlagWritten: unstamp(written)}
			return
		}
		var i incident.Incident
		err = json.Unmarshal([]byte(text), &i)
		unsettled = append(unsettled, i)
		return
	})
	return unsettled, hold, s.wrap(err)
}

// Insert is [escalate.Ledger.Insert]. An incident that exists already is returned as it is.
func (s *Store) Insert(ctx context.Context, i incident.Incident) (incident.Incident, error) {
	err := s.tx(ctx, func(ctx context.Context, tx *txn) error {
		if old, err := getIncident(ctx, tx, i.ID); err == nil {
			i = old
			return nil
		} else if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if i.IsOpen() {
			open, err := openIncident(ctx, tx, i.Project)
			if err != nil {
				return err
			}
			if open != "" {
				return fmt.Errorf("project %s: %w", i.Project, incident.ErrOpenIncident)
			}
		}
		next, err := nextSeq(ctx, tx, i.Project)
		if err != nil {
			return err
		}
		var taken bool
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM incident WHERE project = ? AND seq = ?)`, i.Project, i.Seq).Scan(&taken); err != nil {
			return err
		}
		if taken || i.Seq <= 0 {
			i.Seq = next
		}
		if err := noteFlag(ctx, tx, i.FlagWritten); err != nil {
			return err
		}
		if len(i.Evidence.Runs) > 0 || i.Evidence.Output != "" {
			if err := putEvidence(ctx, tx, i.ID, i.Evidence); err != nil {
				return err
			}
		}
		return putIncident(ctx, tx, i)
	})
	return i, err
}

// Resume is [escalate.Ledger.Resume].
func (s *Store) Resume(ctx context.Context, project, incident, how string, at time.Time) (bool, error) {
	ended := false
	err := s.tx(ctx, func(ctx context.Context, tx *txn) error {
		open, err := openIncident(ctx, tx, project)
		if err != nil {
			return err
		}
		switch {
		case incident != "" && open != incident:
			return nil // ended already, by another process
		case incident != "":
			i, err := getIncident(ctx, tx, incident)
			if err != nil {
				return err
			}
			i.Ended, i.EndedHow, i.NextTry = at.UTC(), how, time.Time{}
			if err := putIncident(ctx, tx, i); err != nil {
				return err
			}
			ended = true
		}
		res, err := tx.ExecContext(ctx, `DELETE FROM hold WHERE project = ?`, project)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil {
			return err
		} else if n > 0 && open == "" {
			ended = true
		}
		if !ended {
			return nil
		}
		p, err := loadProject(ctx, tx, project)
		if err != nil {
			return err
		}
		p.Generation++
		p.Breaker, p.HalfOpen, p.Resumed = breaker.State{}, true, at
		return saveProject(ctx, tx, p)
	})
	return ended, err
}

func openIncident(ctx context.Context, q querier, project string) (string, error) {
	var id string
	err := q.QueryRowContext(ctx, `SELECT id FROM incident WHERE project = ? AND ended_at IS NULL`, project).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}

func nextSeq(ctx context.Context, tx *txn, project string) (n int, err error) {
	err = tx.QueryRowContext(ctx, `SELECT coalesce(max(seq), 0) + 1 FROM incident WHERE project = ?`, project).Scan(&n)
	return n, err
}

// earlier returns the last few ended incidents of a project, for the next one's issue.
func earlier(ctx context.Context, tx *txn, project string) ([]incident.EarlierIncident, error) {
	rows, err := tx.QueryContext(ctx, `SELECT doc FROM incident WHERE project = ? AND ended_at IS NOT NULL ORDER BY seq DESC LIMIT 5`, project)
	list, err := collect(rows, err, scanIncident)
	var out []incident.EarlierIncident
	for _, i := range list {
		out = append(out, incident.EarlierIncident{Seq: i.Seq, Opened: i.Opened, Ended: i.Ended, Issue: i.Issue})
	}
	return out, err
}

// Hold is [escalate.Holds.Hold].
func (s *Store) Hold(ctx context.Context, project string) (*incident.Hold, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT project, note, since, flag_written FROM hold WHERE project = ?`, project)
	list, err := collect(rows, err, scanHold)
	if err != nil || len(list) == 0 {
		return nil, s.wrap(err)
	}
	return &list[0], nil
}

// Holds is [escalate.Holds.Holds].
func (s *Store) Holds(ctx context.Context) ([]incident.Hold, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT project, note, since, flag_written FROM hold ORDER BY project`)
	list, err := collect(rows, err, scanHold)
	return list, s.wrap(err)
}

func scanHold(rows *sql.Rows) (h incident.Hold, err error) {
	var since, written sql.NullInt64
	err = rows.Scan(&h.Project, &h.Note, &since, &written)
	h.Since, h.FlagWritten = unstamp(since), unstamp(written)
	return h, err
}

// SetHold is [escalate.Holds.SetHold].
func (s *Store) SetHold(ctx context.Context, h incident.Hold) error {
	return s.tx(ctx, func(ctx context.Context, tx *txn) error {
		if err := noteFlag(ctx, tx, h.FlagWritten); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO hold (project, note, since, flag_written) VALUES (?, ?, ?, ?)
			ON CONFLICT (project) DO UPDATE SET note = excluded.note, flag_written = excluded.flag_written`,
			h.Project, h.Note, h.Since.UnixMilli(), stamp(h.FlagWritten))
		return err
	})
}

// DropHold forgets a hold that never came about: its flag could not be written. Unlike a resume it leaves the breaker and
// the generation as they are.
func (s *Store) DropHold(ctx context.Context, project string) error {
	return s.tx(ctx, func(ctx context.Context, tx *txn) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM hold WHERE project = ?`, project)
		return err
	})
}

// Labels is [escalate.Memory.Labels].
func (s *Store) Labels(ctx context.Context, repo tracker.Repo) (map[string]int64, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT name, id FROM label WHERE server = ? AND owner = ? AND repo = ?`, repo.Server, repo.Owner, repo.Name)
	ids := map[string]int64{}
	_, err = collect(rows, err, func(rows *sql.Rows) (struct{}, error) {
		var name string
		var id int64
		err := rows.Scan(&name, &id)
		ids[name] = id
		return struct{}{}, err
	})
	return ids, s.wrap(err)
}

// SetLabels is [escalate.Memory.SetLabels].
func (s *Store) SetLabels(ctx context.Context, repo tracker.Repo, ids map[string]int64) error {
	return s.tx(ctx, func(ctx context.Context, tx *txn) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM label WHERE server = ? AND owner = ? AND repo = ?`, repo.Server, repo.Owner, repo.Name); err != nil {
			return err
		}
		for name, id := range ids {
			if _, err := tx.ExecContext(ctx, `INSERT INTO label (server, owner, repo, name, id) VALUES (?, ?, ?, ?, ?)`,
				repo.Server, repo.Owner, repo.Name, name, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// Accounts is [escalate.Memory.Accounts].
func (s *Store) Accounts(ctx context.Context, server string) ([]tracker.Account, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT user_id, login FROM account WHERE server = ? ORDER BY seen`, server)
	list, err := collect(rows, err, func(rows *sql.Rows) (a tracker.Account, err error) {
		return a, rows.Scan(&a.ID, &a.Login)
	})
	return list, s.wrap(err)
}

// AddAccount is [escalate.Memory.AddAccount].
func (s *Store) AddAccount(ctx context.Context, server string, a tracker.Account) error {
	return s.tx(ctx, func(ctx context.Context, tx *txn) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO account (server, user_id, login, seen)
			VALUES (?, ?, ?, (SELECT coalesce(max(seen), 0) + 1 FROM account))
			ON CONFLICT (server, user_id) DO UPDATE SET login = excluded.login, seen = excluded.seen`, server, a.ID, a.Login)
		return err
	})
}

// MoveServer gives everything that is known under one server's address another address: the same Gitea under a new name.
func (s *Store) MoveServer(ctx context.Context, from, to string) error {
	return s.tx(ctx, func(ctx context.Context, tx *txn) error {
		rows, err := tx.QueryContext(ctx, `SELECT doc FROM incident`)
		list, err := collect(rows, err, scanIncident)
		if err != nil {
			return err
		}
		for _, i := range list {
			i.Target = moved(i.Target, from, to)
			i.Issue = movedRef(i.Issue, from, to)
			for n := range i.Lost {
				i.Lost[n] = movedRef(i.Lost[n], from, to)
			}
			if err := putIncident(ctx, tx, i); err != nil {
				return err
			}
		}
		if err := moveEvidence(ctx, tx, from, to); err != nil {
			return err
		}
		for _, table := range []string{"label", "account"} {
			if _, err := tx.ExecContext(ctx, `UPDATE OR REPLACE `+table+` SET server = ? WHERE server = ?`, to, from); err != nil {
				return err
			}
		}
		return moveOrders(ctx, tx, from, to)
	})
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
