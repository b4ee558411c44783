package escalate_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
)

// The labels of the organisation may not be listed while the repository has some of those that are needed.
func TestOwnerLabelsRefused(t *testing.T) {
	play(t, func(w *world) {
		w.Gitea.AddLabel(fleet, "adf")
		target := w.rec.Options().Target
		w.rec.Options().Target = func(project string) escalate.Target {
			t := target(project)
			t.Labels = append(slices.Clone(t.Labels), "new")
			return t
		}
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.PathHas("/orgs/"), Do: giteatest.Status(500, "{}")})
		i := w.failed(project)
		_, _ = w.rec.Trip(w.Context(), i)
		require.NotZero(t, w.incident(i.ID).Issue.Number, "the issue comes first")
	})
}
