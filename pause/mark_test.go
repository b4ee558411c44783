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
	require.ErrorContains(t, f.SetMark(want), "write the file "+file)
}

func TestRaiseMark(t *testing.T) {
	d, path := newDir(t)
	f := openFolder(t, d)
	first := pause.Mark{Host: pause.NewRandomID(), Epoch: pause.NewRandomID(), Seq: 7}
	second, old := first, first
	second.Seq, old.Seq = 8, 3
	at := func() pause.Mark {
		m, err := f.Mark()
		require.NoError(t, err)
		require.Equal(t, m != pause.Mark{}, len(names(t, path)) == 2, "nothing else is left")
		return m
	}
	require.ErrorIs(t, f.RaiseMark(first, second), pause.ErrOtherMark, "there is none")
	require.NoError(t, f.SetMark(first))
	require.NoError(t, f.RaiseMark(first, second))
	require.Equal(t, second, at())
	require.ErrorIs(t, f.RaiseMark(first, second), pause.ErrOtherMark)
	require.Equal(t, second, at(), "it is left as it was")

	// Somebody puts another copy of the directory in its place just then.
	defer pause.SetFault(func(step string) error {
		if step == "rename" {
			for _, name := range names(t, path) {
				require.NoError(t, os.Remove(filepath.Join(path, name)))
			}
			put(t, filepath.Join(path, pause.MarkName), old.String())
		}
		return nil
	})()
	require.ErrorIs(t, f.RaiseMark(second, first), pause.ErrOtherMark)
	require.Equal(t, []string{pause.MarkName}, names(t, path))
	m, err := f.Mark()
	require.NoError(t, err)
	require.Equal(t, old, m)
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
	var started sync.WaitGroup
	started.Add(20)
	for n := range 20 {
		g.Go(func() { started.Done(); write(n + 1) })
	}
	started.Wait()
	close(goOn)
	g.Wait()
	require.Less(t, syncs.Load(), int64(21))
	require.GreaterOrEqual(t, syncs.Load(), int64(2))
	list, err := f.List()
	require.NoError(t, err)
	require.Len(t, list, 21)
}
