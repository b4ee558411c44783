package escalate

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/pause"
)

// A read that does not return takes five seconds, once: until it returns, further reads fail at once.
func TestHangingPauseDirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Reconciler{opt: Options{Dir: pause.New("/mnt/dead")}}
		read := func(f func()) (string, error) {
			return readDir(r, func() (string, error) { f(); return "read", nil })
		}
		release := make(chan struct{})
		begun := time.Now()
		_, err := read(func() { <-release })
		require.EqualError(t, err, "pause directory /mnt/dead did not answer in 5s: check whether its file system hangs")
		require.Equal(t, 5*time.Second, time.Since(begun))
		_, err = read(func() { t.Error("a second read") })
		require.ErrorContains(t, err, "did not answer")
		require.Equal(t, 5*time.Second, time.Since(begun))
		close(release)
		synctest.Wait()
		got, err := read(func() {})
		require.NoError(t, err)
		require.Equal(t, "read", got)
	})
}
