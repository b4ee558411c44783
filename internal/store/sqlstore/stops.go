package sqlstore

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
)

// Whoever gives a project the hold of a stop has locked the stop before the project. So nobody does once the stop was ended.

func (s *State) Stops(ctx context.Context) ([]incident.Stop, error) {
	return read(ctx, s, ScanDoc[incident.Stop], `SELECT doc FROM adfbot.stop WHERE ended_at IS NULL
		OR id = (SELECT id FROM adfbot.stop WHERE ended_at IS NOT NULL ORDER BY ended_at DESC, id LIMIT 1) ORDER BY since, id`)
}

func (s *State) AddStop(ctx context.Context, stop incident.Stop) error {
	return s.db.Tx(ctx, func(ctx context.Context, tx Tx) error {
		return execDoc(ctx, tx, stop, `INSERT INTO adfbot.stop (doc, id, since, ended_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			stop.ID, stamp(stop.Since), At(stop.Ended))
	})
}

func (s *State) Covered(ctx context.Context, stop string) ([]string, error) {
	return read(ctx, s, scanText, `SELECT project FROM adfbot.stop_project WHERE stop = ? ORDER BY project`, stop)
}

func scanText(row Row) (text string, err error) { return text, row.Scan(&text) }

// coveredAtOnce bounds how long a transaction of Cover keeps others waiting.
const coveredAtOnce = 500

func (s *State) Cover(ctx context.Context, stop string, projects []string, hold func(project string) incident.Hold) (held []string, err error) {
	projects = slices.Compact(slices.Sorted(slices.Values(projects))) // two calls lock in the same order
	for some := range slices.Chunk(projects, coveredAtOnce) {
		var now []string
		err := s.db.Tx(ctx, func(ctx context.Context, tx Tx) error {
			now = nil
			inForce, err := List(ctx, tx, scanText, `SELECT id FROM adfbot.stop WHERE id = ? AND ended_at IS NULL FOR UPDATE`, stop)
			if err != nil || len(inForce) == 0 {
				return err
			}
			list, err := json.Marshal(some)
			if err != nil {
				return err
			}
			before, err := List(ctx, tx, scanText, `SELECT project FROM adfbot.stop_project WHERE stop = ? AND project IN (SELECT value FROM json_each(?))`,
				stop, string(list))
			if err != nil {
				return err
			}
			for _, project := range some {
				if slices.Contains(before, project) {
					continue
				}
				took, err := s.cover(ctx, tx, stop, project, hold)
				if err != nil {
					return err
				}
				if took {
					now = append(now, project)
				}
			}
			return nil
		})
		if err != nil {
			return held, err
		}
		held = append(held, now...)
	}
	return held, nil
}

func (s *State) cover(ctx context.Context, tx Tx, stop, project string, hold func(project string) incident.Hold) (held bool, err error) {
	p, err := s.db.Lock(ctx, tx, project)
	if err != nil {
		return false, err
	}
	was := p
	if held = !p.isPaused(); held {
		p.setHold(hold(project))
	}
	if err := s.db.Save(ctx, tx, was, p); err != nil {
		return false, err
	}
	return held, tx.Exec(ctx, `INSERT INTO adfbot.stop_project (stop, project) VALUES (?, ?)`, stop, project)
}

func (s *State) EndStop(ctx context.Context, id, how string, at time.Time) (ended bool, err error) {
	err = s.db.Tx(ctx, func(ctx context.Context, tx Tx) error {
		if id == "" {
			return tx.Exec(ctx, `UPDATE adfbot.hold SET until = ? WHERE stop <> '' AND stop NOT IN (SELECT id FROM adfbot.stop)`, stamp(incident.AtOnce))
		}
		found, err := List(ctx, tx, ScanDoc[incident.Stop], `SELECT doc FROM adfbot.stop WHERE id = ? AND ended_at IS NULL FOR UPDATE`, id)
		if ended = len(found) > 0; err != nil || !ended {
			return err
		}
		stop := found[0]
		stop.Ended, stop.EndedHow = at.UTC(), how
		if err := execDoc(ctx, tx, stop, `UPDATE adfbot.stop SET doc = ?, ended_at = ? WHERE id = ?`, stamp(at), id); err != nil {
			return err
		}
		if err := tx.Exec(ctx, `DELETE FROM adfbot.stop_project WHERE stop = ?`, id); err != nil {
			return err
		}
		return tx.Exec(ctx, `UPDATE adfbot.hold SET until = ? WHERE stop = ?`, stamp(incident.AtOnce), id)
	})
	return ended, err
}

func (s *State) EndHold(ctx context.Context, r incident.Resumption, next func([]incident.Stop) *incident.Hold) (end incident.HoldEnd, err error) {
	err = s.db.Tx(ctx, func(ctx context.Context, tx Tx) error {
		end = incident.HoldNotEnded
		stops, err := List(ctx, tx, ScanDoc[incident.Stop], `SELECT doc FROM adfbot.stop WHERE ended_at IS NULL ORDER BY since, id FOR UPDATE`)
		if err != nil {
			return err
		}
		p, err := s.db.Lock(ctx, tx, r.Project)
		if err != nil || p.Hold == nil || p.Hold.ID != r.Pause {
			return err
		}
		was := p
		left, err := List(ctx, tx, scanText, `SELECT stop FROM adfbot.stop_project WHERE project = ? AND resumed`, r.Project)
		if err != nil {
			return err
		}
		stops = slices.DeleteFunc(stops, func(s incident.Stop) bool { return s.Over(r.At) || slices.Contains(left, s.ID) })
		if p.Open != "" {
			end = incident.HoldDropped
			p.dropHold()
		} else if h := next(stops); h != nil {
			end = incident.HoldPassedOn
			p.setHold(*h)
			err = tx.Exec(ctx, `INSERT INTO adfbot.stop_project (stop, project) VALUES (?, ?) ON CONFLICT DO NOTHING`, h.Stop, r.Project)
		} else {
			end = incident.HoldResumed
			p.resume(r.At)
		}
		if err != nil {
			return err
		}
		return s.db.Save(ctx, tx, was, p)
	})
	return end, err
}

// leaveStops has the stops that have covered a project pause it no more.
func leaveStops(ctx context.Context, tx Tx, project string) error {
	return tx.Exec(ctx, `UPDATE adfbot.stop_project SET resumed = TRUE WHERE project = ? AND NOT resumed`, project)
}
