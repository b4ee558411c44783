package pause_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/pause"
)

func TestWriteFullDisk(t *testing.T) {
	path := testhost.NewDisk(t, "size=64k")
	d := pause.New(path)
	require.NoError(t, d.Init(ours))
	for i := 0; ; i++ {
		if os.WriteFile(filepath.Join(path, fmt.Sprint(".fill", i)), bytes.Repeat([]byte{1}, 4096), 0o644) != nil {
			break
		}
	}
	before := len(names(t, path))
	created, err := d.Write("odilo", strings.Repeat("x", 1000))
	require.NoError(t, err)
	require.True(t, created)
	flag, err := d.Look("odilo")
	require.NoError(t, err)
	require.True(t, flag.Present)
	require.Empty(t, flag.Note)
	require.Len(t, names(t, path), before+1, "no temporary file is left")
}

func TestWriteWithoutInodes(t *testing.T) {
	path := testhost.NewDisk(t, "nr_inodes=8")
	d := pause.New(path)
	require.NoError(t, d.Init(ours))
	for i := 0; ; i++ {
		if os.WriteFile(filepath.Join(path, fmt.Sprint(".fill", i)), nil, 0o644) != nil {
			break
		}
	}
	created, err := d.Write("odilo", "note")
	require.False(t, created)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorContains(t, err, "free space on the file system")
}

func TestWriteFullDiskAtStep(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		for _, step := range []string{"temp", "content", "sync", "link"} {
			t.Run(step+" "+errno.Error(), func(t *testing.T) {
				d, path := newDir(t)
				failing(t, step, errno)
				created, err := d.Write("odilo", "note")
				require.NoError(t, err)
				require.True(t, created)
				require.Equal(t, []string{pause.SentinelName, "odilo"}, names(t, path))
				created, err = d.Write("odilo", "note")
				require.NoError(t, err)
				require.False(t, created)
			})
		}
	}
}

func TestWriteFullDiskFirstWriterWins(t *testing.T) {
	d, path := newDir(t)
	t.Cleanup(pause.SetFault(func(step string) error {
		switch step {
		case "content":
			return syscall.ENOSPC
		case "claim": // another writer was faster
			return os.WriteFile(filepath.Join(path, "odilo"), []byte("from a person"), 0o644)
		}
		return nil
	}))
	created, err := d.Write("odilo", "note")
	require.NoError(t, err)
	require.False(t, created)
	flag, err := d.Look("odilo")
	require.NoError(t, err)
	require.Equal(t, "from a person", flag.Note)
}

func TestWriteFullDiskAfterLink(t *testing.T) {
	d, _ := newDir(t)
	failing(t, "syncdir", syscall.ENOSPC)
	created, err := d.Write("odilo", "note")
	require.True(t, created)
	require.ErrorIs(t, err, syscall.ENOSPC)
	flag, err := d.Look("odilo")
	require.NoError(t, err)
	require.Equal(t, "note", flag.Note)
}

func TestInitFullDisk(t *testing.T) {
	for _, step := range []string{"temp", "content", "sync", "link"} {
		path := t.TempDir()
		d := pause.New(path)
		restore := pause.SetFault(func(s string) error {
			if s == step {
				return syscall.ENOSPC
			}
			return nil
		})
		require.ErrorIs(t, d.Init(ours), syscall.ENOSPC)
		require.Empty(t, names(t, path))
		restore()
		require.NoError(t, d.Init(ours))
	}
}

func TestReadOnlyFileSystem(t *testing.T) {
	path := testhost.NewDisk(t, "size=64k")
	d := pause.New(path)
	require.NoError(t, d.Init(ours))
	_, err := d.Write("held", "")
	require.NoError(t, err)
	testhost.RemountReadOnly(t, path)
	_, err = d.Write("odilo", "")
	require.ErrorIs(t, err, syscall.EROFS)
	require.ErrorContains(t, err, "mount the file system for writing; in a unit with ProtectSystem=, name the directory in ReadWritePaths=, "+
		"or restart the unit if the directory was made after it started; in a container, mount it from the machine")
	created, err := d.Write("held", "")
	require.NoError(t, err)
	require.False(t, created)
	paused, err := d.Paused("odilo")
	require.NoError(t, err)
	require.False(t, paused)
}
