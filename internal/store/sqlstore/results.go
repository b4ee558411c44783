package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

func (s *State) Record(ctx context.Context, r store.Result, l store.Limits) (a store.Answer, err error) {
	begun := time.Now()
	err = s.db.Tx(ctx, func(ctx context.Context, tx Tx) error {
		p, err := s.lockFor(ctx, tx, r)
		if err == nil {
			a, err = s.record(ctx, tx, p, waited(r, begun), l)
		}
		return err
	})
	return a, err
}

func (s *State) RecordIfIdle(ctx context.Context, r store.Result, l store.Limits) (a store.Answer, idle bool, err error) {
	begun := time.Now()
	err = s.db.Tx(ctx, func(ctx context.Context, tx Tx) error {
		p, err := s.lockFor(ctx, tx, r)
		if idle = err == nil && !p.isPaused(); idle {
			a, err = s.record(ctx, tx, p, waited(r, begun), l)
		}
		return err
	})
	return a, idle, err
}

// waited returns a result that has waited since then to be stored.
func waited(r store.Result, since time.Time) store.Result {
	if r.Age > 0 {
		r.Age += time.Since(since)
	}
	return r
}

// recording is a locked project of which a result is to be recorded.
type recording struct {
	Project
	known []store.Answer // the answer to an earlier result of the same run, if there is one
}

// lockFor locks the project of a result.
func (s *State) lockFor(ctx context.Context, tx Tx, r store.Result) (p recording, err error) {
	if r.RunID == "" {
		p.Project, err = s.db.Lock(ctx, tx, r.Project)
		return p, err
	}
	var rows Rows
	p.Project, rows, err = s.db.LockAndQuery(ctx, tx, r.Project, answerOf, r.Project, r.Agent, r.RunID)
	if err == nil {
		p.known, err = Collect(rows, scanAnswer)
	}
	return p, err
}

const answerOf = `SELECT outcome, class, counted, failures, threshold, tripped, incident, detail, started_at FROM adfbot.result
	WHERE project = ? AND agent = ? AND run_id = ?`

func scanAnswer(row Row) (a store.Answer, err error) {
	var incident sql.NullString
	var detail string
	var started Time
	err = row.Scan(&a.Outcome, &a.Class, &a.Counted, &a.Failures, &a.Threshold, &a.Tripped, &incident, &detail, &started)
	a.Known, a.Guess, a.Incident, a.Started = true, store.IsGuess(detail), incident.String, started.Time
	return a, err
}

// record stores a result, unless its run is known.
func (s *State) record(ctx context.Context, tx Tx, locked recording, r store.Result, l store.Limits) (store.Answer, error) {
	first := r.RunID
	r, earlier, err := r.Beside(func(runID string) (*store.Answer, error) {
		known := locked.known
		if runID != first {
			var err error
			if known, err = List(ctx, tx, scanAnswer, answerOf, r.Project, r.Agent, runID); err != nil {
				return nil, err
			}
		}
		if len(known) == 0 {
			return nil, nil
		}
		return &known[0], nil
	})
	if err != nil {
		return store.Answer{}, err
	}
	if earlier != nil {
		a := *earlier
		if a.Reported() != r.Reported() { // what the class makes of a failure may have changed since
			return a, fmt.Errorf("run %q of %s in %s is recorded as %s: %w", r.RunID, r.Agent, r.Project, a.Reported(), store.ErrConflict)
		}
		if r.Outcome, r.Class = a.Outcome, a.Class; !a.Counted {
			a.Why = store.WhyNotCounted(r)
		}
		return a, endRunOf(ctx, tx, r)
	}
	p := locked.Project
	was := p
	if r.Age = max(r.Age, 0); !s.shared() {
		r.Age = 0
	} else if r.Age > 0 {
		r = r.EndedAt(p.Now.Add(-r.Age))
	}
	a, trips, err := s.count(ctx, tx, &p, r, l)
	if err != nil {
		return a, err
	}
	if trips {
		i, err := s.openIncident(ctx, tx, r, l, a, p.Now)
		if err != nil {
			return a, err
		}
		p.open(i)
		i.Generation = p.Generation
		a.Incident, a.Tripped, a.Opened = i.ID, true, i
	}
	if err := s.insertResult(ctx, tx, r, a, p); err != nil {
		return a, err
	}
	if err := s.db.Save(ctx, tx, was, p); err != nil {
		return a, err
	}
	return a, endRunOf(ctx, tx, r)
}

// openIncident stores the incident of a result that is not stored yet.
func (s *State) openIncident(ctx context.Context, tx Tx, r store.Result, l store.Limits, a store.Answer, now time.Time) (*incident.Incident, error) {
	// A trip never fails over its evidence: what cannot be read is missing from it. Some of the runs are of agents that do not count.
	history, _ := results(ctx, tx, r.Project, 3*store.EvidenceRuns, noOutput)
	opened := store.NewIncident(r, l, a, history, now)
	i := &opened
	i.ID = pause.NewRandomID()
	if l.Incident != "" {
		if _, err := getIncident(ctx, tx, l.Incident); errors.Is(err, sql.ErrNoRows) {
			i.ID = l.Incident
		}
	}
	before, _ := earlier(ctx, tx, r.Project)
	i.Evidence.Earlier, i.Trend = incident.EarlierOf(before), incident.NewTrend(*i, before)
	if err := First(ctx, tx, `SELECT coalesce(max(seq), 0) + 1 FROM adfbot.incident WHERE project = ?`, r.Project).Scan(&i.Seq); err != nil {
		return i, err
	}
	if err := putEvidence(ctx, tx, i); err != nil {
		return i, err
	}
	return i, s.insertIncident(ctx, tx, i)
}

// Columns of a result, and their values. A state that several hosts share keeps more.
const (
	resultColumns = `project, agent, run_id, outcome, counted, exit_code, signal, detail, host, started_at, finished_at, recorded_at,
		failures, threshold, incident, tripped, output, class`
	resultValues = `?, ?, nullif(?, ''), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, ''), ?, nullif(?, ''), ?`

	insertOwn    = `INSERT INTO adfbot.result (` + resultColumns + `) VALUES (` + resultValues + `)`
	insertShared = `INSERT INTO adfbot.result (` + resultColumns + `, generation, age) VALUES (` + resultValues + `, ?, ?)`
)

func (s *State) insertResult(ctx context.Context, tx Tx, r store.Result, a store.Answer, p Project) error {
	output := r.Output
	if r.Outcome != store.Failure {
		output = ""
	}
	insert, values := insertOwn, []any{
		r.Project, r.Agent, r.RunID, r.Outcome, a.Counted, r.ExitCode, r.Signal, r.Detail, r.Host,
		At(r.Started), At(r.Finished), stamp(p.Now), a.Failures, a.Threshold, a.Incident, a.Tripped, output, r.Class,
	}
	if s.shared() {
		insert, values = insertShared, append(values, p.Generation, r.Age.Milliseconds())
	}
	err := tx.Exec(ctx, insert, values...)
	if err != nil || output == "" {
		return err
	}
	// A state of an earlier version may have any number. Those go bit by bit.
	return tx.Exec(ctx, `UPDATE adfbot.result SET output = NULL WHERE id IN
		(SELECT id FROM adfbot.result WHERE project = ? AND output IS NOT NULL ORDER BY id DESC LIMIT 20 OFFSET ?)`, r.Project, store.KeptOutputs)
}
