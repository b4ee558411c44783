package escalate_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
)

// The labels of the organisation may not be listed while the repository has some of those that are needed.
func TestOwnerLabelsRefused(t *testing.T) {
	play(t, func(w *world) {
		w.Gitea.AddLabel(fleet, "adf")
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.PathHas("/orgs/"), Do: giteatest.Status(500, "{}")})
		id := w.trip(project)
		w.sweep()
		require.NotZero(t, w.incident(id).Issue.Number)
	})
}
