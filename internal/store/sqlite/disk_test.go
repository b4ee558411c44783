package sqlite_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
	"github.com/terraphim/adfbot/internal/testhost"
)

func TestAFullDiskIsAClearErrorAndLosesNothing(t *testing.T) {
	dir := testhost.NewDisk(t, "size=2m")
	path := filepath.Join(dir, "adfbot.db")
	s := open(t, path, sqlite.Options{})
	record(t, s, result(store.Failure))
	empty := testhost.Fill(t, dir)
	// The log may have room in its last page; it is soon used up.
	recorded, err := 1, error(nil)
	for err == nil && recorded < 1000 {
		if _, err = s.Record(ctx, result(store.Failure), three); err == nil {
			recorded++
		}
	}
	require.ErrorIs(t, err, store.ErrUnusable)
	require.ErrorContains(t, err, path)
	require.ErrorContains(t, err, "the disk is full: make room")
	require.Equal(t, recorded, project(t, s, "odilo").Breaker.Failures, "what was there can be read")
	require.NoError(t, s.Check(ctx))

	empty()
	a := record(t, s, result(store.Failure))
	require.Equal(t, recorded+1, a.Failures, "and it goes on once there is room")
}

func TestWhatManyAreToldOnAFullDiskIsWhatIsThere(t *testing.T) {
	dir := testhost.NewDisk(t, "size=2m")
	s := open(t, filepath.Join(dir, "adfbot.db"), sqlite.Options{})
	record(t, s, result(store.Failure))
	empty := testhost.Fill(t, dir)
	var taken, refused atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if _, err := s.Record(ctx, result(store.Failure), three); err == nil {
					taken.Add(1)
				} else if refused.Add(1); !errors.Is(err, store.ErrUnusable) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.Positive(t, refused.Load())
	require.Equal(t, 1+int(taken.Load()), project(t, s, "odilo").Breaker.Failures)
	runs, err := s.Runs(ctx, "odilo", 9999)
	require.NoError(t, err)
	require.Len(t, runs, 1+int(taken.Load()))
	empty()
	record(t, s, result(store.Failure))
}

func TestANewStateOnAFullDiskIsUnusable(t *testing.T) {
	dir := testhost.NewDisk(t, "size=256k")
	testhost.Fill(t, dir)
	_, err := sqlite.Open(ctx, filepath.Join(dir, "adfbot.db"), sqlite.Options{})
	require.ErrorIs(t, err, store.ErrUnusable)
	require.ErrorContains(t, err, "the disk is full: make room")
}

func TestALockOnAFullDiskIsAnErrorOfTheState(t *testing.T) {
	dir := testhost.NewDisk(t, "nr_inodes=24")
	s := open(t, filepath.Join(dir, "adfbot.db"), sqlite.Options{})
	require.NoError(t, os.Remove(filepath.Join(dir, "adfbot.db.d", "locks")))
	for n := 0; ; n++ {
		if os.WriteFile(filepath.Join(dir, strings.Repeat("x", n+1)), nil, 0o600) != nil {
			break
		}
	}
	_, err := s.LockHere(ctx, "flag/odilo", 0)
	require.ErrorIs(t, err, store.ErrUnusable)
	require.ErrorContains(t, err, "the disk is full: make room")
	_, err = s.BeginRun(ctx, store.Run{Project: "odilo", Started: noon})
	require.ErrorIs(t, err, store.ErrUnusable)
}

// foreignState is a state that another user made, in a directory with the given mode.
func foreignState(t *testing.T, dirMode, fileMode fs.FileMode) string {
	t.Helper()
	testhost.NeedRoot(t, "to become another user")
	dir := filepath.Join(testhost.PublicDir(t), "state")
	path := filepath.Join(dir, "adfbot.db")
	s := open(t, path, sqlite.Options{})
	trip(t, s, "odilo")
	require.NoError(t, s.Close())
	require.NoError(t, os.Chmod(path, fileMode))
	require.NoError(t, os.Chmod(dir, dirMode))
	return path
}

func TestAStateThatThisUserMayNotWriteIsUnusableAndTheErrorSaysWhereTheFixIs(t *testing.T) {
	for what, modes := range map[string][2]fs.FileMode{
		"a file that may only be read":         {0o777, 0o644},
		"a file that may not even be read":     {0o777, 0o600},
		"a directory that may only be read":    {0o755, 0o666},
		"a directory that may not be searched": {0o700, 0o666},
	} {
		t.Run(what, func(t *testing.T) {
			path := foreignState(t, modes[0], modes[1])
			a := child{Do: "fail", Times: 1, Path: path, UID: testhost.Nobody}.finish(t)
			require.True(t, a.Unusable, "%+v", a)
			require.Contains(t, a.Err, path)
			require.Contains(t, a.Err, "see `adfbot check` for the chown or chmod")
			require.Zero(t, a.N)
		})
	}
}

func TestAReadOnlyFileSystemIsUnusable(t *testing.T) {
	dir := testhost.NewDisk(t, "size=2m")
	path := filepath.Join(dir, "adfbot.db")
	require.NoError(t, open(t, path, sqlite.Options{}).Close())
	testhost.RemountReadOnly(t, dir)
	err := use(path, false)
	require.ErrorIs(t, err, store.ErrUnusable)
	require.ErrorContains(t, err, path)
}

// owned are the owner, group and mode of everything beside a state.
func owned(t *testing.T, path string) map[string][3]uint32 {
	t.Helper()
	out := map[string][3]uint32{}
	dir := filepath.Dir(path)
	require.NoError(t, filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st syscall.Stat_t
		if err := syscall.Lstat(p, &st); err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		out[rel] = [3]uint32{st.Uid, st.Gid, st.Mode & 0o7777}
		return nil
	}))
	return out
}

// A command run by root must not lock the bot's own user out, nor one member of the group another.
func TestNewFilesTakeTheOwnerAndGroupOfTheirDirectoryAndTheGroupsRights(t *testing.T) {
	testhost.NeedRoot(t, "to give files to another user")
	const uid, gid = 31234, 31235
	for what, c := range map[string]struct{ dir, file, sub uint32 }{
		"shared with a group": {0o2770, 0o660, 0o2770},
		"for one user":        {0o700, 0o600, 0o700},
		"readable by a group": {0o750, 0o600, 0o700},
	} {
		t.Run(what, func(t *testing.T) {
			dir := filepath.Join(testhost.PublicDir(t), "state")
			require.NoError(t, os.Mkdir(dir, 0o700))
			require.NoError(t, os.Chown(dir, uid, gid))
			require.NoError(t, syscall.Chmod(dir, c.dir))
			path := filepath.Join(dir, "adfbot.db")
			// Killed, so that its -wal and -shm are still there.
			_, kill := child{Do: "run", Name: "r", Path: path, Umask: 0o077}.start(t)
			_, killLock := child{Do: "hold", Name: "flag/odilo", Path: path, Umask: 0o077}.start(t)
			kill()
			killLock()
			spooled := result(store.Failure)
			spooled.RunID = "x"
			old := syscall.Umask(0o077)
			_, err := sqlite.Spool(path, spooled)
			syscall.Umask(old)
			require.NoError(t, err)

			got := owned(t, path)
			for _, name := range []string{"adfbot.db", "adfbot.db-wal", "adfbot.db-shm", "adfbot.db.d/locks"} {
				require.Equal(t, [3]uint32{uid, gid, c.file}, got[name], name)
			}
			require.Equal(t, [3]uint32{uid, gid, c.sub}, got["adfbot.db.d"])
			files := 0
			for name, is := range got {
				switch {
				case !strings.HasPrefix(name, "adfbot.db.d/"), name == "adfbot.db.d/locks":
				case strings.Contains(name[len("adfbot.db.d/"):], "/"):
					files++
					require.Equal(t, [3]uint32{uid, gid, c.file}, is, name)
				default:
					require.Equal(t, [3]uint32{uid, gid, c.sub}, is, name)
				}
			}
			require.Equal(t, 2, files, "a run and a spooled result: %v", got)
		})
	}
}

func TestASpoolThatComesBeforeTheStateDoesNotLockItsUserOut(t *testing.T) {
	testhost.NeedRoot(t, "to give files to another user")
	dir := filepath.Join(testhost.PublicDir(t), "state")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Chown(dir, testhost.Nobody, testhost.Nobody))
	path := filepath.Join(dir, "adfbot.db")
	r := result(store.Failure)
	r.RunID = "r"
	_, err := sqlite.Spool(path, r)
	require.NoError(t, err)
	a := child{Do: "take", Path: path, UID: testhost.Nobody}.finish(t)
	require.Empty(t, a.Err)
	require.Equal(t, 1, a.N)
}

func TestMembersOfTheGroupCanUseEachOthersState(t *testing.T) {
	testhost.NeedRoot(t, "to become another user")
	dir := filepath.Join(testhost.PublicDir(t), "state")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Chown(dir, 0, testhost.Nobody))
	require.NoError(t, syscall.Chmod(dir, 0o2770))
	path := filepath.Join(dir, "adfbot.db")
	require.Equal(t, 1, child{Do: "fail", Times: 1, Path: path, Umask: 0o077}.finish(t).N)
	a := child{Do: "fail", Times: 1, Path: path, UID: testhost.Nobody, Umask: 0o077}.finish(t)
	require.Empty(t, a.Err)
	require.Equal(t, 1, child{Do: "fail", Times: 1, Path: path, Umask: 0o077}.finish(t).Trips)
}
