package config

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const example = "../../config.example.yaml"

func TestTheExampleLoads(t *testing.T) {
	c, err := Load(example)
	require.NoError(t, err)
	require.Equal(t, []string{"odilo", "digital-twins"}, c.ProjectIDs())
}

func TestTheExampleShowsTheDefaults(t *testing.T) {
	c, err := Load(example)
	require.NoError(t, err)
	want := Default("bigbox")
	// These have no default.
	want.Path, want.Projects = c.Path, c.Projects
	g := &want.Gitea
	g.URL, g.TokenFile, g.Owner, g.Repo = c.Gitea.URL, c.Gitea.TokenFile, c.Gitea.Owner, c.Gitea.Repo
	require.Equal(t, want, c)
}

func TestTheExampleShowsEveryKeyWithAComment(t *testing.T) {
	data, err := os.ReadFile(example)
	require.NoError(t, err)

	// The path of every key in the file, also of one that is commented out, and whether a comment precedes it. A comment
	// serves the lines up to the next empty one.
	shown := map[string]bool{}
	var path []string
	comment := false
	key := regexp.MustCompile(`^((?:  )*)(- |# )?([a-z_]+):( |$)`)
	for _, line := range strings.Split(string(data), "\n") {
		switch m := key.FindStringSubmatch(line); {
		case m != nil:
			depth := min(len(m[1]), 1) // the keys of a project are as deep as those of a section
			path = append(path[:depth], m[3])
			shown[strings.Join(path, ".")] = comment
		case strings.HasPrefix(strings.TrimSpace(line), "#"):
			comment = true
		case line == "":
			comment = false
		}
	}

	var look func(prefix string, fields []field)
	look = func(prefix string, fields []field) {
		for _, f := range fields {
			name := join(prefix, f.name)
			commented, there := shown[name]
			require.True(t, there, name)
			if f.fields == nil && !strings.HasPrefix(name, "projects.") {
				require.True(t, commented, "a comment on "+name)
			}
			look(name, f.fields)
		}
	}
	look("", schema(new(Config)))
}
