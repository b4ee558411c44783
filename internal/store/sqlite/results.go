package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

func (s *Store) Record(ctx context.Context, r store.Result, l store.Limits) (a store.Answer, err error) {
	err = s.tx(ctx, func(ctx context.Context, tx *txn) error {
		p, err := loadProject(ctx, tx, r.Project)
		if err == nil {
			a, err = s.record(ctx, tx, p, r, l)
		}
		return err
	})
	return a, err
}

func (s *Store) RecordIfIdle(ctx context.Context, r store.Result, l store.Limits) (a store.Answer, idle bool, err error) {
	err = s.tx(ctx, func(ctx context.Context, tx *txn) error {
		p, err := loadProject(ctx, tx, r.Project)
		if idle = err == nil && p.pause() == ""; idle {
			a, err = s.record(ctx, tx, p, r, l)
		}
		return err
	})
	return a, idle, err
}

func (s *Store) record(ctx context.Context, tx *txn, p projectState, r store.Result, l store.Limits) (store.Answer, error) {
	if r.RunID != "" {
		if a, known, err := recorded(ctx, tx, r); known || err != nil {
			if err == nil {
				err = endRun(ctx, tx, r.Run)
			}
			return a, err
		}
	}
	a, trips := p.Count(r, l, p.open, s.now())
	if trips {
		i, err := s.openIncident(ctx, tx, r, l, a)
		if err != nil {
			return a, err
		}
		a.Incident, a.Tripped, a.Opened = i.ID, true, &i
	}
	if err := insertResult(ctx, tx, r, a, s.now()); err != nil {
		return a, err
	}
	if err := saveProject(ctx, tx, p.Project); err != nil {
		return a, err
	}
	return a, endRun(ctx, tx, r.Run)
}

// recorded returns the answer to an earlier result of the same run.
func recorded(ctx context.Context, tx *txn, r store.Result) (a store.Answer, known bool, err error) {
	a.Known = true
	var incident sql.NullString
	err = queryRow(ctx, tx, `SELECT outcome, counted, failures, threshold, tripped, incident FROM result
		WHERE project = ? AND agent = ? AND run_id = ?`, r.Project, r.Agent, r.RunID).
		Scan(&a.Outcome, &a.Counted, &a.Failures, &a.Threshold, &a.Tripped, &incident)
	if errors.Is(err, sql.ErrNoRows) {
		return store.Answer{}, false, nil
	}
	a.Incident = incident.String
	if !a.Counted {
		a.Why = store.WhyNotCounted(r)
	}
	if err == nil && a.Outcome != r.Outcome {
		err = fmt.Errorf("run %q of %s in %s is recorded as %s: %w", r.RunID, r.Agent, r.Project, a.Outcome, store.ErrConflict)
	}
	return a, true, err
}

// openIncident stores the incident of a result that is not stored yet.
func (s *Store) openIncident(ctx context.Context, tx *txn, r store.Result, l store.Limits, a store.Answer) (i incident.Incident, err error) {
	// A trip never fails over its evidence: what cannot be read is missing from it. Some of the runs are of agents that do not count.
	history, _ := results(ctx, tx, r.Project, 3*store.EvidenceRuns, noOutput)
	i = store.NewIncident(r, l, a, history, s.now())
	i.ID = pause.NewRandomID()
	if _, err := getIncident(ctx, tx, l.Incident); l.Incident != "" && errors.Is(err, sql.ErrNoRows) {
		i.ID = l.Incident
	}
	i.Evidence.Earlier, _ = earlier(ctx, tx, r.Project)
	if err := queryRow(ctx, tx, `SELECT coalesce(max(seq), 0) + 1 FROM incident WHERE project = ?`, r.Project).Scan(&i.Seq); err != nil {
		return i, err
	}
	if err := putEvidence(ctx, tx, i); err != nil {
		return i, err
	}
	return i, insertIncident(ctx, tx, i)
}

func insertResult(ctx context.Context, tx *txn, r store.Result, a store.Answer, now time.Time) error {
	output := r.Output
	if r.Outcome != store.Failure {
		output = ""
	}
	_, err := tx.exec(ctx, `INSERT INTO result (project, agent, run_id, outcome, counted, exit_code, signal, detail, host,
		started_at, finished_at, recorded_at, failures, threshold, incident, tripped, output)
		VALUES (?, ?, nullif(?, ''), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, ''), ?, nullif(?, ''))`,
		r.Project, r.Agent, r.RunID, r.Outcome, a.Counted, r.ExitCode, r.Signal, r.Detail, r.Host,
		millis(r.Started), millis(r.Finished), now.UnixMilli(), a.Failures, a.Threshold, a.Incident, a.Tripped, output)
	if err != nil || output == "" {
		return err
	}
	// A state of an earlier version may have any number. Those go bit by bit.
	_, err = tx.exec(ctx, `UPDATE result SET output = NULL WHERE id IN
		(SELECT id FROM result WHERE project = ? AND output IS NOT NULL ORDER BY id DESC LIMIT 20 OFFSET ?)`, r.Project, store.KeptOutputs)
	return err
}

// projectState is a project, the zero state if nothing is stored of it, with what pauses it now.
type projectState struct {
	store.Project
	open string // id of its open incident, or ""
	hold string // id of its hold, or ""
}

// pause returns the id of what pauses the project, see [incident.ProjectState].
func (p projectState) pause() string { return cmp.Or(p.open, p.hold) }

func loadProject(ctx context.Context, q querier, id string) (p projectState, err error) {
	p.ID = id
	var resumed sql.NullInt64
	var open, hold sql.NullString
	err = queryRow(ctx, q, `SELECT coalesce(generation, 0), coalesce(failures, 0), coalesce(tripped, 0), coalesce(half_open, 0), coalesce(ignored, 0),
		resumed_at, (SELECT id FROM incident WHERE project = wanted AND ended_at IS NULL),
		(SELECT id FROM hold WHERE project = wanted)
		FROM (SELECT ? AS wanted) LEFT JOIN project ON id = wanted`, id).
		Scan(&p.Generation, &p.Breaker.Failures, &p.Breaker.Tripped, &p.HalfOpen, &p.Ignored, &resumed, &open, &hold)
	p.Resumed, p.open, p.hold = timeOf(resumed), open.String, hold.String
	return p, err
}

// saveProject writes nothing if nothing has changed, as with most successes.
func saveProject(ctx context.Context, tx *txn, p store.Project) error {
	_, err := tx.exec(ctx, `INSERT INTO project (id, generation, failures, tripped, half_open, ignored, resumed_at)
		VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET generation = excluded.generation, failures = excluded.failures,
		tripped = excluded.tripped, half_open = excluded.half_open, ignored = excluded.ignored, resumed_at = excluded.resumed_at
		WHERE (generation, failures, tripped, half_open, ignored, resumed_at) IS NOT
			(excluded.generation, excluded.failures, excluded.tripped, excluded.half_open, excluded.ignored, excluded.resumed_at)`,
		p.ID, p.Generation, p.Breaker.Failures, p.Breaker.Tripped, p.HalfOpen, p.Ignored, millis(p.Resumed))
	return err
}
