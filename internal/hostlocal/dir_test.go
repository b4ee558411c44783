package hostlocal_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/testhost"
)

// noon is whole milliseconds, as everything keeps them.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// newDir creates the directory of a state that need not exist, and returns its path too.
func newDir(t testing.TB) (d *hostlocal.Dir, path string) {
	t.Helper()
	return createDir(t, filepath.Join(t.TempDir(), "adfbot.db"))
}

func createDir(t testing.TB, state string) (d *hostlocal.Dir, path string) {
	t.Helper()
	d = hostlocal.Beside(state)
	require.NoError(t, d.Create(ctx))
	return d, state + ".d"
}

func names(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestCreate(t *testing.T) {
	state := filepath.Join(t.TempDir(), "var", "lib", "adfbot.db")
	d, path := createDir(t, state)
	require.Equal(t, []string{"locks", "runs", "spool"}, names(t, path))
	require.Len(t, names(t, path+"/spool"), 64, "the disk may fill up before the first sweep")
	require.NoError(t, os.RemoveAll(path))
	require.NoError(t, d.KeepReady(ctx), "what was removed is created again")
	require.Equal(t, []string{"locks", "runs", "spool"}, names(t, path))
	unlock, err := d.LockHere(ctx, "flag/odilo", 0)
	require.NoError(t, err)
	unlock()
}

func TestCreateUpgradesTheLocks(t *testing.T) {
	state := filepath.Join(t.TempDir(), "adfbot.db")
	locks := filepath.Join(state+".d", "locks")
	require.NoError(t, os.MkdirAll(locks, 0o700))
	held := holdAsEarlier(t, locks, "flag-odilo")
	synctest.Test(t, func(t *testing.T) {
		d := hostlocal.Beside(state)
		require.NoError(t, d.Create(ctx), "results are counted without locks")
		require.DirExists(t, locks)
		err := d.KeepReady(ctx)
		require.ErrorContains(t, err, "an earlier version of adfbot holds a lock (flag-odilo): stop it")
	})
	held()
	createDir(t, state)
	require.FileExists(t, locks)
}

func TestDirErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	err := hostlocal.Beside(filepath.Join(file, "adfbot.db")).Create(ctx)
	require.ErrorIs(t, err, store.ErrUnusable)
	require.ErrorContains(t, err, file)

	dir := testhost.NewDisk(t, "nr_inodes=24")
	d, path := createDir(t, filepath.Join(dir, "adfbot.db"))
	require.NoError(t, os.Remove(filepath.Join(path, "locks")))
	useInodes(dir)
	_, lockErr := d.LockHere(ctx, "flag/odilo", 0)
	_, _, claimErr := d.Claim(ctx, "issue/odilo", 0)
	_, runErr := d.LockRun("1", store.Settings{})
	for _, err := range []error{lockErr, claimErr, runErr, d.KeepReady(ctx)} {
		require.ErrorIs(t, err, store.ErrUnusable)
		require.ErrorContains(t, err, "the disk is full: make room")
	}
}

// useInodes uses up the inodes of a small disk.
func useInodes(dir string) {
	for n := 1; os.WriteFile(filepath.Join(dir, strings.Repeat("x", n)), nil, 0o600) == nil; n++ {
	}
}

func TestLocksWithoutInodes(t *testing.T) {
	dir := testhost.NewDisk(t, "nr_inodes=110")
	d, _ := createDir(t, filepath.Join(dir, "adfbot.db"))
	require.NoError(t, d.KeepReady(ctx))
	useInodes(dir)
	require.NoError(t, d.KeepReady(ctx))
	require.Contains(t, hostlocal.DiskProblem(dir, 1), "no inodes left, see `df -i`")
	unlock, err := d.LockHere(ctx, "flag/odilo", 0)
	require.NoError(t, err)
	unlock()
}

func TestDiskProblem(t *testing.T) {
	dir := testhost.NewDisk(t, "size=2m")
	require.Empty(t, hostlocal.DiskProblem(dir, hostlocal.LeastRoom))
	require.Contains(t, hostlocal.DiskProblem(dir, 3<<20), "the disk is full: make room (")
	empty := testhost.Fill(t, dir)
	require.Contains(t, hostlocal.DiskProblem(dir, 1), "the disk is full: make room (0 bytes are free)")
	empty()
	testhost.RemountReadOnly(t, dir)
	require.Equal(t, store.MountedReadOnly, hostlocal.DiskProblem(dir, 1))
	require.Empty(t, hostlocal.DiskProblem(filepath.Join(dir, "missing"), 1), "what can't be looked at is no problem")
}

// A command that root runs must not lock out the bot's own user, nor one member of the group another.
func TestOwnerOfNewFiles(t *testing.T) {
	testhost.NeedRoot(t, "to give files to another user")
	const uid, gid = 31234, 31235
	for what, mode := range map[string]struct{ dir, file, folder uint32 }{
		"shared with a group": {0o2770, 0o660, 0o2770},
		"for one user":        {0o700, 0o600, 0o700},
		"readable by a group": {0o750, 0o600, 0o700},
	} {
		t.Run(what, func(t *testing.T) {
			dir := filepath.Join(testhost.PublicDir(t), "state")
			require.NoError(t, os.Mkdir(dir, 0o700))
			require.NoError(t, os.Chown(dir, uid, gid))
			require.NoError(t, syscall.Chmod(dir, mode.dir))
			state := filepath.Join(dir, "adfbot.db")
			out, err := testhost.Command(t, "spool", state, "r").Output() // before the rest of the directory is there
			require.NoError(t, err, string(out))
			d, path := createDir(t, state)
			require.NoError(t, d.KeepReady(ctx))
			_, err = d.LockRun("1", store.Settings{})
			require.NoError(t, err)
			owner := func(name string) [3]uint32 {
				var st syscall.Stat_t
				require.NoError(t, syscall.Lstat(filepath.Join(path, name), &st))
				return [3]uint32{st.Uid, st.Gid, st.Mode & 0o7777}
			}
			for _, name := range []string{".", "runs", "spool"} {
				require.Equal(t, [3]uint32{uid, gid, mode.folder}, owner(name), name)
			}
			files := []string{"locks", "runs/1.lock"}
			for _, name := range names(t, filepath.Join(path, "spool")) {
				files = append(files, "spool/"+name)
			}
			require.Len(t, files, 2+64+1)
			for _, name := range files {
				require.Equal(t, [3]uint32{uid, gid, mode.file}, owner(name), name)
			}
		})
	}
}
