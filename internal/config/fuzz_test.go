package config

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/pause"
)

func FuzzLoad(f *testing.F) {
	for _, path := range []string{example, "testdata/mistakes.yaml"} {
		data, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(data)
	}
	for _, text := range []string{
		rest, "", "---\n", "a: &a [*a]\n", "sweep: {schedule: TZ=UTC}\n" + rest, "sweep: {schedule: '@every 500ms'}\n" + rest,
		"<<: *x\n", "? {a: b}\n: c\n", "gitea: {url: 'http://[::1'}\n", "http: {listen: '[::]:1'}\n" + rest, "%YAML 1.1\n---\n" + rest,
		projectsOf("  - {id: !!binary aGVsbG8=, labels: [a, [b]]}\n"),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, r, err := parse("config.yaml", data, "host", func(string) ([]source, *fault) { return nil, nil })
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		for _, p := range r.problems {
			require.NotEmpty(t, p.What)
			require.NotContains(t, p.String(), "\n")
		}
		// LoadFor may return c in spite of the problems.
		_, err = c.Sweep.Cron()
		require.NoError(t, err)
		require.Positive(t, c.Gitea.Timeout)
		require.Positive(t, c.Breaker.ResumeThreshold)
		for _, p := range c.Projects {
			require.True(t, p.Match != "" || pause.ValidID(p.ID))
			require.Positive(t, p.Threshold)
			require.Positive(t, p.ResumeThreshold)
		}
		require.True(t, c.HTTP.Listen == "" || isLoopback(c.HTTP.Listen) || c.HTTP.TokenFile != "")
		if len(r.problems) == 0 {
			require.NotEmpty(t, c.Projects)
			for _, id := range c.ProjectIDs(nil) {
				require.True(t, hasIssueTarget(c, id))
			}
		}
	})
}
