package client

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/testhost"
)

func TestPaused(t *testing.T) {
	for name, a := range map[string]struct {
		code int
		body string
		why  string
		err  string
	}{
		"paused":           {423, `{"title":"Paused","detail":"incident odilo#1 is open"}`, "incident odilo#1 is open", ""},
		"without a reason": {423, `<html>`, "odilo is paused", ""},
		"may run":          {200, `{"project":"odilo","paused":false}`, "", ""},
		"unknown":          {503, `{"title":"Unknown","detail":"the state does not answer"}`, "", "cannot tell: the state does not answer"},
		"other directory": {503, `{"title":"Another pause directory","detail":"no sentinel of this one"}`, "",
			"the pause directory is not the one that was used last: the daemon at "},
		"no problem":  {503, `<html>`, "", ""},
		"not allowed": {403, `{"title":"Not allowed","detail":"see projects[].users"}`, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDaemon(t)
			d.gate = func(w http.ResponseWriter, r *http.Request) {
				require.Equal(t, "/api/v1/projects/odilo/gate", r.URL.Path)
				require.NotContains(t, r.Header, status.PlaceHeader, "it is not known")
				w.WriteHeader(a.code)
				_, _ = w.Write([]byte(a.body))
			}
			c, _ := newClient(t, d.socket)
			why, err := c.Paused(t.Context(), "odilo")
			require.Equal(t, a.why, why)
			if a.err == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, a.err)
			}
		})
	}
}

// The daemon may go on with another pause directory.
func TestTellsPlace(t *testing.T) {
	d := newDaemon(t)
	var told []string
	d.gate = func(_ http.ResponseWriter, r *http.Request) { told = append(told, r.Header.Get(status.PlaceHeader)) }
	c, _ := newClient(t, d.socket)
	c.place = func() string { return "boot 1 2" }
	_, err := c.Paused(t.Context(), "odilo")
	require.NoError(t, err)
	require.Equal(t, []string{"boot 1 2"}, told)
}

// A daemon that does not answer keeps no job waiting.
func TestPausedWithoutAnswer(t *testing.T) {
	c, _ := newClient(t, "/nonexistent/socket")
	requireSilent := func() {
		ctx, cancel := context.WithTimeout(t.Context(), testhost.Patience)
		defer cancel()
		why, err := c.Paused(ctx, "odilo")
		require.NoError(t, err)
		require.Empty(t, why)
		require.NoError(t, ctx.Err(), "it waits for ever")
	}
	requireSilent()

	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket) // accepts connections and no more, as a stopped process does
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	c, _ = newClient(t, socket)
	c.gateTimeout = 50 * time.Millisecond
	requireSilent()
}
