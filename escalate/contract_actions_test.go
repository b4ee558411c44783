package escalate_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/tracker"
)

const contractWorkflow = "adfbot-contract.yaml"

// workflow adds a workflow that no runner takes. On a real server that needs Actions and the scope write:repository.
func (s *side) workflow() {
	s.Helper()
	if s.fake != nil {
		s.fake.AddWorkflow(s.repo.String(), contractWorkflow, "contract")
		s.fake.AddToken("adf-bot", s.token, "write:issue", "read:user", "write:repository")
		return
	}
	// on: workflow_dispatch, with one job that runs on adfbot-has-none
	const file = "bmFtZTogY29udHJhY3QKb246IHdvcmtmbG93X2Rpc3BhdGNoCmpvYnM6CiAgbm9uZTogeyBydW5zLW9uOiBhZGZib3QtaGFzLW5vbmUsIHN0ZXBzOiBbeyBydW46ICJ0cnVlIiB9XSB9Cg=="
	code := s.send(http.MethodPost, "/contents/.gitea/workflows/"+contractWorkflow, `{"content":"`+file+`","message":"contract test"}`)
	if code == http.StatusForbidden {
		s.Skip("the token of the real Gitea has not the scope write:repository")
	}
	require.Contains(s, []int{http.StatusCreated, http.StatusUnprocessableEntity}, code, "or it is there")
	if _, err := s.gitea.WorkflowActive(s.Context(), s.repo, contractWorkflow); tracker.IsStatus(err, http.StatusNotFound) {
		s.Skip("the real Gitea has no Actions")
	}
}

// send is a request past the tracker with a body.
func (s *side) send(method, path, body string) int {
	s.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, s.url+"/api/v1/repos/"+s.repo.String()+path, strings.NewReader(body))
	require.NoError(s, err)
	r.Header.Set("Authorization", "token "+s.token)
	r.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{Transport: s.way}).Do(r)
	require.NoError(s, err)
	require.NoError(s, resp.Body.Close())
	return resp.StatusCode
}

func (s *side) dispatch() int {
	s.Helper()
	return s.send(http.MethodPost, "/actions/workflows/"+contractWorkflow+"/dispatches", `{"ref":"main"}`)
}

func TestContractWorkflow(t *testing.T) {
	contract(t, func(s *side) {
		s.workflow()
		active := func() bool {
			is, err := s.gitea.WorkflowActive(s.Context(), s.repo, contractWorkflow)
			require.NoError(s, err)
			return is
		}
		for range 2 { // again is no error
			require.NoError(s, s.gitea.EnableWorkflow(s.Context(), s.repo, contractWorkflow, false))
			require.False(s, active())
			require.Equal(s, http.StatusForbidden, s.dispatch())
		}
		for range 2 {
			require.NoError(s, s.gitea.EnableWorkflow(s.Context(), s.repo, contractWorkflow, true))
			require.True(s, active())
		}
		require.NoError(s, s.gitea.MayDisableWorkflows(s.Context(), s.repo))
		s.refused(s.gitea.EnableWorkflow(s.Context(), s.repo, "none.yaml", true), http.StatusNotFound)
		_, err := s.gitea.WorkflowActive(s.Context(), s.repo, "none.yaml")
		s.refused(err, http.StatusNotFound)
	})
}

func TestContractWorkflowRuns(t *testing.T) {
	contract(t, func(s *side) {
		s.workflow()
		for range 2 {
			require.Equal(s, http.StatusNoContent, s.dispatch())
		}
		runs, _, err := s.gitea.WorkflowRuns(s.Context(), s.repo, 1)
		if s.fake == nil && tracker.IsStatus(err, http.StatusForbidden) {
			s.Skip("the real Gitea lists runs to an owner only, as 1.25 does")
		}
		require.NoError(s, err)
		require.GreaterOrEqual(s, len(runs), 2)
		require.True(s, slices.IsSortedFunc(runs, func(a, b tracker.WorkflowRun) int { return int(b.ID - a.ID) }), "the newest first")
		run := runs[0]
		require.Equal(s, contractWorkflow, run.Workflow)
		require.False(s, run.Completed)
		require.Empty(s, run.Conclusion)
		require.NotZero(s, run.RepoID)
		require.Zero(s, run.Started)
		require.Zero(s, run.Ended)
		require.Contains(s, run.URL, "/"+s.repo.String()+"/actions/runs/")
		again, err := s.gitea.WorkflowRun(s.Context(), s.repo, run.ID)
		require.NoError(s, err)
		require.Equal(s, run, again)
		_, err = s.gitea.WorkflowRun(s.Context(), s.repo, run.ID+1_000_000)
		s.refused(err, http.StatusNotFound)
		beyond, more, err := s.gitea.WorkflowRuns(s.Context(), s.repo, 100)
		require.NoError(s, err)
		require.Empty(s, beyond)
		require.False(s, more)
	})
}
