package sqlite_test

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
	"github.com/terraphim/adfbot/internal/testhost"
)

func TestConcurrentThirdFailure(t *testing.T) {
	s := newStore(t)
	record(t, s, result(store.Failure))
	record(t, s, result(store.Failure))
	trips, ids := 0, ""
	for _, a := range together(t, 10, "fail", s.Path(), "1") {
		require.Empty(t, a.Err)
		trips += a.Trips
		ids += a.Incident
	}
	require.Equal(t, 1, trips)
	list, err := s.IncidentPage(ctx, store.IncidentFilter{Projects: []string{"odilo"}, Limit: 100, Evidence: true})
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, ids, list[0].ID)
	require.Equal(t, 12, failures(t, s, "odilo"))
}

func TestManyProcesses(t *testing.T) {
	s := newStore(t)
	const times = 50
	for _, a := range together(t, 10, "fail", s.Path(), strconv.Itoa(times)) {
		require.Empty(t, a.Err, "none is turned away as busy")
		require.Equal(t, times, a.N)
	}
	require.Equal(t, 10*times, failures(t, s, "odilo"))
	runs, err := s.Runs(ctx, "odilo", 20*times)
	require.NoError(t, err)
	require.Len(t, runs, 10*times)
}

func TestCreatedByManyProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "adfbot.db")
	for _, a := range together(t, 10, "open", path, "") {
		require.Empty(t, a.Err)
		require.Equal(t, open(t, path, sqlite.Options{}).Installation(), a.ID)
	}
}

// Whatever was acknowledged is there, whenever its process dies; and two that flood one state both get their turn.
func TestKilledInABatch(t *testing.T) {
	s := newStore(t)
	for round := range 5 {
		var taken []string
		var floods [2]*testhost.Child
		var outs [2]*bufio.Scanner
		for n := range floods {
			floods[n] = testhost.Command(t, "flood", s.Path(), fmt.Sprintf("%d-%d", round, n))
			floods[n].Stderr = os.Stderr
			out, err := floods[n].StdoutPipe()
			require.NoError(t, err)
			outs[n] = bufio.NewScanner(out)
			require.NoError(t, floods[n].Start())
		}
		for n, flood := range floods {
			for range 100 + 37*round {
				require.True(t, outs[n].Scan(), "each gets its turn")
				taken = append(taken, outs[n].Text())
			}
			require.NoError(t, flood.Process.Kill())
			for outs[n].Scan() { // what it printed before it died
				taken = append(taken, outs[n].Text())
			}
			require.Error(t, flood.Wait())
		}
		ids, err := s.Texts(ctx, `SELECT run_id FROM result`)
		require.NoError(t, err)
		stored := map[string]bool{}
		for _, id := range ids {
			stored[id] = true
		}
		for _, id := range taken {
			require.True(t, stored[id], "%s was taken", id)
		}
	}
	require.NoError(t, s.Check(ctx))
}

func TestSpoolTakenByManyProcesses(t *testing.T) {
	s := newStore(t)
	spool := hostlocal.Beside(s.Path()).Spool()
	for n := range 5 {
		r := result(store.Failure)
		r.RunID, r.Finished = fmt.Sprint("r", n), time.Now()
		_, err := spool.Add(r)
		require.NoError(t, err)
	}
	taken := 0
	for _, a := range together(t, 5, "take spool", s.Path(), "") {
		require.Empty(t, a.Err)
		taken += a.N
	}
	require.Equal(t, 5, taken)
	require.Equal(t, 5, failures(t, s, "odilo"))
	list, err := spool.List()
	require.NoError(t, err)
	require.Empty(t, list)
}

// sharedDir creates a directory that belongs to a group.
func sharedDir(t *testing.T, uid, gid int) string {
	t.Helper()
	dir := filepath.Join(testhost.PublicDir(t), "state")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Chown(dir, uid, gid))
	require.NoError(t, os.Chmod(dir, fs.ModeSetgid|0o770))
	return dir
}

// A command that root runs must not lock out the bot's own user, nor one member of the group another, with or without the setgid bit.
func TestOwnerOfNewFiles(t *testing.T) {
	testhost.NeedRoot(t, "to give files to another user")
	const uid, gid = 31234, 31235
	for who, c := range map[string]struct {
		owner  uint32
		member string
		mode   fs.FileMode
	}{
		"root":                  {uid, "", fs.ModeSetgid | 0o770},
		"member":                {4711, fmt.Sprint(gid), fs.ModeSetgid | 0o770},
		"member without setgid": {4711, fmt.Sprint(gid), 0o770},
	} {
		t.Run(who, func(t *testing.T) {
			dir := sharedDir(t, uid, gid)
			require.NoError(t, os.Chmod(dir, c.mode))
			path := filepath.Join(dir, "adfbot.db")
			// Killed, so that -wal and -shm are still there.
			flood := testhost.Command(t, "flood", path, "r")
			flood.Env = append(flood.Env, umaskVar+"=077", memberVar+"="+c.member)
			out, err := flood.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, flood.Start())
			require.True(t, bufio.NewScanner(out).Scan())
			require.Error(t, flood.Kill())
			for _, suffix := range []string{"", "-wal", "-shm"} {
				var st syscall.Stat_t
				require.NoError(t, syscall.Lstat(path+suffix, &st))
				require.Equal(t, [3]uint32{c.owner, gid, 0o660}, [3]uint32{st.Uid, st.Gid, st.Mode & 0o7777}, suffix)
			}
		})
	}
}

func TestGroupSharesAState(t *testing.T) {
	testhost.NeedRoot(t, "to become another user")
	path := filepath.Join(sharedDir(t, 0, testhost.Nobody), "adfbot.db")
	once := func(uid int) said { return newProcess(t, "fail", path, "1").as(uid, "077").finish() }
	require.Equal(t, said{N: 1, ID: once(0).ID}, once(testhost.Nobody))
	require.Equal(t, 1, once(0).Trips)
}

// SQLite writes beside a state even to read it. Whoever may not is told who may.
func TestReadOnlyUser(t *testing.T) {
	testhost.NeedRoot(t, "to become another user")
	dir := filepath.Join(testhost.PublicDir(t), "state")
	require.NoError(t, os.Mkdir(dir, 0o755))
	path := filepath.Join(dir, "adfbot.db")
	s := open(t, path, sqlite.Options{})
	record(t, s, result(store.Failure))
	require.NoError(t, s.Close())
	for _, mode := range []fs.FileMode{0o644, 0o600} {
		require.NoError(t, os.Chmod(path, mode))
		a := newProcess(t, "read", path, "").as(testhost.Nobody, "077").finish()
		require.True(t, a.Unusable)
		require.Equal(t, "state not usable: "+path+": this user may not write the file or its directory, which SQLite needs even to read it: "+
			"run the command as its owner, for example with `sudo -u root`, or see `adfbot check`: permission denied", a.Err)
		require.NoError(t, os.Chown(dir, 4711, 4711)) // whom sudo does not know
		a = newProcess(t, "read", path, "").as(testhost.Nobody, "077").finish()
		require.Contains(t, a.Err, "needs even to read it: run the command as root, or see `adfbot check`: ")
		require.NoError(t, os.Chown(dir, 0, 0))
	}
}
