package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/terraphim/adfbot/internal/store"
)

func (s *State) BeginRun(ctx context.Context, r store.Run) (store.Run, error) {
	err := s.db.Tx(ctx, func(ctx context.Context, tx Tx) error {
		p, err := s.db.Lock(ctx, tx, r.Project)
		if err != nil {
			return err
		}
		r.Generation = p.Generation
		if p.Open != "" {
			return store.ErrPaused
		}
		if err := s.db.Save(ctx, tx, p, p); err != nil { // it is known now
			return err
		}
		return tx.Exec(ctx, insertRun, r.ID, r.Project, r.Agent, r.RunID, r.Generation, r.Host, stamp(r.Started), s.host)
	})
	return r, err
}

const insertRun = `INSERT INTO adfbot.run (id, project, agent, run_id, generation, host, started_at, host_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`

func (s *State) SetChild(ctx context.Context, r store.Run) error {
	return s.exec(ctx, `UPDATE adfbot.run SET child_pid = ?, child_start = ? WHERE id = ?`, r.ChildPID, r.ChildStart, r.ID)
}

func (s *State) EndRun(ctx context.Context, r store.Run) error {
	return s.db.Tx(ctx, func(ctx context.Context, tx Tx) error { return endRun(ctx, tx, r.ID) })
}

func endRun(ctx context.Context, tx Tx, id string) error {
	if id == "" {
		return nil
	}
	if group, ok := strings.CutSuffix(id, store.AllRuns); ok { // the next character is 0
		return tx.Exec(ctx, `DELETE FROM adfbot.run WHERE id > ? AND id < ?`, id, group+"0")
	}
	return tx.Exec(ctx, `DELETE FROM adfbot.run WHERE id = ?`, id)
}

// endRunOf ends what a result ends, see [store.Result.Ends].
func endRunOf(ctx context.Context, tx Tx, r store.Result) error {
	if group, ok := strings.CutSuffix(r.Run, store.AllRuns); ok && r.Kept != nil {
		return tx.Exec(ctx, `DELETE FROM adfbot.run WHERE id > ? AND id < ? AND started_at <= ?`, r.Run, group+"0", stamp(r.Finished))
	}
	return endRun(ctx, tx, r.Run)
}

// reported stands for a host in the rows of runs that were reported to begin: they are no host's.
const reported = "reported"

func (s *State) BeginReported(ctx context.Context, r store.Run) error {
	return s.db.Tx(ctx, func(ctx context.Context, tx Tx) error {
		p, err := s.db.Lock(ctx, tx, r.Project)
		if err != nil {
			return err
		}
		var stored, ended bool
		var running int
		if err := First(ctx, tx, `SELECT count(*) FILTER (WHERE id = ?) > 0, count(*), EXISTS (SELECT 1 FROM adfbot.result
			WHERE project = ? AND agent = ? AND run_id = ?) FROM adfbot.run WHERE host_id = ? AND project = ?`,
			r.ID, r.Project, r.Agent, r.RunID, reported, r.Project).Scan(&stored, &running, &ended); err != nil {
			return err
		}
		switch {
		case stored:
			return nil
		case ended:
			return fmt.Errorf("the result of run %q of %s in %s is recorded: %w", r.RunID, r.Agent, r.Project, store.ErrConflict)
		case running >= store.MaxReportedRuns:
			return store.ErrTooManyRuns
		}
		if err := s.db.Save(ctx, tx, p, p); err != nil { // it is known now
			return err
		}
		return tx.Exec(ctx, insertRun, r.ID, r.Project, r.Agent, r.RunID, p.Generation, r.Host, stamp(r.Started), reported)
	})
}

func (s *State) ReportedRuns(ctx context.Context, project string) ([]store.Run, error) {
	if project == "" {
		return read(ctx, s, scanRun, runsOf+` ORDER BY started_at, id`, reported)
	}
	return read(ctx, s, scanRun, runsOf+` AND project = ? ORDER BY started_at, id`, reported, project)
}

func (s *State) Running(ctx context.Context) ([]store.Run, error) {
	return read(ctx, s, scanRun, runsOf+` ORDER BY started_at`, s.host)
}

const runsOf = `SELECT id, project, agent, run_id, generation, host, started_at, child_pid, child_start FROM adfbot.run WHERE host_id = ?`

func scanRun(row Row) (r store.Run, err error) {
	var started Time
	err = row.Scan(&r.ID, &r.Project, &r.Agent, &r.RunID, &r.Generation, &r.Host, &started, &r.ChildPID, &r.ChildStart)
	r.Started = started.Time
	return r, err
}

func (s *State) Lost(ctx context.Context, r store.Run, res store.Result, l store.Limits) (a store.Answer, recorded bool, err error) {
	err = s.db.Tx(ctx, func(ctx context.Context, tx Tx) error {
		var err error
		a, recorded, err = s.lost(ctx, tx, r, res, l)
		return err
	})
	return a, recorded && err == nil, err
}

func (s *State) lost(ctx context.Context, tx Tx, r store.Run, res store.Result, l store.Limits) (a store.Answer, recorded bool, err error) {
	p, err := s.lockFor(ctx, tx, res)
	if err != nil {
		return a, false, err
	}
	if err := First(ctx, tx, `SELECT EXISTS (SELECT 1 FROM adfbot.run WHERE id = ?)`, r.ID).Scan(&recorded); err != nil || !recorded {
		return a, false, err
	}
	a, err = s.record(ctx, tx, p, res, l)
	if errors.Is(err, store.ErrConflict) {
		err = endRun(ctx, tx, r.ID)
	}
	return a, !a.Known, err
}

// EndRunsOf records, in a transaction that has locked no project yet, that the runs of a host are gone. Why is for people.
func (s *State) EndRunsOf(ctx context.Context, tx Tx, host, why string) error {
	gone, err := List(ctx, tx, scanRun, runsOf+` ORDER BY project, id`, host)
	if err != nil {
		return err
	}
	for _, r := range gone {
		res := store.Result{
			Project: r.Project, Agent: r.Agent, RunID: r.RunID, Outcome: store.Ignored, Detail: why, Host: r.Host, Started: r.Started,
			Generation: &r.Generation, Run: r.ID,
		}
		if _, _, err := s.lost(ctx, tx, r, res, store.Limits{}); err != nil {
			return err
		}
	}
	return nil
}
