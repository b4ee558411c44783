package escalate

import (
	"bytes"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/pause"
)

// A directory that goes back in time with each pass, because two machines take it for theirs, does not fill the log.
func TestVoidIsLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := &Reconciler{opt: Options{Log: slog.New(slog.NewTextHandler(&log, nil)), Dir: pause.New("/p")}}
		for range 150 {
			r.warnOfVoid()
			time.Sleep(time.Second)
		}
		require.Equal(t, 3, bytes.Count(log.Bytes(), []byte("nothing is concluded")))
	})
}
