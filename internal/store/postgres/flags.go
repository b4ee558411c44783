package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store/sqlstore"
)

const (
	readMark = `SELECT epoch, seq, retired_at IS NOT NULL FROM adfbot.host WHERE id = ?`

	givenProjects = `SELECT DISTINCT value AS project FROM json_each(?)`

	// Of each of these flags there are just a few numbers to read. A pass reads them all once a second.
	readConfirmed = `SELECT flag.project, flag.pause, flag.kind, flag.mtime, flag.size FROM adfbot.host_flag AS flag
		JOIN adfbot.project ON project.id = flag.project AND project.pause = flag.pause WHERE flag.host = ? AND flag.kind IN ('bot', 'person')`

	// The second half finds flags of pauses that are over. A hold whose time is over is to be ended, confirmed or not.
	flaggedProjects = `((SELECT id AS project FROM adfbot.project WHERE pause IS NOT NULL
		UNION SELECT project FROM adfbot.host_flag WHERE host = ? AND kind NOT IN ('removed', 'failed'))
		EXCEPT SELECT flag.project FROM adfbot.host_flag AS flag JOIN adfbot.project ON project.id = flag.project AND project.pause = flag.pause
			WHERE flag.host = ? AND flag.kind IN ('bot', 'person'))
		UNION SELECT id FROM adfbot.project WHERE hold_until <= ?`

	// Of many projects only a few are wanted. OFFSET 0 has each table searched by its index once for each of them, whatever the server
	// knows of their number. The rows are those of [sqlstore.ScanStates].
	readStates = `WITH wanted AS MATERIALIZED (%s)
		SELECT 1 AS place, project, found.seq AS number, '' AS id, found.doc AS text, 0 AS size, NULL AS since, NULL AS until, '' AS stop FROM wanted,
			LATERAL (SELECT seq, doc FROM adfbot.incident WHERE NOT settled AND project = wanted.project OFFSET 0) AS found
		UNION ALL SELECT 2, project, 0, found.id, found.note, 0, found.since, found.until, found.stop FROM wanted,
			LATERAL (SELECT id, note, since, until, stop FROM adfbot.hold WHERE project = wanted.project OFFSET 0) AS found
		UNION ALL SELECT 3, project, found.mtime, found.pause, found.kind, found.size, NULL, NULL, '' FROM wanted,
			LATERAL (SELECT mtime, pause, kind, size FROM adfbot.host_flag WHERE host = ? AND project = wanted.project OFFSET 0) AS found
		UNION ALL SELECT 4, project, found.generation, '', '', 0, NULL, NULL, '' FROM wanted,
			LATERAL (SELECT generation FROM adfbot.project WHERE id = wanted.project OFFSET 0) AS found
		UNION ALL SELECT 5, project, found.seq, '', found.doc, 0, NULL, NULL, '' FROM wanted,
			LATERAL (SELECT seq, doc FROM adfbot.silence WHERE NOT settled AND project = wanted.project OFFSET 0) AS found
		ORDER BY place, number`
)

var (
	readGiven   = sync.OnceValue(func() string { return fmt.Sprintf(readStates, givenProjects) })
	readFlagged = sync.OnceValue(func() string { return fmt.Sprintf(readStates, flaggedProjects) })
)

// HostFlags implements [incident.FleetStore].
func (s *Store) HostFlags(ctx context.Context, projects ...string) (incident.HostFlags, error) {
	statements := []statement{s.statement(readMark, s.host), s.statement(readFlagged(), s.host, s.host, s.Now(), s.host), s.statement(readConfirmed, s.host)}
	if len(projects) > 0 {
		given := slices.Clone(projects)
		for n, id := range given {
			given[n] = storable(id)
		}
		list, err := json.Marshal(given)
		if err != nil {
			return incident.HostFlags{}, err
		}
		statements = []statement{statements[0], s.statement(readGiven(), string(list), s.host)}
	}
	results, err := s.readAtOnce(ctx, statements...)
	if err != nil {
		return incident.HostFlags{}, s.Wrap(err)
	}
	found := incident.HostFlags{States: map[string]incident.ProjectState{}}
	if mark := results[0]; mark.Next() {
		var retired bool
		err = mark.Scan(&found.Mark.Epoch, &found.Mark.Seq, &retired)
		err = cmp.Or(err, s.retired(retired))
	}
	if err == nil {
		_, err = sqlstore.Collect(results[1], sqlstore.ScanStates(found.States))
	}
	if err == nil && len(projects) == 0 {
		found.Confirmed, err = sqlstore.Collect(results[2], func(r sqlstore.Row) (c incident.FlagConfirmation, err error) {
			var kind string
			err = r.Scan(&c.Project, &c.Pause, &kind, &c.Identity.Mtime, &c.Identity.Size)
			c.Identity.Kind = incident.FlagKind(kind)
			return c, err
		})
	}
	if err != nil {
		return incident.HostFlags{}, s.Wrap(err)
	}
	return found, nil
}

// readAtOnce executes statements that see the state as it was at one moment. For those, whose cost the server cannot foresee, it must not
// compile a program first, which takes seconds.
func (s *Store) readAtOnce(ctx context.Context, statements ...statement) ([]*rows, error) {
	return s.read(ctx, []statement{{text: `BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY`}, {text: `SELECT set_config('jit', 'off', true)`}},
		statements, []statement{{text: `COMMIT`}})
}

// SetMark implements [incident.FleetStore].
func (s *Store) SetMark(ctx context.Context, m incident.DirMark) error {
	if m.Epoch == "" {
		return incident.ErrOtherEpoch
	}
	return s.tx(asHost(ctx), func(ctx context.Context, tx sqlstore.Tx) error {
		set, err := sqlstore.List(ctx, tx, func(sqlstore.Row) (struct{}, error) { return struct{}{}, nil },
			`INSERT INTO adfbot.host AS h (id, epoch, seq) VALUES (?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, seq = greatest(h.seq, excluded.seq)
			WHERE h.epoch IN ('', excluded.epoch) RETURNING seq`, s.host, m.Epoch, m.Seq)
		if err == nil && len(set) == 0 {
			err = incident.ErrOtherEpoch
		}
		return err
	})
}

// Void implements [incident.FleetStore].
func (s *Store) Void(ctx context.Context, m incident.DirMark) error {
	return s.tx(asHost(ctx), func(ctx context.Context, tx sqlstore.Tx) error {
		if err := tx.Exec(ctx, `INSERT INTO adfbot.host (id, epoch, seq) VALUES (?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq`, s.host, m.Epoch, m.Seq); err != nil {
			return err
		}
		return tx.Exec(ctx, `DELETE FROM adfbot.host_flag WHERE host = ?`, s.host)
	})
}

// Confirm implements [incident.FlagStore].
func (s *Store) Confirm(ctx context.Context, project string, c incident.Confirmation, at time.Time) (bool, error) {
	return s.State.Confirm(asHost(ctx), project, c, at)
}

// AddHold implements [incident.FlagStore].
func (s *Store) AddHold(ctx context.Context, h incident.Hold, flag incident.FlagIdentity, generation int64) (bool, error) {
	return s.State.AddHold(asHost(ctx), h, flag, generation)
}

// confirmation is a confirmation as PostgreSQL reads it, in an array of all of them.
type confirmation struct {
	Project string `json:"project"`
	Pause   string `json:"pause"`
	Kind    string `json:"kind"`
	Mtime   int64  `json:"mtime"`
	Size    int64  `json:"size"`
}

const (
	wantedFlags = `json_to_recordset(?::json) AS wanted (project TEXT, pause TEXT, kind TEXT, mtime BIGINT, size BIGINT)`

	// Those who change one of these projects, its incident or its confirmation, have locked it before. Others who lock several of
	// them do so in the same order.
	shareProjects = `WITH shared AS (SELECT id FROM adfbot.project WHERE id IN (SELECT project FROM ` + wantedFlags + `) ORDER BY id FOR SHARE)
		SELECT count(*) FROM shared`

	confirmAll = `INSERT INTO adfbot.host_flag AS flag (host, project, pause, kind, mtime, size)
		SELECT ?, wanted.project, wanted.pause, wanted.kind, wanted.mtime, wanted.size FROM ` + wantedFlags + `
			JOIN adfbot.project ON project.id = wanted.project AND project.pause = wanted.pause ORDER BY wanted.project
		ON CONFLICT (host, project) DO UPDATE SET pause = excluded.pause, kind = excluded.kind, mtime = excluded.mtime, size = excluded.size, error = ''
			WHERE (flag.pause, flag.kind, flag.mtime, flag.size) IS DISTINCT FROM (excluded.pause, excluded.kind, excluded.mtime, excluded.size)`

	unconfirmAll = `DELETE FROM adfbot.host_flag AS flag USING ` + wantedFlags + `
		WHERE flag.host = ? AND flag.project = wanted.project AND flag.pause = wanted.pause`

	// The incidents that lack FlagWritten, or have a FlagError. In a document, the text of a value has no bare quotation mark.
	unwritten = `SELECT doc FROM adfbot.incident WHERE id IN (SELECT project.incident FROM ` + wantedFlags + `
			JOIN adfbot.project ON project.id = wanted.project AND project.incident = wanted.pause)
		AND (doc NOT LIKE '%"FlagWritten":"%' OR doc LIKE '%"FlagError":"%') ORDER BY id FOR UPDATE`

	setDocs = `UPDATE adfbot.incident SET doc = changed.doc FROM json_to_recordset(?::json) AS changed (id TEXT, doc TEXT) WHERE incident.id = changed.id`
)

// ConfirmAll implements [incident.FleetStore] in two round trips.
func (s *Store) ConfirmAll(ctx context.Context, at time.Time, list []incident.FlagConfirmation) error {
	wanted, err := confirmations(list)
	if err != nil || wanted == "" {
		return err
	}
	return s.tx(asHost(ctx), func(ctx context.Context, tx sqlstore.Tx) error {
		if err := tx.Exec(ctx, shareProjects, wanted); err != nil {
			return err
		}
		if err := tx.Exec(ctx, confirmAll, s.host, wanted); err != nil {
			return err
		}
		if err := s.SetFlagsWritten(ctx, tx); err != nil {
			return err
		}
		incidents, err := sqlstore.List(ctx, tx, sqlstore.ScanDoc[incident.Incident], unwritten, wanted)
		if err != nil || len(incidents) == 0 {
			return err
		}
		changed := make([]changedDoc, len(incidents))
		for n, i := range incidents {
			if i.FlagError = ""; i.FlagWritten.IsZero() {
				i.FlagWritten = at
			}
			doc, err := json.Marshal(i)
			if err != nil {
				return err
			}
			changed[n] = changedDoc{i.ID, string(doc)}
		}
		docs, err := json.Marshal(changed)
		if err != nil {
			return err
		}
		return tx.Exec(ctx, setDocs, string(docs))
	})
}

type changedDoc struct {
	ID  string `json:"id"`
	Doc string `json:"doc"`
}

// confirmations returns the list as JSON, "" if it is empty. Of several confirmations of a project the last one counts.
func confirmations(list []incident.FlagConfirmation) (string, error) {
	last := map[string]confirmation{}
	for _, c := range list {
		last[c.Project] = confirmation{storable(c.Project), storable(c.Pause), string(c.Identity.Kind), c.Identity.Mtime, c.Identity.Size}
	}
	if len(last) == 0 {
		return "", nil
	}
	text, err := json.Marshal(slices.Collect(maps.Values(last)))
	return string(text), err
}

// UnconfirmAll implements [incident.FleetStore].
func (s *Store) UnconfirmAll(ctx context.Context, list []incident.FlagConfirmation) error {
	removed, err := confirmations(list)
	if err != nil || removed == "" {
		return err
	}
	return s.tx(asHost(ctx), func(ctx context.Context, tx sqlstore.Tx) error {
		return tx.Exec(ctx, unconfirmAll, removed, s.host)
	})
}

// FlagFailed implements [incident.FleetStore]. A flag is tried again and again, and mostly fails for the same reason: then nothing is locked.
func (s *Store) FlagFailed(ctx context.Context, project, pause, why string) error {
	var known bool
	err := sqlstore.First(ctx, s.database(), `SELECT EXISTS (SELECT FROM adfbot.host_flag
		WHERE host = ? AND project = ? AND pause = ? AND kind = 'failed' AND error = ?)`, s.host, project, pause, why).Scan(&known)
	if err != nil || known {
		return s.Wrap(err)
	}
	return s.tx(asHost(ctx), func(ctx context.Context, tx sqlstore.Tx) error {
		if err := tx.Exec(ctx, `SELECT id FROM adfbot.project WHERE id = ? FOR SHARE`, project); err != nil {
			return err
		}
		return tx.Exec(ctx, `INSERT INTO adfbot.host_flag AS flag (host, project, pause, kind, mtime, size, error)
			SELECT ?, id, pause, 'failed', 0, 0, ? FROM adfbot.project WHERE id = ? AND pause = ?
			ON CONFLICT (host, project) DO UPDATE SET pause = excluded.pause, kind = excluded.kind, mtime = 0, size = 0, error = excluded.error
			WHERE CASE WHEN flag.pause = excluded.pause THEN flag.kind IN ('removed', 'failed') AND flag.error <> excluded.error ELSE TRUE END`,
			s.host, why, project, pause)
	})
}
