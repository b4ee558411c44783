package hostlocal

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

func newHostDir(t *testing.T) *Dir {
	t.Helper()
	d := At(filepath.Join(t.TempDir(), "local"))
	require.NoError(t, d.Create(context.Background()))
	return d
}

// on returns the id of a directory's host on a machine.
func (d *Dir) on(t *testing.T, machine string) string {
	t.Helper()
	id, err := d.hostID(context.Background(), machine, func(h host, machine string) bool { return h.id != "" && h.isOn(machine) })
	require.NoError(t, err)
	require.True(t, pause.IsRandomID(id), id)
	return id
}

func TestHostID(t *testing.T) {
	ctx := context.Background()
	d := newHostDir(t)
	known, err := d.KnownHostID()
	require.NoError(t, err)
	require.Empty(t, known)
	require.NoFileExists(t, d.folder("host"))
	id, err := d.HostID(ctx)
	require.NoError(t, err)
	again, err := d.HostID(ctx)
	require.NoError(t, err)
	require.Equal(t, id, again)
	known, err = d.KnownHostID()
	require.NoError(t, err)
	require.Equal(t, id, known)

	other, err := d.NewHostID(ctx, id)
	require.NoError(t, err)
	require.NotEqual(t, id, other)
	again, err = d.NewHostID(ctx, id) // another process of the host has done it
	require.NoError(t, err)
	require.Equal(t, other, again)
}

func TestHostIDIsMadeOnce(t *testing.T) {
	d := newHostDir(t)
	ids := map[string]bool{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			id, err := d.HostID(context.Background())
			mu.Lock()
			defer mu.Unlock()
			ids[id] = err == nil
		})
	}
	all.Wait()
	require.Len(t, ids, 1)
}

func TestHostIDOnAnotherMachine(t *testing.T) {
	a, b := strings.Repeat("a", 32), strings.Repeat("b", 32)
	d := newHostDir(t)
	first := d.on(t, a)
	require.Equal(t, first, d.on(t, a))
	require.Equal(t, first, d.on(t, ""), "an id that cannot be read says nothing")
	second := d.on(t, b)
	require.NotEqual(t, first, second, "a copy of the disk")
	require.Equal(t, second, d.on(t, b))

	d = newHostDir(t)
	first = d.on(t, "")
	require.Equal(t, first, d.on(t, a), "from now on it is this machine's")
	require.NotEqual(t, first, d.on(t, b))
}

func TestDamagedHostID(t *testing.T) {
	for name, content := range map[string]string{"empty": "", "short": "abc\n", "more": strings.Repeat("a ", 3)} {
		t.Run(name, func(t *testing.T) {
			d := newHostDir(t)
			require.NoError(t, os.WriteFile(d.folder("host"), []byte(content), 0o600))
			_, err := d.HostID(context.Background())
			require.ErrorIs(t, err, store.ErrUnusable)
			require.ErrorContains(t, err, "remove it, and `.adfbot.host` in pause_dir, and this host becomes a new one")
			_, err = d.KnownHostID()
			require.ErrorIs(t, err, store.ErrUnusable)
		})
	}
}

func TestMachineHash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "machine-id")
	require.Empty(t, machineHash(path))
	id := "0123456789abcdef0123456789abcdef"
	require.NoError(t, os.WriteFile(path, []byte(id+"\n"), 0o600))
	hash := machineHash(path)
	require.True(t, pause.IsRandomID(hash))
	require.NotEqual(t, id, hash)
	require.NoError(t, os.WriteFile(path, []byte("uninitialized\n"), 0o600))
	require.Empty(t, machineHash(path))
}
