package hostlocal_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/hostlocal"
)

// earlierLocks makes a directory as an earlier version leaves it, with the files of the given locks.
func earlierLocks(t *testing.T, names ...string) (locks *hostlocal.Locks, path string) {
	t.Helper()
	locks, path = newLocks(t)
	require.NoError(t, os.Mkdir(path, 0o700))
	for _, name := range names {
		holdAsEarlier(t, path, name)()
	}
	return locks, path
}

func holdAsEarlier(t *testing.T, path, name string) (unlock func()) {
	t.Helper()
	unlock, err := earlierLock(filepath.Dir(path), name)
	require.NoError(t, err)
	t.Cleanup(unlock)
	return unlock
}

func requireUpgraded(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, "locks", entries[0].Name())
	require.True(t, entries[0].Type().IsRegular())
}

func TestUpgrade(t *testing.T) {
	for what, prepare := range map[string]func(t *testing.T) (*hostlocal.Locks, string){
		"of nothing":            func(t *testing.T) (*hostlocal.Locks, string) { return newLocks(t) },
		"of an empty directory": func(t *testing.T) (*hostlocal.Locks, string) { return earlierLocks(t) },
		"of free locks": func(t *testing.T) (*hostlocal.Locks, string) {
			return earlierLocks(t, "flag-odilo", "issue-odilo", "labels-acme-fleet")
		},
		"of what is no lock": func(t *testing.T) (*hostlocal.Locks, string) {
			locks, path := earlierLocks(t)
			require.NoError(t, os.Symlink("/dev/null", filepath.Join(path, "flag-odilo")))
			return locks, path
		},
	} {
		t.Run(what, func(t *testing.T) {
			locks, path := prepare(t)
			require.NoError(t, locks.Upgrade(ctx, 0))
			requireUpgraded(t, path)
			lock(t, locks, "flag/odilo")
			require.NoError(t, locks.Upgrade(ctx, 0), "once more, beside a holder")
			requireHeld(t, locks, "flag/odilo")
		})
	}
}

func TestLockUpgrades(t *testing.T) {
	locks, path := earlierLocks(t, "flag-odilo")
	lock(t, locks, "flag/odilo")
	requireUpgraded(t, path)
}

// An earlier version cannot lock after the upgrade.
func TestEarlierVersionAfterUpgrade(t *testing.T) {
	locks, path := earlierLocks(t, "flag-odilo")
	require.NoError(t, locks.Upgrade(ctx, 0))
	for _, name := range []string{"flag-odilo", "flag-atlas"} {
		_, err := earlierLock(filepath.Dir(path), name)
		require.ErrorContains(t, err, "not a directory")
	}
	requireUpgraded(t, path)
}

func TestUpgradeWaitsForEarlierLocks(t *testing.T) {
	locks, path := earlierLocks(t, "flag-atlas")
	synctest.Test(t, func(t *testing.T) {
		first := holdAsEarlier(t, path, "flag-odilo")
		got := make(chan error, 1)
		go func() { got <- locks.Upgrade(ctx, time.Hour) }()
		synctest.Wait()
		require.Empty(t, got)
		second := holdAsEarlier(t, path, "issue-odilo") // created while the upgrade waits
		first()
		time.Sleep(time.Minute) // of the bubble's clock
		synctest.Wait()
		require.Empty(t, got)
		require.DirExists(t, path)
		second()
		require.NoError(t, <-got)
	})
	requireUpgraded(t, path)
}

func TestUpgradeGivesUp(t *testing.T) {
	locks, path := earlierLocks(t, "flag-atlas")
	holder := start(t, "hold as an earlier version", filepath.Dir(path), "flag-odilo")
	const advice = "stop it, and start it again as this version"
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		_, err := locks.LockHere(ctx, "flag/odilo", time.Minute)
		require.EqualError(t, err, fmt.Sprintf("lock flag/odilo: upgrade %s: process %d of an earlier version of adfbot holds a lock (flag-odilo): "+advice, path, holder.Process.Pid))
		require.Equal(t, time.Minute, time.Since(begin))
		canceled, cancel := context.WithCancel(ctx)
		cancel()
		require.ErrorIs(t, locks.Upgrade(canceled, time.Minute), context.Canceled)
	})
	require.DirExists(t, path)
	holdAsEarlier(t, path, "flag-atlas")() // goes on as if nothing had been tried
	_ = holder.Kill()
	require.NoError(t, locks.Upgrade(ctx, 0))
	requireUpgraded(t, path)
}

func TestUpgradeLeavesForeignFiles(t *testing.T) {
	locks, path := earlierLocks(t, "flag-odilo")
	for _, foreign := range []string{"notes", "old-notes"} {
		file := filepath.Join(path, foreign)
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		require.EqualError(t, locks.Upgrade(ctx, 0), fmt.Sprintf("open the locks: upgrade %s: %s is no lock file of adfbot: move it out of the directory", path, foreign))
		require.FileExists(t, file)
		require.NoError(t, os.Remove(file))
	}
	require.NoError(t, os.Mkdir(filepath.Join(path, "flag-notes"), 0o700))
	require.ErrorContains(t, locks.Upgrade(ctx, 0), "flag-notes is no lock file of adfbot")
	require.DirExists(t, filepath.Join(path, "flag-notes"))
}

func TestConcurrentUpgrade(t *testing.T) {
	var names []string
	for n := range 200 {
		names = append(names, fmt.Sprint("flag-p", n))
	}
	_, path := earlierLocks(t, names...)
	together(t, "upgrade", filepath.Dir(path), "")
	requireUpgraded(t, path)
}
