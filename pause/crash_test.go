package pause_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/pause"
)

func TestWriteCrash(t *testing.T) {
	for step, there := range map[string]bool{
		"temp": false, "content": false, "sync": false, "link": false, "unlink": true, "syncdir": true,
	} {
		t.Run("before "+step, func(t *testing.T) {
			d, path := newDir(t)
			child{Do: "write", Dir: path, ID: "odilo", Note: whole("dead"), KillAt: step}.die(t)
			flag, err := d.Look("odilo")
			require.NoError(t, err)
			require.Equal(t, there, flag.Present)
			if there {
				require.Equal(t, whole("dead"), flag.Note)
			}
			ids, err := d.List()
			require.NoError(t, err)
			require.NotContains(t, strings.Join(ids, " "), "tmp")

			created, err := d.Write("odilo", whole("next"))
			require.NoError(t, err)
			require.Equal(t, !there, created, "the next writer finishes the job")
			flag, err = d.Look("odilo")
			require.NoError(t, err)
			require.True(t, isWhole(flag.Note))

			age(t, path)
			d.RemoveOldTemps()
			require.Equal(t, []string{pause.SentinelName, "odilo"}, names(t, path))
		})
	}
}

func TestWriteCrashWithoutHardLinks(t *testing.T) {
	for step, there := range map[string]bool{"claim": false, "rename": true} {
		t.Run("before "+step, func(t *testing.T) {
			d, path := newDir(t)
			c := child{Do: "write", Dir: path, ID: "odilo", Note: whole("dead"), KillAt: step}
			c.FailAt = map[string]int{"link": int(syscall.EPERM)}
			c.die(t)
			flag, err := d.Look("odilo")
			require.NoError(t, err)
			require.Equal(t, there, flag.Present)
			require.Empty(t, flag.Note)
		})
	}
}

func TestInitCrash(t *testing.T) {
	noLinks := map[string]int{"link": int(syscall.EPERM)}
	for _, c := range []child{
		{KillAt: "mkdir"}, {KillAt: "temp"}, {KillAt: "content"}, {KillAt: "sync"}, {KillAt: "link"},
		{KillAt: "unlink"}, {KillAt: "syncdir"},
		{KillAt: "claim", FailAt: noLinks}, {KillAt: "rename", FailAt: noLinks},
	} {
		t.Run("before "+c.KillAt, func(t *testing.T) {
			c.Do, c.Dir, c.ID = "init", filepath.Join(t.TempDir(), "deep", "pause"), ours
			c.die(t)
			d := pause.New(c.Dir)
			if sentinel, err := d.Sentinel(); err == nil {
				require.Contains(t, []string{"", ours}, sentinel.Installation)
			} else {
				require.NotErrorIs(t, err, pause.ErrBadSentinel)
			}
			require.NoError(t, d.Init(ours))
			sentinel, err := d.Sentinel()
			require.NoError(t, err)
			require.Equal(t, ours, sentinel.Installation)
		})
	}
}

func TestInitCrashFillingIn(t *testing.T) {
	for _, step := range []string{"temp", "content", "sync", "rename"} {
		path := t.TempDir()
		put(t, filepath.Join(path, pause.SentinelName), "")
		child{Do: "init", Dir: path, ID: ours, KillAt: step}.die(t)
		sentinel, err := pause.New(path).Sentinel()
		require.NoError(t, err)
		require.Empty(t, sentinel.Installation)
		require.NoError(t, pause.New(path).Init(ours))
	}
}

// age sets the modification time of all entries to two hours ago.
func age(t *testing.T, path string) {
	t.Helper()
	at := time.Now().Add(-2 * time.Hour)
	for _, name := range names(t, path) {
		require.NoError(t, os.Chtimes(filepath.Join(path, name), at, at))
	}
}
