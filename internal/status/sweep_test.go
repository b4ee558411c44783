package status

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/config"
)

func TestOverdue(t *testing.T) {
	reader := func(schedule string) *Reader {
		return NewReader(Sources{Config: &config.Config{Sweep: config.Sweep{Schedule: schedule, TimeZone: "UTC"}}})
	}
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for schedule, until := range map[string]time.Duration{
		"@every 1m":   2*time.Minute + sweepGrace,
		"@every 6h":   12*time.Hour + sweepGrace,
		"*/5 * * * *": 10*time.Minute + sweepGrace,
		"0 7 * * *":   (7+12+24)*time.Hour + sweepGrace, // tomorrow's and the day after's
	} {
		r := reader(schedule)
		require.NoError(t, r.overdue(noon, noon), schedule)
		require.NoError(t, r.overdue(noon, noon.Add(until-time.Second)), schedule)
		require.ErrorContains(t, r.overdue(noon, noon.Add(until)), schedule)
		require.NoError(t, r.overdue(noon, noon.Add(-24*time.Hour)), "a clock that was set back makes nothing late")
	}
	r := reader("nonsense")
	require.Error(t, r.overdue(noon, noon))
	require.Zero(t, r.UntilNextSweep(noon))
}
