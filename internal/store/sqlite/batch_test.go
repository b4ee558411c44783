package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
	"github.com/terraphim/adfbot/internal/testhost"
)

// busyStore is a store in which a transaction is under way; what comes meanwhile shares the next one.
type busyStore struct {
	*sqlite.Store
	t       *testing.T
	commits atomic.Int32 // as many were tried
	goOn    chan struct{}
	first   error // of the transaction that is under way
	wg      sync.WaitGroup
}

func newBusyStore(t *testing.T) *busyStore {
	t.Helper()
	s := newStore(t)
	b := &busyStore{Store: s, t: t, goOn: make(chan struct{})}
	held := trip(t, s, "held").ID
	b.beforeCommit(func() error { return nil })
	began := make(chan struct{})
	b.wg.Go(func() {
		_, b.first = s.Change(ctx, held, func(*incident.Incident) {
			close(began)
			<-b.goOn
		})
	})
	<-began
	return b
}

func (b *busyStore) beforeCommit(f func() error) {
	b.SetBeforeCommit(func() error {
		b.commits.Add(1)
		return f()
	})
}

// meanwhile has a change made and returns once it waits for its turn.
func (b *busyStore) meanwhile(change func()) {
	b.t.Helper()
	before := b.Waiting()
	b.wg.Go(change)
	require.Eventually(b.t, func() bool { return b.Waiting() == before+1 }, testhost.Patience, 100*time.Microsecond)
}

// end ends the transaction that is under way, and waits for all others.
func (b *busyStore) end() {
	close(b.goOn)
	b.wg.Wait()
}

func (b *busyStore) fail(ctx context.Context, project string) error {
	r := result(store.Failure)
	r.Project = project
	_, err := b.Record(ctx, r, limits)
	return err
}

func (b *busyStore) failures(id string) int {
	b.t.Helper()
	return failures(b.t, b.Store, id)
}

func (b *busyStore) texts(query string) []string {
	b.t.Helper()
	list, err := b.Texts(ctx, query)
	require.NoError(b.t, err)
	return list
}

func assertNoError(t *testing.T, err error) {
	if err != nil {
		t.Error(err)
	}
}

func TestSharedTransaction(t *testing.T) {
	b := newBusyStore(t)
	for range 20 {
		b.meanwhile(func() { assertNoError(t, b.fail(ctx, "odilo")) })
	}
	b.end()
	require.NoError(t, b.first)
	require.Equal(t, int32(2), b.commits.Load(), "the one that was under way, and one for all others")
	require.Equal(t, 20, b.failures("odilo"))
	list, err := b.IncidentPage(ctx, store.IncidentFilter{Projects: []string{"odilo"}, Limit: 9, Evidence: true})
	require.NoError(t, err)
	require.Len(t, list, 1, "each sees what those before it did")
}

func TestBatchLimit(t *testing.T) {
	b := newBusyStore(t)
	for range 2*sqlite.BatchLimit + 1 {
		b.meanwhile(func() { assertNoError(t, b.fail(ctx, "odilo")) })
	}
	b.end()
	require.Equal(t, int32(1+3), b.commits.Load())
	require.Equal(t, 2*sqlite.BatchLimit+1, b.failures("odilo"))
}

var halfDone = []string{`INSERT INTO meta VALUES ('half', 'done')`, `INSERT INTO meta VALUES ('half', 'again')`}

func TestFailedChange(t *testing.T) {
	b := newBusyStore(t)
	var refused error
	b.meanwhile(func() { assertNoError(t, b.fail(ctx, "odilo")) })
	b.meanwhile(func() { refused = b.InTx(ctx, halfDone...) })
	b.meanwhile(func() { assertNoError(t, b.fail(ctx, "atlas")) })
	b.end()
	require.ErrorContains(t, refused, "UNIQUE constraint failed")
	require.Equal(t, int32(2), b.commits.Load())
	require.Equal(t, 1, b.failures("odilo"))
	require.Equal(t, 1, b.failures("atlas"))
	half, err := b.Meta(ctx, "half")
	require.NoError(t, err)
	require.Empty(t, half)
}

func TestFailedCommit(t *testing.T) {
	b := newBusyStore(t)
	broken := errors.New("the disk is broken")
	b.beforeCommit(func() error { return broken })
	var told [5]error
	for n := range told {
		b.meanwhile(func() { told[n] = b.fail(ctx, fmt.Sprint("p", n)) })
	}
	b.end()
	require.ErrorIs(t, b.first, broken)
	for n, err := range told {
		require.ErrorIs(t, err, broken)
		require.Zero(t, b.failures(fmt.Sprint("p", n)))
	}
}

// A full disk and the like make SQLite take back the whole transaction at once. What came before is gone then, and what
// comes after in the same batch must not be stored on its own.
func TestRolledBackBySQLite(t *testing.T) {
	b := newBusyStore(t)
	var told [3]error
	b.meanwhile(func() { told[0] = b.fail(ctx, "odilo") })
	b.meanwhile(func() { told[1] = b.InTx(ctx, halfDone[0], `INSERT OR ROLLBACK INTO meta VALUES ('half', 'again')`) })
	b.meanwhile(func() { told[2] = b.fail(ctx, "atlas") })
	b.end()
	for _, err := range told {
		require.ErrorContains(t, err, "UNIQUE constraint failed")
	}
	require.Zero(t, b.failures("odilo"))
	require.Zero(t, b.failures("atlas"))
	require.NoError(t, b.fail(ctx, "atlas"), "it goes on")
	require.Equal(t, 1, b.failures("atlas"))
}

func TestCanceledBeforeItsTurn(t *testing.T) {
	b := newBusyStore(t)
	leaving, leave := context.WithCancel(ctx)
	left := make(chan error, 1)
	b.meanwhile(func() { assertNoError(t, b.fail(ctx, "odilo")) })
	b.meanwhile(func() { left <- b.fail(leaving, "odilo") })
	b.meanwhile(func() { assertNoError(t, b.fail(ctx, "odilo")) })
	leave()
	require.ErrorIs(t, <-left, context.Canceled, "and does not wait for the transaction before")
	b.end()
	require.Equal(t, 2, b.failures("odilo"))
}

// Whoever has given up may have kept the result elsewhere.
func TestCanceledBefore(t *testing.T) {
	b := &busyStore{Store: newStore(t), t: t}
	gone, leave := context.WithCancel(ctx)
	leave()
	for range 50 {
		require.ErrorIs(t, b.fail(gone, "odilo"), context.Canceled)
	}
	require.Zero(t, b.failures("odilo"))
}

func TestCanceledLeader(t *testing.T) {
	s := newStore(t)
	b := &busyStore{Store: s, t: t}
	letGo := s.Occupy()
	leaving, leave := context.WithCancel(ctx)
	left := make(chan error, 1)
	b.meanwhile(func() { left <- b.fail(leaving, "odilo") })
	b.meanwhile(func() { assertNoError(t, b.fail(ctx, "odilo")) })
	leave()
	require.ErrorIs(t, <-left, context.Canceled)
	letGo()
	b.wg.Wait()
	require.Equal(t, 1, b.failures("odilo"))
}

// A result that is stored must not be reported as failed: it would be recorded again.
func TestCanceledAfterTheBegin(t *testing.T) {
	b := newBusyStore(t)
	leaving, leave := context.WithCancel(ctx)
	change := func() {
		assertNoError(t, b.Do(leaving, func(ctx context.Context) error {
			leave()
			return ctx.Err()
		}, `INSERT INTO meta VALUES (hex(randomblob(16)), 'left')`))
	}
	b.meanwhile(change) // leads
	b.meanwhile(change)
	b.end()
	require.Equal(t, []string{"left", "left"}, b.texts(`SELECT value FROM meta WHERE value = 'left'`))
}

func TestPanic(t *testing.T) {
	b := newBusyStore(t)
	panics := func() {
		defer func() {
			if v := fmt.Sprint(recover()); !strings.Contains(v, "oh no") || !strings.Contains(v, "batch_test.go") {
				t.Error("it is said what happened and where:", v)
			}
		}()
		_ = b.Do(ctx, func(context.Context) error { panic("oh no") }, halfDone[0])
		t.Error("it did not panic")
	}
	b.meanwhile(panics) // leads
	b.meanwhile(func() { assertNoError(t, b.fail(ctx, "odilo")) })
	b.meanwhile(panics)
	b.meanwhile(func() { assertNoError(t, b.fail(ctx, "odilo")) })
	b.end()
	require.Equal(t, 2, b.failures("odilo"))
	require.Empty(t, b.texts(`SELECT key FROM meta WHERE key = 'half'`))
}

func TestGoexit(t *testing.T) {
	b := newBusyStore(t)
	b.meanwhile(func() { _ = b.Do(ctx, func(context.Context) error { runtime.Goexit(); return nil }, halfDone[0]) })
	var told error
	b.meanwhile(func() { told = b.fail(ctx, "odilo") })
	b.end()
	require.Error(t, told)
	require.Zero(t, b.failures("odilo"))
	require.NoError(t, b.fail(ctx, "odilo"))
}

func TestFailedBegin(t *testing.T) {
	b := newBusyStore(t)
	var told [2 * sqlite.BatchLimit]error
	for n := range told {
		b.meanwhile(func() { told[n] = b.fail(ctx, "odilo") })
	}
	require.NoError(t, os.Remove(b.Path()))
	b.end()
	for _, err := range told {
		require.ErrorIs(t, err, store.ErrUnusable)
		require.ErrorContains(t, err, "it was removed")
	}
}

func TestCloseWaits(t *testing.T) {
	b := newBusyStore(t)
	closed := make(chan error, 1)
	go func() { closed <- b.Close() }()
	select {
	case <-closed:
		require.Fail(t, "it is under way")
	case <-time.After(10 * time.Millisecond):
	}
	b.end()
	require.NoError(t, b.first)
	require.NoError(t, <-closed)
	require.NoError(t, b.Close(), "once more")
	require.ErrorContains(t, b.fail(ctx, "odilo"), "closed")
	_, err := b.Project(ctx, "odilo")
	require.ErrorContains(t, err, "closed")
}

// locked is a store whose state another one has locked, as another process would, until letGo.
func locked(t *testing.T) (b *busyStore, letGo func()) {
	t.Helper()
	s := newStore(t)
	other := open(t, s.Path(), sqlite.Options{})
	began, goOn, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		assertNoError(t, other.Do(ctx, func(context.Context) error {
			close(began)
			<-goOn
			return nil
		}))
	}()
	<-began
	return &busyStore{Store: s, t: t}, func() {
		close(goOn)
		<-over
	}
}

func TestReadAndCancelWhileLocked(t *testing.T) {
	b, letGo := locked(t)
	leaving, leave := context.WithCancel(ctx)
	left := make(chan error, 1)
	b.meanwhile(func() { left <- b.fail(leaving, "odilo") })
	b.meanwhile(func() { assertNoError(t, b.fail(ctx, "odilo")) })
	require.Zero(t, b.failures("odilo"))
	leave()
	require.ErrorIs(t, <-left, context.Canceled)
	letGo()
	b.wg.Wait()
	require.Equal(t, 1, b.failures("odilo"))
}

func TestLockedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, letGo := locked(t)
		begun := time.Now()
		var told [3]error
		for n := range told {
			b.wg.Go(func() { told[n] = b.fail(ctx, "odilo") })
		}
		b.wg.Wait()
		require.InDelta(t, 10, time.Since(begun).Seconds(), 0.1)
		for _, err := range told {
			require.ErrorIs(t, err, store.ErrUnusable)
			require.ErrorContains(t, err, "another process has held it for over 10 s")
		}
		require.ErrorIs(t, b.fail(ctx, "odilo"), store.ErrUnusable)
		require.InDelta(t, 10, time.Since(begun).Seconds(), 0.1, "who comes soon after does not wait again")
		time.Sleep(10 * time.Second)
		require.ErrorIs(t, b.fail(ctx, "odilo"), store.ErrUnusable)
		require.InDelta(t, 30, time.Since(begun).Seconds(), 0.1)
		letGo()
		require.NoError(t, b.fail(ctx, "odilo"))
		require.NoError(t, b.Close())
	})
}

func TestPreparedAtSecondUse(t *testing.T) {
	s := newStore(t)
	for n := range 6 {
		record(t, s, result(store.Failure))
		require.Equal(t, n+1, failures(t, s, "odilo"))
	}
	all, prepared := s.Prepared()
	require.Positive(t, prepared)
	for n := range 20 {
		i := trip(t, s, fmt.Sprint("p", n))
		list, err := s.Incidents(ctx, i.ID)
		require.NoError(t, err)
		require.Len(t, list, 1)
		written := map[int64]time.Time{}
		for id := range n {
			written[int64(id)] = time.Now()
		}
		_, err = s.NewComments(ctx, "x", written)
		require.NoError(t, err)
	}
	more, _ := s.Prepared()
	require.Less(t, more-all, 15, "values never make another query")
}
