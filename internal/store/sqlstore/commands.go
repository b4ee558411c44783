package sqlstore

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

func (s *State) Operators(ctx context.Context, server string) ([]incident.Operator, error) {
	return read(ctx, s, func(row Row) (o incident.Operator, err error) {
		var asked Time
		err = row.Scan(&o.Login, &o.ID, &asked, &o.Problem)
		o.Asked = asked.Time
		return o, err
	}, `SELECT login, user_id, asked_at, problem FROM adfbot.operator WHERE server = ? ORDER BY place`, server)
}

func (s *State) SetOperators(ctx context.Context, server string, ops []incident.Operator) error {
	return s.db.Tx(ctx, func(ctx context.Context, tx Tx) error {
		if err := tx.Exec(ctx, `DELETE FROM adfbot.operator WHERE server = ?`, server); err != nil {
			return err
		}
		for n, o := range ops {
			if err := tx.Exec(ctx, `INSERT INTO adfbot.operator (server, login, user_id, asked_at, problem, place) VALUES (?, ?, ?, ?, ?, ?)
				ON CONFLICT DO NOTHING`, server, strings.ToLower(o.Login), o.ID, At(o.Asked), o.Problem, n); err != nil {
				return err
			}
		}
		if len(ops) > 0 {
			return nil
		}
		return tx.Exec(ctx, `DELETE FROM adfbot.scan WHERE server = ?`, server)
	})
}

func (s *State) CommentsRead(ctx context.Context, repo tracker.Repo) (time.Time, error) {
	var at Time
	err := First(ctx, s.db, `SELECT max(up_to) FROM adfbot.scan WHERE server = ? AND owner = ? AND repo = ?`, repo.Server, repo.Owner, repo.Name).Scan(&at)
	return at.Time, s.db.Wrap(err)
}

func (s *State) SetCommentsRead(ctx context.Context, repo tracker.Repo, upTo time.Time) error {
	return s.exec(ctx, `INSERT INTO adfbot.scan (server, owner, repo, up_to) VALUES (?, ?, ?, ?)
		ON CONFLICT (server, owner, repo) DO UPDATE SET up_to = excluded.up_to`, repo.Server, repo.Owner, repo.Name, stamp(upTo))
}

func (s *State) NewComments(ctx context.Context, server string, written map[int64]time.Time) ([]int64, error) {
	ids := slices.Sorted(maps.Keys(written))
	if len(ids) == 0 {
		return nil, nil
	}
	asked, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	known, err := read(ctx, s, ScanDoc[incident.Command],
		`SELECT doc FROM adfbot.command WHERE server = ? AND comment IN (SELECT CAST(value AS BIGINT) FROM json_each(?))`, server, string(asked))
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
func (s *State) AcceptCommand(ctx context.Context, c incident.Command) error {
	return s.db.Tx(ctx, func(ctx context.Context, tx Tx) error {
		known, err := List(ctx, tx, ScanDoc[incident.Command], `SELECT doc FROM adfbot.command WHERE server = ? AND comment = ? FOR UPDATE`,
			c.Issue.Repo.Server, c.Comment)
		if err != nil || isKnown(known, c.Comment, c.At) {
			return err
		}
		now, err := s.db.Now(ctx, tx)
		if err != nil {
			return err
		}
		// Not an upsert: where two hosts accept the command at once, the second one has to fail, and to find it on its next try.
		if len(known) > 0 {
			if err := tx.Exec(ctx, `DELETE FROM adfbot.command WHERE server = ? AND comment = ?`, c.Issue.Repo.Server, c.Comment); err != nil {
				return err
			}
		}
		if err := execDoc(ctx, tx, c, `INSERT INTO adfbot.command (doc, server, comment, project, accepted_at, done) VALUES (?, ?, ?, ?, ?, ?)`,
			c.Issue.Repo.Server, c.Comment, c.Project, stamp(now), c.Done); err != nil {
			return err
		}
		return tx.Exec(ctx, `DELETE FROM adfbot.command WHERE (server, comment) IN
			(SELECT server, comment FROM adfbot.command WHERE done AND accepted_at < ? LIMIT 100)`, stamp(now.Add(-keepCommands)))
	})
}

func (s *State) PendingCommands(ctx context.Context, server, project string) ([]incident.Command, error) {
	return read(ctx, s, ScanDoc[incident.Command],
		`SELECT doc FROM adfbot.command WHERE NOT done AND server = ? AND (? = '' OR project = ?) ORDER BY comment`, server, project, project)
}

func (s *State) ChangeCommand(ctx context.Context, c incident.Command, hold *incident.Hold, f func(*incident.Command) error) (incident.Command, error) {
	server, comment := c.Issue.Repo.Server, c.Comment
	change := func(ctx context.Context, tx Tx, p *Project) error {
		known, err := List(ctx, tx, ScanDoc[incident.Command], `SELECT doc FROM adfbot.command WHERE server = ? AND comment = ? FOR UPDATE`,
			server, comment)
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
			if err := p.pauseByHand(ctx, tx, *hold); err != nil {
				return err
			}
		}
		return execDoc(ctx, tx, c, `UPDATE adfbot.command SET doc = ?, done = ? WHERE server = ? AND comment = ?`, c.Done, server, comment)
	}
	var err error
	if hold == nil {
		err = s.db.Tx(ctx, func(ctx context.Context, tx Tx) error { return change(ctx, tx, nil) })
	} else {
		err = s.changeProject(ctx, hold.Project, func(ctx context.Context, tx Tx, p *Project) (bool, error) { return true, change(ctx, tx, p) })
	}
	return c, err
}
