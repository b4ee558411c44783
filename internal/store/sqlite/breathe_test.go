package sqlite

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// breathes tells how long the state is left alone after batches of the given size that took so long each.
func breathes(ctx context.Context, batches, size int, each time.Duration) time.Duration {
	var q queue
	for range batches {
		for range size {
			q.join(&change{told: make(chan struct{}, 2)})
		}
		time.Sleep(each)
		q.end(q.take(size), each)
	}
	begun := time.Now()
	q.breathe(ctx)
	return time.Since(begun)
}

func TestWhoAlwaysHasSomethingToStoreLeavesTheStateAloneNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		require.Equal(t, breath, breathes(ctx, 10, 5, breathAfter/10))
		require.Zero(t, breathes(ctx, 9, 5, breathAfter/10), "not long enough yet")
		require.Zero(t, breathes(ctx, 50, 1, breathAfter), "one at a time leaves moments enough")
		over, cancel := context.WithCancel(ctx)
		cancel()
		require.Zero(t, breathes(over, 10, 5, breathAfter), "nobody waits who is to leave")
	})
}

func TestTheBreathIsTakenOnceAndMomentsOfRestCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		q := queue{worked: breathAfter, ended: time.Now()}
		time.Sleep(breath / 4)
		begun := time.Now()
		q.breathe(ctx)
		require.Equal(t, breath-breath/4, time.Since(begun))
		q.ended = time.Now()
		begun = time.Now()
		q.breathe(ctx)
		require.Zero(t, time.Since(begun))
	})
}
