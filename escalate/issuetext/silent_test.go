package issuetext

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// silentData is the data of a project that does not report.
func silentData() IssueData {
	d := testData()
	i := &d.Incident
	i.Kind, i.FlagWritten, i.Failures, i.Threshold, i.Evidence.Output, i.Evidence.Earlier = incident.Silent, time.Time{}, 0, 0, "", nil
	i.LastResult = i.Evidence.Runs[0].Finished
	i.Since, i.Opened, i.Expect = i.LastResult, i.LastResult.Add(75*time.Minute), "every 1h, with 15m of grace"
	i.Began = i.Since.Add(55 * time.Minute)
	return d
}

func TestSilentIssueText(t *testing.T) {
	t.Parallel()
	c := compose(t, "{{.Project}} failed", "")
	running := silentData()
	require.Equal(t, "[ADF] project-meta on odilo has not reported since 2026-11-23 07:04 UTC", c.Title(running.Incident))
	body, problem := c.Body(running)
	require.Empty(t, problem)
	requireBody(t, running, body)
	golden(t, "silent-running.md", body)
	require.Equal(t, body, c.Short(running))

	never := silentData()
	never.Incident.Began, never.Incident.LastResult, never.Incident.Host, never.Incident.Evidence.Runs, never.ResumeInGitea = time.Time{}, time.Time{}, "", nil, false
	body, _ = c.Body(never)
	golden(t, "silent-never.md", body)

	workflow := silentData()
	workflow.Workflow = tracker.Workflow{Repo: "terraphim/odilo", File: "agent.yaml"}
	workflow.Incident.Host = "gitea-actions"
	body, _ = c.Body(workflow)
	golden(t, "silent-workflow.md", body)
	require.NotContains(t, body, "adfbot exec")
	workflow.Incident.Began = time.Time{}
	body, _ = c.Body(workflow)
	require.NotContains(t, body, "adfbot exec")
	require.NotContains(t, body, "running")

	ended := running.Incident
	ended.Ended, ended.EndedHow = ended.Opened.Add(time.Hour), "reported again"
	golden(t, "silent-comments.md", strings.Join([]string{SilenceEndedComment("key", ended), LeftOpenComment("key", ended)}, "\n---\n"))
}

func TestSilentTitleOfLongNames(t *testing.T) {
	t.Parallel()
	i := silentData().Incident
	i.Agent, i.Project = strings.Repeat("a", 300), strings.Repeat("p", 64)
	require.LessOrEqual(t, len([]rune(compose(t, "").Title(i))), maxTitle)
}
