package escalate_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/plan"
)

func TestEveryKindHasOneStep(t *testing.T) {
	var local, requests []plan.Kind
	for _, k := range plan.Kinds() {
		switch {
		case k.Local():
			local = append(local, k)
		case k != plan.RunCommand: // never planned
			requests = append(requests, k)
		}
	}
	gotLocal, gotRequests := escalate.StepKinds()
	require.Equal(t, local, gotLocal)
	require.Equal(t, requests, gotRequests)
	require.False(t, slices.Contains(gotRequests, plan.RunCommand))
}
