package gitea

import (
	"context"
	"net/http"
	"strings"

	sdk "code.gitea.io/sdk/gitea"

	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/redact"
)

// WorkflowRuns returns one page of the runs in a repository, those of all workflows, the newest first, and whether there are more.
func (g *Client) WorkflowRuns(ctx context.Context, repo tracker.Repo, page int) (runs []tracker.WorkflowRun, more bool, err error) {
	r := request{op: "list workflow runs", where: repo.String()}
	valid := func(list *sdk.ActionWorkflowRunsResponse) bool { return list != nil && notNull(list.WorkflowRuns) }
	list, err := do(ctx, g, r, valid, func(c *sdk.Client) (*sdk.ActionWorkflowRunsResponse, *sdk.Response, error) {
		return c.ListRepoActionRuns(repo.Owner, repo.Name, sdk.ListRepoActionRunsOptions{ListOptions: sdk.ListOptions{Page: page, PageSize: pageSize}})
	})
	if err != nil {
		return nil, false, err
	}
	for _, run := range list.WorkflowRuns {
		if run != nil && run.ID > 0 {
			runs = append(runs, workflowRun(repo, run))
		}
	}
	return runs, int64(page*len(list.WorkflowRuns)) < list.TotalCount && len(list.WorkflowRuns) > 0, nil // the server chooses the length
}

// WorkflowRun returns a run.
func (g *Client) WorkflowRun(ctx context.Context, repo tracker.Repo, id int64) (tracker.WorkflowRun, error) {
	r := request{"read workflow run", number(id), repo.String()}
	run, err := do(ctx, g, r, func(run *sdk.ActionWorkflowRun) bool { return run != nil && run.ID == id },
		func(c *sdk.Client) (*sdk.ActionWorkflowRun, *sdk.Response, error) {
			return c.GetRepoActionRun(repo.Owner, repo.Name, id)
		})
	if err != nil {
		return tracker.WorkflowRun{}, err
	}
	return workflowRun(repo, run), nil
}

func workflowRun(repo tracker.Repo, run *sdk.ActionWorkflowRun) tracker.WorkflowRun {
	file, _, _ := strings.Cut(run.Path, "@") // agent.yaml@refs/heads/main
	out := tracker.WorkflowRun{
		ID: run.ID, Attempt: run.RunAttempt, RepoID: run.RepositoryID, Workflow: redact.Line(file[strings.LastIndexByte(file, '/')+1:], maxLine),
		Completed: run.Status == "completed", Conclusion: redact.Line(run.Conclusion, 40),
		URL: runURL(run.HTMLURL, repo, run.ID), Started: workflowTime(run.StartedAt), Ended: workflowTime(run.CompletedAt),
	}
	if run.Repository != nil {
		out.RepoID = run.Repository.ID
	}
	return out
}

// WorkflowActive reports whether a workflow is enabled.
func (g *Client) WorkflowActive(ctx context.Context, repo tracker.Repo, name string) (bool, error) {
	r := request{"read workflow", name, repo.String()}
	w, err := do(ctx, g, r, func(w *sdk.ActionWorkflow) bool { return w != nil && w.State != "" },
		func(c *sdk.Client) (*sdk.ActionWorkflow, *sdk.Response, error) {
			return c.GetRepoActionWorkflow(repo.Owner, repo.Name, name)
		})
	return err == nil && w.State == "active", err
}

// EnableWorkflow enables or disables a workflow. It needs the scope write:repository.
func (g *Client) EnableWorkflow(ctx context.Context, repo tracker.Repo, name string, enable bool) error {
	op, f := "disable workflow", (*sdk.Client).DisableRepoActionWorkflow
	if enable {
		op, f = "enable workflow", (*sdk.Client).EnableRepoActionWorkflow
	}
	valid := func(resp *sdk.Response) bool { return resp.StatusCode == http.StatusNoContent }
	_, err := do(ctx, g, request{op, name, repo.String()}, valid, func(c *sdk.Client) (*sdk.Response, *sdk.Response, error) {
		resp, err := f(c, repo.Owner, repo.Name, name)
		return resp, resp, err
	})
	return err
}

// noWorkflow is the name of a workflow that no repository has.
const noWorkflow = "adfbot-asks-whether-it-may.yaml"

// MayDisableWorkflows leaves no trace: Gitea checks the right and the scope before it looks for the workflow, and answers 403 without
// them, and 404 with them (recordings actions-disable-missing-scope.json, actions-disable-unknown.json).
func (g *Client) MayDisableWorkflows(ctx context.Context, repo tracker.Repo) error {
	err := g.EnableWorkflow(ctx, repo, noWorkflow, false)
	if tracker.IsStatus(err, http.StatusNotFound) {
		return nil
	}
	return err
}
