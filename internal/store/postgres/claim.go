package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store/sqlstore"
)

// lease is how a claim lasts.
type lease struct {
	lasts  time.Duration // from the last renewal, by the server's clock
	renews time.Duration // how often it is renewed
	looks  time.Duration // how often somebody who waits looks whether it is over
}

var claimLease = lease{lasts: 15 * time.Second, renews: 5 * time.Second, looks: 200 * time.Millisecond}

// claim is a reservation of this process. Its token tells it from those of others before and after it.
type claim struct {
	name  string
	token int64
}

type claimKey struct{}

// claimsOf returns the claims under which a caller works.
func claimsOf(ctx context.Context) []claim {
	claims, _ := ctx.Value(claimKey{}).([]claim)
	return claims
}

// errClaimLost means that a claim is over although nobody has released it.
var errClaimLost = errors.New("another host may have taken over: this one could not renew its claim in time")

// claimedError is [incident.ErrClaimed].
type claimedError string

func (e claimedError) Error() string { return string(e) }

func (e claimedError) Is(target error) bool { return target == incident.ErrClaimed }

// Claim implements [incident.Claimer] for all hosts, by rows with a lease. The returned context ends when the lease may be over, counted
// from before its last renewal was sent; transactions that are made with it are refused once somebody else has the claim. A process that
// dies or hangs keeps a claim until its lease is over. release waits for the server for two seconds at most.
func (s *Store) Claim(ctx context.Context, name string, wait time.Duration) (held context.Context, release func(), err error) {
	for begun := time.Now(); ; {
		sent := time.Now()
		token, holder, err := s.tryClaim(ctx, name)
		if err != nil {
			return nil, nil, err
		}
		if token != 0 {
			held, release = s.hold(ctx, claim{name, token}, sent)
			return held, release, nil
		}
		left := wait - time.Since(begun)
		if left <= 0 {
			return nil, nil, claimedError(fmt.Sprintf("claim %s: still held after %s by host %s: if that host is gone, it ends within %s",
				name, wait, holder, s.lease.lasts))
		}
		select {
		case <-time.After(min(left, s.lease.looks/2+rand.N(s.lease.looks))):
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// tryClaim takes a claim that is free or over, and returns its token. If it can't, it returns 0 and the id of the host that has the claim.
// A claim that would last longer than a new one was made before the server's clock was set back: it is over, too. If it has a holder, that
// one's token is no longer valid, and it loses the claim at its next renewal or change.
func (s *Store) tryClaim(ctx context.Context, name string) (token int64, holder string, err error) {
	err = s.tx(ctx, func(ctx context.Context, tx sqlstore.Tx) error {
		err := sqlstore.First(ctx, tx, `INSERT INTO adfbot.claim AS c (name, holder, token, until)
			VALUES (?, ?, 1, `+claimLasts+`)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, token = c.token + 1, until = excluded.until
			WHERE c.until NOT BETWEEN clock_timestamp() AND excluded.until RETURNING token`, name, s.host, s.lease.lasts.Milliseconds()).Scan(&token)
		if errors.Is(err, sql.ErrNoRows) {
			token = 0
			err = sqlstore.First(ctx, tx, `SELECT holder FROM adfbot.claim WHERE name = ?`, name).Scan(&holder)
		}
		return err
	})
	return token, holder, err
}

// hold renews a claim until it is released or lost. sent is when it was asked for.
func (s *Store) hold(ctx context.Context, c claim, sent time.Time) (held context.Context, release func()) {
	held, end := context.WithCancelCause(context.WithValue(ctx, claimKey{}, append(slices.Clip(claimsOf(ctx)), c)))
	over := time.AfterFunc(time.Until(sent.Add(s.lease.lasts)), func() { end(errClaimLost) })
	stop, done := make(chan struct{}), make(chan struct{})
	s.claims.Go(func() {
		defer close(done)
		s.renew(c, held, end, over, stop)
	})
	return held, sync.OnceFunc(func() {
		over.Stop()
		end(context.Canceled)
		close(stop)
		select {
		case <-done:
		case <-time.After(2 * time.Second): // Close waits for the rest
		}
	})
}

func (s *Store) renew(c claim, held context.Context, end context.CancelCauseFunc, over *time.Timer, stop chan struct{}) {
	ctx := context.WithValue(context.WithoutCancel(held), claimKey{}, nil)
	for {
		select {
		case <-held.Done(): // released, lost, or the caller has given up and releases it later
			<-stop
			_, _ = s.setClaim(ctx, c, claimOver)
			return
		case <-time.After(s.lease.renews):
		}
		sent := time.Now()
		switch ours, err := s.setClaim(ctx, c, claimLasts, s.lease.lasts.Milliseconds()); {
		case err == nil && !ours:
			end(errClaimLost)
		case err == nil && held.Err() == nil:
			over.Reset(time.Until(sent.Add(s.lease.lasts)))
		}
	}
}

// When a claim ends. Whatever the server's clock is set to, one that was released is free. Its row keeps the token, which must not come again.
const (
	claimLasts = `clock_timestamp() + ?::bigint * interval '1 millisecond'`
	claimOver  = `'-infinity'`
)

// setClaim sets when a claim ends, and reports whether it is still ours.
func (s *Store) setClaim(ctx context.Context, c claim, until string, args ...any) (ours bool, err error) {
	err = s.tx(ctx, func(ctx context.Context, tx sqlstore.Tx) error {
		var token int64
		err := sqlstore.First(ctx, tx, `UPDATE adfbot.claim SET until = `+until+` WHERE name = ? AND token = ? RETURNING token`,
			append(args, c.name, c.token)...).Scan(&token)
		ours = err == nil
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return ours, err
}

// checkClaim is a statement that finds a row as long as the claim is ours, and keeps others from taking it over until the end of the
// transaction.
const checkClaim = `SELECT token FROM adfbot.claim WHERE name = ? AND token = ? AND until >= clock_timestamp() FOR SHARE`
