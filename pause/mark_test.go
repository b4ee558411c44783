package pause_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/pause"
)

func TestMark(t *testing.T) {
	d, path := newDir(t)
	f := openFolder(t, d)
	m, err := f.Mark()
	require.NoError(t, err)
	require.Zero(t, m, "there is none yet")
	want := pause.Mark{Host: pause.NewRandomID(), Epoch: pause.NewRandomID(), Seq: 12}
	require.NoError(t, f.SetMark(want))
	m, err = f.Mark()
	require.NoError(t, err)
	require.Equal(t, want, m)
	list, err := f.List()
	require.NoError(t, err)
	require.Empty(t, list, "the mark is no flag")

	file := filepath.Join(path, pause.MarkName)
	for _, damaged := range []string{"", want.String()[:20], want.String() + "x", "host a\nepoch b\nseq 1\n",
		fmt.Sprintf("host %s\nepoch %s\nseq 012\n", want.Host, want.Epoch)} {
		put(t, file, damaged)
		m, err = f.Mark()
		require.NoError(t, err)
		require.Zero(t, m, damaged)
	}
	require.NoError(t, os.Remove(file))
	require.NoError(t, os.Mkdir(file, 0o755))
	m, err = f.Mark()
	require.NoError(t, err)
	require.Zero(t, m)
	require.ErrorContains(t, f.SetMark(want), "write the mark of the pause directory "+file)
}

// Who changes the directory at the same time as others shares the syncs of it. Each sync that somebody waits for began after the change.
func TestFolderSharesSyncs(t *testing.T) {
	d, _ := newDir(t)
	f := openFolder(t, d)
	var syncs atomic.Int64
	begun, goOn := make(chan struct{}), make(chan struct{})
	t.Cleanup(pause.SetFault(func(step string) error {
		if step == "syncdir" && syncs.Add(1) == 1 {
			close(begun)
			<-goOn
		}
		return nil
	}))
	var g sync.WaitGroup
	write := func(n int) {
		_, err := f.Write(fmt.Sprint("p", n), "", second)
		require.NoError(t, err)
	}
	g.Go(func() { write(0) })
	<-begun
	var linked atomic.Int64
	for n := range 20 {
		g.Go(func() { linked.Add(1); write(n + 1) })
	}
	for linked.Load() < 20 {
	}
	close(goOn)
	g.Wait()
	require.Less(t, syncs.Load(), int64(21))
	require.GreaterOrEqual(t, syncs.Load(), int64(2))
	list, err := f.List()
	require.NoError(t, err)
	require.Len(t, list, 21)
}
