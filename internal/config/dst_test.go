package config

import (
	"testing"
	"time"

	"github.com/robfig/cron/v3"
	"github.com/stretchr/testify/require"
)

// In Berlin the clock goes from 02:00 to 03:00 on 29 March 2026, and from 03:00 back to 02:00 on 25 October. The README tells
// what that means.
func TestWhatTheScheduleDoesWhenTheClockChanges(t *testing.T) {
	for _, c := range []struct {
		name, schedule, zone, from string
		want                       []string // in UTC
	}{
		{"a time that does not exist is left out", "30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z",
			[]string{"2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z"}},
		{"a time that comes twice is taken twice", "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z",
			[]string{"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"}},
		{"each half hour goes on in spring", "*/30 * * * *", "Europe/Berlin", "2026-03-29T00:15:00Z",
			[]string{"2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"}},
		{"each half hour goes on in autumn", "*/30 * * * *", "Europe/Berlin", "2026-10-25T00:15:00Z",
			[]string{"2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z"}},
		{"@every minds no zone", "@every 1h", "Europe/Berlin", "2026-03-29T00:15:00Z",
			[]string{"2026-03-29T01:15:00Z", "2026-03-29T02:15:00Z"}},
		{"a midnight that does not exist", "0 0 * * *", "Africa/Cairo", "2026-04-22T12:00:00Z",
			[]string{"2026-04-22T22:00:00Z", "2026-04-24T21:00:00Z"}},
		{"half an hour in autumn", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00Z",
			[]string{"2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z", "2026-04-05T15:15:00Z"}},
		{"a Friday whose midnight does not exist", "0 12 * * 5", "Africa/Cairo", "2026-04-17T12:00:00Z",
			[]string{"2026-04-24T09:00:00Z", "2026-05-01T09:00:00Z"}},
		{"a Sunday whose midnight does not exist is no Saturday", "0 12 * * 6", "America/Santiago", "2026-09-05T17:00:00Z",
			[]string{"2026-09-12T15:00:00Z"}},
		{"a day whose clock is put forward by half an hour", "0 12 * * *", "Australia/Lord_Howe", "2026-10-03T02:00:00Z",
			[]string{"2026-10-04T01:00:00Z", "2026-10-05T01:00:00Z"}},
		{"UTC has neither", "30 2 * * *", "UTC", "2026-03-28T12:00:00Z",
			[]string{"2026-03-29T02:30:00Z", "2026-03-30T02:30:00Z"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			schedule, err := Sweep{Schedule: c.schedule, TimeZone: c.zone}.Cron()
			require.NoError(t, err)
			at, err := time.Parse(time.RFC3339, c.from)
			require.NoError(t, err)
			var got []string
			for range c.want {
				at = schedule.Next(at)
				got = append(got, at.UTC().Format(time.RFC3339))
			}
			require.Equal(t, c.want, got)
		})
	}
}

// The library and the wall agree wherever no clock changes.
func TestTheScheduleComesWhenTheLibrarySaysWhereNoClockChanges(t *testing.T) {
	for _, schedule := range []string{"* * * * *", "*/7 3-5 * * *", "0 12 * * 5", "30 2 1 * 1", "30 2 */2 * *", "59 23 31 12 *", "0 0 29 2 *", "@weekly", "0 0 13 * 5"} {
		for _, zone := range []string{"UTC", "Asia/Kathmandu", "America/Phoenix"} {
			mine, err := Sweep{Schedule: schedule, TimeZone: zone}.Cron()
			require.NoError(t, err)
			theirs, err := cron.ParseStandard("CRON_TZ=" + zone + " " + schedule)
			require.NoError(t, err)
			a := time.Date(2026, 11, 23, 7, 0, 30, 5, time.UTC)
			b := a
			for range 50 {
				a, b = mine.Next(a), theirs.Next(b)
				require.True(t, a.Equal(b), "%s in %s: %s, %s", schedule, zone, a, b)
				if b.IsZero() {
					break // neither looks over a leap year that is left out
				}
			}
		}
	}
}
