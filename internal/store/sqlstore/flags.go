package sqlstore

import (
	"context"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
)

func (s *State) Confirm(ctx context.Context, project string, c incident.Confirmation, at time.Time) (confirmed bool, err error) {
	err = s.db.Tx(ctx, func(ctx context.Context, tx Tx) error {
		p, err := s.db.Lock(ctx, tx, project)
		if confirmed = err == nil && c.Pause != "" && p.Pause() == c.Pause; !confirmed {
			return err
		}
		if err := s.confirmFlag(ctx, tx, project, c); err != nil || p.Open == "" {
			return err
		}
		i, err := getIncident(ctx, tx, p.Open)
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
func (s *State) confirmFlag(ctx context.Context, tx Tx, project string, c incident.Confirmation) error {
	if err := s.SetFlagsWritten(ctx, tx); err != nil {
		return err
	}
	return tx.Exec(ctx, `INSERT INTO adfbot.host_flag (host, project, pause, kind, mtime, size) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (host, project) DO UPDATE SET pause = excluded.pause, kind = excluded.kind, mtime = excluded.mtime, size = excluded.size`,
		s.host, project, c.Pause, string(c.Identity.Kind), c.Identity.Mtime, c.Identity.Size)
}

func (s *State) Unconfirm(ctx context.Context, project, pause string) error {
	return s.exec(ctx, `DELETE FROM adfbot.host_flag WHERE host = ? AND project = ? AND pause = ?`, s.host, project, pause)
}

// unconfirm deletes the confirmation of a pause, or keeps that its flag was removed, if that has ended it.
func (s *State) unconfirm(ctx context.Context, tx Tx, r incident.Resumption, ended bool) error {
	if ended && r.FlagRemoved {
		return tx.Exec(ctx, `UPDATE adfbot.host_flag SET kind = ?, mtime = 0, size = 0 WHERE host = ? AND project = ? AND pause = ?`,
			string(incident.RemovedFlag), s.host, r.Project, r.Pause)
	}
	return tx.Exec(ctx, `DELETE FROM adfbot.host_flag WHERE host = ? AND project = ? AND pause = ?`, s.host, r.Project, r.Pause)
}

func (s *State) AddHold(ctx context.Context, h incident.Hold, flag incident.FlagIdentity, generation int64) (added bool, err error) {
	err = s.changeProject(ctx, h.Project, func(ctx context.Context, tx Tx, p *Project) (bool, error) {
		if added = !p.isPaused() || p.Open == "" && p.Hold.Ends(); !added {
			return false, nil
		}
		p.raiseGeneration(generation)
		p.setHold(h)
		return true, s.confirmFlag(ctx, tx, h.Project, incident.Confirmation{Pause: h.ID, Identity: flag})
	})
	return added, err
}
