package status

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/terraphim/adfbot/internal/store"
)

// Workflow is a workflow of Gitea Actions whose runs are a project's results.
type Workflow struct {
	Repo     string `json:"repo"` // owner/name
	Workflow string `json:"workflow"`
	Disabled bool   `json:"disabled,omitempty"` // by adfbot, while the project is paused
}

// String names the workflow for people.
func (w Workflow) String() string {
	text := fmt.Sprintf("%s in %s", w.Workflow, w.Repo)
	if w.Disabled {
		text += ", disabled while the project is paused"
	}
	return text
}

// WorkflowsKey is the key of [DisabledWorkflows] in the state's meta table, as JSON.
const WorkflowsKey = "disabled_workflows"

// DisabledWorkflows returns the workflows that adfbot has disabled, or is about to disable, by their project. Disabled is not set in them.
func DisabledWorkflows(ctx context.Context, s store.MetaStore) (map[string]Workflow, error) {
	all := map[string]Workflow{}
	doc, err := s.Meta(ctx, WorkflowsKey)
	if err != nil || doc == "" {
		return all, err
	}
	if err := json.Unmarshal([]byte(doc), &all); err != nil {
		return nil, fmt.Errorf("read which workflows are disabled: %w", err)
	}
	return all, nil
}

// workflows returns [DisabledWorkflows] if a project has a workflow.
func (r *Reader) workflows(ctx context.Context) (map[string]Workflow, error) {
	for _, p := range r.from.Config.Projects {
		if !p.Actions.IsZero() {
			return DisabledWorkflows(ctx, r.from.State)
		}
	}
	return nil, nil
}
