package tracker_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/tracker"
)

// Only a redirect to another login says that nobody has one.
func TestIsNobody(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status   int
		location string
		renamed  string
		nobody   bool
	}{
		{404, "", "", true},
		{301, "/api/v1/users/alexandra", "alexandra", true},
		{307, "https://git.example/api/v1/users/alexandra/", "alexandra", true},
		{301, "https://git.example/api/v1/users/Alex", "", false},
		{302, "https://login.example/", "", false},
		{301, "https://login.example/", "", false},
		{500, "", "", false},
	} {
		renamed, nobody := tracker.IsNobody(&tracker.Error{Outcome: tracker.Refused, Status: tt.status, Location: tt.location}, "alex")
		require.Equal(t, tt.renamed, renamed, tt.location)
		require.Equal(t, tt.nobody, nobody, tt.location)
	}
}
