package incident_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
)

var opened = time.Date(2026, 11, 2, 7, 0, 0, 0, time.UTC)

func at(hours int) time.Time { return opened.Add(time.Duration(hours) * time.Hour) }

func TestSnooze(t *testing.T) {
	type span struct{ from, until int } // hours after the opening
	for name, c := range map[string]struct {
		snoozes []span
		want    []span
		awake   int // of the first ten hours
		third   int // when the third waking hour ends
	}{
		"none":                          {nil, nil, 10, 3},
		"one":                           {[]span{{1, 5}}, []span{{1, 5}}, 6, 7},
		"two apart":                     {[]span{{1, 2}, {3, 5}}, []span{{1, 2}, {3, 5}}, 7, 6},
		"two that overlap count once":   {[]span{{1, 4}, {2, 5}}, []span{{1, 5}}, 6, 7},
		"one within another one":        {[]span{{1, 5}, {2, 3}}, []span{{1, 5}}, 6, 7},
		"two that touch":                {[]span{{1, 3}, {3, 5}}, []span{{1, 5}}, 6, 7},
		"the same one again":            {[]span{{1, 5}, {1, 5}}, []span{{1, 5}}, 6, 7},
		"in another order":              {[]span{{3, 5}, {1, 2}}, []span{{1, 2}, {3, 5}}, 7, 6},
		"from before the opening":       {[]span{{-2, 2}}, []span{{-2, 2}}, 8, 5},
		"all before the opening":        {[]span{{-3, -1}}, []span{{-3, -1}}, 10, 3},
		"until after the moment":        {[]span{{8, 20}}, []span{{8, 20}}, 8, 3},
		"it begins when the time is up": {[]span{{3, 5}}, []span{{3, 5}}, 8, 5},
	} {
		t.Run(name, func(t *testing.T) {
			var e incident.Escalation
			for _, s := range c.snoozes {
				e.Snooze(at(s.from), at(s.until))
			}
			var got []span
			for _, s := range e.Snoozes {
				got = append(got, span{int(s.From.Sub(opened).Hours()), int(s.Until.Sub(opened).Hours())})
			}
			require.Equal(t, c.want, got)
			require.Equal(t, time.Duration(c.awake)*time.Hour, e.Awake(opened, at(10)))
			require.Equal(t, at(c.third), e.WhenAwake(opened, 3*time.Hour))
		})
	}
}

func TestSnoozedUntil(t *testing.T) {
	var e incident.Escalation
	e.Snooze(at(1), at(5))
	require.Zero(t, e.SnoozedUntil(at(0)))
	require.Equal(t, at(5), e.SnoozedUntil(at(1)))
	require.Equal(t, at(5), e.SnoozedUntil(at(4)))
	require.Zero(t, e.SnoozedUntil(at(5)))
	require.Negative(t, e.Awake(at(1), at(0)), "a clock was set back")
}
