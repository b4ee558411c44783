package setup

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/terraphim/adfbot/internal/config"
)

// Answers are what a configuration cannot do without.
type Answers struct {
	URL         string // of Gitea
	Owner, Repo string // of the repository for the issues
	Project     string
}

// Content returns a configuration. It names the places that are not the defaults.
func (a Answers) Content(p Places) string {
	var b strings.Builder
	b.WriteString("# All other keys have defaults: `adfbot help config.example.yaml` shows them, `adfbot config show` the values in use.\n")
	state, pauseDir := config.DefaultPlaces()
	if p.PauseDir != pauseDir {
		fmt.Fprintf(&b, "pause_dir: %s\n", scalar(p.PauseDir))
	}
	if p.State != state {
		fmt.Fprintf(&b, "state: %s\n", scalar(p.State))
	}
	fmt.Fprintf(&b, `gitea:
  url: %s
  token_file: %s
  owner: %s
  repo: %s
escalation:
  # Projects that fail for the same reason within this time share an issue: see `+"`adfbot help storms`"+`.
  storm_window: 15m
projects:
  - id: %s
`, scalar(a.URL), scalar(p.Token), scalar(a.Owner), scalar(a.Repo), scalar(a.Project))
	return b.String()
}

// scalar returns a string as YAML, in quotes where it needs them.
func scalar(s string) string {
	b, err := yaml.Marshal(s)
	if err != nil {
		panic(err) // a string always is YAML
	}
	return strings.TrimSuffix(string(b), "\n")
}
