package hostlocal_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/testhost"
)

func spooledResult(runID string, finished time.Time) store.Result {
	return store.Result{Project: "odilo", Agent: "project-meta", RunID: runID, Outcome: store.Failure, Finished: finished}
}

func add(t *testing.T, s hostlocal.Spool, r store.Result) string {
	t.Helper()
	file, err := s.Add(r)
	require.NoError(t, err)
	return file
}

func spooled(t *testing.T, s hostlocal.Spool) []hostlocal.Spooled {
	t.Helper()
	list, err := s.List()
	require.NoError(t, err)
	return list
}

func TestSpooledAsItWas(t *testing.T) {
	spool := hostlocal.Beside(filepath.Join(t.TempDir(), "var", "adfbot.db")).Spool()
	require.Empty(t, spooled(t, spool), "the directory need not exist")
	generation := int64(4)
	r := store.Result{Project: "odilo", Agent: "project-meta", RunID: "r", Outcome: store.Failure, ExitCode: 3, Signal: "SIGKILL", Detail: "d",
		Host: "h", Started: noon, Finished: noon.Add(time.Second), Output: "output\nof two lines", Generation: &generation, Run: "run"}
	file := add(t, spool, r)
	list := spooled(t, spool)
	require.Len(t, list, 1)
	require.NoError(t, list[0].Err)
	require.Equal(t, file, list[0].File)
	r.Run = "" // whoever finds the run gone ends it
	require.Equal(t, r.Output, output(t, list[0]))
	r.Output = ""
	require.Equal(t, r, list[0].Result, "many outputs would take much memory")
	require.NoError(t, list[0].Remove())
	require.NoError(t, list[0].Remove(), "another process was faster")
	require.Empty(t, output(t, list[0]))
	require.Empty(t, names(t, filepath.Dir(file)))
}

// Its output has a part in what is left to decide.
func TestSpooledUndecided(t *testing.T) {
	spool := hostlocal.Spool(filepath.Join(t.TempDir(), "spool"))
	r := spooledResult("r", noon)
	r.Output, r.Decide = "quota exceeded", store.DecideClass
	add(t, spool, r)
	require.Equal(t, []store.Result{r}, []store.Result{spooled(t, spool)[0].Result})
	require.Equal(t, r.Output, output(t, spooled(t, spool)[0]))
}

// A path is no pattern.
func TestSpoolAtAnyPath(t *testing.T) {
	for _, name := range []string{"[1]", "a*b", "what?", `back\slash`, "{x}", "[", "new\nline", "ünï"} {
		disk := testhost.NewDisk(t, "size=2m")
		d, _ := createDir(t, filepath.Join(disk, name, "adfbot.db"))
		require.NoError(t, d.KeepReady(ctx))
		file := add(t, d.Spool(), spooledResult("one", noon))
		list := spooled(t, d.Spool())
		require.Len(t, list, 1, name)
		require.Equal(t, file, list[0].File)
		empty := testhost.Fill(t, disk)
		add(t, d.Spool(), spooledResult("two", noon))
		require.Len(t, spooled(t, d.Spool()), 2, name)
		empty()
	}
}

func TestUnreadableSpool(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	require.NoError(t, os.WriteFile(dir, nil, 0o600))
	_, err := hostlocal.Spool(dir).List()
	require.ErrorContains(t, err, dir, "it is not an empty one")
}

// A file that somebody has copied here as another user, such as root, is a result all the same.
func TestResultOfAnotherUser(t *testing.T) {
	e := hostlocal.Spooled{File: "/var/lib/adfbot's/spool/1.json", Err: &fs.PathError{Op: "open", Path: "1.json", Err: unix.EACCES}}
	require.ErrorIs(t, e.Unreadable(), fs.ErrPermission)
	require.ErrorContains(t, e.Unreadable(), `it is recorded once it can be read: run chown --reference='/var/lib/adfbot'\''s/spool' '/var/lib/adfbot'\''s/spool/1.json'`)
	require.NotContains(t, e.Unreadable().Error(), "never")
}

func TestSpoolNeedsARunID(t *testing.T) {
	_, err := hostlocal.Spool(t.TempDir()).Add(spooledResult("", noon))
	require.ErrorContains(t, err, "without a run id", "recorded twice it would count twice")
}

func TestSpoolErrorNamesTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := hostlocal.Beside(filepath.Join(file, "adfbot.db")).Spool().Add(spooledResult("r", noon))
	require.ErrorContains(t, err, "spooling the result")
	require.ErrorContains(t, err, file)
}

// A member of the group may give a file any name, which errors would show on a terminal. Nobody but adfbot puts results there.
func TestSpoolNamesAreNoTerminalCodes(t *testing.T) {
	spool := hostlocal.Spool(t.TempDir())
	for _, name := range []string{"\x1b[2J.json", "a\nok.json", "\x9b2J.json", "a\u202eb.json"} {
		require.NoError(t, os.WriteFile(filepath.Join(string(spool), name), nil, 0o600))
	}
	require.Empty(t, spooled(t, spool))
}

// Results come in the order in which they were added, also where the clock was set back. Files of earlier versions have no number:
// they come first, in the order in which their runs ended.
func TestSpoolOrder(t *testing.T) {
	spool := hostlocal.Spool(t.TempDir())
	for _, n := range []int{3, 1, 4, 2} {
		r := spooledResult(fmt.Sprint("old-", n), noon.Add(time.Duration(n)*time.Second))
		doc, err := json.Marshal(r)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(string(spool), fmt.Sprintf("%d%031x.json", 5-n, n)), doc, 0o600))
	}
	for _, n := range []int{3, 1, 4, 2} {
		add(t, spool, spooledResult(fmt.Sprint(n), noon.Add(time.Duration(n)*time.Hour)))
	}
	var ids []string
	for _, e := range spooled(t, spool) {
		ids = append(ids, e.Result.RunID)
	}
	require.Equal(t, []string{"old-1", "old-2", "old-3", "old-4", "3", "1", "4", "2"}, ids)
}

func TestGarbageInTheSpool(t *testing.T) {
	spool := hostlocal.Spool(t.TempDir())
	dir := filepath.Dir(add(t, spool, spooledResult("good", noon)))
	for name, content := range map[string]string{
		"half.json":      `{"Project":"odilo","Agent":"proj`,
		"empty.json":     ``,
		"null.json":      `null`,
		"object.json":    `{}`,
		"outcome.json":   `{"Project":"odilo","Agent":"project-meta","RunID":"r","Outcome":"exploded"}`,
		"project.json":   `{"Project":"../odilo","Agent":"project-meta","RunID":"r","Outcome":"failure"}`,
		"agent.json":     `{"Project":"odilo","Agent":"","RunID":"r","Outcome":"failure"}`,
		"runless.json":   `{"Project":"odilo","Agent":"project-meta","Outcome":"failure"}`,
		"large.json":     strings.Repeat(" ", 2<<20),
		"not-a-result":   `x`,
		"half-done.tmp":  `x`,
		".tmp-half-done": `x`,
		"spare.ready":    `x`,
		"other.json.bak": `x`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "dir.json"), 0o700))
	require.NoError(t, os.Symlink("/dev/zero", filepath.Join(dir, "zero.json")))
	var good, bad int
	for _, e := range spooled(t, spool) {
		if e.Err != nil {
			bad++
			continue
		}
		good++
		require.Equal(t, "good", e.Result.RunID)
	}
	require.Equal(t, 1, good)
	require.Equal(t, 11, bad)
}

// readyDir is the directory of a state on a small disk, with its reserves, and the spool in it.
func readyDir(t *testing.T) (disk string, d *hostlocal.Dir, spool string) {
	t.Helper()
	disk = testhost.NewDisk(t, "size=2m")
	d, path := createDir(t, filepath.Join(disk, "adfbot.db"))
	require.NoError(t, d.KeepReady(ctx))
	return disk, d, filepath.Join(path, "spool")
}

func TestSpoolOnAFullDisk(t *testing.T) {
	disk, d, dir := readyDir(t)
	require.NoError(t, d.KeepReady(ctx), "it does nothing if they are there")
	ready := names(t, dir)
	require.Len(t, ready, 64, "a night of a few projects")
	empty := testhost.Fill(t, disk)
	var outputs []string
	for n := range ready {
		r := spooledResult(fmt.Sprintf("r%02d", n), noon.Add(time.Duration(n)*time.Second))
		r.Project = fmt.Sprint("project-", n/16)
		r.Output = strings.Repeat("begin, ü, <&>\n", 40*n) + "end" // most do not fit
		add(t, d.Spool(), r)
		outputs = append(outputs, r.Output)
	}
	last := spooledResult("last", noon)
	_, err := d.Spool().Add(last)
	require.ErrorContains(t, err, "no space left on device", "they are used up")
	require.Error(t, d.KeepReady(ctx), "on the full disk they can't be created again")
	list := spooled(t, d.Spool())
	require.Len(t, list, len(ready))
	for n, e := range list {
		require.NoError(t, e.Err)
		require.Equal(t, fmt.Sprintf("r%02d", n), e.Result.RunID)
		require.True(t, strings.HasSuffix(outputs[n], output(t, e)), "the end of the output stays")
		if require.True(t, utf8.ValidString(output(t, e))); n < 2 {
			require.Equal(t, outputs[n], output(t, e))
		}
		require.Greater(t, len(output(t, e)), min(len(outputs[n])-1, 900), "as much as there is room for, or half of it")
		require.NoError(t, e.Remove())
	}
	empty()
	require.NoError(t, d.KeepReady(ctx))
	require.Equal(t, ready, names(t, dir))
}

// One project cannot use up the room that is kept for the others.
func TestReservesOfAProject(t *testing.T) {
	disk, d, _ := readyDir(t)
	empty := testhost.Fill(t, disk)
	for n := range 16 {
		add(t, d.Spool(), spooledResult(fmt.Sprint("r", n), noon))
	}
	_, err := d.Spool().Add(spooledResult("r16", noon))
	require.ErrorContains(t, err, "no space left on device")
	require.ErrorContains(t, err, "odilo has 16 results in the space that is reserved for 64")
	other := spooledResult("r16", noon)
	other.Project = "atlas"
	add(t, d.Spool(), other)
	require.NoError(t, spooled(t, d.Spool())[0].Remove())
	empty()
	require.NoError(t, d.KeepReady(ctx))
	empty = testhost.Fill(t, disk)
	add(t, d.Spool(), spooledResult("r17", noon))
	empty()
}

// A daemon goes on sweeping while results come in, and on a full disk it can't create used reserves again.
func TestFailedReserveHidesNoOther(t *testing.T) {
	disk, d, dir := readyDir(t)
	empty := testhost.Fill(t, disk)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a-half.ready"), nil, 0o600))
	for n := range 64 {
		r := spooledResult(fmt.Sprint("r", n), noon)
		r.Project = fmt.Sprint("project-", n%4)
		add(t, d.Spool(), r)
		require.Error(t, d.KeepReady(ctx))
	}
	require.Len(t, spooled(t, d.Spool()), 64)
	empty()
}

// Sweeps of many processes may start together, while others use reserves up.
func TestReservesOfManyProcesses(t *testing.T) {
	d, path := newDir(t)
	require.NoError(t, d.KeepReady(ctx))
	together(t, "keep ready", strings.TrimSuffix(path, ".d"), "10")
	require.NoError(t, d.KeepReady(ctx))
	left := names(t, filepath.Join(path, "spool"))
	require.Len(t, left, 64, "and nothing else")
	for _, name := range left {
		info, err := os.Stat(filepath.Join(path, "spool", name))
		require.NoError(t, err)
		require.Equal(t, int64(4<<10), info.Size(), name)
	}
}

func TestDirectoryInThePlaceOfAReserve(t *testing.T) {
	d, path := newDir(t)
	require.NoError(t, d.KeepReady(ctx))
	reserve := filepath.Join(path, "spool", hostlocal.ReserveName(7))
	require.NoError(t, os.Remove(reserve))
	require.NoError(t, os.Mkdir(reserve, 0o700))
	require.NoError(t, d.KeepReady(ctx))
	info, err := os.Lstat(reserve)
	require.NoError(t, err)
	require.True(t, info.Mode().IsRegular())
}

// On some file systems a new name that is longer than the old one may need room in the directory.
func TestReservesGetNoLongerNames(t *testing.T) {
	d, path := newDir(t)
	spool := filepath.Join(path, "spool")
	file := add(t, d.Spool(), spooledResult("r", noon))
	marked(t, spooled(t, d.Spool())[0])
	longest := filepath.Base(spooled(t, d.Spool())[0].File)
	require.Len(t, longest, len(filepath.Base(file)), "where a shorter name has been, there may be no room for a longer one")
	require.NoError(t, spooled(t, d.Spool())[0].Remove())
	require.NoError(t, d.KeepReady(ctx))
	for n, name := range names(t, spool) {
		require.GreaterOrEqual(t, len(name), len(longest))
		require.NoError(t, os.Rename(filepath.Join(spool, name), filepath.Join(spool, fmt.Sprintf("reserve-%d.ready", n)))) // of an earlier version
	}
	require.NoError(t, d.KeepReady(ctx))
	require.Len(t, names(t, spool), 64, "those are renamed")
	for _, name := range names(t, spool) {
		require.GreaterOrEqual(t, len(name), len(longest))
	}
}

// A directory of ext4 that is full has room for some names and not for others, by their hashes. It happens more often with smaller
// blocks.
func TestReserveGetsANameForWhichThereIsRoom(t *testing.T) {
	disk := testhost.Ext4(t, "-b", "1024", "-N", "256")
	for round := range 3 {
		d, _ := createDir(t, filepath.Join(disk, fmt.Sprint("state-", round)))
		require.NoError(t, d.KeepReady(ctx))
		empty := testhost.Fill(t, disk)
		for n := range 64 {
			r := spooledResult(fmt.Sprintf("r%02d", n), noon)
			r.Project = fmt.Sprint("project-", n/16)
			add(t, d.Spool(), r)
		}
		for _, e := range spooled(t, d.Spool()) {
			marked(t, e)
		}
		for n, e := range spooled(t, d.Spool()) {
			require.Equal(t, fmt.Sprintf("r%02d", n), e.Result.RunID)
			require.Equal(t, noon, e.PausedAt.UTC())
			require.NoError(t, e.ForgetPause())
		}
		for n, e := range spooled(t, d.Spool()) {
			require.Equal(t, fmt.Sprintf("r%02d", n), e.Result.RunID)
			require.Zero(t, e.PausedAt)
			require.NoError(t, e.ForgetPause())
		}
		empty()
	}
}

func TestShortReserveIsReplaced(t *testing.T) {
	d, path := newDir(t)
	require.NoError(t, d.KeepReady(ctx))
	short := filepath.Join(path, "spool", hostlocal.ReserveName(0))
	require.NoError(t, os.Truncate(short, 10))
	require.NoError(t, d.KeepReady(ctx))
	info, err := os.Stat(short)
	require.NoError(t, err)
	require.Equal(t, int64(4<<10), info.Size())
}

// precious makes a file that must not be touched, as large as a reserve, and returns what checks that.
func precious(t *testing.T) (path string, requireUntouched func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "token")
	content := strings.Repeat("0123456789abcdef", 256)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	require.NoError(t, os.Chmod(path, 0o640))
	old := noon.Add(-24 * time.Hour)
	require.NoError(t, os.Chtimes(path, old, old))
	return path, func() {
		t.Helper()
		info, err := os.Lstat(path)
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o640), info.Mode())
		require.Equal(t, old, info.ModTime().UTC())
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, content, string(b))
	}
}

// Whoever is in the group may replace any file in the directories, and must not get at a file of the bot or of root that way.
func TestLinkInThePlaceOfAReserve(t *testing.T) {
	disk, d, dir := readyDir(t)
	token, requireUntouched := precious(t)
	reserve := filepath.Join(dir, hostlocal.ReserveName(0))
	require.NoError(t, os.Remove(reserve))
	require.NoError(t, os.Symlink(token, reserve))
	empty := testhost.Fill(t, disk)
	for n := range 63 {
		r := spooledResult(fmt.Sprint("r", n), noon)
		r.Project = fmt.Sprint("project-", n%4)
		add(t, d.Spool(), r)
	}
	_, err := d.Spool().Add(spooledResult("last", noon))
	require.Error(t, err)
	requireUntouched()
	empty()
	require.NoError(t, d.KeepReady(ctx))
	info, err := os.Lstat(reserve)
	require.NoError(t, err)
	require.True(t, info.Mode().IsRegular())
	requireUntouched()
}

func TestSpoolOfAnotherUser(t *testing.T) {
	testhost.NeedRoot(t, "to become another user")
	dir := filepath.Join(testhost.PublicDir(t), "state")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Chown(dir, testhost.Nobody, testhost.Nobody))
	state := filepath.Join(dir, "adfbot.db")
	add(t, hostlocal.Beside(state).Spool(), spooledResult("r", noon)) // by root, before anything else is there
	cmd := testhost.Command(t, "spool", state, "mine")
	cmd.Env = append(cmd.Env, fmt.Sprint(testhost.UIDVar, "=", testhost.Nobody))
	out, err := cmd.Output()
	require.NoError(t, err, string(out))
	require.Len(t, spooled(t, hostlocal.Beside(state).Spool()), 2)
}

// Root has made the state, and somebody has given the bot's user what it could not write, but not the reserves.
func TestReservesOfAnotherUserAreReplaced(t *testing.T) {
	testhost.NeedRoot(t, "to become another user")
	state := filepath.Join(testhost.PublicDir(t), "adfbot.db")
	require.NoError(t, hostlocal.Beside(state).KeepReady(ctx))
	for _, path := range []string{"", "/locks", "/runs", "/spool"} {
		require.NoError(t, os.Chown(state+".d"+path, testhost.Nobody, testhost.Nobody))
	}
	cmd := testhost.Command(t, "replace reserves", state, "")
	cmd.Env = append(cmd.Env, fmt.Sprint(testhost.UIDVar, "=", testhost.Nobody))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	ready, err := filepath.Glob(state + ".d/spool/*.ready")
	require.NoError(t, err)
	require.NotEmpty(t, ready)
	for _, file := range ready {
		require.Equal(t, testhost.Nobody, hostlocal.Owner(file).UID, file)
	}
}

// The answer is never that of an earlier look.
func TestSpoolWatch(t *testing.T) {
	d, path := newDir(t)
	var w hostlocal.SpoolWatch
	require.True(t, w.IsEmpty(d.Spool()), "there is no directory yet")
	require.NoError(t, d.KeepReady(ctx))
	dir := filepath.Join(path, "spool")
	for _, age := range []time.Duration{0, time.Hour} { // a directory that has just changed, and one that has been quiet
		require.NoError(t, os.Chtimes(dir, time.Time{}, time.Now().Add(-age)))
		require.True(t, w.IsEmpty(d.Spool()), "reserves are no results")
		require.True(t, w.IsEmpty(d.Spool()))
		add(t, d.Spool(), spooledResult("r", noon))
		require.False(t, w.IsEmpty(d.Spool()))
		require.False(t, w.IsEmpty(d.Spool()))
		require.NoError(t, spooled(t, d.Spool())[0].Remove())
		require.True(t, w.IsEmpty(d.Spool()))
	}
	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, os.Symlink(t.TempDir(), dir))
	require.False(t, w.IsEmpty(d.Spool()), "a link tells nothing")
}

func marked(t *testing.T, e hostlocal.Spooled) {
	t.Helper()
	file, err := e.MarkPaused(noon)
	require.NoError(t, err)
	require.FileExists(t, file)
}

// A reserve belongs to the bot, and a member of its group may fill it: that user cannot set its time to any but now.
func TestMarkPausedByGroupMember(t *testing.T) {
	testhost.NeedRoot(t, "to become another user")
	public := testhost.PublicDir(t)
	spool := hostlocal.Beside(filepath.Join(public, "adfbot.db")).Spool()
	file := add(t, spool, spooledResult("r", noon))
	for _, path := range []string{file, filepath.Dir(file), filepath.Dir(filepath.Dir(file))} {
		require.NoError(t, os.Chmod(path, 0o777))
	}
	e := spooled(t, spool)[0]
	var moved string
	var err error
	func() {
		runtime.LockOSThread() // the user is the thread's
		defer runtime.UnlockOSThread()
		require.NoError(t, unix.Setfsuid(testhost.Nobody))
		defer func() { require.NoError(t, unix.Setfsuid(0)) }()
		moved, err = e.MarkPaused(time.Now())
	}()
	require.NoError(t, err)
	require.NotEqual(t, file, moved)
	require.WithinDuration(t, time.Now(), spooled(t, spool)[0].PausedAt, time.Minute)
}

func output(t *testing.T, e hostlocal.Spooled) string {
	t.Helper()
	text, err := e.Output()
	if err != nil {
		require.ErrorIs(t, err, fs.ErrNotExist)
	}
	return text
}
