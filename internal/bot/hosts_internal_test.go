package bot

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
)

func TestForgotten(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)
	const month = 720 * time.Hour
	for name, tt := range map[string]struct {
		host store.Host
		want bool
	}{
		"away for long":     {store.Host{ID: "a", Seen: now.Add(-month - time.Second)}, true},
		"for just so long":  {store.Host{ID: "a", Seen: now.Add(-month)}, false},
		"here":              {store.Host{ID: "a", Seen: now}, false},
		"this host":         {store.Host{ID: "this", Seen: now.Add(-2 * month)}, false},
		"never heard of":    {store.Host{ID: "a"}, false},
		"retired":           {store.Host{ID: "a", Seen: now.Add(-2 * month), Retired: now}, false},
		"a clock set back":  {store.Host{ID: "a", Seen: now.Add(2 * month)}, false},
		"a clock set ahead": {store.Host{ID: "a", Seen: now.Add(-10 * 365 * 24 * time.Hour)}, true}, // see TestAbsences
	} {
		t.Run(name, func(t *testing.T) {
			found := forgotten([]store.Host{tt.host}, "this", now, month)
			require.Equal(t, tt.want, len(found) == 1)
		})
	}
}

// A host is only retired if it is found again a while later, with no heartbeat in between.
func TestAbsences(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)
	a, b := store.Host{ID: "a", Seen: at.Add(-time.Hour)}, store.Host{ID: "b", Seen: at.Add(-time.Hour)}
	absent := absences{}
	look := func(after time.Duration, hosts ...store.Host) (ids string) {
		for _, h := range absent.lasting(hosts, at.Add(after), time.Minute) {
			ids += h.ID
		}
		return ids
	}
	require.Empty(t, look(0, a, b))
	require.Empty(t, look(59*time.Second, a, b))
	b.Seen = at
	require.Equal(t, "a", look(60*time.Second, a, b), "b was heard of")
	require.Empty(t, look(61*time.Second), "the clock was set right")
	require.Empty(t, look(62*time.Second, a, b), "it jumped again")
	require.Equal(t, "ab", look(10*time.Minute, a, b))
}
