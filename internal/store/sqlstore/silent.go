package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
)

func (s *State) Silent(ctx context.Context, project string) ([]incident.Incident, error) {
	if project == "" {
		return read(ctx, s, ScanDoc[incident.Incident], `SELECT doc FROM adfbot.silence WHERE NOT settled ORDER BY project, seq`)
	}
	return read(ctx, s, ScanDoc[incident.Incident], `SELECT doc FROM adfbot.silence WHERE NOT settled AND project = ? ORDER BY seq`, project)
}

func (s *State) OpenSilent(ctx context.Context, new incident.Incident) (i incident.Incident, opened bool, err error) {
	err = s.changeProject(ctx, new.Project, func(ctx context.Context, tx Tx, p *Project) (bool, error) {
		i = new
		if opened, err = s.openSilent(ctx, tx, *p, &i); err != nil || !opened {
			return false, err
		}
		if len(i.Evidence.Runs) > 0 {
			if err := putEvidence(ctx, tx, &i); err != nil {
				return false, err
			}
		}
		return true, execDoc(ctx, tx, &i, `INSERT INTO adfbot.silence (doc, id, project, seq, opened_at, ended_at, settled) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			i.ID, i.Project, i.Seq, stamp(i.Opened), At(i.Ended), i.Settled)
	})
	return i, opened, err
}

// openSilent reports whether to store a silent incident of a locked project, and completes it.
func (s *State) openSilent(ctx context.Context, tx Tx, p Project, i *incident.Incident) (bool, error) {
	var next int
	var taken, open, known bool
	if err := First(ctx, tx, `SELECT coalesce(max(seq), 0) + 1, count(*) FILTER (WHERE seq = ?) > 0, count(*) FILTER (WHERE ended_at IS NULL) > 0,
		count(*) FILTER (WHERE id = ?) > 0 FROM adfbot.silence WHERE project = ?`, i.Seq, i.ID, i.Project).Scan(&next, &taken, &open, &known); err != nil {
		return false, err
	}
	var last Time
	err := First(ctx, tx, `SELECT recorded_at FROM adfbot.result WHERE project = ? AND counted ORDER BY id DESC LIMIT 1`, i.Project).Scan(&last)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	if err != nil || known {
		return false, err
	}
	if taken || i.Seq <= 0 {
		i.Seq = next
	}
	if i.Rebuilt {
		if i.LastResult = last.Time; open && i.IsOpen() {
			i.Ended, i.EndedHow, i.Replaced = i.Opened, "has another issue that tells of the same silence", true
		}
		return true, nil
	}
	return !open && !p.isPaused() && last.Equal(stamp(i.LastResult)), nil
}

func (s *State) EndSilent(ctx context.Context, id, how string, at time.Time) (i incident.Incident, ended bool, err error) {
	i, err = s.Change(ctx, id, func(i *incident.Incident) { ended = i.EndSilence(how, at) })
	return i, ended, err
}

// Of each project the last counted result, and then what else keeps it from being silent.
const reports = `WITH wanted AS (SELECT DISTINCT value AS project FROM json_each(?))
	SELECT 1 AS place, result.project, recorded_at AS moment, finished_at AS finished, '' AS host FROM wanted JOIN adfbot.result ON result.id =
		(SELECT max(last.id) FROM adfbot.result AS last WHERE last.project = wanted.project AND last.counted)
	UNION ALL SELECT 2, id, resumed_at, NULL, '' FROM wanted JOIN adfbot.project ON project.id = wanted.project WHERE resumed_at IS NOT NULL
	UNION ALL SELECT 3, hold.project, since, NULL, '' FROM wanted JOIN adfbot.hold ON hold.project = wanted.project
	UNION ALL SELECT 3, incident.project, opened_at, NULL, '' FROM wanted JOIN adfbot.incident ON incident.project = wanted.project WHERE ended_at IS NULL
	UNION ALL SELECT 4, silence.project, max(ended_at), NULL, '' FROM wanted JOIN adfbot.silence ON silence.project = wanted.project
		WHERE ended_at IS NOT NULL GROUP BY silence.project
	UNION ALL SELECT 5, run.project, started_at, NULL, host FROM wanted JOIN adfbot.run ON run.project = wanted.project
	ORDER BY place, moment DESC`

func (s *State) Reports(ctx context.Context, projects ...string) (map[string]store.Report, error) {
	out := map[string]store.Report{}
	if len(projects) == 0 {
		return out, nil
	}
	list, err := json.Marshal(projects)
	if err != nil {
		return nil, err
	}
	_, err = read(ctx, s, func(row Row) (_ struct{}, err error) {
		var place int
		var project, host string
		var at, finished Time
		if err = row.Scan(&place, &project, &at, &finished, &host); err != nil {
			return
		}
		r := out[project]
		switch place {
		case 1:
			if r.Recorded, r.Finished = at.Time, finished.Time; r.Finished.IsZero() || r.Finished.After(r.Recorded) {
				r.Finished = r.Recorded
			}
		case 2:
			r.Resumed = at.Time
		case 3:
			r.Paused = true
		case 4:
			r.SilenceEnded = at.Time
		default:
			r.Began, r.Host = at.Time, host // the oldest is the last
		}
		out[project] = r
		return
	}, reports, string(list))
	return out, err
}
