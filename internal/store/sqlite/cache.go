package sqlite

import (
	"context"
	"database/sql"

	"github.com/terraphim/adfbot/escalate/tracker"
)

func (s *Store) Labels(ctx context.Context, repo tracker.Repo) (map[string]int64, error) {
	ids := map[string]int64{}
	_, err := read(ctx, s, func(rows *sql.Rows) (_ struct{}, err error) {
		var name string
		var id int64
		err = rows.Scan(&name, &id)
		ids[name] = id
		return
	}, `SELECT name, id FROM label WHERE server = ? AND owner = ? AND repo = ?`, repo.Server, repo.Owner, repo.Name)
	return ids, err
}

func (s *Store) SetLabels(ctx context.Context, repo tracker.Repo, ids map[string]int64) error {
	return s.tx(ctx, func(ctx context.Context, tx *txn) error {
		if _, err := tx.exec(ctx, `DELETE FROM label WHERE server = ? AND owner = ? AND repo = ?`, repo.Server, repo.Owner, repo.Name); err != nil {
			return err
		}
		for name, id := range ids {
			if _, err := tx.exec(ctx, `INSERT INTO label (server, owner, repo, name, id) VALUES (?, ?, ?, ?, ?)`,
				repo.Server, repo.Owner, repo.Name, name, id); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) Accounts(ctx context.Context, server string) ([]tracker.Account, error) {
	return read(ctx, s, func(rows *sql.Rows) (a tracker.Account, err error) {
		return a, rows.Scan(&a.ID, &a.Login)
	}, `SELECT user_id, login FROM account WHERE server = ? ORDER BY seen`, server)
}

func (s *Store) AddAccount(ctx context.Context, server string, a tracker.Account) error {
	return s.exec(ctx, `INSERT INTO account (server, user_id, login, seen)
		VALUES (?, ?, ?, (SELECT coalesce(max(seen), 0) + 1 FROM account))
		ON CONFLICT (server, user_id) DO UPDATE SET login = excluded.login, seen = excluded.seen`, server, a.ID, a.Login)
}
