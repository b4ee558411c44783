package escalate_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/testworld"
)

// setVersion marks the state as that of another version of the program. This version can read the state of a newer one, but not write it.
func (m *machine) setVersion(version int) (before int) {
	m.Helper()
	db, err := sql.Open("sqlite", m.path)
	require.NoError(m, err)
	defer func() { require.NoError(m, db.Close()) }()
	require.NoError(m, db.QueryRow(`PRAGMA user_version`).Scan(&before))
	_, err = db.Exec(fmt.Sprint(`PRAGMA user_version = `, version))
	require.NoError(m, err)
	return before
}

// While the state cannot be written, nothing is written to Gitea, because it would be forgotten: comments would be missing or come twice.
func TestNoWriteToGiteaThatCannotBeStored(t *testing.T) {
	for what, prepare := range map[string]func(w *world, id string){
		"close": func(w *world, _ string) {
			w.rm(project)
			_, _, err := w.rec.Local(w.context(), project)
			require.NoError(w, err)
		},
		"reopen": func(w *world, _ string) { w.Gitea.As(testworld.Alex).Close(fleet, 1) },
		"reopen, begun before": func(w *world, id string) {
			w.Gitea.As(testworld.Alex).Close(fleet, 1)
			w.change(id, func(i *incident.Incident) {
				i.ReopenPending, i.ReopenQuiet, i.Reopens = true, true, []time.Time{time.Now()}
			})
		},
		"complete": func(w *world, id string) {
			w.assigned(testworld.Alex)
			w.change(id, func(i *incident.Incident) { i.Incomplete = true })
		},
		"name the flag": func(w *world, id string) {
			now := w.dir.FlagPath(project)
			was := now + "x"
			w.Gitea.As(testworld.Alex).EditBody(fleet, 1, strings.ReplaceAll(w.issue().Body, now, was))
			w.change(id, func(i *incident.Incident) { i.NamedFlag = was })
		},
		"announce the pause":  func(w *world, id string) { w.change(id, func(i *incident.Incident) { i.HeadedNotPaused = true }) },
		"create":              func(w *world, id string) { w.Gitea.As(testworld.Alex).Delete(fleet, 1) },
		"close the duplicate": func(w *world, _ string) { w.Gitea.As(testworld.Bot).Open(fleet, w.issue().Title, w.issue().Body) },
	} {
		t.Run(what, func(t *testing.T) {
			play(t, func(w *world) {
				id, err := w.tripAnd(project)
				require.NoError(w, err)
				time.Sleep(time.Hour)
				prepare(w, id)
				version := w.setVersion(999)
				w.asked()
				w.sweepFor(5 * time.Minute)
				require.Empty(w, writes(w.asked()))
				w.setVersion(version)
				w.sweepFor(2 * time.Hour)
				require.NotEmpty(w, writes(w.asked()))
				for range 2 {
					w.sweep()
				}
				if what == "close" {
					require.Len(w, comments(w.issue()), 1)
					require.Equal(w, "closed", string(w.issue().State))
				}
			})
		})
	}
}
