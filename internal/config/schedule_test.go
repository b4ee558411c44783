package config

import (
	"testing"
	"time"

	"github.com/robfig/cron/v3"
	"github.com/stretchr/testify/require"
)

// In Berlin the clock goes from 02:00 to 03:00 on 29 March 2026, and from 03:00 back to 02:00 on 25 October.
func TestClockChanges(t *testing.T) {
	for _, c := range []struct {
		name, schedule, zone, from string
		want                       []string // in UTC
	}{
		{"a skipped time does not fire", "30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z",
			[]string{"2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z"}},
		{"a repeated time fires twice", "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z",
			[]string{"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"}},
		{"every half hour in spring", "*/30 * * * *", "Europe/Berlin", "2026-03-29T00:15:00Z",
			[]string{"2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"}},
		{"every half hour in autumn", "*/30 * * * *", "Europe/Berlin", "2026-10-25T00:15:00Z",
			[]string{"2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z"}},
		{"@every ignores the zone", "@every 1h", "Europe/Berlin", "2026-03-29T00:15:00Z",
			[]string{"2026-03-29T01:15:00Z", "2026-03-29T02:15:00Z"}},
		{"a skipped midnight", "0 0 * * *", "Africa/Cairo", "2026-04-22T12:00:00Z",
			[]string{"2026-04-22T22:00:00Z", "2026-04-24T21:00:00Z"}},
		{"half an hour in autumn", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00Z",
			[]string{"2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z", "2026-04-05T15:15:00Z"}},
		{"a Friday without midnight", "0 12 * * 5", "Africa/Cairo", "2026-04-17T12:00:00Z",
			[]string{"2026-04-24T09:00:00Z", "2026-05-01T09:00:00Z"}},
		{"a Sunday without midnight is not a Saturday", "0 12 * * 6", "America/Santiago", "2026-09-05T17:00:00Z",
			[]string{"2026-09-12T15:00:00Z"}},
		{"half an hour in spring", "0 12 * * *", "Australia/Lord_Howe", "2026-10-03T02:00:00Z",
			[]string{"2026-10-04T01:00:00Z", "2026-10-05T01:00:00Z"}},
		{"UTC does not change", "30 2 * * *", "UTC", "2026-03-28T12:00:00Z",
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

// Without clock changes, the schedule and the library agree.
func TestScheduleMatchesLibrary(t *testing.T) {
	for _, schedule := range []string{"* * * * *", "*/7 3-5 * * *", "0 12 * * 5", "30 2 1 * 1", "30 2 */2 * *", "59 23 31 12 *", "0 0 29 2 *", "@weekly", "0 0 13 * 5"} {
		for _, zone := range []string{"UTC", "Asia/Kathmandu", "America/Phoenix"} {
			ours, err := Sweep{Schedule: schedule, TimeZone: zone}.Cron()
			require.NoError(t, err)
			theirs, err := cron.ParseStandard("CRON_TZ=" + zone + " " + schedule)
			require.NoError(t, err)
			a := time.Date(2026, 11, 23, 7, 0, 30, 5, time.UTC)
			b := a
			for n := 0; n < 50 && a.Year() < 2032; n++ { // a rare schedule takes long
				a, b = ours.Next(a), theirs.Next(b)
				require.True(t, a.Equal(b), "%s in %s: %s, %s", schedule, zone, a, b)
			}
		}
	}
}

func TestCron(t *testing.T) {
	from := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	schedule, err := Sweep{Schedule: "30 4 * * *", TimeZone: "Asia/Tokyo"}.Cron()
	require.NoError(t, err)
	require.Equal(t, from.Add(19*time.Hour+30*time.Minute), schedule.Next(from).UTC())

	schedule, err = Sweep{Schedule: "@every 90s", TimeZone: "UTC"}.Cron()
	require.NoError(t, err)
	require.Equal(t, from.Add(90*time.Second), schedule.Next(from))

	_, err = Sweep{Schedule: "TZ=UTC", TimeZone: "UTC"}.Cron()
	require.ErrorContains(t, err, "sweep.schedule: must not begin with a time zone")
	_, err = Sweep{Schedule: "@hourly", TimeZone: "Mars"}.Cron()
	require.ErrorContains(t, err, "sweep.time_zone: ")
}
