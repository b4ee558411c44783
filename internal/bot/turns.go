package bot

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// sweepClaim is the claim of the one host of a fleet that lists the repositories and works on what is due.
const sweepClaim = "sweep"

// sweepWait is how long a person's sweep waits for one that runs on another host. A scheduled one does not wait: it is done there.
const sweepWait = 20 * time.Second

// errNotOurTurn means that this host leaves Gitea to the others for now.
var errNotOurTurn = errors.New("this host could not reach Gitea the last time, or its token was refused there, so it leaves the sweep to the others for a while")

// turns says when a host that cannot reach Gitea, or whose token is refused there, tries again: another one may do better, and has to get
// the claim before this one has put off again what is due.
type turns struct {
	mu      sync.Mutex
	fails   int
	next    time.Time
	refused bool
	token   string // the one that was refused; "": it could not be read any more
}

// swept notes whether a sweep could reach Gitea, and whether Gitea took the token.
func (t *turns) swept(err error, token func() string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	failed, ok := errors.AsType[*tracker.Error](err)
	if t.refused = ok && failed.Status == http.StatusUnauthorized; !t.refused && (!ok || failed.Status != 0) {
		t.fails, t.next = 0, time.Time{}
		return
	}
	if t.refused {
		t.token = token()
	}
	t.fails++
	t.next = time.Now().Add(plan.RetryWait(t.fails, 0))
}

// ours reports whether this host may try. A token that is replaced is tried at once: the others may have none that is any better.
func (t *turns) ours(token func() string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !time.Now().Before(t.next) || t.refused && t.replaced(token())
}

// tokenRefused reports whether Gitea refused the token the last time, and it was not replaced since.
func (t *turns) tokenRefused(token func() string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.refused && !t.replaced(token())
}

// up reports whether the last sweep had answers from Gitea, if it asked, and with a token that is good there.
func (t *turns) up() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.fails == 0
}

// replaced is called with t.mu held. Where the token cannot be read, the client goes on with the one that it has.
func (t *turns) replaced(token string) bool { return token != "" && token != t.token }

// token returns the token of Gitea as it is now, or "" if it cannot be read.
func (b *Bot) token() string {
	token, _ := b.cfg.Gitea.TokenSource(b.env.Getenv).Token() // "" with an error
	return token
}

// GiteaUp reports whether this process can work with Gitea: false if its token or a certificate cannot be read, or if its last sweep had no
// answer, or had its token refused. It asks nothing.
func (b *Bot) GiteaUp() bool {
	return b.gitea != nil && b.accessError() == nil && b.turns.up()
}

// claimSweep claims the sweep of all projects for this host. The returned context ends with the claim.
func (b *Bot) claimSweep(ctx context.Context, opt escalate.SweepOptions) (held context.Context, release func(), err error) {
	if b.store.fleet == nil || opt.Project != "" {
		return ctx, func() {}, nil
	}
	wait := time.Duration(0)
	switch {
	case !b.daemon: // a person asked
		wait = sweepWait
	case !b.turns.ours(b.token):
		return nil, nil, errNotOurTurn
	case b.gitea == nil || b.accessError() != nil:
		return nil, nil, b.accessError()
	}
	return b.store.claims.Claim(ctx, sweepClaim, wait)
}

// notSwept returns what to report of a sweep that this host has left to another one: nothing, if that is the order of things.
func (b *Bot) notSwept(why error) error {
	switch {
	case errors.Is(why, errNotOurTurn), b.daemon && errors.Is(why, incident.ErrClaimed):
		return nil
	case errors.Is(why, incident.ErrClaimed):
		return fmt.Errorf("another host sweeps, so only the flags of this one were brought in line: try again in a minute: %w", why)
	}
	return why
}
