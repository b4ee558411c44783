package status

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
)

func TestWholeDays(t *testing.T) {
	first := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	counted := func() []store.DayCount {
		return []store.DayCount{
			{Day: first.Add(2 * day), Outcome: store.Failure, Results: 4}, {Day: first.Add(2 * day), Outcome: store.Success, Results: 3}, {Day: first.Add(5 * day), Results: 2},
		}
	}
	days, from := wholeDays(counted(), first, 10)
	require.Equal(t, counted(), days)
	require.Equal(t, first, from)
	days, from = wholeDays(counted(), first, 9)
	require.Equal(t, counted()[2:], days, "of the oldest day there may be more")
	require.Equal(t, first.Add(3*day), from)
	days, from = wholeDays(nil, first, 9)
	require.Empty(t, days)
	require.Equal(t, first, from)
}
