package hostlocal_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/testhost"
)

const groupOfMember = 31235

// Nothing has set the setgid bit of a directory that its group may write: what a member makes there is the group's all the same, else the
// daemon could not open it.
func TestMemberGivesFilesToTheGroup(t *testing.T) {
	testhost.NeedRoot(t, "to become another user")
	for _, made := range []bool{false, true} {
		dir := filepath.Join(testhost.PublicDir(t), "state")
		state := filepath.Join(dir, "adfbot.db")
		shared := []string{dir}
		if made { // by the daemon, while the directory was its own
			shared = append(shared, state+".d", state+".d/runs", state+".d/spool")
		}
		for _, path := range shared {
			require.NoError(t, os.Mkdir(path, 0o700))
			require.NoError(t, os.Chown(path, 31234, groupOfMember))
			require.NoError(t, os.Chmod(path, 0o770))
		}
		out, err := testhost.Command(t, "use as a member", state, "").CombinedOutput()
		require.NoError(t, err, string(out))
		seen := 0
		require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			require.NoError(t, err)
			info, err := e.Info()
			require.NoError(t, err)
			require.EqualValues(t, groupOfMember, info.Sys().(*syscall.Stat_t).Gid, path)
			require.Equal(t, fs.FileMode(0o060), info.Mode()&0o060, path)
			seen++
			return nil
		}))
		require.Greater(t, seen, 8)
	}
}
