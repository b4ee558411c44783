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

// operatorSet is who may give commands in one sweep. It is safe for concurrent use.
type operatorSet struct {
	mu       sync.Mutex
	list     []incident.Operator
	own      identity // the bot's accounts, but for those of operators that it has left: never
	problems []string // that were found in this sweep
	changed  bool     // list is to be saved
}

// operatorSet brings the stored operators in line with the configured ones. It asks Gitea only for those who are new. Taking
// a login out of the configuration forgets who it was.
func (r *Reconciler) operatorSet(ctx context.Context, c *sweepCache) (*operatorSet, error) {
	stored, err := r.opt.Commands.State.Operators(ctx, r.opt.Server)
	if err != nil {
		return nil, err
	}
	o := &operatorSet{}
	o.own, _ = c.identity()
	var errs []error
	for _, login := range r.opt.Commands.Operators {
		op := incident.Operator{Login: login}
		if n := slices.IndexFunc(stored, func(k incident.Operator) bool { return strings.EqualFold(k.Login, login) }); n >= 0 {
			op = stored[n]
		}
		if op.ID == 0 && (op.Asked.IsZero() || r.opt.Now().Sub(op.Asked).Abs() >= askAgain) {
			if err := r.resolveOperator(ctx, &op); err != nil {
				errs = append(errs, fmt.Errorf("operator %s: %w", login, err))
			}
		}
		if o.own.ids[op.ID] && r.hasLeft(ctx, c, op.ID) {
			o.own = o.own.without(op.ID)
		}
		problem := fmt.Sprintf("operator %q is the bot's own account, whose comments and closings never count: give the bot an account of its own", op.Login)
		if o.own.has(tracker.Account{ID: op.ID, Login: op.Login}) {
			op.Problem = problem
		} else if op.Problem == problem {
			op.Problem = ""
		}
		o.list = append(o.list, op)
	}
	o.changed = !slices.Equal(o.list, stored)
	if !c.dry {
		errs = append(errs, r.saveOperators(ctx, o))
	}
	return o, errors.Join(errs...)
}

// hasLeft reports whether the bot, which wrote under an account once, writes under another one now: the operator lent it their
// token at first. The last write tells, and before the first one under the new account, its token.
func (r *Reconciler) hasLeft(ctx context.Context, c *sweepCache, id int64) bool {
	accounts, err := r.opt.State.Accounts(ctx, r.opt.Server)
	if err != nil || len(accounts) > 0 && accounts[len(accounts)-1].ID != id {
		return err == nil
	}
	me, err := r.me(ctx, c)
	return err == nil && me.ID != id
}

// resolveOperator asks who has a login. That nobody has it, or that the token may not ask, is saved with it; any other
// failure is an error, and the next sweep asks again.
func (r *Reconciler) resolveOperator(ctx context.Context, op *incident.Operator) error {
	a, _, err := r.opt.Tracker.User(ctx, op.Login)
	switch renamed, nobody := tracker.IsNobody(err, op.Login); {
	case err == nil && strings.EqualFold(a.Login, op.Login):
		op.ID, op.Problem = a.ID, ""
		r.opt.Log.Info("operator found", "login", op.Login, "user_id", a.ID)
	case renamed != "":
		op.Problem = fmt.Sprintf("operator %q: this login was changed to %s: name that one in operators", op.Login, renamed)
		r.opt.Log.Warn("operator has another login now", "login", op.Login, "now", renamed)
	case err == nil, nobody:
		op.Problem = fmt.Sprintf("operator %q: nobody at %s has this login, or the profile is private: correct operators in the configuration, "+
			"or let the operator write a command, which tells the account", op.Login, r.opt.Server)
		r.opt.Log.Warn("operator not found", "login", op.Login)
	case mayNotAsk(err):
		// The token may lack read:user. The first who acts under the login is taken for the operator.
	default:
		return err
	}
	op.Asked = r.opt.Now()
	return nil
}

// mayNotAsk reports whether the token may not ask for accounts.
func mayNotAsk(err error) bool {
	return tracker.IsStatus(err, http.StatusForbidden) || tracker.IsStatus(err, http.StatusUnauthorized)
}

func (r *Reconciler) saveOperators(ctx context.Context, o *operatorSet) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.changed {
		return nil
	}
	o.changed = false
	return r.opt.Commands.State.SetOperators(ctx, r.opt.Server, o.list)
}

// isOperator reports whether an account is an operator. Its id decides: an operator may change their login. But an account that was made
// after the backup from which Gitea was restored is gone, and another one may get its id. So one that has another login than the operator's
// has to be older than the look-up of the operator, or Gitea has to say that the login was changed, as far as the token may ask.
func (r *Reconciler) isOperator(ctx context.Context, o *operatorSet, a tracker.Account) (bool, error) {
	is, op := o.allows(a)
	if !is || strings.EqualFold(op.Login, a.Login) {
		return is, nil
	}
	_, made, err := r.opt.Tracker.User(ctx, a.Login)
	if err == nil && !made.IsZero() && !made.After(op.Asked) {
		return true, nil
	}
	former := op.Login
	if mayNotAsk(err) {
		return true, nil
	}
	if _, nobody := tracker.IsNobody(err, a.Login); err != nil && !nobody {
		return false, fmt.Errorf("operator %s: %w", former, err)
	}
	now, _, err := r.opt.Tracker.User(ctx, former)
	renamed, nobody := tracker.IsNobody(err, former)
	switch {
	case renamed != "" && strings.EqualFold(renamed, a.Login), err == nil && now.ID == a.ID:
		return true, nil
	case err != nil && !nobody:
		return false, fmt.Errorf("operator %s: %w", former, err)
	}
	o.note(former, fmt.Sprintf("operator %q is user %d, whose login is %s now, and Gitea does not say that it was changed: another account may have got "+
		"the number, as after Gitea was restored from a backup, so %s is no operator: if they are to be one, put %s into operators; "+
		"if %s has a new account, take the login out of operators, let a sweep pass, and put it in again", former, a.ID, a.Login, a.Login, a.Login, former))
	return false, nil
}

// allows reports whether an account has the id of an operator, and of which: of one with its login, if there is one. Who has an operator's
// login and another id is none: the login was given up and taken by somebody else.
func (o *operatorSet) allows(a tracker.Account) (is bool, has incident.Operator) {
	if o == nil || a.ID == 0 || o.own.has(a) {
		return false, has
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for n := range o.list {
		op := &o.list[n]
		switch same := strings.EqualFold(op.Login, a.Login); {
		case same && op.ID == 0:
			op.ID, op.Problem, o.changed = a.ID, "", true
			return true, *op
		case same && op.ID == a.ID:
			return true, *op
		case op.ID == a.ID:
			is, has = true, *op
		}
	}
	for n := range o.list {
		op := &o.list[n]
		if is || !strings.EqualFold(op.Login, a.Login) {
			continue
		}
		o.add(op, fmt.Sprintf("operator %q is user %d, but the login belongs to user %d now, who is no operator: "+
			"if that is right, take the login out of operators, let a sweep pass, and put it in again", op.Login, op.ID, a.ID))
	}
	return is, has
}

// note keeps what is wrong with an operator, for status, and reports it once.
func (o *operatorSet) note(login, problem string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for n := range o.list {
		if o.list[n].Login == login {
			o.add(&o.list[n], problem)
		}
	}
}

// add is note for one who holds the lock.
func (o *operatorSet) add(op *incident.Operator, problem string) {
	if op.Problem != problem {
		op.Problem, o.changed = problem, true
		o.problems = append(o.problems, problem)
	}
}

// logins returns the operators' names, for an answer to somebody else.
func (o *operatorSet) logins() []string {
	var out []string
	for _, op := range o.list {
		out = append(out, op.Login)
	}
	return out
}
