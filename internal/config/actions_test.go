package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestActions(t *testing.T) {
	c, problems := parsed(t, projectsOf("  - id: a\n    actions: {repo: ops/Agents, workflow: agent.yaml, disable: true}\n  - id: b\n"))
	require.Empty(t, problems)
	require.Equal(t, Actions{Owner: "ops", Repo: "Agents", Workflow: "agent.yaml", Disable: true}, c.Projects[0].Actions)
	require.Equal(t, "ops/Agents", c.Projects[0].Actions.Path())
	require.True(t, c.Projects[1].Actions.IsZero())
	require.Empty(t, c.Projects[1].Actions.Path())
}

func TestActionsMistakes(t *testing.T) {
	for actions, says := range map[string]string{
		`{repo: ops/agents}`:                                   "does not name the workflow",
		`{workflow: agent.yaml}`:                               "write repo: owner/name",
		`{}`:                                                   "write repo: owner/name",
		`{repo: agents, workflow: agent.yaml}`:                 "write it as owner/name",
		`{repo: "/agents", workflow: agent.yaml}`:              "write it as owner/name",
		`{repo: ops/agents/x, workflow: agent.yaml}`:           "write it as owner/name",
		`{repo: ops/agents.git, workflow: agent.yaml}`:         "write it as owner/name",
		`{repo: ops/agents, workflow: agent}`:                  "such as agent.yaml",
		`{repo: ops/agents, workflow: ../agent.yaml}`:          "such as agent.yaml",
		`{repo: ops/agents, workflow: .gitea/workflows/a.yml}`: "such as agent.yaml",
		`{repo: ops/agents, workflow: a.yml, disable: yes}`:    "must be true or false",
		`{repo: ops/agents, workflows: a.yml}`:                 "did you mean workflow?",
		`agent.yaml`:                                           "must be a mapping",
	} {
		c, problems := parsed(t, projectsOf("  - id: a\n    actions: "+actions+"\n"))
		require.NotEmpty(t, problems, actions)
		require.Contains(t, problems[0].String(), says, actions)
		require.True(t, c.Projects[0].Actions.IsZero(), actions)
	}
	_, problems := parsed(t, projectsOf("  - match: a-*\n    actions: {repo: ops/agents, workflow: agent.yaml}\n"))
	require.Contains(t, problems[0].String(), "a workflow belongs to one project")
}
