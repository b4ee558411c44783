package bot_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/testpg"
)

// A project of a fleet trips beside a pause by hand that a restored state has lost. Its flag pauses the project, and the issue says nothing
// else. It is also not replaced: it tells who paused the project. Whoever removes it resumes the project on all hosts.
func TestTripBesideHoldLostInAFleet(t *testing.T) {
	t.Parallel()
	for name, resumes := range map[string]int{"of the same generation": 0, "a later one": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newHosts(t, 2)
			a, b := f[0], f[1]
			byHand := func(why string) {
				_, err := a.pause("odilo", why)
				require.NoError(t, err)
			}
			byHand("for the first time") // else the flag of generation 0 is an earlier one in any case
			a.resume("odilo")
			follow(f...)
			backup := testpg.Copy(t, a.cfg.State)
			for range resumes {
				byHand("another time")
				a.resume("odilo")
			}
			byHand("release day")
			follow(f...)
			for _, w := range f {
				w.change(w.cfg.State, backup)
			}
			id := a.fail("odilo", 3).Incident.ID
			require.NotContains(t, a.issues("open")[0].Body, "NOT PAUSED")
			follow(b, a, b)
			for _, w := range f {
				require.Contains(t, w.Read(w.flag("odilo")), "release day")
				p := w.project("odilo")
				require.Equal(t, id, p.Incident.ID)
				require.True(t, p.Incident.FlagWritten)
			}
			b.Remove(b.flag("odilo"))
			follow(b)
			require.Empty(t, b.issues("open"))
			require.Nil(t, b.project("odilo").Incident)
		})
	}
}
