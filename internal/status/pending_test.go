package status

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/testhost"
)

// Projects that wait for the same reason are one group, in the order of the projects.
func TestPendingGroups(t *testing.T) {
	s := Status{Projects: []Project{
		{ID: "a", waits: []wait{{"a#1", "issue to be opened", "gone"}}},
		{ID: "b", waits: []wait{{"b#1", "issue to be closed", "gone"}, {"b#2", "issue to be opened", "gone"}}},
		{ID: "c", waits: []wait{{"c#1", "issue to be opened", "busy"}}},
		{ID: "d", waits: []wait{{"d#1", "issue to be opened", ""}}},
		{ID: "e", waits: []wait{{"e#1", "", "busy"}}},
		{ID: "f"},
	}}
	require.Equal(t, []PendingGroup{
		{Reason: "gone", Work: []PendingWork{{"issue to be opened", []string{"a#1", "b#2"}}, {"issue to be closed", []string{"b#1"}}}},
		{Reason: "busy", Work: []PendingWork{{"issue to be opened", []string{"c#1"}}, {"", []string{"e#1"}}}},
		{Reason: "", Work: []PendingWork{{"issue to be opened", []string{"d#1"}}}},
	}, s.PendingGroups())
}

// Of an incident that has ended it is said what is left: its issue may be closed already, or nobody knows whether it has one.
func TestPendingOfEnded(t *testing.T) {
	at := time.Unix(1e9, 0)
	issue := tracker.IssueRef{Number: 7}
	attempt := incident.Attempt{At: at, Lost: 1}
	for name, tt := range map[string]struct {
		i    incident.Incident
		want string
	}{
		"open":                       {incident.Incident{Issue: issue}, ""},
		"open, refused":              {incident.Incident{Issue: issue, LastErr: "busy"}, "odilo#1: busy"},
		"open, no issue":             {incident.Incident{Create: attempt, LastErr: "busy"}, "odilo#1: issue to be opened: busy"},
		"ended":                      {incident.Incident{Ended: at, Issue: issue}, "odilo#1: issue to be closed"},
		"ended, comment refused":     {incident.Incident{Ended: at, Issue: issue, LastErr: "busy", Comments: inDoubt}, "odilo#1: issue to be closed: busy"},
		"closed, comment refused":    {incident.Incident{Ended: at, Issue: issue, IssueClosed: true, LastErr: "busy", Comments: inDoubt}, "odilo#1: " + toTell + ": busy"},
		"closed, text refused":       {incident.Incident{Ended: at, Issue: issue, IssueClosed: true, LastErr: "busy"}, "odilo#1: " + toList + ": busy"},
		"ended, creation in doubt":   {incident.Incident{Ended: at, Create: attempt, LastErr: "busy"}, "odilo#1: " + toFind + ": busy"},
		"ended, nothing was created": {incident.Incident{Ended: at, LastErr: "busy"}, ""},
	} {
		tt.i.ID, tt.i.Project, tt.i.Seq, tt.i.Opened = "id", "odilo", 1, at
		w, _ := pending(tt.i, false)
		if tt.want == "" {
			require.Empty(t, w, name)
			continue
		}
		require.Equal(t, tt.want, w.String(), name)
	}
}

var inDoubt = map[string]incident.Comment{"id/resumed": {Attempted: time.Unix(1e9, 0)}}

// What the next sweep does by itself needs nobody.
func TestPendingInHand(t *testing.T) {
	tick := wait{"a#1", "its end to be shown in the issue of b#1", ""}
	of := func(waits ...wait) PendingGroup {
		return Status{Projects: []Project{{waits: waits}}}.PendingGroups()[0]
	}
	require.True(t, of(tick).InHand())
	require.True(t, of(tick, wait{"c#1", "issue to be closed", ""}).InHand())
	require.False(t, of(tick, wait{"c#1", toOpen, ""}).InHand(), "nobody is told of it yet")
	tick.reason = "busy"
	require.False(t, of(tick).InHand())
}

// A cause that each issue meets by itself is one reason, too.
func TestPendingGroupsOfIssues(t *testing.T) {
	s := Status{Projects: []Project{
		{ID: "a", waits: []wait{{"a#1", "issue to be closed", "gitea: close issue #7 in o/r: status 403 (no)"}}},
		{ID: "b", waits: []wait{{"b#1", "issue to be closed", "gitea: close issue #11 in o/r: status 403 (no)"}}},
		{ID: "c", waits: []wait{{"c#1", "issue to be closed", "gitea: close issue #7 in o/other: status 403 (no)"}}},
	}}
	require.Equal(t, []PendingGroup{
		{Reason: "gitea: close issue #… in o/r: status 403 (no)", Work: []PendingWork{{"issue to be closed", []string{"a#1", "b#1"}}}},
		{Reason: "gitea: close issue #7 in o/other: status 403 (no)", Work: []PendingWork{{"issue to be closed", []string{"c#1"}}}},
	}, s.PendingGroups())
}

// A reason that is shown once is left out of the incidents that share it.
func TestSharedReasons(t *testing.T) {
	gone := "gitea: read issue #7 in o/r: status 404 (gone)"
	s := Status{Projects: []Project{
		{ID: "a", waits: []wait{{"a#1", "issue to be closed", gone}, {"a#2", "issue to be opened", "busy"}}},
		{ID: "b", waits: []wait{{"b#1", "", strings.ReplaceAll(gone, "7", "8")}}},
		{ID: "c", waits: []wait{{"c#1", "issue to be opened", ""}}},
		{ID: "d", waits: []wait{{"d#1", "issue to be opened", ""}}},
	}}
	reasons, short := s.SharedReasons()
	require.Equal(t, []string{"2 incidents wait: gitea: read issue #… in o/r: status 404 (gone)"}, reasons)
	require.Equal(t, map[string]string{
		"a#1: issue to be closed: " + gone:           "a#1: issue to be closed",
		"b#1: " + strings.ReplaceAll(gone, "7", "8"): "b#1: waits for Gitea",
	}, short)
}

// Each project has a repository of its own, so no two have the same reason.
func TestPendingGroupsOfManyReasons(t *testing.T) {
	s := Status{}
	for n := range 3000 {
		s.Projects = append(s.Projects, Project{waits: []wait{{fmt.Sprintf("p%d#1", n), "issue to be opened", fmt.Sprintf("create issue in o/r%d: 404", n)}}})
	}
	var groups []PendingGroup
	took := testhost.CPUTime(func() { groups = s.PendingGroups() })
	require.Len(t, groups, 3000)
	require.Less(t, took, time.Second, "its cost grows with the number of reasons, not with its square")
}

// What the last sweep reports of a pending incident is not told twice.
func TestOtherProblems(t *testing.T) {
	long := "gitea: list issues in o/r: " + strings.Repeat("x", 600)
	s := Status{
		Problems: []string{
			"the spool is odd", "last sweep: gitea: list issues in o/r: status 404", "last sweep: a#1: comment on #1: lost\nclose #1: lost",
			"last sweep on edge-2: " + long, "last sweep: b#1: something else",
		},
		Projects: []Project{
			{ID: "a", waits: []wait{{"a#1", "", "comment on #1: lost close #1: lost"}}},
			{ID: "b", waits: []wait{{"b#1", "", "gitea: list issues in o/r: status 404"}, {"b#2", "", redact.Line(long, 500)}, {"b#3", "", ""}}},
		},
	}
	require.Equal(t, []string{"the spool is odd", "last sweep: b#1: something else"}, s.OtherProblems())
}
