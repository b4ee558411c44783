package escalate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// Whose issues are ours, and where they are now: logins and repositories get other names.

// accountIDs returns the accounts whose issues are ours. There is at least one, or else an error: a bot that does not know
// its own account would take its own issues for somebody else's.
func (r *Reconciler) accountIDs(ctx context.Context, c *sweepCache) (map[int64]bool, error) {
	if ids := c.accountIDs(); len(ids) > 0 {
		return ids, nil
	}
	if err := r.loadAccounts(ctx, c); err != nil {
		return nil, err
	}
	if ids := c.accountIDs(); len(ids) > 0 {
		return ids, nil
	}
	me, err := r.me(ctx, c)
	return map[int64]bool{me.ID: true}, err
}

// loadAccounts adds the accounts that the state knows to the cache.
func (r *Reconciler) loadAccounts(ctx context.Context, c *sweepCache) error {
	accounts, err := r.opt.State.Accounts(ctx, r.opt.Server)
	if err != nil {
		return err
	}
	ids := map[int64]bool{}
	for _, a := range accounts {
		ids[a.ID] = true
	}
	c.addAccounts(ids)
	return nil
}

// login is the account whose issues are listed: the configured one, else the one that wrote last, else the token's.
func (r *Reconciler) login(ctx context.Context, c *sweepCache) (string, error) {
	if r.opt.Login != "" {
		return r.opt.Login, nil
	}
	accounts, err := r.opt.State.Accounts(ctx, r.opt.Server)
	if err != nil {
		return "", err
	}
	if len(accounts) > 0 {
		return accounts[len(accounts)-1].Login, nil
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
	if tracker.IsStatus(err, http.StatusForbidden) {
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
	c.addAccounts(map[int64]bool{a.ID: true})
	if last, _ := c.writers.get(r.opt.Server); c.dry || last == a {
		return nil
	}
	accounts, err := r.opt.State.Accounts(ctx, r.opt.Server)
	if err != nil {
		return err
	}
	if n := len(accounts); n == 0 || accounts[n-1] != a {
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
	if tracker.IsStatus(err, http.StatusNotFound) && r.opt.Login == "" {
		// Gitea gives the same 404 for a login that nobody has: the account may have another name by now.
		me, err2 := r.me(ctx, c)
		if err2 != nil || strings.EqualFold(me.Login, login) {
			return nil, err
		}
		login = me.Login
		issues, err = r.opt.Tracker.List(ctx, repo, login, all)
	}
	if err != nil {
		return nil, err
	}
	return issues, r.learnAccount(ctx, login, issues, c)
}

// learnAccount saves the id of the account whose issues were listed, if no request has told it yet.
func (r *Reconciler) learnAccount(ctx context.Context, login string, issues []tracker.Issue, c *sweepCache) error {
	accounts, err := r.opt.State.Accounts(ctx, r.opt.Server)
	if err != nil || len(issues) == 0 {
		return err
	}
	for _, a := range accounts {
		if strings.EqualFold(a.Login, login) {
			return nil
		}
	}
	for _, i := range issues {
		if i.AuthorID != 0 && strings.EqualFold(i.Author, login) {
			return r.saveAccount(ctx, c, tracker.Account{ID: i.AuthorID, Login: i.Author})
		}
	}
	return nil
}

// relocate follows an issue into the repository that the project's issues go to now, where the old name of the repository
// answers no more: it was renamed, and the operator has set the new name. The issue's id tells that it is the same.
func (r *Reconciler) relocate(ctx context.Context, c *sweepCache, incidents []incident.Incident) error {
	var errs []error
	for n, i := range incidents {
		from, to := i.Issue.Repo, r.opt.Target(i.Project).Repo
		if i.Issue.IsZero() {
			from = i.Target
		}
		old, ok := c.open.get(from)
		if now, listed := c.open.get(to); !ok || !listed || now.err != nil || from == to {
			continue
		}
		renamed := tracker.IsStatus(old.err, http.StatusMovedPermanently)
		if i.Issue.IsZero() && !renamed || !renamed && !tracker.IsStatus(old.err, http.StatusNotFound) {
			continue
		}
		if !i.Issue.IsZero() {
			issue, err := r.opt.Tracker.Get(ctx, to, i.Issue.Number)
			if err != nil || issue.ID != i.Issue.ID {
				continue // the list's error is reported, and says what to do
			}
		}
		changed, err := r.opt.State.Change(ctx, i.ID, func(i *incident.Incident) {
			if !i.Issue.IsZero() {
				i.Issue.Repo = to
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
