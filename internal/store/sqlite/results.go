package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/terraphim/adfbot/breaker"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// evidenceRuns is how many runs an issue tells of.
const evidenceRuns = 10

// Record stores a result and moves the breaker, in one transaction. At the trip the incident is in it too, so that a
// stored trip can't be lost. It returns the answer after the transaction is on disk.
func (s *Store) Record(ctx context.Context, r store.Result, l store.Limits) (store.Answer, error) {
	var a store.Answer
	err := s.tx(ctx, func(ctx context.Context, tx *txn) error {
		p, err := standing(ctx, tx, r.Project)
		if err == nil {
			a, err = s.record(ctx, tx, p, r, l)
		}
		return err
	})
	return a, err
}

// RecordIfIdle is Record for a project without a hold and without an open incident. Where there is one, it stores nothing
// and returns false: whoever records looks first what has become of it.
func (s *Store) RecordIfIdle(ctx context.Context, r store.Result, l store.Limits) (a store.Answer, idle bool, err error) {
	err = s.tx(ctx, func(ctx context.Context, tx *txn) error {
		p, err := standing(ctx, tx, r.Project)
		if idle = err == nil && !p.held && p.open == ""; idle {
			a, err = s.record(ctx, tx, p, r, l)
		}
		return err
	})
	return a, idle, err
}

func (s *Store) record(ctx context.Context, tx *txn, p projectNow, r store.Result, l store.Limits) (store.Answer, error) {
	if r.RunID != "" {
		if a, ok, err := recorded(ctx, tx, r); ok || err != nil {
			if err == nil {
				err = endRun(ctx, tx, r.Run)
			}
			return a, err
		}
	}
	a := store.Answer{Outcome: r.Outcome, Threshold: l.Threshold}
	if p.HalfOpen {
		a.Threshold = l.Resume
	}
	a.Threshold = max(a.Threshold, 1)
	trips := false
	if a.Counted, a.Why = counts(r, p.Project, s.now()); a.Counted {
		p.Breaker, trips = p.Breaker.Next(a.Threshold, r.Outcome == store.Success)
		p.HalfOpen = p.HalfOpen && r.Outcome != store.Success
	}
	if breaker.Counts(r.Agent) {
		p.Ignored++
		if r.Outcome != store.Ignored {
			p.Ignored = 0
		}
	}
	a.Failures, a.Incident = p.Breaker.Failures, p.open
	if trips && p.open == "" {
		i, err := s.trip(ctx, tx, r, l, a)
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

// counts decides whether a result moves the breaker, and says why not. A resume in the future was noted by a clock that was
// wrong: compared with that nothing would count until then.
func counts(r store.Result, p store.Project, now time.Time) (bool, string) {
	switch {
	case !breaker.Counts(r.Agent),
		r.Outcome == store.Ignored,
		r.Generation != nil && *r.Generation != p.Generation,
		r.Generation == nil && !r.Started.IsZero() && !p.Resumed.IsZero() && !r.Started.After(p.Resumed) && !p.Resumed.After(now):
		return false, whyNot(r)
	}
	return true, ""
}

// whyNot says why a result did not count, of which no more need be known: the reason is not stored with it.
func whyNot(r store.Result) string {
	switch {
	case !breaker.Counts(r.Agent):
		return "only project-meta agents count"
	case r.Outcome == store.Ignored:
		return "the result is ignored"
	}
	return "the run began before the last resume of the project was noticed"
}

// recorded looks for an earlier result of the same run.
func recorded(ctx context.Context, tx *txn, r store.Result) (store.Answer, bool, error) {
	a := store.Answer{Known: true}
	var incident sql.NullString
	err := tx.QueryRowContext(ctx, `SELECT outcome, counted, failures, threshold, tripped, incident FROM result
		WHERE project = ? AND agent = ? AND run_id = ?`, r.Project, r.Agent, r.RunID).
		Scan(&a.Outcome, &a.Counted, &a.Failures, &a.Threshold, &a.Tripped, &incident)
	if errors.Is(err, sql.ErrNoRows) {
		return store.Answer{}, false, nil
	}
	a.Incident = incident.String
	if !a.Counted {
		a.Why = whyNot(r)
	}
	if err == nil && a.Outcome != r.Outcome {
		err = fmt.Errorf("run %q of %s in %s is recorded as %s: %w", r.RunID, r.Agent, r.Project, a.Outcome, store.ErrConflict)
	}
	return a, true, err
}

func loadProject(ctx context.Context, q querier, id string) (store.Project, error) {
	p, err := standing(ctx, q, id)
	return p.Project, err
}

// projectNow is a project, the zero state where nothing is kept of it, with what stands for it now.
type projectNow struct {
	store.Project
	open string // id of its open incident, or ""
	held bool   // it has a hold
}

func standing(ctx context.Context, q querier, id string) (p projectNow, err error) {
	p.ID = id
	var resumed sql.NullInt64
	var open sql.NullString
	err = q.QueryRowContext(ctx, `SELECT coalesce(generation, 0), coalesce(failures, 0), coalesce(tripped, 0), coalesce(half_open, 0), coalesce(ignored, 0),
		resumed_at, (SELECT id FROM incident WHERE project = wanted AND ended_at IS NULL),
		EXISTS (SELECT 1 FROM hold WHERE project = wanted)
		FROM (SELECT ? AS wanted) LEFT JOIN project ON id = wanted`, id).
		Scan(&p.Generation, &p.Breaker.Failures, &p.Breaker.Tripped, &p.HalfOpen, &p.Ignored, &resumed, &open, &p.held)
	p.Resumed, p.open = unstamp(resumed), open.String
	return p, err
}

// saveProject writes nothing where nothing has changed, as with most successes.
func saveProject(ctx context.Context, tx *txn, p store.Project) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO project (id, generation, failures, tripped, half_open, ignored, resumed_at)
		VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET generation = excluded.generation, failures = excluded.failures,
		tripped = excluded.tripped, half_open = excluded.half_open, ignored = excluded.ignored, resumed_at = excluded.resumed_at
		WHERE (generation, failures, tripped, half_open, ignored, resumed_at) IS NOT
			(excluded.generation, excluded.failures, excluded.tripped, excluded.half_open, excluded.ignored, excluded.resumed_at)`,
		p.ID, p.Generation, p.Breaker.Failures, p.Breaker.Tripped, p.HalfOpen, p.Ignored, stamp(p.Resumed))
	return err
}

func insertResult(ctx context.Context, tx *txn, r store.Result, a store.Answer, now time.Time) error {
	var runID, incident, output any
	if r.RunID != "" {
		runID = r.RunID
	}
	if a.Incident != "" {
		incident = a.Incident
	}
	if r.Outcome == store.Failure && r.Output != "" {
		output = r.Output
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO result (project, agent, run_id, outcome, counted, exit_code, signal, detail, host,
		started_at, finished_at, recorded_at, failures, threshold, incident, tripped, output)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.Project, r.Agent, runID, r.Outcome, a.Counted, r.ExitCode, r.Signal, r.Detail, r.Host,
		stamp(r.Started), stamp(r.Finished), now.UnixMilli(), a.Failures, a.Threshold, incident, a.Tripped, output)
	return err
}

// trip opens the incident of a result that is not stored yet.
func (s *Store) trip(ctx context.Context, tx *txn, r store.Result, l store.Limits, a store.Answer) (incident.Incident, error) {
	i := incident.Incident{
		ID: pause.NewRandomID(), Project: r.Project, Agent: r.Agent, Opened: s.now().UTC(), Failures: a.Failures, Threshold: a.Threshold,
		Host: r.Host, Instance: l.Instance,
	}
	if i.Host == "" {
		i.Host = l.Host
	}
	runs, err := runsOf(ctx, tx, r.Project, evidenceRuns*3, noOutput)
	if err != nil {
		return i, err
	}
	i.Evidence.Runs = append(i.Evidence.Runs, incident.Run{Outcome: r.Outcome, Started: r.Started, Finished: r.Finished,
		ExitCode: r.ExitCode, Signal: r.Signal, Detail: r.Detail, Host: r.Host, RunID: r.RunID})
	for _, run := range runs {
		if breaker.Counts(run.Agent) && len(i.Evidence.Runs) < evidenceRuns {
			i.Evidence.Runs = append(i.Evidence.Runs, run.Run)
		}
	}
	i.Evidence.Output = r.Output
	if i.Evidence.Earlier, err = earlier(ctx, tx, r.Project); err != nil {
		return i, err
	}
	if i.Seq, err = nextSeq(ctx, tx, r.Project); err != nil {
		return i, err
	}
	if err := putEvidence(ctx, tx, i.ID, i.Evidence); err != nil {
		return i, err
	}
	return i, putIncident(ctx, tx, i)
}

// Runs returns a project's last results, newest first.
func (s *Store) Runs(ctx context.Context, project string, most int) ([]store.HistoryRun, error) {
	runs, err := runsOf(ctx, s.db, project, most, noOutput)
	return runs, s.wrap(err)
}

// noOutput spares reading the outputs, which are by far the largest part of a row.
const noOutput = "NULL"

func runsOf(ctx context.Context, q querier, project string, most int, output string) ([]store.HistoryRun, error) {
	rows, err := q.QueryContext(ctx, `SELECT agent, run_id, outcome, counted, exit_code, signal, detail, host, started_at, finished_at, recorded_at, `+output+`
		FROM result WHERE project = ? ORDER BY id DESC LIMIT ?`, project, most)
	return collect(rows, err, func(rows *sql.Rows) (r store.HistoryRun, err error) {
		var runID, text sql.NullString
		var started, finished, recorded sql.NullInt64
		err = rows.Scan(&r.Agent, &runID, &r.Outcome, &r.Counted, &r.ExitCode, &r.Signal, &r.Detail, &r.Host, &started, &finished, &recorded, &text)
		r.Output = text.String
		r.RunID, r.Started, r.Finished, r.Recorded = runID.String, unstamp(started), unstamp(finished), unstamp(recorded)
		return r, err
	})
}

// collect reads all rows and closes them.
func collect[T any](rows *rows, err error, scan func(*sql.Rows) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []T
	for rows.Next() {
		v, err := scan(rows.Rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// Project returns what is kept of one project; the zero state where nothing is.
func (s *Store) Project(ctx context.Context, id string) (store.Project, error) {
	p, err := loadProject(ctx, s.db, id)
	return p, s.wrap(err)
}

// Prune deletes up to most results that were recorded before the given time, the oldest first, and tells how many it
// deleted. It looks at the oldest rows only, so it costs the same however long the history is. What a clock that ran ahead
// has recorded is passed over until its time has come.
func (s *Store) Prune(ctx context.Context, before time.Time, most int) (int, error) {
	var n int64
	err := s.tx(ctx, func(ctx context.Context, tx *txn) error {
		from, err := firstNotAhead(ctx, tx, s.now().UnixMilli())
		if err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, `DELETE FROM result WHERE id IN (
			SELECT id FROM (SELECT id, recorded_at FROM result WHERE id >= ? ORDER BY id LIMIT ?) WHERE recorded_at < ?)`, from, most, before.UnixMilli())
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return int(n), err
}

// firstNotAhead is the position behind the oldest results, where those were recorded at a time to come; else before all. It
// halves its way there. Where the clock ran ahead more than once that may be behind a later one of these times; then what
// lies between waits until the first ones are due.
func firstNotAhead(ctx context.Context, tx *txn, now int64) (int64, error) {
	look := func(query string, args ...any) (id int64, ahead bool, err error) {
		var recorded int64
		err = tx.QueryRowContext(ctx, query, args...).Scan(&id, &recorded)
		if errors.Is(err, sql.ErrNoRows) {
			err = nil
		}
		return id, recorded > now, err
	}
	low, ahead, err := look(`SELECT id, recorded_at FROM result ORDER BY id LIMIT 1`)
	if err != nil || !ahead {
		return 0, err
	}
	high, ahead, err := look(`SELECT id, recorded_at FROM result ORDER BY id DESC LIMIT 1`)
	if err != nil || ahead {
		return high, err
	}
	for high-low > 1 { // the row at low is ahead, the first one from high on is not
		middle := low + (high-low)/2
		id, ahead, err := look(`SELECT id, recorded_at FROM result WHERE id >= ? ORDER BY id LIMIT 1`, middle)
		switch {
		case err != nil:
			return 0, err
		case ahead:
			low = id
		default:
			high = middle
		}
	}
	return high, nil
}
