package config

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func expecting(list string) string { return projectsOf("  - id: a\n    expect: " + list + "\n") }

func TestExpect(t *testing.T) {
	t.Parallel()
	at := func(s string) time.Time {
		m, err := time.Parse(time.RFC3339, s)
		require.NoError(t, err)
		return m
	}
	for _, tt := range []struct{ list, says, from, deadline string }{
		{"{every: 1h}", "every 1h, with 15m of grace", "2026-11-23T07:04:05Z", "2026-11-23T08:19:05Z"},
		{"{every: 24h, grace: 2h}", "every 1d, with 2h of grace", "2026-11-23T07:04:05Z", "2026-11-24T09:04:05Z"},
		{`{cron: "*/30 * * * *", grace: 5m}`, "by */30 * * * * (UTC), with 5m of grace", "2026-11-23T07:04:05Z", "2026-11-23T07:35:00Z"},
		{`{cron: "0 7 * * 1-5", time_zone: Europe/Berlin}`, "by 0 7 * * 1-5 (Europe/Berlin), with 15m of grace", "2026-10-23T05:20:00Z", "2026-10-26T06:15:00Z"},
		{"{cron: '@hourly'}", "by @hourly (UTC), with 15m of grace", "2026-11-23T07:00:00Z", "2026-11-23T08:15:00Z"},
	} {
		c, problems := parsed(t, expecting(tt.list))
		require.Empty(t, problems, tt.list)
		e := c.Projects[0].Expect
		require.Equal(t, tt.says, e.String())
		deadline, err := e.Deadline(at(tt.from))
		require.NoError(t, err)
		require.Equal(t, at(tt.deadline), deadline.UTC(), tt.list)
	}
	c, problems := parsed(t, projectsOf("  - match: twins-*\n    expect: {every: 1h}\n  - id: odilo\n"))
	require.Empty(t, problems)
	twins, _ := c.Project("twins-a")
	require.Equal(t, time.Hour, twins.Expect.Every)
	odilo, _ := c.Project("odilo")
	require.True(t, odilo.Expect.IsZero())
	require.True(t, c.ProjectOrDefault("gone").Expect.IsZero())
}

func TestExpectRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ list, want string }{
		{"{}", "8: projects[0].expect: does not say when a result is expected"},
		{"{grace: 15m}", "8: projects[0].expect: does not say when a result is expected"},
		{"1h", "8: projects[0].expect: must be a mapping of keys, not a string"},
		{`{every: 1h, cron: "* * * * *"}`, "8: projects[0].expect.cron: must not be set together with every"},
		{"{every: 1h, time_zone: UTC}", "8: projects[0].expect.time_zone: is only for cron"},
		{"{every: 30s}", "8: projects[0].expect.every: must be at least 1m, not 30s"},
		{"{every: 1h, grace: 0s}", "8: projects[0].expect.grace: must be at least 1m, not 0s"},
		{"{every: 9000h}", "8: projects[0].expect.every: must be at most 8760h, not 9000h"},
		{`{cron: "* * * *"}`, `8: projects[0].expect.cron: is not a cron schedule: it has 4 fields, not 5: "* * * *"`},
		{`{cron: "0 0 31 2 *"}`, `8: projects[0].expect.cron: matches no date: "0 0 31 2 *"`},
		{`{cron: "@every 1h"}`, `8: projects[0].expect.cron: is for times of the clock, not "@every 1h"`},
		{`{cron: "CRON_TZ=UTC * * * * *"}`, `8: projects[0].expect.cron: must not begin with a time zone: "CRON_TZ=UTC * * * * *"`},
		{`{cron: "* * * * *", time_zone: Atlantis}`, `8: projects[0].expect.time_zone: is not a time zone: "Atlantis"`},
		{"{evry: 1h}", "8: projects[0].expect.evry: unknown key"},
	} {
		require.Contains(t, problemsOf(t, expecting(tt.list))[0], tt.want, tt.list)
		c, _ := parsed(t, expecting(tt.list))
		require.True(t, c.Projects[0].Expect.IsZero(), tt.list)
	}
}

// Who writes a wrong cron is not told to write what it refuses.
func TestExpectedCronAdvice(t *testing.T) {
	t.Parallel()
	_, problems := parsed(t, expecting(`{cron: hourly}`))
	require.Contains(t, problems[0].Fix, "write five cron fields (minute hour day month weekday)")
	require.NotContains(t, problems[0].Fix, "@every")
}

// A mistake in it keeps nobody from recording results.
func TestExpectIsNotNeededToRecord(t *testing.T) {
	t.Parallel()
	_, warnings, err := LoadFor(write(t, expecting("{every: 1s}")), ExecKeys("a")...)
	require.NoError(t, err)
	require.Len(t, warnings, 1)
}
