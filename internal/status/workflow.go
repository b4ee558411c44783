package status

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/store"
)

// Workflow is a workflow of Gitea Actions whose runs are a project's results.
type Workflow struct {
	Repo     string `json:"repo"` // owner/name
	Workflow string `json:"workflow"`
	Disabled bool   `json:"disabled,omitempty"` // by adfbot, while the project is paused, or another one that has it
	For      string `json:"-"`                  // the other one
	Problem  string `json:"problem,omitempty"`  // why adfbot could not disable or enable it
}

// String names the workflow for people.
func (w Workflow) String() string {
	text := fmt.Sprintf("%s in %s", w.Workflow, w.Repo)
	if w.Disabled {
		text += fmt.Sprintf(", disabled by adfbot when %s was paused", cmp.Or(w.For, "the project"))
	}
	if w.Problem != "" {
		text += ", which could not be disabled or enabled: " + w.Problem
	}
	return text
}

// Same reports whether it is the workflow of this name in the repository of this path, of which Gitea takes any spelling.
func (w Workflow) Same(repo, workflow string) bool {
	return strings.EqualFold(w.Repo, repo) && w.Workflow == workflow
}

// WorkflowsKey is the key of [DisabledWorkflows] in the state's meta table, as JSON.
const WorkflowsKey = "disabled_workflows"

// DisabledWorkflows returns the workflows that adfbot has disabled, or is about to disable, by their project. Disabled is not set in them.
func DisabledWorkflows(ctx context.Context, s store.MetaStore) (map[string]Workflow, error) {
	return readMap[Workflow](ctx, s, WorkflowsKey, "which workflows are disabled")
}

// DisabledFor returns the project for whose pause adfbot has disabled the workflow of a project: that one itself, or another one that has the
// same, of several the first by its id; "" if for none.
func DisabledFor(project string, w Workflow, disabled map[string]Workflow) string {
	if _, ok := disabled[project]; ok {
		return project
	}
	first := ""
	for id, other := range disabled {
		if other.Same(w.Repo, w.Workflow) && (first == "" || id < first) {
			first = id
		}
	}
	return first
}

// WorkflowProblemsKey is the key of [WorkflowProblems] in the state's meta table, as JSON.
const WorkflowProblemsKey = "workflow_problems"

// WorkflowProblems returns why workflows could not be disabled or enabled, by their project.
func WorkflowProblems(ctx context.Context, s store.MetaStore) (map[string]string, error) {
	return readMap[string](ctx, s, WorkflowProblemsKey, "which workflows could not be disabled or enabled")
}

// readMap reads what the meta table has for projects, as JSON. An error names it.
func readMap[T any](ctx context.Context, s store.MetaStore, key, what string) (map[string]T, error) {
	all := map[string]T{}
	doc, err := s.Meta(ctx, key)
	if err != nil || doc == "" {
		return all, err
	}
	if err := json.Unmarshal([]byte(doc), &all); err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	return all, nil
}

// workflows returns [DisabledWorkflows] and [WorkflowProblems] if a project has a workflow.
func (r *Reader) workflows(ctx context.Context) (disabled map[string]Workflow, problems map[string]string, err error) {
	if !slices.ContainsFunc(r.from.Config.Projects, func(p config.Project) bool { return !p.Actions.IsZero() }) {
		return nil, nil, nil
	}
	disabled, err = DisabledWorkflows(ctx, r.from.State)
	if err == nil {
		problems, err = WorkflowProblems(ctx, r.from.State)
	}
	return disabled, problems, err
}
