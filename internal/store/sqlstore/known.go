package sqlstore

import (
	"context"
	"slices"
)

func (s *State) KnownProjects(ctx context.Context) ([]string, error) {
	return read(ctx, s, func(row Row) (id string, err error) { return id, row.Scan(&id) }, `SELECT id FROM adfbot.project ORDER BY id`)
}

func (s *State) CountKnown(ctx context.Context) (n int, err error) {
	err = First(ctx, s.db, `SELECT count(*) FROM adfbot.project`).Scan(&n)
	return n, s.db.Wrap(err)
}

// knownAtOnce bounds how long a transaction of MakeKnown keeps others waiting.
const knownAtOnce = 500

func (s *State) MakeKnown(ctx context.Context, projects ...string) (added int, err error) {
	sorted := slices.Sorted(slices.Values(projects)) // two calls lock in the same order
	for some := range slices.Chunk(sorted, knownAtOnce) {
		n := 0
		err := s.db.Tx(ctx, func(ctx context.Context, tx Tx) error {
			n = 0
			for _, id := range some {
				made, err := List(ctx, tx, func(row Row) (id string, err error) { return id, row.Scan(&id) },
					`INSERT INTO adfbot.project (id) VALUES (?) ON CONFLICT DO NOTHING RETURNING id`, id)
				if err != nil {
					return err
				}
				n += len(made)
			}
			return nil
		})
		if err != nil {
			return added, err
		}
		added += n
	}
	return added, nil
}
