package bot

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Where a sweep comes once an hour, more than it deletes at once may have become too old since.
func TestPruneAll(t *testing.T) {
	left, calls := 3*pruneLimit+7, 0
	prune := func() (int, error) {
		calls++
		n := min(left, pruneLimit)
		left -= n
		return n, nil
	}
	pruned, err := pruneAll(prune, time.Hour)
	require.NoError(t, err)
	require.Equal(t, 3*pruneLimit+7, pruned)
	require.Equal(t, 4, calls)

	left, calls = 3*pruneLimit, 0
	pruned, err = pruneAll(prune, 0)
	require.NoError(t, err)
	require.Equal(t, pruneLimit, pruned, "the rest is left to the next sweep")
	require.Equal(t, 1, calls)

	fails := errors.New("the disk is full")
	_, err = pruneAll(func() (int, error) { return 0, fails }, time.Hour)
	require.ErrorIs(t, err, fails)
}
