package sqlite_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
	"github.com/terraphim/adfbot/internal/testhost"
)

func spooledResult(runID string, finished time.Time) store.Result {
	r := result(store.Failure)
	r.RunID, r.Finished = runID, finished
	return r
}

func spool(t *testing.T, path string, r store.Result) string {
	t.Helper()
	file, err := sqlite.Spool(path, r)
	require.NoError(t, err)
	return file
}

func spooled(t *testing.T, s *sqlite.Store) []sqlite.Spooled {
	t.Helper()
	list, err := s.Spooled()
	require.NoError(t, err)
	return list
}

func TestASpooledResultIsReadAsItWas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "var", "adfbot.db")
	generation := int64(4)
	r := store.Result{Project: "odilo", Agent: "project-meta", RunID: "r", Outcome: store.Failure, ExitCode: 3, Signal: "SIGKILL", Detail: "d",
		Host: "h", Started: noon, Finished: noon.Add(time.Second), Output: "output\nof two lines", Generation: &generation, Run: "run"}
	file := spool(t, path, r)
	s := open(t, path, sqlite.Options{})
	list := spooled(t, s)
	require.Len(t, list, 1)
	require.NoError(t, list[0].Err)
	require.Equal(t, file, list[0].File)
	r.Run = "" // its row is ended by whoever finds the run gone
	require.Equal(t, r, list[0].Result)
	require.NoError(t, s.Taken(list[0]))
	require.NoError(t, s.Taken(list[0]), "another process was faster")
	require.Empty(t, spooled(t, s))
	require.Empty(t, names(t, filepath.Dir(file)))
}

func TestAResultWithoutARunIDIsNotSpooled(t *testing.T) {
	_, err := sqlite.Spool(filepath.Join(t.TempDir(), "adfbot.db"), result(store.Failure))
	require.ErrorContains(t, err, "without a run id", "taken in twice it would count twice")
}

func TestSpooledResultsComeInTheOrderInWhichTheRunsEnded(t *testing.T) {
	s, _ := newStore(t)
	for _, n := range []int{3, 1, 4, 2} {
		spool(t, s.Path(), spooledResult(fmt.Sprint(n), noon.Add(time.Duration(n)*time.Second)))
	}
	var ids []string
	for _, e := range spooled(t, s) {
		ids = append(ids, e.Result.RunID)
	}
	require.Equal(t, []string{"1", "2", "3", "4"}, ids)
}

func TestGarbageInTheSpoolIsReportedAndHidesNothing(t *testing.T) {
	s, _ := newStore(t)
	dir := filepath.Dir(spool(t, s.Path(), spooledResult("good", noon)))
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
		"spare.ready":    `x`,
		"other.json.bak": `x`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "dir.json"), 0o700))
	require.NoError(t, os.Symlink("/dev/zero", filepath.Join(dir, "zero.json")))
	var good, bad int
	for _, e := range spooled(t, s) {
		if e.Err == nil {
			good++
			require.Equal(t, "good", e.Result.RunID)
			continue
		}
		bad++
		require.FileExists(t, strings.Replace(e.File, "dir.json", "half.json", 1))
	}
	require.Equal(t, 1, good)
	require.Equal(t, 11, bad)
}

func TestASpooledResultIsTakenOnceByManyProcesses(t *testing.T) {
	s, _ := newStore(t)
	for n := range 5 {
		spool(t, s.Path(), spooledResult(fmt.Sprint("r", n), noon))
	}
	taken := 0
	for _, a := range together(t, many(5, child{Do: "take", Path: s.Path()})...) {
		require.Empty(t, a.Err)
		taken += a.N
	}
	require.Equal(t, 5, taken)
	require.Equal(t, 5, project(t, s, "odilo").Breaker.Failures)
	require.Empty(t, spooled(t, s))
}

func TestOnAFullDiskTheSpoolUsesTheFilesThatWereKeptReady(t *testing.T) {
	dir := testhost.NewDisk(t, "size=2m")
	path := filepath.Join(dir, "adfbot.db")
	s := open(t, path, sqlite.Options{})
	require.NoError(t, s.KeepReady())
	require.NoError(t, s.KeepReady(), "it does nothing where they are there")
	ready := names(t, filepath.Join(path+".d", "spool"))
	require.Len(t, ready, 64, "a night of a few projects")
	empty := testhost.Fill(t, dir)
	var outputs []string
	for n := range ready {
		r := spooledResult(fmt.Sprintf("r%02d", n), noon.Add(time.Duration(n)*time.Second))
		r.Output = strings.Repeat("begin, ü, <&>\n", 40*n) + "end" // most don't fit
		spool(t, path, r)
		outputs = append(outputs, r.Output)
	}
	_, err := sqlite.Spool(path, spooledResult("last", noon))
	require.ErrorContains(t, err, "no space left on device", "they are used up, and that is said")
	require.Error(t, s.KeepReady(), "on the full disk they can't be made again")
	list := spooled(t, s)
	require.Len(t, list, len(ready))
	for n, e := range list {
		require.NoError(t, e.Err)
		require.Equal(t, fmt.Sprintf("r%02d", n), e.Result.RunID)
		require.True(t, strings.HasSuffix(outputs[n], e.Result.Output), "the end of the output stays")
		if require.True(t, utf8.ValidString(e.Result.Output)); n < 2 {
			require.Equal(t, outputs[n], e.Result.Output)
		}
		require.Greater(t, len(e.Result.Output), min(len(outputs[n])-1, 900), "as much as there is room for, or half of it")
		require.NoError(t, s.Taken(e))
	}
	empty()
	require.NoError(t, s.KeepReady())
	require.Equal(t, ready, names(t, filepath.Join(path+".d", "spool")))
}

// A daemon goes on sweeping while results come in, and on a full disk it can't make used room again.
func TestAFileThatCouldNotBeKeptReadyHidesNoneThatCan(t *testing.T) {
	dir := testhost.NewDisk(t, "size=2m")
	path := filepath.Join(dir, "adfbot.db")
	s := open(t, path, sqlite.Options{})
	require.NoError(t, s.KeepReady())
	empty := testhost.Fill(t, dir)
	require.NoError(t, os.WriteFile(filepath.Join(path+".d", "spool", "a-half.ready"), nil, 0o600))
	for n := range 64 {
		spool(t, path, spooledResult(fmt.Sprint("r", n), noon))
		require.Error(t, s.KeepReady())
	}
	require.Len(t, spooled(t, s), 64)
	empty()
}

func TestAFileThatWasKeptReadyAndIsTooShortIsMadeAnew(t *testing.T) {
	s, _ := newStore(t)
	require.NoError(t, s.KeepReady())
	dir := filepath.Join(s.Path()+".d", "spool")
	short := filepath.Join(dir, names(t, dir)[0])
	require.NoError(t, os.Truncate(short, 10))
	require.NoError(t, s.KeepReady())
	info, err := os.Stat(short)
	require.NoError(t, err)
	require.Equal(t, int64(4<<10), info.Size())
}

func TestAResultIsSpooledBesideADamagedState(t *testing.T) {
	for what, damage := range damages {
		t.Run(what, func(t *testing.T) {
			s, _ := newStore(t)
			require.NoError(t, s.Close())
			damage(t, s.Path())
			require.FileExists(t, spool(t, s.Path(), spooledResult("r", noon)))
			require.NoError(t, os.Remove(s.Path()))
			require.Len(t, spooled(t, open(t, s.Path(), sqlite.Options{})), 1)
		})
	}
}

func TestASpoolThatCantBeWrittenIsAnErrorThatNamesIt(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := sqlite.Spool(filepath.Join(file, "adfbot.db"), spooledResult("r", noon))
	require.ErrorContains(t, err, "spooling the result")
	require.ErrorContains(t, err, file)
}
