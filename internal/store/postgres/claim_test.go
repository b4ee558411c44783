package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/postgres"
	"github.com/terraphim/adfbot/internal/store/storetest"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testpg"
)

func TestClaims(t *testing.T) {
	t.Parallel()
	storetest.RunClaims(t, func(t testing.TB) [2]incident.Claimer {
		p := newPlace(t)
		return [2]incident.Claimer{p.openAs(t, hostA), p.openAs(t, hostB)}
	})
}

func claim(t *testing.T, s *postgres.Store) (held context.Context, release func()) {
	t.Helper()
	held, release, err := s.Claim(ctx, "issue/odilo", time.Minute)
	require.NoError(t, err)
	t.Cleanup(release) // a test that fails does not; then the store would never be closed
	return held, release
}

// note changes an incident, as whoever works on its issue does.
func note(held context.Context, s *postgres.Store, id, text string) error {
	_, err := s.Change(held, id, func(i *incident.Incident) { i.LastErr = text })
	return err
}

// A claim that is renewed outlives its lease.
func TestClaimRenewed(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	a, b := p.openAs(t, hostA), p.openAs(t, hostB)
	id := trip(t, a, "odilo")
	for lasts := time.Second / 2; ; lasts *= 2 { // a busy machine may not renew it in a short time
		a.SetLease(lasts, lasts/20)
		held, release := claim(t, a)
		wait := lasts * 3 / 2
		_, free, err := b.Claim(ctx, "issue/odilo", wait)
		noted := note(held, a, id, "still ours")
		release()
		if err == nil {
			free()
		}
		if (err == nil || noted != nil) && lasts < testhost.Patience {
			continue
		}
		require.ErrorContains(t, err, fmt.Sprintf("claim issue/odilo: still held after %s by host %s", wait, hostA))
		require.NoError(t, noted)
		return
	}
}

// Whoever hangs for longer than the lease loses the claim, and can't store what was decided under it.
func TestClaimLost(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	a, b := p.openAs(t, hostA), p.openAs(t, hostB)
	a.SetLease(200*time.Millisecond, time.Hour) // it never comes to renew it
	id := trip(t, a, "odilo")
	held, release := claim(t, a)
	theirs, free := claim(t, b)
	<-held.Done()
	require.ErrorIs(t, context.Cause(held), postgres.ErrClaimLost)
	err := note(context.WithoutCancel(held), a, id, "late")
	require.ErrorIs(t, err, postgres.ErrClaimLost)
	require.NotErrorIs(t, err, store.ErrUnusable)
	release() // which is not that of the other one
	require.NoError(t, note(theirs, b, id, "ours"))
	require.NoError(t, theirs.Err())
	found, err := a.Incidents(ctx, id)
	require.NoError(t, err)
	require.Equal(t, "ours", found[0].LastErr)
	free()
}

// A claim that somebody has taken over is lost at the next renewal, whatever this host's clock says.
func TestClaimTakenOver(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	a, b := p.openAs(t, hostA), p.openAs(t, hostB)
	a.SetLease(time.Hour, 20*time.Millisecond)
	held, release := claim(t, a)
	defer release()
	for begun := time.Now(); ; { // it is renewed in between if b is slow
		require.Less(t, time.Since(begun), testhost.Patience)
		expire(b)
		_, free, err := b.Claim(ctx, "issue/odilo", 0)
		if err == nil {
			defer free()
			break
		}
		require.ErrorIs(t, err, incident.ErrClaimed)
	}
	<-held.Done()
	require.ErrorIs(t, context.Cause(held), postgres.ErrClaimLost)
}

// expire ends the lease of the claim on odilo's issue.
func expire(s *postgres.Store) {
	s.InTx(ctx, `UPDATE adfbot.claim SET until = until - interval '2 hours' WHERE name = 'issue/odilo' RETURNING name`)
}

// Work under two claims needs both.
func TestClaimInClaim(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	a, b := p.openAs(t, hostA), p.openAs(t, hostB)
	a.SetLease(time.Hour, time.Hour)
	id := trip(t, a, "odilo")
	held, release := claim(t, a)
	defer release()
	both, free, err := a.Claim(held, "labels/odilo", 0)
	require.NoError(t, err)
	defer free()
	require.NoError(t, note(both, a, id, "ours"))
	expire(b)
	_, theirs := claim(t, b)
	defer theirs()
	require.ErrorIs(t, note(context.WithoutCancel(both), a, id, "late"), postgres.ErrClaimLost)
}

// When nobody can be reached the claim ends before somebody else could have it.
func TestClaimWithoutServer(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	a := p.openAs(t, hostA)
	a.SetLease(200*time.Millisecond, 20*time.Millisecond)
	held, release := claim(t, a)
	defer release()
	b := p.openAs(t, hostB)
	require.NoError(t, b.Upsert(ctx, `ALTER TABLE adfbot.claim RENAME TO gone`))
	<-held.Done()
	require.ErrorIs(t, context.Cause(held), postgres.ErrClaimLost)
}

// The clock of the server was an hour ahead when a claim was made. Since it was set right, nobody waits for that hour.
func TestClaimOfTheFuture(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	a, b := p.openAs(t, hostA), p.openAs(t, hostB)
	setBack := func() {
		testpg.Exec(t, p.url, `UPDATE `+p.schema+`.claim SET until = until + interval '1 hour'`)
	}
	_, release := claim(t, a)
	release()
	setBack()
	_, free, err := b.Claim(ctx, "issue/odilo", 0)
	require.NoError(t, err, "it was released")
	free()

	id := trip(t, a, "odilo")
	a.SetLease(15*time.Second, 200*time.Millisecond)
	held, release := claim(t, a)
	defer release()
	setBack()
	theirs, free, err := b.Claim(ctx, "issue/odilo", 0)
	require.NoError(t, err, "nobody knows whether its holder is there")
	defer free()
	require.ErrorIs(t, note(context.WithoutCancel(held), a, id, "late"), postgres.ErrClaimLost)
	require.NoError(t, note(theirs, b, id, "ours"))
	<-held.Done()
	require.ErrorIs(t, context.Cause(held), postgres.ErrClaimLost)
}
