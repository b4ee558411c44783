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

// In every cron but the library, Sunday is 0 and 7.
func TestSevenIsSunday(t *testing.T) {
	for with, same := range map[string]string{
		"0 0 * * 7":       "0 0 * * 0",
		"0  0 * *\t7":     "0 0 * * 0",
		"0 0 * * 6,7":     "0 0 * * 6,0",
		"0 0 * * 5-7":     "0 0 * * 5,6,0",
		"0 0 * * 7-7":     "0 0 * * 0",
		"0 0 * * 1-7":     "0 0 * * 0-6",
		"0 0 * * 0-7":     "0 0 * * 0-6",
		"0 0 * * 1-7/2":   "0 0 * * 1,3,5,0",
		"0 0 * * 2-7/3":   "0 0 * * 2,5",
		"0 0 * * 7/2":     "0 0 * * 0",
		"0 0 * * 1,3-4,7": "0 0 * * 1,3-4,0",
		"0 0 13 * 7":      "0 0 13 * 0",
		"7 7 7 7 7":       "7 7 7 7 0",
	} {
		a, err := Sweep{Schedule: with, TimeZone: "UTC"}.Cron()
		require.NoError(t, err, with)
		b, err := Sweep{Schedule: same, TimeZone: "UTC"}.Cron()
		require.NoError(t, err)
		at := time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)
		for range 10 {
			next := a.Next(at)
			require.Equal(t, b.Next(at), next, with)
			at = next
		}
	}
	for _, wrong := range []string{"0 0 * * 8", "0 0 * * 7-1", "0 0 * * 17", "0 0 * * 7-8", "0 0 * * 1-7/0", "0 0 * * 1-7/99999999999999999999", "0 0 * * 7-", "7"} {
		_, f := cronSchedule(wrong)
		require.NotNil(t, f, wrong)
		require.Contains(t, f.what, "is not a cron schedule", wrong)
	}
}

// Go takes UTC for a zone that it does not know, and says nothing.
func TestLocalZone(t *testing.T) {
	for _, c := range []struct {
		took, tz     string
		set, hasFile bool
		want         string
	}{
		{"Local", "", false, true, ""},
		{"Local", "Europe/Berlin", true, true, ""},
		{"UTC", "", false, false, ""}, // a machine without a zone is in UTC
		{"UTC", "", true, true, ""},
		{"UTC", ":", true, true, ""},
		{"UTC", "UTC", true, true, ""},
		{"UTC", ":UTC", true, true, ""},
		{"UTC", "Mars/Olympus", true, true, `$TZ is no time zone that can be used: "Mars/Olympus": write a name such as Europe/Berlin in sweep.time_zone`},
		{"UTC", "CET-1CEST,M3.5.0,M10.5.0/3", true, true, "$TZ is no time zone that can be used"},
		{"UTC", ":/no/such/file", true, false, "$TZ is no time zone that can be used"},
		{"UTC", "", false, true, "/etc/localtime can't be used"},
	} {
		err := checkLocal("sweep.time_zone", c.took, c.tz, c.set, c.hasFile)
		if c.want == "" {
			require.NoError(t, err, c)
		} else {
			require.ErrorContains(t, err, c.want)
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
