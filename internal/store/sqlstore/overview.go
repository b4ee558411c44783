package sqlstore

import (
	"context"

	"github.com/terraphim/adfbot/internal/store"
)

// Queries of [State.Overview]. A database that can find the last results of many projects faster has its own for these.
const (
	OverviewProjects = `SELECT id, generation, failures, tripped, half_open, ignored, resumed_at FROM adfbot.project`
	OverviewRunning  = `SELECT project, count(*) FROM adfbot.run`
	overviewRuns     = `SELECT project.id, ` + ResultColumns + `, NULL FROM adfbot.project JOIN adfbot.result ON result.id IN
		(SELECT last.id FROM adfbot.result AS last WHERE last.project = project.id ORDER BY last.id DESC LIMIT ?)`
)

func (s *State) Overview(ctx context.Context, project string, runs int) (map[string]store.Overview, error) {
	projects, args := OverviewProjects, []any(nil)
	running, last := OverviewRunning, overviewRuns
	if project != "" {
		projects, running, last, args = projects+` WHERE id = ?`, running+` WHERE project = ?`, last+` WHERE project.id = ?`, []any{project}
	}
	out, found := map[string]store.Overview{}, Rows(nil)
	found, err := s.db.Query(ctx, projects, args...)
	if err == nil {
		err = ReadOverviewProjects(found, out)
	}
	if err == nil {
		found, err = s.db.Query(ctx, running+` GROUP BY project`, args...)
	}
	if err == nil {
		err = ReadOverviewRunning(found, out)
	}
	if err == nil && runs > 0 {
		if found, err = s.db.Query(ctx, last+` ORDER BY project.id, result.id DESC`, append([]any{runs}, args...)...); err == nil {
			err = ReadOverviewRuns(found, out)
		}
	}
	return out, s.db.Wrap(err)
}

// ReadOverviewProjects adds the rows of [OverviewProjects].
func ReadOverviewProjects(rows Rows, to map[string]store.Overview) error {
	_, err := Collect(rows, func(row Row) (struct{}, error) {
		var o store.Overview
		var resumed Time
		err := row.Scan(&o.ID, &o.Generation, &o.Breaker.Failures, &o.Breaker.Tripped, &o.HalfOpen, &o.Ignored, &resumed)
		o.Resumed = resumed.Time
		to[o.ID] = o
		return struct{}{}, err
	})
	return err
}

// ReadOverviewRunning adds the rows of [OverviewRunning], which are grouped by project.
func ReadOverviewRunning(rows Rows, to map[string]store.Overview) error {
	_, err := Collect(rows, func(row Row) (struct{}, error) {
		var id string
		var n int
		err := row.Scan(&id, &n)
		o := to[id]
		o.ID, o.Running = id, n
		to[id] = o
		return struct{}{}, err
	})
	return err
}

// ReadOverviewRuns adds rows of a project's id, [ResultColumns] and NULL, the newest of a project first.
func ReadOverviewRuns(rows Rows, to map[string]store.Overview) error {
	_, err := Collect(rows, func(row Row) (struct{}, error) {
		var id string
		run, err := scanResult(row, &id)
		o := to[id]
		o.ID, o.Runs = id, append(o.Runs, run)
		to[id] = o
		return struct{}{}, err
	})
	return err
}
