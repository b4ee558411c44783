package issuetext

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/testhost"
)

func TestComments(t *testing.T) {
	l := testData()
	i := l.Incident
	i.Ended, i.EndedHow = i.Opened.Add(36*time.Minute), "the pause flag was removed; noticed by the sweep"
	replaced := i
	replaced.Replaced, replaced.Rebuilt = true, true
	i.Issue = tracker.IssueRef{Repo: l.Repo, Number: 40}
	kim := tracker.Account{ID: 7, Login: "kim"}
	golden(t, "short-and-comments.md", strings.Join([]string{
		compose(t, "").Short(l),
		ResumedComment(i.ID+"/resumed", i),
		ResumedComment(i.ID+"/resumed", replaced),
		StillPausedComment(i.ID+"/reopened/1", i, testResume, ""),
		LeftOpenComment(i.ID+"/left-open", i),
		DuplicateComment(i.ID+"/duplicate/17", tracker.IssueRef{Repo: l.Repo, Number: 41}),
		NowPausedComment(i.ID+"/paused-now", i, l.PauseFlag),
		NotOperator(i.ID+"/no-operator/7", kim, []string{"alex", "robin"}),
		Edited(i.ID+"/order/8", kim),
		CommandAnswer(i.ID+"/order/9", incident.Command{Steps: []incident.Step{
			{Line: incident.CommandLine{Written: "pause"}, Answer: Paused("odilo", "", testResume)},
			{Line: incident.CommandLine{Written: "pause"}, Answer: Paused("odilo", "open /pause/odilo: permission denied", testResume)},
			{Line: incident.CommandLine{Written: "resume"}, Answer: Failed(incident.ResumeVerb, "`odilo` is still paused", errors.New("disk full"))},
			{Line: incident.CommandLine{Written: "resume"}, Answer: LaterIncident("odilo", i, incident.Incident{Project: "odilo", Seq: 4})},
			{Line: incident.CommandLine{Written: "reboot"}, Answer: UnknownCommand(incident.CommandLine{Written: "reboot"})},
		}}, i.Ended),
		CommandNote(incident.Command{Project: "odilo", By: kim, Issue: i.Issue}, incident.CommandLine{Reason: "maintenance"}, testResume, i.Ended),
	}, "\n\n----\n\n"))
}

func TestHostileComments(t *testing.T) {
	for _, s := range hostile() {
		i := infest(testData(), s).Incident
		for _, body := range []string{
			ResumedComment("k", i), StillPausedComment("k", i, Resume{Command: s, Flag: s}, ""), LeftOpenComment("k", i),
			DuplicateComment("k", tracker.IssueRef{Repo: tracker.Repo{Server: s, Owner: s, Name: s}, Number: 1, URL: s}),
			StepComment("k", StepData{Of: i, Others: 1, Resume: Resume{Command: s, InGitea: true}},
				incident.StepBegun{Number: 1, Begun: i.Opened, Assign: []string{s}, Labels: []string{s, s}, Webhook: true}),
			ReminderComment("k", StepData{Of: i, Resume: Resume{Command: s}, Ack: &incident.Ack{By: tracker.Account{Login: s}}}, incident.Reminder{}),
		} {
			testhost.RequirePlainText(t, body)
			require.True(t, tracker.HasCommentMarker(body, "k"))
			require.Equal(t, 1, strings.Count(body, tracker.HiddenStart))
			_, ok := tracker.ParseMarker(body)
			require.False(t, ok)
			requireInert(t, body)
		}
	}
}
