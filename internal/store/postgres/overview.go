package postgres

import (
	"cmp"
	"context"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlstore"
)

// overviewRuns finds the last results of each project by the index.
const overviewRuns = `SELECT project.id, ` + sqlstore.ResultColumns + `, NULL FROM adfbot.project CROSS JOIN LATERAL
	(SELECT * FROM adfbot.result WHERE result.project = project.id ORDER BY result.id DESC LIMIT ?) AS last`

// Overview implements [store.HistoryReader] in one round trip.
func (s *Store) Overview(ctx context.Context, project string, runs int) (map[string]store.Overview, error) {
	projects, running, last, args := sqlstore.OverviewProjects, sqlstore.OverviewRunning, overviewRuns, []any(nil)
	if project != "" {
		projects, running, last, args = projects+` WHERE id = ?`, running+` WHERE project = ?`, last+` WHERE project.id = ?`, []any{project}
	}
	statements := []statement{s.statement(projects, args...), s.statement(running+` GROUP BY project`, args...)}
	if runs > 0 {
		statements = append(statements, s.statement(last+` ORDER BY project.id, last.id DESC`, append([]any{runs}, args...)...))
	}
	found, err := s.readAtOnce(ctx, statements...)
	if err != nil {
		return nil, s.Wrap(err)
	}
	out := map[string]store.Overview{}
	err = cmp.Or(sqlstore.ReadOverviewProjects(found[0], out), sqlstore.ReadOverviewRunning(found[1], out))
	if err == nil && runs > 0 {
		err = sqlstore.ReadOverviewRuns(found[2], out)
	}
	return out, s.Wrap(err)
}
