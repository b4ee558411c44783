package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
)

// RunClaims tests claims by two processes, or hosts, that share a state.
func RunClaims(t *testing.T, newClaimers func(testing.TB) [2]incident.Claimer) {
	runTests(t, newClaimers, []test[[2]incident.Claimer]{
		{"one has it", testClaim},
		{"waited for", testClaimAwaited},
		{"the wait is broken off", testClaimBrokenOff},
		{"by others", testClaimsOfOthers},
	})
}

func claimed(t *testing.T, c incident.Claimer, name string) (held context.Context, release func()) {
	t.Helper()
	held, release, err := c.Claim(t.Context(), name, 0)
	require.NoError(t, err)
	return held, release
}

func testClaim(t *testing.T, s [2]incident.Claimer) {
	held, release := claimed(t, s[0], "issue/odilo")
	for _, other := range s {
		_, _, err := other.Claim(t.Context(), "issue/odilo", 0)
		require.ErrorContains(t, err, "issue/odilo")
	}
	require.NoError(t, held.Err())
	release()
	require.Error(t, held.Err())
	_, release = claimed(t, s[1], "issue/odilo")
	release()
	_, release = claimed(t, s[1], "issue/odilo")
	release()
}

func testClaimAwaited(t *testing.T, s [2]incident.Claimer) {
	_, release := claimed(t, s[0], "issue/odilo")
	done := make(chan error, 1)
	go func() {
		_, release, err := s[1].Claim(t.Context(), "issue/odilo", time.Minute)
		if err == nil {
			release()
		}
		done <- err
	}()
	select {
	case err := <-done:
		require.Fail(t, "it did not wait", "%v", err)
	case <-time.After(50 * time.Millisecond):
	}
	release()
	require.NoError(t, <-done)
}

func testClaimBrokenOff(t *testing.T, s [2]incident.Claimer) {
	_, release := claimed(t, s[0], "issue/odilo")
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := s[1].Claim(ctx, "issue/odilo", time.Minute)
	require.ErrorIs(t, err, context.Canceled)
	held, free, err := s[1].Claim(t.Context(), "issue/atlas", 0)
	require.NoError(t, err)
	defer free()
	require.NoError(t, held.Err())
}

func testClaimsOfOthers(t *testing.T, s [2]incident.Claimer) {
	_, one := claimed(t, s[0], "issue/odilo")
	_, two := claimed(t, s[1], "labels/odilo")
	one()
	two()
}
