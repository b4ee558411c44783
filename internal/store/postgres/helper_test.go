package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/postgres"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testpg"
)

func TestMain(m *testing.M) { testpg.Main(m, testhost.Funcs{}) }

var ctx = context.Background()

var limits = store.Limits{Threshold: 3, Resume: 3, Instance: "bigbox", Host: "host-a"}

const hostA, hostB = "a0000000000000000000000000000000", "b0000000000000000000000000000000"

// place is where a state is.
type place struct{ url, schema string }

func newPlace(t testing.TB) place {
	t.Helper()
	url, schema := testpg.Schema(t)
	return place{url, schema}
}

func (p place) open(t testing.TB) *postgres.Store { return p.openAs(t, hostA) }

func (p place) openAs(t testing.TB, host string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(ctx, p.url, postgres.Options{Schema: p.schema, Host: host})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// try opens a state and returns why that fails.
func (p place) try(t testing.TB, o postgres.Options) error {
	t.Helper()
	o.Schema, o.Host = p.schema, hostA
	s, err := postgres.Open(ctx, p.url, o)
	if err == nil {
		_ = s.Close()
	}
	return err
}

func result(outcome string) store.Result {
	return store.Result{Project: "odilo", Agent: "project-meta", Outcome: outcome}
}

func record(t testing.TB, s *postgres.Store, r store.Result) store.Answer {
	t.Helper()
	a, err := s.Record(ctx, r, limits)
	require.NoError(t, err)
	return a
}

// trip records failures until the breaker trips, and returns the id of the incident.
func trip(t testing.TB, s *postgres.Store, project string) string {
	t.Helper()
	for range 10 {
		r := result(store.Failure)
		r.Project = project
		if a := record(t, s, r); a.Tripped {
			return a.Incident
		}
	}
	require.Fail(t, "it did not trip")
	return ""
}

func resume(t testing.TB, s *postgres.Store, project, pause string) bool {
	t.Helper()
	ended, err := s.Resume(ctx, incident.Resumption{Project: project, Pause: pause, How: "for the test", At: time.Now()})
	require.NoError(t, err)
	return ended
}
