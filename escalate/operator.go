package escalate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// askAgain is how long to wait before Gitea is asked once more for an operator whom it did not know.
const askAgain = 15 * time.Minute

// roll is who may give orders in one pass. It is safe for concurrent use.
type roll struct {
	mu   sync.Mutex
	ops  []incident.Operator
	own  map[int64]bool // the bot's accounts: never
	news []string       // problems that were found in this pass
	dirt bool           // ops is to be kept
}

// operators brings the kept operators in line with the configured ones. It asks Gitea only for those who are new. Taking a
// login out of the configuration forgets who it was.
func (r *Reconciler) operators(ctx context.Context, own map[int64]bool, dry bool) (*roll, error) {
	kept, err := r.State.Operators(ctx, r.Settings.URL)
	if err != nil {
		return nil, err
	}
	o := &roll{own: own}
	var errs []error
	for _, login := range r.Settings.Operators {
		n := slices.IndexFunc(kept, func(k incident.Operator) bool { return strings.EqualFold(k.Login, login) })
		op := incident.Operator{Login: login}
		if n >= 0 {
			op = kept[n]
		}
		if op.ID == 0 && (op.Asked.IsZero() || r.Now().Sub(op.Asked).Abs() >= askAgain) {
			if err := r.resolve(ctx, &op); err != nil {
				errs = append(errs, fmt.Errorf("operator %s: %w", login, err))
			}
		}
		o.ops = append(o.ops, op)
	}
	o.dirt = !slices.Equal(o.ops, kept)
	if !dry {
		errs = append(errs, r.keep(ctx, o))
	}
	return o, errors.Join(errs...)
}

// resolve asks who has a login. That nobody has it, or that the token may not ask, is kept with it; any other failure is
// an error, and asked again in the next sweep.
func (r *Reconciler) resolve(ctx context.Context, op *incident.Operator) error {
	a, err := r.Gitea.User(ctx, op.Login)
	switch {
	case err == nil && strings.EqualFold(a.Login, op.Login):
		op.ID, op.Problem = a.ID, ""
		r.Log.Info("operator found", "login", op.Login, "user_id", a.ID)
	case err == nil, tracker.IsStatus(err, http.StatusNotFound), tracker.IsStatus(err, http.StatusMovedPermanently), tracker.IsStatus(err, http.StatusTemporaryRedirect):
		op.Problem = fmt.Sprintf("operator %q: nobody at %s has this login: correct operators in the configuration", op.Login, r.Settings.URL)
		r.Log.Warn("operator not found", "login", op.Login)
	case tracker.IsStatus(err, http.StatusForbidden), tracker.IsStatus(err, http.StatusUnauthorized):
		// The token may do without read:user. The first who acts under the login is taken for the operator.
	default:
		return err
	}
	op.Asked = r.Now()
	return nil
}

func (r *Reconciler) keep(ctx context.Context, o *roll) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.dirt {
		return nil
	}
	o.dirt = false
	return r.State.SetOperators(ctx, r.Settings.URL, o.ops)
}

// may tells whether an account is an operator. Its id decides. Who has an operator's login and another id is none: the
// login was given up and taken by somebody else.
func (o *roll) may(a tracker.Account) bool {
	if o == nil || a.ID == 0 || o.own[a.ID] {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, op := range o.ops {
		if op.ID == a.ID {
			return true
		}
	}
	for n := range o.ops {
		op := &o.ops[n]
		if !strings.EqualFold(op.Login, a.Login) {
			continue
		}
		if op.ID == 0 {
			op.ID, op.Problem, o.dirt = a.ID, "", true
			return true
		}
		problem := fmt.Sprintf("operator %q is user %d, but the login belongs to user %d now, who is no operator: "+
			"if that is right, take the login out of operators, let a sweep pass, and put it in again", op.Login, op.ID, a.ID)
		if op.Problem != problem {
			op.Problem, o.dirt = problem, true
			o.news = append(o.news, problem)
		}
	}
	return false
}

// logins are the operators' names, for an answer to somebody else.
func (o *roll) logins() []string {
	var out []string
	for _, op := range o.ops {
		out = append(out, op.Login)
	}
	return out
}
