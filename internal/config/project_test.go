package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/pause"
)

func TestCheckProject(t *testing.T) {
	c := &Config{Projects: []Project{{ID: "odilo"}, {ID: "atlas"}}}
	c.inherit()
	require.NoError(t, c.CheckProject("atlas"))
	var unknown *UnknownProjectError
	require.ErrorAs(t, c.CheckProject("nobody"), &unknown)
	require.EqualError(t, unknown, `unknown project "nobody": the configuration has odilo, atlas`)
	for _, id := range []string{"", "../x", "/etc/x", "a\nb", "a\x00b", strings.Repeat("x", 200)} {
		require.ErrorIs(t, c.CheckProject(id), pause.ErrID, "%q", id)
	}
}

func TestProjectOrDefault(t *testing.T) {
	c := &Config{Gitea: Gitea{Owner: "o", Repo: "r"}, Breaker: Breaker{Threshold: 4, ResumeThreshold: 2}, Projects: []Project{{ID: "odilo", Threshold: 1}}}
	c.inherit()
	require.Equal(t, c.Projects[0], c.ProjectOrDefault("odilo"))
	require.Equal(t, Project{ID: "gone", Threshold: 4, ResumeThreshold: 2, Owner: "o", Repo: "r"}, c.ProjectOrDefault("gone"))
}

func TestUnknownProject(t *testing.T) {
	few := []string{"odilo", "atlas", "digital-twins"}
	var many []string
	for n := range 300 {
		many = append(many, fmt.Sprintf("project-%03d", n))
	}
	many = append(many, few...)
	for _, c := range []struct {
		id    string
		known []string
		want  string
	}{
		{"nobody", few, `unknown project "nobody": the configuration has odilo, atlas, digital-twins`},
		{"odio", many, `unknown project "odio": the nearest names are odilo`},
		{"Odilo", many, `unknown project "Odilo": the nearest names are odilo`},
		{"digital", many, `unknown project "digital": the nearest names are digital-twins`},
		{"twins", many, `unknown project "twins": the nearest names are digital-twins`},
		{"digital_twin", many, `unknown project "digital_twin": the nearest names are digital-twins`},
		{"project-42", many, `unknown project "project-42": the nearest names are project-042, project-142, project-242, project-002, project-012`},
		{"zzzzzz", many, `unknown project "zzzzzz": the configuration has 303 projects, none with a similar name`},
		{strings.Repeat("x", 128), many, `unknown project "` + strings.Repeat("x", 128) + `": the configuration has 303 projects, none with a similar name`},
		{"x", nil, `unknown project "x": the configuration has no projects`},
	} {
		require.Equal(t, c.want, (&UnknownProjectError{c.id, c.known}).Error())
	}
}
