package escalate

import (
	"sync/atomic"
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
			return readDir(r, 0, func() (string, error) { f(); return "read", nil })
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

// A read on a mount that was detached never returns, though the directory may have been mounted anew. Another one is begun seldom:
// each that hangs keeps a thread.
func TestPauseDirectoryMountedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Reconciler{opt: Options{Dir: pause.New("/mnt/dead")}}
		release := make(chan struct{})
		var dead atomic.Bool
		var begun atomic.Int32
		dead.Store(true)
		read := func() error {
			_, err := readDir(r, 0, func() (string, error) {
				if begun.Add(1); dead.Load() {
					<-release
				}
				return "", nil
			})
			return err
		}
		for end := time.Now().Add(24 * time.Hour); time.Now().Before(end); time.Sleep(time.Minute) {
			require.Error(t, read())
		}
		require.InDelta(t, 24*60/10, begun.Load(), 20)
		dead.Store(false)
		time.Sleep(10 * time.Minute)
		require.NoError(t, read())
		require.NoError(t, read())
		dead.Store(true)
		require.Error(t, read())
		dead.Store(false)
		require.Error(t, read(), "too early")
		time.Sleep(time.Minute)
		require.NoError(t, read())
		close(release)
	})
}

// Right after the directory has answered, a read that trusts it is not bounded, which costs more than the read itself.
func TestTrustedPauseDirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Reconciler{opt: Options{Dir: pause.New("/mnt/slow")}}
		read := func(takes time.Duration) error {
			_, err := readDir(r, time.Second, func() (string, error) { time.Sleep(takes); return "", nil })
			return err
		}
		require.ErrorContains(t, read(6*time.Second), "did not answer", "it has not answered yet")
		time.Sleep(time.Minute)
		require.NoError(t, read(0))
		require.NoError(t, read(6*time.Second))
		require.ErrorContains(t, read(6*time.Second), "did not answer", "too long ago")
		time.Sleep(time.Minute)
	})
}
