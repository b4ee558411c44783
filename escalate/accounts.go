package escalate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// Whose issues are ours, and where they are now: logins and repositories get other names.

// identity tells whose issues and comments are ours. A login can pass to another person, so ids decide. Only a configured
// login decides until the answer to one of our own writes tells its id: the token may not be allowed to ask for it.
type identity struct {
	ids   map[int64]bool // accounts under which this installation writes or wrote; replaced, never changed
	login string         // the configured one while its id is unknown, or ""
}

// known reports whether anything can be ours. A bot that does not know its own account would take its own issues for
// somebody else's.
func (w identity) known() bool { return len(w.ids) > 0 || w.login != "" }

func (w identity) has(a tracker.Account) bool {
	return w.ids[a.ID] || w.login != "" && strings.EqualFold(w.login, a.Login)
}

// with returns the identity together with an account that is ours.
func (w identity) with(a tracker.Account) identity {
	ids := map[int64]bool{a.ID: true}
	maps.Copy(ids, w.ids)
	if strings.EqualFold(w.login, a.Login) {
		w.login = ""
	}
	return identity{ids, w.login}
}

// without returns the identity without an account.
func (w identity) without(id int64) identity {
	ids := maps.Clone(w.ids)
	delete(ids, id)
	return identity{ids, w.login}
}

// identity returns the identity, which is known, or an error.
func (r *Reconciler) identity(ctx context.Context, c *sweepCache) (identity, error) {
	w, complete := c.identity()
	if !complete {
		if err := r.loadIdentity(ctx, c); err != nil {
			return identity{}, err
		}
		w, _ = c.identity()
	}
	if w.known() {
		return w, nil
	}
	_, err := r.me(ctx, c)
	w, _ = c.identity()
	return w, err
}

// loadIdentity puts what the state and the configuration tell into the cache.
func (r *Reconciler) loadIdentity(ctx context.Context, c *sweepCache) error {
	accounts, err := r.opt.State.Accounts(ctx, r.opt.Server)
	if err != nil {
		return err
	}
	c.loadIdentity(r.opt.Login, accounts)
	return nil
}

// login is the account whose issues are listed: the configured one, else the one that wrote last, else the token's. "" means
// all accounts: the configured one is not the one that wrote last.
func (r *Reconciler) login(ctx context.Context, c *sweepCache) (string, error) {
	accounts, err := r.opt.State.Accounts(ctx, r.opt.Server)
	if err != nil {
		return "", err
	}
	n := len(accounts)
	switch {
	case r.opt.Login != "" && n > 0 && !strings.EqualFold(r.opt.Login, accounts[n-1].Login):
		return "", nil
	case r.opt.Login != "":
		return r.opt.Login, nil
	case n > 0:
		return accounts[n-1].Login, nil
	}
	me, err := r.me(ctx, c)
	return me.Login, err
}

// listingLogin returns the account whose issues are searched for one that may have been created. "" means all accounts:
// this installation has written under another one, which may have created the issue.
func (r *Reconciler) listingLogin(ctx context.Context, c *sweepCache) (string, error) {
	login, err := r.login(ctx, c)
	if err != nil {
		return "", err
	}
	accounts, err := r.opt.State.Accounts(ctx, r.opt.Server)
	if slices.ContainsFunc(accounts, func(a tracker.Account) bool { return !strings.EqualFold(a.Login, login) }) {
		return "", err
	}
	return login, err
}

// me asks whose token this is, and keeps the answer.
func (r *Reconciler) me(ctx context.Context, c *sweepCache) (tracker.Account, error) {
	me, err := r.opt.Tracker.Me(ctx)
	if tracker.LacksScope(err) {
		err = fmt.Errorf("%w; or set gitea.login to the token's account, where the token may not have the scope read:user", err)
	}
	if err != nil {
		return tracker.Account{}, err
	}
	return me, r.saveAccount(ctx, c, me)
}

// saveAccount keeps an account as ours, and as the one that wrote last.
func (r *Reconciler) saveAccount(ctx context.Context, c *sweepCache, a tracker.Account) error {
	if a.ID == 0 {
		return nil
	}
	c.addAccount(a)
	if last, _ := c.writers.get(r.opt.Server); c.dry || last == a {
		return nil
	}
	accounts, err := r.opt.State.Accounts(ctx, r.opt.Server)
	if err != nil {
		return err
	}
	if n := len(accounts); n == 0 || accounts[n-1] != a {
		if r.opt.Login != "" && !strings.EqualFold(r.opt.Login, a.Login) {
			r.opt.Log.Warn("gitea.login is not the account of the token: correct it", "gitea.login", r.opt.Login, "account", a.Login)
		}
		if err := r.opt.State.AddAccount(ctx, r.opt.Server, a); err != nil {
			return err
		}
	}
	c.writers.set(r.opt.Server, a)
	return nil
}

// listIssues lists the bot's issues in a repository.
func (r *Reconciler) listIssues(ctx context.Context, repo tracker.Repo, login string, all bool, c *sweepCache) ([]tracker.Issue, error) {
	issues, err := r.opt.Tracker.List(ctx, repo, login, all)
	if !tracker.IsStatus(err, http.StatusNotFound) {
		return issues, err
	}
	if r.opt.Login != "" {
		return nil, fmt.Errorf("if the token's account has another name now, set gitea.login to it; else: %w", err) // first: a long text is cut
	}
	if login != "" {
		// Gitea gives the same 404 for a login that nobody has: the account may have another name by now.
		me, err2 := r.me(ctx, c)
		if err2 != nil || strings.EqualFold(me.Login, login) {
			return nil, err
		}
		login = me.Login
		issues, err = r.opt.Tracker.List(ctx, repo, login, all)
	}
	return issues, err
}

// relocate follows an issue into the repository that the project's issues go to now, where the old name of the repository
// answers no more: it was renamed, and the operator has set the new name. The issue's id tells that it is the same.
func (r *Reconciler) relocate(ctx context.Context, c *sweepCache, incidents []incident.Incident) error {
	var errs []error
	for n, i := range incidents {
		from, to := i.Issue.Repo, r.configuredRepo(i)
		if i.Issue.IsZero() {
			from = i.Target
		}
		old, ok := c.open.get(from)
		if now, listed := c.open.get(to); !ok || !listed || now.err != nil || from == to {
			continue
		}
		renamed := tracker.IsStatus(old.err, http.StatusMovedPermanently) || tracker.IsStatus(old.err, http.StatusTemporaryRedirect) // its owner was
		if i.Issue.IsZero() && !renamed || !renamed && !tracker.IsStatus(old.err, http.StatusNotFound) {
			continue
		}
		ref := i.Issue
		if !ref.IsZero() {
			issue, err := r.opt.Tracker.Get(ctx, to, ref.Number)
			if err != nil || issue.ID != ref.ID {
				continue // the list's error is reported, and says what to do
			}
			ref = issue.IssueRef
		}
		if err := r.rereadComments(ctx, from, to); err != nil {
			errs = append(errs, err)
			continue
		}
		changed, err := r.opt.State.Change(ctx, i.ID, func(i *incident.Incident) {
			if i.Issue.ID == ref.ID {
				i.Issue = ref
			}
			if i.Target == from {
				i.Target = to
			}
			clearRetry(i)
		})
		if err != nil {
			errs = append(errs, err)
			continue
		}
		incidents[n] = changed
		r.opt.Log.Info("the repository has another name now", "incident", i.Name(), "was", from.String(), "is", to.String())
	}
	return errors.Join(errs...)
}

// rereadComments has the next poll of a repository begin where the last one under its old name ended.
func (r *Reconciler) rereadComments(ctx context.Context, from, to tracker.Repo) error {
	state := r.opt.Commands.State
	if state == nil {
		return nil
	}
	was, err := state.CommentsRead(ctx, from)
	now, err2 := state.CommentsRead(ctx, to)
	if err := errors.Join(err, err2); err != nil || was.IsZero() || !was.Before(now) {
		return err
	}
	return state.SetCommentsRead(ctx, to, was)
}
