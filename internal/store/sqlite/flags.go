package sqlite

import (
	"context"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
)

func (s *Store) Confirm(ctx context.Context, project string, c incident.Confirmation, at time.Time) (confirmed bool, err error) {
	err = s.tx(ctx, func(ctx context.Context, tx *txn) error {
		p, err := loadProject(ctx, tx, project)
		if confirmed = err == nil && c.Pause != "" && p.pause() == c.Pause; !confirmed {
			return err
		}
		if err := confirmFlag(ctx, tx, project, c); err != nil || p.open == "" {
			return err
		}
		i, err := getIncident(ctx, tx, p.open)
		if err != nil || !i.FlagWritten.IsZero() && i.FlagError == "" {
			return err
		}
		if i.FlagError = ""; i.FlagWritten.IsZero() {
			i.FlagWritten = at
		}
		return setIncidentDoc(ctx, tx, i)
	})
	return confirmed, err
}

// confirmFlag stores a confirmation in place of an earlier one.
func confirmFlag(ctx context.Context, tx *txn, project string, c incident.Confirmation) error {
	if err := setFlagsWritten(ctx, tx); err != nil {
		return err
	}
	_, err := tx.exec(ctx, `INSERT INTO host_flag (project, pause, kind, mtime, size) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (project) DO UPDATE SET pause = excluded.pause, kind = excluded.kind, mtime = excluded.mtime, size = excluded.size`,
		project, c.Pause, c.Identity.Kind, c.Identity.Mtime, c.Identity.Size)
	return err
}

func (s *Store) Unconfirm(ctx context.Context, project, pause string) error {
	return s.exec(ctx, `DELETE FROM host_flag WHERE project = ? AND pause = ?`, project, pause)
}

func (s *Store) AddHold(ctx context.Context, h incident.Hold, flag incident.FlagIdentity, generation int64) (added bool, err error) {
	err = s.tx(ctx, func(ctx context.Context, tx *txn) error {
		p, err := loadProject(ctx, tx, h.Project)
		if added = err == nil && p.pause() == ""; !added {
			return err
		}
		if err := raiseGeneration(ctx, tx, p, generation); err != nil {
			return err
		}
		if err := insertHold(ctx, tx, h); err != nil {
			return err
		}
		return confirmFlag(ctx, tx, h.Project, incident.Confirmation{Pause: h.ID, Identity: flag})
	})
	return added, err
}

// raiseGeneration follows a pause that an earlier state has known.
func raiseGeneration(ctx context.Context, tx *txn, p projectState, generation int64) error {
	if generation <= p.Generation {
		return nil
	}
	p.Generation = generation
	return saveProject(ctx, tx, p.Project)
}
