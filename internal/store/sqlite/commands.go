package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// keepCommands is how long a command that is done is kept, so that its comment is not taken for a new one when it is edited.
const keepCommands = 90 * 24 * time.Hour

func (s *Store) Operators(ctx context.Context, server string) ([]incident.Operator, error) {
	return read(ctx, s, func(rows *sql.Rows) (o incident.Operator, err error) {
		var asked sql.NullInt64
		err = rows.Scan(&o.Login, &o.ID, &asked, &o.Problem)
		o.Asked = timeOf(asked)
		return o, err
	}, `SELECT login, user_id, asked_at, problem FROM operator WHERE server = ? ORDER BY place`, server)
}

func (s *Store) SetOperators(ctx context.Context, server string, ops []incident.Operator) error {
	return s.tx(ctx, func(ctx context.Context, tx *txn) error {
		if _, err := tx.exec(ctx, `DELETE FROM operator WHERE server = ?`, server); err != nil {
			return err
		}
		for n, o := range ops {
			if _, err := tx.exec(ctx, `INSERT INTO operator (server, login, user_id, asked_at, problem, place) VALUES (?, ?, ?, ?, ?, ?)
				ON CONFLICT DO NOTHING`, server, strings.ToLower(o.Login), o.ID, millis(o.Asked), o.Problem, n); err != nil {
				return err
			}
		}
		if len(ops) > 0 {
			return nil
		}
		_, err := tx.exec(ctx, `DELETE FROM scan WHERE server = ?`, server)
		return err
	})
}

func (s *Store) CommentsRead(ctx context.Context, repo tracker.Repo) (time.Time, error) {
	var at sql.NullInt64
	err := queryRow(ctx, s.db, `SELECT max(up_to) FROM scan WHERE server = ? AND owner = ? AND repo = ?`, repo.Server, repo.Owner, repo.Name).Scan(&at)
	return timeOf(at), s.wrap(err)
}

func (s *Store) SetCommentsRead(ctx context.Context, repo tracker.Repo, upTo time.Time) error {
	return s.exec(ctx, `INSERT INTO scan (server, owner, repo, up_to) VALUES (?, ?, ?, ?)
		ON CONFLICT (server, owner, repo) DO UPDATE SET up_to = excluded.up_to`, repo.Server, repo.Owner, repo.Name, upTo.UnixMilli())
}

func (s *Store) NewComments(ctx context.Context, server string, written map[int64]time.Time) ([]int64, error) {
	ids := slices.Sorted(maps.Keys(written))
	if len(ids) == 0 {
		return nil, nil
	}
	asked, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	known, err := read(ctx, s, scanDoc[incident.Command],
		`SELECT doc FROM command WHERE server = ? AND comment IN (SELECT value FROM json_each(?))`, server, string(asked))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(ids, func(id int64) bool { return isKnown(known, id, written[id]) }), nil
}

// isKnown reports whether one of the commands is of the comment with this id that was written then.
func isKnown(known []incident.Command, id int64, written time.Time) bool {
	return slices.ContainsFunc(known, func(c incident.Command) bool { return c.Comment == id && c.At.Equal(written) })
}

// AcceptCommand also deletes a few old commands that are done.
func (s *Store) AcceptCommand(ctx context.Context, c incident.Command) error {
	return s.tx(ctx, func(ctx context.Context, tx *txn) error {
		known, err := list(ctx, tx, scanDoc[incident.Command], `SELECT doc FROM command WHERE server = ? AND comment = ?`, c.Issue.Repo.Server, c.Comment)
		if err != nil || isKnown(known, c.Comment, c.At) {
			return err
		}
		if err := execDoc(ctx, tx, c, `INSERT OR REPLACE INTO command (doc, server, comment, project, accepted_at, done) VALUES (?, ?, ?, ?, ?, ?)`,
			c.Issue.Repo.Server, c.Comment, c.Project, s.now().UnixMilli(), c.Done); err != nil {
			return err
		}
		_, err = tx.exec(ctx, `DELETE FROM command WHERE (server, comment) IN
			(SELECT server, comment FROM command WHERE done = 1 AND accepted_at < ? LIMIT 100)`, s.now().Add(-keepCommands).UnixMilli())
		return err
	})
}

func (s *Store) PendingCommands(ctx context.Context, server, project string) ([]incident.Command, error) {
	return read(ctx, s, scanDoc[incident.Command],
		`SELECT doc FROM command WHERE done = 0 AND server = ? AND (? = '' OR project = ?) ORDER BY comment`, server, project, project)
}

func (s *Store) ChangeCommand(ctx context.Context, c incident.Command, hold *incident.Hold, f func(*incident.Command) error) (incident.Command, error) {
	server, comment := c.Issue.Repo.Server, c.Comment
	err := s.tx(ctx, func(ctx context.Context, tx *txn) error {
		known, err := list(ctx, tx, scanDoc[incident.Command], `SELECT doc FROM command WHERE server = ? AND comment = ?`, server, comment)
		if err != nil {
			return err
		}
		if len(known) == 0 {
			return fmt.Errorf("command in comment %d: %w", comment, sql.ErrNoRows)
		}
		c = known[0]
		if err := f(&c); err != nil {
			return err
		}
		if hold != nil {
			if err := insertHold(ctx, tx, *hold); err != nil {
				return err
			}
		}
		return execDoc(ctx, tx, c, `UPDATE command SET doc = ?, done = ? WHERE server = ? AND comment = ?`, c.Done, server, comment)
	})
	return c, err
}
