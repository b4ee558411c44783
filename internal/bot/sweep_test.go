package bot_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/internal/bot"
)

func TestSweepRemovesOldTemps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record(failure("odilo"))
	temp := filepath.Join(w.cfg.PauseDir, ".tmp-0123456789abcdef0123456789abcdef")
	w.Touch(temp)
	old := time.Now().Add(-2 * time.Hour)
	require.NoError(t, os.Chtimes(temp, old, old))

	sentinel := w.Read(w.sentinel())
	w.Remove(w.sentinel())
	_, err := w.sweep()
	require.Error(t, err)
	require.FileExists(t, temp, "a directory that may be another's is left alone")

	w.Write(w.sentinel(), sentinel)
	w.sweepWell()
	require.NoFileExists(t, temp)
}

// cancelling ends a context instead of sending a request.
type cancelling func()

func (c cancelling) RoundTrip(r *http.Request) (*http.Response, error) {
	c()
	return nil, r.Context().Err()
}

// The end of the daemon in the middle of a sweep does not look like trouble with Gitea.
func TestInterruptedSweepBlamesNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record(failure("odilo"))
	ctx, cancel := context.WithCancel(ctx)
	env := w.env()
	env.Transport = cancelling(cancel)
	b, err := bot.Open(ctx, w.cfg, bot.Daemon, env)
	require.NoError(t, err)
	defer func() { _ = b.Close() }()
	_, err = b.Sweep(ctx, escalate.SweepOptions{})
	require.Error(t, err)
	rep, ok := w.lastSweep()
	require.True(t, ok)
	require.Equal(t, []string{"the sweep was interrupted, the next one does the rest"}, rep.Errors)
}
