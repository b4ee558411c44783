package sqlstore

import (
	"context"

	"github.com/terraphim/adfbot/escalate/tracker"
)

func (s *State) Labels(ctx context.Context, repo tracker.Repo) (map[string]int64, error) {
	ids := map[string]int64{}
	_, err := read(ctx, s, func(row Row) (_ struct{}, err error) {
		var name string
		var id int64
		err = row.Scan(&name, &id)
		ids[name] = id
		return
	}, `SELECT name, id FROM adfbot.label WHERE server = ? AND owner = ? AND repo = ?`, repo.Server, repo.Owner, repo.Name)
	return ids, err
}

func (s *State) SetLabels(ctx context.Context, repo tracker.Repo, ids map[string]int64) error {
	return s.db.Tx(ctx, func(ctx context.Context, tx Tx) error {
		if err := tx.Exec(ctx, `DELETE FROM adfbot.label WHERE server = ? AND owner = ? AND repo = ?`, repo.Server, repo.Owner, repo.Name); err != nil {
			return err
		}
		for name, id := range ids {
			if err := tx.Exec(ctx, `INSERT INTO adfbot.label (server, owner, repo, name, id) VALUES (?, ?, ?, ?, ?)`,
				repo.Server, repo.Owner, repo.Name, name, id); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *State) Accounts(ctx context.Context, server string) ([]tracker.Account, error) {
	return read(ctx, s, func(row Row) (a tracker.Account, err error) {
		return a, row.Scan(&a.ID, &a.Login)
	}, `SELECT user_id, login FROM adfbot.account WHERE server = ? ORDER BY seen`, server)
}

func (s *State) AddAccount(ctx context.Context, server string, a tracker.Account) error {
	return s.exec(ctx, `INSERT INTO adfbot.account (server, user_id, login, seen)
		VALUES (?, ?, ?, (SELECT coalesce(max(seen), 0) + 1 FROM adfbot.account))
		ON CONFLICT (server, user_id) DO UPDATE SET login = excluded.login, seen = excluded.seen`, server, a.ID, a.Login)
}
