package sqlite_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
)

// What cannot be read is missing from the evidence, and the project is paused all the same.
func TestTripWithUnreadableHistory(t *testing.T) {
	s := newStore(t)
	i := trip(t, s, "odilo")
	_, err := s.Resume(t.Context(), incident.Resumption{Project: "odilo", Pause: i.ID, How: "resumed", At: time.Now()})
	require.NoError(t, err)
	require.NoError(t, s.InTx(t.Context(), `UPDATE incident SET doc = '{"Opened": "once"'`, `UPDATE result SET host = x'ff', started_at = 'once'`))
	var a store.Answer
	for range 3 {
		r := result(store.Failure)
		r.Output = "it went wrong"
		a = record(t, s, r)
	}
	require.True(t, a.Tripped)
	i = oneIncident(t, s, a.Incident)
	require.True(t, i.IsOpen())
	require.Equal(t, 2, i.Seq)
	evidence, err := s.Evidence(t.Context(), i.ID)
	require.NoError(t, err)
	require.Equal(t, "it went wrong", evidence.Output)
	require.Len(t, evidence.Runs, 3, "those of the earlier incident cannot be read")
	p, err := s.Project(t.Context(), "odilo")
	require.NoError(t, err)
	require.True(t, p.Breaker.Tripped)
}
