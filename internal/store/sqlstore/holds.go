package sqlstore

import (
	"context"

	"github.com/terraphim/adfbot/escalate/incident"
)

func (s *State) Hold(ctx context.Context, project string) (*incident.Hold, error) {
	holds, err := read(ctx, s, scanHold, `SELECT id, project, note, since, until, stop FROM adfbot.hold WHERE project = ?`, project)
	if len(holds) == 0 {
		return nil, err
	}
	return &holds[0], err
}

func (s *State) Holds(ctx context.Context) ([]incident.Hold, error) {
	return read(ctx, s, scanHold, `SELECT id, project, note, since, until, stop FROM adfbot.hold ORDER BY project`)
}

func scanHold(row Row) (h incident.Hold, err error) {
	var since, until Time
	err = row.Scan(&h.ID, &h.Project, &h.Note, &since, &until, &h.Stop)
	h.Since, h.Until = since.Time, until.Time
	return h, err
}

func (s *State) SetHold(ctx context.Context, h incident.Hold) error {
	return s.changeProject(ctx, h.Project, func(ctx context.Context, tx Tx, p *Project) (bool, error) {
		return true, p.pauseByHand(ctx, tx, h)
	})
}

func (s *State) DropHold(ctx context.Context, project string) error {
	return s.changeProject(ctx, project, func(_ context.Context, _ Tx, p *Project) (bool, error) {
		p.dropHold()
		return p.Stored, nil
	})
}
