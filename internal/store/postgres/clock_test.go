package postgres

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// An answer is as old as its way was long. What is known better stays, unless the server's clock was set.
func TestServerClock(t *testing.T) {
	for name, c := range map[string]struct{ set, took, at, want time.Duration }{
		"a quick answer":                   {0, 0, 0, 0},
		"a slow answer":                    {0, 6 * time.Second, 0, 0},
		"a slow answer that was just read": {0, 6 * time.Second, 6 * time.Second, 0},
		"the server's clock is set back":   {-time.Hour, time.Second, time.Second, -time.Hour},
		"the server's clock is set ahead":  {time.Hour, time.Second, time.Second, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var clock serverClock
				clock.told(time.Now().Add(time.Minute), time.Now())
				time.Sleep(time.Second)
				asked := time.Now()
				time.Sleep(c.took)
				clock.told(asked.Add(time.Minute+c.at+c.set), asked)
				require.Equal(t, c.want+time.Minute, time.Until(clock.now()))
			})
		})
	}
}
