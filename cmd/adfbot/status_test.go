package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/status"
)

func TestForeignNote(t *testing.T) {
	t.Parallel()
	require.Empty(t, foreignNote(nil))
	require.Equal(t, "an open issue of another installation, never touched: a/1", foreignNote([]string{"a/1"}))
	require.Equal(t, "3 open issues of another installation, never touched: a/1 and others, see --json", foreignNote([]string{"a/1", "a/2", "b/1"}))
}

func TestStatusOfWorkflow(t *testing.T) {
	t.Parallel()
	const name = "agent.yaml in terraphim/agents"
	for what, c := range map[string]struct {
		w     status.Workflow
		named bool
		want  string
	}{
		"reports":         {},
		"reports, named":  {named: true, want: "odilo: workflow " + name + "\n"},
		"disabled":        {w: status.Workflow{Disabled: true}, want: "odilo: workflow " + name + ", disabled by adfbot when the project was paused\n"},
		"cannot, paused":  {w: status.Workflow{Problem: "status 403"}, want: "! odilo: workflow " + name + ", which could not be disabled or enabled: status 403\n"},
		"cannot, resumed": {w: status.Workflow{Disabled: true, Problem: "x"}, want: "! odilo: workflow " + name + ", disabled by adfbot when the project was paused, which could not be disabled or enabled: x\n"},
	} {
		var out bytes.Buffer
		a := &app{process: process{getenv: func(string) string { return "" }, stdout: &out}, out: output{w: &out}}
		c.w.Repo, c.w.Workflow = "terraphim/agents", "agent.yaml"
		a.printStatus(status.Status{Projects: []status.Project{{ID: "odilo", Paused: status.No, Workflow: &c.w}}}, statusFlags{all: true}, c.named)
		_, got, _ := bytes.Cut(out.Bytes(), []byte("no runs yet"))
		got = bytes.TrimLeft(got, " \n")
		require.Equal(t, c.want, string(got), what)
	}
}
