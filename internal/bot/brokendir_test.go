package bot_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/bot"
)

// Where nothing can be kept beside the state, the state itself still takes results: none is lost, and the third failure pauses.
func TestNoSpoolAndAGoodState(t *testing.T) {
	t.Parallel()
	for what, break_ := range map[string]func(t *testing.T, dir string){
		"a link in place of the directory": func(t *testing.T, dir string) {
			require.NoError(t, os.Rename(dir, dir+".away"))
			require.NoError(t, os.Symlink(dir+".away", dir))
		},
		"a link in place of the spool": func(t *testing.T, dir string) {
			require.NoError(t, os.RemoveAll(dir+"/spool"))
			require.NoError(t, os.Symlink(t.TempDir(), dir+"/spool"))
		},
		"a file in place of the directory": func(t *testing.T, dir string) {
			require.NoError(t, os.RemoveAll(dir))
			require.NoError(t, os.WriteFile(dir, nil, 0o600))
		},
		"a file in place of the runs": func(t *testing.T, dir string) {
			require.NoError(t, os.RemoveAll(dir+"/runs"))
			require.NoError(t, os.WriteFile(dir+"/runs", nil, 0o600))
		},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.must(0, "odilo", "true")
			break_(t, w.cfg.State+".d")
			w.fail("odilo", 1)
			for range 2 {
				r := w.failLater("odilo")
				require.NotContains(t, r.stderr, "LOST")
			}
			require.Equal(t, bot.ExitPaused, w.sh("odilo", "true").code)
			require.Equal(t, 3, w.project("odilo").Failures)
		})
	}
}
