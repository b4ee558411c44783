package giteatest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Gitea Actions, as far as a server without runners goes: nobody runs anything, so a test says how runs end.

type workflow struct {
	file     string // in .gitea/workflows
	name     string
	disabled bool
}

type workflowRun struct {
	id, attempt int64
	repo        *repository
	workflow    *workflow
	by          *user
	started     time.Time // zero: it waits for a runner
	ended       time.Time // zero: it has not
	conclusion  string
}

func (r *repository) workflow(file string) *workflow {
	if i := slices.IndexFunc(r.workflows, func(w *workflow) bool { return w.file == file }); i >= 0 {
		return r.workflows[i]
	}
	return nil
}

// AddWorkflow adds the file of a workflow to a repository.
func (s *Server) AddWorkflow(repo, file, name string) {
	s.change(repo, func(r *repository) { r.workflows = append(r.workflows, &workflow{file: file, name: name}) })
}

// RemoveWorkflow removes the file of a workflow. Its runs stay.
func (s *Server) RemoveWorkflow(repo, file string) {
	s.change(repo, func(r *repository) {
		r.workflows = slices.DeleteFunc(r.workflows, func(w *workflow) bool { return w.file == file })
	})
}

// WorkflowActive reports whether a workflow is enabled.
func (s *Server) WorkflowActive(repo, file string) (active bool) {
	s.change(repo, func(r *repository) { active = !r.workflow(file).disabled })
	return active
}

// SetWorkflowActive enables or disables a workflow, as a person does on the page.
func (s *Server) SetWorkflowActive(repo, file string, active bool) {
	s.change(repo, func(r *repository) { r.workflow(file).disabled = !active })
}

// StartWorkflowRun adds a run that has been dispatched and waits for a runner, and returns its id.
func (s *Server) StartWorkflowRun(repo, file string) (id int64) {
	s.change(repo, func(r *repository) { id = s.dispatch(r, r.workflow(file), r.owner).id })
	return id
}

// TakeWorkflowRun has a runner take a run, which begins now.
func (s *Server) TakeWorkflowRun(repo string, id int64) {
	s.change(repo, func(r *repository) { r.run(id).started = s.clock() })
}

// EndWorkflowRun ends a run with a conclusion, such as "success", "failure" or "cancelled". It began a minute ago.
func (s *Server) EndWorkflowRun(repo string, id int64, conclusion string) {
	s.change(repo, func(r *repository) {
		run := r.run(id)
		run.ended, run.conclusion = s.clock(), conclusion
		if conclusion != "cancelled" && conclusion != "skipped" { // else no runner has taken it
			run.started = run.ended.Add(-time.Minute)
		}
	})
}

// RerunWorkflowRun starts a run again under its id. Gitea 1.26 does not tell that it is another attempt; with tells, the server does.
func (s *Server) RerunWorkflowRun(repo string, id int64, tells bool) {
	s.change(repo, func(r *repository) {
		run := r.run(id)
		run.started, run.ended, run.conclusion = time.Time{}, time.Time{}, ""
		if tells {
			run.attempt++
		}
	})
}

// NumberAttempts makes the server tell which attempt of a run is its last one, as Gitea does from 1.27 on.
func (s *Server) NumberAttempts(tells bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.numbered = tells
}

// DeleteWorkflowRun deletes a run.
func (s *Server) DeleteWorkflowRun(repo string, id int64) {
	s.change(repo, func(r *repository) {
		r.runs = slices.DeleteFunc(r.runs, func(run *workflowRun) bool { return run.id == id })
	})
}

func (r *repository) run(id int64) *workflowRun {
	if i := slices.IndexFunc(r.runs, func(run *workflowRun) bool { return run.id == id }); i >= 0 {
		return r.runs[i]
	}
	return nil
}

// dispatch adds a run. The caller holds s.mu.
func (s *Server) dispatch(r *repository, w *workflow, by *user) *workflowRun {
	s.lastRun++
	run := &workflowRun{id: s.lastRun, repo: r, workflow: w, by: by}
	r.runs = append(r.runs, run)
	return run
}

type apiWorkflow struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Path      string    `json:"path"`
	State     string    `json:"state"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	URL       string    `json:"url"`
	HTMLURL   string    `json:"html_url"`
	BadgeURL  string    `json:"badge_url"`
	DeletedAt time.Time `json:"deleted_at"`
}

func (s *Server) workflowJSON(r *repository, w *workflow) apiWorkflow {
	o := apiWorkflow{
		ID: w.file, Name: w.name, Path: ".gitea/workflows/" + w.file, State: "active", CreatedAt: r.created, UpdatedAt: r.created,
		URL:      s.baseURL + "/api/v1/repos/" + r.path() + "/actions/workflows/" + w.file,
		HTMLURL:  s.baseURL + "/" + r.path() + "/src/branch/main/.gitea/workflows/" + w.file,
		BadgeURL: s.baseURL + "/" + r.path() + "/actions/workflows/" + w.file + "/badge.svg?branch=main",
	}
	if w.disabled {
		o.State = "disabled_manually"
	}
	return o
}

type apiRun struct {
	ID           int64          `json:"id"`
	URL          string         `json:"url"`
	HTMLURL      string         `json:"html_url"`
	DisplayTitle string         `json:"display_title"`
	Path         string         `json:"path"`
	Event        string         `json:"event"`
	RunAttempt   int64          `json:"run_attempt"`
	RunNumber    int64          `json:"run_number"`
	HeadSHA      string         `json:"head_sha"`
	HeadBranch   string         `json:"head_branch"`
	Status       string         `json:"status"`
	Conclusion   string         `json:"conclusion,omitempty"`
	Actor        *apiUser       `json:"actor"`
	TriggerActor *apiUser       `json:"trigger_actor"`
	Repository   map[string]any `json:"repository"`
	StartedAt    time.Time      `json:"started_at"`
	CompletedAt  time.Time      `json:"completed_at"`
}

// headCommit is the commit of all runs: the fake has no repositories.
const headCommit = "5b136d020dea46369d2e2d85a7e293457d9f3b31"

func (c *call) runJSON(run *workflowRun) apiRun {
	s, r := c.s, run.repo
	repo := map[string]any{ // what else Gitea tells of it, no client needs here
		"id": r.id, "owner": s.userJSON(r.owner, nil), "name": r.name, "full_name": r.path(), "private": r.private,
		"html_url": s.baseURL + "/" + r.path(), "url": s.baseURL + "/api/v1/repos/" + r.path(),
	}
	o := apiRun{
		ID: run.id, RunNumber: int64(slices.Index(r.runs, run)) + 1, RunAttempt: run.attempt,
		URL:     fmt.Sprintf("%s/api/v1/repos/%s/actions/runs/%d", s.baseURL, r.path(), run.id),
		HTMLURL: fmt.Sprintf("%s/%s/actions/runs/%d", s.baseURL, r.path(), run.id), DisplayTitle: run.workflow.name,
		Path: run.workflow.file + "@refs/heads/main", Event: "workflow_dispatch", HeadSHA: headCommit, HeadBranch: "main",
		Status: "queued", Conclusion: run.conclusion, Actor: s.userJSON(run.by, nil), TriggerActor: s.userJSON(run.by, nil), Repository: repo,
		StartedAt: time.Unix(0, 0).UTC(), CompletedAt: time.Unix(0, 0).UTC(),
	}
	if s.numbered {
		o.RunAttempt++
	}
	if !run.started.IsZero() {
		o.Status, o.StartedAt = "in_progress", run.started
	}
	if !run.ended.IsZero() {
		o.Status, o.CompletedAt = "completed", run.ended
	}
	return o
}

// listRuns lists the runs of all workflows, the newest first.
func listRuns(c *call) *response {
	all := slices.Clone(c.repo.runs)
	slices.Reverse(all)
	runs := []apiRun{}
	for _, run := range cutPage(c, all) {
		runs = append(runs, c.runJSON(run))
	}
	resp := reply(http.StatusOK, map[string]any{"workflow_runs": runs, "total_count": len(all)})
	resp.header.Set("X-Total-Count", strconv.Itoa(len(all)))
	return resp
}

func getRun(c *call) *response {
	run := c.repo.run(c.number())
	if run == nil {
		return c.s.notFound()
	}
	return reply(http.StatusOK, c.runJSON(run))
}

func listWorkflows(c *call) *response {
	list := []apiWorkflow{}
	for _, w := range c.repo.workflows {
		list = append(list, c.s.workflowJSON(c.repo, w))
	}
	return reply(http.StatusOK, map[string]any{"workflows": list, "total_count": len(list)})
}

func getWorkflow(c *call) *response {
	w := c.repo.workflow(c.args[0])
	if w == nil {
		return c.noWorkflow()
	}
	return reply(http.StatusOK, c.s.workflowJSON(c.repo, w))
}

func (c *call) noWorkflow() *response {
	return c.s.message(http.StatusNotFound, fmt.Sprintf("workflow %q not found", c.args[0]))
}

func disableWorkflow(c *call) *response { return c.setWorkflow(true) }

func enableWorkflow(c *call) *response { return c.setWorkflow(false) }

// setWorkflow checks the permission before it looks for the workflow.
func (c *call) setWorkflow(disabled bool) *response {
	if !c.may(Write) {
		return c.s.message(http.StatusForbidden, "user should have a permission to write to a repo")
	}
	w := c.repo.workflow(c.args[0])
	if w == nil {
		return c.noWorkflow()
	}
	w.disabled = disabled
	return &response{status: http.StatusNoContent, header: http.Header{}}
}

func dispatchWorkflow(c *call) *response {
	w := c.repo.workflow(c.args[0])
	switch {
	case !c.may(Write):
		return c.s.message(http.StatusForbidden, "user should have a permission to write to a repo")
	case w == nil:
		return c.noWorkflow()
	case w.disabled:
		return c.s.message(http.StatusForbidden, "workflow is disabled")
	}
	c.s.dispatch(c.repo, w, c.doer)
	return &response{status: http.StatusNoContent, header: http.Header{}}
}
