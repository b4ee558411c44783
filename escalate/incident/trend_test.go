package incident_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
)

func TestTrend(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)
	seq := 9
	earlier := func(daysAgo int, fingerprint string) incident.Incident {
		seq--
		return incident.Incident{Project: "odilo", Seq: seq, Opened: at.AddDate(0, 0, -daysAgo), Fingerprint: fingerprint}
	}
	for _, tt := range []struct {
		name        string
		fingerprint string
		earlier     []incident.Incident
		want        incident.Trend
	}{
		{"the first one", "disk full", nil, incident.Trend{Nth: 1}},
		{"a week later", "disk full", []incident.Incident{earlier(7, "no route")}, incident.Trend{Nth: 1}},
		{"within a week", "disk full", []incident.Incident{earlier(6, "no route"), earlier(8, "")}, incident.Trend{Nth: 2}},
		{"the same error", "disk full", []incident.Incident{earlier(1, "disk full"), earlier(2, "no route"), earlier(3, "disk full")},
			incident.Trend{Nth: 4, Same: 1, As: "odilo#5"}},
		{"again and again", "disk full", []incident.Incident{earlier(1, "disk full"), earlier(9, "disk full"), earlier(10, "")},
			incident.Trend{Nth: 2, Same: 2, As: "odilo#1"}},
		{"no error that is known", "", []incident.Incident{earlier(1, "")}, incident.Trend{Nth: 2}},
	} {
		got := incident.NewTrend(incident.Incident{Project: "odilo", Opened: at, Fingerprint: tt.fingerprint}, tt.earlier)
		require.Equal(t, tt.want, got, tt.name)
		require.Equal(t, tt.want.Nth > 2, got.Repeats())
	}
}
