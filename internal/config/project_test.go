package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/pause"
)

func TestCheckProject(t *testing.T) {
	c := &Config{Projects: []Project{{ID: "odilo"}, {ID: "atlas"}}}
	require.NoError(t, c.CheckProject("atlas"))
	var unknown *UnknownProjectError
	require.ErrorAs(t, c.CheckProject("nobody"), &unknown)
	require.EqualError(t, unknown, `unknown project "nobody": the configuration has [odilo atlas]`)
	for _, id := range []string{"", "../x", "/etc/x", "a\nb", "a\x00b", strings.Repeat("x", 200)} {
		require.ErrorIs(t, c.CheckProject(id), pause.ErrID, "%q", id)
	}
}

func TestProjectOrDefault(t *testing.T) {
	c := &Config{Gitea: Gitea{Owner: "o", Repo: "r"}, Breaker: Breaker{Threshold: 4, ResumeThreshold: 2}, Projects: []Project{{ID: "odilo", Threshold: 1}}}
	require.Equal(t, c.Projects[0], c.ProjectOrDefault("odilo"))
	require.Equal(t, Project{ID: "gone", Threshold: 4, ResumeThreshold: 2, Owner: "o", Repo: "r"}, c.ProjectOrDefault("gone"))
}
