package issuetext

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/testhost"
)

// sharedData returns what an issue says of n incidents, the first of them testData's.
func sharedData(n int) SharedData {
	lead := testData().Incident
	lead.Class = "quota"
	d := SharedData{Installation: testInstallation, Lead: lead, Status: "sudo -u adfbot adfbot status", InGitea: true}
	for k := range n {
		m := lead
		if k > 0 {
			m.ID, m.Project, m.Seq, m.Lead = fmt.Sprintf("%032x", k), fmt.Sprintf("p%d", k), 1, lead.ID
			m.Opened, m.Evidence = lead.Opened.Add(time.Duration(k)*time.Second), incident.Evidence{}
			lead.AddMember(m.ID, m.Opened)
		}
		d.Members = append(d.Members, SharedMember{Incident: m, Resume: "sudo -u adfbot adfbot resume " + m.Project})
	}
	d.Lead = lead
	return d
}

func TestShare(t *testing.T) {
	c := compose(t, "")
	body, _ := c.Body(testData())
	d := sharedData(4)
	d.Members[1].Evidence = testData().Incident.Evidence
	d.Members[2].FlagWritten = time.Time{}
	d.Members[2].Agent = "project-meta-slow"
	d.Members[3].Ended, d.Members[3].EndedHow = d.Members[3].Opened.Add(time.Hour), "resumed by kim with adfbot resume on bigbox"
	got := c.Share(body, d)
	golden(t, "shared.md", "title: "+c.SharedTitle(d.Lead, 3)+"\n\n"+got)
	require.Equal(t, got, c.Share(got, d), "again, nothing changes")
	lead, members := tracker.ParseMarkers(got)
	require.Equal(t, d.Lead.ID, lead.Incident)
	require.Len(t, members, 3)
	_, _, rest := tracker.SplitPart(got)
	require.Equal(t, "\n\n"+body, rest)

	d = sharedData(4)
	changed := c.Share("I am on it.\n"+got+"\nThanks.", d)
	require.True(t, strings.HasPrefix(changed, "I am on it.\n"+tracker.PartStart))
	require.True(t, strings.HasSuffix(changed, "\nThanks."))
	require.NotContains(t, changed, "[x]")

	// After the state was lost, only the issue has the evidence.
	d.Lead.Rebuilt = true
	d.Kept = []tracker.Marker{{Installation: testInstallation, Project: "kept", Incident: strings.Repeat("e", 32), Seq: 1}}
	kept := c.Share(got, d)
	require.Contains(t, kept, "The last failed run of p1")
	require.Contains(t, kept, "and 1 more, of which 1 are paused")
	_, members = tracker.ParseMarkers(kept)
	require.Len(t, members, 4)
}

// Whatever does not find room is counted, and all markers are there.
func TestShareOfMany(t *testing.T) {
	c := compose(t, "")
	body, _ := c.Body(testData())
	body += strings.Repeat("x", MaxBody-len(body)-1) + "\n" + tracker.Marker{Installation: testInstallation, Project: "odilo", Incident: testIncident, Seq: 3}.String()
	d := sharedData(250)
	for n := range d.Members {
		d.Members[n].Host = strings.Repeat("h", 180)
		if n > 0 {
			d.Members[n].Project = strings.Repeat("p", 120) + fmt.Sprint(n)
		}
	}
	got := c.Share(body, d)
	require.LessOrEqual(t, len(got), maxShared)
	_, members := tracker.ParseMarkers(got)
	require.Len(t, members, 249)
	require.Regexp(t, `\nand [0-9]+ more, of which [0-9]+ are paused: `+"`sudo -u adfbot adfbot status`\n", got)
	require.Equal(t, got, c.Share(got, d))

	d = sharedData(250)
	got = c.Share("short", d)
	require.Equal(t, 250, strings.Count(got, "\n- [ ] "), "usual names all find room")
	d.Brief = true
	require.Equal(t, maxBriefLines, strings.Count(c.Share("short", d), "\n- [ ] "))
}

func TestSharedTitle(t *testing.T) {
	c := compose(t, "")
	lead := sharedData(8).Lead
	require.Equal(t, "[ADF] project-meta on odilo and 7 others failed 3 consecutively: quota", c.SharedTitle(lead, 7))
	require.Equal(t, "[ADF] project-meta on odilo and 1 other failed 3 consecutively: quota", c.SharedTitle(lead, 1))
	for others := range 8 {
		require.True(t, c.IsTitle(c.SharedTitle(lead, others), lead))
	}
	require.False(t, c.IsTitle("mine", lead))
	lead.Title = "of another version"
	require.True(t, c.IsTitle("of another version", lead))
	lead.Project, lead.Agent = strings.Repeat("p", 128), "project-meta-"+strings.Repeat("a", 128)
	require.LessOrEqual(t, len([]rune(c.SharedTitle(lead, 249))), maxTitle)
}

func TestSharedComments(t *testing.T) {
	d := sharedData(3)
	var all []incident.Incident
	for _, m := range d.Members {
		m.Ended, m.EndedHow = m.Opened.Add(time.Hour), "resumed by kim with adfbot resume on bigbox"
		all = append(all, m.Incident)
	}
	other := all[0]
	other.Project = "other"
	golden(t, "shared-comments.md", strings.Join([]string{
		JoinedComment("k", all[1:2], all[:2]), JoinedComment("k", all, append(all, other)), SomeStillPausedComment("k", all[1:], "An operator can also comment."),
		SomeStillPausedComment("k", all[:1], ""), AllResumedComment("k", all), NotInIssue("odilo"), WhichProject(all),
		ResumedAll{Resumed: all[:1], Later: all[1:], Failed: []FailedResume{{all[0], errors.New("disk full")}}}.String(), ResumedAll{}.String(),
	}, "\n\n----\n\n"))
}

func TestHostileShared(t *testing.T) {
	for _, s := range hostile() {
		c := compose(t, "")
		d := sharedData(3)
		for n := range d.Members {
			m := &d.Members[n]
			m.Incident = infest(IssueData{Incident: m.Incident}, s).Incident
			m.ID, m.Project = sharedData(3).Members[n].ID, sharedData(3).Members[n].Project
			m.Resume = s
		}
		d.Members[2].Ended = time.Now()
		got := c.Share("x", d)
		testhost.RequirePlainText(t, got)
		_, members := tracker.ParseMarkers(got)
		require.Len(t, members, 2)
		require.Equal(t, 3+2, strings.Count(got, tracker.HiddenStart)-strings.Count(got, evidenceMarker))
		require.Equal(t, 3, strings.Count(got, "\n- ["))
	}
}

// A project that has failed again while the issue was open has a line and a marker for each incident, and is counted once.
func TestSharedAgain(t *testing.T) {
	c := compose(t, "")
	d := sharedData(4)
	var all []incident.Incident
	for n := range d.Members {
		m := &d.Members[n]
		if n > 0 {
			m.Project, m.Seq = "twins", n
		}
		if n < 3 {
			m.Ended, m.EndedHow = m.Opened.Add(time.Hour), "resumed by kim with adfbot resume on bigbox"
		}
		all = append(all, m.Incident)
	}
	require.Equal(t, 1, d.Others())
	got := c.Share("x", d)
	require.Contains(t, got, "**2 projects have failed for the same reason, `quota`:** exit 1, `` error: could not compile `odilo` ``. One of them is still paused.")
	require.Equal(t, 4, strings.Count(got, "\n- ["))
	_, members := tracker.ParseMarkers(got)
	require.Len(t, members, 3)
	require.Contains(t, JoinedComment("k", all[1:], all), "`twins` has failed, too. This issue is about 2 projects now")
	require.Contains(t, AllResumedComment("k", all), "All 2 projects of this issue have been resumed, `")
	require.Contains(t, WhichProject(all), "about 2 projects")
	require.Contains(t, ResumeWhom("all", all), "`all` is none of this issue's projects. Comment `/adf resume twins` to resume one", "the one that is still paused")
	require.Contains(t, ResumeWhom("all", all[:3]), "Comment `/adf resume odilo` to", "none is paused")
	require.Contains(t, ResumedAll{Resumed: all[1:3]}.String(), "`twins` is resumed.")
	require.Contains(t, ResumedAll{Held: all[1:3]}.String(), "`twins` is still paused, by hand.")
	require.Contains(t, AllResumedComment("k", all[1:3]), "`twins` was resumed on ", "of one project")
}

// Of those that the state does not know yet, it is not said that they are resumed.
func TestSharedUnknown(t *testing.T) {
	c := compose(t, "")
	d := sharedData(2)
	for n := range d.Members {
		d.Members[n].Ended = d.Members[n].Opened.Add(time.Hour)
	}
	require.Contains(t, c.Share("x", d), "All of them have been resumed.")
	d.Kept = []tracker.Marker{{Installation: testInstallation, Project: "kept", Incident: strings.Repeat("e", 32), Seq: 1}}
	require.Contains(t, c.Share("x", d), "**3 projects have failed for the same reason, `quota`:** exit 1, `` error: could not compile `odilo` ``. One of them is still paused.")
	require.Equal(t, 2, d.Others())
}
