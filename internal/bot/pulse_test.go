package bot

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/status"
)

// The pulse stops when sweeps hang or stay away.
func TestPulse(t *testing.T) {
	t.Parallel()
	t.Run("it hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := NewPulse()
			p.Sweeping()
			time.Sleep(pulseStuck - time.Second)
			require.True(t, p.Alive(), "a sweep may take long")
			time.Sleep(2 * time.Second)
			require.False(t, p.Alive())
			p.Swept(status.SweepReport{}, nil, time.Minute)
			require.True(t, p.Alive(), "it went on after all")
		})
	})
	t.Run("they stay away", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := NewPulse()
			p.Sweeping()
			p.Swept(status.SweepReport{}, errors.New("Gitea is down"), 6*time.Hour)
			time.Sleep(6*time.Hour + pulseGrace - time.Second)
			require.True(t, p.Alive(), "the schedule wants it so, and that it failed is no reason")
			time.Sleep(2 * time.Second)
			require.False(t, p.Alive())
		})
	})
	t.Run("the first one never begins", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := NewPulse()
			p.Requested("list issues", 200, time.Second)
			time.Sleep(pulseGrace - time.Second)
			require.True(t, p.Alive())
			time.Sleep(2 * time.Second)
			require.False(t, p.Alive())
		})
	})
}
