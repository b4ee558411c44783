package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/class"
)

// requireShown shows a configuration and reads that: it is the same one. Every good file of any test is tried.
func requireShown(t *testing.T, text string, want *Config) {
	t.Helper()
	s, err := settingsOf("config.yaml", []byte(text), "host", noFiles)
	require.NoError(t, err)
	again, r, err := parse("config.yaml", s.YAML(), "host", noFiles)
	require.NoError(t, err, "%s", s.YAML())
	require.Empty(t, r.problems, "%s", s.YAML())
	require.Equal(t, unplaced(*want), unplaced(*again), "%s", s.YAML())
}

// unplaced takes out of a configuration what says where it was written.
func unplaced(c Config) Config {
	c.Path, c.Files, c.places, c.warnings, c.index = "", nil, nil, nil, nil
	c.Classes = withoutOrigin(c.Classes)
	c.Projects = slices.Clone(c.Projects)
	for n := range c.Projects {
		p := &c.Projects[n]
		p.Classes = withoutOrigin(p.Classes)
		p.IgnoreExitCodes = append([]int{}, p.IgnoreExitCodes...)
		p.Users = append([]string{}, p.Users...)
	}
	c.Escalation.Steps = slices.Clone(c.Escalation.Steps)
	for n := range c.Escalation.Steps {
		s := &c.Escalation.Steps[n]
		for _, list := range []*[]string{&s.Mention, &s.Assign, &s.Labels} {
			*list = append([]string{}, *list...)
		}
	}
	c.Escalation.Steps = append([]Step{}, c.Escalation.Steps...)
	return c
}

func withoutOrigin(rules []class.Rule) []class.Rule {
	out := append([]class.Rule{}, rules...)
	for n := range out {
		out[n].Origin = ""
		out[n].ExitCodes = append([]int{}, out[n].ExitCodes...)
		out[n].Agents = append([]string{}, out[n].Agents...)
		out[n].Output = append(out[n].Output[:0:0], out[n].Output...)
		if len(out[n].Output) == 0 {
			out[n].Output = nil
		}
	}
	return out
}

// from returns where the value of a key came from, and the value.
func (s *Settings) from(t *testing.T, key string) (string, any) {
	t.Helper()
	n := slices.IndexFunc(s.List, func(x Setting) bool { return x.Key == key })
	require.GreaterOrEqual(t, n, 0, key)
	return s.List[n].String(), s.List[n].Value
}

func TestSettingsOrigin(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	require.NoError(t, os.WriteFile(path, []byte(`pause_dir: /flags
gitea:
  url: https://git.example.org/
  token_file: /etc/adfbot/gitea-token
  owner: terraphim
  repo: adf-fleet
breaker:
  threshold: 4
escalation:
  remind: 24h
  steps:
    - after: 90m
      mention: [ops/on-call]
projects:
  - id: odilo
  - id: twins
    threshold: 0
    labels: []
    expect: {every: 1h}
include: conf.d/*.yaml
`), 0o644))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "conf.d"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "conf.d/team.yaml"), []byte("projects:\n  - match: team-*\n    repo: team\n"), 0o644))
	s, err := ReadSettings(path)
	require.NoError(t, err)
	for _, c := range []struct {
		key, from string
		value     any
	}{
		{"pause_dir", path + ":1", "/flags"},
		{"state", "default", "/var/lib/adfbot/adfbot.db"},
		{"local_dir", "state: default", "/var/lib/adfbot/adfbot.db.d"},
		{"gitea.url", path + ":3", "https://git.example.org"},
		{"gitea.timeout", "default", "10s"},
		{"breaker.threshold", path + ":8", 4},
		{"breaker.resume_threshold", "breaker.threshold: " + path + ":8", 4},
		{"escalation.remind", path + ":10", "24h"},
		{"escalation.steps[0].after", path + ":12", "1h30m"},
		{"escalation.steps[0].mention", path + ":13", []any{"ops/on-call"}},
		{"include", path + ":20", "conf.d/*.yaml"},
		{"projects[0].id", path + ":15", "odilo"},
		{"projects[0].threshold", "breaker.threshold: " + path + ":8", 4},
		{"projects[0].owner", "gitea.owner: " + path + ":5", "terraphim"},
		{"projects[0].labels", "escalation.labels: default", []any{"adf", "circuit-breaker", "priority/high"}},
		{"projects[1].threshold", path + ":17", 1},
		{"projects[1].resume_threshold", "projects[1].threshold: " + path + ":17", 1},
		{"projects[1].labels", path + ":18", []any{}},
		{"projects[1].expect.every", path + ":19", "1h"},
		{"projects[1].expect.grace", "default", "15m"},
		{"projects[2].match", dir + "/conf.d/team.yaml:2", "team-*"},
		{"projects[2].repo", dir + "/conf.d/team.yaml:3", "team"},
		{"projects[2].threshold", "breaker.threshold: " + path + ":8", 4},
	} {
		from, value := s.from(t, c.key)
		require.Equal(t, c.from, from, c.key)
		require.Equal(t, c.value, value, c.key)
	}
	require.NotContains(t, string(s.YAML()), `match: ""`)
	again, err := settingsOf("shown.yaml", s.YAML(), "host", noFiles)
	require.NoError(t, err)
	require.Len(t, again.List, len(s.List), "all projects, and no file that has them once more")
	require.Contains(t, string(s.YAML()), "  url: https://git.example.org # "+path+":3\n")
	require.Contains(t, string(s.YAML()), "  - match: team-* # "+dir+"/conf.d/team.yaml:2\n")
}

// What may be the secret itself is not shown; the path of a file that is there always is.
func TestSettingsHideSecrets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "0123456789abcdef0123456789abcdef01234567")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for key, values := range map[string]map[string]bool{ // whether it is hidden
		"token_file": {"/0123456789abcdef0123456789abcdef01234567": true, "/etc/adfbot/gitea-token": false, "$CREDENTIALS_DIRECTORY/gitea-token": false, file: false, "": false},
		"token_env":  {"a123456789abcdef0123456789abcdef01234567": true, "ADFBOT_GITEA_TOKEN": false, "": false},
	} {
		for value, hidden := range values {
			text := strings.Replace(rest, "token_file: /etc/adfbot/token", key+": "+value, 1)
			if value == "" {
				text = giteaWith(key + `: ""`)
				if key == "token_file" {
					text = strings.Replace(rest, "token_file: /etc/adfbot/token", `token_file: ""`+"\n  token_env: T", 1)
				}
			}
			s, err := settingsOf("config.yaml", []byte(text), "host", noFiles)
			require.NoError(t, err)
			_, got := s.from(t, "gitea."+key)
			if hidden {
				require.Equal(t, hiddenValue, got)
				require.NotContains(t, string(s.YAML()), "23456789")
			} else {
				require.Equal(t, value, got)
			}
		}
	}
}

func TestSettingsOfBadFile(t *testing.T) {
	_, err := settingsOf("config.yaml", []byte(giteaWith("timeout: never")), "host", noFiles)
	require.ErrorContains(t, err, "config.yaml:6: gitea.timeout: must be a duration")
}

func TestPlainDurations(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", 10 * time.Minute: "10m", 100 * time.Minute: "1h40m", 168 * time.Hour: "168h", 90 * time.Second: "1m30s",
		time.Hour + time.Second: "1h0m1s", 100 * time.Millisecond: "100ms", 20 * time.Hour: "20h"} {
		require.Equal(t, want, plain(d))
		back, err := time.ParseDuration(want)
		require.NoError(t, err)
		require.Equal(t, d, back)
	}
}
