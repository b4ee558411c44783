package bot_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/testpg"
)

// A person has made a flag since the backup of the state, in the place of one that was removed since. Whichever host comes back first, the
// flag is not taken for that of the pause in the backup, and stays once another host ends that.
func TestPersonsFlagSinceTheBackup(t *testing.T) {
	t.Parallel()
	for _, order := range [][]int{{0, 1, 2}, {1, 0, 2}, {2, 0, 1}} {
		for _, byHand := range []bool{false, true} {
			t.Run(fmt.Sprint(order, " paused by hand: ", byHand), func(t *testing.T) {
				t.Parallel()
				f := newHosts(t, 3)
				if byHand {
					_, err := f[0].pause("odilo", "holidays")
					require.NoError(t, err)
				} else {
					f[0].fail("odilo", 3)
				}
				follow(f...)
				backup := testpg.Copy(t, f[0].cfg.State)
				f[1].Remove(f[1].flag("odilo"))
				follow(f[1], f[0], f[2])
				require.False(t, f[0].paused("odilo"))
				f[0].Touch(f[0].flag("odilo"))
				for _, w := range f {
					w.change(w.cfg.State, backup)
				}
				for _, n := range order {
					follow(f[n])
				}
				follow(f...)
				follow(f...)
				for _, w := range f {
					require.True(t, w.paused("odilo"), "the person's flag is a pause")
				}
				require.Empty(t, f[0].Read(f[0].flag("odilo")), "it is left as it is")
				p := f[0].project("odilo")
				require.True(t, p.Held)
				require.Nil(t, p.Incident)
				f[2].Remove(f[2].flag("odilo"))
				follow(f[2], f[0], f[1])
				for _, w := range f {
					require.False(t, w.paused("odilo"))
				}
			})
		}
	}
}
