package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// keepOrders is how long an order that is done is kept, so that its comment is not taken for a new one when it is edited.
const keepOrders = 90 * 24 * time.Hour

// Operators is [escalate.Orders.Operators].
func (s *Store) Operators(ctx context.Context, server string) ([]incident.Operator, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT login, user_id, asked_at, problem FROM operator WHERE server = ? ORDER BY place`, server)
	list, err := collect(rows, err, func(rows *sql.Rows) (o incident.Operator, err error) {
		var asked sql.NullInt64
		err = rows.Scan(&o.Login, &o.ID, &asked, &o.Problem)
		o.Asked = unstamp(asked)
		return o, err
	})
	return list, s.wrap(err)
}

// SetOperators is [escalate.Orders.SetOperators]. Without operators it is forgotten too up to where comments were read.
func (s *Store) SetOperators(ctx context.Context, server string, ops []incident.Operator) error {
	return s.tx(ctx, func(ctx context.Context, tx *txn) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM operator WHERE server = ?`, server); err != nil {
			return err
		}
		for n, o := range ops {
			if _, err := tx.ExecContext(ctx, `INSERT INTO operator (server, login, user_id, asked_at, problem, place) VALUES (?, ?, ?, ?, ?, ?)
				ON CONFLICT DO NOTHING`, server, strings.ToLower(o.Login), o.ID, stamp(o.Asked), o.Problem, n); err != nil {
				return err
			}
		}
		if len(ops) > 0 {
			return nil
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM scan WHERE server = ?`, server)
		return err
	})
}

// CommentsRead is [escalate.Orders.Scanned].
func (s *Store) CommentsRead(ctx context.Context, repo tracker.Repo) (time.Time, error) {
	var at sql.NullInt64
	err := s.db.QueryRowContext(ctx, `SELECT up_to FROM scan WHERE server = ? AND owner = ? AND repo = ?`, repo.Server, repo.Owner, repo.Name).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return unstamp(at), s.wrap(err)
}

// SetCommentsRead is [escalate.Orders.SetScanned].
func (s *Store) SetCommentsRead(ctx context.Context, repo tracker.Repo, upTo time.Time) error {
	return s.tx(ctx, func(ctx context.Context, tx *txn) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO scan (server, owner, repo, up_to) VALUES (?, ?, ?, ?)
			ON CONFLICT (server, owner, repo) DO UPDATE SET up_to = excluded.up_to`, repo.Server, repo.Owner, repo.Name, upTo.UnixMilli())
		return err
	})
}

// NewComments is [escalate.Orders.NewComments].
func (s *Store) NewComments(ctx context.Context, server string, written map[int64]time.Time) ([]int64, error) {
	ids := slices.Sorted(maps.Keys(written))
	if len(ids) == 0 {
		return nil, nil
	}
	asked, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	rows, err := s.db.QueryContext(ctx, `SELECT doc FROM command WHERE server = ? AND comment IN (SELECT value FROM json_each(?))`, server, string(asked))
	known, err := collect(rows, err, scanOrder)
	if err != nil {
		return nil, s.wrap(err)
	}
	return slices.DeleteFunc(ids, func(id int64) bool { return isKnown(known, id, written[id]) }), nil
}

// isKnown tells whether one of the orders is of the comment with this id that was written then.
func isKnown(known []incident.Command, id int64, written time.Time) bool {
	return slices.ContainsFunc(known, func(o incident.Command) bool { return o.Comment == id && o.At.Equal(written) })
}

// AcceptCommand is [escalate.Orders.Accept]. It also forgets old orders that are done, a few at a time.
func (s *Store) AcceptCommand(ctx context.Context, o incident.Command) error {
	doc, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return s.tx(ctx, func(ctx context.Context, tx *txn) error {
		rows, err := tx.QueryContext(ctx, `SELECT doc FROM command WHERE server = ? AND comment = ?`, o.Issue.Repo.Server, o.Comment)
		known, err := collect(rows, err, scanOrder)
		if err != nil || isKnown(known, o.Comment, o.At) {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO command (server, comment, project, accepted_at, done, doc) VALUES (?, ?, ?, ?, ?, ?)`,
			o.Issue.Repo.Server, o.Comment, o.Project, s.now().UnixMilli(), o.Done, string(doc)); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM command WHERE (server, comment) IN
			(SELECT server, comment FROM command WHERE done = 1 AND accepted_at < ? LIMIT 100)`, s.now().Add(-keepOrders).UnixMilli())
		return err
	})
}

// PendingCommands is [escalate.Orders.Outstanding].
func (s *Store) PendingCommands(ctx context.Context, server, project string) ([]incident.Command, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT doc FROM command WHERE done = 0 AND server = ? AND (? = '' OR project = ?) ORDER BY comment`,
		server, project, project)
	list, err := collect(rows, err, scanOrder)
	return list, s.wrap(err)
}

func scanOrder(rows *sql.Rows) (o incident.Command, err error) {
	var doc string
	if err = rows.Scan(&doc); err != nil {
		return o, err
	}
	return o, json.Unmarshal([]byte(doc), &o)
}

// ChangeCommand is [escalate.Orders.ChangeOrder].
func (s *Store) ChangeCommand(ctx context.Context, o incident.Command, hold *incident.Hold, f func(*incident.Command)) (incident.Command, error) {
	err := s.tx(ctx, func(ctx context.Context, tx *txn) error {
		server := o.Issue.Repo.Server
		var doc string
		if err := tx.QueryRowContext(ctx, `SELECT doc FROM command WHERE server = ? AND comment = ?`, server, o.Comment).Scan(&doc); err != nil {
			return fmt.Errorf("order of comment %d: %w", o.Comment, err)
		}
		o = incident.Command{}
		if err := json.Unmarshal([]byte(doc), &o); err != nil {
			return err
		}
		f(&o)
		b, err := json.Marshal(o)
		if err != nil {
			return err
		}
		if hold != nil {
			if _, err := tx.ExecContext(ctx, `INSERT INTO hold (project, note, since, flag_written) VALUES (?, ?, ?, NULL)
				ON CONFLICT (project) DO NOTHING`, hold.Project, hold.Note, hold.Since.UnixMilli()); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `UPDATE command SET done = ?, doc = ? WHERE server = ? AND comment = ?`, o.Done, string(b), server, o.Comment)
		return err
	})
	return o, err
}

// moveOrders gives the operators, orders and scans of one server another address, see MoveServer.
func moveOrders(ctx context.Context, tx *txn, from, to string) error {
	rows, err := tx.QueryContext(ctx, `SELECT doc FROM command WHERE server = ?`, from)
	list, err := collect(rows, err, scanOrder)
	if err != nil {
		return err
	}
	for _, o := range list {
		o.Issue = movedRef(o.Issue, from, to)
		doc, err := json.Marshal(o)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE command SET doc = ? WHERE server = ? AND comment = ?`, string(doc), from, o.Comment); err != nil {
			return err
		}
	}
	for _, table := range []string{"operator", "scan", "command"} {
		if _, err := tx.ExecContext(ctx, `UPDATE OR REPLACE `+table+` SET server = ? WHERE server = ?`, to, from); err != nil {
			return err
		}
	}
	return nil
}
