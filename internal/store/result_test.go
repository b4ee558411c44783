package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
)

func TestBounded(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	before, after, ancient := now.Add(-time.Hour), now.Add(time.Hour), time.Date(0, 1, 1, 0, 0, 0, 0, time.FixedZone("", 14*60*60))
	var unknown time.Time
	for what, c := range map[string]struct{ started, finished, wantStarted, wantFinished time.Time }{
		"possible":         {before, now, before, now},
		"unknown":          {unknown, unknown, unknown, unknown},
		"in the future":    {after, after.Add(time.Hour), now, now},
		"before 1970":      {ancient, ancient, unknown, unknown},
		"no known end":     {before, ancient, before, unknown},
		"ends before":      {now, before, before, before},
		"from 1970":        {time.Unix(0, 0), now, time.Unix(0, 0), now},
		"ends long before": {time.Unix(0, 0).Add(-time.Second), before, unknown, before},
	} {
		r := store.Result{Started: c.started, Finished: c.finished}.Bounded(now)
		require.Equal(t, []time.Time{c.wantStarted, c.wantFinished}, []time.Time{r.Started, r.Finished}, what)
	}
}
