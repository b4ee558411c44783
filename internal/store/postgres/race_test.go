package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/postgres"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testpg"
	"github.com/terraphim/adfbot/pause"
)

// hosts opens the state n times, as different hosts.
func hosts(t testing.TB, p place, n int) (all []*postgres.Store) {
	for range n {
		all = append(all, p.openAs(t, pause.NewRandomID()))
	}
	return all
}

// Results of one project come from many hosts at once. In the order in which they are stored, each count follows from the one before.
func TestEveryCountIsRight(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	const perHost = 40
	var wg sync.WaitGroup
	for n, s := range hosts(t, p, 6) {
		for g := range 3 {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(uint64(n), uint64(g)))
				for k := range perHost {
					r := result(store.Failure)
					r.RunID = fmt.Sprint(n, g, k)
					if random.IntN(4) == 0 {
						r.Outcome = store.Success
					}
					_, err := s.Record(ctx, r, store.Limits{Threshold: 1 << 20})
					require.NoError(t, err)
				}
			})
		}
	}
	wg.Wait()
	require.Equal(t, fmt.Sprint(6*3*perHost), testpg.Text(t, p.url, `SELECT count(*) FROM `+p.schema+`.result`))
	require.Equal(t, "0", wrongCounts(t, p))
}

// wrongCounts returns how many results have a count that does not follow from the result before. A resume starts anew.
func wrongCounts(t testing.TB, p place) string {
	return testpg.Text(t, p.url, `SELECT count(*) FROM (
		SELECT outcome, failures, lag(failures, 1, 0) OVER (PARTITION BY project ORDER BY id) AS before FROM `+p.schema+`.result WHERE counted) AS r
		WHERE failures <> CASE WHEN outcome = 'success' THEN 0 ELSE before + 1 END AND NOT (outcome = 'failure' AND failures = 1)`)
}

// Hosts record, resume, hold and confirm the same projects at once. No call fails, and what pauses a project is what its tables say.
func TestRecordBesideResumesAndHolds(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	projects := []string{"odilo", "atlas", "twins"}
	var wg sync.WaitGroup
	var mu sync.Mutex
	opened, ended := map[string]bool{}, map[string]int{}
	begun := time.Now()
	more := func() bool { // a busy machine takes longer until a project trips
		mu.Lock()
		defer mu.Unlock()
		ran := time.Since(begun)
		return ran < 1500*time.Millisecond || len(opened) == 0 && ran < testhost.Patience
	}
	for n, s := range hosts(t, p, 4) {
		for g := range 3 {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(uint64(n), uint64(g)))
				for more() {
					project := projects[random.IntN(len(projects))]
					r := result(store.Failure)
					r.Project = project
					switch random.IntN(8) {
					default:
						a, err := s.Record(ctx, r, limits)
						require.NoError(t, err)
						if a.Tripped {
							mu.Lock()
							opened[a.Incident] = true
							mu.Unlock()
						}
					case 4:
						added, err := s.AddHold(ctx, incident.Hold{ID: pause.NewRandomID(), Project: project, Since: time.Now()}, incident.FlagIdentity{Kind: incident.PersonFlag}, 0)
						require.NoError(t, err)
						_ = added
					case 5, 6:
						state, err := s.ProjectState(ctx, project)
						require.NoError(t, err)
						id := state.Pause().ID
						if _, err := s.Confirm(ctx, project, incident.Confirmation{Pause: id}, time.Now()); err != nil {
							require.NoError(t, err)
						}
						if resume(t, s, project, id) {
							mu.Lock()
							ended[id]++
							mu.Unlock()
						}
					case 7:
						state, err := s.ProjectState(ctx, project)
						require.NoError(t, err)
						if open := state.Open(); open != nil {
							_, err := s.Change(ctx, open.ID, func(i *incident.Incident) { i.Tries++ })
							require.NoError(t, err)
						}
					}
				}
			})
		}
	}
	wg.Wait()
	require.NotEmpty(t, opened)
	for id, times := range ended {
		require.Equal(t, 1, times, "pause %s was ended more than once", id)
	}
	require.Equal(t, "0", wrongCounts(t, p))
	require.Equal(t, "0", testpg.Text(t, p.url, fmt.Sprintf(`SELECT count(*) FROM %[1]s.project AS p
		FULL JOIN (SELECT project, id FROM %[1]s.incident WHERE ended_at IS NULL) AS i ON i.project = p.id WHERE i.id IS DISTINCT FROM p.incident`, p.schema)))
	for _, project := range projects {
		last, err := hosts(t, p, 1)[0].Project(ctx, project)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(last.Generation), testpg.Text(t, p.url, fmt.Sprintf(`SELECT generation FROM %s.project WHERE id = '%s'`, p.schema, project)))
	}
}

// An incident that is ended by a change of its own, and not by a resume, pauses nobody any more.
func TestChangeEndsAnIncident(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.open(t)
	id := trip(t, s, "odilo")
	_, err := s.Change(ctx, id, func(i *incident.Incident) { i.Ended, i.Replaced = time.Now(), true })
	require.NoError(t, err)
	require.Equal(t, "0", testpg.Text(t, p.url, `SELECT count(*) FROM `+p.schema+`.project WHERE pause IS NOT NULL`))
	_, idle, err := s.RecordIfIdle(ctx, result(store.Failure), limits)
	require.NoError(t, err)
	require.True(t, idle)
}

// Many hosts read a comment at once. The command in it is stored once.
func TestCommandAcceptedByManyHosts(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	all := hosts(t, p, 5)
	command := incident.Command{Comment: 7, Project: "odilo", At: time.Unix(1, 0).UTC(), Issue: tracker.IssueRef{Repo: tracker.Repo{Server: "s"}},
		Steps: []incident.Step{{}}}
	for range 5 { // once more with another time, as after a restored backup
		command.At = command.At.Add(time.Hour)
		var begun atomic.Int64
		var wg sync.WaitGroup
		for _, s := range all {
			wg.Go(func() {
				require.NoError(t, s.AcceptCommand(ctx, command))
				_, err := s.ChangeCommand(ctx, command, nil, func(c *incident.Command) error {
					if c.Steps[0].Begun {
						return store.ErrConflict
					}
					c.Steps[0].Begun = true
					return nil
				})
				if err == nil {
					begun.Add(1)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, begun.Load(), "it is run once")
	}
}

// Confirmations and runs belong to a host.
func TestHosts(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	a, b := p.openAs(t, hostA), p.openAs(t, hostB)
	id := trip(t, a, "odilo")
	ok, err := a.Confirm(ctx, "odilo", incident.Confirmation{Pause: id}, time.Now())
	require.NoError(t, err)
	require.True(t, ok)
	confirmed := func(s *postgres.Store) string {
		state, err := s.ProjectState(ctx, "odilo")
		require.NoError(t, err)
		all, err := s.ProjectStates(ctx)
		require.NoError(t, err)
		require.Equal(t, state, all["odilo"])
		return state.Confirmed.Pause
	}
	require.Equal(t, id, confirmed(a))
	require.Empty(t, confirmed(b))
	_, err = b.Confirm(ctx, "odilo", incident.Confirmation{Pause: id}, time.Now())
	require.NoError(t, err)
	require.NoError(t, b.Unconfirm(ctx, "odilo", id))
	require.Equal(t, id, confirmed(a))
	_, err = b.Confirm(ctx, "odilo", incident.Confirmation{Pause: id}, time.Now())
	require.NoError(t, err)
	require.True(t, resume(t, a, "odilo", id))
	require.Empty(t, confirmed(a))
	require.Equal(t, id, confirmed(b), "its flag is still on its disk")

	run, err := a.BeginRun(ctx, store.Run{ID: pause.NewRandomID(), Project: "odilo", Host: "a", Started: time.Now()})
	require.NoError(t, err)
	require.EqualValues(t, 1, run.Generation)
	running, err := b.Running(ctx)
	require.NoError(t, err)
	require.Empty(t, running, "whether a process is gone is known on its own host only")
	running, err = a.Running(ctx)
	require.NoError(t, err)
	require.Len(t, running, 1)
}

// A result waits for a project that is being resumed. Its run began before the resume, and its transaction too.
func TestResumedWhileAResultWaits(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.open(t)
	record(t, s, result(store.Failure))
	c, err := pgconn.Connect(ctx, p.url)
	require.NoError(t, err)
	defer c.Close(ctx)
	exec := func(statement string) {
		_, err := c.Exec(ctx, statement).ReadAll()
		require.NoError(t, err)
	}
	exec(`BEGIN; SELECT 1 FROM ` + p.schema + `.project FOR UPDATE`)
	answer := make(chan store.Answer, 1)
	go func() {
		r := result(store.Failure)
		r.Started = time.Now()
		a, err := s.Record(ctx, r, limits)
		assert.NoError(t, err)
		answer <- a
	}()
	require.Eventually(t, func() bool {
		return testpg.Text(t, p.url, `SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%`+p.schema+`.project%'`) == "1"
	}, testhost.Patience, time.Millisecond)
	exec(`UPDATE ` + p.schema + `.project SET resumed_at = clock_timestamp(), failures = 0, generation = 1; COMMIT`)
	a := <-answer
	require.False(t, a.Counted)
	require.Zero(t, a.Failures)
}

// What others prevent again and again is given up at some time.
func TestTriedFiveTimes(t *testing.T) {
	t.Parallel()
	s := newPlace(t).open(t)
	ended := trip(t, s, "odilo")
	require.True(t, resume(t, s, "odilo", ended))
	trip(t, s, "odilo")
	tries := 0
	_, err := s.Change(ctx, ended, func(i *incident.Incident) {
		tries++
		i.Ended = time.Time{}
	})
	require.ErrorIs(t, err, store.ErrUnusable)
	require.ErrorContains(t, err, "after 5 tries")
	require.Equal(t, 1+5, tries, "the first one found that it has to lock the project")
	require.Equal(t, 4, record(t, s, result(store.Failure)).Failures)
}

// A caller that panics stores nothing, and keeps no connection.
func TestPanic(t *testing.T) {
	t.Parallel()
	s := newPlace(t).open(t)
	id := trip(t, s, "odilo")
	for range 9 {
		require.Panics(t, func() { _, _ = s.Change(ctx, id, func(*incident.Incident) { panic("no") }) })
	}
	require.Equal(t, 4, record(t, s, result(store.Failure)).Failures)
}
