package status

import (
	"testing"

	"github.com/stretchr/testify/require"
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
