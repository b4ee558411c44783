package pause_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/pause"
)

// publicPause returns a prepared pause directory that other users can reach.
func publicPause(t *testing.T) (pause.Dir, string) {
	t.Helper()
	path := filepath.Join(testhost.PublicDir(t), "pause")
	d := pause.New(path)
	require.NoError(t, d.Init(ours))
	return d, path
}

func TestUnreadableDir(t *testing.T) {
	for what, mode := range map[string]os.FileMode{
		"no rights": 0, "search only": 0o111, "list only": 0o444,
	} {
		t.Run(what, func(t *testing.T) {
			_, path := publicPause(t)
			require.NoError(t, os.Chmod(path, mode))
			for _, do := range []string{"look", "paused", "sentinel", "remove", "write", "init", "list"} {
				if do == "list" && mode&0o444 != 0 {
					continue // allowed
				}
				c := child{Do: do, Dir: path, ID: "odilo", UID: stranger()}
				if do == "init" {
					c.ID = ours
				}
				a := c.do(t)
				require.True(t, a.Denied, "%s: %+v", do, a)
				require.Contains(t, a.Err, path)
				require.Contains(t, a.Err, strangerName()+" must be able to ", do)
			}
		})
	}
}

func TestUnwritableDir(t *testing.T) {
	d, path := publicPause(t)
	_, err := d.Write("held", "why")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(path, 0o555))
	as := func(do, id string) answer {
		return child{Do: do, Dir: path, ID: id, UID: stranger()}.do(t)
	}
	require.Equal(t, "why", as("look", "held").Flag.Note)
	require.True(t, as("paused", "held").Did)
	require.Equal(t, answer{}, as("paused", "odilo"))
	require.Equal(t, []string{"held"}, as("list", "").IDs)
	require.Equal(t, answer{}, as("write", "held"), "an existing flag needs no write access")
	require.Equal(t, answer{}, as("init", ours), "nor does an existing sentinel")

	for _, a := range []answer{as("write", "odilo"), as("remove", "held")} {
		require.True(t, a.Denied, "%+v", a)
		require.False(t, a.Did)
		require.Contains(t, a.Err, strangerName()+" must be able to write to the directory")
	}
	require.Equal(t, []string{pause.SentinelName, "held"}, names(t, path))
}

func TestUnwritableParent(t *testing.T) {
	parent := testhost.PublicDir(t)
	require.NoError(t, os.Chmod(parent, 0o555))
	path := filepath.Join(parent, "deep", "pause")
	for _, c := range []child{{Do: "write", ID: "odilo"}, {Do: "init", ID: ours}} {
		c.Dir, c.UID = path, stranger()
		a := c.do(t)
		require.True(t, a.Denied, "%+v", a)
		require.Contains(t, a.Err, "create the directory "+filepath.Dir(path)+": permission denied; "+strangerName())
	}
}

func TestUnreadableSentinel(t *testing.T) {
	d, path := publicPause(t)
	_, err := d.Write("held", "")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(filepath.Join(path, pause.SentinelName), 0))
	a := child{Do: "paused", Dir: path, ID: "odilo", UID: stranger()}.do(t)
	require.True(t, a.Denied, "%+v", a)
	require.Contains(t, a.Err, "read the sentinel "+filepath.Join(path, pause.SentinelName)+": permission denied")
	require.True(t, child{Do: "paused", Dir: path, ID: "held", UID: stranger()}.do(t).Did)
}

func TestUnreadableFlag(t *testing.T) {
	d, path := publicPause(t)
	_, err := d.Write("odilo", "why")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(d.FlagPath("odilo"), 0))
	a := child{Do: "look", Dir: path, ID: "odilo", UID: stranger()}.do(t)
	require.Empty(t, a.Err)
	require.True(t, a.Flag.Present)
	require.Empty(t, a.Flag.Note)
}

// Others may add flags to it, and remove their own only.
func TestStickyDir(t *testing.T) {
	testhost.NeedRoot(t, "to make a file of another user")
	d, path := publicPause(t)
	_, err := d.Write("held", "why")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(path, 0o777|os.ModeSticky))
	a := child{Do: "remove", Dir: path, ID: "held", UID: stranger()}.do(t)
	require.True(t, a.Denied)
	require.Contains(t, a.Err, "in a directory with the sticky bit (ls -ld), only root and the owners of the file and the directory can")
	require.NotContains(t, a.Err, "must be able to")
}
