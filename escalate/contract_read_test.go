package escalate_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A check of the rights leaves no trace.
func TestContractProbes(t *testing.T) {
	contract(t, func(s *side) {
		labels, err := s.gitea.Labels(s.Context(), s.repo)
		require.NoError(s, err)
		issues, err := s.gitea.List(s.Context(), s.repo, "", true)
		require.NoError(s, err)
		require.NoError(s, s.gitea.MayOpenIssues(s.Context(), s.repo))
		require.NoError(s, s.gitea.MayWriteIssues(s.Context(), s.repo))
		now, err := s.gitea.Labels(s.Context(), s.repo)
		require.NoError(s, err)
		require.Equal(s, labels, now)
		nowIssues, err := s.gitea.List(s.Context(), s.repo, "", true)
		require.NoError(s, err)
		require.Len(s, nowIssues, len(issues))

		missing := s.repo
		missing.Name = "adfbot-contract-missing"
		s.refused(s.gitea.MayOpenIssues(s.Context(), missing), 404)
	})
}
