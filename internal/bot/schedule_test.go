package bot

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/robfig/cron/v3"
	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/config"
)

// A clock that was set ahead and back between two checks leaves the schedule waiting for a time that the clock reaches
// hours later.
func TestSweepPutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		schedule, err := config.Sweep{Schedule: "@every 1m", TimeZone: "UTC"}.Cron()
		require.NoError(t, err)
		c := cron.New()
		_ = c.Schedule(schedule, cron.FuncJob(func() {}))
		c.Start()
		defer c.Stop()
		time.Sleep(90 * time.Second)
		require.False(t, putOff(c, schedule, time.Now()))
		require.False(t, putOff(c, schedule, time.Now().Add(time.Hour)))
		require.True(t, putOff(c, schedule, time.Now().Add(-time.Hour)))
	})
}
