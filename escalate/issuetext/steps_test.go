package issuetext

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
)

func TestStepComments(t *testing.T) {
	i := testData().Incident
	opened := i.Opened
	after := func(d time.Duration) time.Time { return opened.Add(d) }
	operated, local := testResume, testResume
	operated.InGitea, local.InGitea = true, false
	alone := StepData{Of: i, Resume: local}
	storm := StepData{Of: i, Others: 2, Resume: operated, Assigned: true}
	kim := &incident.Ack{By: tracker.Account{ID: 7, Login: "kim"}, At: after(time.Hour)}
	golden(t, "steps.md", strings.Join([]string{
		StepComment(i.ID+"/step/3600", alone, incident.StepBegun{Number: 1, Begun: after(time.Hour), Mention: []string{"ops/on-call", "kim"}}),
		StepComment(i.ID+"/step/14400", storm, incident.StepBegun{Number: 2, Begun: after(4*time.Hour + time.Second), Assign: []string{"lead"}, Labels: []string{"priority/critical", "page"}, Webhook: true}),
		ReminderComment(i.ID+"/reminder/604800", StepData{Of: i, Resume: operated, Mention: []string{"ops"}, Ack: kim}, incident.Reminder{Begun: after(168 * time.Hour)}),
		ReminderComment(i.ID+"/reminder/604800", alone, incident.Reminder{Begun: after(168 * time.Hour)}),
		ReminderComment(i.ID+"/reminder/1209600", storm, incident.Reminder{Begun: after(336 * time.Hour)}),
		Snoozed(after(4 * time.Hour)), SnoozeOver(after(-time.Hour)), SnoozeUsage("", 0, "30d"), SnoozeUsage("@kim", 0, "30d"), SnoozeUsage("31d", 744*time.Hour, "30d"), NothingToSnooze(i),
		StepText(incident.Delivery{Begun: after(24 * time.Hour)}, i, 0, tracker.IssueRef{URL: "https://git.example.org/terraphim/adf-fleet/issues/17"}),
		StepText(incident.Delivery{Begun: after(24 * time.Hour)}, i, 2, tracker.IssueRef{URL: "https://git.example.org/terraphim/adf-fleet/issues/17"}),
	}, "\n\n----\n\n"))
	require.NotContains(t, SnoozeUsage("@kim", 0, "30d"), " @kim")
	require.Contains(t, StepText(incident.Delivery{Begun: after(1500 * time.Millisecond)}, i, 0, tracker.IssueRef{}), "paused for 1s")
	require.Contains(t, StepComment("k", alone, incident.StepBegun{Begun: after(42 * time.Second)}), "paused for 42s")
	alone.Assigned = true
	require.Contains(t, StepComment("k", alone, incident.StepBegun{}), "To answer, assign yourself to this issue, unless the bot has assigned you; then")
}
