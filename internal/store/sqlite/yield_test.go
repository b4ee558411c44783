package sqlite

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// yields returns how long the state is left alone after batches of the given size that held it for so long each.
func yields(ctx context.Context, batches, size int, each time.Duration) time.Duration {
	var q queue
	for range batches {
		for range size {
			q.join(&change{wake: make(chan struct{}, 2)})
		}
		time.Sleep(each)
		q.end(q.take(size), each)
	}
	begin := time.Now()
	q.yieldToOthers(ctx)
	return time.Since(begin)
}

func TestYieldToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		require.Equal(t, yieldFor, yields(ctx, 10, 5, yieldAfter/10))
		require.Zero(t, yields(ctx, 9, 5, yieldAfter/10), "not long enough yet")
		require.Zero(t, yields(ctx, 50, 1, yieldAfter), "one at a time leaves gaps enough")
		over, cancel := context.WithCancel(ctx)
		cancel()
		require.Zero(t, yields(over, 10, 5, yieldAfter), "a caller that leaves does not wait")
	})
}

func TestYieldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		q := queue{held: yieldAfter, ended: time.Now()}
		time.Sleep(yieldFor / 4) // a rest counts
		begin := time.Now()
		q.yieldToOthers(ctx)
		require.Equal(t, yieldFor-yieldFor/4, time.Since(begin))
		q.ended = time.Now()
		begin = time.Now()
		q.yieldToOthers(ctx)
		require.Zero(t, time.Since(begin))
	})
}
