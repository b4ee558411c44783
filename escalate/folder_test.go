package escalate

import (
	"context"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/pause"
)

// frozenFolder answers reads, and keeps writes until it is thawed.
type frozenFolder struct {
	folder
	thaw chan struct{}
}

func (f frozenFolder) Write(id, note string, at time.Time) (bool, error) {
	<-f.thaw
	return f.folder.Write(id, note, at)
}

func (f frozenFolder) Remove(id string) (bool, error) {
	<-f.thaw
	return f.folder.Remove(id)
}

// A file system that answers reads and keeps writes waiting, as a frozen one does, delays a visit by five seconds. Until the write is
// done, nobody else may write the flag.
func TestFrozenPauseDirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		state, installation, dir := NewMemory(), pause.NewRandomID(), pause.New(t.TempDir())
		require.NoError(t, dir.Init(installation))
		r, err := New(Options{Installation: installation, State: state, Dir: dir})
		require.NoError(t, err)
		thaw := make(chan struct{})
		open := r.open
		r.open = func() (folder, error) {
			f, err := open()
			return frozenFolder{f, thaw}, err
		}
		begun := time.Now()
		_, err = r.Open(ctx, incident.Incident{Project: "odilo"})
		require.ErrorContains(t, err, "project odilo is NOT paused by a flag: pause directory "+dir.Path()+" did not answer in 5s")
		require.Equal(t, readWait, time.Since(begun))
		_, err = r.Open(ctx, incident.Incident{Project: "atlas"})
		require.ErrorContains(t, err, "did not answer in 5s")
		require.Equal(t, readWait, time.Since(begun), "one late write is enough")
		require.Equal(t, incident.FlagGone, r.Look(ctx, "odilo").State, "reads go on")
		short, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		_, _, err = r.Local(short, "odilo")
		require.ErrorContains(t, err, "the lock flag/odilo was not free")

		close(thaw)
		synctest.Wait()
		for _, project := range []string{"odilo", "atlas"} {
			_, _, err = r.Local(ctx, project)
			require.NoError(t, err)
			s, err := state.ProjectState(ctx, project)
			require.NoError(t, err)
			require.Equal(t, s.Pause().ID, s.Confirmed.Pause)
			require.Empty(t, s.Open().FlagError)
			require.Equal(t, incident.FlagThere, r.Look(ctx, project).State)
		}

		thaw = make(chan struct{})
		begun = time.Now()
		_, err = r.Resume(ctx, "odilo", "resumed by kim")
		require.ErrorContains(t, err, "project odilo is still paused: pause directory "+dir.Path()+" did not answer")
		require.Equal(t, readWait, time.Since(begun))
		s, err := state.ProjectState(ctx, "odilo")
		require.NoError(t, err)
		require.NotNil(t, s.Open())
		close(thaw) // the flag goes late: that is a resume
		synctest.Wait()
		_, _, err = r.Local(ctx, "odilo")
		require.NoError(t, err)
		require.Equal(t, incident.FlagGone, r.Look(ctx, "odilo").State)
		s, err = state.ProjectState(ctx, "odilo")
		require.NoError(t, err)
		require.Nil(t, s.Open())
	})
}

// touchedFolder has its flag touched right after it was synced, once.
type touchedFolder struct {
	folder
	touch func()
}

func (f touchedFolder) Sync(id string) error {
	err := f.folder.Sync(id)
	f.touch()
	return err
}

// What somebody does to a flag after it was synced may not be on disk, so it is confirmed by the next visit.
func TestFlagTouchedWhileConfirmed(t *testing.T) {
	ctx := t.Context()
	state, installation, dir := NewMemory(), pause.NewRandomID(), pause.New(t.TempDir())
	require.NoError(t, dir.Init(installation))
	_, err := dir.Write("odilo", "a person's")
	require.NoError(t, err)
	r, err := New(Options{Installation: installation, State: state, Dir: dir})
	require.NoError(t, err)
	touches := 0
	open := r.open
	r.open = func() (folder, error) {
		f, err := open()
		return touchedFolder{f, func() {
			if touches++; touches == 1 {
				at := time.Now().Add(time.Hour)
				require.NoError(t, os.Chtimes(dir.FlagPath("odilo"), at, at))
			}
		}}, err
	}
	_, _, err = r.Local(ctx, "odilo")
	require.NoError(t, err)
	s, err := state.ProjectState(ctx, "odilo")
	require.NoError(t, err)
	require.Zero(t, s)
	_, _, err = r.Local(ctx, "odilo")
	require.NoError(t, err)
	s, err = state.ProjectState(ctx, "odilo")
	require.NoError(t, err)
	require.NotNil(t, s.Hold)
	require.Equal(t, r.Look(ctx, "odilo").Identity, s.Confirmed.Identity)
}
