package config

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const example = "../../config.example.yaml"

func TestExampleLoads(t *testing.T) {
	c, err := Load(example)
	require.NoError(t, err)
	require.Equal(t, []string{"odilo", "digital-twins"}, c.ProjectIDs(nil))
}

func TestExampleShowsDefaults(t *testing.T) {
	c, err := Load(example)
	require.NoError(t, err)
	want := defaults("bigbox")
	want.inherit()
	want.LocalDir = localDirOf(want.State)
	// These have no default.
	want.Path, want.Files, want.Projects, want.index, want.globs, want.places = c.Path, c.Files, c.Projects, c.index, c.globs, c.places
	c.warnings = nil // a function
	g := &want.Gitea
	g.URL, g.TokenFile, g.Owner, g.Repo = c.Gitea.URL, c.Gitea.TokenFile, c.Gitea.Owner, c.Gitea.Repo
	require.Equal(t, want, c)
}

func TestExampleShowsEveryKey(t *testing.T) {
	data, err := os.ReadFile(example)
	require.NoError(t, err)

	// By the path of every key in the file, commented out or not: whether a comment precedes it. A comment applies up
	// to the next empty line.
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

	var check func(prefix string, fields []field)
	check = func(prefix string, fields []field) {
		for _, f := range fields {
			name := join(prefix, f.name)
			commented, ok := shown[name]
			require.True(t, ok, name)
			if f.fields == nil && !strings.HasPrefix(name, "projects.") {
				require.True(t, commented, "a comment on "+name)
			}
			check(name, f.fields)
		}
	}
	check("", schema(new(Config), new(string)))
}
