package bot_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/fault"
)

// counted is what the program did, by the names of [fault.Count].
type counted struct {
	mu sync.Mutex
	n  map[string]int
}

func count(ctx context.Context) (context.Context, *counted) {
	c := &counted{n: map[string]int{}}
	return fault.WithCounter(ctx, func(name string) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.n[name]++
	}), c
}

// A trip is what a thousand projects do at once when a provider fails, so its cost is bounded.
func TestBudgetOfATrip(t *testing.T) {
	w := newWorld(t)
	w.fail("odilo", 3) // from here on labels and account are known
	w.fail("atlas", 1)
	w.Gitea.ResetRequests()
	flagStored := false
	atPoint = func(name string) {
		if name == "flag-noted" {
			flagStored = true
			require.Empty(t, w.Gitea.Requests(), "that the flag is on disk is stored before any request")
		}
	}
	counting, c := count(ctx)
	w.with(bot.Results, func(b *bot.Bot) {
		out, err := b.Record(counting, failure("atlas"))
		require.NoError(t, err)
		require.True(t, out.Tripped)
		require.Empty(t, out.Problems)
		require.NotEmpty(t, out.Incident.Issue.URL)
	})
	// The transactions: the result with its incident, the flag, the attempt, the issue.
	require.Equal(t, map[string]int{"observation": 2, "plan": 2, "look": 3, "transaction": 4}, c.n)
	require.Len(t, w.Gitea.Requests(), 1)
	require.True(t, flagStored)
}
